"""The functions by name, to be added to a module of LLVM."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from llvmlite import ir
from numpy.typing import DTypeLike

from gradlab.errors import ArgumentError, DTypeError, one_of
from gradlab.execute.native.math import (
    bases,
    exponential,
    inverse,
    inverse_hyperbolic,
    logarithm,
    simple,
    trigonometry,
)
from gradlab.execute.native.math.expression import F32, F64, Value
from gradlab.execute.native.math.power import pow

UNARY: dict[str, Callable[[Value], Value]] = {
    formula.__name__: formula
    for formula in (
        simple.abs,
        simple.floor,
        simple.sign,
        simple.sqrt,
        exponential.exp,
        exponential.expm1,
        exponential.sinh,
        exponential.cosh,
        exponential.sech,
        exponential.tanh,
        exponential.sigmoid,
        exponential.erf,
        exponential.erfc,
        logarithm.log,
        logarithm.log1p,
        logarithm.softplus,
        bases.log2,
        bases.log10,
        trigonometry.sin,
        trigonometry.cos,
        trigonometry.tan,
        inverse.asin,
        inverse.acos,
        inverse.atan,
        inverse_hyperbolic.asinh,
        inverse_hyperbolic.acosh,
        inverse_hyperbolic.atanh,
    )
}
BINARY: dict[str, Callable[[Value, Value], Value]] = {
    formula.__name__: formula for formula in (simple.maximum, simple.minimum, pow, inverse.atan2)
}
FUNCTIONS = (*UNARY, *BINARY)
"""The names."""


def function(module: ir.Module, name: str, dtype: DTypeLike) -> ir.Function:
    """The scalar function ``gl.<name>.<f32|f64>`` of a module, which is added where it is missing.

    It is always inlined, and LLVM turns a loop that calls it into a loop over vectors. Results are
    within 2 units in the last place over the whole range, subnormal numbers included (asin, atan2
    and sech within 2.3, tan within 3.6, erfc within 5); NaN, infinities and the signs of zeros are
    NumPy's. A machine without fused multiply-add gets the same results, slowly.

    Raises:
        ArgumentError: a name that is none of `FUNCTIONS`.
        DTypeError: a dtype other than float32 and float64.

    >>> module = ir.Module()
    >>> function(module, "exp", "float32").name
    'gl.exp.f32'
    >>> function(module, "exp", "float32") is module.get_global("gl.exp.f32")
    True
    """
    if name not in FUNCTIONS:
        raise ArgumentError(one_of("function", name, FUNCTIONS))
    fmt = {np.dtype(np.float32): F32, np.dtype(np.float64): F64}.get(np.dtype(dtype))
    if fmt is None:
        raise DTypeError(f"{name}: give dtype float32 or float64, got {np.dtype(dtype)}")
    symbol = f"gl.{name}.{fmt.name}"
    if symbol in module.globals:
        return module.get_global(symbol)
    formula = UNARY.get(name) or BINARY[name]
    kind = ir.FunctionType(fmt.real, [fmt.real] * (2 if name in BINARY else 1))
    made = ir.Function(module, kind, symbol)
    made.linkage = "internal"
    made.attributes.add("alwaysinline")
    made.attributes.add("nounwind")
    builder = ir.IRBuilder(made.append_basic_block())
    builder.ret(formula(*(Value(builder, argument) for argument in made.args)).ir)
    return made
