"""Which hosts ``sftp://`` believes: those in ``~/.ssh/known_hosts``, as ssh itself does.

What fsspec does by itself is to believe whoever answers.
"""

import functools
from pathlib import Path
from typing import Any


def by_paramiko() -> bool:
    """Whether fsspec's own reads ``sftp://``; the package sshfs checks hosts itself."""
    import fsspec  # noqa: PLC0415 - an extra

    return bool(fsspec.get_filesystem_class("sftp").__module__ == "fsspec.implementations.sftp")


@functools.cache
def known_hosts_only() -> Any:
    """The policy of paramiko for hosts of which it knows no key, as a class.

    Raises:
        ImportError: paramiko is not installed.
    """
    import paramiko  # noqa: PLC0415 - an extra

    class KnownHostsOnly(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]
        """Believes a host whose key stands in the user's file."""

        def missing_host_key(self, client: Any, hostname: str, key: Any) -> None:
            """Raise unless the key is known; the file is read anew for each connection."""
            del client
            file = Path("~/.ssh/known_hosts").expanduser()
            known = paramiko.HostKeys(str(file) if file.is_file() else None)
            if not known.check(hostname, key):
                raise paramiko.SSHException(
                    f"the host's key is not in {file}. Compare it with what its keeper says, and "
                    f"add it there ({key.get_name()} {key.get_base64()})"
                )

    return KnownHostsOnly
