"""Sums and products, element by element."""

from __future__ import annotations

from gradlab.graph.elementwise import (
    HUGE,
    binary,
    elementwise,
    float_operands,
    numeric_shape,
)
from gradlab.graph.op import Interval
from gradlab.graph.tensor import Like, Tensor, apply, as_tensor

NONZERO = Interval(0.3, 3.0, HUGE)

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
    infer=numeric_shape,
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
    infer=numeric_shape,
)
SQUARE = elementwise(
    "square",
    lambda xp, x: xp.multiply(x, x),  # NumPy makes the square of a boolean an int8
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
    return apply(DIVIDE, float_operands(x, y))


def reciprocal(x: Like) -> Tensor:
    """Reciprocal, 1/x; integers give floats.

    >>> reciprocal([2, 4])
    tensor([0.5 , 0.25])
    """
    return divide(1, x)


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
