"""What LLVM leaves undefined for whole numbers, as NumPy has it."""

from __future__ import annotations

from typing import Any

from llvmlite import ir


def floor_division(b: Any, x: Any, y: Any, signed: bool) -> tuple[Any, Any]:
    """⌊x / y⌋ and what it leaves, with the sign of y; both 0 for y = 0.

    The smallest number divided by −1 is itself: its negation wraps around.
    """
    kind = x.type
    zero, one, minus_one = (ir.Constant(kind, value) for value in (0, 1, -1))
    by_zero = b.icmp_unsigned("==", y, zero)
    if not signed:
        divisor = b.select(by_zero, one, y)
        quotient, rest = b.udiv(x, divisor), b.urem(x, divisor)
        return b.select(by_zero, zero, quotient), b.select(by_zero, zero, rest)
    by_minus_one = b.icmp_unsigned("==", y, minus_one)
    undefined = b.or_(by_zero, by_minus_one)
    divisor = b.select(undefined, one, y)
    quotient, rest = b.sdiv(x, divisor), b.srem(x, divisor)
    # Division rounds towards 0, so a rest whose sign is not the divisor's is one step too far.
    apart = b.icmp_signed("<", b.xor(rest, divisor), zero)
    over = b.and_(apart, b.icmp_unsigned("!=", rest, zero))
    quotient = b.select(over, b.sub(quotient, one), quotient)
    rest = b.select(over, b.add(rest, divisor), rest)
    quotient = b.select(by_minus_one, b.neg(x), quotient)
    return b.select(by_zero, zero, quotient), b.select(undefined, zero, rest)


def power(b: Any, x: Any, y: Any) -> Any:
    """x^y for y ≥ 0, wrapped around: the squares x, x², x⁴, ... that the digits of y name."""
    kind = x.type
    name = f"gl.power.{kind}"
    made = b.module.globals.get(name)
    return b.call(made or _power_function(b.module, kind, name), [x, y])


def _power_function(module: ir.Module, kind: Any, name: str) -> ir.Function:
    function = ir.Function(module, ir.FunctionType(kind, [kind, kind]), name)
    function.linkage = "internal"
    function.attributes.add("nounwind")
    entry, body, end = (function.append_basic_block(part) for part in ("entry", "body", "end"))
    zero, one = ir.Constant(kind, 0), ir.Constant(kind, 1)
    b = ir.IRBuilder(entry)
    b.branch(body)
    b.position_at_end(body)
    result, square, digits = (b.phi(kind) for _ in range(3))
    odd = b.icmp_unsigned("!=", b.and_(digits, one), zero)
    following = (
        b.select(odd, b.mul(result, square), result),
        b.mul(square, square),
        b.lshr(digits, one),
    )
    starts = (one, *function.args)
    for phi, start, value in zip((result, square, digits), starts, following, strict=True):
        phi.add_incoming(start, entry)
        phi.add_incoming(value, body)
    b.cbranch(b.icmp_unsigned("==", following[2], zero), end, body)
    b.position_at_end(end)
    b.ret(following[0])
    return function
