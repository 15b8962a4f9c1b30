"""Graph, a recorded computation, and ``trace``, which records one without running it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from gradlab.errors import TraceError
from gradlab.graph.dtypes import Array, DType, check_dtype, default_dtype, fits
from gradlab.graph.op import Op, Shape
from gradlab.graph.shaping import cast, stop_gradient
from gradlab.graph.tensor import (
    PYTHON_NUMBERS,
    Params,
    Symbol,
    Tensor,
    active,
    apply,
    as_tensor,
)
from gradlab.graph.tree import leaves, map_leaves, rebuild
from gradlab.graph.variable import Variable
from gradlab.graph.watch import COPIED, Watch


@dataclass(frozen=True)
class Spec:
    """What is known of an argument before there are numbers: shape and dtype.

    Args:
        shape: lengths of the axes.
        dtype: float32 if not given.
        weak: it stands for a Python number, and takes the dtype of what it meets.
        name: what drawings and messages call it.
        example: a whole number that it stands for, since a small dtype may not have room for it.
    """

    shape: Shape = ()
    dtype: npt.DTypeLike = np.float32
    weak: bool = False
    name: str | None = None
    example: Array | None = field(default=None, repr=False, compare=False)

    @staticmethod
    def of(x: Any) -> Spec:
        """The spec of a tensor, variable, array, nested list or Python number.

        >>> Spec.of(0.5)
        Spec(shape=(), dtype=dtype('float64'), weak=True, name=None)
        """
        if isinstance(x, Spec):
            return x
        x = as_tensor(x)
        whole = x.weak and x.dtype.kind in "iu" and not isinstance(x, Symbol)
        return Spec(x.shape, x.dtype, x.weak, x.name, x.value if whole else None)


Guard = tuple[Callable[[], Any], Any]


@dataclass(frozen=True)
class Fit:
    """Whether a whole number computed from the arguments fits a dtype, which the graph went by.

    Attributes:
        number: the graph of the number, with the inputs of the graph that went by it.
        dtype: what it was to fit.
        fits: whether it did.
    """

    number: Graph
    dtype: DType
    fits: bool

    def holds(self, arguments: Sequence[Tensor]) -> bool:
        """Return whether the answer is the same for other arguments."""
        return fits(self.number.replay(*arguments).value, self.dtype) == self.fits


@dataclass(frozen=True)
class Graph:
    """A computation: what goes in, the operations in order, and what comes out.

    Attributes:
        nodes: the operations, each after those that it needs.
        inputs: one symbol for each argument.
        outputs: what is returned, tensors in the order of the nest ``structure``.
        captured: Variables read (state in), each with the symbol that stands for its value.
        assigned: Variables assigned (state out), each with its new value.
        structure: the nest that the function returned.
        guards: what the function read beside tensors, and what it found (see ``guard``, ``Watch``).
        numbers: which Python integers among the arguments fit which dtypes.

    Inputs of nodes that are no symbols are constants.
    """

    nodes: tuple[Symbol, ...]
    inputs: tuple[Symbol, ...]
    outputs: tuple[Tensor, ...]
    captured: tuple[tuple[Variable, Symbol], ...]
    assigned: tuple[tuple[Variable, Tensor], ...]
    structure: Any
    guards: tuple[Guard, ...] = ()
    numbers: tuple[Fit, ...] = ()

    def holds(self, arguments: Sequence[Tensor] = ()) -> bool:
        """Whether the function would still do this: all that it read is as it was.

        Args:
            arguments: what it is called with; the graph is also another one where a Python integer
                among them does not fit the dtype it meets, or does and did not before.
        """
        return all(read() == found for read, found in self.guards) and all(
            number.holds(arguments) for number in self.numbers
        )

    def matches(self, other: Graph) -> bool:
        """Whether another graph is the same computation, on the same Variables.

        >>> graphs = [trace(lambda x: x * scale, Spec()) for scale in (2.0, 2.0, 3.0)]
        >>> graphs[0].matches(graphs[1]), graphs[0].matches(graphs[2])
        (True, False)
        """
        twins: dict[int, Tensor] = {}

        def alike(a: Tensor, b: Tensor) -> bool:
            """Whether two tensors are at the same place, or the same constants."""
            if id(a) in twins:
                return twins[id(a)] is b
            if isinstance(a, Symbol) or isinstance(b, Symbol):
                return False
            if _kind(a) != _kind(b) or a.weak != b.weak:
                return False
            return a.value is b.value or bool(a.value.tobytes() == b.value.tobytes())

        def start(a: Tensor, b: Tensor) -> bool:
            """Take two symbols for one another, if they can stand for the same."""
            twins[id(a)] = b
            return _kind(a) == _kind(b) and a.weak == b.weak and a.name == b.name

        def step(a: Symbol, b: Symbol) -> bool:
            """Whether two nodes apply the same op to the same inputs."""
            return (
                a.op is b.op
                and len(a.inputs) == len(b.inputs)
                and all(map(alike, a.inputs, b.inputs))
                and _equal(a.params, b.params)
                and start(a, b)
            )

        ours, others = (
            (len(g.nodes), len(g.inputs), [id(v) for v, _ in (*g.captured, *g.assigned)])
            for g in (self, other)
        )
        symbols = ((*g.inputs, *(s for _, s in g.captured)) for g in (self, other))
        ends = ((*g.outputs, *(x for _, x in g.assigned)) for g in (self, other))
        forms = (map_leaves(lambda x: None, g.structure) for g in (self, other))
        return (
            ours == others
            and len(self.captured) == len(other.captured)
            and all(map(start, *symbols))
            and all(map(step, self.nodes, other.nodes))
            and len(self.outputs) == len(other.outputs)
            and all(map(alike, *ends))
            and _equal(*forms)
        )

    def __str__(self) -> str:
        """A listing, one operation a line.

        >>> print(trace(lambda x: x * 2 + 1, Spec((3,), name="x")))
        in   x: float32(3)
        %1 = multiply(x, 2.0): float32(3)
        %2 = add(%1, 1.0): float32(3)
        out  %2
        """
        names: dict[int, str] = {}
        lines = []
        for i, symbol in enumerate(self.inputs):
            names[id(symbol)] = symbol.name or f"input{i}"
            lines.append(f"in   {names[id(symbol)]}: {_kind(symbol)}")
        for i, (variable, symbol) in enumerate(self.captured):
            names[id(symbol)] = variable.name or f"variable{i}"
            lines.append(f"read {names[id(symbol)]}: {_kind(symbol)}")

        def label(x: Tensor) -> str:
            if isinstance(x, Symbol):
                return names[id(x)]
            return str(x.item()) if x.size == 1 else f"constant {_kind(x)}"

        for i, node in enumerate(self.nodes, start=1):
            names[id(node)] = f"%{i}"
            assert node.op is not None
            arguments = [label(x) for x in node.inputs]
            arguments += [f"{k}={v}" for k, v in node.params.items()]
            note = f"  # {node.name}" if node.name else ""
            lines.append(f"%{i} = {node.op.name}({', '.join(arguments)}): {_kind(node)}{note}")
        for variable, value in self.assigned:
            lines.append(f"set  {variable.name or 'variable'} = {label(value)}")
        lines.append(f"out  {', '.join(label(x) for x in self.outputs)}")
        return "\n".join(lines)

    def replay(self, *arguments: Any) -> Any:
        """Apply the recorded operations to new arguments, eagerly or within another trace.

        Variables are read and assigned as the function that was traced would.

        >>> graph = trace(lambda x: {"twice": x * 2}, Spec((2,)))
        >>> graph.replay([1.0, 2.0])
        {'twice': tensor([2., 4.])}
        """
        tensors = [as_tensor(x) for x in arguments]
        for number in self.numbers:
            if not number.holds(tensors):
                raise TraceError(
                    f"a whole number that was traced to {'' if number.fits else 'not '}fit "
                    f"{number.dtype} is another one now: trace the function again with it"
                )
        values: dict[int, Tensor] = {
            id(symbol): x for symbol, x in zip(self.inputs, tensors, strict=True)
        }
        values |= {id(symbol): variable.read() for variable, symbol in self.captured}
        for node in self.nodes:
            assert node.op is not None
            inputs = tuple(values.get(id(x), x) for x in node.inputs)
            values[id(node)] = again = apply(node.op, inputs, node.params)
            again.weak = node.weak
        for variable, value in self.assigned:
            variable.assign(values.get(id(value), value))
        return rebuild(self.structure, iter([values.get(id(x), x) for x in self.outputs]))


def _kind(x: Tensor) -> str:
    return f"{x.dtype}({', '.join(map(str, x.shape))})"


def _equal(a: Any, b: Any) -> bool:
    """Whether parameters of an op are the same; of what tells by itself only if it says so."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_equal(a[k], b[k]) for k in a)
    if type(a) is not type(b):
        return False
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(_equal, a, b))
    if isinstance(a, np.ndarray):
        return bool(np.array_equal(a, b)) and a.dtype == b.dtype
    return a is b or (a == b) is True


