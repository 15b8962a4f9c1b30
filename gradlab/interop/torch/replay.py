"""Replay, a PyTorch module that does what any gradlab module does, by its recorded graph."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

from gradlab.errors import ArgumentError, DTypeError, require
from gradlab.graph import Graph, Spec, Tensor, Variable, trace
from gradlab.graph.tree import leaves, map_leaves, rebuild
from gradlab.interop.torch.rows import ROWS, to_tensor, torch_dtype
from gradlab.nn import Module
from gradlab.nn.module import SETTINGS

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
        saved = module.state_dict().keys()
        copies = self._recipe.named_variables()
        for path, variable in module.named_variables().items():
            self._places[copies[path]] = path
            *holders, name = path.split(".")
            holder = self
            for part in holders:
                if part not in holder._modules:
                    holder.add_module(part, torch.nn.Module())
                holder = holder._modules[part]
            if variable.trainable:
                holder.register_parameter(name, parameter(variable, parameters))
            else:
                value = to_tensor(variable.held.value)
                holder.register_buffer(name, value, persistent=path in saved)
        self.train(module.training)

    def forward(self, *args: Any, **options: Any) -> Any:
        """What the gradlab module gives for tensors of PyTorch and other settings.

        Raises:
            ArgumentError: an argument that is neither a tensor nor a number, a text or None.
            DTypeError: a tensor of a dtype that gradlab does not have.
        """
        call = (args, options)
        state = self._state()
        tensors = [x for x in leaves(call) if isinstance(x, torch.Tensor)]
        key = (self.training, repr(map_leaves(_kind, call)))
        if key not in self._programs:
            self._recipe.train(self.training)
            graph = trace(partial(_applied, self._recipe, call), *map(_spec, tensors))
            self._programs[key] = Program(graph, self._places, tensors)
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

    def extra_repr(self) -> str:
        """The gradlab module, in the text of this one."""
        return repr(self._recipe)


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
            if node.op.name not in ROWS:
                raise ArgumentError(
                    f"PyTorch's function for the op {node.op.name!r} is not known: add it to "
                    "gradlab.interop.torch.ROWS"
                )
            taken = [operand(x) for x in node.inputs]
            self._calls.append((ROWS[node.op.name], taken, number(node), node.params))
        self._outputs = [operand(x) for x in graph.outputs]
        self._assigned = [(places[variable], operand(x)) for variable, x in graph.assigned]
        self._structure = map_leaves(lambda x: ..., graph.structure)

    def run(self, inputs: list[Any], state: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """What is returned, and new values of the state by path."""
        values = list(self._values)
        for place, x in zip(self._inputs, inputs, strict=True):
            values[place] = x
        for place, path in self._state:
            values[place] = state[path]
        for function, places, place, params in self._calls:
            values[place] = function(*[values[i] for i in places], **params)
        outputs = rebuild(self._structure, iter([values[i] for i in self._outputs]))
        return outputs, {path: values[i] for path, i in self._assigned}


def parameter(variable: Variable, known: dict[Variable, Any]) -> Any:
    """The ``nn.Parameter`` of a Variable: one that is shared stays shared."""
    if variable not in known:
        known[variable] = torch.nn.Parameter(to_tensor(variable.held.value))
    return known[variable]


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
