"""``python -m service`` is the command line; torchrun needs a module to start."""

from service.cli import main

if __name__ == "__main__":
    main()
