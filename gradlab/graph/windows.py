"""Windows that slide over the last axes, and their adjoint, which adds them up again."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from gradlab.errors import ArgumentError, ShapeError
from gradlab.graph.dtypes import Array, DType
from gradlab.graph.op import Op, Shape, declare
from gradlab.graph.tensor import Like, Tensor, apply, as_tensor

Sizes = tuple[int, ...]


def sizes(name: str, given: int | Sequence[int], rank: int, least: int = 1) -> Sizes:
    """One whole number for each axis; a single one counts for all.

    Raises:
        ArgumentError: a number below the least, none, or too many.
    """
    try:
        found = tuple(map(operator.index, given)) if isinstance(given, Sequence) else None
        found = (operator.index(given),) * rank if found is None else found  # type: ignore[arg-type]
    except TypeError:
        found = ()
    if len(found) != rank or any(n < least for n in found):
        raise ArgumentError(
            f"{name} must be a whole number from {least} up, or {rank} of them, got {given!r}"
        )
    return found


def positions(length: int, size: int, stride: int, dilation: int) -> int:
    """How many windows fit into a length: ⌊(length − dilation (size − 1) − 1) / stride⌋ + 1."""
    return (length - dilation * (size - 1) - 1) // stride + 1


def same_padding(length: int, size: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """Zeros before and after a length for ⌈length / stride⌉ windows, TensorFlow's padding "same".

    Where they are odd in number, the one more comes after.

    >>> same_padding(32, size=3, stride=2)
    (0, 1)
    """
    total = max((-(-length // stride) - 1) * stride + dilation * (size - 1) + 1 - length, 0)
    return total // 2, total - total // 2


def cut(x: Any, axis: int, first: int, count: int, stride: int) -> Any:
    """Every ``stride``-th slice of an array along an axis, ``count`` of them."""
    key = [slice(None)] * x.ndim
    key[axis] = slice(first, first + stride * (count - 1) + 1, stride)
    return x[tuple(key)]


def spread(xp: Any, x: Any, axis: int, first: int, stride: int, length: int) -> Any:
    """Zeros of a length along an axis, with the slices of x at ``first``, ``first + stride``, ...

    The adjoint of ``cut``.
    """
    count = x.shape[axis]
    if stride > 1:
        x = xp.expand_dims(x, axis + 1)
        x = xp.pad(x, [(0, stride - 1) if a == axis + 1 else (0, 0) for a in range(x.ndim)])
        x = x.reshape((*x.shape[:axis], count * stride, *x.shape[axis + 2 :]))
        x = cut(x, axis, 0, stride * (count - 1) + 1, 1)
    rest = length - first - x.shape[axis]
    return xp.pad(x, [(first, rest) if a == axis else (0, 0) for a in range(x.ndim)])


def _windows(xp: Any, x: Array, size: Sizes, stride: Sizes, dilation: Sizes) -> Array:
    start = x.ndim - len(size)
    for i, (k, s, d) in enumerate(zip(size, stride, dilation, strict=True)):
        axis = start + i
        count = positions(x.shape[axis], k, s, d)
        x = xp.stack([cut(x, axis, j * d, count, s) for j in range(k)], axis=-1)
    return x


def _fold(xp: Any, x: Array, lengths: Sizes, stride: Sizes, dilation: Sizes) -> Array:
    rank = len(lengths)
    for i in reversed(range(rank)):
        axis = x.ndim - rank - 1
        parts = (
            spread(xp, x[..., j], axis, j * dilation[i], stride[i], lengths[i])
            for j in range(x.shape[-1])
        )
        total = next(parts)
        for part in parts:
            total = total + part
        x = total
    return x


def _infer_windows(x: Tensor, size: Sizes, stride: Sizes, dilation: Sizes) -> tuple[Shape, DType]:
    rank = len(size)
    along = zip(x.shape[-rank:], size, stride, dilation, strict=True)
    counts = tuple(positions(*each) for each in along)
    if any(count < 1 for count in counts):
        raise ShapeError(
            f"windows of {size} (dilation {dilation}) are larger than {x.shape[-rank:]}, "
            f"the last axes of {x.shape}; pad first or take smaller ones"
        )
    return (*x.shape[:-rank], *counts, *size), x.dtype


def _infer_fold(x: Tensor, lengths: Sizes, stride: Sizes, dilation: Sizes) -> tuple[Shape, DType]:
    return (*x.shape[: -2 * len(lengths)], *lengths), x.dtype


WINDOWS: Op = declare(
    Op(
        "windows",
        forward=lambda xp, x, size, stride, dilation: _windows(xp, x, size, stride, dilation),
        infer=_infer_windows,
        vjps=(
            lambda g, y, x, size, stride, dilation: apply(
                FOLD,
                (g,),
                {"lengths": x.shape[-len(size) :], "stride": stride, "dilation": dilation},
            ),
        ),
        formula="windows of x",
    )
)
FOLD: Op = declare(
    Op(
        "fold",
        forward=lambda xp, x, lengths, stride, dilation: _fold(xp, x, lengths, stride, dilation),
        infer=_infer_fold,
        vjps=(
            lambda g, y, x, lengths, stride, dilation: apply(
                WINDOWS,
                (g,),
                {"size": x.shape[-len(lengths) :], "stride": stride, "dilation": dilation},
            ),
        ),
        formula="windows x, added up",
    )
)


def windows(
    x: Like,
    size: int | Sequence[int],
    stride: int | Sequence[int] = 1,
    dilation: int | Sequence[int] = 1,
) -> Tensor:
    """The windows that slide over the last axes of x.

    y[..., p, q, i, j] = x[..., s p + d i, s q + d j], for windows over two axes: pooling, for
    example, reduces the last two. Compiled, it is another look at x's memory, without a copy.

    Args:
        x: of shape (..., *lengths).
        size: of a window, along each of the last axes; one number for the last axis alone.
        stride: from one window to the next, s.
        dilation: from one element of a window to the next, d.

    Raises:
        ArgumentError: a size, stride or dilation below 1.
        ShapeError: windows larger than x.

    >>> windows([1.0, 2.0, 3.0, 4.0, 5.0], 3, stride=2)
    tensor([[1., 2., 3.],
            [3., 4., 5.]])
    """
    x = as_tensor(x)
    rank = len(size) if isinstance(size, Sequence) else 1
    if x.ndim < rank:
        raise ShapeError(f"windows over {rank} axes need as many, got shape {x.shape}")
    if rank == 0:
        raise ArgumentError("windows: size must have a number for each axis, got ()")
    params = {
        "size": sizes("windows: size", size, rank),
        "stride": sizes("windows: stride", stride, rank),
        "dilation": sizes("windows: dilation", dilation, rank),
    }
    WINDOWS.infer(x, **params)  # raises for what does not fit
    return apply(WINDOWS, (x,), params)
