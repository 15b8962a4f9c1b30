"""Activation functions as modules, by PyTorch's names."""

from __future__ import annotations

import gradlab.graph as graph
from gradlab.graph import Tensor, as_tensor
from gradlab.graph.tensor import Like
from gradlab.nn.module import Module
from gradlab.registry import Registry

activations = Registry("activation")


@activations.register("identity", formula="x", paper="Widrow and Hoff, 1960")
class Identity(Module):
    """Its input as it is.

    >>> Identity()([-1.0, 2.0])
    tensor([-1.,  2.])
    """

    def forward(self, x: Like) -> Tensor:
        """x."""
        return as_tensor(x)


@activations.register("relu", formula="max(x, 0)", paper="Nair and Hinton, ICML 2010")
class ReLU(Module):
    """Rectified linear unit.

    >>> ReLU()([-1.0, 2.0])
    tensor([0., 2.])
    """

    def forward(self, x: Like) -> Tensor:
        """max(x, 0)."""
        return graph.relu(x)


@activations.register(
    "leaky_relu", formula="x if x > 0 else a·x", paper="Maas et al., ICML 2013, section 2"
)
class LeakyReLU(Module):
    """Rectified linear unit that keeps a small slope a below 0.

    >>> LeakyReLU()([-1.0, 2.0])
    tensor([-0.01,  2.  ])
    """

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = negative_slope

    def forward(self, x: Like) -> Tensor:
        """x if x > 0 else a·x."""
        return graph.leaky_relu(x, self.negative_slope)


@activations.register(
    "elu", formula="x if x > 0 else α(eˣ − 1)", paper="Clevert et al., ICLR 2016, section 3"
)
class ELU(Module):
    """Exponential linear unit, which tends to −α.

    >>> ELU()([-100.0, 2.0])
    tensor([-1.,  2.])
    """

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def forward(self, x: Like) -> Tensor:
        """x if x > 0 else α(eˣ − 1)."""
        return graph.elu(x, self.alpha)


@activations.register("softplus", formula="log(1 + eˣ)", paper="Dugas et al., NIPS 2000")
class Softplus(Module):
    """Smooth rectifier.

    >>> Softplus()([-1000.0, 1000.0])
    tensor([   0., 1000.])
    """

    def forward(self, x: Like) -> Tensor:
        """log(1 + eˣ)."""
        return graph.softplus(x)


@activations.register(
    "sigmoid", formula="1/(1 + e⁻ˣ)", paper="Rumelhart et al., Nature 323, 1986, equation 2"
)
class Sigmoid(Module):
    """Logistic function.

    >>> Sigmoid()([0.0, 100.0])
    tensor([0.5, 1. ])
    """

    def forward(self, x: Like) -> Tensor:
        """1/(1 + e⁻ˣ)."""
        return graph.sigmoid(x)


@activations.register(
    "tanh", formula="(eˣ − e⁻ˣ)/(eˣ + e⁻ˣ)", paper="LeCun et al., Efficient BackProp, 1998, 4.4"
)
class Tanh(Module):
    """Hyperbolic tangent.

    >>> Tanh()([0.0, 100.0])
    tensor([0., 1.])
    """

    def forward(self, x: Like) -> Tensor:
        """(eˣ − e⁻ˣ)/(eˣ + e⁻ˣ)."""
        return graph.tanh(x)


@activations.register("gelu", formula="x·Φ(x)", paper="Hendrycks and Gimpel, 2016, section 2")
class GELU(Module):
    """Gaussian error linear unit, with Φ the normal distribution function.

    >>> GELU()([0.0, 100.0])
    tensor([  0., 100.])
    """

    def forward(self, x: Like) -> Tensor:
        """x·Φ(x)."""
        return graph.gelu(x)


@activations.register("silu", formula="x·σ(x)", paper="Elfwing et al., Neural Networks 107, 2018")
class SiLU(Module):
    """Sigmoid linear unit, also called swish.

    >>> SiLU()([0.0, 100.0])
    tensor([  0., 100.])
    """

    def forward(self, x: Like) -> Tensor:
        """x·σ(x)."""
        return graph.silu(x)


class Softmax(Module):
    """Probabilities from logits, eˣ / Σ eˣ along an axis.

    For a loss, pass the logits to ``cross_entropy`` instead: it takes the logarithm safely.

    >>> Softmax()([1000.0, 1000.0])
    tensor([0.5, 0.5])
    """

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, x: Like) -> Tensor:
        """eˣ / Σ eˣ."""
        return graph.softmax(x, self.axis)


class LogSoftmax(Module):
    """Logarithms of probabilities from logits, x − log Σ eˣ along an axis.

    >>> LogSoftmax()([1000.0, 0.0])
    tensor([    0., -1000.])
    """

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, x: Like) -> Tensor:
        """x − log Σ eˣ."""
        return graph.log_softmax(x, self.axis)
