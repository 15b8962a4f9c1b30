"""Products in tiles of C that stay in registers while k runs: vectors along the rows of B and C.

Terms go by blocks, and within each in order, whatever tile an element falls into: so its bits do
not depend on how rows are divided among threads. Large factors are copied block by block, B's
into the second-level cache, with A's panels going through the first.

After K. Goto and R. A. van de Geijn, Anatomy of high-performance matrix multiplication, ACM
Transactions on Mathematical Software 34(3), 2008.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gradlab.execute.native.emit.element import index, number, register
from gradlab.execute.native.emit.rolled import blocks, least, loop
from gradlab.execute.native.product import pack
from gradlab.execute.native.product.spec import Product
from gradlab.execute.native.product.tile import tiles
from gradlab.execute.native.product.vectors import I1, Piece, piece

BLOCK_K, BLOCK_N = 512, 256
"""Largest block of B that is packed at a time: it stays in the second-level cache."""
BLOCK_M = 1024
"""Rows of A that are packed at a time."""
DIRECT = 32 * 2**10
"""Bytes of B up to which it is read where it lies, if its rows lie well."""
DIRECT_A = 512 * 2**10
"""Bytes of A up to which it is read where it lies."""
WIDEST = 64
"""Columns of a tile at most."""
TALLEST = 8
"""Rows of a tile at most."""
FEW_ROWS = 16
"""Rows of C up to which B is read where it lies: packing would not be made up for."""
TINY = 20_000
"""Operations up to which a call for each tile would take its time."""


@dataclass(frozen=True)
class Tiling:
    """How a product is cut: ``rows`` by ``vectors`` of ``lanes`` at a time, in blocks.

    ``left`` and ``right`` say whether A and B are packed.
    """

    rows: int
    vectors: int
    lanes: int
    left: bool
    right: bool
    block_k: int
    block_n: int

    @property
    def columns(self) -> int:
        """Columns of a tile."""
        return self.vectors * self.lanes


def tiling(product: Product, lanes: int) -> Tiling:
    """The cut of a product for a machine whose vectors have so many elements."""
    many = lanes * product.dtype.itemsize == 64  # bytes of AVX-512's, of which there are 32
    rows = tile_rows(product.m, TALLEST if many else 6)
    vectors = min(2 if rows > 4 else 4, 1 << ((-(-product.n // lanes)).bit_length() - 1))
    if not is_packed(product):
        return Tiling(rows, vectors, lanes, False, False, product.k, product.n)
    block_k = -(-product.k // -(-product.k // BLOCK_K))
    columns = vectors * lanes
    block_n = min(BLOCK_N, -(-product.n // columns) * columns)
    return Tiling(rows, vectors, lanes, is_left_packed(product), True, block_k, block_n)


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


def is_left_packed(product: Product) -> bool:
    """Whether A is."""
    size = product.m * product.k * product.dtype.itemsize
    return size > DIRECT_A and product.n >= BLOCK_N and product.m > FEW_ROWS


def scratch_bytes(product: Product) -> int:
    """Bytes of scratch memory a thread needs, on whichever machine."""
    if not is_packed(product):
        return 0
    columns = min(BLOCK_N, -(-product.n // WIDEST) * WIDEST)
    # A panel of A has up to twice as many rows as there are, and one more may be begun.
    rows = 2 * (min(product.m, BLOCK_M) + TALLEST) if is_left_packed(product) else 0
    return product.dtype.itemsize * min(product.k, BLOCK_K) * (columns + rows)


def emit(b: Any, function: Any, product: Product, lanes: int) -> None:
    """Build the body of a product's function."""
    begin, end, c, *_ = function.args
    cut = tiling(product, lanes)
    if product.k == 0:
        none = number(0, product.dtype)
        with loop(b, begin, end) as i, loop(b, index(0), index(product.n)) as j:
            b.store(none, b.gep(c, [b.add(b.mul(i, index(product.c_row)), j)]))
        return
    if not cut.left:
        _Rows(b, function, product, cut, begin, end).emit()
        return
    chunks = b.sdiv(b.add(b.sub(end, begin), index(BLOCK_M - 1)), index(BLOCK_M))
    with loop(b, index(0), chunks) as chunk:
        first = b.add(begin, b.mul(chunk, index(BLOCK_M)))
        last = least(b, b.add(first, index(BLOCK_M)), end)
        _Rows(b, function, product, cut, first, last).emit()


