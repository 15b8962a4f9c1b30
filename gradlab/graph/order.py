"""Positions of extremes, which have no derivative, and sorting, which has."""

from __future__ import annotations

from gradlab.errors import ShapeError
from gradlab.graph.dtypes import INT64
from gradlab.graph.indexing import take_along_axis
from gradlab.graph.op import Op, declare
from gradlab.graph.shaping import normalize_axis, reshape
from gradlab.graph.tensor import Like, Tensor, apply, as_tensor

ARGMAX = declare(
    Op(
        "argmax",
        forward=lambda xp, x, axis: xp.argmax(x, axis=axis),
        infer=lambda x, axis: (x.shape[:axis] + x.shape[axis + 1 :], INT64),
        vjps=(None,),
        formula="position of max x",
    )
)
ARGMIN = declare(
    Op(
        "argmin",
        forward=lambda xp, x, axis: xp.argmin(x, axis=axis),
        infer=lambda x, axis: (x.shape[:axis] + x.shape[axis + 1 :], INT64),
        vjps=(None,),
        formula="position of min x",
    )
)
ARGSORT = declare(
    Op(
        "argsort",
        forward=lambda xp, x, axis: xp.argsort(x, axis=axis, stable=True),
        infer=lambda x, axis: (x.shape, INT64),
        vjps=(None,),
        formula="order of x",
    )
)


def argmax(x: Like, axis: int | None = None) -> Tensor:
    """Position of the largest element, the first at a tie; it has no derivative.

    >>> argmax([[1.0, 5.0], [3.0, 2.0]], axis=1)
    tensor([1, 0])
    """
    return _position(ARGMAX, x, axis)


def argmin(x: Like, axis: int | None = None) -> Tensor:
    """Position of the smallest element, the first at a tie; it has no derivative.

    >>> argmin([[1.0, 5.0], [3.0, 2.0]], axis=1)
    tensor([0, 1])
    """
    return _position(ARGMIN, x, axis)


def _position(op: Op, x: Like, axis: int | None) -> Tensor:
    x = as_tensor(x)
    if axis is None:
        return _position(op, reshape(x, (-1,)), 0)
    (place,) = normalize_axis(axis, x.ndim)
    if x.shape[place] == 0:
        raise ShapeError(f"{op.name} over axis {axis} of shape {x.shape} has no elements")
    return apply(op, (x,), {"axis": place})


def argsort(x: Like, axis: int = -1) -> Tensor:
    """Positions in ascending order, equal elements in theirs; it has no derivative.

    >>> argsort([3.0, 1.0, 2.0])
    tensor([1, 2, 0])
    """
    x = as_tensor(x)
    (place,) = normalize_axis(axis, x.ndim)
    return apply(ARGSORT, (x,), {"axis": place})


def sort(x: Like, axis: int = -1) -> Tensor:
    """In ascending order along an axis; each adjoint goes back to where its element was.

    >>> sort([3.0, 1.0, 2.0])
    tensor([1., 2., 3.])
    """
    x = as_tensor(x)
    return take_along_axis(x, argsort(x, axis), axis)
