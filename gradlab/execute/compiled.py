"""``compile``: a function traced once for each kind of arguments, then run by an executor."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import itertools
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from types import MethodType
from typing import Any, Generic, Protocol, SupportsIndex, TypeVar

from gradlab.errors import ArgumentError, one_of
from gradlab.execute.numpy import NumpyProgram
from gradlab.execute.simplify import simplify
from gradlab.graph import Graph, Spec, Tensor, Variable, as_tensor, trace
from gradlab.graph.dtypes import Array
from gradlab.graph.tensor import active
from gradlab.graph.trace import lists_as_arrays
from gradlab.graph.tree import leaves, rebuild
from gradlab.graph.variable import changing

Run = tuple[Array, Sequence[Array], Mapping[Variable, Array]]
"""Rows, stepped inputs and state of a run of updates."""


class Program(Protocol):
    """What an executor makes of a Graph."""

    graph: Graph

    def run(self, inputs: Sequence[Any], state: Sequence[Any]) -> tuple[list[Array], list[Array]]:
        """Outputs and new state, from inputs and state."""

    def updates(
        self,
        data: Sequence[Array],
        rows: Array,
        inputs: Sequence[Array],
        state: Mapping[Variable, Array],
        given: Set[Variable] = frozenset(),
    ) -> tuple[list[Array], dict[Variable, Array]]:
        """Emitted values and new state, from one update for each row of row numbers."""

    def many(
        self, data: Sequence[Array], runs: Iterable[Run]
    ) -> list[tuple[list[Array], dict[Variable, Array]]]:
        """What ``updates`` gives for each of many independent runs."""


class Executor(Protocol):
    """Makes a Graph ready to run: once, or again and again with the first inputs gathered."""

    def __call__(self, graph: Graph, gathered: int = 0, halt: int | None = None) -> Program:
        """The program."""


def _native(graph: Graph, gathered: int = 0, halt: int | None = None) -> Program:
    from gradlab.execute.native import NativeProgram  # it brings LLVM along

    return NativeProgram(graph, gathered, halt)


EXECUTORS: dict[str, Executor] = {"native": _native, "numpy": NumpyProgram}
CACHE_SIZE = 64
"""Kinds of arguments with programs kept, and programs of each; the oldest ones go first."""
ALIKE = 4
"""Recordings of one computation kept, which differ in what was read from Python."""


def program(
    graph: Graph, executor: str = "native", gathered: int = 0, halt: int | None = None
) -> Program:
    """Make a graph ready to run.

    Args:
        graph: what to compute.
        executor: "native" for machine code, "numpy" for one call of NumPy after another.
        gathered: how many of the first inputs are a batch of rows of data.
        halt: number of the emitted boolean that ends a run of updates once it is False.

    Raises:
        ArgumentError: no executor of that name, or it does not know an op of the graph.
    """
    if executor not in EXECUTORS:
        raise ArgumentError(one_of("executor", executor, EXECUTORS))
    return EXECUTORS[executor](simplify(graph), gathered, halt)


def compile(function: Callable[..., Any], executor: str = "native") -> Compiled:
    """A function that does the same from its recorded graph.

    The graph is recorded at the first call, and again for arguments of another kind. Tensors,
    arrays and Python numbers are run-time inputs, of which shape and dtype count: another learning
    rate records nothing anew. A list of plain numbers is one array. Flags, texts, None and other
    objects, modules and Variables among them, are fixed: another one is another recording. It is
    recorded again, too, when what it reads from Python is not as it was: numbers, objects and
    functions around it (see ``graph.Watch``), the mode of a module, whether a Variable is
    trainable, the default dtype. If that gives the same operations, the program is kept.

    What the function does beside its tensors (printing, changing Python objects) happens only while
    it is recorded, so what it changes itself does not count. Within a trace or under a tape the
    function itself is called. Methods can be compiled: the object is then one more fixed argument.

    Args:
        function: of tensors, arrays, numbers, other objects, and nests of them.
        executor: "native" for machine code, "numpy" for one call of NumPy after another.

    Raises:
        TraceError: the function branches on a tensor's value, or assigns a Variable it has made.
        ArgumentError: unknown executor.

    >>> import numpy as np
    >>> from gradlab.graph import Variable
    >>> total = Variable(0.0)
    >>> @compile
    ... def add(x):
    ...     total.assign(total + x.sum())
    ...     return total * 2
    >>> add(np.ones(3, np.float32)), add(np.ones(3, np.float32))
    (tensor(6.), tensor(12.))
    >>> add
    <compiled add: 1 program of executor 'native'>
    """
    return Compiled(function, executor)


P = TypeVar("P")


class Recordings(Generic[P]):
    """What was made of the recordings of one function, each good for as long as its graph holds."""

    def __init__(self) -> None:
        self._known: list[tuple[Graph, P]] = []

    def get(
        self,
        record: Callable[[], Graph],
        make: Callable[[Graph], P],
        arguments: Sequence[Tensor] = (),
    ) -> P:
        """What belongs to the function as it is now.

        Args:
            record: gives its graph.
            make: gives what belongs to a graph; not called for one that is known.
            arguments: what it is called with, see ``Graph.holds``.
        """
        for graph, made in reversed(self._known):
            if graph.holds(arguments):
                return made
        recorded = record()
        same = [made for graph, made in self._known if graph.matches(recorded)]
        made = same[-1] if same else make(recorded)
        others = [pair for pair in self._known if pair[1] is not made]
        alike = [pair for pair in self._known if pair[1] is made]
        self._known = [*others, *alike[1 - ALIKE :], (recorded, made)][-CACHE_SIZE:]
        return made

    def __len__(self) -> int:
        return len({id(made) for _, made in self._known})


class Compiled:
    """What ``compile`` gives: call it like the function."""

    _unwatched = frozenset({"_programs"})

    def __init__(self, function: Callable[..., Any], executor: str) -> None:
        if executor not in EXECUTORS:
            raise ArgumentError(one_of("executor", executor, EXECUTORS))
        functools.update_wrapper(self, function, updated=())
        self.function = function
        self.executor = executor
        self._programs: OrderedDict[Any, Recordings[Program]] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_programs": OrderedDict()}  # made again when they are needed

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        """What stands under its name in a module goes by the name, as a function does."""
        name = getattr(self, "__qualname__", None)
        found: Any = sys.modules.get(getattr(self, "__module__", ""))
        for part in (name or "").split("."):
            found = getattr(found, part, None)
        return name if found is self else super().__reduce_ex__(protocol)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """As a method of a class, with the object as first argument."""
        return self if instance is None else MethodType(self, instance)

    def __repr__(self) -> str:
        name = getattr(self.function, "__name__", type(self.function).__name__)
        count = sum(len(known) for known in self._programs.values())
        return (
            f"<compiled {name}: {count} program{'s' * (count != 1)} of executor {self.executor!r}>"
        )

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Run the graph recorded for arguments of this kind."""
        if active.trace is not None or active.tapes:
            return self.function(*args, **options)
        ready, inputs = self._program(args, options)
        state = [variable.held.value for variable, _ in ready.graph.captured]
        outputs, assigned = ready.run(inputs, state)
        if assigned:
            with changing:
                for (variable, _), value in zip(ready.graph.assigned, assigned, strict=True):
                    variable.assign(Tensor(value))  # inputs are copies, or never written to
        return _returned(ready.graph, outputs)

    def run_from(
        self, state: Mapping[Variable, Array], *args: Any, **options: Any
    ) -> tuple[Any, dict[Variable, Array]]:
        """Do what a call does from other values than the Variables hold, which they keep.

        Args:
            state: values of Variables; what the others hold serves for them.
            args, options: of the call.

        Returns:
            What the call returns, and the new values of the Variables that it assigns.

        >>> import numpy as np
        >>> from gradlab.graph import Variable
        >>> total = Variable(1.0)
        >>> add = compile(lambda x: total.assign(total + x))
        >>> add.run_from({total: np.float32(5)}, 2.0)[1][total], total
        (array(7., dtype=float32), Variable(1.))
        """
        ready, inputs = self._program(args, options)
        graph = ready.graph
        values = [state.get(v, v.held.value) for v, _ in graph.captured]
        outputs, assigned = ready.run(inputs, values)
        new = zip((variable for variable, _ in graph.assigned), assigned, strict=True)
        return _returned(graph, outputs), {v: x.astype(v.dtype, copy=False) for v, x in new}

    def graph(self, *args: Any, **options: Any) -> Graph:
        """The graph recorded for arguments of this kind."""
        return self._program(args, options)[0].graph

    def program(self, *args: Any, **options: Any) -> Program:
        """The program for arguments of this kind; a native one tells what it does.

        >>> import numpy as np
        >>> double = compile(lambda x: x * 2 + 1)
        >>> print(double.program(np.ones((2, 3), np.float32)).explain())
        kernel  does                 ops  bytes  threads  for
        0       multiply add [2, 3]   12     48  1
        1 kernel, 12 operations, 48 bytes moved, 0 bytes of arena, 1 thread, 0 waits
        """
        return self._program(args, options)[0]

    def _program(
        self, args: tuple[Any, ...], options: dict[str, Any]
    ) -> tuple[Program, list[Array]]:
        """The program for a call, recorded if there is none, and the call's run-time inputs."""
        call = (
            [lists_as_arrays(x) for x in args],
            {name: lists_as_arrays(x) for name, x in sorted(options.items())},
        )
        parts = leaves(call)
        moving = [as_tensor(x) for x in parts if _moves(x)]
        kinds = iter([(x.shape, x.dtype, x.weak) for x in moving])
        form = repr(rebuild(call, itertools.repeat(...)))
        key = (form, tuple(next(kinds) if _moves(x) else _identity(x) for x in parts))
        known = self._programs.get(key)
        if known is None:
            known = self._programs.setdefault(key, Recordings())
        ready = known.get(
            lambda: self._trace(call, moving), lambda graph: program(graph, self.executor), moving
        )
        try:
            self._programs.move_to_end(key)
            if len(self._programs) > CACHE_SIZE:
                self._programs.popitem(last=False)
        except KeyError:  # another thread has forgotten it
            pass
        return ready, [x.value for x in moving]

    def _trace(self, call: Any, moving: list[Tensor]) -> Graph:
        """Recorded with all but the run-time inputs of a call held fixed."""

        def function(*symbols: Tensor) -> Any:
            given = iter(symbols)
            parts = [next(given) if _moves(x) else x for x in leaves(call)]
            args, options = rebuild(call, iter(parts))
            return self.function(*args, **options)

        names = iter(_names(self.function, call))
        specs = [dataclasses.replace(s, name=s.name or next(names)) for s in map(Spec.of, moving)]
        fixed = [x for x in leaves(call) if not _moves(x)]
        return trace(function, *specs, reads=(self.function, *fixed))


