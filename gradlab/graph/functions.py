"""Exponentials, logarithms, roots and powers, and the error function."""

from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np

from gradlab.graph.arithmetic import square
from gradlab.graph.comparison import (
    equal,
    greater,
    greater_equal,
    less,
    logical_and,
    logical_or,
    where,
)
from gradlab.graph.dtypes import UINT64
from gradlab.graph.elementwise import (
    HUGE,
    INF,
    elementwise,
    fits_dtype,
    float_operands,
    promote,
    unary,
)
from gradlab.graph.op import Interval, Kink
from gradlab.graph.tensor import PYTHON_NUMBERS, Like, Tensor, apply, as_tensor


def special(xp: Any) -> Any:
    """The special functions that belong to an array namespace."""
    jax = xp.__name__.startswith("jax")
    return importlib.import_module("jax.scipy.special" if jax else "scipy.special")


ANY = Interval(extremes=HUGE)
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
    # At y = 0 the derivative is 0 even where x^(y−1) is infinite; at x = 0 < y < 1 the slope is
    # infinite, and 0 is chosen, as for √x.
    root = logical_and(equal(x, 0), logical_and(greater(y, 0), less(y, 1)))
    flat = logical_or(equal(y, 0), root)
    return g * where(flat, 0, y * pow(x, where(flat, 1, y - 1)))


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
    kinks=tuple(Kink((0.0, y), (0.0, 0.0)) for y in (0.0, 0.5, 2.0)),
    domain=(Interval(0.3, 3.0, (0.0, 1e-30, 1.0, 1e30, INF)), Interval(extremes=HUGE)),
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

    Whole numbers to a Python integer y ≥ 0 stay whole; an array y may hold negative numbers, so
    that powers of whole numbers by it are floats. At x = 0 the derivative by y is taken as 0 for
    y ≥ 0, and the one by x as 0 for 0 < y < 1, where it is infinite.

    >>> pow([2.0, 3.0], 2)
    tensor([4., 9.])
    """
    number = y if type(y) in PYTHON_NUMBERS else None
    if number == 0.5:
        return sqrt(x)
    base, exponent = promote(x, y)
    if base.dtype.kind != "f" and not _is_natural(y):
        base, exponent = float_operands(base, exponent)
    return square(base) if number == 2 else apply(POW, (base, exponent))


def _is_natural(y: Like) -> bool:
    """Whether an exponent is one whole number that is not negative."""
    if isinstance(y, np.integer):
        return bool(y >= 0)
    y = as_tensor(y)
    return y.weak and y.dtype.kind in "iu" and fits_dtype(y, UINT64)


def erf(x: Like) -> Tensor:
    """Error function, 2/√π ∫₀ˣ exp(−t²) dt.

    >>> erf([0.0])
    tensor([0.])
    """
    return unary(ERF, x)
