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
from gradlab.graph.elementwise import floating
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


def cross_entropy(
    logits: Like,
    target: Like,
    reduction: Reduction = "mean",
    *,
    weight: Like | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Cross-entropy of the softmax, from logits.

    −log p_y with p = softmax(logits) for a class number y; −Σ_k q_k log p_k for probabilities q.
    With weights w and label smoothing ε, of K classes, as in PyTorch:
    −(1 − ε) w_y log p_y − ε/K Σ_k w_k log p_k, and −Σ_k w_k ((1 − ε) q_k + ε/K) log p_k.

    Args:
        logits: shape (n, ..., classes), any finite size; for sequences (n, t, classes). (PyTorch
            has the classes on axis 1.)
        target: class numbers, integers of shape (n, ...), or class probabilities, floats of the
            logits' shape.
        reduction: over all places (n, ...). The mean over class numbers is weighted: the sum
            divided by Σ w_y over the places that are not ignored, NaN if all are; over
            probabilities it is divided by the number of places. (A trainer that cuts a batch into
            micro-batches takes the mean of theirs.)
        weight: w, a number for each class, shape (classes,); 1 for all if not given.
        ignore_index: a class number, in range or not, of places that do not count; by default there
            is none (in PyTorch it is -100).
        label_smoothing: ε, in [0, 1].

    Raises:
        ShapeError: the shapes do not fit.
        DTypeError: class numbers that are no integers, or probabilities that are.
        ArgumentError: a class number outside [0, classes) (in a trace: NaN), ε outside [0, 1],
            ignore_index beside probabilities, or unknown reduction.

    Source: Szegedy et al., Rethinking the Inception Architecture, CVPR 2016, section 7, for ε.

    >>> cross_entropy([[0.0, 0.0], [1e4, 0.0]], [1, 0], reduction="none")
    tensor([0.6931472, 0.       ])
    >>> cross_entropy([[0.0, 0.0], [3.0, 0.0]], [1, -1], ignore_index=-1)
    tensor(0.6931472)
    """
    logits, target = as_tensor(logits), as_tensor(target)
    if logits.ndim < 2:
        raise ShapeError(
            f"cross_entropy: logits must have shape (n, classes) or (n, ..., classes), got "
            f"{logits.shape}"
        )
    if not 0 <= label_smoothing <= 1:
        raise ArgumentError(
            f"cross_entropy: label_smoothing must be from 0 to 1, got {label_smoothing!r}"
        )
    classes = logits.shape[-1]
    if weight is not None:
        weight = as_tensor(weight)
        if weight.shape != (classes,):
            raise ShapeError(
                f"cross_entropy: weight must have a number for each of {classes} classes, shape "
                f"({classes},), got {weight.shape}"
            )
    if target.shape == logits.shape:
        if target.dtype.kind != "f":
            raise DTypeError(
                f"cross_entropy: a target of shape {target.shape} holds class probabilities and "
                f"must be floating, got {target.dtype}; for class numbers pass shape "
                f"{logits.shape[:-1]}"
            )
        if ignore_index is not None:
            raise ArgumentError(
                "cross_entropy: ignore_index is a class number, and the target holds class "
                "probabilities; give the places that do not count a target of zeros"
            )
        if label_smoothing:
            target = (1 - label_smoothing) * target + label_smoothing / classes
        if weight is not None:
            target = target * weight
        return reduced(-graph.sum(target * graph.log_softmax(logits), axis=-1), reduction)
    if ignore_index is None:
        counted, chosen = None, target
    else:
        counted = graph.not_equal(target, ignore_index)
        chosen = graph.where(counted, target, 0)
    known = _classes("cross_entropy", chosen, logits.shape)
    numbers = graph.reshape(known, -1)
    rows = graph.reshape(graph.log_softmax(logits), (-1, classes))
    picked = rows[np.arange(rows.shape[0]), numbers]
    # Subtracted from 0, so that a loss of 0 is not −0.
    loss = 0 - graph.reshape(picked, target.shape)
    if weight is None and counted is None and not label_smoothing:
        return reduced(_nan_where_replaced(loss, target, known), reduction)
    share = graph.ones(target.shape, loss.dtype)
    if weight is not None:
        share = graph.astype(graph.reshape(graph.take(weight, numbers), target.shape), loss.dtype)
    if counted is not None:
        share = graph.where(counted, share, 0)
    total = (1 - label_smoothing) * share * loss
    if label_smoothing:
        spread = rows if weight is None else rows * weight
        spread = 0 - graph.reshape(graph.sum(spread, axis=-1), target.shape)
        if counted is not None:
            spread = graph.where(counted, spread, 0)
        total = total + label_smoothing / classes * spread
    total = _nan_where_replaced(total, chosen, known)
    if reduction == "mean":
        return graph.sum(total) / graph.sum(share)
    return reduced(total, reduction)


def binary_cross_entropy_with_logits(
    logits: Like, target: Like, reduction: Reduction = "mean"
) -> Tensor:
    """Cross-entropy of the sigmoid, from logits z.

    −y log σ(z) − (1 − y) log(1 − σ(z)) = log(1 + eᶻ) − y z, averaged over all elements. A loss
    near 0 has all its digits: where y > ½, it is taken of −z and 1 − y, which is the same.

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
    # log(1 + eᶻ) − z would take the digits of log(1 + e⁻ᶻ), which it equals.
    positive = known > 0.5
    sided = graph.where(positive, -logits, logits)
    loss = graph.softplus(sided) - sided * graph.where(positive, 1 - known, known)
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
    logits, target = floating(as_tensor(logits)), as_tensor(target)
    if target.shape == logits.shape:
        target = floating(target)
        known = graph.where(target > 0, 1.0, -1.0) if isinstance(target, Symbol) else target
        if known is target and (np.abs(target.value) != 1).any():
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
    # Whole numbers would wrap: 100 − 200 of two uint8 is 156.
    return floating(prediction), floating(target)


def _nan_where_replaced(loss: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """The loss, but NaN where a traced target was out of range and another stood in for it."""
    return loss if known is target else graph.where(target == known, loss, math.nan)


def _within(target: Tensor, low: int, high: int) -> Tensor:
    return graph.clip(target, low, high)  # the derivative at both ends is 1, and not a tie's ½


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
