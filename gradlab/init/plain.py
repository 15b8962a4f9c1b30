"""Initializers that look at nothing but the shape: constants, plain draws, and the identity."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gradlab.errors import ArgumentError, ShapeError
from gradlab.graph.dtypes import Array
from gradlab.graph.op import Shape
from gradlab.init.base import Initializer, initializers
from gradlab.init.fan import Fans


@initializers.register("constant", formula="w = value", paper="Goodfellow et al., 2016, 8.4")
@dataclass(frozen=True)
class Constant(Initializer):
    """The same value everywhere; as a scheme for weights it keeps all units of a layer alike.

    Raises:
        ArgumentError: a value that is not finite.

    >>> Constant(0.5)((2, 2), np.random.default_rng(0))
    array([[0.5, 0.5],
           [0.5, 0.5]])
    """

    value: float

    def __post_init__(self) -> None:
        _check_finite("constant", value=self.value)

    def __call__(
        self, shape: Shape, rng: np.random.Generator, layer_fans: Fans | None = None
    ) -> Array:
        """The value, in the given shape."""
        return np.full(shape, self.value, np.float64)


@initializers.register("zeros", formula="w = 0", paper="Goodfellow et al., 2016, 8.4")
@dataclass(frozen=True)
class Zeros(Initializer):
    """Zeros: the rule for biases; weights of zero let no gradient through.

    >>> Zeros()((3,), np.random.default_rng(0))
    array([0., 0., 0.])
    """

    def __call__(
        self, shape: Shape, rng: np.random.Generator, layer_fans: Fans | None = None
    ) -> Array:
        """Zeros of the given shape."""
        return np.zeros(shape)


@initializers.register("uniform", formula="U(low, high)", paper="Goodfellow et al., 2016, 8.4")
@dataclass(frozen=True)
class Uniform(Initializer):
    """Uniform between two bounds, whatever the shape.

    Raises:
        ArgumentError: bounds that are not finite, or low above high.

    >>> bool((abs(Uniform(-0.1, 0.1)((9, 9), np.random.default_rng(0))) <= 0.1).all())
    True
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_finite("uniform", low=self.low, high=self.high)
        if self.low > self.high:
            raise ArgumentError(f"uniform: low={self.low!r} is above high={self.high!r}")

    def __call__(
        self, shape: Shape, rng: np.random.Generator, layer_fans: Fans | None = None
    ) -> Array:
        """Uniform values."""
        return rng.uniform(self.low, self.high, shape)


@initializers.register("normal", formula="N(mean, std²)", paper="Goodfellow et al., 2016, 8.4")
@dataclass(frozen=True)
class Normal(Initializer):
    """Normal of a given standard deviation, whatever the shape.

    Raises:
        ArgumentError: numbers that are not finite, or std below 0.

    >>> Normal(std=0.01)((2, 3), np.random.default_rng(0)).shape
    (2, 3)
    """

    std: float
    mean: float = 0.0

    def __post_init__(self) -> None:
        _check_finite("normal", std=self.std, mean=self.mean)
        if self.std < 0:
            raise ArgumentError(f"normal: std must be 0 or above, got {self.std!r}")

    def __call__(
        self, shape: Shape, rng: np.random.Generator, layer_fans: Fans | None = None
    ) -> Array:
        """Normal values."""
        return rng.normal(self.mean, self.std, shape)


@initializers.register("identity", formula="w_ij = 1 if i = j else 0", paper="Le et al., 2015")
@dataclass(frozen=True)
class Identity(Initializer):
    """Ones on the diagonal: a linear layer passes on what it gets.

    Raises:
        ShapeError: called for something else than a matrix.

    Source: Le et al., A Simple Way to Initialize Recurrent Networks of Rectified Linear
    Units, 2015.

    >>> Identity()((2, 3), np.random.default_rng(0))
    array([[1., 0., 0.],
           [0., 1., 0.]])
    """

    def __call__(
        self, shape: Shape, rng: np.random.Generator, layer_fans: Fans | None = None
    ) -> Array:
        """Ones on the diagonal."""
        if len(shape) != 2:
            raise ShapeError(f"the identity initializes matrices (out, in), got shape {shape}")
        return np.eye(*shape)


def _check_finite(name: str, **values: float) -> None:
    for key, value in values.items():
        if not math.isfinite(value):
            raise ArgumentError(f"{name}: {key} must be a finite number, got {value!r}")
