"""First weights that are compared: random ones, and a teacher's, selected in several ways."""

from __future__ import annotations

from collections.abc import Callable

from gradlab.init import SelectWeights, initialize
from gradlab.init.select_indices import Elements, Layers
from gradlab.nn import Module

Start = Callable[[Module, int], None]
"""Gives a model its first weights, by a seed."""


def kaiming(model: Module, seed: int) -> None:
    """N(0, 2/fan_in)."""
    initialize(model, "kaiming_normal", seed)


def normal(model: Module, seed: int) -> None:
    """What the source of the architecture starts from."""
    scheme, patterns = model.init_scheme  # type: ignore[attr-defined]
    initialize(model, scheme, seed, patterns=patterns)


def selected(teacher: Module, layers: Layers = "first", elements: Elements = "uniform") -> Start:
    """The teacher's weights, the same elements wherever the same features pass."""

    def start(model: Module, seed: int) -> None:
        initialize(model, SelectWeights(teacher, layers, elements), seed)

    return start


def inconsistent(teacher: Module) -> Start:
    """The teacher's weights, random elements drawn anew for each tensor.

    >>> from gradlab.nn import MLP
    >>> teacher, student = MLP((4, 64, 64, 2)), MLP((4, 4, 4, 2))
    >>> teacher[0].bias.assign(range(64))
    >>> teacher[2].bias.assign(range(64))
    >>> inconsistent(teacher)(student, seed=0)
    >>> bool((student[0].bias.numpy() == student[2].bias.numpy()).all())
    False
    """
    scheme = SelectWeights(teacher, elements="random")

    def start(model: Module, seed: int) -> None:
        parameters, variables = model.named_parameters(), model.named_variables()
        for number, (path, parameter) in enumerate(parameters.items()):
            values = scheme.draw(model, {path: parameter}, len(parameters) * seed + number)
            for name, value in values.items():  # buffers too
                variables[name].assign(value)

    return start
