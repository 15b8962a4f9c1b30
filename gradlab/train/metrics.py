"""Metrics: numbers that say how good predictions are, beside the loss."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gradlab.errors import ArgumentError
from gradlab.graph.dtypes import Array
from gradlab.registry import Registry

Metric = Callable[[Array, Array], float]

metrics = Registry("metric")


@metrics.register("accuracy", formula="share of argmax(logits) = y", paper="")
def accuracy(logits: Array, y: Array) -> float:
    """Share of rows whose largest logit is the true class, in [0, 1].

    Args:
        logits: of shape (n, k); with one column, its sign tells class 1 from class 0.
        y: class indices, of shape (n,).

    >>> accuracy(np.array([[2.0, 1.0], [0.0, 3.0]]), np.array([0, 0]))
    0.5
    """
    if logits.ndim == 1 or logits.shape[1] == 1:
        return float(np.mean((logits.reshape(-1) > 0) == y.reshape(-1)))
    return float(np.mean(logits.argmax(axis=1) == y))


@metrics.register("top_k", formula="share of rows with y among the k largest logits", paper="")
def top_k(logits: Array, y: Array, k: int = 5) -> float:
    """Share of rows whose true class is among the k largest logits, in [0, 1].

    Raises:
        ArgumentError: k is not between 1 and the number of classes.

    >>> top_k(np.array([[2.0, 1.0, 0.0]]), np.array([1]), k=2)
    1.0
    """
    if not 1 <= k <= logits.shape[1]:
        raise ArgumentError(f"k must be between 1 and {logits.shape[1]} classes, got {k}")
    best = np.argpartition(-logits, k - 1, axis=1)[:, :k]
    return float(np.mean((best == y[:, None]).any(axis=1)))


@metrics.register("mse", formula="mean (f − y)²", paper="")
def mean_squared_error(predictions: Array, y: Array) -> float:
    """Mean of the squared differences.

    >>> mean_squared_error(np.array([[1.0], [2.0]]), np.array([[1.0], [4.0]]))
    2.0
    """
    return float(np.mean((predictions.astype(np.float64) - y) ** 2))


@metrics.register("r2", formula="1 − Σ(f − y)² / Σ(y − ȳ)²", paper="")
def r_squared(predictions: Array, y: Array) -> float:
    """Coefficient of determination, averaged over targets: 1 is perfect, 0 as good as the mean.

    A target that does not vary counts as 1 where it is met exactly, else as 0.

    >>> r_squared(np.array([[1.0], [3.0]]), np.array([[1.0], [3.0]]))
    1.0
    """
    predictions, y = predictions.astype(np.float64), y.astype(np.float64)
    residual = ((predictions - y) ** 2).sum(axis=0)
    total = ((y - y.mean(axis=0)) ** 2).sum(axis=0)
    varies = total > 0
    score = 1 - residual / np.where(varies, total, 1)
    return float(np.mean(np.where(varies, score, residual == 0)))
