"""Files that are either whole or not there: written to a temporary name, then renamed.

Contents are on the disk before the new name is, and the name before anything goes on: so it holds
for a process that is killed, and for a machine that loses its power.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gradlab.errors import RunError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place if the block ends well.

    Raises:
        RunError: the file cannot be written; what was there before stays.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "note.txt"
    >>> with replacing(target) as temporary:
    ...     _ = temporary.write_text("whole")
    >>> target.read_text()
    'whole'
    """
    # Always the same name, so that what a kill leaves behind is overwritten by the next writing.
    # The suffix stays last: writers of pictures choose the format by it.
    temporary = path.with_name(f".{path.stem}.tmp{path.suffix}")
    try:
        try:
            yield temporary
            put(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror or error}") from error


def put(temporary: Path, path: Path) -> None:
    """Give a file its name, in place of what had it, with all of it on the disk.

    Raises:
        OSError: it cannot be had.
    """
    sync(temporary)
    temporary.replace(path)
    sync_names(path.parent)


def sync(path: Path) -> None:
    """Wait until what a file or a folder holds is on the disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def sync_names(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, where its file system has a way to."""
    with suppress(OSError):
        sync(folder)