def _names(function: Callable[..., Any], call: Any) -> list[str | None]:
    """What a function calls each of the run-time inputs of a call, for messages and listings."""
    args, options = call
    try:
        parameters = [*inspect.signature(function).parameters.values()]
    except (TypeError, ValueError):  # such as some that are written in C
        parameters = []
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    known = [parameter.name for parameter in parameters if parameter.kind in positional]
    names: list[str | None] = []

    def visit(name: str | None, x: Any) -> None:
        if isinstance(x, dict | list | tuple):
            for key, part in x.items() if isinstance(x, dict) else enumerate(x):
                visit(name and f"{name}[{key!r}]", part)
        elif _moves(x):
            names.append(name)

    for name, x in [*itertools.zip_longest(known[: len(args)], args), *options.items()]:
        visit(name, x)
    return names


def _returned(graph: Graph, outputs: list[Array]) -> Any:
    """The nest that the function returned, of a program's outputs."""
    pairs = zip(outputs, graph.outputs, strict=True)
    return rebuild(graph.structure, iter([Tensor(x, y.weak) for x, y in pairs]))


class _Itself:
    """A fixed argument that equals itself only; as a key it stays alive, so its id is its own."""

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __hash__(self) -> int:
        return id(self.thing)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and self.thing is other.thing


def _moves(x: Any) -> bool:
    """Whether an argument is a run-time input: an array of any library, or a Python number."""
    if isinstance(x, Variable | str):
        return False
    return type(x) in (int, float) or hasattr(type(x), "__array__")


def _identity(x: Any) -> Any:
    """What a fixed argument is known by: its value if it has one to go by, else that it is it."""
    try:
        hash(x)
    except TypeError:
        return _Itself(x)
    return type(x), x
