"""Places in the arena: tensors that are never in use at the same time share memory."""

from __future__ import annotations

import numpy as np

from gradlab.execute.native.machine import LINE
from gradlab.execute.native.plan import Plan
from gradlab.graph.dtypes import Array


def place(plan: Plan, zone: int = 0) -> None:
    """Give each arena buffer a place, so that no two in use at once overlap.

    Around each there are so many bytes, a multiple of cache lines, that nothing uses.

    Largest first, each at the lowest place that is free while it is in use: close to the least
    that any placement needs (Pisarchyk & Lee, Efficient Memory Management for Deep Neural Net
    Inference, 2020, §4).
    """
    number = 0
    for kernel in plan.kernels:
        number += kernel.barrier or plan.threads == 1
        for x in (*kernel.reads(), *kernel.writes()):
            buffer = x.buffer
            buffer.first = number if buffer.first < 0 else min(buffer.first, number)
            buffer.last = max(buffer.last, number)
    plan.buffers = [b for b in plan.buffers if b.home != "arena" or b.first >= 0]
    arena = sorted((b for b in plan.buffers if b.home == "arena"), key=lambda b: -b.bytes)
    # Of those placed: when they are in use, and the bytes that they take, from their place on.
    first, last, begin, end = np.zeros((4, len(arena)), np.int64)
    for count, buffer in enumerate(arena):
        together = (first[:count] <= buffer.last) & (buffer.first <= last[:count])
        size = buffer.bytes + zone
        begin[count] = _lowest(begin[:count][together], end[:count][together], size)
        first[count], last[count] = buffer.first, buffer.last
        end[count] = _lines(begin[count] + size)
        buffer.place = int(begin[count]) + zone
    plan.arena = zone + int(end.max(initial=0))


def _lowest(begin: Array, end: Array, size: int) -> int:
    """The lowest place at which so many bytes are free beside stretches that are taken."""
    order = np.argsort(begin, kind="stable")
    free = np.concatenate([[0], np.maximum.accumulate(end[order])])
    fits = begin[order] - free[:-1] >= size
    return int(free[np.argmax(fits)] if fits.any() else free[-1])


def _lines(count: int) -> int:
    """Rounded up to whole cache lines."""
    return -(-count // LINE) * LINE
