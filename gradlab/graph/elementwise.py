"""What every elementwise op shares: shapes, promotion, and how its function is called."""

from __future__ import annotations

import math

import numpy as np

from gradlab.errors import DTypeError
from gradlab.graph.dtypes import BOOL, FLOAT64, DType, default_dtype, fits, result_dtype
from gradlab.graph.op import VJP, Forward, Infer, Interval, Kink, Op, Shape, declare
from gradlab.graph.operators import Operators
from gradlab.graph.shaping import cast
from gradlab.graph.tensor import (
    PYTHON_NUMBERS,
    Like,
    Symbol,
    Tensor,
    apply,
    as_tensor,
    broadcast_shapes,
)

INF = math.inf
HUGE = (-INF, -1e30, -1e-30, -0.0, 0.0, 1e-30, 1e30, INF, math.nan)
REAL = Interval()


def elementwise_shape(*inputs: Tensor) -> tuple[Shape, DType]:
    """Shape and dtype rule of an elementwise op: broadcast the shapes, keep the dtype."""
    return broadcast_shapes(*[x.shape for x in inputs]), inputs[-1].dtype


def numeric_shape(*inputs: Tensor) -> tuple[Shape, DType]:
    """Shape and dtype rule of an elementwise op that booleans do not have."""
    if inputs[-1].dtype == BOOL:
        raise DTypeError(
            "booleans have no sign, difference or remainder: count them with "
            "astype(x, 'int64'), or combine them with ~, &, | and !="
        )
    return elementwise_shape(*inputs)


def boolean_shape(*inputs: Tensor) -> tuple[Shape, DType]:
    """Shape and dtype rule of a comparison."""
    return broadcast_shapes(*[x.shape for x in inputs]), BOOL


def elementwise(
    name: str,
    forward: Forward,
    *vjps: VJP | None,
    formula: str,
    derivatives: tuple[str, ...] = (),
    kinks: tuple[Kink, ...] = (),
    domain: tuple[Interval, ...] = (),
    infer: Infer = elementwise_shape,
) -> Op:
    """Declare the row of an elementwise op; each input is real unless a domain says otherwise."""
    domain = domain or (REAL,) * len(vjps)
    return declare(Op(name, forward, infer, vjps, formula, derivatives, kinks, domain))


def unary(op: Op, x: Like) -> Tensor:
    """Apply an op of one floating input; integers become the default float."""
    return apply(op, (floating(x),))


def binary(op: Op, x: Like, y: Like) -> Tensor:
    """Apply an op of two inputs, in the dtype in which they meet."""
    if type(x) is Tensor and type(y) is Tensor and x.dtype is y.dtype:  # eager code's usual case
        return apply(op, (x, y))
    return apply(op, promote(x, y))


def floating(x: Like) -> Tensor:
    """A tensor of floats: integers become the default float, a Python number a weak one."""
    x = as_tensor(x)
    if x.dtype.kind == "f":
        return x
    return cast(x, FLOAT64 if x.weak else default_dtype())


def promote(x: Like, y: Like) -> tuple[Tensor, Tensor]:
    """Both operands as tensors of the dtype in which they meet."""
    # A Python number beside floats is common in eager code, and this path is three times faster.
    if type(y) in PYTHON_NUMBERS and isinstance(x, Operators):
        x = as_tensor(x)
        if x.dtype.kind == "f":
            return x, Tensor(np.asarray(y, x.dtype), x.weak)
    elif type(x) in PYTHON_NUMBERS and isinstance(y, Operators):
        y = as_tensor(y)
        if y.dtype.kind == "f":
            return Tensor(np.asarray(x, y.dtype), y.weak), y
    x, y = as_tensor(x), as_tensor(y)
    if x.dtype == y.dtype:
        return x, y
    weak_x, weak_y = x.weak and fits_dtype(x, y.dtype), y.weak and fits_dtype(y, x.dtype)
    dtype = result_dtype(x.dtype, weak_x, y.dtype, weak_y)
    return cast(x, dtype), cast(y, dtype)


def float_operands(x: Like, y: Like) -> tuple[Tensor, Tensor]:
    """Both operands as tensors of the floating dtype in which they meet."""
    x, y = promote(x, y)
    return (x, y) if x.dtype.kind == "f" else promote(floating(x), floating(y))


def fits_dtype(number: Tensor, dtype: DType) -> bool:
    """Whether a Python number can take a dtype of whole numbers: -1 and 300 are no uint8.

    A trace notes down that it went by the answer (see ``Trace.fits``).
    """
    if number.dtype.kind not in "iu" or dtype.kind not in "iu":
        return True
    if isinstance(number, Symbol):
        return np.can_cast(number.dtype, dtype) or number.recording.fits(number, dtype)
    return fits(number.value, dtype)
