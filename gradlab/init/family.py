"""Xavier, Kaiming and LeCun: rows of ``VarianceScaling``, and PyTorch's default.

``gain`` multiplies the standard deviation: √2 keeps the variance from layer to layer behind ReLU,
√(2/(1 + a²)) behind a leaky ReLU of slope a, 1 behind the identity.

The first authors are Xavier Glorot and Kaiming He: "glorot_normal" is "xavier_normal", and
"he_normal" is "kaiming_normal".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gradlab.errors import ArgumentError
from gradlab.graph.dtypes import Array
from gradlab.graph.op import Shape
from gradlab.init.base import Initializer, initializers
from gradlab.init.fan import Fans
from gradlab.init.scaling import Distribution, Mode, VarianceScaling

XAVIER = "Glorot and Bengio, AISTATS 2010, section 4.2"
KAIMING = "He et al., ICCV 2015, section 2.2"
LECUN = "LeCun et al., Efficient BackProp, 1998, section 4.6"


def _row(gain: float, mode: Mode, distribution: Distribution) -> VarianceScaling:
    if not 0 < gain < math.inf:
        raise ArgumentError(f"gain must be a finite number above 0, got {gain!r}")
    return VarianceScaling(gain**2, mode, distribution)


@initializers.register(
    "xavier_uniform",
    formula="U(±gain·√(6/(fan_in + fan_out)))",
    paper=f"{XAVIER}, equation 16",
    alias="glorot_uniform",
)
def xavier_uniform(gain: float = 1.0) -> VarianceScaling:
    """Xavier (Glorot) uniform: as much variance forward as backward, for tanh and the like.

    >>> xavier_uniform()
    VarianceScaling(scale=1.0, mode='fan_avg', distribution='uniform')
    """
    return _row(gain, "fan_avg", "uniform")


@initializers.register(
    "xavier_normal",
    formula="N(0, gain²·2/(fan_in + fan_out))",
    paper=f"{XAVIER}, equation 12",
    alias="glorot_normal",
)
def xavier_normal(gain: float = 1.0) -> VarianceScaling:
    """Xavier (Glorot) normal."""
    return _row(gain, "fan_avg", "normal")


@initializers.register(
    "xavier_truncated_normal",
    formula="N(0, gain²·2/(fan_in + fan_out)) within 2 standard deviations",
    paper=f"{XAVIER}, equation 12",
    alias="glorot_truncated_normal",
)
def xavier_truncated_normal(gain: float = 1.0) -> VarianceScaling:
    """Xavier (Glorot) normal without far values; the variance is as given after the cut."""
    return _row(gain, "fan_avg", "truncated_normal")


@initializers.register(
    "kaiming_uniform",
    formula="U(±gain·√(3/fan_in))",
    paper=f"{KAIMING}, equation 10",
    alias="he_uniform",
)
def kaiming_uniform(gain: float = math.sqrt(2), mode: Mode = "fan_in") -> VarianceScaling:
    """Kaiming (He) uniform: variance 2/fan_in, which ReLU keeps from layer to layer.

    >>> kaiming_uniform(gain=1.0)
    VarianceScaling(scale=1.0, mode='fan_in', distribution='uniform')
    """
    return _row(gain, mode, "uniform")


@initializers.register(
    "kaiming_normal",
    formula="N(0, gain²/fan_in)",
    paper=f"{KAIMING}, equation 10",
    alias="he_normal",
)
def kaiming_normal(gain: float = math.sqrt(2), mode: Mode = "fan_in") -> VarianceScaling:
    """Kaiming (He) normal: variance 2/fan_in, as in the paper."""
    return _row(gain, mode, "normal")


@initializers.register(
    "kaiming_truncated_normal",
    formula="N(0, gain²/fan_in) within 2 standard deviations",
    paper=f"{KAIMING}, equation 10",
    alias="he_truncated_normal",
)
def kaiming_truncated_normal(gain: float = math.sqrt(2), mode: Mode = "fan_in") -> VarianceScaling:
    """Kaiming (He) normal without far values; the variance is 2/fan_in after the cut."""
    return _row(gain, mode, "truncated_normal")


@initializers.register("lecun_uniform", formula="U(±√(3/fan_in))", paper=f"{LECUN}, equation 16")
def lecun_uniform() -> VarianceScaling:
    """LeCun uniform: variance 1/fan_in."""
    return _row(1.0, "fan_in", "uniform")


@initializers.register("lecun_normal", formula="N(0, 1/fan_in)", paper=f"{LECUN}, equation 16")
def lecun_normal() -> VarianceScaling:
    """LeCun normal: variance 1/fan_in, which SELU keeps from layer to layer."""
    return _row(1.0, "fan_in", "normal")


@initializers.register(
    "lecun_truncated_normal",
    formula="N(0, 1/fan_in) within 2 standard deviations",
    paper=f"{LECUN}, equation 16",
)
def lecun_truncated_normal() -> VarianceScaling:
    """LeCun normal without far values; the variance is 1/fan_in after the cut."""
    return _row(1.0, "fan_in", "truncated_normal")


@initializers.register(
    "torch_default", formula="U(±1/√fan_in), weight and bias", paper="PyTorch, torch.nn.Linear"
)
@dataclass(frozen=True)
class TorchDefault(Initializer):
    """PyTorch's default for linear layers, which is neither Xavier's nor Kaiming's.

    U(−1/√fan_in, 1/√fan_in), so the variance is 1/(3 fan_in); biases are drawn likewise.

    Raises:
        ShapeError: when called with neither the shape of a weight nor the layer's fans.

    >>> bias = TorchDefault()((5,), np.random.default_rng(0), layer_fans=(4, 5))
    >>> bool((abs(bias) <= 0.5).all())
    True
    """

    draws_biases: ClassVar[bool] = True

    def __call__(
        self, shape: Shape, rng: np.random.Generator, layer_fans: Fans | None = None
    ) -> Array:
        """Uniform values."""
        return VarianceScaling(1 / 3, "fan_in", "uniform")(shape, rng, layer_fans)
