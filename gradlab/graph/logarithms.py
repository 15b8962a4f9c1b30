"""Logarithms and powers to the bases 2 and 10, and logarithms of sums."""

from __future__ import annotations

import math

from gradlab.graph.comparison import equal, greater_equal, isinf, logical_and, where
from gradlab.graph.elementwise import elementwise, float_operands, floating, promote, unary
from gradlab.graph.functions import POSITIVE, POW, exp, log1p
from gradlab.graph.op import Op
from gradlab.graph.tensor import Like, Tensor, apply


def _logarithm(base: int, subscript: str) -> Op:
    """The row of the logarithm to a base, since log x / log b misses whole results."""
    return elementwise(
        f"log{base}",
        lambda xp, x: getattr(xp, f"log{base}")(x),
        lambda g, f, x: g / (x * math.log(base)),
        formula=f"log{subscript} x",
        derivatives=(f"1/(x · log {base})",),
        domain=(POSITIVE,),
    )


LOG2, LOG10 = _logarithm(2, "₂"), _logarithm(10, "₁₀")


def log2(x: Like) -> Tensor:
    """Logarithm to base 2, exact at the powers of 2; −∞ at 0 and NaN below.

    >>> log2([1.0, 8.0])
    tensor([0., 3.])
    """
    return unary(LOG2, x)


def log10(x: Like) -> Tensor:
    """Logarithm to base 10; −∞ at 0 and NaN below.

    >>> log10([0.1, 1.0, 10.0])
    tensor([-1.,  0.,  1.])
    """
    return unary(LOG10, x)


def exp2(x: Like) -> Tensor:
    """Power of two, 2ˣ, exact for whole x.

    >>> exp2([-1.0, 0.0, 3.0])
    tensor([0.5, 1. , 8. ])
    """
    return apply(POW, promote(2.0, floating(x)))


def logaddexp(x: Like, y: Like) -> Tensor:
    """log(eˣ + eʸ), without overflow.

    >>> logaddexp([1000.0, 0.0], [900.0, -1000.0])
    tensor([1000.,    0.])
    """
    return _log_of_sum(x, y, 1.0)


def logaddexp2(x: Like, y: Like) -> Tensor:
    """log₂(2ˣ + 2ʸ), without overflow.

    >>> logaddexp2([1000.0, 0.0], [1000.0, -1000.0])
    tensor([1001.,    0.])
    """
    return _log_of_sum(x, y, math.log(2))


def _log_of_sum(x: Like, y: Like, scale: float) -> Tensor:
    """The larger of x and y, and log(1 + exp(−scale · distance)) / scale on top of it."""
    x, y = float_operands(x, y)
    larger = greater_equal(x, y)
    high, low = where(larger, x, y), where(larger, y, x)
    # The distance of equal infinities is 0, and ∞ − ∞ would be NaN.
    together = logical_and(equal(x, y), isinf(x))
    distance = where(together, 0, high) - where(together, 0, low)
    return high + log1p(exp(distance * -scale)) / scale
