"""Rows of data, without a copy where they lie in a file or overlap."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradlab.errors import ShapeError
from gradlab.graph.dtypes import Array, DType, check_dtype


def as_rows(name: str, array: Any, dtype: DType) -> Array:
    """Data as an array that can be picked from by rows; floats in a model's dtype.

    Memory maps stay on the disk and windows stay views, if their dtype is right.

    Raises:
        ShapeError: a single number.
        DTypeError: no numbers.
    """
    found = np.asarray(array)
    found = found.astype(check_dtype(found.dtype), copy=False)
    if not found.ndim:
        raise ShapeError(f"{name} is a single number; give an array with a row for each example")
    if found.dtype.kind == "f":
        with np.errstate(over="ignore"):  # what does not fit becomes infinite, and is told of
            found = found.astype(dtype, copy=False)
    return found if found[:1].flags.c_contiguous else np.ascontiguousarray(found)


def overlap(array: Array) -> bool:
    """Whether the rows of a matrix are windows of one sequence, each a step after the one before.

    >>> windows = np.lib.stride_tricks.sliding_window_view(np.arange(6), 3)
    >>> overlap(windows), overlap(windows[::2]), overlap(windows[::3]), overlap(windows.copy())
    (True, True, False, False)
    """
    if array.ndim != 2 or len(array) < 2 or array.strides[1] != array.itemsize:
        return False
    step, rest = divmod(array.strides[0], array.itemsize)
    return 0 < step < array.shape[1] and not rest


def elements(array: Array) -> Array:
    """Each element of an array once, in order, without a copy where its rows overlap.

    >>> elements(np.lib.stride_tricks.sliding_window_view(np.arange(6), 3)[::2])
    array([0, 1, 2, 3, 4])
    """
    if not overlap(array):
        return array.reshape(-1)
    step = array.strides[0] // array.itemsize
    size = (len(array) - 1) * step + array.shape[1]
    return np.lib.stride_tricks.as_strided(array, (size,), (array.itemsize,), writeable=False)


def extremes(array: Array) -> Array:
    """Numbers of the rows in which the smallest and the largest element are.

    >>> extremes(np.array([[3, 4], [9, 5], [0, 6]]))
    array([1, 2])
    """
    flat = elements(array)
    if not flat.size:
        return np.zeros(1, np.int64)
    along = array.strides[0] // array.itemsize if overlap(array) else flat.size // len(array)
    places = np.array([flat.argmin(), flat.argmax()])
    return np.unique(np.minimum(places // along, len(array) - 1))
