"""Fan-in and fan-out: how many connections come into and leave a unit."""

from __future__ import annotations

import math
from collections.abc import Mapping

from gradlab.errors import ShapeError
from gradlab.graph import Variable
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


def layer_fans(path: str, parameters: Mapping[str, Variable]) -> Fans | None:
    """Fans of the weight beside a bias; None: the parameter's own shape tells them, if any."""
    if not is_bias(path, parameters[path]):
        return None
    layer, dot, name = path.rpartition(".")
    weight = parameters.get(layer + dot + name.replace("bias", "weight"))
    return fans(weight.shape) if weight is not None and weight.ndim >= 2 else None


def is_bias(path: str, parameter: Variable) -> bool:
    """Whether a parameter is a bias: a vector with "bias" in its name."""
    return parameter.ndim == 1 and "bias" in path.rpartition(".")[2]
