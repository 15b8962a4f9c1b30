"""Copies of blocks of A and B as panels: narrow strips that lie in memory as the tiles read them.

The functions are shared by all products of a module.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradlab.execute.native.emit.element import I64, index
from gradlab.execute.native.emit.rolled import least, loop
from gradlab.execute.native.product.shared import rows_from, shared
from gradlab.execute.native.product.vectors import Piece, load, shuffle, store

TERMS = 4
"""Terms of a block that is transposed."""


def panels(
    b: Any,
    source: Any,
    strides: tuple[int, int],
    target: Any,
    width: int,
    part: Piece,
    length: Any,
    count: Any,
    step: int,
    shortest: int,
    apart: int,
) -> None:
    """Copy ``length`` terms of neighbouring panels, each one's pieces.

    Args:
        b: the builder.
        source: where the first lies.
        strides: from one term to the next, and along a panel's pieces.
        target: where the copies go.
        width: elements from one term to the next in a copy.
        part: the pieces of each panel.
        length: how many terms.
        count: how many panels.
        step: from one copy to the next.
        shortest: the least length there can be.
        apart: pieces' elements from one panel to the next.
    """
    along, across = strides
    if across == 1:
        copy = _rows(b.module, source.type.pointee, width, apart, part)
        b.call(copy, [source, index(along), target, length, count, index(step)])
        return
    if along == 1 and shortest >= TERMS and width % TERMS == 0:
        side = 2 * TERMS if width % (2 * TERMS) == 0 else TERMS
        copy = _transposed(b.module, source.type.pointee, side)
        sizes = [index(number) for number in (part.valid, width, apart, step)]
        b.call(copy, [source, index(across), target, length, count, *sizes])
        return
    with loop(b, index(0), count) as t:
        first = b.gep(source, [b.mul(t, index(apart * across))])
        to = b.gep(target, [b.mul(t, index(step))])
        if (along, across, shortest) == (1, 2, 2):
            _pairs(b, first, to, width, part)
        else:
            one_by_one(b, first, strides, to, width, index(part.valid), length)


def one_by_one(
    b: Any, source: Any, strides: tuple[int, int], target: Any, width: int, valid: Any, length: Any
) -> None:
    """Copy a panel of any strides."""
    along, across = strides
    with loop(b, index(0), valid) as j, loop(b, index(0), length) as p:
        place = b.add(b.mul(p, index(along)), b.mul(j, index(across)))
        to = b.gep(target, [b.add(b.mul(p, index(width)), j)])
        b.store(b.load(b.gep(source, [place])), to)


def _pairs(b: Any, source: Any, target: Any, width: int, part: Piece) -> None:
    """Copy a panel of two terms that lie side by side."""
    pairs = load(b, source, Piece(0, 2 * part.lanes, 2 * part.valid))
    for p in range(2):
        row = shuffle(b, pairs, pairs, range(p, 2 * part.lanes, 2))
        store(b, row, b.gep(target, [index(p * width)]), part)


def _rows(module: Any, kind: Any, width: int, apart: int, part: Piece) -> Any:
    """``void(source, stride, target, length, count, step)``: panels whose terms lie as rows.

    Term by term across all panels: rows may be whole pages of memory apart.
    """
    pointer = kind.as_pointer()
    types = [pointer, I64, pointer, I64, I64, I64]
    key = f"pack_{kind.intrinsic_name}_{width}_{apart}_{part.valid}"
    function, b = shared(module, key, types)
    if b is None:
        return function
    source, stride, target, length, count, step = function.args
    with loop(b, index(0), length) as p:
        row = b.gep(source, [b.mul(p, stride)])
        to = b.gep(target, [b.mul(p, index(width))])
        with loop(b, index(0), count) as t:
            first, copy = b.gep(row, [b.mul(t, index(apart))]), b.gep(to, [b.mul(t, step)])
            store(b, load(b, first, part), copy, part)
    b.ret_void()
    return function


def _transposed(module: Any, kind: Any, side: int) -> Any:
    """``void(source, stride, target, length, count, valid, width, apart, step)``: terms in line.

    In blocks; the last ones overlap those before them, and lanes beyond the valid ones are the
    last valid one again.
    """
    pointer = kind.as_pointer()
    types = [pointer, I64, pointer, *[I64] * 6]
    function, b = shared(module, f"transpose_{kind.intrinsic_name}_{side}", types)
    if b is None:
        return function
    source, stride, target, length, count, valid, width, apart, step = function.args
    groups = b.sdiv(b.add(valid, index(side - 1)), index(side))
    steps = b.sdiv(b.add(length, index(TERMS - 1)), index(TERMS))
    with loop(b, index(0), count) as t, loop(b, index(0), groups) as group:
        j = b.mul(group, index(side))
        first = b.gep(source, [b.mul(b.add(b.mul(t, apart), j), stride)])
        lines = rows_from(b, first, stride, side, b.sub(valid, j))
        panel = b.gep(target, [b.add(b.mul(t, step), j)])
        with loop(b, index(0), steps) as s:
            p = least(b, b.mul(s, index(TERMS)), b.sub(length, index(TERMS)))
            found = [load(b, b.gep(line, [p]), Piece(0, TERMS, TERMS)) for line in lines]
            places = rows_from(b, b.gep(panel, [b.mul(p, width)]), width, TERMS, index(TERMS))
            for place, column in zip(places, _columns(b, found), strict=True):
                store(b, column, place, Piece(0, side, side))
    b.ret_void()
    return function


def _columns(b: Any, lines: Sequence[Any]) -> list[Any]:
    """The columns of a block of four, or twice four, rows of four elements."""
    high = len(lines) // TERMS
    if high == 2:
        lines = [shuffle(b, lines[i], lines[i + TERMS], range(8)) for i in range(TERMS)]
    for distance in (2, 1):
        # Neighbours come from rows that far apart: 0 and 2, 1 and 3, and then 0 and 1, 2 and 3.
        ends = []
        for first in (0, 2):
            lanes = [
                4 * group + first + i // 2 + i % 2 * 4 * high
                for group in range(high)
                for i in range(TERMS)
            ]
            ends.append(lanes)
        pairs = [(0, 2), (1, 3)] if distance == 2 else [(0, 1), (2, 3)]
        lines = [shuffle(b, lines[x], lines[y], lanes) for x, y in pairs for lanes in ends]
        if distance == 2:
            lines = [lines[0], lines[2], lines[1], lines[3]]
    return list(lines)
