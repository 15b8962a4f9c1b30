"""Ops that give the same numbers another dtype or another shape."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from gradlab.errors import ShapeError
from gradlab.graph.dtypes import DType, check_dtype, whole_range
from gradlab.graph.op import Op, Shape, declare
from gradlab.graph.tensor import Like, Tensor, apply, as_tensor, broadcast_shapes

Axis = int | tuple[int, ...] | None


def normalize_axis(axis: Axis, ndim: int) -> tuple[int, ...]:
    """Axes as sorted non-negative numbers; None means all of them.

    Raises:
        ShapeError: an axis out of range, or twice.
    """
    if axis is None:
        return tuple(range(ndim))
    if type(axis) is int and -ndim <= axis < ndim:
        return (axis % ndim,)
    axes = tuple(axis) if isinstance(axis, tuple | list) else (operator.index(axis),)
    for a in axes:
        if not -ndim <= a < ndim:
            raise ShapeError(f"axis {a} is out of range for {ndim} axes")
    positive = tuple(sorted(int(a) % ndim for a in axes))
    if len(set(positive)) < len(positive):
        raise ShapeError(f"axis {axis} names the same axis twice")
    return positive


def place_of(axis: int, ndim: int) -> int:
    """One axis as a non-negative number; ShapeError if it is out of range."""
    (place,) = normalize_axis(axis, ndim)
    return place


# --- casts and cuts ---------------------------------------------------------------------------

ASTYPE = declare(
    Op(
        "astype",
        forward=lambda xp, x, dtype: x.astype(dtype),
        infer=lambda x, dtype: (x.shape, dtype),
        vjps=(lambda g, y, x, dtype: astype(g, x.dtype),),
        formula="x as another dtype",
    )
)


def _rounded(xp: Any, x: Any, dtype: DType) -> Any:
    """Convert to whole numbers or booleans; C leaves open what a float out of range becomes."""
    if x.dtype.kind != "f" or dtype.kind == "b":
        return x.astype(dtype)
    low, high, above = whole_range(dtype)
    below, over = x < low, x >= above
    whole = xp.where(below | over | xp.isnan(x), 0, x).astype(dtype)
    return xp.where(below, low, xp.where(over, high, whole)).astype(dtype)


# The same row without a rule: no derivative passes through whole numbers.
ROUND_OFF = declare(
    Op(
        "astype_integer",
        forward=_rounded,
        infer=lambda x, dtype: (x.shape, dtype),
        vjps=(None,),
        formula="x as whole numbers or booleans",
    )
)
STOP_GRADIENT = declare(
    Op(
        "stop_gradient",
        forward=lambda xp, x: x,
        infer=lambda x: (x.shape, x.dtype),
        vjps=(None,),
        formula="x",
    )
)
IDENTITY = declare(
    Op(
        "identity",
        forward=lambda xp, x: x,
        infer=lambda x: (x.shape, x.dtype),
        vjps=(lambda g, y, x: g,),
        formula="x",
        derivatives=("1",),
    )
)


def astype(x: Like, dtype: npt.DTypeLike) -> Tensor:
    """The same numbers in another dtype; whole numbers and booleans pass no gradient.

    Floats lose their fraction on the way to whole numbers. Those out of range become the smallest
    or the largest whole number of the dtype, and NaN becomes 0, on every executor. Whole numbers
    that a narrower dtype does not have wrap, as in NumPy.

    >>> astype([1.7, -1.7], "int64")
    tensor([ 1, -1])
    """
    x, target = as_tensor(x), check_dtype(dtype)
    if x.dtype == target and not x.weak:
        return x
    result = _converted(x, target)
    result.weak = False  # asking for a dtype is a decision
    return result


def cast(x: Tensor, dtype: DType) -> Tensor:
    """Another dtype because of what x meets: other than with ``astype``, it stays weak."""
    return x if x.dtype == dtype else _converted(x, dtype)


def _converted(x: Tensor, dtype: DType) -> Tensor:
    op = ASTYPE if x.dtype.kind == "f" and dtype.kind == "f" else ROUND_OFF
    return apply(op, (x,), {"dtype": dtype})


def stop_gradient(x: Like) -> Tensor:
    """The same value, as a constant: no gradient flows through it.

    >>> import gradlab
    >>> gradlab.grad(lambda x: x * stop_gradient(x))(3.0).numpy()
    array(3.)
    """
    return apply(STOP_GRADIENT, (as_tensor(x),))


def identity(x: Like) -> Tensor:
    """The same value as another node of the graph.

    >>> identity([1.0])
    tensor([1.])
    """
    return apply(IDENTITY, (as_tensor(x),))


# --- shapes -----------------------------------------------------------------------------------


def _permuted(x: Tensor, axes: tuple[int, ...]) -> tuple[Shape, DType]:
    return tuple(x.shape[a] for a in axes), x.dtype


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    """The permutation that undoes another."""
    inverse = [0] * len(axes)
    for i, axis in enumerate(axes):
        inverse[axis] = i
    return tuple(inverse)


def _broadcasted(x: Tensor, shape: Shape) -> tuple[Shape, DType]:
    if broadcast_shapes(x.shape, shape) != shape:
        raise ShapeError(f"shape {x.shape} does not broadcast to {shape}")
    return shape, x.dtype


RESHAPE = declare(
    Op(
        "reshape",
        forward=lambda xp, x, shape: x.reshape(shape),
        infer=lambda x, shape: (shape, x.dtype),
        vjps=(lambda g, y, x, shape: reshape(g, x.shape),),
        formula="x in another shape",
    )
)
PERMUTE_DIMS: Op = declare(
    Op(
        "permute_dims",
        forward=lambda xp, x, axes: x.transpose(axes),
        infer=_permuted,
        vjps=(lambda g, y, x, axes: apply(PERMUTE_DIMS, (g,), {"axes": _inverse(axes)}),),
        formula="x with its axes permuted",
    )
)
BROADCAST_TO = declare(
    Op(
        "broadcast_to",
        forward=lambda xp, x, shape: xp.broadcast_to(x, shape),
        infer=_broadcasted,
        vjps=(lambda g, y, x, shape: g,),  # the sweep undoes every broadcast
        formula="x repeated",
    )
)


def reshape(x: Like, shape: Sequence[int] | int) -> Tensor:
    """The same elements in another shape; one length may be -1.

    Raises:
        ShapeError: the number of elements differs.

    >>> reshape([1, 2, 3, 4], (2, -1)).shape
    (2, 2)
    """
    x = as_tensor(x)
    if shape == x.shape:
        return x
    sizes = [shape] if isinstance(shape, int) else [int(s) for s in _flat(shape)]
    known = math.prod(s for s in sizes if s != -1)
    if sizes.count(-1) == 1 and known:
        sizes[sizes.index(-1)] = x.size // known
    target = tuple(sizes)
    if min(target, default=0) < 0 or math.prod(target) != x.size:
        raise ShapeError(f"cannot reshape {x.shape} ({x.size} elements) to {tuple(_flat(shape))}")
    return apply(RESHAPE, (x,), {"shape": target}) if target != x.shape else x


def _flat(shape: Any) -> tuple[int, ...]:
    """``x.reshape((2, 3))`` and ``x.reshape(2, 3)`` mean the same."""
    if isinstance(shape, int):
        return (shape,)
    if len(shape) == 1 and not isinstance(shape[0], int | np.integer):
        return tuple(shape[0])
    return tuple(shape)


def permute_dims(x: Like, axes: Sequence[int]) -> Tensor:
    """Axes in another order.

    Raises:
        ShapeError: ``axes`` is not a permutation of the axes.

    >>> permute_dims([[1, 2, 3]], (1, 0)).shape
    (3, 1)
    """
    x = as_tensor(x)
    normalize_axis(tuple(axes), x.ndim)
    if len(axes) != x.ndim:
        raise ShapeError(f"axes {tuple(axes)} do not name each of the {x.ndim} axes once")
    order = tuple(int(a) % x.ndim for a in axes)
    return apply(PERMUTE_DIMS, (x,), {"axes": order})


def matrix_transpose(x: Like) -> Tensor:
    """The last two axes exchanged, xᵀ.

    >>> matrix_transpose([[[1, 2, 3]]]).shape
    (1, 3, 1)
    """
    x = as_tensor(x)
    n = len(x.shape)
    if n < 2:
        raise ShapeError(f"a matrix transpose needs at least 2 axes, got shape {x.shape}")
    return apply(PERMUTE_DIMS, (x,), {"axes": (*range(n - 2), n - 1, n - 2) if n > 2 else (1, 0)})


def swapaxes(x: Like, axis1: int, axis2: int) -> Tensor:
    """Two axes exchanged.

    >>> swapaxes([[[1, 2]]], 0, 2).shape
    (2, 1, 1)
    """
    x = as_tensor(x)
    order = list(range(x.ndim))
    a, b = place_of(axis1, x.ndim), place_of(axis2, x.ndim)
    order[a], order[b] = b, a
    return permute_dims(x, order)


def moveaxis(x: Like, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """Some axes at other places, and the rest in their order.

    Raises:
        ShapeError: an axis out of range or twice, or other places than axes.

    >>> moveaxis([[[1, 2]]], -1, 0).shape
    (2, 1, 1)
    """
    x = as_tensor(x)
    axes, places = (
        [place_of(a, x.ndim) for a in ([part] if isinstance(part, int) else part)]
        for part in (source, destination)
    )
    if len({*axes}) != len(axes) or len({*places}) != len(axes) or len(places) != len(axes):
        raise ShapeError(f"cannot move axes {source} to {destination}: give as many, each once")
    order = [a for a in range(x.ndim) if a not in axes]
    for place, axis in sorted(zip(places, axes, strict=True)):
        order.insert(place, axis)
    return permute_dims(x, order)


def broadcast_to(x: Like, shape: Sequence[int]) -> Tensor:
    """Repeated to a larger shape, by NumPy's broadcasting rule.

    >>> broadcast_to([1, 2], (2, 2))
    tensor([[1, 2],
            [1, 2]])
    """
    x, target = as_tensor(x), tuple(shape)
    return x if x.shape == target else apply(BROADCAST_TO, (x,), {"shape": target})


def expand_dims(x: Like, axis: Axis) -> Tensor:
    """With axes of length one put in at the given places of the result.

    >>> expand_dims([1, 2], 0).shape
    (1, 2)
    """
    x = as_tensor(x)
    count = len(axis) if isinstance(axis, tuple) else 1
    places = normalize_axis(axis, x.ndim + count)
    lengths = iter(x.shape)
    return reshape(x, [1 if i in places else next(lengths) for i in range(x.ndim + count)])


def squeeze(x: Like, axis: Axis = None) -> Tensor:
    """Without the given axes, which must be of length one (by default all such).

    >>> squeeze([[1, 2]], 0).shape
    (2,)
    """
    x = as_tensor(x)
    if axis is None:
        return reshape(x, [n for n in x.shape if n != 1])
    places = normalize_axis(axis, x.ndim)
    for place in places:
        if x.shape[place] != 1:
            raise ShapeError(f"cannot squeeze axis {place} of {x.shape}: its length is not 1")
    return reshape(x, [n for i, n in enumerate(x.shape) if i not in places])


def flatten(x: Like, start: int = 0) -> Tensor:
    """All axes from ``start`` on made into one.

    >>> flatten([[[1, 2], [3, 4]]], 1).shape
    (1, 4)
    """
    x = as_tensor(x)
    return reshape(x, (*x.shape[:start], math.prod(x.shape[start:])))


def ravel(x: Like) -> Tensor:
    """All axes made into one.

    >>> ravel([[1, 2], [3, 4]])
    tensor([1, 2, 3, 4])
    """
    return flatten(x)


@overload
def atleast_1d(x: Like, /) -> Tensor: ...
@overload
def atleast_1d(*tensors: Like) -> tuple[Tensor, ...]: ...
def atleast_1d(*tensors: Like) -> Tensor | tuple[Tensor, ...]:
    """With an axis, if there is none; of several tensors a tuple.

    >>> atleast_1d(1.0).shape
    (1,)
    """
    return _each(tensors, lambda x: x if x.ndim else reshape(x, (1,)))


@overload
def atleast_2d(x: Like, /) -> Tensor: ...
@overload
def atleast_2d(*tensors: Like) -> tuple[Tensor, ...]: ...
def atleast_2d(*tensors: Like) -> Tensor | tuple[Tensor, ...]:
    """With axes in front, if there are fewer than two; of several tensors a tuple.

    >>> atleast_2d([1, 2]).shape
    (1, 2)
    """
    return _each(tensors, lambda x: x if x.ndim > 1 else reshape(x, (1, x.size)))


@overload
def atleast_3d(x: Like, /) -> Tensor: ...
@overload
def atleast_3d(*tensors: Like) -> tuple[Tensor, ...]: ...
def atleast_3d(*tensors: Like) -> Tensor | tuple[Tensor, ...]:
    """With axes around, if there are fewer than three; of several tensors a tuple.

    A vector of n gets shape (1, n, 1), a matrix (m, n, 1).

    >>> atleast_3d([1, 2]).shape
    (1, 2, 1)
    """
    return _each(tensors, lambda x: x if x.ndim > 2 else reshape(x, (*atleast_2d(x).shape, 1)))


def _each(
    tensors: Sequence[Like], change: Callable[[Tensor], Tensor]
) -> Tensor | tuple[Tensor, ...]:
    changed = tuple(change(as_tensor(x)) for x in tensors)
    return changed[0] if len(changed) == 1 else changed
