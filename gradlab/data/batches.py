"""Batches of an epoch, as index matrices."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from numbers import Real

import numpy as np
from numpy.typing import NDArray

from gradlab.errors import ArgumentError
from gradlab.seeding import stream


def batches(
    n: int,
    batch_size: int | Callable[[float], float],
    *,
    epoch: int,
    seed: int,
    shuffle: bool = True,
    drop_last: bool = False,
) -> list[NDArray[np.int64]]:
    """Row indices of the batches of one epoch; together they hold every row once.

    Batches of one size that follow one another are the rows of one matrix, of shape (batches,
    size). ``epoch`` counts from 0. ``batch_size`` may be a schedule: it is called at the start of
    each batch with t = epoch + rows already used / n, and what it gives is rounded (a half up) and
    kept within [1, n]. The order depends on ``seed`` and ``epoch`` alone, so it resumes without a
    stored state. The last batch may be smaller; ``drop_last`` leaves it out then.

    Raises:
        ArgumentError: a batch size that is not a whole number within [1, n], a schedule that gives
            something else than a number from 0 up, no rows, or a negative epoch.

    >>> [matrix.shape for matrix in batches(10, 4, epoch=0, seed=0)]
    [(2, 4), (1, 2)]
    >>> [matrix.shape for matrix in batches(10, lambda t: 4**t, epoch=0, seed=0)]
    [(3, 1), (2, 2), (1, 3)]
    """
    if n < 1:
        raise ArgumentError(f"n must be 1 row or more, got {n}")
    if epoch < 0:
        raise ArgumentError(f"epoch must be 0 or more, got {epoch}")
    order = stream(seed, "shuf", epoch).permutation(n) if shuffle else np.arange(n)
    order = order.astype(np.int64)
    found: list[NDArray[np.int64]] = []
    start = 0
    for size, count in batch_sizes(n, batch_size, epoch, drop_last):
        found.append(order[start : start + size * count].reshape(count, size))
        start += size * count
    return found


def batch_sizes(
    n: int, batch_size: int | Callable[[float], float], epoch: int, drop_last: bool = False
) -> Iterator[tuple[int, int]]:
    """Rows of the batches of an epoch, each with how many there are in a row.

    Raises:
        ArgumentError: as in ``batches``.

    >>> list(batch_sizes(10, 4, epoch=0))
    [(4, 2), (2, 1)]
    """
    start = 0
    for size, count in batch_runs(n, batch_size, epoch):
        if start + size * count <= n:
            yield size, count
        elif not drop_last:  # the last one, and smaller
            yield n - start, 1
        start += size * count


def batch_runs(
    n: int, batch_size: int | Callable[[float], float], epoch: int
) -> Iterator[tuple[int, int]]:
    """Sizes of the batches of an epoch, each with how many there are in a row.

    The last batch may reach beyond the n rows.

    Raises:
        ArgumentError: as in ``batches``.

    >>> list(batch_runs(10, 4, epoch=0))
    [(4, 2), (4, 1)]
    """
    if not callable(batch_size):
        size = _fixed(batch_size, n)
        yield from [(size, n // size)] + [(size, 1)] * (n % size > 0)
        return
    start, last, count = 0, 0, 0
    while start < n:
        size = _scheduled(batch_size, epoch + start / n, n)
        whole = start + size <= n
        if count and not (size == last and whole):
            yield last, count
            count = 0
        last, count, start = size, count + 1, start + size
    yield last, count


def _fixed(size: int, n: int) -> int:
    """Check a batch size that stays."""
    try:
        whole = operator.index(size)
    except TypeError:
        raise ArgumentError(f"batch_size must be a whole number, got {size!r}") from None
    if whole < 1:
        raise ArgumentError(f"batch_size must be 1 or more, got {whole}")
    if whole > n:
        raise ArgumentError(f"batch_size {whole} is larger than the {n} training rows; lower it")
    return whole


def _scheduled(schedule: Callable[[float], float], t: float, n: int) -> int:
    """Batch size of a schedule at t epochs."""
    size = schedule(t)
    if not (isinstance(size, Real) and size >= 0):
        raise ArgumentError(
            f"batch_size is {size!r} at t = {t:g} epochs; the schedule must give a number >= 0"
        )
    return math.floor(min(max(size, 1), n) + 0.5)
