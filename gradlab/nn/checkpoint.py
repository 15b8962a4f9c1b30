"""Checkpoint, a module of which a tape keeps only the inputs."""

from __future__ import annotations

from typing import Any

from gradlab.backprop.checkpoint import checkpoint
from gradlab.errors import ArgumentError
from gradlab.nn.module import Module


class Checkpoint(Module):
    """The module ``body``, computed again in the backward sweep instead of being kept.

    See ``gradlab.checkpoint``: the same outputs and gradients, for less memory and one more forward
    computation. The body's attributes are those of the wrapper too, so paths, saved states and
    modes are as without it.

    Args:
        body: the module, such as one block of a deep model.

    Raises:
        ArgumentError: something that is no Module.

    Source: Chen et al., Training Deep Nets with Sublinear Memory Cost, 2016, section 4.

    >>> from gradlab.nn import Linear, Sequential, Tanh
    >>> block = Sequential(Linear(2, 2), Tanh())
    >>> list(Sequential(Checkpoint(block), Linear(2, 1)).named_parameters())
    ['0.0.weight', '0.0.bias', '1.weight', '1.bias']
    """

    __slots__ = ("body",)  # beside the attributes, so that it is no part of a path

    body: Module

    def __init__(self, body: Module) -> None:
        if not isinstance(body, Module):
            raise ArgumentError(f"Checkpoint takes a module such as nn.Linear(2, 2), got {body!r}")
        self.body = body
        self.__dict__ = vars(body)

    def __reduce__(self) -> Any:
        """Copied as what wraps a copy of the body."""
        return Checkpoint, (self.body,)

    def forward(self, *args: Any, **options: Any) -> Any:
        """What the body computes."""
        return checkpoint(self.body.forward)(*args, **options)
