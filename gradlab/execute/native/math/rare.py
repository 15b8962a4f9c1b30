"""A case too costly to compute for every element, in loops that stay vectors.

A branch in a loop is flattened before the loop is vectorized: both ways would be computed. So the
rare case is a function of its own with variants for 2, 4, 8 and 16 elements, which LLVM's loop
vectorizer calls instead (LLVM's "vector function ABI"). A variant returns at once where none of its
elements is rare, and else computes them one by one.
"""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from gradlab.execute.native.math.attributes import set_attribute
from gradlab.execute.native.math.expression import Value, absolute, select

LANES = (2, 4, 8, 16)


def where_large(
    x: Value,
    limit: float,
    name: str,
    rare: Callable[[Value], Value],
    usual: Callable[[Value], Value],
) -> Value:
    """rare(x) where |x| ≥ limit, and usual(x) elsewhere.

    The function that holds rare(x) is added to the module under a name that must be its own.
    """
    module, kind = x.builder.module, x.ir.type
    guarded = module.globals.get(name) or _guarded(module, kind, limit, name, rare)
    # First, as a call leaves nothing in vector registers.
    result = Value(x.builder, x.builder.call(guarded, [x.ir]))
    return select(absolute(x) >= limit, result, usual(x))


def _guarded(
    module: ir.Module, kind: ir.Type, limit: float, name: str, rare: Callable[[Value], Value]
) -> ir.Function:
    """A function that is rare(x) for a large x, and of no meaning elsewhere."""
    # Apart from the function with the variants, or its calls in a variant would become the variant.
    one = _pure_function(module, f"{name}.one", kind)
    b = ir.IRBuilder(one.append_basic_block())
    b.ret(rare(Value(b, one.args[0])).ir)

    function = _pure_function(module, name, kind)
    variants = ",".join(f"_ZGV_LLVM_N{n}v_{name}({name}.x{n})" for n in LANES)
    set_attribute(function, "vector-function-abi-variant", variants)
    b = ir.IRBuilder(function.append_basic_block())
    with b.if_then((absolute(Value(b, function.args[0])) >= limit).ir, likely=False):
        b.ret(b.call(one, function.args))
    b.ret(kind(0))
    for lanes in LANES:
        _variant(module, f"{name}.x{lanes}", one, ir.VectorType(kind, lanes), limit)
    return function


def _pure_function(module: ir.Module, name: str, kind: ir.Type) -> ir.Function:
    """An empty function that is called, not inlined, and whose result is all it does."""
    function = ir.Function(module, ir.FunctionType(kind, [kind]), name)
    function.linkage = "internal"
    for attribute in ("noinline", "nounwind", "readnone"):
        function.attributes.add(attribute)
    return function


def _variant(
    module: ir.Module, name: str, one: ir.Function, vector: ir.VectorType, limit: float
) -> None:
    """Define the function of several elements."""
    function = _pure_function(module, name, vector)
    function.linkage = "weak_odr"  # kept though nothing calls it before loops are vectorized
    x, zeros, index = function.args[0], vector([0] * vector.count), ir.IntType(32)
    entry, each, end = (function.append_basic_block(part) for part in ("entry", "each", "end"))

    b = ir.IRBuilder(entry)
    fabs = f"llvm.fabs.v{vector.count}{vector.element.intrinsic_name}"
    size = b.call(module.globals.get(fabs) or ir.Function(module, function.ftype, fabs), [x])
    large = b.fcmp_ordered(">=", size, vector([limit] * vector.count))
    mask = ir.IntType(vector.count)
    any_large = b.icmp_unsigned("!=", b.bitcast(large, mask), mask(0))
    b.cbranch(any_large, each, end).set_weights([1, 99])

    b.position_at_end(each)
    i, results = b.phi(index), b.phi(vector)
    filled = b.insert_element(results, b.call(one, [b.extract_element(x, i)]), i)
    following = b.add(i, index(1))
    b.cbranch(b.icmp_unsigned("<", following, index(vector.count)), each, end)
    for start, again, phi in ((index(0), following, i), (zeros, filled, results)):
        phi.add_incoming(start, entry)
        phi.add_incoming(again, each)

    b.position_at_end(end)
    result = b.phi(vector)
    result.add_incoming(zeros, entry)
    result.add_incoming(filled, each)
    b.ret(result)
