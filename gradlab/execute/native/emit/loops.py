"""Loops in LLVM IR, and addresses within layouts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

from gradlab.execute.native.emit.element import I64, index


@contextmanager
def loop(b: Any, begin: Any, end: Any, step: int = 1) -> Iterator[Any]:
    """``for i in range(begin, end, step)``: what is built within the block is the body; gives i.

    begin and end are 64-bit values. Afterwards the builder stands behind the loop.
    """
    before = b.block
    body, after = b.append_basic_block("body"), b.append_basic_block("after")
    constant = isinstance(begin, ir.Constant) and isinstance(end, ir.Constant)
    if constant and begin.constant < end.constant:
        b.branch(body)
    else:
        b.cbranch(b.icmp_signed("<", begin, end), body, after)
    b.position_at_end(body)
    i = b.phi(I64)
    i.add_incoming(begin, before)
    yield i
    following = b.add(i, index(step), flags=["nsw"])
    i.add_incoming(following, b.block)
    b.cbranch(b.icmp_signed("<", following, end), body, after)
    b.position_at_end(after)


@contextmanager
def loops(b: Any, lengths: Sequence[int]) -> Iterator[list[Any]]:
    """Nested loops over all positions of a shape; gives the indices."""
    if not lengths:
        yield []
        return
    with loop(b, index(0), index(lengths[0])) as i, loops(b, lengths[1:]) as inner:
        yield [i, *inner]


def place(b: Any, indices: Sequence[Any], strides: Sequence[int], offset: int = 0) -> Any:
    """offset + Σ index · stride, leaving out what is 0."""
    total = index(offset) if offset else None
    for i, stride in zip(indices, strides, strict=True):
        if stride == 0:
            continue
        term = i if stride == 1 else b.mul(i, index(stride), flags=["nsw"])
        total = term if total is None else b.add(total, term, flags=["nsw"])
    return index(0) if total is None else total
