"""Products of vectors, matrices and tensors, as NumPy's functions of these names."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gradlab.errors import ShapeError
from gradlab.graph.arithmetic import multiply
from gradlab.graph.elementwise import promote
from gradlab.graph.joining import roll
from gradlab.graph.linalg import matmul
from gradlab.graph.shaping import flatten, moveaxis, permute_dims, place_of, reshape
from gradlab.graph.tensor import Like, Tensor, as_tensor


def dot(x: Like, y: Like) -> Tensor:
    """Product over the last axis of x and the last but one of y (a vector's only one).

    Of vectors it is the scalar product, of matrices the matrix product; numbers scale.

    >>> dot([1.0, 2.0], [3.0, 4.0])
    tensor(11.)
    """
    x, y = as_tensor(x), as_tensor(y)
    if x.ndim == 0 or y.ndim == 0:
        return multiply(x, y)
    if y.ndim == 1 or x.ndim <= 2 == y.ndim:
        return matmul(x, y)
    return tensordot(x, y, (-1, -2))


def inner(x: Like, y: Like) -> Tensor:
    """Product over the last axes of both; numbers scale.

    >>> inner([[1.0, 2.0]], [[3.0, 4.0], [0.0, 1.0]])
    tensor([[11.,  2.]])
    """
    x, y = as_tensor(x), as_tensor(y)
    if x.ndim == 0 or y.ndim == 0:
        return multiply(x, y)
    return tensordot(x, y, (-1, -1))


def outer(x: Like, y: Like) -> Tensor:
    """Products xᵢ · yⱼ of all elements of two tensors, which are flattened.

    >>> outer([1.0, 2.0], [3.0, 4.0])
    tensor([[3., 4.],
            [6., 8.]])
    """
    x, y = flatten(x), flatten(y)
    return multiply(reshape(x, (x.size, 1)), reshape(y, (1, y.size)))


Axes = int | tuple[int | Sequence[int], int | Sequence[int]]


def tensordot(x: Like, y: Like, axes: Axes = 2) -> Tensor:
    """Sum of products over axes of x and axes of y.

    Args:
        x, y: factors; the result has the other axes of x, then those of y.
        axes: axes of x and axes of y that belong together, or a number n: the last n of x and the
            first n of y.

    Raises:
        ShapeError: axes that belong together differ in length or number.

    >>> tensordot([[1.0, 2.0], [3.0, 4.0]], [[1.0, 0.0], [0.0, 1.0]])
    tensor(5.)
    """
    x, y = promote(x, y)
    pair = (range(x.ndim - axes, x.ndim), range(axes)) if isinstance(axes, int) else axes
    mine, other = (
        [place_of(a, each.ndim) for a in ([part] if isinstance(part, int) else part)]
        for each, part in zip((x, y), pair, strict=True)
    )
    lengths = [x.shape[a] for a in mine]
    if lengths != [y.shape[a] for a in other]:
        raise ShapeError(
            f"tensordot of {x.shape} over axes {mine} and {y.shape} over axes {other}: "
            "axes that belong together must be equally long"
        )
    rows = [a for a in range(x.ndim) if a not in mine]
    columns = [a for a in range(y.ndim) if a not in other]
    left, right = [x.shape[a] for a in rows], [y.shape[a] for a in columns]
    count = math.prod(lengths)
    product = matmul(
        reshape(permute_dims(x, [*rows, *mine]), (math.prod(left), count)),
        reshape(permute_dims(y, [*other, *columns]), (count, math.prod(right))),
    )
    return reshape(product, (*left, *right))


def kron(x: Like, y: Like) -> Tensor:
    """Kronecker product: y scaled by each element of x, as blocks in place of that element.

    >>> kron([[1, 2]], [[1, 0], [0, 1]])
    tensor([[1, 0, 2, 0],
            [0, 1, 0, 2]])
    """
    x, y = as_tensor(x), as_tensor(y)
    ndim = max(x.ndim, y.ndim)
    outside = (1,) * (ndim - x.ndim) + x.shape
    inside = (1,) * (ndim - y.ndim) + y.shape
    blocks = multiply(
        reshape(x, [n for length in outside for n in (length, 1)]),
        reshape(y, [n for length in inside for n in (1, length)]),
    )
    return reshape(blocks, [a * b for a, b in zip(outside, inside, strict=True)])


def cross(x: Like, y: Like, axis: int = -1) -> Tensor:
    """Cross product of vectors of three along an axis; the other axes broadcast.

    Raises:
        ShapeError: vectors of another length.

    >>> cross([1.0, 0.0, 0.0], [0.0, 1.0, 0.0])
    tensor([0., 0., 1.])
    """
    x, y = as_tensor(x), as_tensor(y)
    for each in (x, y):
        if each.shape[place_of(axis, each.ndim)] != 3:
            raise ShapeError(f"cross takes vectors of 3 along axis {axis}, got shape {each.shape}")
    x, y = moveaxis(x, axis, -1), moveaxis(y, axis, -1)
    first = multiply(roll(x, -1, -1), roll(y, -2, -1))
    return moveaxis(first - multiply(roll(x, -2, -1), roll(y, -1, -1)), -1, axis)
