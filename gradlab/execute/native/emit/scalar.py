"""What each elementwise row computes for one element, and what reductions combine with.

Choices are selects rather than branches, so that LLVM turns loops over them into loops over
vectors. Which zero the maximum of −0 and 0 is (the minimum, relu) is left open, as in NumPy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir

from gradlab.execute.native.emit.conversion import converted, truth
from gradlab.execute.native.emit.element import I1, number
from gradlab.execute.native.emit.integers import floor_division, power
from gradlab.execute.native.math import function
from gradlab.graph.dtypes import DType

Rule = Callable[..., Any]
"""``rule(b, dtype, *operands)``: the result for operands of a dtype."""


def scalar(name: str, b: Any, operands: Sequence[Any], dtypes: Sequence[DType], out: DType) -> Any:
    """The result of a row for elements in registers, of dtype ``out``."""
    if name in CASTS:
        return converted(b, operands[0], dtypes[0], out)
    return SCALARS[name](b, dtypes[-1], *operands)


def _intrinsic(b: Any, name: str, *operands: Any, fastmath: Sequence[str] = ()) -> Any:
    kind = operands[0].type
    signature = ir.FunctionType(kind, [kind] * len(operands))
    target = b.module.declare_intrinsic(f"llvm.{name}", [kind], signature)
    return b.call(target, operands, fastmath=fastmath)


# --- arithmetic -------------------------------------------------------------------------------


def _instruction(floats: str, integers: str, booleans: str = "") -> Rule:
    """One instruction for each kind of dtype, by the builder's names."""
    names = {"f": floats, "i": integers, "u": integers, "b": booleans}
    return lambda b, dtype, *operands: getattr(b, names[dtype.kind])(*operands)


_add = _instruction("fadd", "add", "or_")
_multiply = _instruction("fmul", "mul", "and_")


def _floor_divide(b: Any, dtype: DType, x: Any, y: Any) -> Any:
    if dtype.kind == "f":
        return _float_division(b, dtype, x, y)[0]
    return floor_division(b, x, y, dtype.kind == "i")[0]


def _remainder(b: Any, dtype: DType, x: Any, y: Any) -> Any:
    if dtype.kind == "f":
        return _float_division(b, dtype, x, y)[1]
    return floor_division(b, x, y, dtype.kind == "i")[1]


def _float_division(b: Any, dtype: DType, x: Any, y: Any) -> tuple[Any, Any]:
    """Python's divmod, from a remainder that is exact; the signs of zeros are NumPy's."""
    zero, one = number(0, dtype), number(1, dtype)
    ratio = b.fdiv(x, y)
    rest = b.frem(x, y)
    quotient = b.fdiv(b.fsub(x, rest), y)
    # The rest has the sign of x, so it may be one step too far.
    negative = [b.fcmp_ordered("<", v, zero) for v in (rest, y)]
    uneven = b.fcmp_unordered("!=", rest, zero)
    over = b.and_(uneven, b.xor(*negative))
    quotient = b.select(over, b.fsub(quotient, one), quotient)
    rest = b.select(over, b.fadd(rest, y), rest)
    rest = b.select(uneven, rest, _intrinsic(b, "copysign", zero, y))
    # The quotient is nearly whole, and the floor of what was rounded down is one too low.
    whole = _intrinsic(b, "floor", quotient)
    low = b.fcmp_ordered(">", b.fsub(quotient, whole), number(0.5, dtype))
    whole = b.select(low, b.fadd(whole, one), whole)
    signed_zero = _intrinsic(b, "copysign", zero, ratio)
    whole = b.select(b.fcmp_unordered("!=", quotient, zero), whole, signed_zero)
    by_zero = b.fcmp_ordered("==", y, zero)
    return b.select(by_zero, ratio, whole), b.select(by_zero, number(math.nan, dtype), rest)


# --- comparisons and choices ------------------------------------------------------------------


def _comparison(relation: str) -> Rule:
    """A comparison, false where one operand is NaN; only ≠ is true there."""

    def rule(b: Any, dtype: DType, x: Any, y: Any) -> Any:
        if dtype.kind == "f":
            return (b.fcmp_unordered if relation == "!=" else b.fcmp_ordered)(relation, x, y)
        return (b.icmp_signed if dtype.kind == "i" else b.icmp_unsigned)(relation, x, y)

    return rule


_less, _greater = _comparison("<"), _comparison(">")


def _logical(combine: str) -> Rule:
    def rule(b: Any, dtype: DType, *operands: Any) -> Any:
        return getattr(b, combine)(*(truth(b, x, dtype) for x in operands))

    return rule


def _isfinite(b: Any, dtype: DType, x: Any) -> Any:
    if dtype.kind != "f":
        return ir.Constant(I1, 1)
    return b.fcmp_ordered("<", _intrinsic(b, "fabs", x), number(math.inf, dtype))


