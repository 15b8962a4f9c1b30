"""Which dtypes there are, and which one two operands meet in."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gradlab.errors import DTypeError

DType = np.dtype[Any]
Array = npt.NDArray[Any]

FLOAT32: DType = np.dtype(np.float32)
FLOAT64: DType = np.dtype(np.float64)
INT64: DType = np.dtype(np.int64)
UINT32: DType = np.dtype(np.uint32)
UINT64: DType = np.dtype(np.uint64)
BOOL: DType = np.dtype(np.bool_)

_default = FLOAT32
_RANK = {"b": 0, "u": 1, "i": 1, "f": 2}


def default_dtype() -> DType:
    """Floating dtype of tensors made from Python numbers.

    >>> default_dtype()
    dtype('float32')
    """
    return _default


def set_default_dtype(dtype: npt.DTypeLike) -> None:
    """Choose the floating dtype of tensors made from Python numbers, for the whole process.

    Raises:
        DTypeError: not a floating dtype.
    """
    global _default
    chosen = check_dtype(dtype)
    if chosen.kind != "f":
        raise DTypeError(
            f"the default dtype must be floating, got {chosen}; use float32 or float64"
        )
    _default = chosen


def check_dtype(dtype: npt.DTypeLike) -> DType:
    """The NumPy dtype, in the machine's byte order, if gradlab computes with it."""
    found = np.dtype(dtype).newbyteorder("=")
    if found.kind not in _RANK:
        raise DTypeError(f"gradlab computes with real numbers and booleans, not with {found}")
    if found.kind == "f" and found != FLOAT32 and found != FLOAT64:
        raise DTypeError(
            f"gradlab computes with float32 and float64, not with {found}: convert it first, "
            'as in x.astype("float32")'
        )
    return found


def result_dtype(a: DType, weak_a: bool, b: DType, weak_b: bool) -> DType:
    """The dtype in which two operands meet.

    A float wins over an integer, an integer over a boolean; among two of a kind the wider wins. A
    *weak* operand (a Python number) takes the other's dtype unless it is of a higher kind; then
    it counts as the default float, or as int64.

    >>> result_dtype(FLOAT32, False, INT64, False)
    dtype('float32')
    >>> result_dtype(FLOAT32, False, FLOAT64, True)
    dtype('float32')
    """
    if a == b:
        return a
    rank_a, rank_b = _RANK[a.kind], _RANK[b.kind]
    if weak_a != weak_b:
        strong, weak = (b, a) if weak_a else (a, b)
        if _RANK[weak.kind] <= _RANK[strong.kind]:
            return strong
        return _default if weak.kind == "f" else INT64
    if rank_a != rank_b:
        return a if rank_a > rank_b else b
    return np.result_type(a, b)


def fits(number: Array, dtype: DType) -> bool:
    """Return whether whole numbers keep their values in a dtype of whole numbers.

    >>> fits(np.asarray(255), np.dtype("uint8")), fits(np.asarray(-1), np.dtype("uint8"))
    (True, False)
    """
    bounds = np.iinfo(dtype)
    return not number.size or bool(bounds.min <= number.min() and number.max() <= bounds.max)


def whole_range(dtype: DType) -> tuple[int, int, float]:
    """Return the smallest and the largest number of a dtype of whole numbers, and the first above.

    The last is a power of two and so a float, which the largest may not be.

    >>> whole_range(np.dtype("uint8"))
    (0, 255, 256.0)
    """
    bounds = np.iinfo(dtype)
    return int(bounds.min), int(bounds.max), 2.0 * (bounds.max // 2 + 1)
