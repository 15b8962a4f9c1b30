"""Ops that move numbers without changing them: casts, shapes, joining and taking apart."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gradlab.errors import ShapeError
from gradlab.graph.dtypes import DType, check_dtype, result_dtype
from gradlab.graph.op import Op, PerInput, Shape, declare
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
    axes = (axis,) if isinstance(axis, int | np.integer) else tuple(axis)
    for a in axes:
        if not -ndim <= a < ndim:
            raise ShapeError(f"axis {a} is out of range for {ndim} axes")
    positive = tuple(sorted(int(a) % ndim for a in axes))
    if len(set(positive)) < len(positive):
        raise ShapeError(f"axis {axis} names the same axis twice")
    return positive


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
# The same row without a rule: no derivative passes through whole numbers.
ROUND_OFF = declare(
    Op(
        "astype_integer",
        forward=lambda xp, x, dtype: x.astype(dtype),
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


def squeeze(x: Like, axis: Axis) -> Tensor:
    """Without the given axes, which must be of length one.

    >>> squeeze([[1, 2]], 0).shape
    (2,)
    """
    x = as_tensor(x)
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


# --- joining and taking apart -----------------------------------------------------------------


def _concatenated(*inputs: Tensor, axis: int) -> tuple[Shape, DType]:
    first = inputs[0]
    for x in inputs[1:]:
        if x.ndim != first.ndim or any(
            a != b for i, (a, b) in enumerate(zip(x.shape, first.shape, strict=True)) if i != axis
        ):
            raise ShapeError(
                f"cannot concatenate {first.shape} and {x.shape} along axis {axis}: "
                "the other lengths must be equal"
            )
    length = sum(x.shape[axis] for x in inputs)
    return (*first.shape[:axis], length, *first.shape[axis + 1 :]), first.dtype


def _concat_vjp(i: int, g: Tensor, y: Tensor, *inputs: Tensor, axis: int) -> Tensor:
    start = sum(x.shape[axis] for x in inputs[:i])
    return g[(slice(None),) * axis + (slice(start, start + inputs[i].shape[axis]),)]


CONCAT = declare(
    Op(
        "concat",
        forward=lambda xp, *xs, axis: xp.concatenate(xs, axis=axis),
        infer=_concatenated,
        vjps=PerInput(_concat_vjp),
        formula="x and y side by side",
    )
)


def concat(tensors: Sequence[Like], axis: int = 0) -> Tensor:
    """Side by side along an axis that they have.

    Raises:
        ShapeError: lengths of the other axes differ.

    >>> concat([[1, 2], [3]])
    tensor([1, 2, 3])
    """
    parts = _alike(tensors)
    (place,) = normalize_axis(axis, parts[0].ndim)
    _concatenated(*parts, axis=place)
    return apply(CONCAT, tuple(parts), {"axis": place})


def stack(tensors: Sequence[Like], axis: int = 0) -> Tensor:
    """Side by side along a new axis.

    >>> stack([[1, 2], [3, 4]], axis=1)
    tensor([[1, 3],
            [2, 4]])
    """
    return concat([expand_dims(x, axis) for x in _alike(tensors)], axis)


def _alike(tensors: Sequence[Like]) -> list[Tensor]:
    parts = [as_tensor(x) for x in tensors]
    if not parts:
        raise ShapeError("nothing to join: give at least one tensor")
    dtype, weak = parts[0].dtype, parts[0].weak
    for x in parts[1:]:
        dtype, weak = result_dtype(dtype, weak, x.dtype, x.weak), weak and x.weak
    return [cast(x, dtype) for x in parts]


def split(x: Like, parts: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """Cut along an axis, into a number of equal parts or into parts of the given lengths.

    Raises:
        ShapeError: the lengths do not add up.

    >>> split([1, 2, 3, 4], 2)
    [tensor([1, 2]), tensor([3, 4])]
    """
    x = as_tensor(x)
    (place,) = normalize_axis(axis, x.ndim)
    length = x.shape[place]
    sizes = [length // max(parts, 1)] * parts if isinstance(parts, int) else list(parts)
    if sum(sizes) != length:
        raise ShapeError(f"cannot split length {length} into {parts}")
    cuts = np.cumsum([0, *sizes]).tolist()
    before = (slice(None),) * place
    return [x[(*before, slice(a, b))] for a, b in itertools.pairwise(cuts)]


def flip(x: Like, axis: Axis = None) -> Tensor:
    """In reverse order along the given axes (all by default).

    >>> flip([1, 2, 3])
    tensor([3, 2, 1])
    """
    x = as_tensor(x)
    places = normalize_axis(axis, x.ndim)
    return x[tuple(slice(None, None, -1 if i in places else None) for i in range(x.ndim))]


def roll(x: Like, shift: int, axis: int) -> Tensor:
    """Shifted cyclically along an axis.

    >>> roll([1, 2, 3], 1, axis=0)
    tensor([3, 1, 2])
    """
    x = as_tensor(x)
    (place,) = normalize_axis(axis, x.ndim)
    cut = -shift % x.shape[place] if x.shape[place] else 0
    if cut == 0:
        return x
    before = (slice(None),) * place
    return concat([x[(*before, slice(cut, None))], x[(*before, slice(None, cut))]], place)
