"""Scalar expressions: Python's operators on a `Value` emit LLVM instructions.

Only what a loop vectorizer turns into vectors is here: no calls of a mathematical library, and no
flag that assumes the absence of NaN or infinity, or that lets sums be reordered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from gradlab.execute.native.math.coefficients import COEFFICIENTS


@dataclass(frozen=True)
class Format:
    """An IEEE 754 binary format: p digits of significand and exponents up to `bias`."""

    name: str
    real: Any
    """LLVM's type of the numbers."""
    whole: Any
    """LLVM's type of integers of the same width."""
    digits: int
    bias: int

    @property
    def width(self) -> int:
        """Bits of a number's pattern."""
        return int(self.whole.width)

    @property
    def fraction(self) -> int:
        """Bits below the exponent in a number's pattern."""
        return self.digits - 1

    @property
    def smallest_normal(self) -> float:
        """Numbers below it are subnormal."""
        return 2.0 ** (1 - self.bias)

    @property
    def shift(self) -> float:
        """1.5 · 2^(p−1): numbers this large are whole, so adding it rounds to a whole number."""
        return 1.5 * 2.0**self.fraction


F32 = Format("f32", ir.FloatType(), ir.IntType(32), digits=24, bias=127)
F64 = Format("f64", ir.DoubleType(), ir.IntType(64), digits=53, bias=1023)
FORMATS = {str(fmt.real): fmt for fmt in (F32, F64)}


class Value:
    """An LLVM value with Python's operators; numbers beside it take its type.

    Comparisons of floats are false where one is NaN; those of integers, and ``>>``, are signed.
    """

    __slots__ = ("builder", "ir")

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder = builder
        self.ir = value

    @property
    def format(self) -> Format:
        """The format of a floating value."""
        return FORMATS[str(self.ir.type)]

    @property
    def is_float(self) -> bool:
        """Whether it is a floating value rather than an integer or a truth value."""
        return str(self.ir.type) in FORMATS

    def like(self, other: Value | float) -> Value:
        """A number as a constant of this value's type."""
        if isinstance(other, Value):
            return other
        return Value(self.builder, ir.Constant(self.ir.type, other))

    def _emit(self, name: str, *operands: Value | float) -> Value:
        instruction = getattr(self.builder, name)
        return Value(self.builder, instruction(*(self.like(operand).ir for operand in operands)))

    def _arithmetic(self, name: str, *operands: Value | float) -> Value:
        return self._emit(f"f{name}" if self.is_float else name, *operands)

    def _compare(self, relation: str, other: Value | float) -> Value:
        b = self.builder
        compare = b.fcmp_ordered if self.is_float else b.icmp_signed
        return Value(b, compare(relation, self.ir, self.like(other).ir))

    def __neg__(self) -> Value:
        return self._arithmetic("neg", self)

    def __add__(self, other: Value | float) -> Value:
        return self._arithmetic("add", self, other)

    def __radd__(self, other: float) -> Value:
        return self._arithmetic("add", other, self)

    def __sub__(self, other: Value | float) -> Value:
        return self._arithmetic("sub", self, other)

    def __rsub__(self, other: float) -> Value:
        return self._arithmetic("sub", other, self)

    def __mul__(self, other: Value | float) -> Value:
        return self._arithmetic("mul", self, other)

    def __rmul__(self, other: float) -> Value:
        return self._arithmetic("mul", other, self)

    def __truediv__(self, other: Value | float) -> Value:
        return self._emit("fdiv", self, other)

    def __rtruediv__(self, other: float) -> Value:
        return self._emit("fdiv", other, self)

    def __lshift__(self, other: Value | int) -> Value:
        return self._emit("shl", self, other)

    def __rshift__(self, other: Value | int) -> Value:
        return self._emit("ashr", self, other)

    def __and__(self, other: Value | int) -> Value:
        return self._emit("and_", self, other)

    def __or__(self, other: Value | int) -> Value:
        return self._emit("or_", self, other)

    def __xor__(self, other: Value | int) -> Value:
        return self._emit("xor", self, other)

    def __invert__(self) -> Value:
        return self._emit("not_", self)

    def __lt__(self, other: Value | float) -> Value:
        return self._compare("<", other)

    def __le__(self, other: Value | float) -> Value:
        return self._compare("<=", other)

    def __gt__(self, other: Value | float) -> Value:
        return self._compare(">", other)

    def __ge__(self, other: Value | float) -> Value:
        return self._compare(">=", other)

    def equals(self, other: Value | float) -> Value:
        """Whether both are the same number; −0 equals 0, and NaN nothing."""
        return self._compare("==", other)


