"""Tensor, the node of every graph, and ``apply``, through which every operation passes."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

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
"""What ops take: a Tensor, a Variable, an array, a Python number, or nested lists of numbers."""

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

    def __repr__(self) -> str:
        text = np.array2string(self.value, separator=", ", prefix="tensor(")
        dtype = (
            ""
            if self.weak or self.dtype in (default_dtype(), INT64, BOOL)
            else f", dtype={self.dtype}"
        )
        name = f", name={self.name!r}" if self.name else ""
        return f"tensor({text}{dtype}{name})"


class Symbol(Tensor):
    """A tensor inside a trace: it has a shape and a dtype, but no value."""

    trace: Trace

    def __init__(
        self,
        trace: Trace,
        shape: Shape,
        dtype: DType,
        op: Op | None = None,
        inputs: tuple[Tensor, ...] = (),
        params: Params = NO_PARAMS,
        weak: bool = False,
        name: str | None = None,
    ) -> None:
        self.trace = trace
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
        label = f"{self.name!r} " if self.name else ""
        raise TraceError(
            f"the traced tensor {label}of shape {self.shape} has no value yet: inside a compiled "
            "function write gradlab.where(condition, a, b) instead of a branch on a tensor, and "
            "return what you want to look at"
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

    A Python number stays weak: it takes the dtype of the tensor that it meets.
    """
    if isinstance(x, Tensor):
        return x
    if type(x) in PYTHON_NUMBERS:
        return Tensor(np.asarray(x), weak=True)
    if isinstance(x, Operators):
        return x.read()
    return constant(x)


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

    Raises:
        DTypeError: ragged rows, text, complex numbers or objects.

    >>> tensor([[1, 2], [3, 4]], dtype="float64").dtype
    dtype('float64')
    """
    if isinstance(data, Operators):
        data = as_tensor(data).value
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
