"""The few file-system steps a publish is made of.

The seam is this narrow so that a test can put a crash before each one of them.
"""

import os
import shutil
from pathlib import Path
from typing import Protocol


class FileSystem(Protocol):
    """Each method is one step that either happened or did not."""

    def make_directory(self, path: Path) -> None:
        """Make a directory and its parents, if it is not there."""
        ...

    def write(self, path: Path, data: bytes) -> None:
        """Write a whole file and hand it to the disk (fsync)."""
        ...

    def sync(self, path: Path) -> None:
        """Hand a file or a directory's entries to the disk (fsync)."""
        ...

    def replace(self, source: Path, target: Path) -> None:
        """Rename within a file system; a target file is replaced in one step."""
        ...

    def remove_tree(self, path: Path) -> None:
        """Remove a directory with all that is in it."""
        ...


class LocalFileSystem:
    """The steps on the machine's own disk."""

    def make_directory(self, path: Path) -> None:
        """Make a directory and its parents."""
        path.mkdir(parents=True, exist_ok=True)

    def write(self, path: Path, data: bytes) -> None:
        """Write a whole file and fsync it."""
        with path.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def sync(self, path: Path) -> None:
        """Fsync a file or a directory."""
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def replace(self, source: Path, target: Path) -> None:
        """Rename."""
        source.replace(target)

    def remove_tree(self, path: Path) -> None:
        """Remove a directory with all that is in it."""
        shutil.rmtree(path)
