"""The command line's beginning: ``niteru``, and ``python -m service``, which torchrun needs."""

import sys


def start() -> None:
    """Run the command line; an interrupt while it is still loaded ends it without a word."""
    try:
        from service.cli import main  # noqa: PLC0415 - what is loaded may be interrupted

        main()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    start()
