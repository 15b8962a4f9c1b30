"""Large arrays made from files: in a memory map, so that they need not fit into memory."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gradlab.data.download import data_folder
from gradlab.errors import DataError
from gradlab.files import replacing

LARGE = 1 << 28
"""Bytes from which on an array lies on the disk."""


def make_array(
    key: str,
    shape: tuple[int, ...],
    dtype: DTypeLike,
    fill: Callable[[NDArray[Any]], None],
    data_dir: str | os.PathLike[str] | None,
) -> NDArray[Any]:
    """An array that ``fill`` writes; a large one is a file of the data folder, written once a key.

    Raises:
        DataError: the file cannot be read.
        RunError: the file cannot be written.
    """
    if math.prod(shape) * np.dtype(dtype).itemsize < LARGE:
        array = np.empty(shape, dtype)
        fill(array)
        return array
    path = data_folder(data_dir) / "arrays" / f"{key}.npy"
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as temporary:
                made = np.lib.format.open_memmap(temporary, "w+", np.dtype(dtype), shape)
                fill(made)
                made.flush()
                del made  # closes the file
        found: NDArray[Any] = np.load(path, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise DataError(f"cannot use {path} ({error}); remove it, and it is made anew") from error
    return found
