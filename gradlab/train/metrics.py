"""Metrics: numbers that say how good predictions are, beside the loss."""

from __future__ import annotations

import numpy as np

from gradlab.errors import ArgumentError, ShapeError
from gradlab.graph.dtypes import Array
from gradlab.registry import Registry

metrics = Registry("metric")


@metrics.register("accuracy", formula="share of argmax(logits) = y", paper="")
def accuracy(logits: Array, y: Array) -> float:
    """Share of rows, or of places in sequences, whose largest logit is the true class, in [0, 1].

    Args:
        logits: of shape (n, k), or (n, t, k) of sequences; with one column, its sign tells the
            positive class. Where there is a NaN, it counts as wrong.
        y: class indices, of shape (n,) or (n, t); with one column of logits, positive where it is
            to be.

    Raises:
        ShapeError: the shapes do not fit.

    >>> accuracy(np.array([[2.0, 1.0], [0.0, 3.0]]), np.array([0, 0]))
    0.5
    """
    if logits.size == y.size:
        z = logits.reshape(-1)
        return float(np.mean(np.where(y.reshape(-1) > 0, z > 0, z <= 0)))
    _check_classes("accuracy", logits, y)
    right = (logits.argmax(axis=-1) == y) & ~np.isnan(logits).any(axis=-1)
    return float(np.mean(right))


@metrics.register("top_k", formula="share of rows with y among the k largest logits", paper="")
def top_k(logits: Array, y: Array, k: int = 5) -> float:
    """Share of rows, or of places in sequences, with y among the k largest logits, in [0, 1].

    Args:
        logits: of shape (n, classes) or (n, t, classes). Where there is a NaN, it counts as wrong.
        y: class indices, of shape (n,) or (n, t).
        k: how many count, from 1 to the number of classes.

    Raises:
        ShapeError: the shapes do not fit.
        ArgumentError: k is out of its range.

    >>> top_k(np.array([[2.0, 1.0, 0.0]]), np.array([1]), k=2)
    1.0
    """
    _check_classes("top_k", logits, y)
    if not 1 <= k <= logits.shape[-1]:
        raise ArgumentError(f"top_k: k must be from 1 to {logits.shape[-1]} classes, got {k}")
    best = np.argpartition(-logits, k - 1, axis=-1)[..., :k]
    right = (best == y[..., None]).any(axis=-1) & ~np.isnan(logits).any(axis=-1)
    return float(np.mean(right))


@metrics.register("mse", formula="mean (f − y)²", paper="")
def mean_squared_error(predictions: Array, y: Array) -> float:
    """Mean of the squared differences.

    Raises:
        ShapeError: the shapes differ; nothing is broadcast.

    >>> mean_squared_error(np.array([[1.0], [2.0]]), np.array([[1.0], [4.0]]))
    2.0
    """
    predictions, y = _alike("mean_squared_error", predictions, y)
    return float(np.mean((predictions - y) ** 2))


@metrics.register("r2", formula="1 − Σ(f − y)² / Σ(y − ȳ)²", paper="")
def r_squared(predictions: Array, y: Array) -> float:
    """Coefficient of determination, averaged over targets: 1 is perfect, 0 as good as the mean.

    A target that does not vary counts as 1 where it is met exactly, else as 0.

    Raises:
        ShapeError: the shapes differ; nothing is broadcast.

    >>> r_squared(np.array([[1.0], [3.0]]), np.array([[1.0], [3.0]]))
    1.0
    """
    predictions, y = _alike("r_squared", predictions, y)
    residual = ((predictions - y) ** 2).sum(axis=0)
    total = ((y - y.mean(axis=0)) ** 2).sum(axis=0)
    varies = total > 0
    score = 1 - residual / np.where(varies, total, 1)
    return float(np.mean(np.where(varies, score, residual == 0)))


def _check_classes(metric: str, logits: Array, y: Array) -> None:
    if logits.ndim < 2 or y.shape != logits.shape[:-1]:
        raise ShapeError(
            f"{metric}: logits must have shape (n, classes) and class indices shape (n,), "
            f"or (n, t, classes) and (n, t); got {logits.shape} and {y.shape}"
        )


def _alike(metric: str, predictions: Array, y: Array) -> tuple[Array, Array]:
    """Both in double precision, if of one shape: (n, 1) beside (n,) would broadcast unseen."""
    if predictions.shape != y.shape:
        raise ShapeError(
            f"{metric}: predictions have shape {predictions.shape} and targets {y.shape}; "
            "reshape one to the other's shape"
        )
    return predictions.astype(np.float64), y.astype(np.float64)
