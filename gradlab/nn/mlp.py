"""MLP, the multi-layer perceptron."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt

from gradlab.errors import ArgumentError
from gradlab.nn.activation import activations
from gradlab.nn.dropout import Dropout
from gradlab.nn.linear import Linear
from gradlab.nn.module import Module
from gradlab.nn.sequential import Sequential


class MLP(Sequential):
    """Multi-layer perceptron: linear layers with an activation after each but the last.

    z⁽ˡ⁾ = a⁽ˡ⁻¹⁾ W⁽ˡ⁾ᵀ + b⁽ˡ⁾, a⁽ˡ⁾ = σ(z⁽ˡ⁾); the output is z⁽ᴸ⁾, logits or plain values.

    Args:
        sizes: (in, h₁, ..., out), at least two; two make a linear model.
        activation: a row of ``activations``, such as "relu" or "leaky_relu(negative_slope=0.1)",
            or a Module, of which each hidden layer gets a copy.
        dropout: probability of dropping each hidden unit, in [0, 1).
        dtype: of the parameters; the default dtype if not given.

    Raises:
        ArgumentError: fewer than two sizes, one below 1, an unknown activation, or dropout
            outside [0, 1).

    >>> list(MLP((64, 32, 10), "tanh", dropout=0.1).named_parameters())
    ['0.weight', '0.bias', '3.weight', '3.bias']
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activation: str | Mapping[str, Any] | Module = "relu",
        dropout: float = 0.0,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        if not isinstance(sizes, Sequence) or len(sizes) < 2:
            raise ArgumentError(f"MLP: sizes must be (in, ..., out), at least two; got {sizes!r}")
        made = activation if isinstance(activation, Module) else activations.build(activation)
        layers: list[Module] = []
        for inputs, outputs in itertools.pairwise(sizes[:-1]):
            layers += [Linear(inputs, outputs, dtype=dtype), copy.deepcopy(made)]
            if dropout != 0:
                layers.append(Dropout(dropout))
        super().__init__(*layers, Linear(sizes[-2], sizes[-1], dtype=dtype))
