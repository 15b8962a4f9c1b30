"""Activation checkpointing: what lies between is computed again instead of being kept."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from gradlab.backprop.calls import TOKEN, Adjoints, result_of
from gradlab.backprop.tape import GradientTape
from gradlab.errors import GradientError
from gradlab.graph import Op, Symbol, Tensor, Variable, identity
from gradlab.graph.op import PerInput
from gradlab.graph.ordering import after
from gradlab.graph.tensor import Params, Tape, active
from gradlab.graph.trace import Trace
from gradlab.graph.tree import leaves, map_leaves

F = TypeVar("F", bound=Callable[..., Any])


def checkpoint(function: F) -> F:
    r"""The same function, of which a tape keeps the inputs only and computes the rest again.

    Of y = f(x) a tape keeps x instead of all that f computes on the way. When the backward sweep
    comes to y with its adjoint ȳ, f is computed again, and differentiated: x̄ = (∂f/∂x)ᵀ ȳ. A chain
    of n layers, checkpointed in segments of √n of them, so holds about 2√n activations at a time
    instead of n, for one more forward computation.

    Gradients reach what the function is given, the Variables that it reads, and tensors that it
    takes from the code around it. In the second computation Variables have the values that they
    had in the first, so a RandomStream gives the same bits; what the second one assigns is dropped.
    Checkpoints can be nested, and differentiated again. In a compiled program the second
    computation begins once ȳ is there. The function runs twice: what it does beside its tensors,
    such as printing, it does twice.

    Args:
        function: of tensors and other things, or nests of them; so is what it returns.

    Raises:
        GradientError: in the backward sweep, if the function does something else the second time,
            because of a module's mode, say; or a trainable Variable is read after it is assigned.

    Source: Chen et al., Training Deep Nets with Sublinear Memory Cost, 2016, section 4.

    >>> from gradlab.graph import tanh
    >>> x = Variable([0.5, 1.0])
    >>> with GradientTape() as tape:
    ...     y = checkpoint(lambda x: tanh(tanh(x)))(x * 2)
    >>> tape  # x * 2, the call of the function, and what it gave
    <GradientTape: stopped, operations: 3, variables: 1>
    >>> tape.gradient(y, x)
    tensor([0.49373594, 0.06265066])
    """

    @functools.wraps(function, updated=())
    def checkpointed(*args: Any, **options: Any) -> Any:
        if not active.tapes:
            return function(*args, **options)
        return _Call(function, args, options).value((args, options))

    return checkpointed  # type: ignore[return-value]


class _Call:
    """One call of a checkpointed function, and all that it takes to do it again.

    On a tape it is a *token*, made from the tensors that the function took from outside, and each
    output is made from the token. The adjoint of the token is that of all outputs together.

    Attributes:
        held: the Variables that the function read, with their values.
        sources: the tensors from outside that tapes watch.
    """

    def __init__(self, function: Callable[..., Any], args: Any, options: Any) -> None:
        self.function = function
        self.given = map_leaves(_own, (args, options))  # lists and arrays may change meanwhile
        self.held: dict[Variable, Tensor] = {}
        self.sources: tuple[Tensor, ...] = ()

    def value(self, given: tuple[Any, Any]) -> Any:
        """What the function gives, computed while tapes only hear what it takes from outside."""
        tapes, outer = active.tapes, active.trace
        listener, run = _Listener(tapes), _Run(outer, self.held)
        active.tapes = [listener]
        try:
            nest = run.of(self.function, given)
            outputs = [identity(x) for x in _tensors(nest)]  # so that they are nodes of their own
        finally:
            active.tapes = tapes
        for variable, new in run.assigned.items():
            variable.assign(new)
        if outer is not None:
            outer.guards += run.guards
        self.sources = tuple(listener.taken.values())
        self.facts = run.facts(outputs)
        if self.sources:
            token = Tensor(np.zeros((), np.int64))
            row = dataclasses.replace(TOKEN, vjps=PerInput(self._adjoint))
            for tape in tapes:
                tape.record(token, row, self.sources, {})
            outputs = [result_of(x, token, number) for number, x in enumerate(outputs)]
        remaining = iter(outputs)
        return map_leaves(lambda x: next(remaining) if isinstance(x, Tensor) else x, nest)

    def _adjoint(self, number: int, g: Adjoints, *rest: Tensor) -> Any:
        """The adjoint of a source, if the outputs depend on it; the first time of all sources."""
        if g.of_sources is None:
            g.of_sources = self._adjoints(g.of_outputs)
        return g.of_sources[number]

    def _adjoints(self, seeds: Mapping[int, Tensor]) -> list[Tensor | None]:
        """Adjoints of the sources from those of the outputs, for which the function runs again."""
        late: dict[int, Tensor] = {}

        def put_off(x: Any) -> Any:
            """The same, once the seeds are there."""
            if not isinstance(x, Tensor):
                return x
            if id(x) not in late:
                late[id(x)] = after(x, *seeds.values())
            return late[id(x)]

        given = map_leaves(put_off, self.given)
        run = _Run(active.trace, {v: put_off(x) for v, x in self.held.items()})
        # A source may come as an argument and from around the function too: as two tensors.
        pairs = [[x, late[id(x)]] if late.get(id(x), x) is not x else [x] for x in self.sources]
        with GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(pairs)
            outputs = _tensors(run.of(self.function, given))
        if run.facts(outputs) != self.facts:
            name = getattr(self.function, "__name__", type(self.function).__name__)
            raise GradientError(
                f"the checkpointed {name} does something else when it is computed again: ask for "
                "the gradient in the mode (train or eval) in which it was called, and let it "
                "depend on tensors, Variables and RandomStreams only"
            )
        targets = [outputs[number] for number in seeds]
        found = tape.gradient(targets, pairs, [*seeds.values()], unconnected="none")
        return [functools.reduce(_plus, parts) for parts in found]


def _own(x: Any) -> Any:
    """The same, of which nobody else changes the numbers."""
    return x.copy() if isinstance(x, np.ndarray) else x


def _tensors(nest: Any) -> list[Tensor]:
    return [x for x in leaves(nest) if isinstance(x, Tensor)]


def _plus(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    """The sum of adjoints, of which None is no zero but nothing."""
    return b if a is None else a if b is None else a + b


class _Listener:
    """A tape that notes which tensors from outside, watched by others, a function uses."""

    def __init__(self, tapes: list[Tape]) -> None:
        self.tapes = tapes
        self.taken: dict[int, Tensor] = {}

    def record(self, node: Tensor, op: Op, inputs: tuple[Tensor, ...], params: Params) -> None:
        """Take note of the inputs."""
        for x in inputs:
            if x.dtype.kind == "f" and self.watches(x):
                self.taken[id(x)] = x

    def read(self, variable: Variable, tensor: Tensor) -> None:
        """Let the other tapes know."""
        for tape in self.tapes:
            tape.read(variable, tensor)

    def watches(self, x: Tensor) -> bool:
        """Whether one of the other tapes does."""
        return any(tape.watches(x) for tape in self.tapes)

    def flows(self, x: Tensor) -> bool:
        """Whether a derivative flows to a tensor on one of them."""
        return any(tape.flows(x) for tape in self.tapes)


class _Run(Trace):
    """The Variables of one run of a function: what it reads is noted, what it assigns is kept here.

    Operations go to the trace around it, or are done at once if there is none.

    Args:
        outer: the trace around it.
        held: values of Variables; those that are not among them are added when they are read.
    """

    def __init__(self, outer: Trace | None, held: dict[Variable, Tensor]) -> None:
        super().__init__()
        self.outer = outer
        self.held = held
        if outer is not None:
            self.created = outer.created

    def of(self, function: Callable[..., Any], given: tuple[Any, Any]) -> Any:
        """Run the function."""
        args, options = given
        active.trace = self
        try:
            return function(*args, **options)
        finally:
            active.trace = self.outer

    def facts(self, outputs: list[Tensor]) -> Any:
        """What must be the same in each run: flags that it went by, and the kinds of outputs."""
        return [found for _, found in self.guards], [(x.shape, x.dtype) for x in outputs]

    @property
    def recording(self) -> Trace:
        """The trace around it, if there is one."""
        return self if self.outer is None else self.outer.recording

    def concerns(self, inputs: tuple[Tensor, ...]) -> bool:
        """Whether an op on these inputs belongs in the graph around it."""
        return self.outer is not None and self.outer.concerns(inputs)

    def emit(self, op: Op, inputs: tuple[Tensor, ...], params: Params) -> Symbol:
        """Note an operation down there."""
        return self.recording.emit(op, inputs, params)

    def read(self, variable: Variable) -> Tensor:
        """The present value.

        Raises:
            GradientError: a trainable Variable that was assigned: of which value it is to be the
                gradient could not be told.
        """
        if variable in self.assigned:
            if variable.trainable and variable.dtype.kind == "f":
                raise GradientError(
                    f"{variable.name or 'a Variable'} is assigned and then read in a checkpointed "
                    "function: assign it outside, or make it with trainable=False"
                )
            return self.assigned[variable]
        if variable not in self.held:
            outer = self.outer
            self.held[variable] = variable.held if outer is None else outer.read(variable)
        return self.held[variable]

    def assign(self, variable: Variable, value: Tensor) -> None:
        """Take note of a new value."""
        if self.outer is None:
            self.created.discard(variable)  # eager code may make Variables wherever it likes
        super().assign(variable, value)
