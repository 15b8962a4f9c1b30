"""A product as one internal function of a module."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from gradlab.execute.native.emit.element import I8, I64, memory
from gradlab.execute.native.math.attributes import set_attribute
from gradlab.execute.native.product import call, dot, narrow, plain, tiled
from gradlab.execute.native.product.spec import Method, Product
from gradlab.graph.dtypes import FLOAT32


def emit_product(module: Any, product: Product, width: int, method: Method) -> Any:
    """The function ``void(begin, end, C*, A*, B*, scratch*)``: rows begin to end of C.

    Built into the module the first time it is asked for. Every element of those rows is written,
    and with "tiled" its bits are the same whichever rows are asked for along with it.

    Args:
        module: the module that is to hold it.
        product: what is multiplied.
        width: float32 elements in one vector of the machine: 16 with AVX-512, 8 with AVX2, else 4.
        method: "tiled" for code of our own, "blas" for a call.
    """
    name = f"{product.name}_{method}"
    if name in module.globals:
        return module.globals[name]
    pointer = memory(product.dtype).as_pointer()
    types = [I64, I64, pointer, pointer, pointer, I8.as_pointer()]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), types), name)
    function.linkage = "internal"
    set_attribute(function, "stackrealign")
    for argument in function.args[2:]:
        argument.add_attribute("noalias")
    b = ir.IRBuilder(function.append_basic_block())
    if method == "blas":
        call.emit(b, function, product)
    elif product.dtype.kind == "f":
        lanes = width * FLOAT32.itemsize // product.dtype.itemsize
        fitting = (way for way in (narrow, dot) if not product.adds and way.suits(product, lanes))
        way = next(fitting, tiled)
        way.emit(b, function, product, lanes)
    else:
        plain.emit(b, function, product)
    b.ret_void()
    return function


def scratch_bytes(product: Product, method: Method) -> int:
    """Bytes of scratch memory each thread hands to the function, from a multiple of 64 on."""
    if method == "blas" or product.dtype.kind != "f":
        return 0
    needed = max(tiled.scratch_bytes(product), dot.scratch_bytes(product))
    return -(-needed // 64) * 64
