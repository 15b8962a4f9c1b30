"""Products as three plain loops: integers and booleans."""

from __future__ import annotations

from typing import Any

from gradlab.execute.native.emit.element import index, load, number, register, store
from gradlab.execute.native.emit.loops import place
from gradlab.execute.native.emit.rolled import loop
from gradlab.execute.native.product.spec import Product


def emit(b: Any, function: Any, product: Product) -> None:
    """Build the body of a product's function."""
    begin, end, c, x, y, _ = function.args
    dtype, boolean = product.dtype, product.dtype.kind == "b"
    add, multiply = (b.or_, b.and_) if boolean else (b.add, b.mul)
    held = b.alloca(register(dtype))
    with loop(b, begin, end) as i, loop(b, index(0), index(product.n)) as j:
        b.store(number(0, dtype), held)
        with loop(b, index(0), index(product.k)) as p:
            left = load(b, b.gep(x, [place(b, [i, p], product.a_strides)]), dtype)
            right = load(b, b.gep(y, [place(b, [p, j], product.b_strides)]), dtype)
            b.store(add(b.load(held), multiply(left, right)), held)
        store(b, b.load(held), b.gep(c, [place(b, [i, j], (product.c_row, 1))]), dtype)
