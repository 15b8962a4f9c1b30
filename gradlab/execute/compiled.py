"""``compile``: a function traced once for each kind of arguments, then run by an executor."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from gradlab.errors import ArgumentError, one_of
from gradlab.execute.numpy import NumpyProgram
from gradlab.execute.simplify import simplify
from gradlab.graph import Graph, Spec, Tensor, as_tensor, trace
from gradlab.graph.dtypes import Array
from gradlab.graph.tensor import active
from gradlab.graph.tree import leaves, rebuild


class Program(Protocol):
    """What an executor makes of a Graph."""

    graph: Graph

    def run(self, inputs: Sequence[Any], state: Sequence[Any]) -> tuple[list[Array], list[Array]]:
        """Outputs and new state, from inputs and state."""


EXECUTORS: dict[str, Callable[[Graph], Program]] = {"numpy": NumpyProgram}
CACHE_SIZE = 64
"""Programs kept for each compiled function; the one used longest ago goes first."""


def program(graph: Graph, executor: str = "numpy") -> Program:
    """Make a graph ready to run.

    Raises:
        ArgumentError: no executor of that name.
    """
    if executor not in EXECUTORS:
        raise ArgumentError(one_of("executor", executor, EXECUTORS))
    return EXECUTORS[executor](simplify(graph))


def compile(function: Callable[..., Any], executor: str = "numpy") -> Compiled:
    """A function that does the same from its recorded graph.

    The graph is recorded at the first call, and again when shapes or dtypes of the arguments
    change. Python numbers are run-time inputs: another learning rate records nothing anew. What
    the function does beside its tensors (printing, changing Python objects) happens only while it
    is recorded. Within a trace or under a tape the function itself is called.

    Args:
        function: of tensors, arrays, numbers and nests of them; text and None are fixed.
        executor: "numpy".

    Raises:
        TraceError: the function branches on a tensor's value.
        ArgumentError: unknown executor.

    >>> from gradlab.graph import Variable
    >>> total = Variable(0.0)
    >>> @compile
    ... def add(x):
    ...     total.assign(total + x.sum())
    ...     return total * 2
    >>> add(np.ones(3, np.float32)), add(np.ones(3, np.float32))
    (tensor(6.), tensor(12.))
    """
    return Compiled(function, executor)


class Compiled:
    """What ``compile`` gives: call it like the function."""

    def __init__(self, function: Callable[..., Any], executor: str) -> None:
        if executor not in EXECUTORS:
            raise ArgumentError(one_of("executor", executor, EXECUTORS))
        functools.update_wrapper(self, function)
        self.function = function
        self.executor = executor
        self._programs: OrderedDict[Any, Program] = OrderedDict()

    def __call__(self, *args: Any) -> Any:
        """Run the graph recorded for arguments of this kind."""
        if active.trace is not None or active.tapes:
            return self.function(*args)
        ready, inputs = self._program(args)
        state = [variable.held.value for variable, _ in ready.graph.captured]
        outputs, assigned = ready.run(inputs, state)
        for (variable, _), value in zip(ready.graph.assigned, assigned, strict=True):
            # The caller may write to its arrays again, so what is kept is no view of them.
            shared = any(np.may_share_memory(value, x) for x in inputs)
            variable.assign(value if shared else Tensor(value))
        pairs = zip(outputs, ready.graph.outputs, strict=True)
        return rebuild(ready.graph.structure, iter([Tensor(x, y.weak) for x, y in pairs]))

    def graph(self, *args: Any) -> Graph:
        """The graph recorded for arguments of this kind."""
        return self._program(args)[0].graph

    def _program(self, args: tuple[Any, ...]) -> tuple[Program, list[Array]]:
        parts = leaves(list(args))
        moving = [x for x in parts if not isinstance(x, str)]
        specs = [Spec.of(x) for x in moving]
        form = rebuild(list(args), iter([x if isinstance(x, str) else ... for x in parts]))
        key = (repr(form), tuple((s.shape, s.dtype, s.weak) for s in specs))
        if key in self._programs:
            self._programs.move_to_end(key)
        else:
            traced = iter(specs)
            nest = rebuild(
                list(args), iter([x if isinstance(x, str) else next(traced) for x in parts])
            )
            self._programs[key] = program(self._trace(nest), self.executor)
            if len(self._programs) > CACHE_SIZE:
                self._programs.popitem(last=False)
        return self._programs[key], [as_tensor(x).value for x in moving]

    def _trace(self, nest: list[Any]) -> Graph:
        """Traced with the texts among the arguments held fixed."""
        specs = [x for x in leaves(nest) if not isinstance(x, str)]

        def call(*symbols: Any) -> Any:
            moving = iter(symbols)
            filled = [x if isinstance(x, str) else next(moving) for x in leaves(nest)]
            return self.function(*rebuild(nest, iter(filled)))

        return trace(call, *specs)
