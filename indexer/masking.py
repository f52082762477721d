"""URLs as they may be shown: without the passwords and keys that some hold.

A place is read with the whole URL and told with this one: in messages, logs, reports and answers.
"""

import re

URL = re.compile(r"\b[a-z][a-z0-9+.-]*://\S*", re.IGNORECASE)
LOGIN = re.compile(r"://[^\s/]*@")
# `?sig=...` of Azure, `X-Amz-Signature`, `access_token`, `api_key`: what lets its bearer in.
SECRET = re.compile(
    r"(?P<name>[?&;][^\s=&;'\"]*?"
    r"(?:key|sig|token|secret|passw|pwd|auth|credential|accessid)[^\s=&;'\"]*)=[^\s&;'\"]*",
    re.IGNORECASE,
)
MASK = "***"


def mask(text: str) -> str:
    """A text whose URLs hold no passwords and no keys: ``sftp://***@host/a?sig=***``."""
    return URL.sub(mask_url, text) if "://" in text else text


def mask_url(found: re.Match[str]) -> str:
    """One URL without what is secret of it."""
    url = found[0]
    login = LOGIN.search(url)
    # A name alone is a container or a user; over HTTP it may be a token.
    if login is not None and (":" in login[0][3:] or url.lower().startswith("http")):
        url = url.replace(login[0], f"://{MASK}@", 1)
    return SECRET.sub(rf"\g<name>={MASK}", url)
