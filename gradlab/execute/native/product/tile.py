"""The innermost code of products: a tile of C that stays in registers while k runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from gradlab.execute.native.emit.element import I8, I64, index
from gradlab.execute.native.emit.rolled import keep_rolled, loop, phi
from gradlab.execute.native.machine import LINE
from gradlab.execute.native.product.shared import rows_from, shared
from gradlab.execute.native.product.vectors import (
    I1,
    I32,
    Piece,
    load,
    multiply_add,
    size,
    splat,
    store,
    zero,
)

BYTES = I8.as_pointer()


def tiles(module: Any, kind: Any, rows: int, part: Piece, adds: bool, inline: bool) -> Any:
    """The function that computes a block of C, tile by tile.

    ``void(A*, a_step, a_row, a_k, B*, b_step, b_k, C*, c_row, height, count, length, add)``: so
    many rows of C, the height, and so many panels of a piece's lanes. A step leads from one tile
    to the next. If it ``adds`` at all, it adds to what C holds where the last argument says so.
    """
    name = f"tiles_{kind.intrinsic_name}_{rows}x{part.lanes}of{part.valid}"
    pointer = kind.as_pointer()
    types = [
        pointer, I64, I64, I64, pointer, I64, I64, pointer, I64, I64, I64, I64, I1,
    ]  # fmt: skip
    function, b = shared(module, name + ("_adds" if adds else ""), types, inline)
    if b is None:
        return function
    a, a_step, a_row, a_k, panels, b_step, b_k, c, c_row, height, count, length, add = function.args
    steps = b.sdiv(b.add(height, index(rows - 1)), index(rows))
    with loop(b, index(0), steps) as t:
        i = b.mul(t, index(rows))
        valid = b.sub(height, i)
        left = rows_from(b, b.gep(a, [b.mul(t, a_step)]), a_row, rows, valid)
        below = b.gep(c, [b.mul(i, c_row)])
        with loop(b, index(0), count) as u:
            panel = b.gep(panels, [b.mul(u, b_step)])
            places = rows_from(b, b.gep(below, [b.mul(u, index(part.lanes))]), c_row, rows, valid)
            if adds:
                for place in places:
                    _prefetch(b, place, part)
            sums = _terms(b, left, a_k, panel, b_k, part, length)
            if adds:
                sums = _added(b, sums, places, part, add)
            for value, place in zip(sums, places, strict=True):
                store(b, value, place, part)
    b.ret_void()
    return function


def _terms(
    b: Any, left: Sequence[Any], a_k: Any, panel: Any, b_k: Any, part: Piece, length: Any
) -> list[Any]:
    """The sums of one tile.

    LLVM makes several vectors of a row's many lanes. Rows beyond the valid ones are the last valid
    one again, so that one function does for all.
    """
    before, body, after = b.block, b.append_basic_block("terms"), b.append_basic_block("tile")
    b.branch(body)
    b.position_at_end(body)
    p, at_a, at_b = (phi(b, (index(0), before)) for _ in range(3))
    held = [phi(b, (zero(panel.type.pointee, part.lanes), before)) for _ in left]
    right = load(b, b.gep(panel, [at_b]), part)
    sums = [
        multiply_add(b, splat(b, b.load(b.gep(place, [at_a])), part.lanes), right, x)
        for place, x in zip(left, held, strict=True)
    ]
    following = b.add(p, index(1), flags=["nsw"])
    moved = [following, _opaque(b, b.add(at_a, a_k)), b.add(at_b, b_k)]
    for x, value in zip((p, at_a, at_b, *held), (*moved, *sums), strict=True):
        x.add_incoming(value, body)
    keep_rolled(b, b.cbranch(b.icmp_signed("<", following, length), body, after))
    b.position_at_end(after)
    return sums


def _added(b: Any, sums: Sequence[Any], places: Sequence[Any], part: Piece, add: Any) -> list[Any]:
    """The sums, and what C holds if that is to be added."""
    before, more, after = b.block, b.append_basic_block("more"), b.append_basic_block("all")
    b.cbranch(add, more, after)
    b.position_at_end(more)
    both = [b.fadd(load(b, place, part), x) for x, place in zip(sums, places, strict=True)]
    b.branch(after)
    b.position_at_end(after)
    return [phi(b, (x, before), (y, more)) for x, y in zip(sums, both, strict=True)]


def _opaque(b: Any, x: Any) -> Any:
    """The same number, from no instruction at all.

    LLVM's loop strength reduction does not see through it. It would try every way to step through
    the rows together, which takes longer than all else and finds what is there already.
    """
    return b.asm(ir.FunctionType(I64, [I64]), "", "=r,0", [x], False)


def _prefetch(b: Any, address: Any, part: Piece) -> None:
    """Let a row's lines come near, to be written."""
    types = [BYTES, I32, I32, I32]
    name, module = "llvm.prefetch.p0", b.module
    if name not in module.globals:
        ir.Function(module, ir.FunctionType(ir.VoidType(), types), name)
    for start in range(0, part.valid, LINE // size(address.type.pointee)):
        line = b.bitcast(b.gep(address, [index(start)]), BYTES)
        b.call(module.globals[name], [line, I32(1), I32(3), I32(1)])
