"""arsinh, arcosh and artanh, by ln(1 + u) with the u that does not cancel."""

from __future__ import annotations

import math

from gradlab.execute.native.math.expression import (
    Value,
    absolute,
    copysign,
    fma,
    intrinsic,
    select,
    to_float,
)
from gradlab.execute.native.math.logarithm import log1p, log_sum, split


def asinh(x: Value) -> Value:
    """Inverse hyperbolic sine, ln(1 + a + a²/(1 + √(1 + a²))) for a = |x|."""
    a = absolute(x)
    near = _at_most_large(a)
    root = intrinsic("sqrt", fma(near, near, 1.0))
    return copysign(_or_log_of_double(a, log1p(fma(near, near / (1 + root), near))), x)


def acosh(x: Value) -> Value:
    """Inverse hyperbolic cosine, ln(1 + t + √(2t + t²)) for t = x − 1; NaN below 1."""
    t = _at_most_large(x) - 1
    near = log1p(t + intrinsic("sqrt", fma(t, t, 2 * t)))
    return select(x < 1, math.nan, _or_log_of_double(x, near))


def atanh(x: Value) -> Value:
    """Inverse hyperbolic tangent, ½ ln(1 + 2a/(1 − a)) for a = |x|; NaN beyond 1."""
    a = absolute(x)
    return copysign(0.5 * log1p(2 * a / (1 - a)), x)


def _large(x: Value) -> float:
    """From here on √(x² ± 1) rounds to x."""
    return 2.0 ** (x.format.digits // 2 + 2)


def _at_most_large(x: Value) -> Value:
    return select(x > _large(x), _large(x), x)


def _or_log_of_double(x: Value, near: Value) -> Value:
    """ln 2x where x is large, ∞ of ∞, and else another result."""
    n, m = split(x)
    far = log_sum(to_float(n + 1, x.format), m - 1)
    return select(x > _large(x), select(x < math.inf, far, x), near)
