"""What runs through a network: the values of its layers, and their adjoints."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradlab.backprop import GradientTape
from gradlab.graph import Tensor
from gradlab.nn import Linear, Sequential, cross_entropy


def variances(model: Sequential, x: Any, y: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Variance of what each linear layer gives, z⁽ˡ⁾, and of its adjoint, ∂loss/∂z⁽ˡ⁾.

    Taken over rows and units; the loss is the sum of the rows' cross-entropies.

    >>> from gradlab import init, nn
    >>> model = nn.MLP((4, 50, 50, 3), "identity")
    >>> init.initialize(model, "normal(std=1.0)", seed=0)
    >>> forward, backward = variances(model, np.eye(4, dtype=np.float32), np.array([0, 1, 2, 0]))
    >>> forward.shape, bool(forward[1] > forward[0])
    ((3,), True)
    """
    layers: list[Tensor] = []
    with GradientTape() as tape:
        signal = x
        for layer in model:
            signal = layer(signal)
            if isinstance(layer, Linear):
                layers.append(signal)
        loss = len(x) * cross_entropy(signal, y)
    adjoints = tape.gradient(loss, layers)
    return _variances(layers), _variances(adjoints)


def _variances(tensors: list[Tensor]) -> NDArray[Any]:
    return np.array([tensor.numpy().astype(np.float64).var() for tensor in tensors])
