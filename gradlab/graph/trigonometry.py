"""Trigonometric and hyperbolic functions."""

from __future__ import annotations

from gradlab.graph.arithmetic import square
from gradlab.graph.elementwise import HUGE, elementwise, unary
from gradlab.graph.functions import pow
from gradlab.graph.op import Interval
from gradlab.graph.shaping import stop_gradient
from gradlab.graph.tensor import Like, Tensor

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


def _slope_of_arc(x: Tensor) -> Tensor:
    # (1 − x)(1 + x) has the digits that 1 − x² loses near ±1; but the derivative −2x of the
    # latter is one term, where those of the product are ∞ · 2 and ∞ · 0 at ±1.
    u = 1 - square(x)
    return pow(u + stop_gradient((1 - x) * (1 + x) - u), -0.5)


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
    lambda g, f, x: g * square(sech(x)),  # 1 − f² has lost its digits where f is near ±1
    formula="tanh x",
    derivatives=("1 − f²",),
    domain=(ANY,),
)


def _sech(xp, x):  # type: ignore[no-untyped-def]
    e = xp.exp(-1.0 * xp.abs(x))
    d = e * e
    d += 1  # in place, where arrays can be written to
    e += e
    e /= d
    return e


SECH = elementwise(
    "sech",
    _sech,
    lambda g, f, x: g * (-f * tanh(x)),
    formula="1/cosh x",
    derivatives=("−f · tanh x",),
    domain=(ANY,),
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


def sech(x: Like) -> Tensor:
    """Hyperbolic secant, 1/cosh x, without overflow.

    >>> sech([0.0, 1000.0])
    tensor([1., 0.])
    """
    return unary(SECH, x)


def tanh(x: Like) -> Tensor:
    """Hyperbolic tangent, (eˣ − e⁻ˣ)/(eˣ + e⁻ˣ).

    >>> tanh([0.0])
    tensor([0.])
    """
    return unary(TANH, x)
