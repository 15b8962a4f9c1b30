"""Identical, an initialization that leaves the symmetry between units unbroken."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gradlab.graph.dtypes import Array
from gradlab.graph.op import Shape
from gradlab.init.base import Initializer, initializers
from gradlab.init.family import kaiming_uniform
from gradlab.init.fan import Fans, fans


@initializers.register(
    "identical", formula="w_ij = c, c ~ U(±√(6/fan_in))", paper="Goodfellow et al., 2016, 8.4"
)
@dataclass(frozen=True)
class Identical(Initializer):
    """Every weight of a layer is the same random number, to show what symmetry does.

    All units of a layer then have the same weights coming in *and* going out. So they compute the
    same, get the same gradient, and remain copies of one unit for ever. (The same random row for
    each unit is not enough: the next layer's row would weigh the copies differently, and the
    gradient would tell them apart.)

    Raises:
        ShapeError: when called with the shape of something else than a weight.

    Source: Goodfellow et al., Deep Learning, 2016, section 8.4.

    >>> w = Identical()((3, 2), np.random.default_rng(0))
    >>> bool((w == w[0, 0]).all())
    True
    """

    def __call__(
        self, shape: Shape, rng: np.random.Generator, layer_fans: Fans | None = None
    ) -> Array:
        """One number, everywhere."""
        return np.full(shape, kaiming_uniform()((), rng, layer_fans or fans(shape)))
