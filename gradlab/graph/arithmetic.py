"""Arithmetic, comparisons and choice, element by element."""

from __future__ import annotations

import math
from typing import Any

from gradlab.graph.dtypes import BOOL
from gradlab.graph.elementwise import (
    binary,
    boolean_shape,
    elementwise,
    floating,
    promote,
    unary,
)
from gradlab.graph.op import Interval, Kink, Op
from gradlab.graph.shaping import astype, zeros_like
from gradlab.graph.tensor import Like, Tensor, apply, as_tensor

INF = math.inf
HUGE = (-INF, -1e30, -1e-30, -0.0, 0.0, 1e-30, 1e30, INF, math.nan)
NONZERO = Interval(0.3, 3.0, HUGE)

# --- sums and products ------------------------------------------------------------------------

ADD = elementwise(
    "add",
    lambda xp, x, y: xp.add(x, y),
    lambda g, f, x, y: g,
    lambda g, f, x, y: g,
    formula="x + y",
    derivatives=("1", "1"),
    domain=(Interval(extremes=HUGE),) * 2,
)
SUBTRACT = elementwise(
    "subtract",
    lambda xp, x, y: xp.subtract(x, y),
    lambda g, f, x, y: g,
    lambda g, f, x, y: -g,
    formula="x − y",
    derivatives=("1", "−1"),
    domain=(Interval(extremes=HUGE),) * 2,
)
MULTIPLY = elementwise(
    "multiply",
    lambda xp, x, y: xp.multiply(x, y),
    lambda g, f, x, y: g * y,
    lambda g, f, x, y: g * x,
    formula="x · y",
    derivatives=("y", "x"),
    domain=(Interval(extremes=HUGE),) * 2,
)
DIVIDE = elementwise(
    "divide",
    lambda xp, x, y: xp.divide(x, y),
    lambda g, f, x, y: g / y,
    lambda g, f, x, y: -g * f / y,
    formula="x / y",
    derivatives=("1/y", "−x/y²"),
    domain=(Interval(extremes=HUGE), NONZERO),
)
NEGATIVE = elementwise(
    "negative",
    lambda xp, x: xp.negative(x),
    lambda g, f, x: -g,
    formula="−x",
    derivatives=("−1",),
    domain=(Interval(extremes=HUGE),),
)
SQUARE = elementwise(
    "square",
    lambda xp, x: xp.square(x),
    lambda g, f, x: g * (2 * x),
    formula="x²",
    derivatives=("2x",),
    domain=(Interval(extremes=HUGE),),
)


def add(x: Like, y: Like) -> Tensor:
    """Sum, x + y.

    >>> add([1.0, 2.0], 3)
    tensor([4., 5.])
    """
    return binary(ADD, x, y)


def subtract(x: Like, y: Like) -> Tensor:
    """Difference, x − y.

    >>> subtract(1, [1.0, 2.0])
    tensor([ 0., -1.])
    """
    return binary(SUBTRACT, x, y)


def multiply(x: Like, y: Like) -> Tensor:
    """Product of elements, x · y.

    >>> multiply([[1.0], [2.0]], [3.0, 4.0])
    tensor([[3., 4.],
            [6., 8.]])
    """
    return binary(MULTIPLY, x, y)


def divide(x: Like, y: Like) -> Tensor:
    """Quotient, x / y; integers give floats.

    >>> divide([1, 3], 2)
    tensor([0.5, 1.5])
    """
    x, y = promote(x, y)
    if x.dtype.kind != "f":
        x, y = promote(floating(x), floating(y))
    return apply(DIVIDE, (x, y))


def negative(x: Like) -> Tensor:
    """Negation, −x.

    >>> negative([1.0, -2.0])
    tensor([-1.,  2.])
    """
    return apply(NEGATIVE, (as_tensor(x),))


def square(x: Like) -> Tensor:
    """Square, x².

    >>> square([2.0, -3.0])
    tensor([4., 9.])
    """
    return apply(SQUARE, (as_tensor(x),))


# --- sizes and signs --------------------------------------------------------------------------


def _no_slope(g: Tensor, f: Tensor, *inputs: Tensor) -> Tensor:
    """The derivative of a function of steps: zero wherever there is one."""
    return zeros_like(g)


SIGN = elementwise(
    "sign",
    lambda xp, x: xp.sign(x),
    _no_slope,
    formula="sign x",
    derivatives=("0",),
    kinks=(Kink((0.0,), (0.0,)),),
    domain=(Interval(extremes=HUGE),),
)
FLOOR = elementwise(
    "floor",
    lambda xp, x: xp.floor(x),
    _no_slope,
    formula="⌊x⌋",
    derivatives=("0",),
    kinks=(Kink((1.0,), (0.0,)),),
    domain=(Interval(0.2, 0.8, HUGE),),
)
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


