"""Reductions over axes: sums, means, extremes, products, cumulative sums, norms."""

from __future__ import annotations

import math

import numpy as np

from gradlab.errors import ArgumentError, ShapeError
from gradlab.graph.arithmetic import square
from gradlab.graph.comparison import equal, greater, isfinite, not_equal, where
from gradlab.graph.dtypes import BOOL, INT64, DType
from gradlab.graph.elementwise import floating
from gradlab.graph.extremes import abs
from gradlab.graph.functions import exp, sqrt
from gradlab.graph.joining import concat, flip
from gradlab.graph.op import Kink, Op, Shape, declare
from gradlab.graph.scaling import scale
from gradlab.graph.shaping import (
    Axis,
    astype,
    broadcast_to,
    cast,
    normalize_axis,
    permute_dims,
    place_of,
    reshape,
    stop_gradient,
)
from gradlab.graph.summation import block_sum
from gradlab.graph.tensor import Like, Tensor, apply, as_tensor

Axes = tuple[int, ...]


def _reduced(x: Tensor, axis: Axes, keepdims: bool) -> tuple[Shape, DType]:
    if keepdims:
        return tuple(1 if i in axis else n for i, n in enumerate(x.shape)), x.dtype
    return tuple(n for i, n in enumerate(x.shape) if i not in axis), x.dtype


def _restored(g: Tensor, x: Tensor, axis: Axes) -> Tensor:
    """A reduced tensor with its axes back, of length one."""
    return reshape(g, tuple(1 if i in axis else n for i, n in enumerate(x.shape)))


def _extreme_vjp(g: Tensor, f: Tensor, x: Tensor, axis: Axes, keepdims: bool) -> Tensor:
    """The adjoint in equal shares to all elements that are the extreme."""
    hit = astype(equal(x, _restored(f, x, axis)), g.dtype)
    return hit * (_restored(g, x, axis) / sum(hit, axis, keepdims=True))


def _logsumexp(xp, x, axis, keepdims):  # type: ignore[no-untyped-def]
    top = xp.max(x, axis=axis, keepdims=True)
    # An infinite maximum is the answer by itself, and ∞ − ∞ would be NaN.
    shift = xp.where(xp.isfinite(top), top, xp.zeros_like(top))
    f = xp.log(block_sum(xp, xp.exp(x - shift), axis, keepdims=True)) + shift
    return f if keepdims else xp.squeeze(f, axis=axis)


def _logsumexp_vjp(g: Tensor, f: Tensor, x: Tensor, axis: Axes, keepdims: bool) -> Tensor:
    # exp(x − f) would have the rounding of f in its exponent, which for large x is anything.
    top = stop_gradient(max(x, axis, keepdims=True))
    weights = exp(x - where(isfinite(top), top, 0.0))
    return weights * (_restored(g, x, axis) / sum(weights, axis, keepdims=True))


def _cumsum(xp, x, axis):  # type: ignore[no-untyped-def]
    if xp is np and x.dtype == np.float32:  # whose errors would add up
        return xp.cumsum(x, axis=axis, dtype=np.float64).astype(np.float32)
    return xp.cumsum(x, axis=axis)


SUM = declare(
    Op(
        "sum",
        forward=block_sum,
        infer=_reduced,
        vjps=(lambda g, f, x, axis, keepdims: broadcast_to(_restored(g, x, axis), x.shape),),
        formula="Σ x",
        derivatives=("1",),
    )
)
MAX = declare(
    Op(
        "max",
        forward=lambda xp, x, axis, keepdims: x.max(axis=axis, keepdims=keepdims),
        infer=_reduced,
        vjps=(_extreme_vjp,),
        formula="max x",
        derivatives=("1 where x is the maximum (shared at a tie), else 0",),
        kinks=(Kink(([2.0, 1.0, 2.0],), ([0.5, 0.0, 0.5],)),),
    )
)
MIN = declare(
    Op(
        "min",
        forward=lambda xp, x, axis, keepdims: x.min(axis=axis, keepdims=keepdims),
        infer=_reduced,
        vjps=(_extreme_vjp,),
        formula="min x",
        derivatives=("1 where x is the minimum (shared at a tie), else 0",),
        kinks=(Kink(([1.0, 2.0, 1.0],), ([0.5, 0.0, 0.5],)),),
    )
)
LOGSUMEXP = declare(
    Op(
        "logsumexp",
        forward=_logsumexp,
        infer=_reduced,
        vjps=(_logsumexp_vjp,),
        formula="log Σ exp x",
        derivatives=("exp(x − f)",),
    )
)
CUMSUM = declare(
    Op(
        "cumsum",
        forward=_cumsum,
        infer=lambda x, axis: (x.shape, x.dtype),
        vjps=(lambda g, f, x, axis: flip(cumsum(flip(g, axis), axis), axis),),
        formula="running Σ x",
        derivatives=("1 for each element up to it",),
    )
)


