"""Absolute values, the larger and the smaller of two, and what lies between two bounds."""

from __future__ import annotations

from typing import Any

from gradlab.graph.comparison import equal, greater, less, where
from gradlab.graph.elementwise import HUGE, binary, elementwise
from gradlab.graph.op import Interval, Kink
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
