"""Floor 3: optimizers, and the transforms that combine with them."""

from gradlab.optim.adaptive import AdaGrad, Adam, AdamW, RMSProp
from gradlab.optim.base import Optimizer
from gradlab.optim.chain import Chain
from gradlab.optim.descent import SGD, Momentum, Nesterov
from gradlab.optim.groups import Groups
from gradlab.optim.hyper import Hyper, hyper
from gradlab.optim.part import Part
from gradlab.optim.rows import optimizers
from gradlab.optim.state import State
from gradlab.optim.transforms import ClipNorm, ClipValue, DecoupledDecay, Transform, WeightDecay

__all__ = [
    "SGD",
    "AdaGrad",
    "Adam",
    "AdamW",
    "Chain",
    "ClipNorm",
    "ClipValue",
    "DecoupledDecay",
    "Groups",
    "Hyper",
    "Momentum",
    "Nesterov",
    "Optimizer",
    "Part",
    "RMSProp",
    "State",
    "Transform",
    "WeightDecay",
    "hyper",
    "optimizers",
]
