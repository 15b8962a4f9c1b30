"""What a few seeds tell: a mean with its 95 % interval, and the difference between pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gradlab.errors import ArgumentError

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean and its 95 % interval.

    >>> Estimate(0.25, 0.24, 0.26), Estimate(0.25, 0.125, 0.5)
    (0.250 ± 0.010, 0.25 [0.12, 0.50])
    """

    mean: float
    low: float
    high: float

    def __repr__(self) -> str:
        above, below = self.high - self.mean, self.mean - self.low
        if max(above, below) <= 1e-12 * abs(self.mean):  # no spread, or that of rounding
            return f"{self.mean:.5g} ± 0"
        digits = _digits(min(above, below), self.mean)
        if math.isclose(above, below, rel_tol=1e-3, abs_tol=1e-12 * abs(self.mean)):
            return f"{_number(self.mean, digits)} ± {_number(above, digits)}"
        low, high = (_number(end, digits) for end in (self.low, self.high))
        return f"{_number(self.mean, digits)} [{low}, {high}]"

    def within(self, low: float, high: float) -> bool:
        """Whether the whole interval lies between two numbers."""
        return low <= self.low and self.high <= high


def mean(values: ArrayLike) -> Estimate:
    """Mean over seeds with Student's interval.

    m ± t·s/√n, with s² = Σ (xᵢ − m)²/(n − 1) and t the 0.975 quantile of Student's distribution
    of n − 1 degrees of freedom.

    Raises:
        ArgumentError: fewer than two values, which have no interval.

    Source: Student, The Probable Error of a Mean, Biometrika, 1908.

    >>> mean([1.0, 2.0, 3.0])
    2.0 ± 2.5
    """
    centre, low, high = bands(np.reshape(_floats(values), (-1, 1)))
    return Estimate(float(centre[0]), float(low[0]), float(high[0]))


def geometric_mean(values: ArrayLike) -> Estimate:
    """Geometric mean, for ratios and variances: Student's interval of the logarithms, put back.

    >>> geometric_mean([1.0, 2.0, 4.0])
    2.0 [0.4, 11.2]
    """
    found = mean(np.log(_floats(values)))
    return Estimate(math.exp(found.mean), math.exp(found.low), math.exp(found.high))


def bands(values: ArrayLike) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Mean and ends of its interval at each point of curves of shape (seeds, points)."""
    curves = _floats(values)
    n = len(curves)
    if n < 2:
        raise ArgumentError(f"an interval needs at least two seeds, got {n}")
    from scipy.stats import t

    centre = curves.mean(axis=0)
    margin = t.ppf((1 + CONFIDENCE) / 2, n - 1) * curves.std(axis=0, ddof=1) / math.sqrt(n)
    return centre, centre - margin, centre + margin


@dataclass(frozen=True)
class Comparison:
    """Difference between pairs: its mean and interval, and the p-value of no difference."""

    difference: Estimate
    p: float

    def __repr__(self) -> str:
        return f"{self.difference}, p {p_text(self.p)}"


def paired(a: Sequence[float] | NDArray[Any], b: Sequence[float] | NDArray[Any]) -> Comparison:
    """Student's paired test of a − b, each pair being of one seed; two-sided.

    Raises:
        ArgumentError: fewer than two pairs, or not as many of both.

    Source: Student, The Probable Error of a Mean, Biometrika, 1908.

    >>> paired([3.0, 5.0, 4.5], [1.0, 2.0, 2.0])
    2.5 ± 1.2, p = 0.013
    """
    if len(a) != len(b):
        raise ArgumentError(f"pairs are of one seed each, got {len(a)} and {len(b)} values")
    gaps = _floats(a) - _floats(b)
    difference = mean(gaps)
    if (gaps == gaps[0]).all():  # without any spread there is nothing to test
        return Comparison(difference, float(gaps[0] == 0))
    from scipy.stats import ttest_1samp

    return Comparison(difference, float(ttest_1samp(gaps, 0.0).pvalue))


def p_text(p: float) -> str:
    """A p-value with its relation sign.

    >>> p_text(0.0312), p_text(0.00001)
    ('= 0.031', '< 0.0001')
    """
    return "< 0.0001" if p < 0.0001 else f"= {p:.2g}"


def _floats(values: Any) -> NDArray[np.float64]:
    return np.asarray(values, np.float64)


def _digits(margin: float, centre: float) -> int:
    """Decimals that show two digits of the margin; four digits of the mean if there is none."""
    size = margin or abs(centre) / 100
    return 1 - math.floor(math.log10(size)) if size > 0 and math.isfinite(size) else 1


def _number(value: float, digits: int) -> str:
    """With so many decimals; in powers of ten where these would be many, or far too many."""
    if digits > 6 or abs(value) >= 1e7:
        return f"{value:.3g}"
    return f"{round(value, digits):,.{max(digits, 0)}f}"
