"""Functions of a few instructions, with NaN and the signs of zero as NumPy has them."""

from __future__ import annotations

from gradlab.execute.native.math.expression import Value, absolute, copysign, intrinsic, select


def sqrt(x: Value) -> Value:
    """Square root; NaN for negative x."""
    return intrinsic("sqrt", x)


def floor(x: Value) -> Value:
    """Largest whole number not above x."""
    return intrinsic("floor", x)


def abs(x: Value) -> Value:
    """|x|."""
    return absolute(x)


def sign(x: Value) -> Value:
    """−1, 0 or 1; NaN of NaN."""
    one = copysign(x.like(1.0), x)
    return select(absolute(x) > 0, one, x + 0.0)


def maximum(x: Value, y: Value) -> Value:
    """The larger of x and y; NaN if one is NaN."""
    larger = select(x > y, x, y)
    return select(x.equals(x), larger, x)


def minimum(x: Value, y: Value) -> Value:
    """The smaller of x and y; NaN if one is NaN."""
    smaller = select(x < y, x, y)
    return select(x.equals(x), smaller, x)
