"""Checks of what layers are made of; errors name the layer and the argument."""

from __future__ import annotations

import math
from numbers import Real

import numpy as np
import numpy.typing as npt

from gradlab.errors import ArgumentError, DTypeError
from gradlab.graph import default_dtype
from gradlab.graph.dtypes import DType, check_dtype


def whole(layer: str, name: str, value: object, least: int = 1) -> int:
    """A whole number from ``least`` up.

    Raises:
        ArgumentError: something else.

    >>> whole("GroupNorm", "num_groups", np.int64(4))
    4
    """
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise ArgumentError(
            f"{layer}: {name} must be a whole number from {least} up, got {value!r}"
        )
    return int(value)


def within(layer: str, name: str, value: float) -> float:
    """A probability in [0, 1).

    Raises:
        ArgumentError: something else.
    """
    if not isinstance(value, Real) or not 0 <= value < 1:
        raise ArgumentError(f"{layer}: {name} must be in [0, 1), got {value!r}")
    return value


def above_zero(layer: str, name: str, value: float) -> float:
    """A finite number above 0.

    Raises:
        ArgumentError: something else.
    """
    if not isinstance(value, Real) or not 0 < value < math.inf:
        raise ArgumentError(f"{layer}: {name} must be a finite number above 0, got {value!r}")
    return value


def floating_dtype(layer: str, dtype: npt.DTypeLike | None) -> DType:
    """The dtype of a layer's parameters; the default dtype for None.

    Raises:
        DTypeError: no floating one.
    """
    chosen = default_dtype() if dtype is None else check_dtype(dtype)
    if chosen.kind != "f":
        raise DTypeError(f"{layer}: dtype must be floating, got {chosen}; use float32 or float64")
    return chosen
