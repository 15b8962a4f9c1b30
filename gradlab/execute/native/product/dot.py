"""Products with few rows or columns, whose factors lie along k: vectors along k, summed at the end.

Each element is the same sum whatever tile it falls into.
"""

from __future__ import annotations

from typing import Any

from gradlab.execute.native.emit.element import index, register
from gradlab.execute.native.emit.rolled import blocks, keep_rolled, loop, phi
from gradlab.execute.native.product.spec import Product
from gradlab.execute.native.product.tiled import tile_rows
from gradlab.execute.native.product.vectors import (
    Piece,
    load,
    multiply_add,
    pieces,
    store,
    totals,
    zero,
)

FEW_ROWS = 4
"""Rows of C up to which a transposed copy of B would cost more than the product itself."""
MANY_ROWS = 64
"""Rows of C from which a few columns of B are worth a copy if they lie otherwise."""


def suits(product: Product, lanes: int) -> bool:
    """Whether this is the way to do a product."""
    b_k, b_col = product.b_strides
    if product.k < 2 or product.a_strides[1] != 1:
        return False
    if product.n * 4 <= lanes:
        return b_k == 1 or product.m >= MANY_ROWS
    return product.m <= FEW_ROWS and b_k == 1 and b_col != 1


def scratch_bytes(product: Product) -> int:
    """Bytes of scratch memory a thread needs."""
    few = product.n <= 4 and product.b_strides[0] != 1
    return product.dtype.itemsize * product.n * product.k if few else 0


def emit(b: Any, function: Any, product: Product, lanes: int) -> None:
    """Build the body of a product's function."""
    begin, end, *_ = function.args
    dots = _Dots(b, function, product, lanes)
    if product.n * 4 <= lanes:
        rows = tile_rows(product.m, 8 // product.n)
        count = b.sdiv(b.sub(end, begin), index(rows))
        with loop(b, index(0), count) as t:
            dots.tile(b.add(begin, b.mul(t, index(rows))), rows, index(0), product.n)
        if rows > 1:
            with loop(b, b.add(begin, b.mul(count, index(rows))), end) as i:
                dots.tile(i, 1, index(0), product.n)
        return
    columns = 8
    whole, rest = divmod(product.n, columns)
    if whole:
        with blocks(b, whole) as t, loop(b, begin, end) as i:
            dots.tile(i, 1, b.mul(t, index(columns)), columns)
    if rest:
        with loop(b, begin, end) as i:
            dots.tile(i, 1, index(whole * columns), rest)


class _Dots:
    def __init__(self, b: Any, function: Any, product: Product, lanes: int) -> None:
        self.b, self.product = b, product
        _, _, self.c, self.a, self.right, scratch = function.args
        self.kind = register(product.dtype)
        self.b_col = product.b_strides[1] if product.n > 1 else product.k
        if product.b_strides[0] != 1 and product.k > 1:
            self._pack(b.bitcast(scratch, self.kind.as_pointer()))
        whole = product.k // lanes
        self.steps = whole
        self.step = Piece(0, lanes, lanes)
        self.rest = [
            Piece(whole * lanes + part.start, lanes if whole else part.lanes, part.valid)
            for part in pieces(product.k - whole * lanes, lanes)
        ]
        self.lanes = lanes if whole else self.rest[0].lanes

    def _pack(self, target: Any) -> None:
        """Copy B column by column."""
        b, k = self.b, self.product.k
        b_k, b_col = self.product.b_strides
        with loop(b, index(0), index(self.product.n)) as j, loop(b, index(0), index(k)) as p:
            place = b.add(b.mul(p, index(b_k)), b.mul(j, index(b_col)))
            to = b.gep(target, [b.add(b.mul(j, index(k)), p)])
            b.store(b.load(b.gep(self.right, [place])), to)
        self.right, self.b_col = target, k

    def tile(self, i: Any, rows: int, j: Any, columns: int) -> None:
        """C[i:i+rows, j:j+columns]."""
        b, product = self.b, self.product
        left = b.gep(self.a, [b.mul(i, index(product.a_strides[0]))])
        right = b.gep(self.right, [b.mul(j, index(self.b_col))])
        sums = [zero(self.kind, self.lanes)] * (rows * columns)
        if self.steps:
            before, body, after = (
                b.block,
                b.append_basic_block("terms"),
                b.append_basic_block("dot"),
            )
            b.branch(body)
            b.position_at_end(body)
            t = phi(b, (index(0), before))
            held = [phi(b, (x, before)) for x in sums]
            p = b.mul(t, index(self.step.lanes))
            sums = self._terms(held, rows, columns, b.gep(left, [p]), b.gep(right, [p]), self.step)
            following = b.add(t, index(1), flags=["nsw"])
            for x, value in zip((t, *held), (following, *sums), strict=True):
                x.add_incoming(value, body)
            keep_rolled(b, b.cbranch(b.icmp_signed("<", following, index(self.steps)), body, after))
            b.position_at_end(after)
        for part in self.rest:
            at = index(part.start)
            sums = self._terms(sums, rows, columns, b.gep(left, [at]), b.gep(right, [at]), part)
        found = totals(b, sums)
        first = b.gep(self.c, [b.add(b.mul(i, index(product.c_row)), j)])
        places = [r * product.c_row + s for r in range(rows) for s in range(columns)]
        if places == [*range(len(places))]:
            store(b, found, first, Piece(0, found.type.count, len(places)))
            return
        for lane, place in enumerate(places):
            b.store(b.extract_element(found, index(lane)), b.gep(first, [index(place)]))

    def _terms(
        self, sums: Any, rows: int, columns: int, left: Any, right: Any, part: Piece
    ) -> list[Any]:
        b = self.b
        x = [
            load(b, b.gep(left, [index(r * self.product.a_strides[0])]), part) for r in range(rows)
        ]
        y = [load(b, b.gep(right, [index(s * self.b_col)]), part) for s in range(columns)]
        pairs = [(one, other) for one in x for other in y]
        return [multiply_add(b, *pair, z) for pair, z in zip(pairs, sums, strict=True)]
