"""What every initializer is, and the registry of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from gradlab.graph.dtypes import Array
from gradlab.graph.op import Shape
from gradlab.init.fan import Fans
from gradlab.registry import Registry

initializers = Registry("initializer")


class Initializer(ABC):
    """A way to draw first values; subclasses are frozen dataclasses.

    Attributes:
        draws_biases: whether it concerns biases too when it is the scheme of a whole model; if
            not, they start at zero.
    """

    draws_biases: ClassVar[bool] = False

    @abstractmethod
    def __call__(
        self, shape: Shape, rng: np.random.Generator, layer_fans: Fans | None = None
    ) -> Array:
        """Values in float64.

        Args:
            shape: of the parameter, (out, in, *kernel) for a weight.
            rng: what random numbers are drawn from.
            layer_fans: fan-in and fan-out of the layer; those of ``shape`` if not given. They let a
                bias be drawn by the fan-in of the weight beside it.
        """
