"""Random words and uniform numbers: Threefry-2x32 as in `gradlab.graph.random`, bit for bit.

Places are done in blocks that are vectors from the start. Twenty rounds of additions along a loop's
counter are what LLVM's analysis of loops takes longest for, and for vectors it takes no interest.
"""

from __future__ import annotations

import functools
import math
from typing import Any

from llvmlite import ir

from gradlab.execute.native.emit.element import index, register
from gradlab.execute.native.emit.loops import loop
from gradlab.execute.native.emit.special.kernel import Call, Frame, Special
from gradlab.graph.dtypes import FLOAT64, DType
from gradlab.graph.random import PARITY, ROTATIONS

BLOCK = 16
"""Places in a block."""
I32 = ir.IntType(32)
WORDS = ir.VectorType(I32, BLOCK)


def _spread(b: Any, value: Any) -> Any:
    """A value in every lane."""
    nothing = ir.Constant(ir.VectorType(value.type, BLOCK), ir.Undefined)
    first = b.insert_element(nothing, value, ir.Constant(I32, 0))
    return b.shuffle_vector(first, nothing, ir.Constant(WORDS, [0] * BLOCK))


def _constant(value: float, kind: Any) -> ir.Constant:
    """A number in every lane."""
    return ir.Constant(ir.VectorType(kind, BLOCK), [value] * BLOCK)


@functools.cache
def _word(value: int) -> ir.Constant:
    return _constant(value, I32)


def _threefry(b: Any, key: tuple[Any, Any], counter: tuple[Any, Any]) -> tuple[Any, Any]:
    """Two random words from a key and a counter of two words each."""
    keys = (*key, b.xor(b.xor(*key), _word(PARITY)))
    x0, x1 = b.add(counter[0], keys[0]), b.add(counter[1], keys[1])
    for block in range(5):
        for turn in ROTATIONS[block % 2]:
            x0 = b.add(x0, x1)
            x1 = b.or_(b.shl(x1, _word(turn)), b.lshr(x1, _word(32 - turn)))
            x1 = b.xor(x1, x0)
        x0 = b.add(x0, keys[(block + 1) % 3])
        x1 = b.add(b.add(x1, keys[(block + 2) % 3]), _word(block + 1))
    return x0, x1


class _Blocks:
    """The words of a stream, and the output that is made of them."""

    def __init__(self, frame: Frame) -> None:
        self.frame, self.b = frame, frame.b
        self.key = (self._given(0, [index(0)]), self._given(0, [index(1)]))
        self.draw = self._given(1, [])

    def _given(self, number: int, indices: list[Any]) -> Any:
        return _spread(self.b, self.frame.load(number, indices))

    def words(self, start: Any) -> tuple[Any, Any]:
        """Both words of the places from ``start`` on."""
        b = self.b
        places = b.add(_spread(b, b.trunc(start, I32)), ir.Constant(WORDS, list(range(BLOCK))))
        return _threefry(b, self.key, (places, self.draw))

    def store(self, lanes: Any, position: Any, count: Any) -> None:
        """Put the first ``count`` lanes into the output, or all if there are fewer."""
        b = self.b
        size, whole = index(BLOCK), lanes.type
        some = b.trunc(b.select(b.icmp_signed("<", count, size), count, size), I32)
        mask = b.icmp_signed("<", ir.Constant(WORDS, list(range(BLOCK))), _spread(b, some))
        address = b.bitcast(b.gep(self.frame.out, [position]), whole.as_pointer())
        align = ir.Constant(I32, self.frame.call.dtype.itemsize)
        b.call(_masked_store(b.module, whole), [lanes, address, align, mask])


def _masked_store(module: ir.Module, whole: Any) -> ir.Function:
    """LLVM's store of some lanes of a vector; llvmlite has no names for what takes vectors."""
    kind = f"v{BLOCK}{whole.element.intrinsic_name}"
    name = f"llvm.masked.store.{kind}.p0{kind}"
    mask = ir.VectorType(ir.IntType(1), BLOCK)
    signature = ir.FunctionType(ir.VoidType(), [whole, whole.as_pointer(), I32, mask])
    return module.globals.get(name) or ir.Function(module, signature, name)


def _blocks(frame: Frame) -> Any:
    """The number of blocks, the last of which may be a part of one."""
    b = frame.b
    places = b.sub(frame.end, frame.begin)
    return b.udiv(b.add(places, index(BLOCK - 1)), index(BLOCK))


def _halves(call: Call) -> int:
    return (math.prod(call.shape) + 1) // 2


def _bits(frame: Frame) -> None:
    """The first words of all places, then the second ones; of an odd number one is left out."""
    b, half, blocks = frame.b, _halves(frame.call), _Blocks(frame)
    pairs = index(math.prod(frame.call.shape) - half)
    last = b.select(b.icmp_signed("<", frame.end, pairs), frame.end, pairs)
    with loop(b, index(0), _blocks(frame)) as block:
        start = b.add(frame.begin, b.mul(block, index(BLOCK)))
        x0, x1 = (_finished(b, words, frame.call.dtype) for words in blocks.words(start))
        blocks.store(x0, start, b.sub(frame.end, start))
        blocks.store(x1, b.add(start, index(half)), b.sub(last, start))


def _finished(b: Any, words: Any, dtype: DType) -> Any:
    """The words themselves, or numbers of their 24 leading bits."""
    if dtype.kind == "u":
        return words
    kind = ir.VectorType(register(dtype), BLOCK)
    whole = b.uitofp(b.lshr(words, _word(8)), kind)
    return b.fmul(whole, _constant(2.0**-24, kind.element))


def _uniform(frame: Frame) -> None:
    """Numbers of 24 bits, from one word each, or of 53, from both of a place."""
    if frame.call.dtype == FLOAT64:
        _long_uniform(frame)
    else:
        _bits(frame)


def _long_uniform(frame: Frame) -> None:
    b, blocks = frame.b, _Blocks(frame)

    def leading(words: Any, dropped: int) -> Any:
        bits = b.lshr(words, _word(dropped))
        return b.uitofp(bits, ir.VectorType(register(FLOAT64), BLOCK))

    def times(x: Any, factor: float) -> Any:
        return b.fmul(x, _constant(factor, x.type.element))

    with loop(b, index(0), _blocks(frame)) as block:
        start = b.add(frame.begin, b.mul(block, index(BLOCK)))
        x0, x1 = blocks.words(start)
        whole = b.fadd(times(leading(x0, 5), 2.0**26), leading(x1, 6))
        blocks.store(times(whole, 2.0**-53), start, b.sub(frame.end, start))


def _places(call: Call) -> int:
    return math.prod(call.shape) if call.dtype == FLOAT64 else _halves(call)


BITS = Special(_bits, length=_places)
UNIFORM = Special(_uniform, length=_places)
