"""Text as characters: overlapping windows of it, to predict each next character."""

from __future__ import annotations

import codecs
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from gradlab.data.arrays import ArraySource, Examples
from gradlab.data.download import Remote, data_folder, fetch
from gradlab.data.memory_map import make_array
from gradlab.data.source import datasets
from gradlab.data.targets import Labels
from gradlab.errors import ArgumentError, DataError

_CHUNK = 1 << 22
"""Bytes of a file that are decoded together."""
_CODES = 0x110000
"""Characters of Unicode."""

_TINY_SHAKESPEARE = Remote(
    "tinyshakespeare.txt",
    (
        "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
        "https://raw.githubusercontent.com/jcjohnson/torch-rnn/master/data/tiny-shakespeare.txt",
    ),
    "sha256:86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
)


@datasets.register(
    "text",
    formula="x = characters i to i + block, y = the same one later; classes are the characters",
    paper="Karpathy, The Unreasonable Effectiveness of Recurrent Neural Networks, 2015",
)
def text(
    file: str | os.PathLike[str],
    block: int = 64,
    validation: float = 0.1,
    data_dir: str | os.PathLike[str] | None = None,
) -> ArraySource:
    """Characters of a text file, to predict each from those before it.

    The last ``validation`` of the text validates, cut into windows that follow one another; the
    windows to train on start at every character of what comes before.
    """
    path = Path(file).expanduser()
    return text_source(path.stem, path, block, validation, data_dir)


@datasets.register(
    "tiny_shakespeare",
    formula="1,115,394 characters of plays, 65 different ones; x and y as in text",
    paper="Karpathy, The Unreasonable Effectiveness of Recurrent Neural Networks, 2015",
)
def tiny_shakespeare(
    block: int = 64,
    validation: float = 0.1,
    data_dir: str | os.PathLike[str] | None = None,
) -> ArraySource:
    """Forty thousand lines of Shakespeare's plays."""
    copy = data_folder(data_dir) / "tinyshakespeare" / "input.txt"
    path = copy if copy.is_file() else fetch(_TINY_SHAKESPEARE, data_dir)
    return text_source("tiny_shakespeare", path, block, validation, data_dir)


def text_source(
    name: str,
    path: Path,
    block: int,
    validation: float,
    data_dir: str | os.PathLike[str] | None = None,
) -> ArraySource:
    """Windows over the characters of a file, as views of one array of their indices.

    Raises:
        ArgumentError: a block below 1, or validation outside [0, 1).
        DataError: the file cannot be read, is not UTF-8, or is too short.
    """
    if block < 1:
        raise ArgumentError(f"block must be 1 character or more, got {block}")
    if not 0 <= validation < 1:
        raise ArgumentError(f"validation must be a fraction in [0, 1), got {validation!r}")
    vocabulary, tokens = read_characters(path, data_dir)
    first = int(len(tokens) * (1 - validation))
    if first <= block or (validation and len(tokens) - first <= block):
        raise DataError(
            f"{path} has {len(tokens)} characters, too few for windows of {block} and "
            f"validation={validation:g}; lower block, or set validation to 0"
        )
    if len(vocabulary) < 2:
        raise DataError(
            f"{path} has one character only, {vocabulary[0]!r}; there is nothing to learn"
        )
    train, later = tokens[:first], tokens[first:]
    count = (len(later) - 1) // block * block if validation else 0
    return ArraySource(
        name,
        "text",
        Labels("character", vocabulary),
        Examples(sliding_window_view(train[:-1], block), sliding_window_view(train[1:], block)),
        validation=Examples(
            later[:count].reshape(-1, block), later[1 : count + 1].reshape(-1, block)
        )
        if count
        else None,
    )


def read_characters(
    path: Path, data_dir: str | os.PathLike[str] | None = None
) -> tuple[tuple[str, ...], NDArray[Any]]:
    """The characters of a UTF-8 file that differ, sorted, and the index of each that it holds.

    Indices have the smallest unsigned dtype that holds them. The file is read in parts, and the
    indices of a large one are a memory map.

    Raises:
        DataError: the file cannot be read, is empty or not UTF-8.
    """
    seen = np.zeros(_CODES, np.bool_)
    count = 0
    for codes in _codes(path):
        seen[codes] = True
        count += len(codes)
    if not count:
        raise DataError(f"{path} is empty")
    found = np.flatnonzero(seen)
    dtype = np.min_scalar_type(len(found) - 1)
    index = np.zeros(_CODES, dtype)
    index[found] = np.arange(len(found))

    def fill(tokens: NDArray[Any]) -> None:
        start = 0
        for codes in _codes(path):
            tokens[start : start + len(codes)] = index[codes]
            start += len(codes)

    about = path.stat()
    key = f"{path.resolve()} {about.st_size} {about.st_mtime_ns}"
    tokens = make_array(_hashed(key), (count,), dtype, fill, data_dir)
    return tuple(map(chr, found.tolist())), tokens


def _codes(path: Path) -> Iterator[NDArray[np.uint32]]:
    """The numbers of a file's characters in Unicode, a part at a time."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    start = 0
    try:
        with path.open("rb") as file:
            while True:
                data = file.read(_CHUNK)
                waiting = len(decoder.getstate()[0])
                characters = decoder.decode(data, final=not data)
                yield np.frombuffer(characters.encode("utf-32-le"), "<u4")
                if not data:
                    return
                start += len(data)
    except UnicodeDecodeError as error:
        place = start - waiting + error.start
        raise DataError(f"{path} is not UTF-8 text (byte {place}); save it as UTF-8") from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error


def _hashed(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:32]