class _Rows:
    """Some rows of C: block by block of terms, and of columns."""

    def __init__(
        self, b: Any, function: Any, product: Product, cut: Tiling, begin: Any, end: Any
    ) -> None:
        self.b, self.product, self.cut = b, product, cut
        _, _, self.c, self.a, self.source, scratch = function.args
        self.kind = register(product.dtype)
        self.begin, self.end = begin, end
        self.whole = Piece(0, cut.columns, cut.columns)
        self.count = b.sdiv(b.sub(end, begin), index(cut.rows))
        """Whole tiles, one below the other."""
        self.rest = b.sub(b.sub(end, begin), b.mul(self.count, index(cut.rows)))
        self.right = b.bitcast(scratch, self.kind.as_pointer())
        self.left = b.gep(self.right, [index(cut.block_k * cut.block_n)])
        self.height = 1 << (cut.rows - 1).bit_length()
        """Elements from one term to the next in A's panels."""
        blocks_k = -(-product.k // max(cut.block_k, 1))
        self.shortest = product.k - (blocks_k - 1) * cut.block_k
        self.blocks_k, self.blocks_n = blocks_k, -(-product.n // cut.block_n)

    def emit(self) -> None:
        b, product, cut = self.b, self.product, self.cut
        with blocks(b, self.blocks_k) as pb:
            self.is_first = b.icmp_signed("==", pb, index(0))
            self.p = b.mul(pb, index(cut.block_k))
            self.length = index(product.k)
            if self.blocks_k > 1:
                self.length = least(b, index(cut.block_k), b.sub(self.length, self.p))
            if cut.left:
                self._pack_left()
            with blocks(b, self.blocks_n) as jb:
                self.first_panel = b.mul(jb, index(cut.block_n // cut.columns))
                self.is_last = b.icmp_signed("==", jb, index(self.blocks_n - 1))
                if cut.right:
                    self._each_panels(self._pack_right)
                self._each_panels(self._tiles)

    def _pack_left(self) -> None:
        b, product, cut = self.b, self.product, self.cut
        a_row, a_k = product.a_strides
        source = b.add(b.mul(self.begin, index(a_row)), b.mul(self.p, index(a_k)))
        source = b.gep(self.a, [source])
        step = self.height * cut.block_k
        part = piece(cut.rows)
        pack.panels(
            b, source, (a_k, a_row), self.left, self.height, part,
            self.length, self.count, step, self.shortest, apart=cut.rows,
        )  # fmt: skip
        first = b.gep(source, [b.mul(self.count, index(cut.rows * a_row))])
        to = b.gep(self.left, [b.mul(self.count, index(step))])
        pack.one_by_one(b, first, (a_k, a_row), to, self.height, self.rest, self.length)

    def _pack_right(self, t: Any, count: Any, part: Piece) -> None:
        """Copy panels from t on."""
        b, product, cut = self.b, self.product, self.cut
        b_k, b_col = product.b_strides
        j = b.mul(b.add(self.first_panel, t), index(cut.columns))
        source = b.gep(self.source, [b.add(b.mul(self.p, index(b_k)), b.mul(j, index(b_col)))])
        step = cut.columns * cut.block_k
        pack.panels(
            b, source, product.b_strides, b.gep(self.right, [b.mul(t, index(step))]), cut.columns,
            part, self.length, count, step, self.shortest, apart=cut.columns,
        )  # fmt: skip

    def _each_panels(self, build: Callable[[Any, Any, Piece], None]) -> None:
        """Build something for the block's whole panels, and for a narrower last one.

        It is given the first one's number, how many there are, and the columns of each.
        """
        b, cut, n = self.b, self.cut, self.product.n
        whole, rest = divmod(n, cut.columns)
        narrower = piece(rest)
        count = index(whole)
        if n > cut.block_n:
            in_block = index(cut.block_n // cut.columns)
            count = least(b, in_block, b.sub(count, self.first_panel))
        if whole:
            build(index(0), count, self.whole)
        if rest and n > cut.block_n:
            with b.if_then(self.is_last):
                build(count, index(1), narrower)
        elif rest:
            build(count, index(1), narrower)

    def _tiles(self, u: Any, count: Any, part: Piece) -> None:
        """The tiles of panels from u on."""
        b, product, cut = self.b, self.product, self.cut
        a_row, a_k = product.a_strides
        if cut.left:
            a, a_step, a_row, a_k = self.left, self.height * cut.block_k, 1, self.height
        else:
            a_step = cut.rows * a_row
            a = b.add(b.mul(self.begin, index(a_row)), b.mul(self.p, index(a_k)))
            a = b.gep(self.a, [a])
        j = b.mul(b.add(self.first_panel, u), index(cut.columns))
        if cut.right:
            b_step, b_k = cut.columns * cut.block_k, cut.columns
            panels = b.gep(self.right, [b.mul(u, index(b_step))])
        else:
            b_step, b_k = cut.columns, product.b_strides[0]
            panels = b.gep(self.source, [j])
        c = b.gep(self.c, [b.add(b.mul(self.begin, index(product.c_row)), j)])
        adds = self.blocks_k > 1 or product.adds
        function = tiles(b.module, self.kind, cut.rows, part, adds, inline=product.flops <= TINY)
        arguments = [
            a, index(a_step), index(a_row), index(a_k), panels, index(b_step), index(b_k),
            c, index(product.c_row), b.sub(self.end, self.begin), count, self.length,
            I1(1) if product.adds else b.not_(self.is_first) if adds else I1(0),
        ]  # fmt: skip
        b.call(function, arguments)
