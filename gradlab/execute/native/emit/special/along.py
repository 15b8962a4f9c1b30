"""Running sums along an axis, and the position of an extreme."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from gradlab.execute.native.emit.conversion import converted
from gradlab.execute.native.emit.element import index, load, memory, number, store
from gradlab.execute.native.emit.loops import place
from gradlab.execute.native.emit.rolled import loop
from gradlab.execute.native.emit.scalar import COMBINE, scalar, start
from gradlab.execute.native.emit.special.kernel import (
    Call,
    Frame,
    Special,
    cell,
    nested,
    split_axis,
    split_length,
)
from gradlab.execute.native.layout import Layout
from gradlab.graph.dtypes import BOOL, FLOAT64, INT64, DType


def _cumsum(frame: Frame) -> None:
    """A total for each position beside the axis, to which slice after slice is added.

    Those of float32 are in double precision: their errors do not grow with the number of terms.
    """
    b, shape, dtype = frame.b, frame.call.shape, frame.call.dtype
    axis = frame.call.params["axis"]
    wide = _wide(dtype)
    totals = b.bitcast(frame.scratch, memory(wide).as_pointer())
    beside = Layout.contiguous(shape[axis + 1 :]).strides
    bounds = frame.bounds(shape, split_axis(shape, besides=axis))
    with nested(b, bounds[:axis]) as lead:
        with nested(b, bounds[axis + 1 :]) as tail:
            zero = -0.0 if wide.kind == "f" else 0  # so that a first −0 stays one
            store(b, number(zero, wide), b.gep(totals, [place(b, tail, beside)]), wide)
        with loop(b, index(0), index(shape[axis])) as k, nested(b, bounds[axis + 1 :]) as tail:
            here, at = [*lead, k, *tail], b.gep(totals, [place(b, tail, beside)])
            terms = [load(b, at, wide), converted(b, frame.load(0, here), dtype, wide)]
            total = scalar("add", b, terms, [wide, wide], wide)
            store(b, total, at, wide)
            frame.store(converted(b, total, wide, dtype), here)


def _wide(dtype: DType) -> DType:
    """What a running sum is kept in."""
    return FLOAT64 if dtype.kind == "f" else dtype


def _totals_bytes(call: Call) -> int:
    beside = call.shape[call.params["axis"] + 1 :]
    return _wide(call.dtype).itemsize * max(math.prod(beside), 1)


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


CUMSUM = Special(
    _cumsum,
    length=lambda call: split_length(call.shape, besides=call.params["axis"]),
    scratch_bytes=_totals_bytes,
)
ARGMAX = Special(_extreme("max"))
ARGMIN = Special(_extreme("min"))
