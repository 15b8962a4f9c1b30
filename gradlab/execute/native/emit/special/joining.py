"""Inputs side by side."""

from __future__ import annotations

from typing import Any

from gradlab.execute.native.emit.element import index
from gradlab.execute.native.emit.special.kernel import (
    Bounds,
    Frame,
    Special,
    nested,
    split_axis,
)


def _concat(frame: Frame) -> None:
    b, call = frame.b, frame.call
    axis, split = call.params["axis"], split_axis(call.shape)
    start = 0
    for number, layout in enumerate(call.layouts):
        length = layout.shape[axis]
        bounds = frame.bounds(call.shape, split)
        bounds[axis] = _within(b, bounds[axis], start, length)
        with nested(b, bounds) as indices:
            own = list(indices)
            own[axis] = b.sub(own[axis], index(start))
            frame.store(frame.load(number, own), indices)
        start += length


def _within(b: Any, bounds: Bounds, start: int, length: int) -> Bounds:
    """The part of a range that lies in [start, start + length)."""
    low, high = index(start), index(start + length)
    begin, end = bounds
    return (
        b.select(b.icmp_signed(">", begin, low), begin, low),
        b.select(b.icmp_signed("<", end, high), end, high),
    )


CONCAT = Special(_concat)
