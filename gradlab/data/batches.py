"""Batches of an epoch, as index arrays."""

from __future__ import annotations

import operator
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gradlab.data.streams import SHUFFLE, stream
from gradlab.errors import ArgumentError


def batches(
    n: int,
    batch_size: int | Callable[[float], int],
    *,
    epoch: int,
    seed: int,
    shuffle: bool = True,
    drop_last: bool = False,
) -> list[NDArray[np.int64]]:
    """Row indices of each batch of one epoch; together they hold every row once.

    ``epoch`` counts from 0. ``batch_size`` may be a schedule: it is called at the start of each
    batch with t = epoch + rows already used / n. The order depends on ``seed`` and ``epoch``
    alone, so it resumes without a stored state. The last batch may be smaller; ``drop_last``
    leaves it out then.

    Raises:
        ArgumentError: a batch size below 1, above n or not whole, no rows, or a negative epoch.

    >>> [len(batch) for batch in batches(10, 4, epoch=0, seed=0)]
    [4, 4, 2]
    >>> [len(batch) for batch in batches(10, lambda t: 2 if t < 1.5 else 5, epoch=1, seed=0)]
    [2, 2, 2, 4]
    """
    if n < 1:
        raise ArgumentError(f"n must be 1 row or more, got {n}")
    if epoch < 0:
        raise ArgumentError(f"epoch must be 0 or more, got {epoch}")
    order = stream(seed, SHUFFLE, epoch).permutation(n) if shuffle else np.arange(n)
    order = order.astype(np.int64)
    found: list[NDArray[np.int64]] = []
    start = 0
    while start < n:
        size = _size(batch_size(epoch + start / n) if callable(batch_size) else batch_size, n)
        if start + size <= n or not drop_last:
            found.append(order[start : start + size])
        start += size
    return found


def _size(size: int, n: int) -> int:
    """Check one batch size."""
    try:
        whole = operator.index(size)
    except TypeError:
        raise ArgumentError(f"batch_size must be a whole number, got {size!r}") from None
    if whole < 1:
        raise ArgumentError(f"batch_size must be 1 or more, got {whole}")
    if whole > n:
        raise ArgumentError(f"batch_size {whole} is larger than the {n} training rows; lower it")
    return whole
