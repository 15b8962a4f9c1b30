"""Replay, a PyTorch module that does what any gradlab module does, by its recorded graph."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

from gradlab.errors import ArgumentError, DTypeError, require
from gradlab.execute.native.lower import written_out
from gradlab.graph import OPS, Graph, Spec, Tensor, Variable, trace
from gradlab.graph.tree import leaves, map_leaves, rebuild
from gradlab.interop.torch.rows import ROWS, to_tensor, torch_dtype
from gradlab.nn import Module
from gradlab.nn.module import SETTINGS, own_modes

torch: Any = require("torch", "torch")

KNOWN = ("float32", "float64", "bool", "uint8", "int8", "int16", "int32", "int64")
"""Dtypes that gradlab and PyTorch have in common."""


class Replay(torch.nn.Module):  # type: ignore[misc]
    """What a gradlab module computes, in PyTorch: same names, same weights, PyTorch's gradients.

    The forward pass of the gradlab module is recorded once for each kind of arguments (shapes,
    dtypes, training or evaluation), and each operation of the record is a function of PyTorch
    (``ROWS``). So inputs may have any shapes that the gradlab module takes, dropout draws the same
    bits as there, and running statistics move on in training. Parameters are ``nn.Parameter``,
    buffers are buffers, and the counters of random streams are buffers that are not saved.
    """

    def __init__(self, module: Module, parameters: dict[Variable, Any]) -> None:
        super().__init__()
        self._recipe = copy.deepcopy(module)
        self._places: dict[Variable, str] = {}
        self._programs: dict[Any, Program] = {}
        # Each with the one here that has its parameters, and says its mode.
        self._parts = [
            (part, self._part(path)) for path, part in self._recipe.named_modules().items()
        ]
        saved = module.state_paths()
        copies = self._recipe.named_variables()
        for path, variable in module.named_variables().items():
            self._places[copies[path]] = path
            *above, name = path.split(".")
            holder = self._part(".".join(above))
            if variable.trainable:
                added(holder.register_parameter, name, parameter(variable, parameters))
            else:
                value = to_tensor(variable.held.value)
                added(holder.register_buffer, name, value, persistent=variable in saved)
        for part, holder in self._parts:
            holder.training = part.training

    def _part(self, path: str) -> Any:
        """The module at a path, which is made if there is none."""
        holder = self
        for name in path.split(".") if path else ():
            if name not in holder._modules:
                added(holder.add_module, name, torch.nn.Module())
            holder = holder._modules[name]
        return holder

    def forward(self, *args: Any, **options: Any) -> Any:
        """What the gradlab module gives for tensors of PyTorch and other settings.

        Raises:
            ArgumentError: an argument that is neither a tensor nor a number, a text or None.
            DTypeError: a tensor of a dtype that gradlab does not have.
        """
        call = (args, options)
        state = self._state()
        tensors = [x for x in leaves(call) if isinstance(x, torch.Tensor)]
        modes = tuple(holder.training for _, holder in self._parts)
        key = (modes, repr(map_leaves(_kind, call)))
        if key not in self._programs:
            with own_modes(self._recipe):
                for part, holder in self._parts:
                    part.training = holder.training
                graph = trace(partial(_applied, self._recipe, call), *map(_spec, tensors))
            self._programs[key] = Program(written_out(graph, ROWS), self._places, tensors)
        outputs, assigned = self._programs[key].run(tensors, state)
        with torch.no_grad():
            for path, value in assigned.items():
                state[path].copy_(value)
        return outputs

    def _state(self) -> dict[str, Any]:
        """Parameters and buffers by path.

        Raises:
            DTypeError: one was converted, while what was recorded is in the old dtype.
        """
        state = dict(self.named_parameters(remove_duplicate=False))
        state |= dict(self.named_buffers(remove_duplicate=False))
        for variable, path in self._places.items():
            if state[path].dtype != torch_dtype(variable.dtype):
                raise DTypeError(
                    f"{path} was converted to {state[path].dtype}: make the gradlab model with "
                    "that dtype and convert it with to_torch again"
                )
        return state

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_programs": {}}  # recorded again where it is read

    def __repr__(self) -> str:
        """The gradlab module, in the text of this one."""
        text = repr(self._recipe).replace("\n", "\n  ")
        return f"Replay(\n  {text}\n)"


class Program:
    """A graph as calls of PyTorch's functions on numbered places."""

    def __init__(self, graph: Graph, places: dict[Variable, str], inputs: list[Any]) -> None:
        device = inputs[0].device if inputs else None
        self._values: list[Any] = []
        numbers: dict[int, int] = {}

        def number(x: Tensor, value: Any = None) -> int:
            if id(x) not in numbers:
                numbers[id(x)] = len(self._values)
                self._values.append(value)
            return numbers[id(x)]

        def operand(x: Tensor) -> int:
            return numbers[id(x)] if id(x) in numbers else number(x, to_tensor(x.value).to(device))

        self._inputs = [number(x) for x in graph.inputs]
        self._state = [(number(x), places[variable]) for variable, x in graph.captured]
        self._calls = []
        for node in graph.nodes:
            assert node.op is not None
            if node.op.name not in ROWS or OPS.get(node.op.name, node.op) is not node.op:
                raise ArgumentError(
                    f"PyTorch's function for the op {node.op.name!r} of yours is not known: give "
                    "the Op composed=..., or add it to gradlab.interop.torch.ROWS by a new name"
                )
            taken = [operand(x) for x in node.inputs]
            self._calls.append((ROWS[node.op.name], taken, number(node), node.params))
        self._outputs = [operand(x) for x in graph.outputs]
        self._assigned = {places[variable]: operand(x) for variable, x in graph.assigned}
        self._structure = map_leaves(lambda x: ..., graph.structure)

    def run(self, inputs: list[Any], state: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """What is returned, and new values of the state by path."""
        values = list(self._values)
        for place, x in zip(self._inputs, inputs, strict=True):
            values[place] = x
        for place, path in self._state:
            # The backward pass may need what it was before it was assigned.
            values[place] = state[path].clone() if path in self._assigned else state[path]
        for function, places, place, params in self._calls:
            values[place] = function(*[values[i] for i in places], **params)
        outputs = rebuild(self._structure, iter([values[i] for i in self._outputs]))
        return outputs, {path: values[i] for path, i in self._assigned.items()}


def parameter(variable: Variable, known: dict[Variable, Any]) -> Any:
    """The ``nn.Parameter`` of a Variable: one that is shared stays shared."""
    if variable not in known:
        value = to_tensor(variable.held.value)
        known[variable] = torch.nn.Parameter(value, requires_grad=variable.trainable)
    return known[variable]


def added(register: Callable[..., None], name: str, value: Any, **options: Any) -> None:
    """Register a part of a PyTorch module under its name.

    Raises:
        ArgumentError: PyTorch's modules have something else of that name.
    """
    try:
        register(name, value, **options)
    except KeyError as error:
        raise ArgumentError(
            f"PyTorch's modules have no place for the name {name!r} ({error}): give it another one"
        ) from error


def _applied(module: Module, call: Any, *symbols: Tensor) -> Any:
    """A module's output for a call, with symbols in the place of its tensors."""
    given = iter(symbols)
    swap = map_leaves(lambda x: next(given) if isinstance(x, torch.Tensor) else x, call)
    args, options = swap
    return module(*args, **options)


def _kind(x: Any) -> Any:
    """What an argument counts by: shape, dtype and device of a tensor, the value of others."""
    if isinstance(x, torch.Tensor):
        return tuple(x.shape), x.dtype, x.device
    if isinstance(x, SETTINGS):
        return x
    raise ArgumentError(f"a converted module takes PyTorch's tensors, got {type(x).__name__}")


def _spec(x: Any) -> Spec:
    """Shape and dtype for a trace; the dtypes of PyTorch have NumPy's names."""
    name = str(x.dtype).removeprefix("torch.")
    if name not in KNOWN:
        raise DTypeError(f"gradlab has no {name}: convert the input to one of {', '.join(KNOWN)}")
    return Spec(tuple(x.shape), name)
