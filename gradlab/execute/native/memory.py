"""Places in the arena: tensors that are never in use at the same time share memory."""

from __future__ import annotations

from gradlab.execute.native.machine import LINE
from gradlab.execute.native.plan import Buffer, Plan


def place(plan: Plan) -> None:
    """Give each arena buffer a place, so that no two in use at once overlap.

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
    placed: list[Buffer] = []
    arena = [b for b in plan.buffers if b.home == "arena"]
    for buffer in sorted(arena, key=lambda b: -b.bytes):
        busy = sorted(
            (
                other
                for other in placed
                if other.first <= buffer.last and buffer.first <= other.last
            ),
            key=lambda other: other.place,
        )
        start = 0
        for other in busy:
            if other.place - start >= buffer.bytes:
                break
            start = max(start, _lines(other.place + other.bytes))
        buffer.place = start
        placed.append(buffer)
    plan.arena = max((_lines(b.place + b.bytes) for b in arena), default=0)


def _lines(count: int) -> int:
    """Rounded up to whole cache lines."""
    return -(-count // LINE) * LINE
