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
        logits: of shape (n, k), or (n, t, k) of sequences; one column, shape (n, 1), (n, t, 1) or
            (n,), is positive or negative by its sign. Where there is a NaN, it counts as wrong.
        y: class indices, of shape (n,) or (n, t); or one-hot rows or class probabilities of the
            logits' shape, whose largest is the true class. For one column, of its shape, with or
            without the axis of length 1: 0 and 1, -1 and 1, or probabilities, positive above ½.

    Raises:
        ShapeError: the shapes do not fit, or there are no rows.
        ArgumentError: targets that are neither.

    >>> accuracy(np.array([[2.0, 1.0], [0.0, 3.0]]), np.array([0, 0]))
    0.5
    >>> accuracy(np.array([[2.0, 1.0], [0.0, 3.0]]), np.array([[1, 0], [0, 1]]))
    1.0
    """
    logits, y = np.asarray(logits), np.asarray(y)
    if logits.ndim == 1 or (logits.ndim > 1 and logits.shape[-1] == 1):
        return _sign_accuracy(logits, y)
    y = _class_indices("accuracy", logits, y)
    right = (logits.argmax(axis=-1) == y) & ~np.isnan(logits).any(axis=-1)
    return float(np.mean(right))


def _sign_accuracy(z: Array, y: Array) -> float:
    """Accuracy of one column of logits."""
    column = z.shape if z.ndim == 1 else z.shape[:-1]
    if y.shape not in (z.shape, column) or not z.size:
        raise ShapeError(
            f"accuracy: targets for one column of logits of shape {z.shape} must have shape "
            f"{column}, got {y.shape}{'' if z.size else '; there are no rows'}"
        )
    z, y = z.reshape(column), y.reshape(column)
    if np.isin(y, (-1, 0, 1)).all():
        positive = y > 0
    elif ((y >= 0) & (y <= 1)).all():
        positive = y > 0.5
    else:
        raise ArgumentError(
            "accuracy: targets for one column of logits must be 0 and 1, -1 and 1, or "
            f"probabilities, got {y.min()} to {y.max()}"
        )
    return float(np.mean(np.where(positive, z > 0, z <= 0)))


@metrics.register("top_k", formula="share of rows with y among the k largest logits", paper="")
def top_k(logits: Array, y: Array, k: int = 5) -> float:
    """Share of rows, or of places in sequences, with y among the k largest logits, in [0, 1].

    Args:
        logits: of shape (n, classes) or (n, t, classes). Where there is a NaN, it counts as wrong.
        y: class indices, of shape (n,) or (n, t), or one-hot rows or class probabilities of the
            logits' shape.
        k: how many count, from 1 to the number of classes.

    Raises:
        ShapeError: the shapes do not fit.
        ArgumentError: k is out of its range.

    >>> top_k(np.array([[2.0, 1.0, 0.0]]), np.array([1]), k=2)
    1.0
    """
    logits, y = np.asarray(logits), np.asarray(y)
    y = _class_indices("top_k", logits, y)
    classes = logits.shape[-1]
    if not 1 <= k <= classes:
        raise ArgumentError(f"top_k: k must be from 1 to {classes} classes, got {k}")
    best = np.argpartition(logits, classes - k, axis=-1)[..., classes - k :]
    right = (best == y[..., None]).any(axis=-1) & ~np.isnan(logits).any(axis=-1)
    return float(np.mean(right))


@metrics.register("mse", formula="mean (f − y)²", paper="")
def mean_squared_error(predictions: Array, y: Array) -> float:
    """Mean of the squared differences.

    Raises:
        ShapeError: the shapes differ (nothing is broadcast), or there are no rows.

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
        ShapeError: the shapes differ (nothing is broadcast), or there are no rows.

    >>> r_squared(np.array([[1.0], [3.0]]), np.array([[1.0], [3.0]]))
    1.0
    """
    predictions, y = _alike("r_squared", predictions, y)
    residual = ((predictions - y) ** 2).sum(axis=0)
    total = ((y - y.mean(axis=0)) ** 2).sum(axis=0)
    varies = total > 0
    score = 1 - residual / np.where(varies, total, 1)
    return float(np.mean(np.where(varies, score, residual == 0)))


def _class_indices(metric: str, logits: Array, y: Array) -> Array:
    """The true class of each row, from class indices or from a row of probabilities."""
    if logits.ndim < 2 or not logits.size or y.shape not in (logits.shape, logits.shape[:-1]):
        raise ShapeError(
            f"{metric}: logits must have shape (n, classes) and class indices shape (n,), or "
            "(n, t, classes) and (n, t), with at least one row; one-hot targets have the logits' "
            f"shape; got {logits.shape} and {y.shape}"
        )
    if y.shape != logits.shape:
        if (y != np.round(y)).any():
            raise ArgumentError(
                f"{metric}: targets of shape {y.shape} are class indices and must be whole "
                f"numbers, got {y[y != np.round(y)][0]}"
            )
        return y
    if (y < 0).any() or not np.allclose(y.sum(axis=-1), 1, atol=1e-3):
        raise ArgumentError(
            f"{metric}: targets of the logits' shape {y.shape} must be one-hot or probabilities, "
            f"so that each row sums to 1; for class indices pass shape {logits.shape[:-1]}"
        )
    return np.asarray(y.argmax(axis=-1))


def _alike(metric: str, predictions: Array, y: Array) -> tuple[Array, Array]:
    """Both in double precision, if of one shape: (n, 1) beside (n,) would broadcast unseen."""
    predictions, y = np.asarray(predictions), np.asarray(y)
    if predictions.shape != y.shape or not y.size:
        raise ShapeError(
            f"{metric}: predictions have shape {predictions.shape} and targets {y.shape}; "
            f"{'there are no rows' if not y.size else 'reshape one to the shape of the other'}"
        )
    return predictions.astype(np.float64), y.astype(np.float64)
