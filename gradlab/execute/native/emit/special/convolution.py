"""Convolutions, sample by sample: windows are laid out as the columns of a matrix, then multiplied.

With K = (channel, place in the kernel) and P = the windows' positions, of one sample and group::

    conv         y (O × P)  = w (O × K) · columns (K × P)
    conv_input   columns (K × P) = wᵀ (K × O) · y (O × P), added up where windows overlap
    conv_kernel  wᵀ (K × O) = Σ_samples columns (K × P) · yᵀ (P × O)

The columns are made for some rows of windows at a time: they stay in the cache, and are never in
memory for a whole batch. Threads share out samples or, for the kernel, its rows: so no sum depends
on how many threads there are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from gradlab.execute.native.emit.element import I1, I8, I64, index, memory
from gradlab.execute.native.emit.loops import loop as unrolled_loop
from gradlab.execute.native.emit.loops import place
from gradlab.execute.native.emit.rolled import blocks, least, loop
from gradlab.execute.native.emit.special.geometry import geometry
from gradlab.execute.native.emit.special.kernel import Call, Frame, Special
from gradlab.execute.native.product.emit import emit_product, scratch_bytes
from gradlab.execute.native.product.spec import Product
from gradlab.execute.native.product.vectors import load, pieces, store
from gradlab.graph.dtypes import FLOAT32

ALIGNED = 64
"""Bytes at whose multiples the parts of the scratch memory begin."""


# --- memory ------------------------------------------------------------------------------------


def _parts(call: Call) -> dict[str, int]:
    """Bytes of each part of the scratch memory, in order.

    "plane" holds a sample's channels with zeros around, "columns" the matrix, "turned" the kernel
    with rows and columns exchanged, "product" is for the product.
    """
    g = geometry(call)
    product = {
        "conv": g.product,
        "conv_input": g.product_back,
        "conv_kernel": g.product_kernel,
    }[call.name]
    elements = {
        "plane": g.inner * math.prod(g.padded) if g.is_padded else 0,
        "columns": 0 if g.is_plain else g.rows * g.apart,
        "turned": g.groups * g.rows * g.outer if call.name == "conv_kernel" else 0,
    }
    found = {name: -(-n * g.dtype.itemsize // ALIGNED) * ALIGNED for name, n in elements.items()}
    return found | {"product": scratch_bytes(product, "tiled")}


def _scratch_bytes(call: Call) -> int:
    return sum(_parts(call).values()) + ALIGNED


class _Builder:
    """What the three kernels share: addresses, and the way between planes and columns."""

    def __init__(self, frame: Frame) -> None:
        self.frame, self.b, self.g = frame, frame.b, geometry(frame.call)
        self.kind = memory(self.g.dtype)
        self.lanes = frame.width * FLOAT32.itemsize // self.g.dtype.itemsize
        self.part: dict[str, Any] = {}
        b, start = self.b, frame.scratch
        # Scratch memory is aligned to 8 bytes; vectors should not lie across lines.
        address = b.ptrtoint(start, I64)
        skip = b.and_(b.neg(address), I64(ALIGNED - 1))
        for name, size in _parts(frame.call).items():
            self.part[name] = b.gep(start, [skip])
            skip = b.add(skip, index(size))
        for name in ("plane", "columns", "turned"):
            self.part[name] = b.bitcast(self.part[name], self.kind.as_pointer())
        self.given = [
            b.gep(x, [index(layout.offset)])
            for x, layout in zip(frame.inputs, frame.call.layouts, strict=True)
        ]

    def zero(self, start: Any, count: Any) -> None:
        """Put zeros into so many elements."""
        b = self.b
        size = b.mul(count, index(self.g.dtype.itemsize))
        fill = b.module.declare_intrinsic("llvm.memset", [I8.as_pointer(), I64])
        b.call(fill, [b.bitcast(start, I8.as_pointer()), I8(0), size, I1(0)])

    def at(self, start: Any, indices: list[Any], strides: list[int]) -> Any:
        """An address moved on."""
        return self.b.gep(start, [place(self.b, indices, strides)])

    def multiply(self, product: Product, rows: tuple[Any, Any], c: Any, a: Any, right: Any) -> None:
        """Rows of a product."""
        function = emit_product(self.b.module, product, self.frame.width, "tiled")
        self.b.call(function, [*rows, c, a, right, self.part["product"]])

    def image(self, x: Any, sample: Any, group: Any) -> Any:
        """Where a sample's channels of a group begin."""
        g = self.g
        size = g.inner * math.prod(g.size)
        return self.at(x, [sample, group], [g.groups * size, size])

    def result(self, y: Any, sample: Any, group: Any) -> Any:
        """Where a sample's outputs of a group begin."""
        g = self.g
        size = g.outer * g.windows
        return self.at(y, [sample, group], [g.groups * size, size])

    def pad(self, image: Any, channels: tuple[Any, Any]) -> Any:
        """Channels with zeros around them, if there are any to be; the zeros are there already."""
        if self.g.is_padded:
            self._inside(image, channels, lambda image, plane, n: self._copy(image, plane, n))
        return self.part["plane"] if self.g.is_padded else image

    def crop(self, image: Any) -> None:
        """The channels without what was added up in the zeros around them."""
        whole = (index(0), index(self.g.inner))
        self._inside(image, whole, lambda image, plane, n: self._copy(plane, image, n))

    def _inside(self, image: Any, channels: tuple[Any, Any], move: Callable[..., None]) -> None:
        b, (height, width), (above, left) = self.b, self.g.size, self.g.before
        rows, columns = self.g.padded
        with loop(b, *channels) as c, loop(b, index(0), index(height)) as h:
            plane = b.gep(self.part["plane"], [index(above * columns + left)])
            move(
                self.at(image, [c, h], [height * width, width]),
                self.at(plane, [c, h], [rows * columns, columns]),
                width,
            )

    def _copy(self, source: Any, target: Any, count: int) -> None:
        b = self.b
        if count > 8 * self.lanes:
            with unrolled_loop(b, index(0), index(count)) as i:
                b.store(b.load(b.gep(source, [i])), b.gep(target, [i]))
            return
        for piece in pieces(count, self.lanes):
            at = [index(piece.start)]
            store(b, load(b, b.gep(source, at), piece), b.gep(target, at), piece)

    def runs(
        self, plane: Any, first: Any, units: tuple[Any, Any], move: Callable[..., None]
    ) -> None:
        """Call for some rows of windows: where each lies in the plane, and where in the columns.

        Args:
            plane: where the channels lie.
            first: number of the first row.
            units: first and last of the pairs (channel, row of the kernel).
            move: what to do with the two addresses.
        """
        b, g = self.b, self.g
        (high, wide), columns = g.kernel, g.count[1]
        down, (d_down, d_right) = g.stride[0], g.dilation
        plane_rows, plane_columns = g.padded
        with loop(b, *units) as u, loop(b, index(0), index(wide)) as j:
            channel, i = b.sdiv(u, index(high)), b.srem(u, index(high))
            strides = [plane_rows * plane_columns, d_down * plane_columns, d_right]
            corner = self.at(plane, [channel, i, j], strides)
            corner = self.at(corner, [first], [down * plane_columns])
            line = self.at(self.part["columns"], [u, j], [wide * g.apart, g.apart])
            with loop(b, index(0), index(g.lines)) as r:
                move(self.at(corner, [r], [down * plane_columns]), self.at(line, [r], [columns]))

    @contextmanager
    def parts(self) -> Iterator[tuple[Any, Any]]:
        """A loop over parts of the windows; gives the first row and the first window of each."""
        b, g = self.b, self.g
        with blocks(b, g.count[0] // g.lines) as t:
            yield b.mul(t, index(g.lines)), b.mul(t, index(g.part))

    def columns(self, plane: Any, first: Any, window: Any, units: tuple[Any, Any]) -> Any:
        """The matrix of a part's windows."""
        if self.g.is_plain:
            return self.b.gep(plane, [window])
        self.runs(plane, first, units, self.gather)
        return self.part["columns"]

    def gather(self, seen: Any, line: Any) -> None:
        """A row of windows from the plane into the columns."""
        b, step, count = self.b, self.g.stride[1], self.g.count[1]
        if step == 1:
            self._copy(seen, line, count)
            return
        with unrolled_loop(b, index(0), index(count)) as i:
            b.store(b.load(b.gep(seen, [b.mul(i, index(step))])), b.gep(line, [i]))

    def scatter(self, seen: Any, line: Any) -> None:
        """A row of windows from the columns added to the plane."""
        b, step, count = self.b, self.g.stride[1], self.g.count[1]
        if step == 1 and count <= 8 * self.lanes:
            for piece in pieces(count, self.lanes):
                to = b.gep(seen, [index(piece.start)])
                more = load(b, b.gep(line, [index(piece.start)]), piece)
                store(b, b.fadd(load(b, to, piece), more), to, piece)
            return
        with unrolled_loop(b, index(0), index(count)) as i:
            to = b.gep(seen, [b.mul(i, index(step))])
            b.store(b.fadd(b.load(to), b.load(b.gep(line, [i]))), to)


# --- kernels -----------------------------------------------------------------------------------


def _conv(frame: Frame) -> None:
    make = _Builder(frame)
    b, g, (x, w) = make.b, make.g, make.given
    if g.is_padded:
        make.zero(make.part["plane"], index(g.inner * math.prod(g.padded)))
    units = index(0), index(g.inner * g.kernel[0])
    with loop(b, frame.begin, frame.end) as n, loop(b, index(0), index(g.groups)) as group:
        plane = make.pad(make.image(x, n, group), (index(0), index(g.inner)))
        weights = make.at(w, [group], [g.outer * g.rows])
        y = make.result(frame.out, n, group)
        with make.parts() as (first, window):
            columns = make.columns(plane, first, window, units)
            rows = index(0), index(g.outer)
            make.multiply(g.product, rows, b.gep(y, [window]), weights, columns)


def _conv_input(frame: Frame) -> None:
    make = _Builder(frame)
    b, g, (y, w) = make.b, make.g, make.given
    units = index(0), index(g.inner * g.kernel[0])
    with loop(b, frame.begin, frame.end) as n, loop(b, index(0), index(g.groups)) as group:
        image = make.image(frame.out, n, group)
        plane = make.part["plane"] if g.is_padded else image
        weights = make.at(w, [group], [g.outer * g.rows])
        given = make.result(y, n, group)
        if not g.is_plain:
            make.zero(plane, index(g.inner * math.prod(g.padded)))
        with make.parts() as (first, window):
            columns = b.gep(image, [window]) if g.is_plain else make.part["columns"]
            rows = index(0), index(g.rows)
            make.multiply(g.product_back, rows, columns, weights, b.gep(given, [window]))
            if not g.is_plain:
                make.runs(plane, first, units, make.scatter)
        if g.is_padded:
            make.crop(image)


def _conv_kernel(frame: Frame) -> None:
    """Threads share out the pairs (channel, row of the kernel): each sees all samples."""
    make = _Builder(frame)
    b, g, (x, y) = make.b, make.g, make.given
    high, wide = g.kernel
    units = g.inner * high
    if g.is_padded:
        make.zero(make.part["plane"], index(g.inner * math.prod(g.padded)))
    strip = wide * g.outer
    first = make.at(make.part["turned"], [frame.begin], [strip])
    make.zero(first, b.mul(b.sub(frame.end, frame.begin), index(strip)))
    with loop(b, index(0), index(g.samples)) as n, loop(b, index(0), index(g.groups)) as group:
        base = b.mul(group, index(units))
        low = _at_least_none(b, b.sub(frame.begin, base))
        high_end = least(b, b.sub(frame.end, base), index(units))
        with b.if_then(b.icmp_signed("<", low, high_end)):
            image = make.image(x, n, group)
            channels = (
                b.sdiv(low, index(high)),
                b.sdiv(b.add(high_end, index(high - 1)), index(high)),
            )
            plane = make.pad(image, channels)
            turned = make.at(make.part["turned"], [group], [units * strip])
            rows = (b.mul(low, index(wide)), b.mul(high_end, index(wide)))
            given = make.result(y, n, group)
            with make.parts() as (first, window):
                columns = make.columns(plane, first, window, (low, high_end))
                make.multiply(g.product_kernel, rows, turned, columns, b.gep(given, [window]))
    with loop(b, frame.begin, frame.end) as u:
        group, unit = b.sdiv(u, index(units)), b.srem(u, index(units))
        with loop(b, index(0), index(wide)) as j, loop(b, index(0), index(g.outer)) as o:
            value = b.load(make.at(make.part["turned"], [u, j, o], [strip, g.outer, 1]))
            strides = [g.outer * g.rows, g.rows, wide, 1]
            b.store(value, make.at(frame.out, [group, o, unit, j], strides))


def _at_least_none(b: Any, x: Any) -> Any:
    return b.select(b.icmp_signed(">", x, index(0)), x, index(0))


def _units(call: Call) -> int:
    g = geometry(call)
    return g.groups * g.inner * g.kernel[0]


def _flops(call: Call) -> int:
    g = geometry(call)
    return g.samples * g.groups * g.product.flops


def _special(build: Callable[[Frame], None], length: Callable[[Call], int]) -> Special:
    return Special(build, length, _scratch_bytes, packed=True, flops=_flops)


CONV = _special(_conv, lambda call: call.shape[0])
CONV_INPUT = _special(_conv_input, lambda call: call.shape[0])
CONV_KERNEL = _special(_conv_kernel, _units)
