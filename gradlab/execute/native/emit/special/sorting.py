"""Stable sorting by merges, from short runs up."""

from __future__ import annotations

from typing import Any

from gradlab.execute.native.emit.element import I64, index
from gradlab.execute.native.emit.loops import place
from gradlab.execute.native.emit.rolled import loop
from gradlab.execute.native.emit.scalar import scalar
from gradlab.execute.native.emit.special.kernel import (
    Call,
    Frame,
    Special,
    cell,
    nested,
    split_axis,
    split_length,
)
from gradlab.graph.dtypes import BOOL

RUN = 16
"""Elements that are sorted by counting which of them come before which."""


class _Row:
    """The elements along the axis at one position of the others."""

    def __init__(self, frame: Frame, lead: list[Any], tail: list[Any]) -> None:
        self.frame, self.b = frame, frame.b
        layout, axis = frame.call.layouts[0], frame.call.params["axis"]
        self.stride = layout.strides[axis]
        self.count = layout.shape[axis]
        self.base = place(self.b, [*lead, index(0), *tail], layout.strides, layout.offset)

    def element(self, k: Any) -> Any:
        return self.frame.load_at(0, self.b.add(self.base, self.b.mul(k, index(self.stride))))

    def less(self, x: Any, y: Any) -> Any:
        """x < y, with NaN above all numbers."""
        dtype = self.frame.call.dtypes[0]

        def holds(name: str, *operands: Any) -> Any:
            return scalar(name, self.b, operands, [dtype] * 2, BOOL)

        below = holds("less", x, y)
        if dtype.kind != "f":
            return below
        return self.b.or_(below, self.b.and_(holds("not_equal", y, y), holds("equal", x, x)))


def _minimum(b: Any, x: Any, y: Any) -> Any:
    return b.select(b.icmp_signed("<", x, y), x, y)


def _runs(row: _Row, target: Any) -> None:
    """Sort each run: an element's place is the number of those that come before it."""
    b = row.b
    with loop(b, index(0), index(-(-row.count // RUN))) as run:
        begin = b.mul(run, index(RUN))
        end = _minimum(b, b.add(begin, index(RUN)), index(row.count))
        with loop(b, begin, end) as i:
            x, position = row.element(i), cell(b, begin)
            with loop(b, begin, end) as j:
                y = row.element(j)
                tie = b.and_(b.icmp_signed("<", j, i), b.not_(row.less(x, y)))
                before = b.or_(row.less(y, x), tie)
                b.store(b.add(b.load(position), b.zext(before, I64)), position)
            b.store(i, b.gep(target, [b.load(position)]))


def _merge(row: _Row, source: Any, target: Any, begin: Any, width: Any) -> None:
    """Merge two sorted neighbours; of equal elements the left one's come first."""
    b, count = row.b, index(row.count)
    middle = _minimum(b, b.add(begin, width), count)
    end = _minimum(b, b.add(middle, width), count)
    left, right = cell(b, begin), cell(b, middle)
    with loop(b, begin, end) as k:
        i, j = b.load(left), b.load(right)
        some_left, some_right = b.icmp_signed("<", i, middle), b.icmp_signed("<", j, end)
        # What is used up is not read, but its first element again, which is not used then.
        x = b.load(b.gep(source, [b.select(some_left, i, begin)]))
        y = b.load(b.gep(source, [b.select(some_right, j, begin)]))
        smaller = row.less(row.element(y), row.element(x))
        take_right = b.and_(some_right, b.or_(smaller, b.not_(some_left)))
        b.store(b.select(take_right, y, x), b.gep(target, [k]))
        step = b.zext(take_right, I64)
        b.store(b.add(j, step), right)
        b.store(b.add(i, b.sub(index(1), step)), left)


def _argsort(frame: Frame) -> None:
    b, shape = frame.b, frame.call.shape
    axis = frame.call.params["axis"]
    count = shape[axis]
    if count == 0:
        return
    passes = (-(-count // RUN) - 1).bit_length()
    first = b.bitcast(frame.scratch, I64.as_pointer())
    second = b.gep(first, [index(count)])
    bounds = frame.bounds(shape, split_axis(shape, besides=axis))
    with nested(b, bounds[:axis]) as lead, nested(b, bounds[axis + 1 :]) as tail:
        row = _Row(frame, lead, tail)
        _runs(row, first)
        with loop(b, index(0), index(passes)) as done:
            even = b.icmp_signed("==", b.and_(done, index(1)), index(0))
            source, target = b.select(even, first, second), b.select(even, second, first)
            width = b.shl(index(RUN), done)
            pair = b.shl(width, index(1))
            pairs = b.udiv(b.add(index(count - 1), pair), pair)
            with loop(b, index(0), pairs) as number:
                _merge(row, source, target, b.mul(number, pair), width)
        with loop(b, index(0), index(count)) as k:
            found = b.load(b.gep(second if passes % 2 else first, [k]))
            frame.store(found, [*lead, k, *tail])


def _scratch_bytes(call: Call) -> int:
    count: int = call.shape[call.params["axis"]]
    return 2 * 8 * count  # two lists of positions


ARGSORT = Special(
    _argsort,
    length=lambda call: split_length(call.shape, besides=call.params["axis"]),
    scratch_bytes=_scratch_bytes,
)
