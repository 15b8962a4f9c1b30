"""Normalization of each example by itself: LayerNorm, GroupNorm and RMSNorm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

import gradlab.graph as graph
from gradlab.errors import ArgumentError, ShapeError
from gradlab.graph import Tensor, Variable
from gradlab.graph.dtypes import DType
from gradlab.graph.elementwise import floating
from gradlab.graph.op import Shape
from gradlab.graph.reductions import deviations
from gradlab.graph.scaling import scale_down
from gradlab.graph.tensor import Like
from gradlab.nn.checks import above_zero, floating_dtype, whole
from gradlab.nn.module import Module


def moments(x: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Mean μ, deviations x − μ, s²σ² = E(s (x − μ))² over some axes, which are kept, and s.

    The variance is the mean of squared deviations, not E x² − μ², which cancels. The scale s is 1
    unless the squares could overflow.

    >>> _, each, variance, s = moments(graph.tensor([[1e8, 1e8], [1.0, 3.0]]), (1,))
    >>> each.numpy().tolist(), variance.numpy().tolist(), s.numpy().tolist()
    ([[0.0, 0.0], [-1.0, 1.0]], [[0.0], [1.0]], [[1.0], [1.0]])
    """
    mean, each, size = deviations(x, axes)
    s = scale_down(size)
    return mean, each, graph.mean(graph.square(each * s), axes, keepdims=True), s


def over_root(variance: Tensor, eps: float, s: Tensor) -> Tensor:
    """1/√(σ² + ε), from s²σ²."""
    return s / graph.sqrt(variance + eps * s * s)


class Norm(Module):
    """What every normalization is, so that ``initialize`` leaves its γ at 1 and its β at 0."""


class LayerNorm(Norm):
    """Layer normalization: mean 0 and variance 1 over the last axes of each example.

    y = γ (x − μ)/√(σ² + ε) + β, with μ and σ² = E(x − μ)² over the axes of ``normalized_shape``.

    Args:
        normalized_shape: lengths of the last axes; one number for the last axis alone.
        eps: ε, above 0.
        elementwise_affine: whether there are γ and β.
        bias: whether there is a β, if there is a γ.
        dtype: of the parameters; the default dtype if not given.

    Attributes:
        weight: γ, of shape ``normalized_shape``, ones at first; or None.
        bias: β, of the same shape, zeros at first; or None.

    Raises:
        ArgumentError: a length below 1, or eps not above 0.
        DTypeError: parameters that are no floats.
        ShapeError: inputs whose last axes have other lengths.

    Source: Ba et al., Layer Normalization, 2016, equation 3.

    >>> LayerNorm(2)([[1.0, 3.0], [5.0, 5.0]]).numpy().round(3).tolist()
    [[-1.0, 1.0], [0.0, 0.0]]
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        chosen = floating_dtype("LayerNorm", dtype)
        self.normalized_shape = _lengths("LayerNorm", normalized_shape)
        self.eps = above_zero("LayerNorm", "eps", eps)
        affine = elementwise_affine
        self.weight = scale(self.normalized_shape, chosen) if affine else None
        self.bias = offset(self.normalized_shape, chosen) if affine and bias else None

    def forward(self, x: Like) -> Tensor:
        """A tensor of the same shape."""
        x = floating(x)
        _, each, variance, s = moments(x, _last_axes(self, x, self.normalized_shape))
        y = each * over_root(variance, self.eps, s)
        y = y if self.weight is None else y * self.weight
        return y if self.bias is None else y + self.bias


class RMSNorm(Norm):
    """Root mean square normalization: mean square 1 over the last axes of each example.

    y = γ x/√(E x² + ε) over the axes of ``normalized_shape``.

    Args:
        normalized_shape: lengths of the last axes; one number for the last axis alone.
        eps: ε, above 0; the distance from 1 to the next number of x's dtype if None.
        elementwise_affine: whether there is a γ.
        dtype: of the parameter; the default dtype if not given.

    Attributes:
        weight: γ, of shape ``normalized_shape``, ones at first; or None.

    Raises:
        ArgumentError: a length below 1, or eps not above 0.
        DTypeError: parameters that are no floats.
        ShapeError: inputs whose last axes have other lengths.

    Source: Zhang and Sennrich, Root Mean Square Layer Normalization, NeurIPS 2019, equation 4.

    >>> RMSNorm(2)([[3.0, 3.0], [0.0, 0.0]])
    tensor([[1., 1.],
            [0., 0.]])
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        chosen = floating_dtype("RMSNorm", dtype)
        self.normalized_shape = _lengths("RMSNorm", normalized_shape)
        self.eps = None if eps is None else above_zero("RMSNorm", "eps", eps)
        self.weight = scale(self.normalized_shape, chosen) if elementwise_affine else None

    def forward(self, x: Like) -> Tensor:
        """A tensor of the same shape."""
        x = floating(x)
        axes = _last_axes(self, x, self.normalized_shape)
        eps = float(np.finfo(x.dtype).eps) if self.eps is None else self.eps
        s = scale_down(graph.max(graph.abs(graph.stop_gradient(x)), axes, keepdims=True))
        y = x * over_root(graph.mean(graph.square(x * s), axes, keepdims=True), eps, s)
        return y if self.weight is None else y * self.weight


