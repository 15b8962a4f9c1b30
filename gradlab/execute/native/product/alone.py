"""One product compiled by itself: what measurements and tests run."""

from __future__ import annotations

import ctypes
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numpy.typing import NDArray

from gradlab.execute.native.emit.element import I64, index
from gradlab.execute.native.emit.loops import loop
from gradlab.execute.native.machine import LINE, host, optimized, vector_lanes
from gradlab.execute.native.product.blas import bind
from gradlab.execute.native.product.emit import (
    emit_product,
    scratch_bytes,
)
from gradlab.execute.native.product.spec import Method, Product


class ProductAlone:
    """Machine code for one product, over arrays that lie as it says.

    >>> product = Product(np.dtype("float32"), 2, 2, 2, (2, 1), (2, 1), 2)
    >>> a, c = np.float32([[1, 2], [3, 4]]), np.zeros((2, 2), np.float32)
    >>> ProductAlone(product)(c, a, a)
    >>> c
    array([[ 7., 10.],
           [15., 22.]], dtype=float32)
    """

    def __init__(self, product: Product, method: Method = "tiled", width: int = 0) -> None:
        self.product = product
        bind()
        module = ir.Module(product.name)
        function = emit_product(module, product, width or vector_lanes(), method)
        function.attributes.add("noinline")
        run = ir.Function(
            module, ir.FunctionType(ir.VoidType(), [I64, *function.ftype.args]), "run"
        )
        times, *arguments = run.args
        b = ir.IRBuilder(run.append_basic_block())
        with loop(b, index(0), times):
            b.call(function, arguments)
        b.ret_void()
        machine = host()
        self._engine = llvm.create_mcjit_compiler(optimized(module, machine), machine)
        signature = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 3, *[ctypes.c_void_p] * 4)
        self.kernel: Any = signature(self._engine.get_function_address("run"))
        self.scratch: NDArray[np.uint8] = np.zeros(scratch_bytes(product, method) + LINE, np.uint8)

    def __call__(
        self,
        c: NDArray[Any],
        a: NDArray[Any],
        b: NDArray[Any],
        begin: int = 0,
        end: int | None = None,
        times: int = 1,
    ) -> None:
        """Compute rows begin to end of c, so many times over."""
        first, second, third, scratch = (address(array) for array in (c, a, b, self.scratch))
        end = self.product.m if end is None else end
        self.kernel(times, begin, end, first, second, third, -(-scratch // LINE) * LINE)


def address(x: NDArray[Any]) -> int:
    """Where element 0, 0, ... of an array lies."""
    return int(x.__array_interface__["data"][0])
