"""Convolutions and transposed convolutions over one or two axes."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import numpy.typing as npt

import gradlab.graph as graph
from gradlab.errors import ArgumentError, ShapeError, one_of
from gradlab.graph import Tensor, Variable
from gradlab.graph.elementwise import floating
from gradlab.graph.op import Shape
from gradlab.graph.tensor import Like
from gradlab.graph.windows import sizes
from gradlab.nn.checks import floating_dtype, whole
from gradlab.nn.made import next_seed
from gradlab.nn.module import Module

PerAxis = int | tuple[int, ...]
"""One number for all axes, or one for each."""


class _Convolution(Module):
    """What all convolutions have in common: their sizes, weight and bias."""

    rank: ClassVar[int]
    transposed: ClassVar[bool] = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: PerAxis,
        stride: PerAxis,
        dilation: PerAxis,
        groups: int,
        bias: bool,
        dtype: npt.DTypeLike | None,
    ) -> None:
        layer = type(self).__name__
        chosen = floating_dtype(layer, dtype)
        self.in_channels = whole(layer, "in_channels", in_channels)
        self.out_channels = whole(layer, "out_channels", out_channels)
        self.kernel_size = sizes(f"{layer}: kernel_size", kernel_size, self.rank)
        self.stride = sizes(f"{layer}: stride", stride, self.rank)
        self.dilation = sizes(f"{layer}: dilation", dilation, self.rank)
        self.groups = whole(layer, "groups", groups)
        for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % self.groups:
                raise ArgumentError(
                    f"{layer}: {name} must be a multiple of groups={groups}, got {channels}"
                )
        first, second = self.out_channels, self.in_channels
        if self.transposed:
            first, second = second, first
        shape = (first, second // self.groups, *self.kernel_size)
        rng = np.random.default_rng(next_seed())
        bound = 1 / math.sqrt(math.prod(shape[1:]))
        self.weight = Variable(rng.uniform(-bound, bound, shape), name="weight", dtype=chosen)
        self.bias = (
            Variable(rng.uniform(-bound, bound, self.out_channels), name="bias", dtype=chosen)
            if bias
            else None
        )

    def _checked(self, x: Like) -> Tensor:
        """Inputs, if they have the right number of axes and channels."""
        x = floating(x)
        if x.ndim != 2 + self.rank or x.shape[1] != self.in_channels:
            along = ("length", "height, width")[self.rank - 1]
            raise ShapeError(
                f"{type(self).__name__}({self.in_channels}, {self.out_channels}) takes inputs of "
                f"shape (n, {self.in_channels}, {along}), got {x.shape}"
            )
        return x

    @property
    def _reach(self) -> Shape:
        """Over how many places the kernel goes."""
        along = zip(self.kernel_size, self.dilation, strict=True)
        return tuple(d * (k - 1) + 1 for k, d in along)

    def _shifted(self, z: Tensor) -> Tensor:
        """With the bias of each channel."""
        if self.bias is None:
            return z
        return z + graph.reshape(self.bias, (self.out_channels, *[1] * self.rank))


class _Conv(_Convolution):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: PerAxis,
        stride: PerAxis = 1,
        padding: PerAxis | str = 0,
        dilation: PerAxis = 1,
        groups: int = 1,
        bias: bool = True,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, dilation, groups, bias, dtype
        )
        layer = type(self).__name__
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ArgumentError(one_of(f"padding of {layer}", padding, ("same", "valid")))
            if padding == "same" and any(s != 1 for s in self.stride):
                raise ArgumentError(f"{layer}: padding='same' needs stride 1, got {stride!r}")
            self.padding: str | Shape = padding
        else:
            self.padding = sizes(f"{layer}: padding", padding, self.rank, least=0)

    def forward(self, x: Like) -> Tensor:
        """Inputs of shape (n, in_channels, ...) to outputs of shape (n, out_channels, ...)."""
        x = self._checked(x)
        around = (0,) * self.rank if isinstance(self.padding, str) else self.padding
        for n, p, reach in zip(x.shape[2:], around, self._reach, strict=True):
            if self.padding != "same" and n + 2 * p < reach:
                raise ShapeError(
                    f"{type(self).__name__}: a kernel that reaches over {self._reach} is larger "
                    f"than inputs of shape {x.shape} with padding {self.padding}"
                )
        z = graph.conv(x, self.weight, self.stride, self.padding, self.dilation, self.groups)
        return self._shifted(z)


class Conv1d(_Conv):
    """Convolution over one axis, (n, in_channels, length) to (n, out_channels, new length).

    z[n, o, p] = b[o] + Σ_c Σ_i x[n, c, s·p + d·i − padding] · w[o, c, i], whose length is
    ⌊(length + 2·padding − d·(kernel_size − 1) − 1)/s⌋ + 1.

    Args:
        in_channels, out_channels: how many channels come in and go out, multiples of groups.
        kernel_size: length of the kernel.
        stride: s, from one place of the kernel to the next.
        padding: zeros on both sides; "valid" for none; "same", with stride 1, for as many as keep
            the length (of an odd number, the one more comes after).
        dilation: d, from one element of the kernel to the next.
        groups: equal parts of the channels that know nothing of each other.
        bias: whether there is a b.
        dtype: of the parameters; the default dtype if not given.

    Attributes:
        weight: w, of shape (out_channels, in_channels / groups, kernel_size), as in PyTorch.
        bias: b, of shape (out_channels,), or None.

    w and b start as U(−1/√fan_in, 1/√fan_in), fan_in = in_channels / groups · kernel_size, which is
    PyTorch's default. The draw depends on how many layers this process made before;
    ``gradlab.init.initialize`` draws by a seed of yours.

    Raises:
        ArgumentError: a number out of its range, channels that do not divide into groups, or
            another word for padding.
        DTypeError: parameters that are no floats.
        ShapeError: inputs of another shape, or shorter than the kernel.

    Source: LeCun et al., Gradient-Based Learning Applied to Document Recognition, Proc. IEEE 86,
    1998, section II.A.

    >>> Conv1d(3, 8, kernel_size=5, padding="same")(np.ones((2, 3, 20), np.float32)).shape
    (2, 8, 20)
    """

    rank = 1


class Conv2d(_Conv):
    """Convolution of images, (n, in_channels, height, width) to (n, out_channels, ...).

    As ``Conv1d`` over two axes: kernel_size, stride, padding and dilation are one number for both
    or a tuple, and the weight has shape (out_channels, in_channels / groups, height, width).

    >>> Conv2d(3, 8, kernel_size=3, stride=2, padding=1)(np.ones((1, 3, 8, 8), np.float32)).shape
    (1, 8, 4, 4)
    """

    rank = 2


class _ConvTranspose(_Convolution):
    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: PerAxis,
        stride: PerAxis = 1,
        padding: PerAxis = 0,
        output_padding: PerAxis = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: PerAxis = 1,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, dilation, groups, bias, dtype
        )
        layer = type(self).__name__
        self.padding = sizes(f"{layer}: padding", padding, self.rank, least=0)
        self.output_padding = sizes(f"{layer}: output_padding", output_padding, self.rank, least=0)
        if any(e >= s for e, s in zip(self.output_padding, self.stride, strict=True)):
            raise ArgumentError(
                f"{layer}: output_padding must be below stride {stride}, got {output_padding}"
            )

    def forward(self, x: Like) -> Tensor:
        """Inputs of shape (n, in_channels, ...) to outputs of shape (n, out_channels, ...)."""
        x = self._checked(x)
        z = graph.conv_transpose(
            x,
            self.weight,
            self.stride,
            self.padding,
            self.output_padding,
            self.dilation,
            self.groups,
        )
        return self._shifted(z)


class ConvTranspose1d(_ConvTranspose):
    """Transposed convolution over one axis, which goes back from ``Conv1d``'s lengths to larger.

    z[n, o, q] = b[o] + Σ_c Σ_{p, i: s·p + d·i − padding = q} x[n, c, p] · w[c, o, i], whose length
    is (length − 1)·s − 2·padding + d·(kernel_size − 1) + output_padding + 1.

    Args:
        in_channels, out_channels: how many channels come in and go out, multiples of groups.
        kernel_size: length of the kernel.
        stride: s, from the place of one input to that of the next.
        padding: what is cut off on both sides.
        output_padding: what is added after the end, below stride.
        groups: equal parts of the channels that know nothing of each other.
        bias: whether there is a b.
        dilation: d, from one element of the kernel to the next.
        dtype: of the parameters; the default dtype if not given.

    Attributes:
        weight: w, of shape (in_channels, out_channels / groups, kernel_size), as in PyTorch.
        bias: b, of shape (out_channels,), or None.

    w and b start as U(−1/√f, 1/√f), f = out_channels / groups · kernel_size: PyTorch's default,
    which takes the second axis for the channels that come in, as ``gradlab.init.fans`` does.

    Raises:
        ArgumentError: a number out of its range, or channels that do not divide into groups.
        DTypeError: parameters that are no floats.
        ShapeError: inputs of another shape, or of which padding leaves nothing.

    Source: Dumoulin and Visin, A guide to convolution arithmetic, 2016, chapter 4.

    >>> ConvTranspose1d(4, 2, kernel_size=2, stride=2)(np.ones((1, 4, 5), np.float32)).shape
    (1, 2, 10)
    """

    rank = 1


class ConvTranspose2d(_ConvTranspose):
    """Transposed convolution of images, (n, in_channels, height, width) to larger ones.

    As ``ConvTranspose1d`` over two axes: kernel_size, stride, padding, output_padding and dilation
    are one number for both or a tuple, and the weight has shape (in_channels,
    out_channels / groups, height, width).

    >>> ConvTranspose2d(4, 2, kernel_size=2, stride=2)(np.ones((1, 4, 5, 3), np.float32)).shape
    (1, 2, 10, 6)
    """

    rank = 2
