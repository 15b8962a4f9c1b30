"""What every initializer is, and the registry of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from gradlab.errors import ShapeError
from gradlab.graph import Variable
from gradlab.graph.dtypes import Array
from gradlab.graph.op import Shape
from gradlab.init.fan import Fans, layer_fans
from gradlab.nn import Module
from gradlab.registry import Registry
from gradlab.seeding import stream

initializers = Registry("initializer")


class Initializer(ABC):
    """A way to draw first values; subclasses are frozen dataclasses.

    Attributes:
        draws_biases: whether it concerns biases too when it is the scheme of a whole model; if
            not, they start at zero.
        draws_all: whether it then concerns every parameter, those of normalizations too.
    """

    draws_biases: ClassVar[bool] = False
    draws_all: ClassVar[bool] = False

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

    def draw(self, model: Module, chosen: Mapping[str, Variable], seed: int) -> dict[str, Array]:
        """Values by path for some parameters of a model.

        Each is drawn by itself, from a stream of its own. A scheme for which one parameter's values
        go by another's writes its own ``draw``; it may give values for buffers too.

        Args:
            model: whose parameters they are.
            chosen: the parameters that get this scheme, by path.
            seed: whole number from 0 up.
        """
        parameters, values = model.named_parameters(), {}
        for path, parameter in chosen.items():
            rng, known = stream(seed, "init", path), layer_fans(path, parameters)
            try:
                values[path] = np.array(self(parameter.shape, rng, known))
            except ShapeError as error:
                raise ShapeError(f"{path}: {error}") from None
        return values
