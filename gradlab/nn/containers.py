"""Modules that hold others: a list, a dictionary, and a residual connection."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import Any, Self

from gradlab.errors import ArgumentError, ShapeError
from gradlab.graph import Tensor, as_tensor
from gradlab.graph.tensor import Like
from gradlab.nn.module import Module


def put(container: Module, name: str, module: object) -> None:
    """Hold a module under a name, which then is a part of its parameters' paths.

    Raises:
        ArgumentError: what came is no module, or the name is empty, has a dot in it, or is that of
            something else in the container.

    >>> holder = Module()
    >>> put(holder, "head", Module())
    >>> put(holder, "train", Module())
    Traceback (most recent call last):
    gradlab.errors.ArgumentError: Module: 'train' cannot name a module; take another name
    """
    kind = type(container).__name__
    if not isinstance(module, Module):
        number = f"number {name}" if str(name).isdecimal() else repr(name)
        raise ArgumentError(f"{kind} takes modules such as nn.ReLU(); {number} is {module!r}")
    plain = isinstance(name, str) and name and "." not in name
    if not plain or (hasattr(container, name) and name not in held(container)):
        raise ArgumentError(f"{kind}: {name!r} cannot name a module; take another name")
    setattr(container, name, module)


def held(container: Module) -> dict[str, Any]:
    """The modules in a container by name, in their order.

    >>> holder = Module()
    >>> put(holder, "head", Module())
    >>> held(holder)
    {'head': Module()}
    """
    return {name: part for name, part in vars(container).items() if isinstance(part, Module)}


class ModuleList(Module):
    """A list of modules, named "0", "1", ...; what is done with them is for the holder to say.

    Raises:
        ArgumentError: something that is no Module.

    >>> from gradlab.nn import Linear
    >>> layers = ModuleList(Linear(2, 2) for _ in range(3))
    >>> len(layers), list(layers.append(Linear(2, 1)).named_parameters())[-1]
    (3, '3.bias')
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        self.extend(modules)

    def append(self, module: Module) -> Self:
        """Put a module at the end; returns the list."""
        put(self, str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Put modules at the end; returns the list."""
        for module in modules:
            self.append(module)
        return self

    def __getitem__(self, index: int) -> Any:
        return list(self)[index]

    def __iter__(self) -> Iterator[Any]:
        return iter(held(self).values())

    def __len__(self) -> int:
        return len(held(self))


class ModuleDict(Module):
    """Modules by name, which also are attributes; what is done with them is for the holder to say.

    Raises:
        ArgumentError: something that is no Module, or a name that cannot be one.

    >>> from gradlab.nn import Linear
    >>> heads = ModuleDict({"age": Linear(8, 1), "kind": Linear(8, 3)})
    >>> heads["kind"].out_features, list(heads.named_parameters())[0]
    (3, 'age.weight')
    """

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        for name, module in (modules or {}).items():
            put(self, name, module)

    def __getitem__(self, name: str) -> Any:
        return held(self)[name]

    def __setitem__(self, name: str, module: Module) -> None:
        put(self, name, module)

    def __contains__(self, name: object) -> bool:
        return name in held(self)

    def __iter__(self) -> Iterator[str]:
        return iter(held(self))

    def __len__(self) -> int:
        return len(held(self))

    def keys(self) -> KeysView[str]:
        """The names."""
        return held(self).keys()

    def values(self) -> ValuesView[Any]:
        """The modules."""
        return held(self).values()

    def items(self) -> ItemsView[str, Any]:
        """Names and modules."""
        return held(self).items()


class Residual(Module):
    """A residual connection.

    y = s(x) + f(x)

    Args:
        body: f.
        shortcut: s, a module that gives f's shape; x itself if not given.

    Raises:
        ShapeError: s(x) and f(x) differ in shape.

    Source: He et al., Deep Residual Learning for Image Recognition, CVPR 2016, equation 1.

    >>> from gradlab.nn import ReLU
    >>> Residual(ReLU())([-1.0, 2.0])
    tensor([-1.,  4.])
    """

    def __init__(self, body: Module, shortcut: Module | None = None) -> None:
        self.body = body
        self.shortcut = shortcut

    def forward(self, x: Like) -> Tensor:
        """s(x) + f(x)."""
        y: Tensor = self.body(x)
        s = as_tensor(x if self.shortcut is None else self.shortcut(x))
        if s.shape != y.shape:
            raise ShapeError(
                f"Residual: the shortcut has shape {s.shape} and the body's output {y.shape}; "
                "give it a shortcut of that shape"
            )
        return s + y
