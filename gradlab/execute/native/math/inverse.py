"""arcsin, arccos, arctan and atan2, by the reductions that keep their polynomials short."""

from __future__ import annotations

import math
from fractions import Fraction

from gradlab.execute.native.math.constants import PI, parts
from gradlab.execute.native.math.expression import (
    Format,
    Value,
    absolute,
    copysign,
    fitted,
    fma,
    intrinsic,
    select,
)


def _angle(turn: Fraction, fmt: Format) -> tuple[float, ...]:
    """An angle in two parts."""
    return parts(turn, fmt.digits, fmt.digits)


def atan(x: Value) -> Value:
    """Inverse tangent, with |x| brought below tan π/8.

    arctan a is π/4 + arctan((a − 1)/(a + 1)), and beyond tan 3π/8 it is π/2 + arctan(−1/a).
    """
    a = absolute(x)
    middle, large = a > math.tan(math.pi / 8), a > math.tan(3 * math.pi / 8)
    quarter, half = _angle(PI / 4, x.format), _angle(PI / 2, x.format)
    top = select(large, -1.0, select(middle, a - 1, a))
    bottom = select(large, a, select(middle, a + 1, 1.0))
    high = select(large, half[0], select(middle, x.like(quarter[0]), 0.0))
    low = select(large, half[1], select(middle, x.like(quarter[1]), 0.0))
    t = top / bottom
    z = t * t
    rest = fma(t * z, fitted("atan", z), low)
    return copysign(high + (t + rest), x)


def _arcsine(x: Value) -> tuple[Value, Value, Value, Value]:
    """a = |x|, whether it exceeds ½, and arcsin s = s + t.

    s = a up to ½; beyond, s² = (1 − a)/2, as arcsin a = π/2 − 2 arcsin s.
    """
    a = absolute(x)
    large = a > 0.5
    z = select(large, fma(a, -0.5, 0.5), a * a)
    s = select(large, intrinsic("sqrt", z), a)
    return a, large, s, s * z * fitted("asin", z)


def asin(x: Value) -> Value:
    """Inverse sine; NaN outside [−1, 1]."""
    high, low = _angle(PI / 2, x.format)
    _, large, s, t = _arcsine(x)
    return copysign(select(large, (high - 2 * s) + fma(t, -2.0, low), s + t), x)


def acos(x: Value) -> Value:
    """Inverse cosine; NaN outside [−1, 1].

    π/2 − arcsin x up to ½ in size; 2 arcsin s beyond, and π minus that for a negative x.
    """
    high, low = _angle(PI / 2, x.format)
    _, large, s, t = _arcsine(x)
    near = (high - copysign(s, x)) + (low - copysign(t, x))
    far = 2 * (s + t)
    behind = (2 * high - 2 * s) + fma(t, -2.0, 2 * low)
    return select(large, select(x < 0, behind, far), near)


def atan2(y: Value, x: Value) -> Value:
    """Angle of the point (x, y): arctan of the smaller over the larger size, and turned from there.

    π/2 minus that where |y| is larger, and π minus the angle where x is negative, −0 too.
    """
    a, b = absolute(y), absolute(x)
    steep = a > b
    small, large = select(steep, b, a), select(steep, a, b)
    # 0/0 counts as 0, and ∞/∞ as 1.
    alike = select(large > 0, x.like(1.0), 0.0)
    t = atan(select(small.equals(large), alike, small / large))
    quarter, quarter_low = _angle(PI / 2, x.format)
    t = select(steep, quarter - (t - quarter_low), t)
    half, half_low = _angle(PI, x.format)
    behind = copysign(x.like(1.0), x) < 0
    return copysign(select(behind, half - (t - half_low), t), y)
