"""Floor 3: models, as named trees of Variables, and losses; names and layouts are PyTorch's."""

from gradlab.nn import models
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
from gradlab.nn.attention import MultiheadAttention, attention
from gradlab.nn.augment import Pixels, RandomCrop, RandomFlip
from gradlab.nn.batch_norm import BatchNorm1d, BatchNorm2d
from gradlab.nn.checkpoint import Checkpoint
from gradlab.nn.containers import ModuleDict, ModuleList, Residual
from gradlab.nn.convolution import Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d
from gradlab.nn.dropout import Dropout
from gradlab.nn.embedding import Embedding
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
from gradlab.nn.norm import GroupNorm, LayerNorm, Norm, RMSNorm
from gradlab.nn.padding import ZeroPad2d
from gradlab.nn.penalty import l1_penalty, l2_penalty
from gradlab.nn.pooling import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AvgPool1d,
    AvgPool2d,
    MaxPool1d,
    MaxPool2d,
)
from gradlab.nn.recurrent import GRU, LSTM, RNN
from gradlab.nn.sequential import Sequential
from gradlab.nn.stochastic_depth import StochasticDepth

__all__ = [
    "ELU",
    "GELU",
    "GRU",
    "LSTM",
    "MLP",
    "RNN",
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AvgPool1d",
    "AvgPool2d",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "BatchNorm2d",
    "Checkpoint",
    "Conv1d",
    "Conv2d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "CrossEntropyLoss",
    "Dropout",
    "Embedding",
    "Flatten",
    "GroupNorm",
    "HingeLoss",
    "HuberLoss",
    "Identity",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MSELoss",
    "MaxPool1d",
    "MaxPool2d",
    "Module",
    "ModuleDict",
    "ModuleList",
    "MultiheadAttention",
    "Norm",
    "Pixels",
    "RMSNorm",
    "RandomCrop",
    "RandomFlip",
    "ReLU",
    "Reduction",
    "Residual",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "StochasticDepth",
    "Tanh",
    "ZeroPad2d",
    "activations",
    "attention",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "hinge_loss",
    "huber_loss",
    "l1_penalty",
    "l2_penalty",
    "losses",
    "models",
    "mse_loss",
]
