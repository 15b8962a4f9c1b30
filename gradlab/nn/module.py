"""Module, a named tree of Variables and a call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

import numpy as np

from gradlab.errors import ArgumentError, DTypeError, ShapeError
from gradlab.graph import RandomStream, Symbol, Variable
from gradlab.graph.dtypes import Array
from gradlab.nn.seeding import seed_sequence

SETTINGS = (int, float, str)
SHOWN = 5
"""Names that an error lists before it counts the rest."""


class Module:
    """A part of a model: a class that holds Variables and other modules, and says what it computes.

    What is held is found by looking at the attributes in the order in which they were set:
    Variables, Modules, RandomStreams, and lists or tuples of them. A path such as "layers.0.weight"
    names each, as in PyTorch. A Variable is a *parameter* if it is trainable and a *buffer* if
    not; what is reached by several paths is listed under the first.

    Attributes:
        training: whether layers such as Dropout behave as in training; see ``train`` and ``eval``.

    >>> class Line(Module):
    ...     def __init__(self):
    ...         self.slope = Variable(2.0)
    ...         self.offset = Variable(1.0, trainable=False)
    ...     def forward(self, x):
    ...         return self.slope * x + self.offset
    >>> line = Line()
    >>> line(3.0), list(line.named_parameters()), list(line.state_dict())
    (tensor(7.), ['slope'], ['slope', 'offset'])
    """

    training: bool = True
    _path: str = ""

    def __call__(self, *args: Any) -> Any:
        """What the module computes: ``forward(*args)``; a trace notes whose output it is."""
        output = self.forward(*args)
        if isinstance(output, Symbol) and output.name is None:
            kind = type(self).__name__
            output.named(f"output of {self._path} ({kind})" if self._path else f"output of {kind}")
        return output

    def forward(self, *args: Any, **options: Any) -> Any:
        """What the module computes; each subclass writes its own."""
        raise NotImplementedError(
            f"{type(self).__name__} computes nothing yet: define forward(self, x)"
        )

    # --- names ------------------------------------------------------------------------------------

    def named_modules(self) -> dict[str, Module]:
        """This module (named "") and all below it, by path."""
        return {path: thing for path, thing in _walk(self) if isinstance(thing, Module)}

    def named_streams(self) -> dict[str, RandomStream]:
        """Random streams by path."""
        return {path: thing for path, thing in _walk(self) if isinstance(thing, RandomStream)}

    def named_variables(self) -> dict[str, Variable]:
        """All state by path: parameters, buffers, and key and count of the random streams."""
        return {path: thing for path, thing in _walk(self) if isinstance(thing, Variable)}

    def named_parameters(self) -> dict[str, Variable]:
        """Trainable Variables by path."""
        return {path: v for path, v in self.named_variables().items() if v.trainable}

    def parameters(self) -> list[Variable]:
        """Trainable Variables, in the order of their paths."""
        return list(self.named_parameters().values())

    def name_variables(self) -> Self:
        """Give every Variable and module its path as the name that drawings and messages show."""
        for path, module in self.named_modules().items():
            module._path = path
        for path, variable in self.named_variables().items():
            variable.name = path
            variable.held.named(path)
        return self

    # --- state ------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Array]:
        """Copies of the parameters and buffers by path, as PyTorch names and lays them out.

        Random streams are left out: they belong to a training, not to a model.
        """
        return {path: variable.held.value.copy() for path, variable in self._saved().items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Replace parameters and buffers by arrays or tensors (PyTorch's too) of the same names.

        If anything does not fit, nothing is loaded.

        Raises:
            ArgumentError: a name is missing or unexpected.
            ShapeError: an array has another shape than the Variable.
            DTypeError: what came is no array, or does not convert to the Variable's dtype.
        """
        variables = self._saved()
        missing = [path for path in variables if path not in state]
        unexpected = [path for path in state if path not in variables]
        if missing or unexpected:
            parts = [("missing", missing), ("unexpected", unexpected)]
            text = "; ".join(f"{what}: {_listed(names)}" for what, names in parts if names)
            raise ArgumentError(f"the state does not fit this {type(self).__name__}: {text}")
        arrays = {path: _array(path, state[path]) for path in variables}
        wrong = [
            f"{path} has shape {arrays[path].shape} instead of {variable.shape}"
            for path, variable in variables.items()
            if arrays[path].shape != variable.shape
        ]
        if wrong:
            raise ShapeError(f"the state does not fit this {type(self).__name__}: {_listed(wrong)}")
        for path, variable in variables.items():
            if not np.can_cast(arrays[path].dtype, variable.dtype, "same_kind"):
                raise DTypeError(
                    f"{path} is {arrays[path].dtype} and cannot become {variable.dtype}"
                )
        for path, variable in variables.items():
            variable.assign(arrays[path])

    def _saved(self) -> dict[str, Variable]:
        random = {id(v) for s in self.named_streams().values() for v in (s.key, s.count)}
        return {path: v for path, v in self.named_variables().items() if id(v) not in random}

    # --- behaviour --------------------------------------------------------------------------------

    def train(self, mode: bool = True) -> Self:
        """Behave as in training, here and below; returns the module.

        A compiled function keeps the mode that it was recorded in.
        """
        for module in self.named_modules().values():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Behave as in evaluation, here and below; returns the module."""
        return self.train(False)

    def reseed(self, seed: int) -> Self:
        """Start every random stream anew, from the seed and its path; returns the module.

        Since only its own path counts, adding a layer never changes another stream's draws.

        Raises:
            ArgumentError: a seed that is not a whole number from 0 up.
        """
        for path, stream in self.named_streams().items():
            stream.reseed(seed_sequence(seed, "nets", path))
        return self

    def __repr__(self) -> str:
        """A line for each module, with its settings and how many parameters it has.

        >>> from gradlab.nn import MLP
        >>> MLP((2, 8, 1))
        MLP(
          (0): Linear(in_features=2, out_features=8)  # 24 parameters
          (1): ReLU()
          (2): Linear(in_features=8, out_features=1)  # 9 parameters
        )  # 33 parameters
        """
        settings = [f"{k}={v!r}" for k, v in vars(self).items() if _is_setting(k, v)]
        lines = [f"({name}): {child!r}" for name, child in self._children()]
        if lines:
            body = "\n".join([", ".join(settings), *lines] if settings else lines)
            text = f"{type(self).__name__}(\n  " + body.replace("\n", "\n  ") + "\n)"
        else:
            text = f"{type(self).__name__}({', '.join(settings)})"
        count = sum(v.size for v in self.parameters())
        return f"{text}  # {count:,} parameters" if count else text

    def _children(self) -> Iterator[tuple[str, Module]]:
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value
            elif isinstance(value, list | tuple):
                for i, part in enumerate(value):
                    if isinstance(part, Module):
                        yield f"{name}.{i}", part


def _is_setting(name: str, value: Any) -> bool:
    return isinstance(value, SETTINGS) and name != "training" and not name.startswith("_")


def _walk(root: Module) -> Iterator[tuple[str, Any]]:
    """Everything in the tree, each thing once, with its path."""
    pending: list[tuple[str, Any]] = [("", root)]
    seen: set[int] = set()
    while pending:
        path, thing = pending.pop()
        members: Iterable[tuple[Any, Any]] = ()
        if isinstance(thing, Module | RandomStream):
            members = vars(thing).items()
        elif isinstance(thing, list | tuple):
            members = enumerate(thing)
        elif not isinstance(thing, Variable):
            continue
        if id(thing) not in seen:
            seen.add(id(thing))
            yield path, thing
            below = [(f"{path}.{key}" if path else str(key), part) for key, part in members]
            pending += reversed(below)


def _array(path: str, value: Any) -> Array:
    """An array of numbers, from whatever came."""
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DTypeError(f"{path} does not convert to an array: {error}") from error
    if array.dtype.kind not in "fiub":
        raise DTypeError(f"{path} holds {array.dtype}, not numbers")
    return array


def _listed(names: list[str]) -> str:
    rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + rest
