"""sin, cos and tan, right for every finite angle.

With q the whole number nearest to x/(π/2), x = q π/2 + r and the function is ±sin r or ±cos r.
Below a limit, q π/2 is subtracted in three parts (Cody and Waite). Beyond it, where so many parts
would be needed that each exponent needs its own, x is multiplied by the digits of 2/π that count
for its exponent (Payne and Hanek, Radian reduction for trigonometric functions, 1983).
"""

from __future__ import annotations

import math
from collections.abc import Callable

from llvmlite import ir

from gradlab.execute.native.math.constants import PI, parts
from gradlab.execute.native.math.expression import (
    F64,
    Value,
    absolute,
    bits,
    convert,
    fitted,
    fitted_odd,
    fma,
    from_bits,
    leading_zeros,
    nearest,
    power_of_two,
    resized,
    select,
    shifted_right,
    to_float,
)
from gradlab.execute.native.math.rare import where_large

LIMIT = {"f32": 2.0**16, "f64": 2.0**30}
"""Angles from here on are reduced by Payne and Hanek, one by one (some 50 ns each)."""

QUARTER_TURN = {"f32": parts(PI / 2, 24, 24, 24), "f64": parts(PI / 2, 53, 53, 53)}

Pick = Callable[[Value, Value, Value], Value]
"""A function of an angle from its quadrant q, sin r and cos r."""


def sin(x: Value) -> Value:
    """Sine of an angle in radians."""
    return _function("sin", _sin, x)


def cos(x: Value) -> Value:
    """Cosine of an angle in radians."""
    return _function("cos", _cos, x)


def tan(x: Value) -> Value:
    """Tangent of an angle in radians."""
    return _function("tan", _tan, x)


def _sin(q: Value, sine: Value, cosine: Value) -> Value:
    result = select((q & 1).equals(0), sine, cosine)
    return _flip_sign(result, q << (result.format.width - 2))


def _cos(q: Value, sine: Value, cosine: Value) -> Value:
    return _sin(q + 1, sine, cosine)


def _tan(q: Value, sine: Value, cosine: Value) -> Value:
    even = (q & 1).equals(0)
    return select(even, sine, -cosine) / select(even, cosine, sine)


def _flip_sign(x: Value, pattern: Value) -> Value:
    """x with its sign changed where the first bit of a pattern is set."""
    return from_bits(bits(x) ^ (pattern & -(1 << (x.format.width - 1))), x.format)


def _function(name: str, pick: Pick, x: Value) -> Value:
    """The function of any angle."""
    fmt = x.format

    def of_large(x: Value) -> Value:
        result = pick(*_payne_hanek(convert(absolute(x), F64)))
        return convert(result, fmt)

    def of_usual(x: Value) -> Value:
        return pick(*_cody_waite(absolute(x)))

    # Computed of |x|, so that −0 keeps its sign too.
    result = where_large(x, LIMIT[fmt.name], f"gl.{name}.large.{fmt.name}", of_large, of_usual)
    return result if pick is _cos else _flip_sign(result, bits(x))


def _cody_waite(x: Value) -> tuple[Value, Value, Value]:
    """q, sin r and cos r of an angle from 0 to LIMIT."""
    first, second, third = QUARTER_TURN[x.format.name]
    k, q = nearest(x, 2 / math.pi)
    return q, *_sin_and_cos(fma(-k, third, fma(-k, second, fma(-k, first, x))))


def _sin_and_cos(r: Value) -> tuple[Value, Value]:
    """sin r and cos r for |r| ≤ 0.8."""
    z = r * r
    cosine = fma(z, -0.5, 1.0) + z * z * fitted("cos", z)
    return fitted_odd("sin", r, z), cosine


# --- large angles, in float64 and wide integers ------------------------------------------------

WIDTH = 192
"""Bits of the product: 2 of the quadrant, 64 that may cancel, and what a float64 needs, twice."""

PLACES = F64.bias - F64.fraction + WIDTH - 2
"""Binary places of 2/π that the largest float64 needs."""


def _payne_hanek(x: Value) -> tuple[Value, Value, Value]:
    """q, sin r and cos r of a float64 ≥ 1; NaN if it is infinite."""
    pattern = bits(x)
    exponent = (pattern >> F64.fraction) - (F64.bias + F64.fraction)
    significand = (pattern & ((1 << F64.fraction) - 1)) | (1 << F64.fraction)

    # x = significand · 2^exponent: digits of 2/π that give multiples of 4 do not count.
    digits = Value(x.builder, ir.Constant(ir.IntType(PLACES), int(2 / PI * 2**PLACES)))
    skipped = resized(PLACES - (WIDTH - 2) - exponent, PLACES)
    window = resized(shifted_right(digits, skipped), WIDTH)
    quarters = window * resized(significand, WIDTH)  # mod 4, in units of 2^−(WIDTH − 2)

    q = resized((quarters + (1 << (WIDTH - 3))) >> (WIDTH - 2), 64)
    rest = quarters << 2
    negative = rest < 0
    size = _radians(select(negative, -rest, rest))
    r = select(x < math.inf, select(negative, -size, size), math.nan)
    return q, *_sin_and_cos(r)


def _radians(n: Value) -> Value:
    """n/2^WIDTH quarter turns as a float64, from the 64 bits that n starts with."""
    zeros = leading_zeros(n)
    start = resized(shifted_right(n << zeros, WIDTH - 64), 64)
    upper = to_float(shifted_right(start, 32), F64)
    lower = to_float(start & (2**32 - 1), F64) * 2.0**-32
    first, second, _ = QUARTER_TURN["f64"]
    r = fma(upper, first, fma(upper, second, lower * first))
    return r * power_of_two(-resized(zeros, 64) - 32, F64)
