"""Trigonometric and hyperbolic functions, their inverses, and lengths."""

from __future__ import annotations

import math

import numpy as np

from gradlab.graph.arithmetic import multiply, square
from gradlab.graph.comparison import equal, greater, isinf, less, logical_or, where
from gradlab.graph.elementwise import HUGE, INF, elementwise, float_operands, floating, unary
from gradlab.graph.extremes import abs, maximum
from gradlab.graph.functions import pow, sqrt
from gradlab.graph.op import Interval, Kink
from gradlab.graph.rounding import remainder, round
from gradlab.graph.shaping import stop_gradient
from gradlab.graph.tensor import Like, Tensor, apply

ANY = Interval(extremes=HUGE)
UNIT = Interval(-0.9, 0.9, (-1.0, 0.0, 1.0, 1e-30))

SIN = elementwise(
    "sin",
    lambda xp, x: xp.sin(x),
    lambda g, f, x: g * cos(x),
    formula="sin x",
    derivatives=("cos x",),
    domain=(Interval(extremes=(-1e4, 0.0, 1e-30, 1e4)),),
)
COS = elementwise(
    "cos",
    lambda xp, x: xp.cos(x),
    lambda g, f, x: -g * sin(x),
    formula="cos x",
    derivatives=("−sin x",),
    domain=(Interval(extremes=(-1e4, 0.0, 1e-30, 1e4)),),
)
TAN = elementwise(
    "tan",
    lambda xp, x: xp.tan(x),
    lambda g, f, x: g * (1 + square(f)),
    formula="tan x",
    derivatives=("1 + f²",),
    domain=(Interval(-1.2, 1.2, (0.0, 1e-30)),),
)


def _below_one(x: Tensor) -> Tensor:
    """1 − x², and its derivatives."""
    # (1 − x)(1 + x) has the digits that 1 − x² loses near ±1; but the derivative −2x of the
    # latter is one term, where those of the product are ∞ · 2 and ∞ · 0 at ±1.
    u = 1 - square(x)
    return u + stop_gradient((1 - x) * (1 + x) - u)


def _slope_of_arc(x: Tensor) -> Tensor:
    return pow(_below_one(x), -0.5)


ASIN = elementwise(
    "asin",
    lambda xp, x: xp.arcsin(x),
    lambda g, f, x: g * _slope_of_arc(x),
    formula="arcsin x",
    derivatives=("1/√(1 − x²)",),
    domain=(UNIT,),
)
ACOS = elementwise(
    "acos",
    lambda xp, x: xp.arccos(x),
    lambda g, f, x: -g * _slope_of_arc(x),
    formula="arccos x",
    derivatives=("−1/√(1 − x²)",),
    domain=(UNIT,),
)
ATAN = elementwise(
    "atan",
    lambda xp, x: xp.arctan(x),
    lambda g, f, x: g / (1 + square(x)),
    formula="arctan x",
    derivatives=("1/(1 + x²)",),
    domain=(ANY,),
)
SINH = elementwise(
    "sinh",
    lambda xp, x: xp.sinh(x),
    lambda g, f, x: g * cosh(x),
    formula="sinh x",
    derivatives=("cosh x",),
    domain=(ANY,),
)
COSH = elementwise(
    "cosh",
    lambda xp, x: xp.cosh(x),
    lambda g, f, x: g * sinh(x),
    formula="cosh x",
    derivatives=("sinh x",),
    domain=(ANY,),
)
TANH = elementwise(
    "tanh",
    lambda xp, x: xp.tanh(x),
    lambda g, f, x: g * (1 - square(f)),
    formula="tanh x",
    derivatives=("1 − f²",),
    domain=(ANY,),
)
ASINH = elementwise(
    "asinh",
    lambda xp, x: xp.arcsinh(x),
    lambda g, f, x: g / hypot(x, 1),
    formula="arsinh x",
    derivatives=("1/√(x² + 1)",),
    domain=(ANY,),
)
ACOSH = elementwise(
    "acosh",
    lambda xp, x: xp.arccosh(x),
    lambda g, f, x: g * (pow(x - 1, -0.5) * pow(x + 1, -0.5)),
    formula="arcosh x",
    derivatives=("1/√(x² − 1)",),
    domain=(Interval(1.3, 4.0, (-1.0, 0.0, 1.0, 1e30, INF, math.nan)),),
)
ATANH = elementwise(
    "atanh",
    lambda xp, x: xp.arctanh(x),
    lambda g, f, x: g / _below_one(x),
    formula="artanh x",
    derivatives=("1/(1 − x²)",),
    domain=(UNIT,),
)


def _over_square(x: Tensor, r: Tensor) -> Tensor:
    """x/r² in a way that no square leaves the range; 0 where r is 0, and x too."""
    safe = where(equal(r, 0), 1, r)
    return x / safe / safe


ATAN2 = elementwise(
    "atan2",
    lambda xp, y, x: xp.arctan2(y, x),
    lambda g, f, y, x: g * _over_square(x, hypot(x, y)),
    lambda g, f, y, x: -g * _over_square(y, hypot(x, y)),
    formula="angle of (y, x)",
    derivatives=("y/(x² + y²)", "−x/(x² + y²)"),
    kinks=(Kink((0.0, 0.0), (0.0, 0.0)),),
    domain=(Interval(0.3, 3.0, HUGE), Interval(-3.0, -0.3, HUGE)),
)


def sin(x: Like) -> Tensor:
    """Sine, x in radians.

    >>> sin([0.0])
    tensor([0.])
    """
    return unary(SIN, x)


