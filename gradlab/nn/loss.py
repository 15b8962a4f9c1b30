"""Losses, as functions; all but ``hinge_loss`` have their names in torch.nn.functional.

Each takes predictions and targets for n examples. ``reduction`` is "mean" (the default), "sum" or
"none", over everything that a loss has a value for: the elements in ``mse_loss``, ``huber_loss``
and the binary losses, the examples in ``cross_entropy`` and the multi-class ``hinge_loss``.

A target out of range is an error where its value is known. In a trace it is not, and there the
loss of that example is NaN.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

import gradlab.graph as graph
from gradlab.errors import ArgumentError, DTypeError, ShapeError, one_of
from gradlab.graph import Symbol, Tensor, as_tensor
from gradlab.graph.op import Shape
from gradlab.graph.tensor import Like

Reduction = Literal["mean", "sum", "none"]


def mse_loss(prediction: Like, target: Like, reduction: Reduction = "mean") -> Tensor:
    """Mean squared error.

    (ŷ − y)², averaged over all elements.

    Raises:
        ShapeError: the shapes differ; nothing is broadcast.
        ArgumentError: unknown reduction.

    >>> mse_loss([[1.0], [2.0]], [[1.0], [4.0]])
    tensor(2.)
    """
    prediction, target = _alike("mse_loss", prediction, target)
    return reduced(graph.square(prediction - target), reduction)


def huber_loss(
    prediction: Like, target: Like, reduction: Reduction = "mean", delta: float = 1.0
) -> Tensor:
    """Huber loss: quadratic up to an error of δ, linear beyond it.

    ½(ŷ − y)² if |ŷ − y| ≤ δ else δ(|ŷ − y| − ½δ), averaged over all elements.

    Raises:
        ShapeError: the shapes differ; nothing is broadcast.
        ArgumentError: δ is not above 0, or unknown reduction.

    Source: Huber, Robust Estimation of a Location Parameter, 1964.

    >>> huber_loss([0.5, 3.0], [0.0, 0.0], reduction="none")
    tensor([0.125, 2.5  ])
    """
    if not delta > 0:
        raise ArgumentError(f"huber_loss: delta must be above 0, got {delta!r}")
    prediction, target = _alike("huber_loss", prediction, target)
    error = prediction - target
    clipped = graph.clip(error, -delta, delta)
    # Both branches are c(e − ½c) for the clipped error c.
    return reduced(clipped * (error - 0.5 * clipped), reduction)


def cross_entropy(logits: Like, target: Like, reduction: Reduction = "mean") -> Tensor:
    """Cross-entropy of the softmax, from logits.

    −log p_y with p = softmax(logits) for a class number y; −Σ_k q_k log p_k for probabilities q.

    Args:
        logits: shape (n, ..., classes), any finite size; for sequences (n, t, classes). (PyTorch
            has the classes on axis 1.)
        target: class numbers, integers of shape (n, ...), or class probabilities, floats of the
            logits' shape.
        reduction: over all places (n, ...).

    Raises:
        ShapeError: the shapes do not fit.
        DTypeError: class numbers that are no integers, or probabilities that are.
        ArgumentError: a class number outside [0, classes) (in a trace: NaN), or unknown reduction.

    >>> cross_entropy([[0.0, 0.0], [1e4, 0.0]], [1, 0], reduction="none")
    tensor([0.6931472, 0.       ])
    """
    logits, target = as_tensor(logits), as_tensor(target)
    if logits.ndim < 2:
        raise ShapeError(
            f"cross_entropy: logits must have shape (n, classes) or (n, ..., classes), got "
            f"{logits.shape}"
        )
    if target.shape == logits.shape:
        if target.dtype.kind != "f":
            raise DTypeError(
                f"cross_entropy: a target of shape {target.shape} holds class probabilities and "
                f"must be floating, got {target.dtype}; for class numbers pass shape "
                f"{logits.shape[:-1]}"
            )
        return reduced(-graph.sum(target * graph.log_softmax(logits), axis=-1), reduction)
    known = _classes("cross_entropy", target, logits.shape)
    rows = graph.reshape(graph.log_softmax(logits), (-1, logits.shape[-1]))
    picked = rows[np.arange(rows.shape[0]), graph.reshape(known, -1)]
    # Subtracted from 0, so that a loss of 0 is not −0.
    loss = 0 - graph.reshape(picked, target.shape)
    return reduced(_nan_where_replaced(loss, target, known), reduction)


def binary_cross_entropy_with_logits(
    logits: Like, target: Like, reduction: Reduction = "mean"
) -> Tensor:
    """Cross-entropy of the sigmoid, from logits z.

    −y log σ(z) − (1 − y) log(1 − σ(z)) = log(1 + eᶻ) − y z, averaged over all elements.

    Args:
        logits: any shape and any finite size.
        target: the same shape, each in [0, 1].
        reduction: over all elements.

    Raises:
        ShapeError: the shapes differ; nothing is broadcast.
        ArgumentError: a target outside [0, 1] (in a trace: NaN), or unknown reduction.

    >>> binary_cross_entropy_with_logits([0.0, 1e4, -1e4], [1, 1, 0], reduction="none")
    tensor([0.6931472, 0.       , 0.       ])
    """
    logits, target = _alike("binary_cross_entropy_with_logits", logits, target)
    known = _within(target, 0, 1) if isinstance(target, Symbol) else target
    if known is target and ((target.value < 0) | (target.value > 1)).any():
        raise ArgumentError(
            "binary_cross_entropy_with_logits: targets must be in [0, 1], got "
            f"{target.value.min()} to {target.value.max()}"
        )
    loss = graph.softplus(logits) - logits * known
    return reduced(_nan_where_replaced(loss, target, known), reduction)


def hinge_loss(logits: Like, target: Like, reduction: Reduction = "mean") -> Tensor:
    """Hinge loss, multi-class or binary.

    Multi-class, for logits of shape (n, classes) and class numbers y of shape (n,):
    (1/classes) Σ_{j ≠ y} max(0, 1 − z_y + z_j), as PyTorch's multi_margin_loss.
    Binary, for logits and targets y ∈ {−1, 1} of the same shape: max(0, 1 − y z).

    Args:
        logits: z, margins.
        target: class numbers (integers), or signs.
        reduction: over the n examples; over all elements if binary.

    Raises:
        ShapeError: the shapes do not fit.
        DTypeError: class numbers that are no integers.
        ArgumentError: a class number outside [0, classes), or a sign that is not ±1 (in a trace:
            NaN), or unknown reduction.

    Source: Crammer and Singer, JMLR 2, 2001; Weston and Watkins, ESANN 1999, for the sum over j.

    >>> hinge_loss([[2.0, 1.5]], [0]), hinge_loss([2.0, 0.5], [1, -1])
    (tensor(0.25), tensor(0.75))
    """
    logits, target = as_tensor(logits), as_tensor(target)
    if target.shape == logits.shape:
        known = graph.where(target > 0, 1, -1) if isinstance(target, Symbol) else target
        if known is target and (np.abs(target.value.astype(float)) != 1).any():
            raise ArgumentError(
                "hinge_loss: targets of the logits' shape are signs and must be -1 or 1; "
                f"for class numbers pass shape {logits.shape[:1]}"
            )
        loss = graph.relu(1 - known * logits)
        return reduced(_nan_where_replaced(loss, target, known), reduction)
    if logits.ndim != 2:
        raise ShapeError(f"hinge_loss: logits must have shape (n, classes), got {logits.shape}")
    rows, classes = logits.shape
    if classes == 1:
        raise ShapeError(
            f"hinge_loss: one column of logits is binary; pass targets ±1 of shape ({rows}, 1), "
            f"got {target.shape}"
        )
    known = _classes("hinge_loss", target, logits.shape)
    right = graph.expand_dims(logits[np.arange(rows), known], 1)
    # The right class counts exactly 1 in the sum, whatever the logits: z_y − z_y is 0.
    margins = graph.relu(logits - right + 1)
    loss = (graph.sum(margins, axis=1) - 1) / classes
    return reduced(_nan_where_replaced(loss, target, known), reduction)


def reduced(loss: Tensor, reduction: str) -> Tensor:
    """Mean, sum or all of the losses.

    Raises:
        ArgumentError: unknown reduction.
    """
    if reduction == "mean":
        return graph.mean(loss)
    if reduction == "sum":
        return graph.sum(loss)
    if reduction == "none":
        return loss
    raise ArgumentError(one_of("reduction", reduction, ("mean", "sum", "none")))


def _alike(loss: str, prediction: Like, target: Like) -> tuple[Tensor, Tensor]:
    """Both as tensors of one shape: (n, 1) beside (n,) would broadcast to (n, n) unseen."""
    prediction, target = as_tensor(prediction), as_tensor(target)
    if prediction.shape != target.shape:
        raise ShapeError(
            f"{loss}: predictions have shape {prediction.shape} and targets {target.shape}; "
            "reshape one to the other's shape"
        )
    return prediction, target


def _nan_where_replaced(loss: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """The loss, but NaN where a traced target was out of range and another stood in for it."""
    return loss if known is target else graph.where(target == known, loss, math.nan)


def _within(target: Tensor, low: int, high: int) -> Tensor:
    return graph.minimum(graph.maximum(target, low), high)


def _classes(loss: str, target: Tensor, shape: Shape) -> Tensor:
    """Class numbers for logits of a shape; in a trace, where they are not known, within range."""
    *places, classes = shape
    if target.shape != tuple(places):
        raise ShapeError(
            f"{loss}: class numbers for logits of shape {shape} must have shape "
            f"{tuple(places)}, got {target.shape}"
        )
    if target.dtype.kind not in "iu":
        raise DTypeError(
            f"{loss}: class numbers must be integers, got {target.dtype}; use astype('int64')"
        )
    # A negative number would count from the end, unseen.
    if isinstance(target, Symbol):
        return _within(target, 0, classes - 1)
    if target.size:
        low, high = target.value.min(), target.value.max()
        if low < 0 or high >= classes:
            raise ArgumentError(
                f"{loss}: class numbers must be from 0 to {classes - 1}, got {low} to {high}"
            )
    return target
