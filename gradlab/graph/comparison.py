"""Comparisons, which have no derivative, and the choice between two operands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import numpy as np

from gradlab.errors import ArgumentError, ShapeError, TraceError
from gradlab.graph.dtypes import BOOL, FLOAT64, UINT64
from gradlab.graph.elementwise import (
    HUGE,
    INF,
    binary,
    boolean_shape,
    elementwise,
    floating,
    promote,
    unary,
)
from gradlab.graph.op import Interval, Op
from gradlab.graph.shaping import cast
from gradlab.graph.tensor import Like, Symbol, Tensor, apply, as_tensor


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


def _compare(op: Op, x: Like, y: Like) -> Tensor:
    """Apply a comparison; int64 and uint64, which meet in float64, are compared exactly."""
    a, b = promote(x, y)
    if a.dtype == FLOAT64:
        x, y = as_tensor(x), as_tensor(y)
        if x.dtype.kind == "i" and y.dtype.kind == "u":
            return _compare_signs(op, x, y, signed=x, smaller=bool(op.forward(np, -1, 0)))
        if x.dtype.kind == "u" and y.dtype.kind == "i":
            return _compare_signs(op, x, y, signed=y, smaller=bool(op.forward(np, 0, -1)))
    return apply(op, (a, b))


def _compare_signs(op: Op, x: Tensor, y: Tensor, signed: Tensor, smaller: bool) -> Tensor:
    """Compare as uint64 where ``signed`` is not negative; ``smaller`` is the answer elsewhere."""
    answer = apply(op, (cast(x, UINT64), cast(y, UINT64)))
    negative = less(signed, 0)
    return logical_or(negative, answer) if smaller else logical_and(logical_not(negative), answer)


def equal(x: Like, y: Like) -> Tensor:
    """Whether x = y.

    >>> equal([1, 2], 2)
    tensor([False,  True])
    """
    return _compare(EQUAL, x, y)


def not_equal(x: Like, y: Like) -> Tensor:
    """Whether x ≠ y.

    >>> not_equal([1, 2], 2)
    tensor([ True, False])
    """
    return _compare(NOT_EQUAL, x, y)


def less(x: Like, y: Like) -> Tensor:
    """Whether x < y.

    >>> less([1, 2], 2)
    tensor([ True, False])
    """
    return _compare(LESS, x, y)


def less_equal(x: Like, y: Like) -> Tensor:
    """Whether x ≤ y.

    >>> less_equal([1, 2], 1)
    tensor([ True, False])
    """
    return _compare(LESS_EQUAL, x, y)


def greater(x: Like, y: Like) -> Tensor:
    """Whether x > y.

    >>> greater([1, 2], 1)
    tensor([False,  True])
    """
    return _compare(GREATER, x, y)


def greater_equal(x: Like, y: Like) -> Tensor:
    """Whether x ≥ y.

    >>> greater_equal([1, 2], 2)
    tensor([False,  True])
    """
    return _compare(GREATER_EQUAL, x, y)


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


def isnan(x: Like) -> Tensor:
    """Whether x is NaN, which alone is not equal to itself.

    >>> isnan([1.0, float("nan")])
    tensor([False,  True])
    """
    x = as_tensor(x)
    return not_equal(x, x)


def isinf(x: Like) -> Tensor:
    """Whether x is infinite, of either sign.

    >>> isinf([1.0, float("-inf")])
    tensor([False,  True])
    """
    x = floating(x)
    return logical_or(equal(x, INF), equal(x, -INF))


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


@overload
def where(condition: Like, x: Like, y: Like) -> Tensor: ...
@overload
def where(condition: Like) -> tuple[Tensor, ...]: ...
def where(
    condition: Like, x: Like | None = None, y: Like | None = None
) -> Tensor | tuple[Tensor, ...]:
    """x where the condition holds, else y; what is not chosen gets adjoint 0, even if NaN.

    With a condition alone, the places where it holds (see ``nonzero``).

    Raises:
        ArgumentError: x without y.

    >>> where([True, False], 1.0, [2.0, 3.0])
    tensor([1., 3.])
    """
    if x is None and y is None:
        return nonzero(condition)
    if x is None or y is None:
        raise ArgumentError("where takes a condition alone, or with both x and y")
    condition = as_tensor(condition)
    if condition.dtype != BOOL:
        condition = not_equal(condition, 0)
    x, y = promote(x, y)
    result = apply(WHERE, (condition, x, y))
    result.weak = x.weak and y.weak
    return result


def select(conditions: Sequence[Like], choices: Sequence[Like], default: Like = 0) -> Tensor:
    """For each place the first choice whose condition holds there, else the default.

    Raises:
        ArgumentError: not as many choices as conditions.

    >>> select([[True, False, False], [True, True, False]], [1.0, 2.0], 3.0)
    tensor([1., 2., 3.])
    """
    if len(conditions) != len(choices):
        raise ArgumentError(
            f"select needs a choice for each condition, got {len(conditions)} conditions and "
            f"{len(choices)} choices"
        )
    result = as_tensor(default)
    for condition, choice in zip(reversed(conditions), reversed(choices), strict=True):
        result = where(condition, choice, result)
    return result


def nonzero(x: Like) -> tuple[Tensor, ...]:
    """Places of the elements other than 0: for each axis their numbers along it.

    Raises:
        TraceError: x is traced, so that nobody knows how many there are.
        ShapeError: x has no axes.

    >>> nonzero([[0, 3], [5, 0]])
    (tensor([0, 1]), tensor([1, 0]))
    """
    x = as_tensor(x)
    if isinstance(x, Symbol):
        raise TraceError(
            f"how many elements of {x!r} are not 0 is unknown while a function is recorded, and so "
            "is the shape of what nonzero and boolean masks give: write "
            "gradlab.where(condition, a, b) instead"
        )
    if x.ndim == 0:
        raise ShapeError("nonzero needs at least one axis, got shape ()")
    return tuple(Tensor(places) for places in np.nonzero(x.value))
