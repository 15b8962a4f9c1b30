"""NumPy's other ways to join tensors and to take them apart: by rows, columns and depth."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from gradlab.errors import ShapeError
from gradlab.graph.joining import concat, stack
from gradlab.graph.shaping import atleast_1d, atleast_2d, atleast_3d, flatten, place_of
from gradlab.graph.tensor import Like, Tensor, as_tensor


def hstack(tensors: Sequence[Like]) -> Tensor:
    """Side by side along the second axis, vectors along their only one.

    >>> hstack([[1, 2], [3]])
    tensor([1, 2, 3])
    """
    parts = [atleast_1d(x) for x in tensors]
    return concat(parts, 0 if parts and parts[0].ndim == 1 else 1)


def vstack(tensors: Sequence[Like]) -> Tensor:
    """One below the other, vectors as rows.

    >>> vstack([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])
    """
    return concat([atleast_2d(x) for x in tensors])


def dstack(tensors: Sequence[Like]) -> Tensor:
    """One behind the other along the third axis, after ``atleast_3d``.

    >>> dstack([[1, 2], [3, 4]])
    tensor([[[1, 3],
             [2, 4]]])
    """
    return concat([atleast_3d(x) for x in tensors], 2)


def column_stack(tensors: Sequence[Like]) -> Tensor:
    """Side by side along the second axis, vectors as columns.

    >>> column_stack([[1, 2], [3, 4]])
    tensor([[1, 3],
            [2, 4]])
    """
    parts = [as_tensor(x) for x in tensors]
    return concat([x if x.ndim > 1 else stack([flatten(x)], 1) for x in parts], 1)


def append(x: Like, values: Like, axis: int | None = None) -> Tensor:
    """x with more values after it along an axis; both are flattened if none is given.

    >>> append([[1, 2]], [[3, 4]], axis=0)
    tensor([[1, 2],
            [3, 4]])
    """
    if axis is None:
        return concat([flatten(x), flatten(values)])
    return concat([x, values], axis)


def array_split(x: Like, parts: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """Cut along an axis, into parts of nearly equal length or in front of the given positions.

    Of parts of two lengths the longer ones come first. ``split`` takes lengths instead.

    Raises:
        ShapeError: fewer than one part.

    >>> array_split([1, 2, 3], 2), array_split([1, 2, 3], [1])
    ([tensor([1, 2]), tensor([3])], [tensor([1]), tensor([2, 3])])
    """
    x = as_tensor(x)
    place = place_of(axis, x.ndim)
    length = x.shape[place]
    if isinstance(parts, int | np.integer):
        if parts < 1:
            raise ShapeError(f"cannot split shape {x.shape} into {parts} parts: give 1 or more")
        short, longer = divmod(length, int(parts))
        sizes = [short + 1] * longer + [short] * (int(parts) - longer)
        cuts = list(itertools.accumulate(sizes))[:-1]
    else:
        cuts = [int(cut) for cut in parts]
    before = (slice(None),) * place
    return [x[(*before, slice(a, b))] for a, b in itertools.pairwise([0, *cuts, length])]


def vsplit(x: Like, parts: int | Sequence[int]) -> list[Tensor]:
    """Cut along the first axis, into equal parts or in front of the given positions.

    >>> vsplit([[1, 2], [3, 4]], 2)
    [tensor([[1, 2]]), tensor([[3, 4]])]
    """
    return _equal_parts("vsplit", as_tensor(x), parts, 0, 2)


def hsplit(x: Like, parts: int | Sequence[int]) -> list[Tensor]:
    """Cut along the second axis, a vector along its only one, as ``vsplit`` does.

    >>> hsplit([1, 2, 3, 4], [1])
    [tensor([1]), tensor([2, 3, 4])]
    """
    x = as_tensor(x)
    return _equal_parts("hsplit", x, parts, min(x.ndim, 2) - 1, 1)


def dsplit(x: Like, parts: int | Sequence[int]) -> list[Tensor]:
    """Cut along the third axis, as ``vsplit`` does.

    >>> dsplit([[[1, 2]]], 2)
    [tensor([[[1]]]), tensor([[[2]]])]
    """
    return _equal_parts("dsplit", as_tensor(x), parts, 2, 3)


def _equal_parts(
    name: str, x: Tensor, parts: int | Sequence[int], axis: int, ndim: int
) -> list[Tensor]:
    if x.ndim < ndim:
        raise ShapeError(f"{name} needs at least {ndim} axes, got shape {x.shape}")
    if isinstance(parts, int | np.integer) and (parts < 1 or x.shape[axis] % parts):
        raise ShapeError(f"cannot split length {x.shape[axis]} into {parts} equal parts")
    return array_split(x, parts, axis)
