"""Sequential, modules one after another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, overload

from gradlab.errors import ArgumentError
from gradlab.nn.module import Module


class Sequential(Module):
    """Modules applied one after another, named "0", "1", ... as in PyTorch.

    When it is made, its Variables are named by their paths. A slice is a Sequential of the same
    modules, which keep their names.

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
        self.name_variables()

    def __iter__(self) -> Iterator[Module]:
        return (part for part in vars(self).values() if isinstance(part, Module))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Sequential: ...
    def __getitem__(self, index: int | slice) -> Any:
        if not isinstance(index, slice):
            return list(self)[index]
        part = Sequential()
        for i, module in enumerate(list(self)[index]):
            setattr(part, str(i), module)
        return part

    def forward(self, x: Any) -> Any:
        """The output of the last module, each having the output of the one before."""
        for module in self:
            x = module(x)
        return x
