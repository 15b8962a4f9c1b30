"""Fan-in and fan-out: how many connections come into and leave a unit."""

from __future__ import annotations

import math

from gradlab.errors import ShapeError
from gradlab.graph.op import Shape

Fans = tuple[int, int]


def fans(shape: Shape) -> Fans:
    """Fan-in and fan-out of a weight of shape (out, in, *kernel).

    fan_in = in · Π kernel, fan_out = out · Π kernel; for a linear layer in and out themselves.

    Raises:
        ShapeError: fewer than two axes, or an axis of length 0.

    >>> fans((10, 64)), fans((16, 3, 5, 5))
    ((64, 10), (75, 400))
    """
    if len(shape) < 2 or 0 in shape:
        raise ShapeError(
            f"a weight of shape {shape} has no fan-in and fan-out: they need shape "
            "(out, in, *kernel); for a bias use zeros or constant(value=...)"
        )
    kernel = math.prod(shape[2:])
    return shape[1] * kernel, shape[0] * kernel
