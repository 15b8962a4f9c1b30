"""Elements of one dtype as elements of another."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from gradlab.execute.native.emit.element import number, register
from gradlab.graph.dtypes import DType


def truth(b: Any, x: Any, dtype: DType) -> Any:
    """Whether an element is other than 0, as NaN is."""
    if dtype.kind == "b":
        return x
    compare = b.fcmp_unordered if dtype.kind == "f" else b.icmp_unsigned
    return compare("!=", x, number(0, dtype))


def converted(b: Any, x: Any, source: DType, target: DType) -> Any:
    """NumPy's ``astype``; a float outside an integer's range becomes the nearest in it, NaN 0."""
    kind = register(target)
    if source == target:
        return x
    if target.kind == "b":
        return truth(b, x, source)
    if source.kind == "f" and target.kind == "f":
        return (b.fpext if target.itemsize > source.itemsize else b.fptrunc)(x, kind)
    if source.kind == "f":
        # Not the plain instruction, whose result outside the range is poison.
        rounding = "llvm.fptosi.sat" if target.kind == "i" else "llvm.fptoui.sat"
        signature = ir.FunctionType(kind, [x.type])
        return b.call(b.module.declare_intrinsic(rounding, [kind, x.type], signature), [x])
    if target.kind == "f":
        return (b.sitofp if source.kind == "i" else b.uitofp)(x, kind)
    if kind.width > x.type.width:
        return (b.sext if source.kind == "i" else b.zext)(x, kind)
    return b.trunc(x, kind) if kind.width < x.type.width else x
