"""Compiled programs on disk: what was compiled once is loaded from there ever after."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

SUFFIX = ".program"
UNFINISHED = ".unfinished"
STALE = 3600.0
"""Seconds after which an unfinished file is what a kill left: a writing takes far less."""


def cache_folder() -> Path | None:
    """The folder of the disk cache: GRADLAB_CACHE, or else where the system keeps caches.

    None, and nothing is kept, if GRADLAB_CACHE is "" or "off".
    """
    import platformdirs

    given = os.environ.get("GRADLAB_CACHE")
    if given in ("", "off"):
        return None
    return Path(given).expanduser() if given else platformdirs.user_cache_path("gradlab")


class DiskCache:
    """Bytes by key in a folder, shared by any number of processes.

    It never raises and never gives wrong bytes: a file that is cut short, altered, of another
    version of gradlab, or from another user counts as absent. What is kept is loaded as code, so
    files are their user's alone.

    Args:
        folder: made when first written to; None: nothing is kept.
        limit: bytes in all; beyond them the least recently used files go.

    >>> folder = DiskCache(Path(tempfile.mkdtemp()))
    >>> folder.put("2f6a", b"machine code")
    >>> folder.get("2f6a"), folder.get("77e0")
    (b'machine code', None)
    """

    def __init__(self, folder: Path | None, limit: int = 256 * 2**20) -> None:
        self.folder = folder
        self.limit = limit

    @property
    def writable(self) -> bool:
        """Whether the folder is there, or can be made, and takes files of ours."""
        if self.folder is None:
            return False
        with suppress(OSError):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return _ours(self.folder.stat()) and os.access(self.folder, os.W_OK | os.X_OK)
        return False

    def get(self, key: str) -> bytes | None:
        """What was put under that key; None if that is not there as it was put.

        Args:
            key: hexadecimal digits.
        """
        if self.folder is None:
            return None
        path = self.folder / (key + SUFFIX)
        with suppress(OSError):
            if not _ours(self.folder.stat()):
                return None
            with path.open("rb") as file:
                found, status = file.read(), os.fstat(file.fileno())
            header, _, payload = found.partition(b"\n")
            if _ours(status) and _private(status) and header == _header(key, payload):
                with suppress(OSError):
                    os.utime(path)  # used just now
                return payload
            path.unlink()
        return None

    def put(self, key: str, payload: bytes) -> None:
        """Keep the payload under that key, if the folder takes it and the limit allows it."""
        content = _header(key, payload) + b"\n" + payload
        if self.folder is None or len(content) > self.limit or not self.writable:
            return
        with suppress(OSError):
            # A name of its own for each writing, and readable by this user alone.
            number, name = tempfile.mkstemp(UNFINISHED, prefix=f".{key}.", dir=self.folder)
            try:
                with open(number, "wb") as file:
                    file.write(content)
                Path(name).replace(self.folder / (key + SUFFIX))
            finally:
                Path(name).unlink(missing_ok=True)
        with suppress(OSError):
            self._tidy(self.folder)

    def _tidy(self, folder: Path) -> None:
        """Remove what kills left behind, and the least recently used files beyond the limit."""
        files = []
        with os.scandir(folder) as entries:
            for entry in entries:
                with suppress(OSError):  # another process may have removed it
                    status = entry.stat(follow_symlinks=False)
                    if entry.name.endswith(SUFFIX):
                        files.append((status.st_mtime_ns, status.st_size, entry.path))
                    elif entry.name.endswith(UNFINISHED) and status.st_mtime < time.time() - STALE:
                        os.unlink(entry.path)
        total = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if total <= self.limit:
                break
            with suppress(OSError):
                os.unlink(path)
            total -= size


def _header(key: str, payload: bytes) -> bytes:
    """The first line of a file: whoever can compute it from the rest has the rest as it was."""
    digest = hashlib.sha256(payload).hexdigest()
    return f"gradlab program {key} {version()} {len(payload)} {digest}".encode()


@cache
def version() -> str:
    """Digest of the source that makes programs, so that no other version's are taken for its own.

    It changes with every change of that source, released or not, and is found sooner than the
    version of the installed package.
    """
    digest = hashlib.sha256()
    package = Path(__file__).parents[2]
    for part in ("execute", "graph"):
        for path in sorted((package / part).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _ours(status: os.stat_result) -> bool:
    """Whether a file or folder belongs to the user of this process (Windows sees to it)."""
    return not hasattr(os, "getuid") or status.st_uid == os.getuid()


def _private(status: os.stat_result) -> bool:
    """Whether nobody else can have written to a file."""
    return not hasattr(os, "getuid") or not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
