"""Normal numbers without the rare large ones, whatever the shape."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gradlab.errors import ArgumentError
from gradlab.graph.dtypes import Array
from gradlab.graph.op import Shape
from gradlab.init.base import Initializer, initializers
from gradlab.init.fan import Fans
from gradlab.init.scaling import truncated_normal


@initializers.register(
    "truncated_normal", formula="N(0, std²) within ±2 std", paper="Schneider et al., ICLR 2019"
)
@dataclass(frozen=True)
class TruncatedNormal(Initializer):
    """Normal of a given standard deviation before it is cut off at two of them.

    What is left has standard deviation 0.87962566 std, as in TensorFlow's initializer of this name;
    ``kaiming_truncated_normal`` and its like make up for that.

    Raises:
        ArgumentError: std is not a finite number of 0 or above.

    Source: Schneider et al., DeepOBS, ICLR 2019, whose small networks start so.

    >>> bool((abs(TruncatedNormal(0.05)((9, 9), np.random.default_rng(0))) <= 0.1).all())
    True
    """

    std: float

    def __post_init__(self) -> None:
        if not 0 <= self.std < math.inf:
            raise ArgumentError(
                f"truncated_normal: std must be a finite number of 0 or above, got {self.std!r}"
            )

    def __call__(
        self, shape: Shape, rng: np.random.Generator, layer_fans: Fans | None = None
    ) -> Array:
        """Normal values within ±2 std."""
        return self.std * truncated_normal(shape, rng)
