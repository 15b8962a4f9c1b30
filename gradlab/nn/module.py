"""Module, a named tree of Variables and a call."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self
from weakref import WeakKeyDictionary

from gradlab.errors import ArgumentError
from gradlab.graph import RandomStream, Symbol, Tensor, Variable
from gradlab.graph.dtypes import Array
from gradlab.graph.tensor import active
from gradlab.graph.trace import Trace, guard
from gradlab.graph.variable import changing
from gradlab.nn.state import fitted
from gradlab.seeding import seed_sequence

SETTINGS = (int, float, str)

_modes_set: WeakKeyDictionary[Trace, set[Module]] = WeakKeyDictionary()
"""Modules whose mode was set within a trace, which then does not depend on the mode before it."""


class _Modes(threading.local):
    """Modes that modules have in this thread alone, by id."""

    def __init__(self) -> None:
        self.here: dict[int, bool] = {}


_modes = _Modes()


@contextmanager
def own_modes(model: Module) -> Iterator[None]:
    """Inside the block, modes of the model's modules are this thread's; set there, they end there.

    >>> from gradlab.nn import Dropout
    >>> layer = Dropout(0.5)
    >>> with own_modes(layer):
    ...     print(layer.eval().training)
    False
    >>> layer.training
    True
    """
    outer = _modes.here
    _modes.here = outer | {id(m): m._mode for m in model.named_modules().values()}
    try:
        yield
    finally:
        _modes.here = outer


@contextmanager
def in_mode(model: Module, training: bool) -> Iterator[None]:
    """The model in training or in evaluation mode inside the block, in this thread alone."""
    with own_modes(model):
        model.train(training)
        yield


class Module:
    """A part of a model: a class that holds Variables and other modules, and says what it computes.

    What is held is found by looking at the attributes in the order in which they were set:
    Variables, Modules, RandomStreams, and lists, tuples or dicts of them. A path such as
    "layers.0.weight" names each, as in PyTorch. A Variable is a *parameter* if it is trainable and
    a *buffer* if not; what is reached by several paths is listed under the first.

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

    _training: bool = True
    _path: str = ""
    _unwatched = frozenset({"_training", "_path"})  # whether the mode counts is told by ``guard``

    def __call__(self, *args: Any, **options: Any) -> Any:
        """What the module computes, ``forward(*args, **options)``; if recorded, it gets a name."""
        output = self.forward(*args, **options)
        recorded = isinstance(output, Tensor) and output.op is not None and output.name is None
        if recorded and all(output is not x for x in args):  # it is not what came in
            kind, path = type(self).__name__, self._path
            if isinstance(output, Symbol):  # told of in messages, else a letter of a formula
                output.named(f"output of {path} ({kind})" if path else f"output of {kind}")
            else:
                output.named(f"{kind}:{path}" if path else kind)
        return output

    def forward(self, *args: Any, **options: Any) -> Any:
        """What the module computes; each subclass writes its own."""
        raise NotImplementedError(
            f"{type(self).__name__} computes nothing yet: define forward(self, x)"
        )

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(vars(self).get(name), Variable) and not isinstance(value, Variable):
            raise ArgumentError(
                f"{name} of {type(self).__name__} is a Variable and would be lost: give it a value "
                f"by {name}.assign(...), or 'del' it first"
            )
        super().__setattr__(name, value)

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

        A Variable that is reached by several paths may come under any of them, or, as PyTorch
        saves it, under all. If anything does not fit, nothing is loaded.

        Raises:
            ArgumentError: a name is missing or unexpected, or two that share a Variable differ.
            ShapeError: an array has another shape than the Variable.
            DTypeError: what came is no array, or does not fit into the Variable's dtype.
        """
        arrays = fitted(state, self.state_paths(), type(self).__name__)
        with changing:
            for variable, array in arrays.items():
                variable.assign(array)

    def state_paths(self) -> dict[Variable, list[str]]:
        """Every path of each parameter and buffer, the one that ``state_dict`` has first."""
        paths: dict[Variable, list[str]] = {variable: [] for variable in self._saved().values()}
        for path, thing in _walk(self, every_path=True):
            if isinstance(thing, Variable) and thing in paths:
                paths[thing].append(path)
        return paths

    def _saved(self) -> dict[str, Variable]:
        random = {id(v) for s in self.named_streams().values() for v in (s.key, s.count)}
        return {path: v for path, v in self.named_variables().items() if id(v) not in random}

    # --- behaviour --------------------------------------------------------------------------------

    @property
    def training(self) -> bool:
        """Whether this module behaves as in training; a compiled function notices a change."""
        if active.trace is None or self in _modes_set.get(active.trace.recording, ()):
            return self._mode
        return bool(guard(lambda: self._mode))

    @training.setter
    def training(self, mode: bool) -> None:
        if id(self) in _modes.here:
            _modes.here[id(self)] = mode
        else:
            self._training = mode
        if active.trace is not None:
            _modes_set.setdefault(active.trace.recording, set()).add(self)

    @property
    def _mode(self) -> bool:
        """The mode, whatever is being recorded."""
        return _modes.here.get(id(self), self._training)

    def train(self, mode: bool = True) -> Self:
        """Behave as in training, here and below; returns the module."""
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
            elif not isinstance(value, RandomStream):
                for key, part in _members(value):
                    if isinstance(part, Module):
                        yield f"{name}.{key}", part


def _is_setting(name: str, value: Any) -> bool:
    whole = isinstance(value, tuple) and all(isinstance(part, SETTINGS) for part in value)
    return (whole or isinstance(value, SETTINGS)) and not name.startswith("_")


def _members(thing: Any) -> Iterable[tuple[Any, Any]]:
    """What a part of a model holds, by name, number or key."""
    if isinstance(thing, Module | RandomStream):
        return vars(thing).items()
    if isinstance(thing, list | tuple):
        return enumerate(thing)
    return thing.items() if isinstance(thing, dict) else ()


def _walk(root: Module, every_path: bool = False) -> Iterator[tuple[str, Any]]:
    """Everything in the tree with its path; each thing once, or by every path without a circle."""
    pending: list[tuple[str, Any, frozenset[int]]] = [("", root, frozenset())]
    seen: set[int] = set()
    while pending:
        path, thing, above = pending.pop()
        if not isinstance(thing, PARTS) or id(thing) in (above if every_path else seen):
            continue
        seen.add(id(thing))
        yield path, thing
        below = above | {id(thing)}
        pending += [
            (f"{path}.{key}" if path else str(key), part, below)
            for key, part in reversed([*_members(thing)])
        ]


PARTS = (Module, Variable, RandomStream, list, tuple, dict)
"""What a model is made of, and what may hold it."""