class Trace:
    """A recording in progress: the operations so far, and the variables read and assigned.

    Attributes:
        nodes, captured, assigned, guards: as of the ``Graph`` to be.
        created: Variables made since it began.
        constants: large arrays that became constants, each with its copy.
    """

    def __init__(self) -> None:
        self.nodes: list[Symbol] = []
        self.captured: dict[Variable, Symbol] = {}
        self.assigned: dict[Variable, Tensor] = {}
        self.guards: list[Guard] = []
        self.numbers: list[Fit] = []
        self.arguments: tuple[Symbol, ...] = ()
        self.created: set[Variable] = set()
        self.constants: list[tuple[Any, Any]] = []

    @property
    def recording(self) -> Trace:
        """The trace that operations are noted down in."""
        return self

    def concerns(self, inputs: tuple[Tensor, ...]) -> bool:
        """Whether an op on these inputs belongs in the graph; else it is a constant."""
        symbolic = False
        for x in inputs:
            if isinstance(x, Symbol):
                if x.recording is not self:
                    raise TraceError(
                        f"{x!r} belongs to a trace that has ended or is not the innermost: return "
                        "it from the traced function instead of keeping it"
                    )
                symbolic = True
        return symbolic

    def input(self, spec: Spec) -> Symbol:
        """A symbol for an argument."""
        dtype: DType = check_dtype(spec.dtype)
        symbol = Symbol(self, tuple(spec.shape), dtype, weak=spec.weak, name=spec.name)
        symbol.example = spec.example
        return symbol

    def note(self, array: Any, copy: Any) -> None:
        """Take note that an array of the user's became a constant."""
        if array.nbytes > COPIED and array.flags.writeable:
            self.constants.append((array, copy))

    def emit(self, op: Op, inputs: tuple[Tensor, ...], params: Params) -> Symbol:
        """Note an operation down."""
        shape, dtype = op.infer(*inputs, **params)
        weak = all(x.weak for x in inputs)
        node = Symbol(self, shape, dtype, op, inputs, params, weak)
        if weak and dtype.kind in "iu":
            numbers = [x.example if isinstance(x, Symbol) else x.value for x in inputs]
            if not any(number is None for number in numbers):
                node.example = np.asarray(op.forward(np, *numbers, **params))
        self.nodes.append(node)
        return node

    def fits(self, number: Symbol, dtype: DType) -> bool:
        """Return whether a whole number that is traced fits a dtype, and note that this counts.

        Raises:
            TraceError: it is known at run time only, such as the value of a weak Variable.
        """
        if number.example is None:
            raise TraceError(
                f"whether {number!r} fits {dtype} is known at run time only, and the dtype of the "
                f"result depends on it: write gradlab.astype(..., '{dtype}') or a wider dtype"
            )
        nodes = _needed(self.nodes, (number,))
        graph = Graph(nodes, self.arguments, (number,), (), (), number)
        self.numbers.append(Fit(graph, dtype, fits(number.example, dtype)))
        return self.numbers[-1].fits

    def read(self, variable: Variable) -> Tensor:
        """The symbol that stands for a variable's present value."""
        if variable in self.assigned:
            return self.assigned[variable]
        if variable not in self.captured:
            held = variable.held
            spec = Spec(held.shape, held.dtype, held.weak, variable.name)
            self.captured[variable] = self.input(spec)
            self.guards.append((lambda: variable.trainable, variable.trainable))
        return self.captured[variable]

    def assign(self, variable: Variable, value: Tensor) -> None:
        """Take note of a new value; as in eager code, no gradient flows through it.

        Raises:
            TraceError: the function made the variable itself: it would make it once, not at each
                call, and the program would go on with what the last call left in it.
        """
        if variable in self.created:
            raise TraceError(
                f"variable {variable.name or ''} of shape {variable.shape} is created and assigned "
                "in the traced function: create it outside, or compute with tensors instead"
            )
        new = stop_gradient(cast(value, variable.dtype))
        new.weak = variable.weak
        self.assigned[variable] = new


