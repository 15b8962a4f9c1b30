"""The registry of losses: frozen values that are called with predictions and targets."""

from __future__ import annotations

from dataclasses import dataclass

from gradlab.graph import Tensor
from gradlab.graph.tensor import Like
from gradlab.nn.loss import (
    Reduction,
    binary_cross_entropy_with_logits,
    cross_entropy,
    hinge_loss,
    huber_loss,
    mse_loss,
)
from gradlab.registry import Registry

losses = Registry("loss")


@losses.register("mse", formula="(ŷ − y)²", paper="Legendre, 1805")
@dataclass(frozen=True)
class MSELoss:
    """Mean squared error, for regression; see ``mse_loss``.

    >>> losses.build("mse")([1.0, 2.0], [1.0, 4.0])
    tensor(2.)
    """

    reduction: Reduction = "mean"

    def __call__(self, prediction: Like, target: Like) -> Tensor:
        """The loss, reduced."""
        return mse_loss(prediction, target, self.reduction)


@losses.register(
    "cross_entropy",
    formula="−log softmax(z)_y",
    paper="Bridle, NIPS 1989",
)
@dataclass(frozen=True)
class CrossEntropyLoss:
    """Cross-entropy of the softmax, for classes; see ``cross_entropy``.

    >>> losses.build("cross_entropy(label_smoothing=0.1)")([[0.0, 0.0]], [1])
    tensor(0.6931472)
    """

    reduction: Reduction = "mean"
    weight: tuple[float, ...] | None = None
    ignore_index: int | None = None
    label_smoothing: float = 0.0

    def __call__(self, logits: Like, target: Like) -> Tensor:
        """The loss, reduced."""
        return cross_entropy(
            logits,
            target,
            self.reduction,
            weight=self.weight,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
        )


@losses.register(
    "binary_cross_entropy",
    formula="log(1 + eᶻ) − y z",
    paper="Cox, J. R. Stat. Soc. B 20, 1958",
)
@dataclass(frozen=True)
class BCEWithLogitsLoss:
    """Cross-entropy of the sigmoid, for yes or no; see ``binary_cross_entropy_with_logits``.

    >>> losses.build("binary_cross_entropy")([[0.0]], [[1]])
    tensor(0.6931472)
    """

    reduction: Reduction = "mean"

    def __call__(self, logits: Like, target: Like) -> Tensor:
        """The loss, reduced."""
        return binary_cross_entropy_with_logits(logits, target, self.reduction)


@losses.register(
    "hinge",
    formula="(1/K) Σ_{j ≠ y} max(0, 1 − z_y + z_j)",
    paper="Weston and Watkins, ESANN 1999",
)
@dataclass(frozen=True)
class HingeLoss:
    """Hinge loss, for classes or signs; see ``hinge_loss``.

    >>> losses.build("hinge")([[2.0, 1.5]], [0])
    tensor(0.25)
    """

    reduction: Reduction = "mean"

    def __call__(self, logits: Like, target: Like) -> Tensor:
        """The loss, reduced."""
        return hinge_loss(logits, target, self.reduction)


@losses.register(
    "huber",
    formula="½e² if |e| ≤ δ else δ(|e| − ½δ), e = ŷ − y",
    paper="Huber, Ann. Math. Stat. 35, 1964",
)
@dataclass(frozen=True)
class HuberLoss:
    """Huber loss, for regression with outliers; see ``huber_loss``.

    >>> losses.build("huber(delta=2.0)")([3.0], [0.0])
    tensor(4.)
    """

    delta: float = 1.0
    reduction: Reduction = "mean"

    def __call__(self, prediction: Like, target: Like) -> Tensor:
        """The loss, reduced."""
        return huber_loss(prediction, target, self.reduction, self.delta)
