"""Functions of steps, flat wherever they have a derivative: signs, rounding, whole quotients."""

from __future__ import annotations

from gradlab.errors import ArgumentError
from gradlab.graph.comparison import less, where
from gradlab.graph.creation import zeros_like
from gradlab.graph.elementwise import HUGE, elementwise, numeric_shape, promote
from gradlab.graph.op import Interval, Kink, Op
from gradlab.graph.tensor import Like, Tensor, apply, as_tensor

# Quotients between 2 and 3, away from the steps.
QUOTIENT = (Interval(3.2, 3.8, (*HUGE, 7.0, -7.0)), Interval(1.3, 1.55, (*HUGE, 3.0, -3.0)))


def _no_slope(g: Tensor, f: Tensor, *inputs: Tensor) -> Tensor:
    """The derivative of a function of steps: zero wherever there is one."""
    return zeros_like(g)


SIGN = elementwise(
    "sign",
    lambda xp, x: xp.sign(x),
    _no_slope,
    formula="sign x",
    derivatives=("0",),
    kinks=(Kink((0.0,), (0.0,)),),
    domain=(Interval(extremes=HUGE),),
    infer=numeric_shape,
)
FLOOR = elementwise(
    "floor",
    lambda xp, x: xp.floor(x),
    _no_slope,
    formula="⌊x⌋",
    derivatives=("0",),
    kinks=(Kink((1.0,), (0.0,)),),
    domain=(Interval(0.2, 0.8, HUGE),),
)
ROUND = elementwise(
    "round",
    lambda xp, x: xp.round(x),
    _no_slope,
    formula="x rounded",
    derivatives=("0",),
    kinks=(Kink((0.5,), (0.0,)),),
    domain=(Interval(-0.4, 0.4, (*HUGE, -1.5, 0.5, 2.5)),),
)
FLOOR_DIVIDE = elementwise(
    "floor_divide",
    lambda xp, x, y: xp.floor_divide(x, y),
    _no_slope,
    _no_slope,
    formula="⌊x / y⌋",
    derivatives=("0", "0"),
    kinks=(Kink((2.0, 1.0), (0.0, 0.0)),),
    domain=QUOTIENT,
    infer=numeric_shape,
)
REMAINDER = elementwise(
    "remainder",
    lambda xp, x, y: xp.remainder(x, y),
    lambda g, f, x, y: g,
    lambda g, f, x, y: -g * floor_divide(x, y),
    formula="x − y⌊x / y⌋",
    derivatives=("1", "−⌊x / y⌋"),
    kinks=(Kink((2.0, 1.0), (1.0, -2.0)),),
    domain=QUOTIENT,
    infer=numeric_shape,
)


def sign(x: Like) -> Tensor:
    """−1, 0 or 1; its derivative is 0.

    >>> sign([-2.0, 0.0, 5.0])
    tensor([-1.,  0.,  1.])
    """
    return apply(SIGN, (as_tensor(x),))


def floor(x: Like) -> Tensor:
    """Largest whole number not above x; its derivative is 0.

    >>> floor([1.5, -1.5])
    tensor([ 1., -2.])
    """
    x = as_tensor(x)
    return apply(FLOOR, (x,)) if x.dtype.kind == "f" else x


def ceil(x: Like) -> Tensor:
    """Smallest whole number not below x; its derivative is 0.

    >>> ceil([1.5, -1.5])
    tensor([ 2., -1.])
    """
    x = as_tensor(x)
    return -floor(-x) if x.dtype.kind == "f" else x


def trunc(x: Like) -> Tensor:
    """x without its fraction, rounded towards 0; its derivative is 0.

    >>> trunc([1.5, -1.5])
    tensor([ 1., -1.])
    """
    x = as_tensor(x)
    return where(less(x, 0), ceil(x), floor(x)) if x.dtype.kind == "f" else x


def round(x: Like, decimals: int = 0) -> Tensor:
    """Nearest number of so many decimals, of two equally near the even one; its derivative is 0.

    Args:
        x: numbers; whole ones stay as they are.
        decimals: places after the point; negative for tens, hundreds, ... of floats.

    Raises:
        ArgumentError: whole numbers with negative decimals.

    >>> round([1.6, 2.5, -1.5]), round([0.126], 2)
    (tensor([ 2.,  2., -2.]), tensor([0.13]))
    """
    x = as_tensor(x)
    if x.dtype.kind != "f":
        if decimals < 0:
            raise ArgumentError(f"round to {decimals} decimals takes floats, got {x.dtype}")
        return x
    if decimals == 0:
        return apply(ROUND, (x,))
    scale = 10.0 ** abs(decimals)
    return round(x * scale) / scale if decimals > 0 else round(x / scale) * scale


def floor_divide(x: Like, y: Like) -> Tensor:
    """Whole quotient, ⌊x / y⌋, as Python's ``//``; its derivative is 0.

    Raises:
        DTypeError: booleans.

    >>> floor_divide([7, -7], 2)
    tensor([ 3, -4])
    """
    return _whole_quotient(FLOOR_DIVIDE, x, y)


def remainder(x: Like, y: Like) -> Tensor:
    """What ⌊x / y⌋ leaves, with the sign of y, as Python's ``%``.

    Raises:
        DTypeError: booleans.

    >>> remainder([7, -7], 4)
    tensor([3, 1])
    """
    return _whole_quotient(REMAINDER, x, y)


def divmod(x: Like, y: Like) -> tuple[Tensor, Tensor]:
    """Whole quotient and remainder, as Python's ``divmod``.

    >>> divmod([7, -7], 4)
    (tensor([ 1, -2]), tensor([3, 1]))
    """
    return floor_divide(x, y), remainder(x, y)


def _whole_quotient(op: Op, x: Like, y: Like) -> Tensor:
    x, y = promote(x, y)
    numeric_shape(x, y)  # NumPy would take booleans, as int8
    return apply(op, (x, y))