class _Kept(Trace):
    """Operations are done at once, and what is assigned to Variables is kept here."""

    def read(self, variable: Variable) -> Tensor:
        """The present value."""
        return self.assigned.get(variable, variable.held)

    def assign(self, variable: Variable, value: Tensor) -> None:
        """Take note of a new value."""
        self.created.discard(variable)  # eager code may make Variables wherever it likes
        super().assign(variable, value)


def dry_run(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function gives for arguments, while every Variable keeps what it holds.

    >>> total = Variable(1.0)
    >>> def add(x):
    ...     total.assign(total + x)
    ...     return total.read()
    >>> dry_run(add, 2.0), total
    (tensor(3.), Variable(1.))
    """
    outer = active.trace
    active.trace = _Kept()
    try:
        return function(*arguments)
    finally:
        active.trace = outer


def guard(read: Callable[[], Any]) -> Any:
    """What ``read()`` gives now, for code that goes by it; a trace in progress takes note.

    A compiled function records anew once ``read()`` gives something else. What it gives is compared
    with ``==``: a flag, a number, text or an id.

    >>> mode = {"training": True}
    >>> graph = trace(lambda x: x * 2 if guard(lambda: mode["training"]) else x, Spec())
    >>> graph.holds()
    True
    >>> mode["training"] = False
    >>> graph.holds()
    False
    """
    found = read()
    if active.trace is not None:
        active.trace.guards.append((read, found))
    return found


def trace(function: Callable[..., Any], *specs: Any, reads: Any = None) -> Graph:
    """Record what a function does with arguments of given shapes and dtypes, without running it.

    Args:
        function: of as many arguments; what it returns may be nested in tuples, lists and dicts.
        specs: a ``Spec``, an example (tensor, array, number, list of numbers), or a nest of them,
            per argument.
        reads: what of Python the function goes by, if it is not all that can be reached from it;
            ``Graph.holds`` tells whether that is as it was.

    A Variable that the function reads becomes an input of the graph, and one that it assigns an
    output; the Variables themselves stay as they are.

    Raises:
        TraceError: the function branches on a traced value, asks for its numbers, or assigns a
            Variable that it made itself.

    >>> w = Variable([1.0, 2.0], name="w")
    >>> print(trace(lambda x: (w * x).sum(), Spec((2,), name="x")))
    in   x: float32(2)
    read w: float32(2)
    %1 = multiply(w, x): float32(2)
    %2 = sum(%1, axis=(0,), keepdims=False): float32()
    out  %2
    """
    recording, outer = Trace(), active.trace
    watch = Watch(function if reads is None else reads)
    active.trace = recording
    try:
        guard(default_dtype)  # the dtype of every number with a decimal point
        given = [lists_as_arrays(spec) for spec in specs]
        arguments = map_leaves(lambda spec: recording.input(Spec.of(spec)), given)
        recording.arguments = tuple(leaves(arguments))
        structure = function(*arguments)
        outputs = tuple(as_tensor(x) for x in leaves(structure))
        recording.concerns(outputs)
    finally:
        active.trace = outer
    watch = watch.after(recording.constants)
    if watch.places or watch.variables:
        recording.guards.append((watch.holds, True))
    if outer is not None:
        outer.guards += recording.guards
        outer.created |= recording.created
    assigned = tuple(recording.assigned.items())
    nodes = _needed(recording.nodes, (*outputs, *(value for _, value in assigned)))
    used = {id(x) for node in nodes for x in node.inputs} | {id(x) for x in outputs}
    captured = tuple((v, s) for v, s in recording.captured.items() if id(s) in used)
    guards, numbers = tuple(recording.guards), tuple(recording.numbers)
    inputs = recording.arguments
    return Graph(nodes, inputs, outputs, captured, assigned, structure, guards, numbers)


def lists_as_arrays(nest: Any) -> Any:
    """The nest with each list of plain numbers in it, nested lists too, as one array.

    >>> lists_as_arrays({"x": [[1, 2], [3, 4]], "how": ["up", 1.0]})
    {'x': tensor([[1, 2],
            [3, 4]]), 'how': ['up', 1.0]}
    """
    if _is_numbers(nest) and isinstance(nest, list | tuple):
        return as_tensor(nest)
    if isinstance(nest, dict):
        return {key: lists_as_arrays(part) for key, part in nest.items()}
    if isinstance(nest, list | tuple):
        parts = [lists_as_arrays(part) for part in nest]
        return type(nest)(*parts) if hasattr(nest, "_fields") else type(nest)(parts)
    return nest


def _is_numbers(x: Any) -> bool:
    if isinstance(x, list | tuple) and not hasattr(x, "_fields"):
        return bool(x) and all(map(_is_numbers, x))
    return type(x) in PYTHON_NUMBERS


def _needed(nodes: list[Symbol], ends: tuple[Tensor, ...]) -> tuple[Symbol, ...]:
    """The nodes that the ends depend on, in order."""
    wanted = {id(x) for x in ends}
    kept = []
    for node in reversed(nodes):
        if id(node) in wanted:
            kept.append(node)
            wanted.update(id(x) for x in node.inputs)
    return tuple(reversed(kept))
