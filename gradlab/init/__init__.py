"""Floor 3: initialization, a pass over the named parameters of a model."""

from gradlab.init.base import Initializer, initializers
from gradlab.init.family import (
    TorchDefault,
    kaiming_normal,
    kaiming_truncated_normal,
    kaiming_uniform,
    lecun_normal,
    lecun_truncated_normal,
    lecun_uniform,
    xavier_normal,
    xavier_truncated_normal,
    xavier_uniform,
)
from gradlab.init.fan import fans
from gradlab.init.identical import Identical
from gradlab.init.named import initialize
from gradlab.init.orthogonal import Orthogonal
from gradlab.init.plain import Constant, Identity, Normal, Uniform, Zeros
from gradlab.init.scaling import VarianceScaling
from gradlab.init.select import Selection, SelectWeights
from gradlab.init.select_report import SelectionReport
from gradlab.init.truncated import TruncatedNormal

__all__ = [
    "Constant",
    "Identical",
    "Identity",
    "Initializer",
    "Normal",
    "Orthogonal",
    "SelectWeights",
    "Selection",
    "SelectionReport",
    "TorchDefault",
    "TruncatedNormal",
    "Uniform",
    "VarianceScaling",
    "Zeros",
    "fans",
    "initialize",
    "initializers",
    "kaiming_normal",
    "kaiming_truncated_normal",
    "kaiming_uniform",
    "lecun_normal",
    "lecun_truncated_normal",
    "lecun_uniform",
    "xavier_normal",
    "xavier_truncated_normal",
    "xavier_uniform",
]
