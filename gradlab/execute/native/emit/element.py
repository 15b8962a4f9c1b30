"""Elements of tensors in LLVM: how they lie in memory and what they are in registers."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from gradlab.graph.dtypes import DType

I1, I8, I64 = ir.IntType(1), ir.IntType(8), ir.IntType(64)


def register(dtype: DType) -> Any:
    """LLVM's type of one element in computations; booleans are one bit."""
    if dtype.kind == "f":
        return ir.FloatType() if dtype.itemsize == 4 else ir.DoubleType()
    return I1 if dtype.kind == "b" else ir.IntType(8 * dtype.itemsize)


def memory(dtype: DType) -> Any:
    """LLVM's type of one element in memory; booleans are a byte, as in NumPy."""
    return I8 if dtype.kind == "b" else register(dtype)


def load(b: Any, address: Any, dtype: DType) -> Any:
    """The element at an address, as it is in registers."""
    value = b.load(address)
    return b.trunc(value, I1) if dtype.kind == "b" else value


def store(b: Any, value: Any, address: Any, dtype: DType) -> None:
    """Put an element at an address."""
    b.store(b.zext(value, I8) if dtype.kind == "b" else value, address)


def number(value: Any, dtype: DType) -> Any:
    """A constant element."""
    kind = register(dtype)
    return ir.Constant(kind, float(value) if dtype.kind == "f" else int(value))


def index(value: int) -> Any:
    """A constant index."""
    return ir.Constant(I64, value)
