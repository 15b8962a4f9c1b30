"""Running sums along an axis, and the position of an extreme."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradlab.execute.native.emit.element import index
from gradlab.execute.native.emit.rolled import loop
from gradlab.execute.native.emit.scalar import COMBINE, scalar, start
from gradlab.execute.native.emit.special.kernel import (
    Frame,
    Special,
    cell,
    nested,
    split_axis,
    split_length,
)
from gradlab.graph.dtypes import BOOL, INT64


def _cumsum(frame: Frame) -> None:
    """Each slice across the axis is the one before it plus the input's."""
    b, shape, dtype = frame.b, frame.call.shape, frame.call.dtype
    axis = frame.call.params["axis"]
    if shape[axis] == 0:
        return
    bounds = frame.bounds(shape, split_axis(shape, besides=axis))
    with nested(b, bounds[:axis]) as lead:
        with nested(b, bounds[axis + 1 :]) as tail:
            first = [*lead, index(0), *tail]
            frame.store(frame.load(0, first), first)
        with (
            loop(b, index(1), index(shape[axis])) as k,
            nested(b, bounds[axis + 1 :]) as tail,
        ):
            here, before = [*lead, k, *tail], [*lead, b.sub(k, index(1)), *tail]
            sides = [frame.stored_at(frame.position(before)), frame.load(0, here)]
            frame.store(scalar("add", b, sides, [dtype, dtype], dtype), here)


def _extreme(reduction: str) -> Callable[[Frame], None]:
    """The first position of the extreme, which is NaN if there is one: two passes over vectors."""

    def build(frame: Frame) -> None:
        b, call = frame.b, frame.call
        axis, dtype = call.params["axis"], call.dtypes[0]
        count = index(call.layouts[0].shape[axis])

        def holds(name: str, *operands: Any) -> Any:
            return scalar(name, b, operands, [dtype] * 2, BOOL)

        with nested(b, frame.bounds(call.shape, split_axis(call.shape))) as indices:
            lead, tail = indices[:axis], indices[axis:]
            extreme, first = cell(b, start(reduction, dtype)), cell(b, count)
            with loop(b, index(0), count) as k:
                x = frame.load(0, [*lead, k, *tail])
                b.store(COMBINE[reduction](b, b.load(extreme), x, dtype), extreme)
            with loop(b, index(0), count) as k:
                x = frame.load(0, [*lead, k, *tail])
                hit = holds("equal", x, b.load(extreme))
                if dtype.kind == "f":
                    hit = b.or_(hit, holds("not_equal", x, x))
                place = b.select(hit, k, count)
                b.store(scalar("minimum", b, [b.load(first), place], [INT64] * 2, INT64), first)
            frame.store(b.load(first), indices)

    return build


CUMSUM = Special(_cumsum, length=lambda call: split_length(call.shape, besides=call.params["axis"]))
ARGMAX = Special(_extreme("max"))
ARGMIN = Special(_extreme("min"))
