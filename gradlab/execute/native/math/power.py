"""x to the power y, e^(y ln |x|) with C's rules for signs, zeros and infinities.

An error of y ln |x| is a relative error of the power, so ln |x| and its product with y are kept as
sums of two floats.
"""

from __future__ import annotations

import math
from fractions import Fraction

from gradlab.execute.native.math.constants import parts
from gradlab.execute.native.math.exponential import LN2_PARTS, exp
from gradlab.execute.native.math.expression import (
    Value,
    absolute,
    copysign,
    fitted,
    fma,
    intrinsic,
    select,
    to_float,
)
from gradlab.execute.native.math.logarithm import normal, split


def pow(x: Value, y: Value) -> Value:
    """Power, xʸ; NaN for a negative x unless y is whole."""
    a = absolute(x)
    size = _of_positive(a, y)
    whole = intrinsic("floor", y).equals(y)
    half = 0.5 * y
    odd = whole & ~intrinsic("floor", half).equals(half)
    result = select(odd, copysign(size, x), size)
    result = select((x < 0) & ~whole & (a < math.inf), math.nan, result)
    one = y.equals(0) | x.equals(1) | x.equals(-1) & absolute(y).equals(math.inf)
    return select(one, 1.0, result)


def _of_positive(a: Value, y: Value) -> Value:
    """aʸ for a ≥ 0, but for 1 to the power ∞ or NaN and NaN to the power 0."""
    scaled, more = normal(a)
    n, m = split(scaled)
    high, low = log_sum_in_parts(to_float(n, a.format) + more, m - 1)
    high = select(a.equals(0), -math.inf, select(a < math.inf, high, a))
    product = y * high
    rest = fma(y, low, fma(y, high, -product))
    # Where eˣ is 0 or infinite anyway, the rest may be infinite or NaN.
    return exp(product, select(absolute(product) < 1024, rest, 0.0))


def log_sum_in_parts(k: Value, f: Value) -> tuple[Value, Value]:
    """k ln 2 + ln(1 + f), as a float and a rest.

    ln(1 + f) = 2s + s·v with s = f/(2 + f), v = z u, u = 2/3 + z P(z) and z = s². A name with an
    underscore is what is missing from the name without.
    """
    digits = f.format.digits
    d = 2 + f
    d_ = f - (d - 2)
    inverse = 1 / d
    s = f * inverse
    s_ = inverse * fma(-s, d_, fma(-s, d, f))
    z = s * s
    z_ = fma(s, s, -z) + 2 * s * s_
    third, third_ = parts(Fraction(2, 3), digits, digits)
    w = z * fitted("log tail", z)
    u = third + w
    u_ = (third - u) + w + third_
    v = z * u
    v_ = fma(z, u, -v) + fma(z, u_, z_ * u)
    b = s * v
    b_ = fma(s, v, -b) + fma(s, v_, s_ * v)

    # k ln 2, 2s and b shrink in this order, so what a sum loses is found by subtracting back.
    high, low = LN2_PARTS[f.format.name]
    first = k * high
    second = fma(s, 2.0, first)
    second_ = fma(s, 2.0, first - second)
    total = second + b
    total_ = (second - total) + b
    return total, (total_ + second_) + (fma(s_, 2.0, b_) + k * low)
