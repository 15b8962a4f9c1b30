"""Sequential, modules one after another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gradlab.errors import ArgumentError
from gradlab.nn.module import Module


class Sequential(Module):
    """Modules applied one after another, named "0", "1", ... as in PyTorch.

    When it is made, its Variables are named by their paths, and each random stream below starts
    from seed 0 and its path (see ``Module.reseed``).

    Raises:
        ArgumentError: something that is no Module.

    >>> from gradlab.nn import Linear, Tanh
    >>> model = Sequential(Linear(2, 3), Tanh(), Linear(3, 1))
    >>> list(model.named_parameters()), model([[0.5, 0.5]]).shape
    (['0.weight', '0.bias', '2.weight', '2.bias'], (1, 1))
    """

    def __init__(self, *modules: Module) -> None:
        for i, module in enumerate(modules):
            if not isinstance(module, Module):
                raise ArgumentError(
                    f"Sequential takes modules such as nn.ReLU(); number {i} is {module!r}"
                )
            setattr(self, str(i), module)
        self.name_variables().reseed(0)

    def __iter__(self) -> Iterator[Module]:
        return (part for part in vars(self).values() if isinstance(part, Module))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __getitem__(self, index: int) -> Any:
        return list(self)[index]

    def forward(self, x: Any) -> Any:
        """The output of the last module, each having the output of the one before."""
        for module in self:
            x = module(x)
        return x
