"""Joining tensors and taking them apart: side by side, in parts, turned round, repeated."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from gradlab.errors import ShapeError
from gradlab.graph.dtypes import DType, result_dtype
from gradlab.graph.op import Op, PerInput, Shape, declare
from gradlab.graph.shaping import (
    Axis,
    broadcast_to,
    cast,
    expand_dims,
    flatten,
    normalize_axis,
    reshape,
    swapaxes,
)
from gradlab.graph.tensor import Like, Tensor, apply, as_tensor


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

    Raises:
        ShapeError: the shapes differ.

    >>> stack([[1, 2], [3, 4]], axis=1)
    tensor([[1, 3],
            [2, 4]])
    """
    parts = _alike(tensors)
    for x in parts:
        if x.shape != parts[0].shape:
            raise ShapeError(f"cannot stack shapes {parts[0].shape} and {x.shape}: make them equal")
    return concat([expand_dims(x, axis) for x in parts], axis)


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


def flipud(x: Like) -> Tensor:
    """Upside down: in reverse order along the first axis.

    >>> flipud([[1], [2]])
    tensor([[2],
            [1]])
    """
    return flip(x, 0)


def fliplr(x: Like) -> Tensor:
    """Left to right: in reverse order along the second axis.

    >>> fliplr([[1, 2]])
    tensor([[2, 1]])
    """
    return flip(x, 1)


def rot90(x: Like, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Tensor:
    """Turned k times by 90 degrees, from the first of two axes towards the second.

    Raises:
        ShapeError: the axes are the same or out of range.

    >>> rot90([[1, 2], [3, 4]])
    tensor([[2, 4],
            [1, 3]])
    """
    x = as_tensor(x)
    normalize_axis(axes, x.ndim)
    first, second = axes
    if k % 2 == 0:
        return flip(x, axes) if k % 4 else x
    return flip(swapaxes(x, first, second), first if k % 4 == 1 else second)


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


def repeat(x: Like, repeats: int | Sequence[int], axis: int | None = None) -> Tensor:
    """Each element so many times in a row, along an axis (by default of all axes made one).

    >>> repeat([1, 2], 2)
    tensor([1, 1, 2, 2])
    >>> repeat([[1, 2]], [1, 2], axis=1)
    tensor([[1, 2, 2]])
    """
    x = as_tensor(x)
    if axis is None:
        return repeat(flatten(x), repeats, 0)
    (place,) = normalize_axis(axis, x.ndim)
    try:
        rows = np.repeat(np.arange(x.shape[place]), repeats)
    except ValueError as error:
        raise ShapeError(f"cannot repeat length {x.shape[place]} by {repeats}: {error}") from None
    return x[(slice(None),) * place + (rows,)]


def tile(x: Like, repetitions: int | Sequence[int]) -> Tensor:
    """The whole tensor so many times along each axis; axes are added in front as needed.

    >>> tile([1, 2], (2, 2))
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    x = as_tensor(x)
    counts = [repetitions] if isinstance(repetitions, int) else list(repetitions)
    counts = [1] * (x.ndim - len(counts)) + counts
    lengths = [1] * (len(counts) - x.ndim) + list(x.shape)
    apart = [n for length in lengths for n in (1, length)]
    repeated = [n for pair in zip(counts, lengths, strict=True) for n in pair]
    whole = [count * length for count, length in zip(counts, lengths, strict=True)]
    return reshape(broadcast_to(reshape(x, apart), repeated), whole)