def cos(x: Like) -> Tensor:
    """Cosine, x in radians.

    >>> cos([0.0])
    tensor([1.])
    """
    return unary(COS, x)


def tan(x: Like) -> Tensor:
    """Tangent, x in radians.

    >>> tan([0.0])
    tensor([0.])
    """
    return unary(TAN, x)


def asin(x: Like) -> Tensor:
    """Inverse sine, in [−π/2, π/2]; NaN outside [−1, 1].

    >>> asin([0.0])
    tensor([0.])
    """
    return unary(ASIN, x)


def acos(x: Like) -> Tensor:
    """Inverse cosine, in [0, π]; NaN outside [−1, 1].

    >>> acos([1.0])
    tensor([0.])
    """
    return unary(ACOS, x)


def atan(x: Like) -> Tensor:
    """Inverse tangent, in (−π/2, π/2).

    >>> atan([0.0])
    tensor([0.])
    """
    return unary(ATAN, x)


def sinh(x: Like) -> Tensor:
    """Hyperbolic sine, (eˣ − e⁻ˣ)/2.

    >>> sinh([0.0])
    tensor([0.])
    """
    return unary(SINH, x)


def cosh(x: Like) -> Tensor:
    """Hyperbolic cosine, (eˣ + e⁻ˣ)/2.

    >>> cosh([0.0])
    tensor([1.])
    """
    return unary(COSH, x)


def tanh(x: Like) -> Tensor:
    """Hyperbolic tangent, (eˣ − e⁻ˣ)/(eˣ + e⁻ˣ).

    >>> tanh([0.0])
    tensor([0.])
    """
    return unary(TANH, x)


def asinh(x: Like) -> Tensor:
    """Inverse hyperbolic sine, log(x + √(x² + 1)).

    >>> asinh([0.0])
    tensor([0.])
    """
    return unary(ASINH, x)


def acosh(x: Like) -> Tensor:
    """Inverse hyperbolic cosine, log(x + √(x² − 1)) ≥ 0; NaN below 1.

    >>> acosh([1.0])
    tensor([0.])
    """
    return unary(ACOSH, x)


def atanh(x: Like) -> Tensor:
    """Inverse hyperbolic tangent, ½ log((1 + x)/(1 − x)); NaN outside [−1, 1].

    >>> atanh([0.0])
    tensor([0.])
    """
    return unary(ATANH, x)


def atan2(y: Like, x: Like) -> Tensor:
    """Angle of the point (x, y), in [−π, π]; its derivative at (0, 0) is taken as 0.

    Signs of zeros count: on the negative x-axis the angle is π for y = 0 and −π for y = −0.

    >>> atan2([1.0, 0.0], [0.0, -1.0])
    tensor([1.5707964, 3.1415927])
    """
    return apply(ATAN2, float_operands(y, x))


def hypot(x: Like, y: Like) -> Tensor:
    """Length of the hypotenuse, √(x² + y²), without overflow; its derivative at (0, 0) is 0.

    >>> hypot([3.0, 3e30], [4.0, 4e30])
    tensor([5.e+00, 5.e+30])
    """
    x, y = float_operands(x, y)
    infinite = logical_or(isinf(x), isinf(y))
    u, v = where(infinite, 0, x), where(infinite, 0, y)
    # Scaled by a power of 2, which loses no digits, where a square could leave the range.
    size, exponent = maximum(abs(u), abs(v)), np.finfo(x.dtype).maxexp
    limit, factor = 2.0 ** (exponent // 2 - 8), 2.0 ** (exponent * 3 // 4)
    scale = where(greater(size, limit), 1 / factor, where(less(size, 1 / limit), factor, 1.0))
    length = sqrt(square(u * scale) + square(v * scale)) / scale
    return where(isinf(x), abs(x), where(isinf(y), abs(y), length))


SINC_TERMS = 9
"""Terms of Σ (−1)ᵏ (πx)²ᵏ / (2k + 1)!, which are enough for |x| ≤ ¼ in float64."""


def sinc(x: Like) -> Tensor:
    """sin(πx)/(πx), and 1 at 0.

    >>> sinc([0.0])
    tensor([1.])
    """
    x = floating(x)
    near = less(abs(x), 0.25)
    # Near 0 a series, whose derivatives are those of sinc; the quotient's lose their digits.
    z, series = square(where(near, x, 0) * math.pi), Tensor(np.zeros((), x.dtype), x.weak)
    for k in reversed(range(SINC_TERMS)):
        series = series * z + (-1) ** k / math.factorial(2 * k + 1)
    far = where(near, 1, x)
    # sin πx = ± sin π(x − n) for the nearest whole n: x − n is exact, and 0 at whole x.
    nearest = stop_gradient(round(far))
    sign = 1 - 2 * remainder(nearest, 2)
    return where(near, series, sign * sin((far - nearest) * math.pi) / (far * math.pi))


def deg2rad(x: Like) -> Tensor:
    """Degrees as radians, x · π/180.

    >>> deg2rad([180.0])
    tensor([3.1415927])
    """
    return multiply(floating(x), math.pi / 180)


def rad2deg(x: Like) -> Tensor:
    """Radians as degrees, x · 180/π.

    >>> rad2deg([0.0])
    tensor([0.])
    """
    return multiply(floating(x), 180 / math.pi)


# NumPy's names.
arcsin, arccos, arctan, arctan2 = asin, acos, atan, atan2
arcsinh, arccosh, arctanh = asinh, acosh, atanh