class GroupNorm(Norm):
    """Group normalization: mean 0 and variance 1 over each group of channels of each example.

    y = γ (x − μ)/√(σ² + ε) + β, with μ and σ² = E(x − μ)² over the channels of a group and all that
    follows; γ and β are one number for each channel.

    Args:
        num_groups: 1 normalizes each example as a whole, num_channels each channel by itself
            (instance normalization).
        num_channels: length of axis 1, a multiple of num_groups.
        eps: ε, above 0.
        affine: whether there are γ and β.
        dtype: of the parameters; the default dtype if not given.

    Attributes:
        weight: γ, of shape (num_channels,), ones at first; or None.
        bias: β, of the same shape, zeros at first; or None.

    Raises:
        ArgumentError: a number below 1, channels that do not divide into groups, or eps not
            above 0.
        DTypeError: parameters that are no floats.
        ShapeError: inputs of another shape than (n, num_channels, ...).

    Source: Wu and He, Group Normalization, ECCV 2018, section 3.

    >>> GroupNorm(2, 4)([[1.0, 1.0, 5.0, 5.0]]).numpy().tolist()
    [[0.0, 0.0, 0.0, 0.0]]
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        chosen = floating_dtype("GroupNorm", dtype)
        self.num_groups = whole("GroupNorm", "num_groups", num_groups)
        self.num_channels = whole("GroupNorm", "num_channels", num_channels)
        if self.num_channels % self.num_groups:
            raise ArgumentError(
                f"GroupNorm: num_channels must be a multiple of num_groups={num_groups}, "
                f"got {num_channels}"
            )
        self.eps = above_zero("GroupNorm", "eps", eps)
        self.weight = scale((self.num_channels,), chosen) if affine else None
        self.bias = offset((self.num_channels,), chosen) if affine else None

    def forward(self, x: Like) -> Tensor:
        """A tensor of the same shape."""
        x = floating(x)
        if x.ndim < 2 or x.shape[1] != self.num_channels:
            raise ShapeError(
                f"GroupNorm({self.num_groups}, {self.num_channels}) takes inputs of shape "
                f"(n, {self.num_channels}, ...), got {x.shape}"
            )
        inner = (self.num_groups, self.num_channels // self.num_groups)
        grouped = graph.reshape(x, (x.shape[0], *inner, *x.shape[2:]))
        _, each, variance, s = moments(grouped, tuple(range(2, grouped.ndim)))
        factor = over_root(variance, self.eps, s)
        y = rescaled(each, factor, self.weight, self.bias, inner)
        return graph.reshape(y, x.shape)


def rescaled(
    each: Tensor,
    factor: Tensor,
    weight: Variable | None,
    bias: Variable | None,
    channels: Shape,
) -> Tensor:
    """γ (x − μ)/√(σ² + ε) + β with one γ and β for each channel; these axes follow axis 0.

    γ/√(σ² + ε) is one factor, so that a gradient takes a single pass for both.
    """
    own = (*channels, *[1] * (each.ndim - 1 - len(channels)))
    y = each * (factor if weight is None else factor * graph.reshape(weight, own))
    return y if bias is None else y + graph.reshape(bias, own)


def scale(shape: Shape, dtype: DType) -> Variable:
    """γ, ones at first."""
    return Variable(np.ones(shape), name="weight", dtype=dtype)


def offset(shape: Shape, dtype: DType) -> Variable:
    """β, zeros at first."""
    return Variable(np.zeros(shape), name="bias", dtype=dtype)


def _lengths(layer: str, given: int | Sequence[int]) -> Shape:
    lengths = tuple(given) if isinstance(given, Sequence) else (given,)
    if not lengths:
        raise ArgumentError(
            f"{layer}: normalized_shape must have one length or more, got {given!r}"
        )
    return tuple(whole(layer, "normalized_shape", n) for n in lengths)


def _last_axes(layer: Module, x: Tensor, lengths: Shape) -> tuple[int, ...]:
    """The axes to normalize over, checked."""
    if x.shape[-len(lengths) :] != lengths:
        shown = ", ".join(map(str, lengths))
        raise ShapeError(
            f"{type(layer).__name__}({shown if len(lengths) == 1 else lengths}) takes inputs of "
            f"shape (..., {shown}), got {x.shape}"
        )
    return tuple(range(x.ndim - len(lengths), x.ndim))
