"""Products in tiles of C that stay in registers while k runs: vectors along the rows of B and C.

Each element of C is one sum in the order of p, whatever tile it falls into, so its bits do not
depend on how rows are divided among threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gradlab.execute.native.emit.element import index, number, register
from gradlab.execute.native.emit.rolled import blocks, keep_rolled, least, loop, phi
from gradlab.execute.native.product import pack
from gradlab.execute.native.product.spec import Product
from gradlab.execute.native.product.vectors import (
    Piece,
    load,
    multiply_add,
    pieces,
    splat,
    store,
    zero,
)

BLOCK_K, BLOCK_N = 384, 256
"""Largest block of B that is packed at a time: it stays in the second-level cache."""
DIRECT = 32 * 2**10
"""Bytes of B up to which it is read where it lies, if its rows lie well."""
WIDEST = 64
"""Columns of a tile at most."""
FEW_ROWS = 16
"""Rows of C up to which that holds for any B: packing would not be made up for."""


@dataclass(frozen=True)
class Tiling:
    """How a product is cut: ``rows`` by ``vectors`` of ``lanes`` at a time, in blocks of B."""

    rows: int
    vectors: int
    lanes: int
    packed: bool
    block_k: int
    block_n: int

    @property
    def columns(self) -> int:
        """Columns of a tile."""
        return self.vectors * self.lanes


def tiling(product: Product, lanes: int) -> Tiling:
    """The cut of a product for a machine whose vectors have so many elements."""
    many = lanes * product.dtype.itemsize == 64  # bytes of AVX-512's, of which there are 32
    rows = tile_rows(product.m, 8 if many else 6)
    vectors = min(2 if rows > 4 else 4, -(-product.n // lanes))
    if not is_packed(product):
        return Tiling(rows, vectors, lanes, False, product.k, product.n)
    block_k = -(-product.k // -(-product.k // BLOCK_K))
    columns = vectors * lanes
    block_n = min(BLOCK_N, -(-product.n // columns) * columns)
    return Tiling(rows, vectors, lanes, True, block_k, block_n)


def tile_rows(m: int, largest: int) -> int:
    """Rows of a tile: many, and such that few are left over."""
    choices = range(min(m, largest), min(m, (largest + 1) // 2) - 1, -1)
    return min(choices, key=lambda rows: m % rows)


def is_packed(product: Product) -> bool:
    """Whether B is copied, so that it lies as the tiles read it."""
    if product.b_strides[1] != 1 and product.n > 1:
        return product.k > 0
    size = product.k * product.n * product.dtype.itemsize
    return size > DIRECT and product.m > FEW_ROWS


def scratch_bytes(product: Product) -> int:
    """Bytes of scratch memory a thread needs, on whichever machine."""
    if not is_packed(product):
        return 0
    columns = min(BLOCK_N, -(-product.n // WIDEST) * WIDEST)
    return product.dtype.itemsize * min(product.k, BLOCK_K) * columns


def emit(b: Any, function: Any, product: Product, lanes: int) -> None:
    """Build the body of a product's function."""
    begin, end, *_ = function.args
    cut = tiling(product, lanes)
    count_k, count_n = -(-product.k // max(cut.block_k, 1)), -(-product.n // cut.block_n)
    if count_k != 1:
        _clear(b, function, product)
    if count_k == 0:
        return
    with blocks(b, count_n) as jb, blocks(b, count_k) as pb:
        tiles = _Block(b, function, product, cut, jb, pb)
        if cut.packed:
            tiles.each_panel(tiles.pack)
        count = b.sdiv(b.sub(end, begin), index(cut.rows))
        with loop(b, index(0), count) as t:
            tiles.across(b.add(begin, b.mul(t, index(cut.rows))), cut.rows)
        if cut.rows > 1:
            with loop(b, b.add(begin, b.mul(count, index(cut.rows))), end) as i:
                tiles.across(i, 1)


def _clear(b: Any, function: Any, product: Product) -> None:
    """Zeros in C, for blocks of terms to be added to."""
    begin, end, c, *_ = function.args
    none = number(0, product.dtype)
    with loop(b, begin, end) as i, loop(b, index(0), index(product.n)) as j:
        b.store(none, b.gep(c, [b.add(b.mul(i, index(product.c_row)), j)]))


class _Block:
    """A block of B, in panels as wide as a tile, and the tiles of C that it adds to."""

    def __init__(
        self, b: Any, function: Any, product: Product, cut: Tiling, jb: Any, pb: Any
    ) -> None:
        self.b, self.product, self.cut = b, product, cut
        _, _, self.c, self.a, self.source, scratch = function.args
        self.kind = register(product.dtype)
        self.first_panel = b.mul(jb, index(cut.block_n // cut.columns))
        self.is_last = b.icmp_signed("==", jb, index(-(-product.n // cut.block_n) - 1))
        self.p = b.mul(pb, index(cut.block_k))
        self.length = least(b, index(cut.block_k), b.sub(index(product.k), self.p))
        if product.k <= cut.block_k:
            self.length = index(product.k)
        if cut.packed:
            self.panels, self.b_k = b.bitcast(scratch, self.kind.as_pointer()), cut.columns
            self.panel_step = cut.columns * cut.block_k
        else:
            self.panels, self.b_k = self.source, product.b_strides[0]
            self.panel_step = cut.columns

    def each_panel(self, build: Callable[[Any, Sequence[Piece]], None]) -> None:
        """Build something for each panel of the block, given its number and its pieces."""
        b, cut, n = self.b, self.cut, self.product.n
        whole, rest = divmod(n, cut.columns)
        in_block = cut.block_n // cut.columns
        if n <= cut.block_n:
            if whole:
                with blocks(b, whole) as t:
                    build(t, pieces(cut.columns, cut.lanes))
            if rest:
                build(index(whole), pieces(rest, cut.lanes))
            return
        count = least(b, index(in_block), b.sub(index(whole), self.first_panel))
        with loop(b, index(0), count) as t:
            build(t, pieces(cut.columns, cut.lanes))
        if rest:
            with b.if_then(self.is_last):
                build(count, pieces(rest, cut.lanes))

    def pack(self, t: Any, parts: Sequence[Piece]) -> None:
        """Copy panel t."""
        b, product, cut = self.b, self.product, self.cut
        b_k, b_col = product.b_strides
        j = b.mul(b.add(self.first_panel, t), index(cut.columns))
        place = b.add(b.mul(self.p, index(b_k)), b.mul(j, index(b_col)))
        source, target = b.gep(self.source, [place]), self._panel(t)
        shortest = product.k - (-(-product.k // cut.block_k) - 1) * cut.block_k
        pack.panel(b, source, product.b_strides, target, cut.columns, parts, self.length, shortest)

    def across(self, i: Any, rows: int) -> None:
        """All tiles of some rows from row i on."""
        self.each_panel(lambda t, parts: self._tile(i, rows, t, parts))

    def _panel(self, t: Any) -> Any:
        return self.b.gep(self.panels, [self.b.mul(t, index(self.panel_step))])

    def _tile(self, i: Any, rows: int, t: Any, parts: Sequence[Piece]) -> None:
        """C[i:i+rows, columns of panel t]: those of the block's terms added."""
        b, product, cut = self.b, self.product, self.cut
        a_row, a_k = product.a_strides
        j = b.mul(b.add(self.first_panel, t), index(cut.columns))
        first = b.gep(self.c, [b.add(b.mul(i, index(product.c_row)), j)])
        places = [
            [b.gep(first, [index(r * product.c_row + part.start)]) for part in parts]
            for r in range(rows)
        ]
        sums = [
            [
                load(b, place, part) if product.k > cut.block_k else zero(self.kind, part.lanes)
                for place, part in zip(line, parts, strict=True)
            ]
            for line in places
        ]
        a = b.gep(self.a, [b.add(b.mul(i, index(a_row)), b.mul(self.p, index(a_k)))])
        sums = self._terms(sums, a, self._panel(t), parts)
        for row, line in zip(sums, places, strict=True):
            for value, place, part in zip(row, line, parts, strict=True):
                store(b, value, place, part)

    def _terms(self, sums: Any, a: Any, panel: Any, parts: Sequence[Piece]) -> Any:
        """The loop over the block's terms."""
        b = self.b
        a_row, a_k = self.product.a_strides
        before = b.block
        body, after = b.append_basic_block("terms"), b.append_basic_block("tile")
        b.branch(body)
        b.position_at_end(body)
        p = phi(b, (index(0), before))
        held = [[phi(b, (x, before)) for x in row] for row in sums]
        at = b.gep(panel, [b.mul(p, index(self.b_k))])
        right = [load(b, b.gep(at, [index(part.start)]), part) for part in parts]
        at = b.gep(a, [b.mul(p, index(a_k))])
        new = []
        for r, row in enumerate(held):
            one = b.load(b.gep(at, [index(r * a_row)]))
            left = {lanes: splat(b, one, lanes) for lanes in sorted({y.type.count for y in right})}
            new.append(
                [multiply_add(b, left[y.type.count], y, x) for x, y in zip(row, right, strict=True)]
            )
        following = b.add(p, index(1), flags=["nsw"])
        p.add_incoming(following, body)
        for old_row, new_row in zip(held, new, strict=True):
            for old, value in zip(old_row, new_row, strict=True):
                old.add_incoming(value, body)
        keep_rolled(b, b.cbranch(b.icmp_signed("<", following, self.length), body, after))
        b.position_at_end(after)
        return new
