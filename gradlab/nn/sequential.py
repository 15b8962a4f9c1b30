"""Sequential, modules one after another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, overload

from gradlab.nn.containers import held, put
from gradlab.nn.module import Module


class Sequential(Module):
    """Modules applied one after another, named "0", "1", ... as in PyTorch.

    Args:
        modules: the modules, or one dictionary that gives them names of your own.

    When it is made, its Variables are named by their paths. A slice is a Sequential of the same
    modules, numbered anew; their Variables keep their names.

    Raises:
        ArgumentError: something that is no Module, or a name that cannot be one.

    >>> from gradlab.nn import Linear, Tanh
    >>> model = Sequential(Linear(2, 3), Tanh(), Linear(3, 1))
    >>> list(model.named_parameters()), model([[0.5, 0.5]]).shape
    (['0.weight', '0.bias', '2.weight', '2.bias'], (1, 1))
    >>> list(Sequential({"hidden": Linear(2, 3), "act": Tanh()}).named_parameters())
    ['hidden.weight', 'hidden.bias']
    """

    def __init__(self, *modules: Module | Mapping[str, Module]) -> None:
        named = len(modules) == 1 and isinstance(modules[0], Mapping)
        parts: Any = modules[0] if named else {str(i): part for i, part in enumerate(modules)}
        for name, module in parts.items():
            put(self, name, module)
        self.name_variables()

    def __iter__(self) -> Iterator[Module]:
        return iter(held(self).values())

    def __len__(self) -> int:
        return len(held(self))

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
