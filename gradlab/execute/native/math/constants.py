"""π, ln 2, ln 10 and 2/√π to more digits than any format needs, and their parts as floats.

A product k · c is exact if k and c have together no more digits than the format: so Cody and Waite
(Software Manual for the Elementary Functions, 1980) subtract a multiple of a constant in parts.
"""

from __future__ import annotations

import math
from fractions import Fraction

BITS = 1280
"""Binary places of the constants: the exponent of the largest float64, and 256 more."""


def _arctan(inverse: int, sign: int) -> Fraction:
    """arctan(1/n) for sign −1, artanh(1/n) for sign 1: Σ signᵏ / ((2k + 1) n^(2k+1))."""
    total, power, k = 0, (1 << (BITS + 64)) // inverse, 0
    while power:
        total += sign**k * power // (2 * k + 1)
        power //= inverse**2
        k += 1
    return Fraction(total, 1 << (BITS + 64))


PI = 16 * _arctan(5, -1) - 4 * _arctan(239, -1)
"""Machin's formula."""

LN2 = 18 * _arctan(26, 1) - 2 * _arctan(4801, 1) + 8 * _arctan(8749, 1)
"""From the factors 2, 3, 5 and 7 of 25/27, 4800/4802 and 8748/8750."""


LN10 = 46 * _arctan(31, 1) + 34 * _arctan(49, 1) + 20 * _arctan(161, 1)
"""From the factors 2, 3 and 5 of 30/32, 48/50 and 160/162."""


TWO_OVER_ROOT_PI = Fraction(math.isqrt(int(4 / PI * 4**BITS)), 2**BITS)


def parts(value: Fraction, *digits: int) -> tuple[float, ...]:
    """Floats of so many binary digits each, that add up to a positive value in [2⁻³⁰, 2³⁰].

    >>> parts(Fraction(1, 3), 4, 24)
    (0.34375, -0.010416666977107525)
    """
    found = []
    for count in digits:
        unit = Fraction(2) ** count
        while abs(value) * unit >= 2**count:
            unit /= 2
        while abs(value) * unit * 2 < 2**count:
            unit *= 2
        part = Fraction(round(value * unit)) / unit
        found.append(float(part))
        value -= part
    return tuple(found)
