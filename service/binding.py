"""Whether the address that a server is to listen on is free, before anything else is done."""

import errno
import socket


class AddressError(ValueError):
    """Nothing can be served there."""


def check_address(host: str, port: int) -> None:
    """Listen for a moment, as the server will.

    Args:
        host: A name or an address of this machine.
        port: 0 is always free.

    Raises:
        AddressError: It is taken, not ours, or no address at all; says what to do.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise AddressError(
                f"Port {port} of {host} is taken. Stop what listens there, or choose another: "
                f"--port {port + 1}, or NITERU_PORT."
            ) from error
        if error.errno == errno.EACCES:
            raise AddressError(
                f"This user may not listen on port {port} of {host}. Choose one above 1023: "
                "--port 8000, or NITERU_PORT."
            ) from error
        raise AddressError(
            f"'{host}' is no address that this machine can listen on ({error.strerror or error}). "
            "Expected 127.0.0.1, 0.0.0.0 for all, or one of its own: --host, or NITERU_HOST."
        ) from error
