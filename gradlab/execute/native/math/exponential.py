"""eˣ and what is made of it: eˣ − 1, hyperbolic functions, the logistic function, erf and erfc.

With n the whole number nearest to x/ln 2, x = n ln 2 + r and eˣ = 2ⁿ eʳ. The multiple of ln 2 is
subtracted in two parts, the first exactly, and what the second leaves is kept apart as long as it
counts: eʳ = 1 + (h + t), with h exact and t small.
"""

from __future__ import annotations

import math

from gradlab.execute.native.math.constants import LN2, TWO_OVER_ROOT_PI, parts
from gradlab.execute.native.math.expression import (
    Format,
    Value,
    absolute,
    copysign,
    fitted,
    fitted_odd,
    fma,
    nearest,
    power_of_two,
    select,
)

LN2_PARTS = {"f32": parts(LN2, 16, 24), "f64": parts(LN2, 42, 53)}
"""ln 2; n times the first part is exact for every n that eˣ can need."""

EXP_RANGE = {"f32": (-104.0, 89.0), "f64": (-746.0, 710.0)}
"""Below it eˣ rounds to 0, above it to infinity."""

QUARTER_RANGE = {"f32": (-20.0, 89.5), "f64": (-40.0, 710.5)}
"""Below it 1 ± eˣ rounds to 1, above it ½eˣ to infinity; ¼eˣ is normal and finite in it."""

ERF_RANGE = {"f32": 3.95, "f64": 5.95}
"""Beyond it erf rounds to 1."""

ERFC_RANGE = {"f32": 10.3, "f64": 27.5}
"""Beyond it erfc rounds to 0."""


def negligible(fmt: Format) -> float:
    """What added to 1 leaves 1."""
    return 2.0 ** -(fmt.digits + 2)


def at_least(x: Value, low: float) -> Value:
    """x kept from falling below a bound; NaN stays."""
    return select(x < low, low, x)


def at_most(x: Value, high: float) -> Value:
    """x kept from rising above a bound; NaN stays."""
    return select(x > high, high, x)


def reduced(x: Value, rest: Value | float = 0.0) -> tuple[Value, Value, Value]:
    """n, h and t with e^(x + rest) = 2ⁿ (1 + (h + t)), for a rest far smaller than x."""
    high, low = LN2_PARTS[x.format.name]
    k, n = nearest(x, 1 / math.log(2))
    h = fma(-k, high, x)
    tail = fma(-k, low, rest)
    r = h + tail
    return n, h, fma(r * r, fitted("exp", r), tail)


def exp(x: Value, rest: Value | float = 0.0) -> Value:
    """Exponential function, eˣ (or e^(x + rest), for a rest far smaller than x)."""
    low, high = EXP_RANGE[x.format.name]
    n, h, t = reduced(at_most(at_least(x, low), high), rest)
    # In two factors, because 2ⁿ alone may overflow or be subnormal when eˣ is not.
    half = n >> 1
    return (1 + (h + t)) * power_of_two(half, x.format) * power_of_two(n - half, x.format)


def _quarter_parts(x: Value) -> tuple[Value, Value, Value]:
    """s, h and t with ¼eˣ = s (1 + (h + t)), for x within QUARTER_RANGE."""
    n, h, t = reduced(x)
    return power_of_two(n - 2, x.format), h, t


def _quarter_exp(x: Value) -> Value:
    """¼eˣ for x within QUARTER_RANGE."""
    s, h, t = _quarter_parts(x)
    return fma(s, h + t, s)


def _expm1(x: Value) -> Value:
    """eˣ − 1 for x within QUARTER_RANGE, though 0 of either sign for a subnormal x."""
    s, h, t = _quarter_parts(x)
    return 4 * fma(s, t, fma(s, h, s - 0.25))


def expm1(x: Value) -> Value:
    """eˣ − 1, precise also for small x."""
    low, high = QUARTER_RANGE[x.format.name]
    large = _expm1(at_most(at_least(x, low), high))
    return select(absolute(x) < negligible(x.format), x, large)


def sinh(x: Value) -> Value:
    """Hyperbolic sine, ½(eˣ − e⁻ˣ); up to 1, where this loses digits, a polynomial."""
    a = absolute(x)
    q = _quarter_exp(at_most(a, QUARTER_RANGE[x.format.name][1]))
    return copysign(select(a < 1, fitted_odd("sinh", a, a * a), 2 * q - 0.125 / q), x)


def cosh(x: Value) -> Value:
    """Hyperbolic cosine, ½(eˣ + e⁻ˣ)."""
    q = _quarter_exp(at_most(absolute(x), QUARTER_RANGE[x.format.name][1]))
    return 2 * q + 0.125 / q


def sech(x: Value) -> Value:
    """Hyperbolic secant, 1/cosh x = 2e⁻ˣ/(1 + e⁻²ˣ), of |x|."""
    e = exp(-absolute(x))
    return 2 * e / fma(e, e, 1.0)


def tanh(x: Value) -> Value:
    """Hyperbolic tangent, 1 − 2/(e²ˣ + 1); up to 0.55, where this loses digits, a polynomial."""
    a = absolute(x)
    q = _quarter_exp(at_most(2 * a, -QUARTER_RANGE[x.format.name][0]))
    return copysign(select(a < 0.55, fitted_odd("tanh", a, a * a), 1 - 0.5 / (q + 0.25)), x)


def sigmoid(x: Value) -> Value:
    """Logistic function, 1/(1 + e⁻ˣ) = eˣ/(1 + eˣ), whichever has no large exponential."""
    e = exp(-absolute(x))
    d = 1 + e
    lost = e - (d - 1)
    y = select(x < 0, e, 1.0) / d
    return fma(-y, lost, y)  # y (1 − lost/d) but for the d, which is between 1 and 2


def erf(x: Value) -> Value:
    """Error function, (2/√π) ∫₀ˣ exp(−u²) du = 1 − exp(−L(|x|)) with the sign of x.

    L(a) = −ln erfc a = (2/√π) a + a² P(a) is smooth from 0 on, and 1 − e^(−L) forgives the errors
    of a large L: so one polynomial serves the whole range.
    """
    high, low = parts(TWO_OVER_ROOT_PI, x.format.digits, x.format.digits)
    a = at_most(absolute(x), ERF_RANGE[x.format.name])
    rest = a * a * fitted("erf", a)
    logarithm = fma(a, high, fma(a, low, rest))
    result = select(a < negligible(x.format), a * high, -_expm1(-logarithm))
    return copysign(result, x)


def erfc(x: Value) -> Value:
    """Complementary error function, 1 − erf x, which for a = |x| is exp(−a²)/(a + 3) P(z).

    z = (a − 3)/(a + 3) puts the whole range into [−1, 1], where P is smooth. The square is taken in
    two parts, so that its rounding does not count where a is large.
    """
    a = at_most(absolute(x), ERFC_RANGE[x.format.name])
    square = a * a
    scaled = fitted("erfc", (a - 3) / (a + 3)) / (a + 3)
    tail = exp(-square, -fma(a, a, -square)) * scaled
    return select(x < 0, 2 - tail, tail)
