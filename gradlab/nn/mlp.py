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

Activation = str | Mapping[str, Any] | Module


class MLP(Sequential):
    """Multi-layer perceptron: linear layers with an activation after each but the last.

    z⁽ˡ⁾ = a⁽ˡ⁻¹⁾ W⁽ˡ⁾ᵀ + b⁽ˡ⁾, a⁽ˡ⁾ = σ(z⁽ˡ⁾); the output is z⁽ᴸ⁾, logits or plain values.

    Args:
        sizes: (in, h₁, ..., out), at least two; two make a linear model.
        activation: a row of ``activations``, such as "relu" or "leaky_relu(negative_slope=0.1)",
            or a Module, of which each hidden layer gets a copy; or a list, one for each of them.
        dropout: probability of dropping each hidden unit, in [0, 1), or a list of one for each
            hidden layer.
        dtype: of the parameters; the default dtype if not given.

    Raises:
        ArgumentError: fewer than two sizes, one below 1, an unknown activation, dropout outside
            [0, 1), or lists of another length than there are hidden layers.

    >>> list(MLP((64, 32, 10), "tanh", dropout=0.1).named_parameters())
    ['0.weight', '0.bias', '3.weight', '3.bias']
    >>> MLP((2, 8, 4, 1), ["relu", "tanh"], dropout=[0.0, 0.5])
    MLP(
      (0): Linear(in_features=2, out_features=8)  # 24 parameters
      (1): ReLU()
      (2): Linear(in_features=8, out_features=4)  # 36 parameters
      (3): Tanh()
      (4): Dropout(p=0.5)
      (5): Linear(in_features=4, out_features=1)  # 5 parameters
    )  # 65 parameters
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activation: Activation | Sequence[Activation] = "relu",
        dropout: float | Sequence[float] = 0.0,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        if not isinstance(sizes, Sequence) or len(sizes) < 2:
            raise ArgumentError(f"MLP: sizes must be (in, ..., out), at least two; got {sizes!r}")
        hidden = len(sizes) - 2
        layers: list[Module] = []
        for (inputs, outputs), chosen, p in zip(
            itertools.pairwise(sizes[:-1]),
            _for_each("activation", activation, hidden),
            _for_each("dropout", dropout, hidden),
            strict=True,
        ):
            made = chosen if isinstance(chosen, Module) else activations.build(chosen)
            layers += [Linear(inputs, outputs, dtype=dtype), copy.deepcopy(made)]
            if p != 0:
                layers.append(Dropout(p))
        super().__init__(*layers, Linear(sizes[-2], sizes[-1], dtype=dtype))


def _for_each(name: str, given: Any, layers: int) -> Sequence[Any]:
    """What each hidden layer gets: all the same, or what a list says."""
    if not isinstance(given, list | tuple):
        return [given] * layers
    if len(given) != layers:
        raise ArgumentError(f"MLP: {name} has {len(given)} entries for {layers} hidden layers")
    return given
