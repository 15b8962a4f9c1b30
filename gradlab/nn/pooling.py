"""Pooling: the largest or the mean of each window of a signal or an image."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import ClassVar

import numpy as np

import gradlab.graph as graph
from gradlab.errors import ArgumentError, ShapeError
from gradlab.graph import Tensor
from gradlab.graph.dtypes import Array
from gradlab.graph.elementwise import floating
from gradlab.graph.op import Shape
from gradlab.graph.tensor import Like
from gradlab.graph.windows import positions, sizes
from gradlab.nn.module import Module

PerAxis = int | tuple[int, ...]
"""One number for all axes, or one for each."""


class _Pool(Module):
    """What all poolings have in common: over how many of the last axes they go."""

    rank: ClassVar[int]

    def _checked(self, x: Like) -> Tensor:
        x = floating(x)
        if x.ndim != 2 + self.rank:
            along = ("length", "height, width")[self.rank - 1]
            raise ShapeError(
                f"{type(self).__name__} takes inputs of shape (n, channels, {along}), got {x.shape}"
            )
        return x


class _WindowPool(_Pool):
    """Pooling over windows of one size."""

    def __init__(self, kernel_size: PerAxis, stride: PerAxis | None, padding: PerAxis) -> None:
        layer = type(self).__name__
        self.kernel_size = sizes(f"{layer}: kernel_size", kernel_size, self.rank)
        self.stride = sizes(
            f"{layer}: stride", kernel_size if stride is None else stride, self.rank
        )
        self.padding = sizes(f"{layer}: padding", padding, self.rank, least=0)
        if any(2 * p > k for p, k in zip(self.padding, self.kernel_size, strict=True)):
            raise ArgumentError(
                f"{layer}: padding must be at most half of kernel_size {kernel_size}, got {padding}"
            )

    def _windows(self, x: Tensor, around: float, dilation: Shape) -> Tensor:
        """The windows of x as further axes, with a value around it."""
        if any(self.padding):
            x = graph.pad(x, ((0, 0), (0, 0), *((p, p) for p in self.padding)), around)
        reach = zip(x.shape[2:], self.kernel_size, dilation, strict=True)
        if any(d * (k - 1) + 1 > n for n, k, d in reach):
            raise ShapeError(
                f"{type(self).__name__}: windows of {self.kernel_size} are larger than inputs with "
                f"their padding, {x.shape[2:]}"
            )
        return graph.windows(x, self.kernel_size, self.stride, dilation)

    @property
    def _window_axes(self) -> tuple[int, ...]:
        return tuple(range(-self.rank, 0))


class _MaxPool(_WindowPool):
    def __init__(
        self,
        kernel_size: PerAxis,
        stride: PerAxis | None = None,
        padding: PerAxis = 0,
        dilation: PerAxis = 1,
    ) -> None:
        super().__init__(kernel_size, stride, padding)
        self.dilation = sizes(f"{type(self).__name__}: dilation", dilation, self.rank)

    def forward(self, x: Like) -> Tensor:
        """Inputs of shape (n, channels, ...) to the largest of each window."""
        windows = self._windows(self._checked(x), -math.inf, self.dilation)
        return graph.max(windows, axis=self._window_axes)


class MaxPool1d(_MaxPool):
    """Max pooling over one axis.

    y[n, c, p] = max_i x[n, c, s·p + d·i − padding], i = 0 ... kernel_size − 1, whose length is
    ⌊(length + 2·padding − d·(kernel_size − 1) − 1)/s⌋ + 1; outside of x lies −∞.

    Numbers that tie for the largest share the gradient equally, where PyTorch gives it to the
    first of them.

    Args:
        kernel_size: length of a window.
        stride: s, from one window to the next; the kernel_size if not given.
        padding: what is put on both sides, at most half of kernel_size.
        dilation: d, from one element of a window to the next.

    Raises:
        ArgumentError: a number out of its range.
        ShapeError: inputs of another shape, or shorter than a window.

    Source: Weng et al., Cresceptron, IJCNN 1992; Goodfellow et al., Deep Learning, 2016, 9.3.

    >>> MaxPool1d(2)([[[1.0, 2.0, 4.0, 3.0, 9.0]]])
    tensor([[[2., 4.]]])
    """

    rank = 1


class MaxPool2d(_MaxPool):
    """Max pooling of images: ``MaxPool1d`` over two axes, with one number for both or a tuple.

    >>> MaxPool2d(3, stride=2, padding=1)(np.ones((1, 4, 8, 8), np.float32)).shape
    (1, 4, 4, 4)
    """

    rank = 2


class _AvgPool(_WindowPool):
    def __init__(
        self,
        kernel_size: PerAxis,
        stride: PerAxis | None = None,
        padding: PerAxis = 0,
        *,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(kernel_size, stride, padding)
        self.count_include_pad = count_include_pad

    def forward(self, x: Like) -> Tensor:
        """Inputs of shape (n, channels, ...) to the mean of each window."""
        x = self._checked(x)
        windows = self._windows(x, 0.0, (1,) * self.rank)
        if self.count_include_pad or not any(self.padding):
            return graph.mean(windows, axis=self._window_axes)
        return graph.sum(windows, axis=self._window_axes) / self._counts(x).astype(x.dtype)

    def _counts(self, x: Tensor) -> Array:
        """How many elements of each window lie in x."""
        along = []
        axes = zip(x.shape[2:], self.kernel_size, self.stride, self.padding, strict=True)
        for n, k, s, p in axes:
            first = np.arange(positions(n + 2 * p, k, s, 1)) * s - p
            along.append(np.minimum(first + k, n) - np.maximum(first, 0))
        counts: Array = functools.reduce(np.multiply.outer, along)
        return counts


class AvgPool1d(_AvgPool):
    """Average pooling over one axis.

    y[n, c, p] = Σ_i x[n, c, s·p + i − padding] / kernel_size, i = 0 ... kernel_size − 1, whose
    length is ⌊(length + 2·padding − kernel_size)/s⌋ + 1; outside of x lies 0.

    Args:
        kernel_size: length of a window.
        stride: s, from one window to the next; the kernel_size if not given.
        padding: zeros on both sides, at most half of kernel_size.
        count_include_pad: whether these zeros count; if not, each sum is divided by how many
            elements of x are in it.

    Raises:
        ArgumentError: a number out of its range.
        ShapeError: inputs of another shape, or shorter than a window.

    Source: LeCun et al., Gradient-Based Learning Applied to Document Recognition, Proc. IEEE 86,
    1998, section II.B.

    >>> AvgPool1d(2)([[[1.0, 2.0, 4.0, 3.0, 9.0]]])
    tensor([[[1.5, 3.5]]])
    """

    rank = 1


class AvgPool2d(_AvgPool):
    """Average pooling of images: ``AvgPool1d`` over two axes, with one number for both or a tuple.

    >>> AvgPool2d(2)(np.ones((1, 4, 8, 6), np.float32)).shape
    (1, 4, 4, 3)
    """

    rank = 2


Reduce = Callable[..., Tensor]


class _AdaptivePool(_Pool):
    """Pooling to one length, whatever that of the input."""

    reduce: ClassVar[Reduce]

    def __init__(self, output_size: PerAxis) -> None:
        self.output_size = sizes(f"{type(self).__name__}: output_size", output_size, self.rank)

    def forward(self, x: Like) -> Tensor:
        """Inputs of shape (n, channels, ...) to (n, channels, *output_size)."""
        x = self._checked(x)
        for axis, count in enumerate(self.output_size, start=2):
            x = _pooled(x, axis, count, type(self).reduce)
        return x


def _pooled(x: Tensor, axis: int, count: int, reduce: Reduce) -> Tensor:
    """So many parts of an axis, ⌊i·n/count⌋ to ⌈(i + 1)·n/count⌉, each reduced to one number."""
    n = x.shape[axis]
    if n and n % count == 0:
        parts = graph.reshape(x, (*x.shape[:axis], count, n // count, *x.shape[axis + 1 :]))
        return reduce(parts, axis=axis + 1)
    before = (slice(None),) * axis
    bounds = [(i * n // count, -(-(i + 1) * n // count)) for i in range(count)]
    pieces = [reduce(x[(*before, slice(*each))], axis=axis, keepdims=True) for each in bounds]
    return graph.concat(pieces, axis)


class AdaptiveAvgPool1d(_AdaptivePool):
    """Average pooling to a given length; 1 is the mean of each channel, global pooling.

    Output i is the mean over the inputs ⌊i·length/m⌋ to ⌈(i + 1)·length/m⌉ − 1, m = output_size.

    Args:
        output_size: m, at least 1.

    Raises:
        ArgumentError: m below 1.
        ShapeError: inputs of another shape, or of length 0.

    Source: He et al., Spatial Pyramid Pooling in Deep Convolutional Networks, ECCV 2014, 2.2.

    >>> AdaptiveAvgPool1d(2)([[[1.0, 2.0, 6.0]]])
    tensor([[[1.5, 4. ]]])
    """

    rank = 1
    reduce = staticmethod(graph.mean)


class AdaptiveAvgPool2d(_AdaptivePool):
    """Average pooling of images to a given size: ``AdaptiveAvgPool1d`` over two axes.

    >>> AdaptiveAvgPool2d(1)(np.ones((2, 4, 7, 5), np.float32)).shape
    (2, 4, 1, 1)
    """

    rank = 2
    reduce = staticmethod(graph.mean)


class AdaptiveMaxPool1d(_AdaptivePool):
    """Max pooling to a given length, over the same parts as ``AdaptiveAvgPool1d``.

    >>> AdaptiveMaxPool1d(2)([[[1.0, 2.0, 6.0]]])
    tensor([[[2., 6.]]])
    """

    rank = 1
    reduce = staticmethod(graph.max)


class AdaptiveMaxPool2d(_AdaptivePool):
    """Max pooling of images to a given size, over the same parts as ``AdaptiveAvgPool2d``.

    >>> AdaptiveMaxPool2d((2, 1))(np.ones((2, 4, 7, 5), np.float32)).shape
    (2, 4, 2, 1)
    """

    rank = 2
    reduce = staticmethod(graph.max)
