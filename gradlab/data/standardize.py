"""Mean and standard deviation of a column, safe for constant columns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gradlab.errors import DataError


def center_and_scale(values: NDArray[np.float64], name: str) -> tuple[float, float]:
    """Mean μ and population standard deviation σ of the values that are not NaN.

    ::

        μ = (1/n) Σ xᵢ,  σ = √((1/n) Σ (xᵢ − μ)²);  σ = 1 where all xᵢ are equal to rounding

    Raises:
        DataError: every value is missing, or the values are too large for float64 sums.

    >>> center_and_scale(np.array([1.0, np.nan, 3.0]), "size")
    (2.0, 1.0)
    >>> center_and_scale(np.array([0.1, 0.1, 0.1]), "size")[1]
    1.0
    """
    present = values[~np.isnan(values)]
    if not present.size:
        raise DataError(f"column {name!r} is missing in every training row; remove the column")
    with np.errstate(over="ignore"):
        mean = float(present.mean())
        deviation = present - mean
    widest = float(np.abs(deviation).max())
    if not np.isfinite(widest):
        raise DataError(f"column {name!r} is too large to standardize; divide it by its unit first")
    if widest <= 4 * np.finfo(np.float64).eps * abs(mean):
        return mean, 1.0
    # Squares of deviation / widest neither overflow nor vanish.
    return mean, widest * float(np.sqrt(np.mean((deviation / widest) ** 2)))
