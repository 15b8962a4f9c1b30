"""Products as calls of BLAS."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from gradlab.execute.native.emit.element import I8, index, number, register
from gradlab.execute.native.product.blas import SYMBOLS
from gradlab.execute.native.product.spec import Product


def is_callable(product: Product) -> bool:
    """Whether BLAS takes matrices that lie so."""
    if str(product.dtype) not in SYMBOLS or product.k == 0 or product.c_row < product.n:
        return False
    return _left(product) is not None and _right(product) is not None


def emit(b: Any, function: Any, product: Product) -> None:
    """Build the body of a product's function.

    BLAS counts along columns, so it is asked for Cᵀ = Bᵀ·Aᵀ. Its integers have 32 or 64 bits;
    64 in memory serve for both, as all these machines store the lower half first.
    """
    begin, end, c, x, y, _ = function.args
    left, right = _left(product), _right(product)
    assert left is not None
    assert right is not None
    a_row, _ = product.a_strides
    kind = register(product.dtype)
    moved_x = b.gep(x, [b.mul(begin, index(a_row))])
    moved_c = b.gep(c, [b.mul(begin, index(product.c_row))])
    values = [
        I8(ord(right[0])), I8(ord(left[0])),
        index(product.n), b.sub(end, begin), index(product.k),
        number(1, product.dtype), y, index(right[1]), moved_x, index(left[1]),
        number(0, product.dtype), moved_c, index(product.c_row),
    ]  # fmt: skip
    arguments = []
    for value in values:
        if value.type != kind.as_pointer():
            held = b.alloca(value.type)
            b.store(value, held)
            value = held
        arguments.append(value)
    symbol, module = SYMBOLS[str(product.dtype)], b.module
    if symbol not in module.globals:
        types = [argument.type for argument in arguments]
        ir.Function(module, ir.FunctionType(ir.VoidType(), types), symbol)
    b.call(module.globals[symbol], arguments)


def _left(product: Product) -> tuple[str, int] | None:
    """How BLAS reads Aᵀ, and the leading dimension."""
    return _order(product.a_strides, (product.m, product.k))


def _right(product: Product) -> tuple[str, int] | None:
    return _order(product.b_strides, (product.k, product.n))


def _order(strides: tuple[int, int], shape: tuple[int, int]) -> tuple[str, int] | None:
    """N for a matrix that lies row by row, T for column by column; None for any other."""
    for letter, long, unit in (("N", 0, 1), ("T", 1, 0)):
        leading = strides[long] if shape[long] > 1 else shape[unit]
        if (strides[unit] == 1 or shape[unit] == 1) and leading >= shape[unit]:
            return letter, leading
    return None