def _reduce(op: Op, x: Like, axis: Axis, keepdims: bool) -> Tensor:
    x = as_tensor(x)
    axes = normalize_axis(axis, x.ndim)
    return apply(op, (x,), {"axis": axes, "keepdims": keepdims}) if axes else x


def nonempty(x: Tensor, axis: Axis, what: str) -> int:
    """How many elements there are along the axes; ShapeError if there are none."""
    count = math.prod(x.shape[a] for a in normalize_axis(axis, x.ndim))
    if count:
        return count
    raise ShapeError(f"the {what} over axis {axis} of shape {x.shape} has no elements")


def _counted(x: Like) -> Tensor:
    """As it is if floating, else as int64: sums of booleans and short integers must not wrap."""
    x = as_tensor(x)
    return x if x.dtype.kind == "f" else cast(x, INT64)


def sum(x: Like, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Sum over axes (all by default), Σ x; booleans are counted, integers added as int64.

    >>> sum([[1.0, 2.0], [3.0, 4.0]], axis=0)
    tensor([4., 6.])
    """
    return _reduce(SUM, _counted(x), axis, keepdims)


def mean(x: Like, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Mean over axes (all by default), Σ x / n.

    Raises:
        ShapeError: there is nothing to take the mean of.

    >>> mean([[1.0, 2.0], [3.0, 4.0]], axis=1)
    tensor([1.5, 3.5])
    """
    x = floating(x)
    return sum(x, axis, keepdims) / nonempty(x, axis, "mean")


def var(x: Like, axis: Axis = None, keepdims: bool = False, correction: float = 0.0) -> Tensor:
    """Variance over axes, Σ (x − mean)² / (n − correction).

    >>> var([1.0, 3.0])
    tensor(1.)
    """
    x = floating(x)
    rest = _degrees(x, axis, correction)
    return sum(square(deviations(x, axis)[1]), axis, keepdims) / rest


def std(x: Like, axis: Axis = None, keepdims: bool = False, correction: float = 0.0) -> Tensor:
    """Standard deviation over axes, √var; its subgradient where all are equal is 0.

    >>> std([1.0, 5.0]), std([1e30, 5e30])
    (tensor(2.), tensor(2.e+30))
    """
    x = floating(x)
    rest = _degrees(x, axis, correction)
    _, each, size = deviations(x, axis)
    by = scale(2 * size)  # the deviations are no larger
    squares = sum(square(each * by), axis, keepdims=True)
    root = sqrt(squares / rest) / by
    return root if keepdims else reshape(root, _reduced(x, normalize_axis(axis, x.ndim), False)[0])


def _degrees(x: Tensor, axis: Axis, correction: float) -> float:
    """What a sum of squared deviations is divided by: n − correction."""
    count = nonempty(x, axis, "variance")
    if count <= correction:
        raise ArgumentError(f"correction={correction} needs more than {count} elements")
    return count - correction


def deviations(x: Tensor, axis: Axis) -> tuple[Tensor, Tensor, Tensor]:
    """Mean μ and deviations x − μ over some axes, which are kept, and a bound of half their size.

    They are taken from the first element before they are taken from the mean: so those of equal
    numbers are exactly 0, where the rounding of a large mean would count as a deviation.

    >>> mean, each, _ = deviations(as_tensor([[1e8, 1e8], [1.0, 3.0]]), 1)
    >>> mean.numpy().tolist(), each.numpy().tolist()
    ([[100000000.0], [2.0]], [[0.0, 0.0], [-1.0, 1.0]])
    """
    axes = normalize_axis(axis, x.ndim)
    # The result does not depend on the first element, and so neither does its gradient.
    first = stop_gradient(x[tuple(slice(0, 1 if a in axes else None) for a in range(x.ndim))])
    shifted = x - first
    shift = mean(shifted, axes, keepdims=True)
    return first + shift, shifted - shift, max(abs(stop_gradient(shifted)), axes, keepdims=True)


def any(x: Like, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether any element along the axes is other than 0.

    >>> any([[0, 1], [0, 0]], axis=1)
    tensor([ True, False])
    """
    return greater(sum(not_equal(x, 0), axis, keepdims), 0)


def all(x: Like, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether all elements along the axes are other than 0.

    >>> all([[0, 1], [1, 1]], axis=1)
    tensor([False,  True])
    """
    return equal(sum(equal(x, 0), axis, keepdims), 0)


def max(x: Like, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Largest element over axes; those that tie share the adjoint equally.

    >>> max([[1.0, 5.0], [3.0, 4.0]], axis=0)
    tensor([3., 5.])
    """
    x = as_tensor(x)
    nonempty(x, axis, "maximum")
    return _reduce(MAX, x, axis, keepdims)


def min(x: Like, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Smallest element over axes; those that tie share the adjoint equally.

    >>> min([[1.0, 5.0], [3.0, 4.0]], axis=0)
    tensor([1., 4.])
    """
    x = as_tensor(x)
    nonempty(x, axis, "minimum")
    return _reduce(MIN, x, axis, keepdims)


def prod(x: Like, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Product over axes, Π x; its gradient is right at zeros too.

    >>> prod([2.0, 3.0, 0.0])
    tensor(0.)
    """
    x = _counted(x)
    axes = normalize_axis(axis, x.ndim)
    kept = tuple(i for i in range(x.ndim) if i not in axes)
    shape, _ = _reduced(x, axes, keepdims)
    nonempty(x, axis, "product")
    count = math.prod(x.shape[i] for i in axes)
    x = reshape(permute_dims(x, kept + axes), (*(x.shape[i] for i in kept), count))
    # Multiplied pairwise, in halves, so that the rule of multiplication is all that it needs.
    while x.shape[-1] > 1:
        half = x.shape[-1] // 2
        pairs = x[..., :half] * x[..., half : 2 * half]
        x = concat([pairs, x[..., 2 * half :]], -1) if x.shape[-1] % 2 else pairs
    return reshape(x, shape)


def logsumexp(x: Like, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """log Σ eˣ over axes, without overflow.

    >>> logsumexp([1000.0, 0.0])
    tensor(1000.)
    """
    x = floating(x)
    nonempty(x, axis, "logsumexp")
    return _reduce(LOGSUMEXP, x, axis, keepdims)


def cumsum(x: Like, axis: int = -1) -> Tensor:
    """Running sum along an axis.

    >>> cumsum([1.0, 2.0, 3.0])
    tensor([1., 3., 6.])
    """
    x = _counted(x)
    (place,) = normalize_axis(axis, x.ndim)
    return apply(CUMSUM, (x,), {"axis": place})


def diff(
    x: Like, n: int = 1, axis: int = -1, prepend: Like | None = None, append: Like | None = None
) -> Tensor:
    """Differences of neighbors along an axis, n times over; of booleans, whether they differ.

    Args:
        x: at least one axis.
        n: how often differences are taken, 0 or more.
        axis: along which the neighbors are.
        prepend, append: values before and after x along the axis; a number stands for one of them.

    >>> diff([1.0, 2.0, 4.0])
    tensor([1., 2.])
    """
    x = as_tensor(x)
    if n < 0:
        raise ArgumentError(f"diff is taken 0 or more times, got n={n}")
    place = place_of(axis, x.ndim)
    before = (slice(None),) * place
    one = (*x.shape[:place], 1, *x.shape[place + 1 :])
    ends = [None if e is None else as_tensor(e) for e in (prepend, append)]
    first, last = (e if e is None or e.ndim else broadcast_to(e, one) for e in ends)
    if n and (first is not None or last is not None):
        x = concat([part for part in (first, x, last) if part is not None], place)
    for _ in range(n):
        high, low = x[(*before, slice(1, None))], x[(*before, slice(None, -1))]
        x = not_equal(high, low) if x.dtype == BOOL else high - low
    return x


def norm(x: Like, axis: Axis = None, keepdims: bool = False, ord: float = 2) -> Tensor:
    """Vector norm over axes: Σ|x| (ord 1), √Σx² (2), max|x| (∞); the subgradient at 0 is 0.

    Raises:
        ArgumentError: another ord.

    Squares beyond the dtype's range do no harm: where the largest |x| is very large or very small,
    they are those of x times a power of 2.

    >>> norm([3.0, 4.0]), norm([3e30, 4e30])
    (tensor(5.), tensor(5.e+30))
    """
    x = floating(x)
    if ord == 1:
        return sum(abs(x), axis, keepdims)
    if ord == math.inf:
        return max(abs(x), axis, keepdims)
    if ord != 2:
        raise ArgumentError(f"norm knows ord 1, 2 and inf, got {ord}")
    axes = normalize_axis(axis, x.ndim)
    if 0 in (x.shape[a] for a in axes):
        return sum(x, axis, keepdims)
    by = scale(max(abs(stop_gradient(x)), axes, keepdims=True))
    root = sqrt(sum(square(x * by), axes, keepdims=True)) / by
    return root if keepdims else reshape(root, _reduced(x, axes, keepdims)[0])
