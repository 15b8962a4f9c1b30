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
        errors: the loss of each row, from z and the targets; its gradient by z is p − y.
        predict: p from z.
        mean: whether scikit-learn shows the loss divided by the number of outputs.
        numbers: whether the target of a row is a class number, and not a value for each output.
    """

    errors: Callable[[Tensor, Tensor], Tensor]
    predict: Callable[[Tensor], Tensor]
    mean: bool = False
    numbers: bool = False


def _cross_entropy(z: Tensor, y: Tensor) -> Tensor:
    return cross_entropy(z, y, "none")


def _logistic(z: Tensor, y: Tensor) -> Tensor:
    return binary_cross_entropy_with_logits(z, y, "none").sum(axis=1)


def _squared(z: Tensor, y: Tensor) -> Tensor:
    return 0.5 * graph.square(z - y).sum(axis=1)


def _poisson(z: Tensor, y: Tensor) -> Tensor:
    """Half the Poisson deviance, y log(y/p) − y + p with p = eᶻ."""
    positive = graph.where(y > 0, y, 1.0)
    return (y * (graph.log(positive) - z) - y + graph.exp(z)).sum(axis=1)


OUTPUTS = {
    "softmax": Output(_cross_entropy, graph.softmax, numbers=True),
    "softmax of smoothed targets": Output(_cross_entropy, graph.softmax),
    "logistic": Output(_logistic, graph.sigmoid),
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
        outputs, while its gradient, as ours, is that of their sum.
        """
        output = OUTPUTS[self.output]
        total = weights.sum()
        total = graph.where(total > 0, total, math.inf)  # rows that count nothing change nothing
        error = (output.errors(model(x), y) * weights).sum() / total
        squares = [graph.square(layer.weight).sum() for layer in linear(model)]
        penalty = 0.5 * alpha * sum(squares[1:], squares[0]) / total
        shown = error / self.sizes[-1] if output.mean else error
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
