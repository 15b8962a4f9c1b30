"""Picking elements by index arrays, and adding to elements that are picked."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

from gradlab.execute.native.emit.conversion import converted
from gradlab.execute.native.emit.element import index, number
from gradlab.execute.native.emit.loops import loop, place
from gradlab.execute.native.emit.scalar import scalar
from gradlab.execute.native.emit.special.kernel import (
    Frame,
    Special,
    nested,
    split_axis,
)
from gradlab.execute.native.emit.special.picking import Picking
from gradlab.execute.native.layout import Layout
from gradlab.graph.dtypes import INT64


@contextmanager
def _taken(frame: Frame, picking: Picking, indices: list[Any]) -> Iterator[Any]:
    """Where the taken axes lead to; what is built here is skipped for an index out of range."""
    b = frame.b
    if not picking.takes:
        yield index(0)
        return
    shift, valid = None, None
    for i, take in enumerate(picking.takes, start=1):
        strides = take.layout.strides[: len(indices)]
        raw = frame.load_at(i, place(b, indices, strides, take.layout.offset))
        position = converted(b, raw, frame.call.dtypes[i], INT64)
        length = index(take.length)
        negative = b.icmp_signed("<", position, index(0))
        position = b.select(negative, b.add(position, length), position)
        inside = b.icmp_unsigned("<", position, length)
        step = b.mul(position, index(take.stride))
        shift = step if shift is None else b.add(shift, step)
        valid = inside if valid is None else b.and_(valid, inside)
    with b.if_else(valid) as (found, missing):
        with missing:
            b.store(ir.Constant(ir.IntType(32), 1), frame.error)
        with found:
            yield shift


def _index(frame: Frame) -> None:
    b, call = frame.b, frame.call
    picking = Picking.of(call.params["key"], call.layouts[0], call.layouts[1:])
    bounds = frame.bounds(call.shape, split_axis(call.shape))
    lead, tail = bounds[: picking.ready], bounds[picking.ready :]
    with nested(b, lead) as outer, _taken(frame, picking, outer) as shift, nested(b, tail) as inner:
        indices = [*outer, *inner]
        position = place(b, indices, picking.layout.strides, picking.layout.offset)
        frame.store(frame.load_at(0, b.add(position, shift)), indices)


def _index_add(frame: Frame) -> None:
    """Each thread goes through all values in order, and adds those that land in its own part."""
    b, call = frame.b, frame.call
    split = split_axis(call.shape)
    row = math.prod(call.shape if split is None else call.shape[split + 1 :])
    low, high = b.mul(frame.begin, index(row)), b.mul(frame.end, index(row))
    with loop(b, low, high) as i:
        frame.store_at(number(0, call.dtype), i)

    target = Layout.contiguous(call.shape)
    picking = Picking.of(call.params["key"], target, call.layouts[1:])
    values = call.layouts[0].broadcast(picking.layout.shape)
    known = _row_known(picking, -1 if split is None else split)
    strides = picking.layout.strides
    bounds = frame.bounds(values.shape, split=None)
    with nested(b, bounds[:known]) as outer, _taken(frame, picking, outer) as shift:
        start = b.add(place(b, outer, strides[:known], picking.layout.offset), shift)
        mine = b.and_(b.icmp_signed("<=", low, start), b.icmp_signed("<", start, high))
        with b.if_then(mine), nested(b, bounds[known:]) as inner:
            position = b.add(start, place(b, inner, strides[known:]))
            value = frame.load_at(0, place(b, [*outer, *inner], values.strides, values.offset))
            if picking.takes:
                before = frame.stored_at(position)
                value = scalar("add", b, [before, value], [call.dtype] * 2, call.dtype)
            frame.store_at(value, position)


def _row_known(picking: Picking, split: int) -> int:
    """So many leading axes of the result tell the position along the axis that is split."""
    known = len(picking.sources)
    while known > picking.ready:
        source = picking.sources[known - 1]
        if source is not None and source <= split:
            break
        known -= 1
    return known


INDEX = Special(_index, checks=True)
INDEX_ADD = Special(_index_add, checks=True)
