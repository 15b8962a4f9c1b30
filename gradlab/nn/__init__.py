"""Floor 3: models, as named trees of Variables, and losses; names and layouts are PyTorch's."""

from gradlab.nn.activation import (
    ELU,
    GELU,
    Identity,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
    activations,
)
from gradlab.nn.dropout import Dropout
from gradlab.nn.flatten import Flatten
from gradlab.nn.linear import Linear
from gradlab.nn.loss import (
    Reduction,
    binary_cross_entropy_with_logits,
    cross_entropy,
    hinge_loss,
    huber_loss,
    mse_loss,
)
from gradlab.nn.loss_registry import (
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    HingeLoss,
    HuberLoss,
    MSELoss,
    losses,
)
from gradlab.nn.mlp import MLP
from gradlab.nn.module import Module
from gradlab.nn.penalty import l1_penalty, l2_penalty
from gradlab.nn.sequential import Sequential

__all__ = [
    "ELU",
    "GELU",
    "MLP",
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "Dropout",
    "Flatten",
    "HingeLoss",
    "HuberLoss",
    "Identity",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MSELoss",
    "Module",
    "ReLU",
    "Reduction",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
    "activations",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "hinge_loss",
    "huber_loss",
    "l1_penalty",
    "l2_penalty",
    "losses",
    "mse_loss",
]
