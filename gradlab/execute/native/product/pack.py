"""Copies of blocks of B as panels: narrow strips that lie in memory as the tiles read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from gradlab.execute.native.emit.element import I64, index
from gradlab.execute.native.emit.rolled import least, loop
from gradlab.execute.native.product.vectors import Piece, load, shuffle, store, transpose


def panel(
    b: Any,
    source: Any,
    strides: tuple[int, int],
    target: Any,
    columns: int,
    parts: Sequence[Piece],
    length: Any,
    shortest: int,
) -> None:
    """Copy ``length`` rows of a panel's pieces; rows lie ``columns`` elements apart then.

    ``shortest`` is the least length there can be.
    """
    b_k, b_col = strides
    lanes = max(part.lanes for part in parts)
    side = min(lanes, 1 << (shortest.bit_length() - 1))
    if b_col == 1:
        with loop(b, index(0), length) as p:
            row, to = (
                b.gep(source, [b.mul(p, index(b_k))]),
                b.gep(target, [b.mul(p, index(columns))]),
            )
            for part in parts:
                at = index(part.start)
                store(b, load(b, b.gep(row, [at]), part), b.gep(to, [at]), part)
    elif (b_k, b_col, shortest) == (1, 2, 2):
        for part in parts:
            both = Piece(0, 2 * part.lanes, 2 * part.valid)
            pairs = load(b, b.gep(source, [index(2 * part.start)]), both)
            for p in range(2):
                row = shuffle(b, pairs, pairs, range(p, both.lanes, 2))
                store(b, row, b.gep(target, [index(p * columns + part.start)]), part)
    elif b_k == 1 and side >= 4:
        _transposed(b, source, b_col, target, columns, parts, length, side)
    else:
        width = sum(part.valid for part in parts)
        with loop(b, index(0), index(width)) as j, loop(b, index(0), length) as p:
            place = b.add(b.mul(p, index(b_k)), b.mul(j, index(b_col)))
            to = b.gep(target, [b.add(b.mul(p, index(columns)), j)])
            b.store(b.load(b.gep(source, [place])), to)


def _transposed(
    b: Any,
    source: Any,
    b_col: int,
    target: Any,
    columns: int,
    parts: Sequence[Piece],
    length: Any,
    side: int,
) -> None:
    """In square blocks; the last ones overlap those before them."""
    block = _block(b.module, source.type.pointee, side)
    width = sum(part.valid for part in parts)
    groups = index(-(-width // side))
    steps = b.sdiv(b.add(length, index(side - 1)), index(side))
    with loop(b, index(0), groups) as group, loop(b, index(0), steps) as step:
        j = b.mul(group, index(side))
        p = least(b, b.mul(step, index(side)), b.sub(length, index(side)))
        start = b.gep(source, [b.add(p, b.mul(j, index(b_col)))])
        to = b.gep(target, [b.add(b.mul(p, index(columns)), j)])
        b.call(block, [start, index(b_col), b.sub(index(width), j), to, index(columns)])


def _block(module: Any, kind: Any, side: int) -> Any:
    """``void(source, stride, valid, target, stride)``: a block's transpose.

    Rows beyond the valid ones are the last valid one again.
    """
    name = f"transpose_{kind.intrinsic_name}_{side}"
    if name in module.globals:
        return module.globals[name]
    pointer = kind.as_pointer()
    types = [pointer, I64, I64, pointer, I64]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), types), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    source, stride, valid, target, step = function.args
    source.add_attribute("noalias")
    target.add_attribute("noalias")
    b = ir.IRBuilder(function.append_basic_block())
    whole = Piece(0, side, side)
    last = b.sub(valid, index(1))
    rows = [
        load(b, b.gep(source, [b.mul(least(b, index(r), last), stride)]), whole)
        for r in range(side)
    ]
    for c, column in enumerate(transpose(b, rows)):
        store(b, column, b.gep(target, [b.mul(index(c), step)]), whole)
    b.ret_void()
    return function