def select(condition: Value, x: Value | float, y: Value | float) -> Value:
    """x where the condition holds, else y; at least one of them is a Value."""
    like = x if isinstance(x, Value) else y
    assert isinstance(like, Value)
    b = condition.builder
    return Value(b, b.select(condition.ir, like.like(x).ir, like.like(y).ir))


def intrinsic(name: str, x: Value, *others: Value | float) -> Value:
    """Call ``llvm.<name>`` on values of one type."""
    b, kind = x.builder, x.ir.type
    operands = [x.ir, *(x.like(other).ir for other in others)]
    signature = ir.FunctionType(kind, [kind] * len(operands))
    target = b.module.declare_intrinsic(f"llvm.{name}", [kind], signature)
    return Value(b, b.call(target, operands))


def fma(x: Value, y: Value | float, z: Value | float) -> Value:
    """x·y + z, rounded once."""
    return intrinsic("fma", x, y, z)


def absolute(x: Value) -> Value:
    """|x|, also of −0 and NaN."""
    return intrinsic("fabs", x)


def copysign(x: Value, sign: Value) -> Value:
    """|x| with the sign bit of another."""
    return intrinsic("copysign", x, sign)


def bits(x: Value) -> Value:
    """The pattern of a floating value, as an integer."""
    return Value(x.builder, x.builder.bitcast(x.ir, x.format.whole))


def from_bits(pattern: Value, fmt: Format) -> Value:
    """The floating value of a pattern."""
    return Value(pattern.builder, pattern.builder.bitcast(pattern.ir, fmt.real))


def convert(x: Value, fmt: Format) -> Value:
    """A floating value in a format that may be its own."""
    if fmt is x.format:
        return x
    b = x.builder
    wider = fmt.digits > x.format.digits
    return Value(b, (b.fpext if wider else b.fptrunc)(x.ir, fmt.real))


def resized(n: Value, width: int) -> Value:
    """An integer with so many bits: zeros before it, or its lowest ones."""
    b = n.builder
    wider = width > n.ir.type.width
    return Value(b, (b.zext if wider else b.trunc)(n.ir, ir.IntType(width)))


def shifted_right(n: Value, count: Value | int) -> Value:
    """An integer without its lowest bits, zeros before it."""
    return Value(n.builder, n.builder.lshr(n.ir, n.like(count).ir))


def leading_zeros(n: Value) -> Value:
    """How many zeros an integer ≠ 0 starts with."""
    b = n.builder
    return Value(b, b.ctlz(n.ir, ir.Constant(ir.IntType(1), 1)))


def power_of_two(n: Value, fmt: Format) -> Value:
    """2ⁿ for a whole n within the exponents of normal numbers."""
    return from_bits((n + fmt.bias) << fmt.fraction, fmt)


def to_float(n: Value, fmt: Format) -> Value:
    """A whole number below 2^(p−2) in size as a floating value.

    By adding to the pattern of `Format.shift`, since few machines convert 64-bit vectors.
    """
    shift = fmt.shift
    start = bits(Value(n.builder, ir.Constant(fmt.real, shift)))
    return from_bits(n + start, fmt) - shift


def nearest(x: Value, factor: float) -> tuple[Value, Value]:
    """The whole number nearest to x · factor, as a float and as an integer; below 2^(p−2)."""
    shift = x.like(x.format.shift)
    shifted = fma(x, factor, shift)
    return shifted - shift, bits(shifted) - bits(shift)


def polynomial(x: Value, coefficients: Sequence[float]) -> Value:
    """c₀ + c₁x + c₂x² + ..., by Horner's rule."""
    *rest, last = coefficients
    result = x.like(last)
    for c in reversed(rest):
        result = fma(x, result, c)
    return result


def fitted(name: str, x: Value) -> Value:
    """The polynomial P that `fit.py` made under a name, at x."""
    return polynomial(x, COEFFICIENTS[name][x.format.name])


def fitted_odd(name: str, x: Value, z: Value) -> Value:
    """x + x z P(z), an odd function for z = x²."""
    return fma(x * z, fitted(name, z), x)
