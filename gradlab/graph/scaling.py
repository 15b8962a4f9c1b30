"""Powers of 2 that bring numbers into a range where their squares are numbers of the dtype."""

from __future__ import annotations

import numpy as np

from gradlab.graph.comparison import greater, less, where
from gradlab.graph.tensor import Tensor


def scale(size: Tensor) -> Tensor:
    """A power of 2 by which numbers up to a size can be squared and summed; mostly 1.

    With E = 128 in float32 (1024 in float64): 2^(−3E/4) for a size above 2^(3E/8), 2^(3E/4) for one
    below 2^(−3E/8), so that the squares of up to 2³² numbers neither overflow nor vanish. A power
    of 2 loses no digits. It is constant: what is divided by it again has the same derivatives.

    >>> from gradlab import tensor
    >>> scale(tensor([0.0, 1e-30, 1.0, 1e30])).numpy() == 2.0 ** np.array([96, 96, 0, -96])
    array([ True,  True,  True,  True])
    """
    limit, factor = _bounds(size)
    return where(less(size, 1 / limit), factor, scale_down(size))


def scale_down(size: Tensor) -> Tensor:
    """The same, but 1 also for small sizes."""
    limit, factor = _bounds(size)
    return where(greater(size, limit), np.asarray(1 / factor, size.dtype), 1.0)


def _bounds(size: Tensor) -> tuple[float, float]:
    exponent = int(np.finfo(size.dtype).maxexp)
    return 2.0 ** (exponent * 3 // 8), 2.0 ** (exponent * 3 // 4)
