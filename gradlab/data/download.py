"""Files from their public homes: fetched once, checked, and kept in a folder."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from gradlab.data.progress import Progress
from gradlab.errors import DataError
from gradlab.files import put

CHUNK = 1 << 18
"""Bytes that are read at once."""
TIMEOUT = 30
"""Seconds without an answer after which a home counts as out of reach."""


@dataclass(frozen=True)
class Remote:
    """A file and where it is published.

    Attributes:
        name: its path in the data folder.
        urls: its homes, in the order in which they are tried.
        checksum: of its bytes, as ``"sha256:..."`` or ``"md5:..."``.
    """

    name: str
    urls: tuple[str, ...]
    checksum: str


def data_folder(data_dir: str | os.PathLike[str] | None = None) -> Path:
    """The folder of datasets: ``data_dir``, else $GRADLAB_DATA, else one in the user's cache.

    >>> data_folder("photos").name
    'photos'
    """
    import platformdirs

    given = data_dir or os.environ.get("GRADLAB_DATA")
    return Path(given).expanduser() if given else platformdirs.user_cache_path("gradlab") / "data"


def fetch(remote: Remote, data_dir: str | os.PathLike[str] | None = None) -> Path:
    """Path of a file in the data folder, fetched from the first home that has it if need be.

    A download that broke off goes on where it stopped, here or at the next home. The file gets its
    name once it is whole and its checksum is right.

    Raises:
        DataError: no home gave the file, or it cannot be written.
    """
    path = data_folder(data_dir) / remote.name
    if path.exists():
        return path
    part = path.with_name(f".{path.name}.part")
    by_hand = f"put the file at {path}, or name the folder that has it with data_dir (--data-dir)"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(part):
            failures = [] if path.exists() else _download(remote, part, path)
    except OSError as error:
        raise DataError(f"cannot write {part}: {error.strerror}; {by_hand}") from error
    if failures:
        with suppress(OSError):  # a folder made for it goes again, if it is empty
            path.parent.rmdir()
        raise DataError(f"cannot download {path.name} ({'; '.join(failures)}); {by_hand}")
    return path


@contextmanager
def _alone(part: Path) -> Iterator[None]:
    """One process after the other; an empty part is left by none."""
    with part.open("ab") as file:
        if find_spec("fcntl"):
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            if part.exists() and not part.stat().st_size:
                part.unlink()


def _download(remote: Remote, part: Path, path: Path) -> list[str]:
    """Complete a part of a file and give it its name; what went wrong with each home."""
    failures = []
    for url in remote.urls:
        part.touch()
        failure = _from(url, part, remote.checksum)
        if failure is None:
            put(part, path)
            return []
        failures.append(f"{urlsplit(url).netloc}: {failure}")
    return failures or ["it has no home"]


def _from(url: str, part: Path, checksum: str) -> str | None:
    """Complete a part of a file from one home; what went wrong, or None."""
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError

    while True:
        before = part.stat().st_size
        try:
            _receive(url, part)
        except HTTPError as error:
            if error.code != 416:  # there is nothing after this part: it may be whole
                return f"{error.code} {error.reason}"
        except (OSError, HTTPException) as error:
            if part.stat().st_size > before:
                continue
            return str(error.reason if isinstance(error, URLError) else error) or repr(error)
        if _checksum(part, checksum.partition(":")[0]) == checksum:
            return None
        part.write_bytes(b"")
        if not before:
            return "other bytes than published (wrong checksum)"
        # The part from before may be to blame: once more, from the beginning.


def _receive(url: str, part: Path) -> None:
    """Add to the part what it lacks, or fill it anew if the home sends the whole file."""
    from urllib.request import Request, urlopen

    start = part.stat().st_size
    headers = {"User-Agent": "gradlab"} | ({"Range": f"bytes={start}-"} if start else {})
    with urlopen(Request(url, headers=headers), timeout=TIMEOUT) as answer:
        resumed = answer.status == 206
        expected = int(answer.headers.get("Content-Length", -1))
        total = None if expected < 0 else expected + start * resumed
        received = 0
        with (
            part.open("ab" if resumed else "wb") as file,
            Progress(part.name[1:-5], total, bytes=True) as progress,
        ):
            progress.advance(start * resumed)
            while chunk := answer.read(CHUNK):
                file.write(chunk)
                received += len(chunk)
                progress.advance(len(chunk))
        if received < expected:
            raise ConnectionError(f"broken off after {received:,} of {expected:,} bytes")


def _checksum(path: Path, algorithm: str) -> str:
    """Checksum of a file, with the name of the algorithm."""
    with path.open("rb") as file:
        return f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"
