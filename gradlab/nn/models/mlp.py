"""The multi-layer perceptron, by name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gradlab.graph.op import Shape
from gradlab.nn.flatten import Flatten
from gradlab.nn.mlp import MLP
from gradlab.nn.models.registry import models
from gradlab.nn.models.shapes import lengths
from gradlab.nn.sequential import Sequential


@models.register(
    "mlp",
    formula="linear layers with an activation after each but the last",
    paper="Rumelhart et al., Nature 323, 1986",
)
def mlp(
    inputs: Shape,
    outputs: int,
    hidden: Sequence[int] = (128, 64),
    activation: str | Mapping[str, Any] = "relu",
    dropout: float = 0.0,
) -> Sequential:
    """Multi-layer perceptron; see ``nn.MLP``. Examples of several axes are flattened first.

    109,386 parameters for images of (1, 28, 28) and 10 classes. With ``hidden=()`` it is logistic
    or linear regression, with ``hidden=(1000, 500, 100)`` DeepOBS's mnist_mlp, of 1,336,610
    parameters, which starts from "truncated_normal(std=0.03)".

    Args:
        inputs: shape of one example.
        outputs: number of classes or values.
        hidden: units of each hidden layer.
        activation: a row of ``activations``.
        dropout: probability of dropping each hidden unit, in [0, 1).

    >>> list(mlp((1, 28, 28), 10, hidden=(32,)).named_parameters())
    ['1.weight', '1.bias', '3.weight', '3.bias']
    """
    shape = lengths("mlp", inputs)
    layers = MLP((math.prod(shape), *hidden, outputs), activation, dropout)
    return layers if len(shape) == 1 else Sequential(Flatten(), *layers)
