"""What of a URL may be shown."""

import pytest

from indexer.errors import CatalogueError
from indexer.masking import mask


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sftp://ada:hunter2@host/a.jpg", "sftp://***@host/a.jpg"),
        ("sftp://ada:p@ss?w#rd@host/a.jpg", "sftp://***@host/a.jpg"),
        ("s3://AKIA123:c2ln@bucket", "s3://***@bucket"),
        ("https://t0ken@host/a.jpg", "https://***@host/a.jpg"),
        ("https://h/a.jpg?id=7&X-Amz-Signature=c2ln%3D&w=8", "https://h/a.jpg?id=7&X-Amz-Signature=***&w=8"),
        ("https://h/a.jpg?sv=1&sig=c2ln", "https://h/a.jpg?sv=1&sig=***"),
        ("https://h/a?AWSAccessKeyId=A&Expires=1&api_key=B", "https://h/a?AWSAccessKeyId=***&Expires=1&api_key=***"),
    ],
)  # fmt: skip
def test_secrets_are_masked(url, shown):
    assert mask(url) == shown
    assert mask(f"'{url}' and '{url}' differ.") == f"'{shown}' and '{shown}' differ."
    assert str(CatalogueError(f"'{url}', line 3: no.")) == f"'{shown}', line 3: no."


@pytest.mark.parametrize(
    "text",
    [
        "/photos/a@b:c.jpg",
        "s3://bucket/a@2x.jpg",
        "http://localhost:8000/a@2x.jpg?width=3",
        "abfs://container@account.dfs.example/a.jpg",
        "sftp://ada@host/a.jpg",
        "memory://shop/x.tar#offset=512&size=1&header=0&name=a.jpg",
        "'s3://bucket' cannot be read: ask ada:me@host.",
    ],
)
def test_what_is_no_secret_stays(text):
    assert mask(text) == text
