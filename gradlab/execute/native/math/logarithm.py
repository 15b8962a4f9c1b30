"""ln x, ln(1 + x) and the softplus.

x = 2ⁿ m with √½ ≤ m < √2, and ln x = n ln 2 + ln(1 + f) for f = m − 1. With s = f/(2 + f),
ln(1 + f) = 2 artanh s = f − f²/2 + s (f²/2 + s² P(s²)), where the error of s hardly counts.
"""

from __future__ import annotations

import math

from gradlab.execute.native.math.exponential import LN2_PARTS, exp
from gradlab.execute.native.math.expression import (
    Value,
    absolute,
    bits,
    copysign,
    fitted,
    fma,
    from_bits,
    power_of_two,
    select,
    to_float,
)


def split(x: Value) -> tuple[Value, Value]:
    """n and m with x = 2ⁿ m and √½ ≤ m < √2, for a positive normal x."""
    fraction = x.format.fraction
    pattern = bits(x)
    n = (pattern - bits(x.like(math.sqrt(0.5)))) >> fraction
    return n, from_bits(pattern - (n << fraction), x.format)


def normal(x: Value) -> tuple[Value, Value]:
    """A normal number and what to add to its exponent, for a positive x that may be subnormal."""
    digits = float(x.format.digits)
    tiny = x < x.format.smallest_normal
    return select(tiny, x * 2**digits, x), select(tiny, x.like(-digits), 0.0)


def log_sum(k: Value, f: Value) -> Value:
    """k ln 2 + ln(1 + f)."""
    high, low = LN2_PARTS[f.format.name]
    s = f / (2 + f)
    z = s * s
    half = 0.5 * f * f
    correction = s * fma(z, fitted("log", z), half)
    return fma(k, high, f - (half - fma(k, low, correction)))


def with_poles(result: Value, x: Value) -> Value:
    """A logarithm of x, put right where x is 0, negative, infinite or NaN."""
    result = select(x < math.inf, result, x)
    return select(x > 0, result, select(x.equals(0), x.like(-math.inf), math.nan))


def log(x: Value) -> Value:
    """Natural logarithm, ln x."""
    scaled, more = normal(x)
    n, m = split(scaled)
    return with_poles(log_sum(to_float(n, x.format) + more, m - 1), x)


def _log1p(x: Value) -> Value:
    """ln(1 + x) for a finite x > −1; of 0 it is 0 of either sign.

    The part of x that 1 + x rounds away is put back into f.
    """
    u = 1 + x
    lost = x - (u - 1)
    n, m = split(u)
    limit = x.format.bias
    scale = power_of_two(-select(n < limit, n, limit), x.format)
    return log_sum(to_float(n, x.format), fma(lost, scale, m - 1))


def log1p(x: Value) -> Value:
    """ln(1 + x), precise also for small x."""
    return copysign(with_poles(_log1p(x), 1 + x), x)


def softplus(x: Value) -> Value:
    """ln(1 + eˣ) = max(x, 0) + ln(1 + e^(−|x|))."""
    return select(x > 0, x, 0.0) + _log1p(exp(-absolute(x)))
