"""VarianceScaling, the one rule behind Xavier's, Kaiming's and LeCun's initializations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gradlab.errors import ArgumentError, one_of
from gradlab.graph.dtypes import Array
from gradlab.graph.op import Shape
from gradlab.init.base import Initializer, initializers
from gradlab.init.fan import Fans, fans

Mode = Literal["fan_in", "fan_out", "fan_avg"]
Distribution = Literal["uniform", "normal", "truncated_normal"]

TRUNCATED_STD = 0.87962566103423978
"""Standard deviation of a standard normal cut off at ±2: √(1 − 4φ(2)/(2Φ(2) − 1))."""


@initializers.register(
    "variance_scaling", formula="Var w = scale / n", paper="Glorot and Bengio, AISTATS 2010"
)
@dataclass(frozen=True)
class VarianceScaling(Initializer):
    """Random weights with mean 0 and a variance that goes by the number of connections.

    Var w = scale / n, where n is fan_in, fan_out or their mean:
    "uniform" draws from U(−b, b), b = √(3 scale / n); "normal" from N(0, scale / n);
    "truncated_normal" from a normal cut off at two of its standard deviations, widened by
    1/0.87962566 so that the variance after the cut is scale / n.

    Raises:
        ArgumentError: scale is not a finite number above 0, or unknown mode or distribution.
        ShapeError: when called with the shape of something else than a weight.

    Source: Glorot and Bengio, AISTATS 2010, section 4.2; He et al., ICCV 2015, section 2.2.

    >>> w = VarianceScaling(2.0, "fan_in", "uniform")((10, 6), np.random.default_rng(0))
    >>> w.shape, bool((abs(w) <= 1).all())
    ((10, 6), True)
    """

    scale: float = 1.0
    mode: Mode = "fan_in"
    distribution: Distribution = "uniform"

    def __post_init__(self) -> None:
        if not 0 < self.scale < math.inf:
            raise ArgumentError(f"scale must be a finite number above 0, got {self.scale!r}")
        for kind, chosen, known in (
            ("mode", self.mode, ("fan_in", "fan_out", "fan_avg")),
            ("distribution", self.distribution, ("uniform", "normal", "truncated_normal")),
        ):
            if chosen not in known:
                raise ArgumentError(one_of(kind, str(chosen), known))

    def __call__(
        self, shape: Shape, rng: np.random.Generator, layer_fans: Fans | None = None
    ) -> Array:
        """Values of the given variance."""
        fan_in, fan_out = layer_fans or fans(shape)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        std = math.sqrt(self.scale / n)
        if self.distribution == "uniform":
            bound = math.sqrt(3) * std
            return rng.uniform(-bound, bound, shape)
        if self.distribution == "normal":
            return std * rng.standard_normal(shape)
        return std / TRUNCATED_STD * truncated_normal(shape, rng)


def truncated_normal(shape: Shape, rng: np.random.Generator) -> Array:
    """Standard normal numbers within ±2, by the inverse of the distribution function."""
    from scipy.special import ndtr, ndtri

    return np.asarray(ndtri(rng.uniform(ndtr(-2.0), ndtr(2.0), shape)))