def _extreme(name: str, wins: Rule) -> Rule:
    """The operand that wins a comparison; NaN if one is."""

    def rule(b: Any, dtype: DType, x: Any, y: Any) -> Any:
        if dtype.kind == "f":
            return b.call(function(b.module, name, dtype), [x, y])
        return b.select(wins(b, dtype, x, y), x, y)

    return rule


def _relu(b: Any, dtype: DType, x: Any) -> Any:
    zero = number(0, dtype)
    return b.select(_less(b, dtype, x, zero), zero, x)  # keeps NaN, and is one instruction


# --- functions --------------------------------------------------------------------------------


def _function(name: str, integers: Rule | None = None) -> Rule:
    """A function of native.math for floats, and a rule for other dtypes where there is one."""

    def rule(b: Any, dtype: DType, *operands: Any) -> Any:
        if integers is not None and dtype.kind != "f":
            return integers(b, dtype, *operands)
        return b.call(function(b.module, name, dtype), operands)

    return rule


def _integer_sign(b: Any, dtype: DType, x: Any) -> Any:
    zero = number(0, dtype)
    below = b.select(_less(b, dtype, x, zero), number(-1, dtype), zero)
    return b.select(_greater(b, dtype, x, zero), number(1, dtype), below)


def _integer_abs(b: Any, dtype: DType, x: Any) -> Any:
    return b.select(_less(b, dtype, x, number(0, dtype)), b.neg(x), x)


def _round(b: Any, dtype: DType, x: Any) -> Any:
    return _intrinsic(b, "rint", x) if dtype.kind == "f" else x


def _itself(b: Any, dtype: DType, x: Any) -> Any:
    return x


SCALARS: dict[str, Rule] = {
    "identity": _itself,
    "stop_gradient": _itself,
    "add": _add,
    "subtract": _instruction("fsub", "sub"),
    "multiply": _multiply,
    "divide": _instruction("fdiv", ""),
    "negative": _instruction("fneg", "neg"),
    "square": lambda b, dtype, x: _multiply(b, dtype, x, x),
    "floor_divide": _floor_divide,
    "remainder": _remainder,
    "equal": _comparison("=="),
    "not_equal": _comparison("!="),
    "less": _less,
    "less_equal": _comparison("<="),
    "greater": _greater,
    "greater_equal": _comparison(">="),
    "logical_and": _logical("and_"),
    "logical_or": _logical("or_"),
    "logical_not": _logical("not_"),
    "isfinite": _isfinite,
    "where": lambda b, dtype, condition, x, y: b.select(condition, x, y),
    "maximum": _extreme("maximum", _greater),
    "minimum": _extreme("minimum", _less),
    "relu": _relu,
    "abs": _function("abs", _integer_abs),
    "sign": _function("sign", _integer_sign),
    "floor": _function("floor", _itself),
    "round": _round,
    "pow": _function("pow", lambda b, dtype, x, y: power(b, x, y)),
    **{
        name: _function(name)
        for name in (
            *("exp", "expm1", "log", "log1p", "sqrt", "erf", "sigmoid", "softplus"),
            *("sin", "cos", "tan", "asin", "acos", "atan", "atan2", "sinh", "cosh", "tanh"),
            *("asinh", "acosh", "atanh", "log2", "log10"),
        )
    },
}
"""The rule of each elementwise row whose result follows from the dtype of its operands."""
CASTS = ("astype", "astype_integer")
ELEMENTWISE = frozenset((*SCALARS, *CASTS))
"""The names of all rows that `scalar` knows."""


# --- reductions -------------------------------------------------------------------------------


def _total(b: Any, accumulator: Any, value: Any, dtype: DType) -> Any:
    """A sum whose order is left to LLVM, so that it can be kept in a vector."""
    if dtype.kind == "f":
        return b.fadd(accumulator, value, flags=["reassoc"])
    return _add(b, dtype, accumulator, value)


def _running(name: str) -> Rule:
    """An extreme that LLVM keeps in a vector where it knows how to: from its version 17 on."""

    def rule(b: Any, accumulator: Any, value: Any, dtype: DType) -> Any:
        if dtype.kind == "f" and llvm.llvm_version_info >= (17,):
            return _intrinsic(b, name, accumulator, value, fastmath=["nsz"])
        return SCALARS[name](b, dtype, accumulator, value)

    return rule


COMBINE: dict[str, Rule] = {
    "sum": _total,
    "max": _running("maximum"),
    "min": _running("minimum"),
}
"""``rule(b, accumulator, value, dtype)`` of each reduction: the accumulator with one more value."""


def start(name: str, dtype: DType) -> ir.Constant:
    """What a reduction has before its first value."""
    if name == "sum":
        return number(0, dtype)
    lowest = name == "max"
    if dtype.kind == "f":
        return number(-math.inf if lowest else math.inf, dtype)
    if dtype.kind == "b":
        return number(not lowest, dtype)
    info = np.iinfo(dtype)
    return number(info.min if lowest else info.max, dtype)
