"""Tensors made from a shape and a number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gradlab.errors import ArgumentError, ShapeError
from gradlab.graph.comparison import where
from gradlab.graph.dtypes import DType, check_dtype, default_dtype
from gradlab.graph.elementwise import float_operands
from gradlab.graph.op import Shape
from gradlab.graph.shaping import astype, broadcast_to, moveaxis
from gradlab.graph.tensor import Like, Tensor, as_tensor


def zeros_like(x: Like) -> Tensor:
    """Zeros of the shape and dtype of x.

    >>> zeros_like([1.0, 2.0])
    tensor([0., 0.])
    """
    x = as_tensor(x)
    return Tensor(np.zeros(x.shape, x.dtype), x.weak)


def ones_like(x: Like) -> Tensor:
    """Ones of the shape and dtype of x.

    >>> ones_like([1.0, 2.0])
    tensor([1., 1.])
    """
    x = as_tensor(x)
    return Tensor(np.ones(x.shape, x.dtype), x.weak)


def zeros(shape: Sequence[int] | int, dtype: npt.DTypeLike | None = None) -> Tensor:
    """Zeros of a shape, of the default dtype unless another is given.

    Raises:
        ShapeError: a negative length.

    >>> zeros((2, 3)).shape, zeros(2)
    ((2, 3), tensor([0., 0.]))
    """
    return Tensor(np.zeros(_lengths(shape), _chosen(dtype)))


def ones(shape: Sequence[int] | int, dtype: npt.DTypeLike | None = None) -> Tensor:
    """Ones of a shape, of the default dtype unless another is given.

    Raises:
        ShapeError: a negative length.

    >>> ones(2)
    tensor([1., 1.])
    """
    return Tensor(np.ones(_lengths(shape), _chosen(dtype)))


def full(shape: Sequence[int] | int, value: Like, dtype: npt.DTypeLike | None = None) -> Tensor:
    """One value all over a shape; a Python float gives the default dtype, an int int64.

    Raises:
        ShapeError: a negative length.

    >>> full(2, 0.5), full((1, 2), 7)
    (tensor([0.5, 0.5]), tensor([[7, 7]]))
    """
    x = as_tensor(value)
    if dtype is None:
        dtype = default_dtype() if x.weak and x.dtype.kind == "f" else x.dtype
    return broadcast_to(astype(x, dtype), _lengths(shape))


def arange(
    start: float, stop: float | None = None, step: float = 1, dtype: npt.DTypeLike | None = None
) -> Tensor:
    """Numbers from ``start`` (0 if only one is given) up to but without ``stop``.

    Whole numbers give int64, others the default dtype.

    Raises:
        ArgumentError: a step of 0.

    >>> arange(3), arange(1, 2, 0.5)
    (tensor([0, 1, 2]), tensor([1. , 1.5]))
    """
    if step == 0:
        raise ArgumentError("arange needs a step other than 0")
    first, last = (0, start) if stop is None else (start, stop)
    numbers = np.arange(first, last, step)
    if dtype is None:
        dtype = default_dtype() if numbers.dtype.kind == "f" else np.int64
    return Tensor(numbers.astype(check_dtype(dtype)))


def linspace(
    start: Like,
    stop: Like,
    num: int = 50,
    endpoint: bool = True,
    dtype: npt.DTypeLike | None = None,
    axis: int = 0,
) -> Tensor:
    """Numbers at equal distances from ``start`` to ``stop``.

    Args:
        start, stop: first and last number, or tensors of them, which gradients flow through.
        num: how many numbers, 0 or more.
        endpoint: whether ``stop`` is one of them.
        dtype: that of start and stop if not given, the default dtype for Python numbers; floats for
            a dtype of whole numbers are rounded down.
        axis: where the new axis is in the result.

    Raises:
        ArgumentError: a negative ``num``.

    >>> linspace(0, 1, 5)
    tensor([0.  , 0.25, 0.5 , 0.75, 1.  ])
    """
    if num < 0:
        raise ArgumentError(f"linspace makes 0 or more numbers, got num={num}")
    start, stop = float_operands(start, stop)
    gaps = max(num - 1 if endpoint else num, 1)
    distance = stop - start
    steps = np.arange(num, dtype=distance.dtype).reshape(-1, *(1,) * distance.ndim)
    numbers = start + distance / gaps * steps
    if endpoint and num > 1:
        numbers = where(steps == gaps, stop, numbers)
    numbers = moveaxis(numbers, 0, axis)
    if dtype is None:
        return astype(numbers, default_dtype() if distance.weak else numbers.dtype)
    whole = check_dtype(dtype).kind in "iu"
    return astype(numbers // 1 if whole else numbers, dtype)


def _chosen(dtype: npt.DTypeLike | None) -> DType:
    return default_dtype() if dtype is None else check_dtype(dtype)


def _lengths(shape: Sequence[int] | int) -> Shape:
    lengths = (shape,) if isinstance(shape, int) else tuple(shape)
    if any(n < 0 for n in lengths):
        raise ShapeError(f"lengths of axes are 0 or more, got {lengths}")
    return lengths
