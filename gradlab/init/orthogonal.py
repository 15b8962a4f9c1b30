"""Orthogonal weights, which keep lengths and angles."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gradlab.errors import ArgumentError
from gradlab.graph.dtypes import Array
from gradlab.graph.op import Shape
from gradlab.init.base import Initializer, initializers
from gradlab.init.fan import Fans, fans


@initializers.register(
    "orthogonal", formula="W Wᵀ = gain² I or Wᵀ W = gain² I", paper="Saxe et al., ICLR 2014"
)
@dataclass(frozen=True)
class Orthogonal(Initializer):
    """A random orthogonal matrix, times a gain.

    W as a matrix of shape (out, in · Π kernel) has orthogonal rows of length ``gain`` if it is
    wider than high, else orthogonal columns; every such matrix is equally likely.

    Raises:
        ArgumentError: gain is not a finite number above 0.
        ShapeError: when called with the shape of something else than a weight.

    Source: Saxe et al., Exact Solutions to the Nonlinear Dynamics of Learning in Deep Linear Neural
    Networks, ICLR 2014; Mezzadri, Notices of the AMS 54, 2007, for the signs.

    >>> w = Orthogonal()((2, 3), np.random.default_rng(0))
    >>> bool(np.allclose(w @ w.T, np.eye(2)))
    True
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.gain < math.inf:
            raise ArgumentError(f"gain must be a finite number above 0, got {self.gain!r}")

    def __call__(
        self, shape: Shape, rng: np.random.Generator, layer_fans: Fans | None = None
    ) -> Array:
        """Q of the QR decomposition of a normal matrix."""
        columns, _ = fans(shape)
        short, long = sorted((shape[0], columns))
        q, r = np.linalg.qr(rng.standard_normal((long, short)))
        # The signs of R's diagonal are a convention of the decomposition, not random.
        q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
        matrix = q if shape[0] == long else q.T
        return (self.gain * matrix).reshape(shape)
