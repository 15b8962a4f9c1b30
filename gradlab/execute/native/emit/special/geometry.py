"""The numbers of a convolution, and the products of matrices that it is made of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from gradlab.execute.native.emit.special.kernel import Call
from gradlab.execute.native.product.spec import Product
from gradlab.graph.dtypes import DType

LANES = 16
"""Elements that columns come in."""
TAIL = 0.5
"""Vectors whose time it takes to begin some rows of windows."""
LARGEST = 640 * 2**10
"""Bytes of columns at a time, if rows can be cut so: they stay in the second-level cache."""


@dataclass(frozen=True)
class Geometry:
    """A convolution over two axes; one over one has a height of 1.

    Attributes:
        dtype: of all its arrays.
        samples, groups, inner, outer: their number, and channels and outputs of a group.
        size, kernel, count: heights and widths of x, of the kernel and of y.
        stride, dilation, before, after: height's and width's.
    """

    dtype: DType
    samples: int
    groups: int
    inner: int
    outer: int
    size: tuple[int, int]
    kernel: tuple[int, int]
    count: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    before: tuple[int, int]
    after: tuple[int, int]

    @property
    def padded(self) -> tuple[int, int]:
        """Height and width of x with its zeros."""
        height, width = (sum(n) for n in zip(self.size, self.before, self.after, strict=True))
        return height, width

    @property
    def places(self) -> int:
        """Places in the kernel."""
        return math.prod(self.kernel)

    @property
    def windows(self) -> int:
        """Positions of y."""
        return math.prod(self.count)

    @property
    def lines(self) -> int:
        """Rows of y that are done at a time: they divide its height, and fill vectors best."""

        def cost(lines: int) -> tuple[bool, float, int]:
            width = lines * self.count[1]
            vectors = -(-width // LANES)
            too_large = self.rows * width * self.dtype.itemsize > LARGEST
            return too_large, (vectors + TAIL) / width, lines

        height = self.count[0]
        return min((n for n in range(1, height + 1) if height % n == 0), key=cost, default=1)

    @property
    def part(self) -> int:
        """Positions that are done at a time."""
        return self.lines * self.count[1]

    @property
    def apart(self) -> int:
        """Elements from one row of the columns to the next.

        Rows that lie a power of two apart would share few places in the cache.
        """
        return self.windows if self.is_plain else -(-self.part // LANES) * LANES + LANES

    @property
    def rows(self) -> int:
        """Of the columns' matrix: channels of a group by places in the kernel."""
        return self.inner * self.places

    @property
    def is_padded(self) -> bool:
        """Whether there are zeros around x."""
        return self.padded != self.size

    @property
    def is_plain(self) -> bool:
        """Whether x is the matrix of its columns already."""
        return self.places == 1 and self.stride == (1, 1) and not self.is_padded

    @property
    def product(self) -> Product:
        """The product that gives y."""
        k = self.rows
        return Product(self.dtype, self.outer, self.part, k, (k, 1), (self.apart, 1), self.windows)

    @property
    def product_back(self) -> Product:
        """The product that gives the columns."""
        k = self.rows
        return Product(self.dtype, k, self.part, self.outer, (1, k), (self.windows, 1), self.apart)

    @property
    def product_kernel(self) -> Product:
        """The product that adds to the turned kernel."""
        strides = (self.apart, 1), (1, self.windows)
        return Product(
            self.dtype, self.rows, self.outer, self.part, *strides, self.outer, adds=True
        )


def geometry(call: Call) -> Geometry:
    """The numbers of a call of one of the three rows."""
    first, second = (layout.shape for layout in call.layouts)
    x, w, y = {
        "conv": (first, second, call.shape),
        "conv_input": (call.shape, second, first),
        "conv_kernel": (first, call.shape, second),
    }[call.name]
    params, groups = call.params, call.params["groups"]

    def both(numbers: Any, missing: int) -> tuple[int, int]:
        height, width = (missing, *numbers)[-2:]
        return height, width

    return Geometry(
        call.dtype,
        samples=x[0],
        groups=groups,
        inner=w[1],
        outer=w[0] // groups,
        size=both(x[2:], 1),
        kernel=both(w[2:], 1),
        count=both(y[2:], 1),
        stride=both(params["stride"], 1),
        dilation=both(params["dilation"], 1),
        before=both([before for before, _ in params["padding"]], 0),
        after=both([after for _, after in params["padding"]], 0),
    )
