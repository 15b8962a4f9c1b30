"""Functions that all products of a module share: each is compiled once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from gradlab.execute.native.emit.element import index


def shared(
    module: Any, name: str, types: Sequence[Any], inline: bool = False
) -> tuple[Any, Any | None]:
    """A function of that name, and a builder for its body unless it has been built.

    Pointers among its arguments must not overlap where it writes.
    """
    name += "_inline" if inline else ""
    if name in module.globals:
        return module.globals[name], None
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), types), name)
    function.linkage = "internal"
    function.attributes.add("alwaysinline" if inline else "noinline")
    for argument in function.args:
        if isinstance(argument.type, ir.PointerType):
            argument.add_attribute("noalias")
    return function, ir.IRBuilder(function.append_basic_block())


def rows_from(b: Any, first: Any, stride: Any, count: int, valid: Any) -> list[Any]:
    """Where so many rows start; the last valid one stands for those beyond it."""
    places, none = [first], index(0)
    for r in range(1, count):
        more = b.icmp_signed("<", index(r), valid)
        places.append(b.gep(places[-1], [b.select(more, stride, none)]))
    return places
