"""Elementary functions: exponentials, logarithms, trigonometry, roots, the error function."""

from __future__ import annotations

import importlib
import math
from typing import Any

from gradlab.graph.arithmetic import HUGE, INF, equal, greater_equal, logical_and, square, where
from gradlab.graph.elementwise import elementwise, floating, promote, unary
from gradlab.graph.op import Interval, Kink
from gradlab.graph.tensor import PYTHON_NUMBERS, Like, Tensor, apply


def special(xp: Any) -> Any:
    """The special functions that belong to an array namespace."""
    jax = xp.__name__.startswith("jax")
    return importlib.import_module("jax.scipy.special" if jax else "scipy.special")


ANY = Interval(extremes=HUGE)
UNIT = Interval(-0.9, 0.9, (-1.0, 0.0, 1.0, 1e-30))
POSITIVE = Interval(0.3, 3.0, (0.0, 1e-30, 1e30, INF, math.nan))

EXP = elementwise(
    "exp",
    lambda xp, x: xp.exp(x),
    lambda g, f, x: g * f,
    formula="exp x",
    derivatives=("f",),
    domain=(ANY,),
)
EXPM1 = elementwise(
    "expm1",
    lambda xp, x: xp.expm1(x),
    lambda g, f, x: g * (f + 1),
    formula="exp x − 1",
    derivatives=("f + 1",),
    domain=(ANY,),
)
LOG = elementwise(
    "log",
    lambda xp, x: xp.log(x),
    lambda g, f, x: g / x,
    formula="log x",
    derivatives=("1/x",),
    domain=(POSITIVE,),
)
LOG1P = elementwise(
    "log1p",
    lambda xp, x: xp.log1p(x),
    lambda g, f, x: g / (1 + x),
    formula="log(1 + x)",
    derivatives=("1/(1 + x)",),
    domain=(Interval(-0.6, 3.0, (-1.0, 0.0, 1e-30, 1e30, INF)),),
)


def _sqrt_vjp(g: Tensor, f: Tensor, x: Tensor) -> Tensor:
    # The slope at 0 is infinite; 0 is chosen so that √(Σx²) has a finite gradient at the origin.
    zero = equal(f, 0)
    return g * where(zero, 0, 0.5 / where(zero, 1, f))


SQRT = elementwise(
    "sqrt",
    lambda xp, x: xp.sqrt(x),
    _sqrt_vjp,
    formula="√x",
    derivatives=("1/(2f), 0 at x = 0",),
    kinks=(Kink((0.0,), (0.0,)),),
    domain=(POSITIVE,),
)


def _power_by_base(g: Tensor, f: Tensor, x: Tensor, y: Tensor) -> Tensor:
    # At y = 0 the derivative is 0 even where x^(y−1) is infinite.
    return g * where(equal(y, 0), 0, y * pow(x, where(equal(y, 0), 1, y - 1)))


def _power_by_exponent(g: Tensor, f: Tensor, x: Tensor, y: Tensor) -> Tensor:
    # x^y log x tends to 0 with x for y > 0, and 0⁰ = 1 is taken as flat.
    zero = logical_and(equal(x, 0), greater_equal(y, 0))
    return g * where(zero, 0, f * log(where(zero, 1, x)))


POW = elementwise(
    "pow",
    lambda xp, x, y: xp.power(x, y),
    _power_by_base,
    _power_by_exponent,
    formula="x^y",
    derivatives=("y·x^(y−1)", "x^y·log x"),
    kinks=(Kink((0.0, 0.0), (0.0, 0.0)), Kink((0.0, 2.0), (0.0, 0.0))),
    domain=(Interval(0.3, 3.0, (0.0, 1e-30, 1.0, 1e30, INF)), Interval(extremes=HUGE)),
)
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
    # 1 − x² would lose the digits that 1 − |x| still has.
    return 1 / sqrt((1 - x) * (1 + x))


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
ERF = elementwise(
    "erf",
    lambda xp, x: special(xp).erf(x),
    lambda g, f, x: g * (2 / math.sqrt(math.pi) * exp(-square(x))),
    formula="erf x",
    derivatives=("2/√π · exp(−x²)",),
    domain=(ANY,),
)


def exp(x: Like) -> Tensor:
    """Exponential, eˣ.

    >>> exp([0.0, -1000.0])
    tensor([1., 0.])
    """
    return unary(EXP, x)


def expm1(x: Like) -> Tensor:
    """eˣ − 1, accurate near 0.

    >>> expm1([0.0, 1e-10])
    tensor([0.e+00, 1.e-10])
    """
    return unary(EXPM1, x)


def log(x: Like) -> Tensor:
    """Natural logarithm; −∞ at 0 and NaN below.

    >>> log([1.0])
    tensor([0.])
    """
    return unary(LOG, x)


def log1p(x: Like) -> Tensor:
    """log(1 + x), accurate near 0.

    >>> log1p([0.0, 1e-10])
    tensor([0.e+00, 1.e-10])
    """
    return unary(LOG1P, x)


def sqrt(x: Like) -> Tensor:
    """Square root, √x; NaN below 0. The derivative at 0 is taken as 0.

    >>> sqrt([4.0, 9.0])
    tensor([2., 3.])
    """
    return unary(SQRT, x)


def pow(x: Like, y: Like) -> Tensor:
    """Power, x^y; NaN for negative x and fractional y.

    At x = 0 the derivative by y is taken as 0 for y ≥ 0, and at y = 0 the derivative by x as 0.

    >>> pow([2.0, 3.0], 2)
    tensor([4., 9.])
    """
    if type(y) in PYTHON_NUMBERS and type(x) not in PYTHON_NUMBERS:
        if y == 2:
            return square(x)
        if y == 0.5:
            return sqrt(x)
    x, y = promote(x, y)
    if x.dtype.kind != "f":
        x, y = promote(floating(x), floating(y))
    return apply(POW, (x, y))


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


def erf(x: Like) -> Tensor:
    """Error function, 2/√π ∫₀ˣ exp(−t²) dt.

    >>> erf([0.0])
    tensor([0.])
    """
    return unary(ERF, x)