def sign(x: Like) -> Tensor:
    """−1, 0 or 1; its derivative is 0.

    >>> sign([-2.0, 0.0, 5.0])
    tensor([-1.,  0.,  1.])
    """
    return apply(SIGN, (as_tensor(x),))


def floor(x: Like) -> Tensor:
    """Largest whole number not above x; its derivative is 0.

    >>> floor([1.5, -1.5])
    tensor([ 1., -2.])
    """
    x = as_tensor(x)
    return apply(FLOOR, (x,)) if x.dtype.kind == "f" else x


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


# --- comparisons: no derivative ---------------------------------------------------------------


def _comparison(name: str, ufunc: str, formula: str, inputs: int = 2) -> Op:
    return elementwise(
        name,
        lambda xp, *xs: getattr(xp, ufunc)(*xs),
        *(None,) * inputs,
        formula=formula,
        domain=(Interval(extremes=HUGE),) * inputs,
        infer=boolean_shape,
    )


EQUAL = _comparison("equal", "equal", "x = y")
NOT_EQUAL = _comparison("not_equal", "not_equal", "x ≠ y")
LESS = _comparison("less", "less", "x < y")
LESS_EQUAL = _comparison("less_equal", "less_equal", "x ≤ y")
GREATER = _comparison("greater", "greater", "x > y")
GREATER_EQUAL = _comparison("greater_equal", "greater_equal", "x ≥ y")
LOGICAL_AND = _comparison("logical_and", "logical_and", "x and y")
LOGICAL_OR = _comparison("logical_or", "logical_or", "x or y")
LOGICAL_NOT = _comparison("logical_not", "logical_not", "not x", 1)
ISFINITE = _comparison("isfinite", "isfinite", "x is neither infinite nor NaN", 1)


def equal(x: Like, y: Like) -> Tensor:
    """Whether x = y.

    >>> equal([1, 2], 2)
    tensor([False,  True])
    """
    return binary(EQUAL, x, y)


def not_equal(x: Like, y: Like) -> Tensor:
    """Whether x ≠ y.

    >>> not_equal([1, 2], 2)
    tensor([ True, False])
    """
    return binary(NOT_EQUAL, x, y)


def less(x: Like, y: Like) -> Tensor:
    """Whether x < y.

    >>> less([1, 2], 2)
    tensor([ True, False])
    """
    return binary(LESS, x, y)


def less_equal(x: Like, y: Like) -> Tensor:
    """Whether x ≤ y.

    >>> less_equal([1, 2], 1)
    tensor([ True, False])
    """
    return binary(LESS_EQUAL, x, y)


def greater(x: Like, y: Like) -> Tensor:
    """Whether x > y.

    >>> greater([1, 2], 1)
    tensor([False,  True])
    """
    return binary(GREATER, x, y)


def greater_equal(x: Like, y: Like) -> Tensor:
    """Whether x ≥ y.

    >>> greater_equal([1, 2], 2)
    tensor([False,  True])
    """
    return binary(GREATER_EQUAL, x, y)


def logical_and(x: Like, y: Like) -> Tensor:
    """Whether both hold.

    >>> logical_and([True, False], True)
    tensor([ True, False])
    """
    return binary(LOGICAL_AND, x, y)


def logical_or(x: Like, y: Like) -> Tensor:
    """Whether one of them holds.

    >>> logical_or([True, False], False)
    tensor([ True, False])
    """
    return binary(LOGICAL_OR, x, y)


def logical_not(x: Like) -> Tensor:
    """Whether it does not hold.

    >>> logical_not([True, False])
    tensor([False,  True])
    """
    return apply(LOGICAL_NOT, (as_tensor(x),))


def isfinite(x: Like) -> Tensor:
    """Whether x is neither infinite nor NaN.

    >>> isfinite([1.0, float("inf")])
    tensor([ True, False])
    """
    return unary(ISFINITE, x)


# --- choice -----------------------------------------------------------------------------------

WHERE = elementwise(
    "where",
    lambda xp, c, x, y: xp.where(c, x, y),
    None,
    lambda g, f, c, x, y: where(c, g, 0),
    lambda g, f, c, x, y: where(c, 0, g),
    formula="y if x else z",
    derivatives=("", "1 if x else 0", "0 if x else 1"),
    domain=(Interval(0, 1, (0.0, 1.0)), Interval(extremes=HUGE), Interval(extremes=HUGE)),
)


def where(condition: Like, x: Like, y: Like) -> Tensor:
    """x where the condition holds, else y; what is not chosen gets adjoint 0, even if NaN.

    >>> where([True, False], 1.0, [2.0, 3.0])
    tensor([1., 3.])
    """
    condition = as_tensor(condition)
    if condition.dtype != BOOL:
        condition = not_equal(condition, 0)
    x, y = promote(x, y)
    result = apply(WHERE, (condition, x, y))
    result.weak = x.weak and y.weak
    return result
