"""Factors that bring numbers into a range where their squares are numbers of the dtype."""

from __future__ import annotations

import numpy as np

from gradlab.graph.comparison import greater, less, logical_or, where
from gradlab.graph.extremes import clip
from gradlab.graph.tensor import Tensor


def scale(size: Tensor) -> Tensor:
    """A factor by which numbers up to a size can be squared and summed; mostly 1.

    It is 1/size where the size is above 2^(3E/8) or below 2^(−3E/8), with E = 128 in float32 and
    1024 in float64, so that the squares of up to 2³² numbers neither overflow nor vanish; within,
    it is 1, and nothing is rounded. It is constant: what is divided by it again has the same
    derivatives.

    >>> from gradlab import tensor
    >>> by = scale(tensor([1e-20, 1.0, 1e20])).numpy()
    >>> (by * [1e-20, 1.0, 1e20]).round(6)
    array([1., 1., 1.])
    """
    limit, least, largest = _bounds(size)
    outside = logical_or(less(size, 1 / limit), greater(size, limit))
    return where(outside, 1 / clip(size, least, largest), 1.0)


def scale_down(size: Tensor) -> Tensor:
    """The same, but 1 also for small sizes."""
    limit, _, largest = _bounds(size)
    return 1 / where(greater(size, limit), clip(size, limit, largest), 1.0)


def _bounds(size: Tensor) -> tuple[float, float, float]:
    """The largest size that stays, and the sizes beyond which the factor stays the same."""
    exponent = int(np.finfo(size.dtype).maxexp)
    return 2.0 ** (exponent * 3 // 8), 2.0 ** -(exponent * 3 // 4), 2.0 ** (exponent - 1)
