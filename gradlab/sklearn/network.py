"""The network of an estimator: its layers, and what it is trained and judged by."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import gradlab.graph as graph
from gradlab.graph import Tensor
from gradlab.graph.dtypes import Array
from gradlab.nn import (
    MLP,
    Linear,
    Module,
    activations,
    binary_cross_entropy_with_logits,
    cross_entropy,
)


@dataclass(frozen=True)
class Output:
    """What the last layer's values z stand for, by scikit-learn's name of its activation.

    Attributes:
        errors: the loss of each row, or of each output of a row, from z and the targets; its
            gradient by z is p − y.
        predict: p from z.
        clipped: as errors, but of probabilities that scikit-learn clips to [ε, 1 − ε], where ε is
            the rounding error of the dtype, before it shows the loss.
        mean: whether scikit-learn shows the loss divided by the number of outputs.
        numbers: whether the target of a row is a class number, and not a value for each output.
    """

    errors: Callable[[Tensor, Tensor], Tensor]
    predict: Callable[[Tensor], Tensor]
    clipped: Callable[[Tensor, Tensor, float], Tensor] | None = None
    mean: bool = False
    numbers: bool = False


def _cross_entropy(z: Tensor, y: Tensor) -> Tensor:
    return cross_entropy(z, y, "none")


def _clipped_cross_entropy(z: Tensor, y: Tensor, eps: float) -> Tensor:
    return graph.clip(_cross_entropy(z, y), -math.log1p(-eps), -math.log(eps))


def _logistic(z: Tensor, y: Tensor) -> Tensor:
    return binary_cross_entropy_with_logits(z, y, "none")


def _clipped_logistic(z: Tensor, y: Tensor, eps: float) -> Tensor:
    bound = math.log1p(-eps) - math.log(eps)
    return _logistic(graph.clip(z, -bound, bound), y)


def _squared(z: Tensor, y: Tensor) -> Tensor:
    return 0.5 * graph.square(z - y)


def _poisson(z: Tensor, y: Tensor) -> Tensor:
    """Half the Poisson deviance, y log(y/p) − y + p with p = eᶻ."""
    positive = graph.where(y > 0, y, 1.0)
    return y * (graph.log(positive) - z) - y + graph.exp(z)


OUTPUTS = {
    "softmax": Output(_cross_entropy, graph.softmax, _clipped_cross_entropy, numbers=True),
    "softmax of smoothed targets": Output(_cross_entropy, graph.softmax, _clipped_cross_entropy),
    "logistic": Output(_logistic, graph.sigmoid, _clipped_logistic),
    "identity": Output(_squared, lambda z: z, mean=True),
    "exp": Output(_poisson, graph.exp),
}

ACTIVATIONS = {"logistic": "sigmoid"}
"""scikit-learn's names, where gradlab has another."""


AT_ONCE = 4096
"""Rows that are predicted at once, so that their activations stay in the cache."""


@functools.cache
def activation(name: str) -> Module:
    """An activation by scikit-learn's or gradlab's name."""
    made: Module = activations.build(ACTIVATIONS.get(name, name))
    return made


def linear(model: MLP) -> list[Linear]:
    """The layers that have weights."""
    return [layer for layer in model if isinstance(layer, Linear)]


@dataclass(frozen=True)
class Network:
    """Layers and output: all that a compiled program depends on, beside the size of a batch.

    Attributes:
        sizes: (in, h₁, ..., out).
        activations: of each hidden layer, as texts.
        dropout: of each hidden layer.
        output: a key of ``OUTPUTS``.
        dtype: of the weights.
    """

    sizes: tuple[int, ...]
    activations: tuple[str, ...]
    dropout: tuple[float, ...]
    output: str
    dtype: str

    def model(self) -> MLP:
        """A new model."""
        return MLP(self.sizes, self._names(), self.dropout, dtype=self.dtype)

    def losses(
        self, model: MLP, x: Tensor, y: Tensor, weights: Tensor, alpha: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The objective, and the loss as scikit-learn shows it.

        J = (Σᵢ wᵢ ℓᵢ + ½ α ‖W‖²) / Σᵢ wᵢ over the rows i of a batch and the weights W of all
        layers, without the biases. scikit-learn shows the squared error as the mean over the
        outputs and clips probabilities, while its gradient, as ours, is that of J.
        """
        output = OUTPUTS[self.output]
        total = weights.sum()
        total = graph.where(total > 0, total, math.inf)  # rows that count nothing change nothing

        def rows(errors: Tensor) -> Tensor:
            return errors if errors.ndim == 1 else errors.sum(axis=1)

        z = model(x)
        errors = output.errors(z, y)
        error = (rows(errors) * weights).sum() / total
        if output.clipped:
            errors = output.clipped(z, y, float(np.finfo(self.dtype).eps))
        # Rows that do not count may have an infinite loss, of which 0 parts would be NaN.
        shown = (graph.where(weights > 0, rows(errors), 0.0) * weights).sum() / total
        if output.mean:
            shown = shown / self.sizes[-1]
        squares = [graph.square(layer.weight).sum() for layer in linear(model)]
        penalty = 0.5 * alpha * sum(squares[1:], squares[0]) / total
        return error + penalty, shown + penalty

    def predict(self, x: Any, coefs: Sequence[Array], intercepts: Sequence[Array]) -> Array:
        """The outputs for rows, dense or in CSR form: p, of shape (rows, outputs)."""
        starts = range(0, x.shape[0], AT_ONCE)
        parts = [self._predict(x[i : i + AT_ONCE], coefs, intercepts) for i in starts]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _predict(self, x: Any, coefs: Sequence[Array], intercepts: Sequence[Array]) -> Array:
        # By the same ops as in training, but layer by layer, as a sparse matrix comes as it is.
        hidden = zip(self._names(), coefs[:-1], intercepts[:-1], strict=True)
        for name, coef, intercept in hidden:
            x = activation(name)(Tensor(x @ coef + intercept)).numpy()
        z = Tensor(x @ coefs[-1] + intercepts[-1])
        return np.array(OUTPUTS[self.output].predict(z))

    def _names(self) -> list[str]:
        """Its activations, by gradlab's names."""
        return [ACTIVATIONS.get(name, name) for name in self.activations]
