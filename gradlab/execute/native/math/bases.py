"""Logarithms to the bases 2 and 10: ln x in two parts, times 1/ln b in two parts.

So the result is rounded once but for a rest that seldom counts, and is exact at powers of the base.
"""

from __future__ import annotations

from fractions import Fraction

from gradlab.execute.native.math.constants import LN2, LN10, parts
from gradlab.execute.native.math.expression import Value, fma, to_float
from gradlab.execute.native.math.logarithm import normal, split, with_poles
from gradlab.execute.native.math.power import log_sum_in_parts


def log2(x: Value) -> Value:
    """Logarithm to base 2."""
    return _logarithm(x, 1 / LN2)


def log10(x: Value) -> Value:
    """Logarithm to base 10."""
    return _logarithm(x, 1 / LN10)


def _logarithm(x: Value, factor: Fraction) -> Value:
    """ln x times a factor."""
    scaled, more = normal(x)
    n, m = split(scaled)
    high, low = log_sum_in_parts(to_float(n, x.format) + more, m - 1)
    factor_high, factor_low = parts(factor, x.format.digits, x.format.digits)
    product = high * factor_high
    rest = fma(low, factor_high, fma(high, factor_low, fma(high, factor_high, -product)))
    return with_poles(product + rest, x)
