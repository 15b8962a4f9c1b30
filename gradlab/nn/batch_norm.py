"""Batch normalization, with running statistics for evaluation."""

from __future__ import annotations

import math
from numbers import Real
from typing import ClassVar

import numpy as np
import numpy.typing as npt

import gradlab.graph as graph
from gradlab.errors import ArgumentError, ShapeError
from gradlab.graph import Tensor, Variable
from gradlab.graph.dtypes import Array
from gradlab.graph.elementwise import floating
from gradlab.graph.tensor import Like
from gradlab.nn.checks import above_zero, floating_dtype, whole
from gradlab.nn.norm import Norm, moments, offset, over_root, rescaled, scale


class _BatchNorm(Norm):
    """What batch normalizations have in common."""

    ranks: ClassVar[tuple[int, ...]]
    takes: ClassVar[str]

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        layer = type(self).__name__
        chosen = floating_dtype(layer, dtype)
        self.num_features = whole(layer, "num_features", num_features)
        self.eps = above_zero(layer, "eps", eps)
        if momentum is not None and (not isinstance(momentum, Real) or not 0 <= momentum <= 1):
            raise ArgumentError(f"{layer}: momentum must be in [0, 1] or None, got {momentum!r}")
        self.momentum = momentum
        shape = (self.num_features,)
        self.weight = scale(shape, chosen) if affine else None
        self.bias = offset(shape, chosen) if affine else None
        self.running_mean = self.running_var = self.num_batches_tracked = None
        if track_running_stats:
            self.running_mean = _buffer("running_mean", np.zeros(shape, chosen))
            self.running_var = _buffer("running_var", np.ones(shape, chosen))
            self.num_batches_tracked = _buffer("num_batches_tracked", np.array(0))

    def forward(self, x: Like) -> Tensor:
        """A tensor of the same shape."""
        x = floating(x)
        if x.ndim not in self.ranks or x.shape[1] != self.num_features:
            raise ShapeError(
                f"{type(self).__name__}({self.num_features}) takes inputs of shape "
                f"{self.takes.format(self.num_features)}, got {x.shape}"
            )
        one = (self.num_features, *[1] * (x.ndim - 2))
        training = self.training
        if not training and self.running_mean is not None and self.running_var is not None:
            each = x - graph.reshape(self.running_mean, one)
            factor = 1 / graph.sqrt(graph.reshape(self.running_var, one) + self.eps)
        else:
            count = math.prod(x.shape) // self.num_features
            if count < 2:
                instead = ", or eval()" if training and self.running_mean is not None else ""
                raise ShapeError(
                    f"{type(self).__name__} needs more than one value of each channel to take a "
                    f"variance, got inputs of shape {x.shape}; use larger batches{instead}"
                )
            mean, each, variance, s = moments(x, (0, *range(2, x.ndim)))
            if training:
                self._track(mean, variance * (count / (count - 1)) / s / s)
            factor = over_root(variance, self.eps, s)
        return rescaled(each, factor, self.weight, self.bias, (self.num_features,))

    def _track(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics on towards those of a batch."""
        if self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None
        count = self.num_batches_tracked + 1
        self.num_batches_tracked.assign(count)
        for running, found in ((self.running_mean, mean), (self.running_var, variance)):
            found = graph.astype(graph.reshape(found, running.shape), running.dtype)
            share = self.momentum
            part = 1 / graph.astype(count, running.dtype) if share is None else share
            running.assign(running + part * (found - running))


def _buffer(name: str, value: Array) -> Variable:
    return Variable(value, trainable=False, name=name)


class BatchNorm1d(_BatchNorm):
    """Batch normalization of features: mean 0 and variance 1 of each over the batch.

    y = γ (x − μ)/√(σ² + ε) + β, with one μ, σ² = E(x − μ)², γ and β for each feature. In training μ
    and σ² are the batch's, and the running ones go on to (1 − m) μ̂ + m μ and (1 − m) σ̂² + m σ²,
    here with the unbiased σ²; in evaluation they are the running ones, which start at 0 and 1.

    Args:
        num_features: length of axis 1.
        eps: ε, above 0.
        momentum: m, in [0, 1]; with None the running statistics are means over all batches.
        affine: whether there are γ and β.
        track_running_stats: whether there are running statistics; else evaluation is as training.
        dtype: of parameters and statistics; the default dtype if not given.

    Attributes:
        weight, bias: γ and β, of shape (num_features,), ones and zeros at first; or None.
        running_mean, running_var: μ̂ and σ̂², buffers of the same shape; or None.
        num_batches_tracked: how many batches have gone into them, a buffer; or None.

    Raises:
        ArgumentError: a number out of its range.
        DTypeError: parameters that are no floats.
        ShapeError: inputs of another shape than (n, num_features) or (n, num_features, length), or
            a single value of each feature where statistics are the batch's.

    Source: Ioffe and Szegedy, Batch Normalization, ICML 2015, algorithms 1 and 2.

    >>> layer = BatchNorm1d(1, eps=1e-12)
    >>> layer([[1.0], [3.0]]), layer.running_mean, layer.running_var
    (tensor([[-1.],
            [ 1.]]), Variable([0.2], name='running_mean'), Variable([1.1], name='running_var'))
    """

    ranks = (2, 3)
    takes = "(n, {0}) or (n, {0}, length)"


class BatchNorm2d(_BatchNorm):
    """Batch normalization of images: mean 0 and variance 1 of each channel over the batch.

    As ``BatchNorm1d``, for inputs of shape (n, num_features, height, width).

    >>> BatchNorm2d(3)(np.zeros((2, 3, 4, 4), np.float32)).shape
    (2, 3, 4, 4)
    """

    ranks = (4,)
    takes = "(n, {0}, height, width)"
