"""The functions over arrays, compiled for the machine at hand."""

from __future__ import annotations

import ctypes
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numpy.typing import ArrayLike, DTypeLike, NDArray

from gradlab.errors import ArgumentError, DTypeError, ShapeError
from gradlab.execute.native.machine import host, optimized
from gradlab.execute.native.math.attributes import set_attribute
from gradlab.execute.native.math.catalogue import function


def loop(name: str, dtype: DTypeLike) -> ir.Module:
    """A module with ``kernel(n, *inputs, output)``, which applies a function in a plain loop."""
    module = ir.Module(name)
    scalar = function(module, name, dtype)
    index, pointer = ir.IntType(64), scalar.ftype.return_type.as_pointer()
    arguments = [index, *[pointer] * (len(scalar.args) + 1)]
    kernel = ir.Function(module, ir.FunctionType(ir.VoidType(), arguments), "kernel")
    set_attribute(kernel, "stackrealign")
    n, *arrays = kernel.args
    for array in arrays:
        array.add_attribute("noalias")

    entry, body, end = (kernel.append_basic_block(part) for part in ("entry", "body", "end"))
    b = ir.IRBuilder(entry)
    b.cbranch(b.icmp_signed(">", n, index(0)), body, end)
    b.position_at_end(body)
    i = b.phi(index)
    *inputs, output = (b.gep(array, [i]) for array in arrays)
    b.store(b.call(scalar, [b.load(address) for address in inputs]), output)
    following = b.add(i, index(1))
    i.add_incoming(index(0), entry)
    i.add_incoming(following, body)
    b.cbranch(b.icmp_signed("<", following, n), body, end)
    b.position_at_end(end)
    b.ret_void()
    return module


class ArrayFunction:
    """A function over contiguous arrays of one dtype and shape.

    Raises:
        ArgumentError: a name that is none of `FUNCTIONS`, or a wrong number of arrays.
        DTypeError: a dtype other than float32 and float64.
        ShapeError: arrays of several shapes.

    >>> tanh = ArrayFunction("tanh", "float32")
    >>> tanh([0.0, 100.0])
    array([0., 1.], dtype=float32)
    """

    def __init__(self, name: str, dtype: DTypeLike) -> None:
        self.name = name
        self.dtype = np.dtype(dtype)
        machine = host()
        module = optimized(loop(name, dtype), machine)
        self.llvm = str(module)
        self.arity = sum(1 for _ in module.get_function("kernel").arguments) - 2
        self._engine = llvm.create_mcjit_compiler(module, machine)  # holds the machine code
        signature = ctypes.CFUNCTYPE(None, ctypes.c_int64, *[ctypes.c_void_p] * (self.arity + 1))
        self.kernel = signature(self._engine.get_function_address("kernel"))
        """The machine code: takes how many elements, and the addresses of inputs and output."""

    def __call__(self, *inputs: ArrayLike, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """The function of each element, in a new array or in the one given."""
        arrays = [np.ascontiguousarray(x, self.dtype) for x in inputs]
        if len(arrays) != self.arity:
            raise ArgumentError(f"{self.name} takes {self.arity} arrays, got {len(arrays)}")
        out = np.empty_like(arrays[0]) if out is None else out
        if out.dtype != self.dtype or not out.flags.c_contiguous:
            raise DTypeError(f"out: give a contiguous array of {self.dtype}, got {out.dtype}")
        arrays.append(out)
        shapes = sorted({array.shape for array in arrays})
        if len(shapes) > 1:
            raise ShapeError(f"{self.name} takes arrays of one shape, got {shapes}")
        self.kernel(out.size, *(array.ctypes.data for array in arrays))
        return out
