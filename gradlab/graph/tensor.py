"""Tensor, the node of every graph, and ``apply``, through which every operation passes."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

# Looked up when it is used, as in operators.py.
import gradlab.graph as graph
from gradlab.errors import DTypeError, ShapeError, TraceError
from gradlab.graph.dtypes import (
    BOOL,
    INT64,
    Array,
    DType,
    check_dtype,
    default_dtype,
)
from gradlab.graph.op import Op, Shape
from gradlab.graph.operators import Operators

if TYPE_CHECKING:
    from gradlab.graph.trace import Trace
    from gradlab.graph.variable import Variable

Params = Mapping[str, Any]
Like = object
"""What ops take: a Tensor, a Variable, an array, a Python number, or nested lists of these."""

NO_PARAMS: Params = {}
PYTHON_NUMBERS = (float, int, bool)


class Tape(Protocol):
    """What records eager operations (``backprop.GradientTape``)."""

    def record(self, node: Tensor, op: Op, inputs: tuple[Tensor, ...], params: Params) -> None:
        """Take note of one operation."""

    def read(self, variable: Variable, tensor: Tensor) -> None:
        """Take note that a variable was read as this tensor."""

    def watches(self, x: Tensor) -> bool:
        """Whether operations on this tensor are taken note of."""

    def flows(self, x: Tensor) -> bool:
        """Whether a derivative flows to this tensor from something watched."""


class _Active(threading.local):
    """What this thread records into at the moment."""

    def __init__(self) -> None:
        self.tapes: list[Tape] = []
        self.trace: Trace | None = None


active = _Active()


class Tensor(Operators):
    """An immutable array of numbers, and the operation that it came from if that was recorded.

    Attributes:
        value: the numbers, a NumPy array.
        shape, dtype: of the value.
        op, inputs, params: the operation, if a tape or a trace was recording; else None, (), {}.
        name: what drawings and messages call it.
        weak: made from a Python number, so that it takes the dtype of what it meets.

    >>> import gradlab
    >>> gradlab.tensor([1.0, 2.0]) * 3
    tensor([3., 6.])
    """

    value: Array
    shape: Shape
    dtype: DType
    # Set only where they differ: eager code makes a tensor for each op.
    op: Op | None = None
    inputs: tuple[Tensor, ...] = ()
    params: Params = NO_PARAMS
    name: str | None = None
    weak: bool = False

    def __init__(self, value: Array, weak: bool = False, name: str | None = None) -> None:
        self.value = value
        self.shape = value.shape
        self.dtype = value.dtype
        if weak:
            self.weak = True
        if name is not None:
            self.name = name

    def named(self, name: str) -> Tensor:
        """Give this tensor the name that drawings and messages show; returns the tensor."""
        self.name = name
        return self

    @property
    def watched(self) -> bool:
        """Whether a tape that records now would give a gradient through this tensor."""
        tapes = active.tapes
        return bool(tapes) and self.dtype.kind == "f" and any(tape.flows(self) for tape in tapes)

    def __repr__(self) -> str:
        text = np.array2string(self.value, separator=", ", prefix="tensor(")
        dtype = (
            ""
            if self.weak or self.dtype in (default_dtype(), INT64, BOOL)
            else f", dtype={self.dtype}"
        )
        name = f", name={self.name!r}" if self.name else ""
        return f"tensor({text}{dtype}{name})"


AS_TENSOR = "gradlab.as_tensor(array)[index]"
KNOWN = (
    "axes, counts, shapes and bounds of slices must be known while a function is recorded: give "
    "them as Python numbers from outside, as n in compile(lambda x: f(x, n))"
)


class Symbol(Tensor):
    """A tensor inside a trace: it has a shape and a dtype, but no value.

    Attributes:
        recording: the trace that it belongs to.
        example: of a weak whole number, the one that it stands for while it is recorded.
    """

    recording: Trace
    example: Array | None = None

    def __init__(
        self,
        recording: Trace,
        shape: Shape,
        dtype: DType,
        op: Op | None = None,
        inputs: tuple[Tensor, ...] = (),
        params: Params = NO_PARAMS,
        weak: bool = False,
        name: str | None = None,
    ) -> None:
        self.recording = recording
        self.shape = shape
        self.dtype = dtype
        self.op = op
        self.inputs = inputs
        self.params = params
        self.name = name
        self.weak = weak

    @property
    def value(self) -> Array:  # type: ignore[override]
        """Raises: a traced tensor has no value."""
        if not self.shape and self.dtype.kind in "iu":
            raise self._unknown(f"to index an array by it, write {AS_TENSOR}; {KNOWN}")
        raise self._unknown(
            "compute with it by gradlab's functions, which take it as it is (gradlab.where instead "
            "of a branch), and return it from the compiled function to look at it"
        )

    def __bool__(self) -> bool:
        raise self._unknown(
            f"write gradlab.where(condition, a, b) instead of a branch on a tensor; {KNOWN}"
        )

    def __index__(self) -> int:
        raise self._unknown(f"to index a list or an array by it, write {AS_TENSOR}; {KNOWN}")

    def __len__(self) -> int:
        return super().__len__() if self.shape else self.__index__()

    def _unknown(self, advice: str) -> TraceError:
        label = f"{self.name!r} " if self.name else ""
        return TraceError(
            f"the traced tensor {label}of shape {self.shape} has no value yet: {advice}"
        )

    def __repr__(self) -> str:
        name = f", name={self.name!r}" if self.name else ""
        made = f", op={self.op.name}" if self.op else ""
        return f"symbol(shape={self.shape}, dtype={self.dtype}{made}{name})"


def apply(op: Op, inputs: tuple[Tensor, ...], params: Params = NO_PARAMS) -> Tensor:
    """Apply an op: compute it at once, or note it down if a trace is going on.

    Raises:
        ShapeError: the inputs' shapes do not fit the op.
        DTypeError: their dtype does not.
    """
    trace = active.trace
    if trace is not None and trace.concerns(inputs):
        result: Tensor = trace.emit(op, inputs, params)
    else:
        try:
            if len(inputs) == 2 and not params:  # most ops are such, and eager code is many ops
                value = op.forward(np, inputs[0].value, inputs[1].value)
            else:
                value = op.forward(np, *[x.value for x in inputs], **params)
        except (ValueError, TypeError):
            op.infer(*inputs, **params)  # names the shapes or the dtype that do not fit
            raise
        if type(value) is not np.ndarray:  # NumPy gives scalars for 0-d results
            value = np.asarray(value)
        result = Tensor(value)
        if inputs and inputs[0].weak:
            result.weak = all(x.weak for x in inputs)
    for tape in active.tapes:
        tape.record(result, op, inputs, params)
    return result


def as_tensor(x: Like) -> Tensor:
    """What an op computes with: a tensor as it is, a variable's present value, or a constant.

    A Python number stays weak: it takes the dtype of the tensor that it meets. A list or a tuple
    with tensors or variables in it, at whatever depth, is stacked by ops, which tapes and traces
    record.

    Raises:
        ShapeError: what stands in such a list differs in shape.

    >>> import gradlab
    >>> gradlab.grad(lambda x: gradlab.mean([x, x * 3, 5.0]))(1.5).item()
    1.3333333333333333
    """
    if isinstance(x, Tensor):
        return x
    if type(x) in PYTHON_NUMBERS:
        number = np.asarray(x)
        if number.dtype == object:
            raise DTypeError(f"{_short(x)} needs more than 64 bits: write it as a float")
        return Tensor(number, weak=True)
    if isinstance(x, Operators):
        return x.read()
    if isinstance(x, list | tuple) and _holds_tensors(x):
        return _stacked(x)
    return constant(x)


def _holds_tensors(x: Sequence[Any]) -> bool:
    """Whether a nested list has a tensor or a variable in it."""
    kinds = set(map(type, x))  # quick for a long list of numbers
    if any(issubclass(kind, Operators) for kind in kinds):
        return True
    nested = any(issubclass(kind, list | tuple) for kind in kinds)
    return nested and any(_holds_tensors(part) for part in x if isinstance(part, list | tuple))


def _stacked(x: Any) -> Tensor:
    """A nested list as one tensor, made by ops; numbers beside tensors stay weak."""
    if isinstance(x, list | tuple):
        return graph.stack([_stacked(part) for part in x])
    return as_tensor(x)


def constant(data: Like, dtype: npt.DTypeLike | None = None) -> Tensor:
    """A tensor of a copy of given numbers, since the caller may write to its own again.

    Lists of floats become the default dtype, arrays keep theirs.
    """
    try:
        array = np.array(data)
    except ValueError as error:
        raise DTypeError(f"cannot make a tensor of {_short(data)}: {error}") from error
    if array.dtype == object:
        raise DTypeError(
            f"cannot make a tensor of {_short(data)}: give numbers, in rows of equal length"
        )
    array = array.astype(check_dtype(array.dtype), copy=False)
    if dtype is not None:
        array = array.astype(check_dtype(dtype), copy=False)
    elif array.dtype.kind == "f" and not hasattr(data, "dtype"):
        array = array.astype(default_dtype(), copy=False)
    if active.trace is not None and isinstance(data, np.ndarray):
        active.trace.note(data, array)
    return Tensor(array)


def tensor(data: Like, dtype: npt.DTypeLike | None = None, name: str | None = None) -> Tensor:
    """A tensor with a copy of the given numbers.

    Lists and numbers with a decimal point become the default dtype (float32); arrays keep theirs.
    Of a tensor, or a list with tensors in it, it is a copy that gradients flow through.

    Raises:
        DTypeError: ragged rows, text, complex numbers or objects.

    >>> tensor([[1, 2], [3, 4]], dtype="float64").dtype
    dtype('float64')
    """
    if isinstance(data, Operators) or (isinstance(data, list | tuple) and _holds_tensors(data)):
        made = graph.identity(data)
        made = graph.astype(made, made.dtype if dtype is None else dtype)
    else:
        made = constant(data, dtype)
    return made.named(name) if name else made


def broadcast_shapes(*shapes: Shape) -> Shape:
    """The shape that all of these broadcast to (NumPy's rule).

    Raises:
        ShapeError: they do not fit together.

    >>> broadcast_shapes((3, 1), (4,))
    (3, 4)
    """
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        shown = " and ".join(map(str, shapes))
        raise ShapeError(
            f"shapes {shown} do not broadcast: aligned at the right, sizes must be equal or 1"
        ) from None


def _short(data: Like) -> str:
    text = repr(data)
    return text if len(text) < 60 else text[:57] + "..."
