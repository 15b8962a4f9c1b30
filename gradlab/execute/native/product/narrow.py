"""Products with few columns whose A lies column by column: vectors along the rows of C.

Each element of C is one sum in the order of p, whatever vector it falls into.
"""

from __future__ import annotations

from typing import Any

from gradlab.execute.native.emit.element import index, register
from gradlab.execute.native.emit.rolled import keep_rolled, loop, phi
from gradlab.execute.native.product.spec import Product
from gradlab.execute.native.product.vectors import (
    Piece,
    load,
    multiply_add,
    shuffle,
    splat,
    store,
    zero,
)

VECTORS = 4
"""Vectors along the rows of C at a time: sums in one alone would wait for each other."""


def suits(product: Product, lanes: int) -> bool:
    """Whether this is the way to do a product."""
    few = product.n * 4 <= lanes and product.m > product.n
    return product.k > 0 and few and product.a_strides[0] == 1


def emit(b: Any, function: Any, product: Product, lanes: int) -> None:
    """Build the body of a product's function."""
    begin, end, *_ = function.args
    largest = 1 << (product.m.bit_length() - 1)
    vectors = VECTORS if product.c_row == product.n <= 2 else 1
    for span in sorted({min(vectors * lanes, largest), min(lanes, largest), 1}, reverse=True):
        count = b.sdiv(b.sub(end, begin), index(span))
        with loop(b, index(0), count) as t:
            _rows(b, function, product, b.add(begin, b.mul(t, index(span))), span)
        begin = b.add(begin, b.mul(count, index(span)))


def _rows(b: Any, function: Any, product: Product, i: Any, lanes: int) -> None:
    """C[i:i+lanes, :]; LLVM makes several vectors of many lanes."""
    _, _, c, a, right, _ = function.args
    (_, a_k), (b_k, b_col) = product.a_strides, product.b_strides
    part = Piece(0, lanes, lanes)
    start = b.gep(a, [i])
    before, body, after = b.block, b.append_basic_block("terms"), b.append_basic_block("rows")
    b.branch(body)
    b.position_at_end(body)
    p = phi(b, (index(0), before))
    held = [phi(b, (zero(register(product.dtype), lanes), before)) for _ in range(product.n)]
    left = load(b, b.gep(start, [b.mul(p, index(a_k))]), part)
    at = b.gep(right, [b.mul(p, index(b_k))])
    sums = [
        multiply_add(b, left, splat(b, b.load(b.gep(at, [index(j * b_col)])), lanes), x)
        for j, x in enumerate(held)
    ]
    following = b.add(p, index(1), flags=["nsw"])
    for x, value in zip((p, *held), (following, *sums), strict=True):
        x.add_incoming(value, body)
    keep_rolled(b, b.cbranch(b.icmp_signed("<", following, index(product.k)), body, after))
    b.position_at_end(after)
    first = b.gep(c, [b.mul(i, index(product.c_row))])
    if product.c_row == product.n == 1:
        store(b, sums[0], first, part)
    elif product.c_row == product.n == 2:
        order = [lane + j * lanes for lane in range(lanes) for j in range(2)]
        store(b, shuffle(b, sums[0], sums[1], order), first, Piece(0, 2 * lanes, 2 * lanes))
    else:
        for lane in range(lanes):
            for j, x in enumerate(sums):
                place = b.gep(first, [index(lane * product.c_row + j)])
                b.store(b.extract_element(x, index(lane)), place)
