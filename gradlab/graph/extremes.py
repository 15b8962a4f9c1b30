"""Absolute values, the larger and the smaller of two, and what lies between two bounds."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradlab.graph.comparison import equal, greater, isnan, less, where
from gradlab.graph.elementwise import HUGE, INF, binary, elementwise, promote
from gradlab.graph.op import Interval, Kink, Op
from gradlab.graph.rounding import sign
from gradlab.graph.shaping import astype
from gradlab.graph.tensor import Like, Tensor, apply, as_tensor

ABS = elementwise(
    "abs",
    lambda xp, x: xp.abs(x),
    lambda g, f, x: g * sign(x),
    formula="|x|",
    derivatives=("sign x",),
    kinks=(Kink((0.0,), (0.0,)),),
    domain=(Interval(extremes=HUGE),),
)


def _tie_rule(chosen: Any) -> Any:
    """Adjoint to the operand that was chosen; halves where both are equal."""

    def rule(mine: int) -> Any:
        def vjp(g: Tensor, f: Tensor, *inputs: Tensor) -> Tensor:
            me, other = inputs[mine], inputs[1 - mine]
            share = where(equal(me, other), 0.5, astype(chosen(me, other), g.dtype))
            return g * share

        return vjp

    return rule


_larger = _tie_rule(lambda me, other: greater(me, other))
_smaller = _tie_rule(lambda me, other: less(me, other))

MAXIMUM = elementwise(
    "maximum",
    lambda xp, x, y: xp.maximum(x, y),
    _larger(0),
    _larger(1),
    formula="max(x, y)",
    derivatives=("1 if x > y, ½ at a tie, else 0", "1 if y > x, ½ at a tie, else 0"),
    kinks=(Kink((1.0, 1.0), (0.5, 0.5)),),
    domain=(Interval(extremes=HUGE),) * 2,
)
MINIMUM = elementwise(
    "minimum",
    lambda xp, x, y: xp.minimum(x, y),
    _smaller(0),
    _smaller(1),
    formula="min(x, y)",
    derivatives=("1 if x < y, ½ at a tie, else 0", "1 if y < x, ½ at a tie, else 0"),
    kinks=(Kink((1.0, 1.0), (0.5, 0.5)),),
    domain=(Interval(extremes=HUGE),) * 2,
)


def abs(x: Like) -> Tensor:
    """Absolute value, |x|; the subgradient at 0 is 0.

    >>> abs([-1.0, 2.0])
    tensor([1., 2.])
    """
    return apply(ABS, (as_tensor(x),))


def maximum(x: Like, y: Like) -> Tensor:
    """The larger of x and y; at a tie each gets half of the adjoint.

    >>> maximum([1.0, 5.0], 3)
    tensor([3., 5.])
    """
    return binary(MAXIMUM, x, y)


def minimum(x: Like, y: Like) -> Tensor:
    """The smaller of x and y; at a tie each gets half of the adjoint.

    >>> minimum([1.0, 5.0], 3)
    tensor([1., 3.])
    """
    return binary(MINIMUM, x, y)


def fmax(x: Like, y: Like) -> Tensor:
    """The larger of x and y, as ``maximum``, but a number wins over NaN, whose adjoint is 0.

    >>> fmax([1.0, float("nan")], [3.0, 2.0])
    tensor([3., 2.])
    """
    return _of_numbers(MAXIMUM, x, y)


def fmin(x: Like, y: Like) -> Tensor:
    """The smaller of x and y, as ``minimum``, but a number wins over NaN, whose adjoint is 0.

    >>> fmin([1.0, float("nan")], [3.0, 2.0])
    tensor([1., 2.])
    """
    return _of_numbers(MINIMUM, x, y)


def _of_numbers(op: Op, x: Like, y: Like) -> Tensor:
    x, y = promote(x, y)
    return where(isnan(y), x, where(isnan(x), y, apply(op, (x, y))))


def clip(x: Like, low: Like | None = None, high: Like | None = None) -> Tensor:
    """x kept within [low, high]; the derivative by x is 1 inside and at the bounds, 0 outside.

    >>> clip([-2.0, 0.5, 2.0], -1, 1)
    tensor([-1. ,  0.5,  1. ])
    """
    x = as_tensor(x)
    if low is not None:
        x = where(less(x, low), low, x)
    if high is not None:
        x = where(greater(x, high), high, x)
    return x


def nan_to_num(
    x: Like, nan: Like = 0.0, posinf: Like | None = None, neginf: Like | None = None
) -> Tensor:
    """x with finite numbers in place of NaN, ∞ and −∞, for which the adjoint of x is 0.

    Args:
        x: any numbers; whole ones are finite.
        nan, posinf, neginf: what stands in; by default 0 and the largest and smallest of the dtype.

    >>> nan_to_num([1.0, float("nan"), float("inf")], posinf=9.0)
    tensor([1., 0., 9.])
    """
    x = as_tensor(x)
    if x.dtype.kind != "f":
        return x
    top = float(np.finfo(x.dtype).max)
    x = where(equal(x, INF), top if posinf is None else posinf, x)
    x = where(equal(x, -INF), -top if neginf is None else neginf, x)
    return where(isnan(x), nan, x)
