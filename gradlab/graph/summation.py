"""Sums by NumPy whose rounding errors do not grow with the number of terms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradlab.graph.dtypes import Array

BLOCK = 64
"""Terms added one after another; the sums of such blocks are added in the same way."""


def block_sum(xp: Any, x: Any, axis: tuple[int, ...], keepdims: bool = False) -> Any:
    """Return the sum over axes, Σ x, added up in blocks of blocks.

    NumPy adds in pairs along the axis that lies closest in memory, and one after another along all
    others, where the error grows with the number of terms (Higham, The Accuracy of Floating Point
    Summation, 1993, section 3). Other array namespaces are left to their own ways.

    >>> ones = np.full((10**6, 2), 0.1, np.float32)
    >>> bool((abs(ones.sum(axis=0) - 1e5) > 50).all()), block_sum(np, ones, (0,)).round()
    (True, array([100000., 100000.], dtype=float32))
    """
    count = 1
    for place in axis:
        count *= x.shape[place]
    if count > 2 * BLOCK and xp is np and x.dtype.kind == "f":
        total = _added(x, axis)
        return (
            total
            if keepdims
            else total.reshape([n for i, n in enumerate(x.shape) if i not in axis])
        )
    return x.sum(axis=axis, keepdims=keepdims)


def _added(x: Array, axis: tuple[int, ...]) -> Array:
    """Block by block along one axis after another; axes stay, of length 1."""
    by_stride = sorted(range(x.ndim), key=lambda i: (x.shape[i] == 1, abs(x.strides[i])))
    others = [i for i in axis if i != by_stride[0]]
    if math.prod(x.shape[i] for i in others) <= 2 * BLOCK:
        return np.asarray(x.sum(axis=axis, keepdims=True))
    place = max(others, key=lambda i: x.shape[i])
    length = x.shape[place]
    if length <= 2 * BLOCK:
        return _added(x.sum(axis=place, keepdims=True), axis)
    whole = length // BLOCK * BLOCK
    before = (slice(None),) * place
    blocks = x[(*before, slice(whole))]
    blocks = blocks.reshape(*x.shape[:place], -1, BLOCK, *x.shape[place + 1 :]).sum(axis=place + 1)
    if whole < length:
        rest = x[(*before, slice(whole, None))].sum(axis=place, keepdims=True)
        blocks = np.concatenate([blocks, rest], axis=place)
    return _added(blocks, axis)
