"""Vectors of elements in LLVM IR: loads of part of one, sums and products, transposition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

I1, I32 = ir.IntType(1), ir.IntType(32)


@dataclass(frozen=True)
class Piece:
    """``valid`` neighbouring elements from ``start`` on, in the first lanes of a vector."""

    start: int
    lanes: int
    valid: int


def pieces(length: int, lanes: int) -> list[Piece]:
    """A row of elements as whole vectors and, for the rest, one no wider than it must be."""
    whole = length // lanes
    found = [Piece(i * lanes, lanes, lanes) for i in range(whole)]
    if rest := length - whole * lanes:
        found.append(Piece(whole * lanes, 1 << (rest - 1).bit_length(), rest))
    return found


def piece(length: int) -> Piece:
    """A row of elements as one vector, no wider than it must be."""
    return Piece(0, 1 << max(length - 1, 0).bit_length(), length)


def zero(kind: Any, lanes: int) -> Any:
    """Lanes of zero."""
    return _word(ir.VectorType(kind, lanes), "zeroinitializer")


def load(b: Any, address: Any, piece: Piece) -> Any:
    """The piece at an address; lanes beyond it are 0 and their memory is not read."""
    vector = ir.VectorType(address.type.pointee, piece.lanes)
    address = b.bitcast(address, vector.as_pointer())
    if piece.valid == piece.lanes:
        return b.load(address, align=size(vector.element))
    masked = _intrinsic(
        b, "masked.load", vector, [vector.as_pointer(), I32, _mask(piece).type, vector]
    )
    rest = zero(vector.element, piece.lanes)
    return b.call(masked, [address, I32(size(vector.element)), _mask(piece), rest])


def store(b: Any, value: Any, address: Any, piece: Piece) -> None:
    """Put a piece at an address; what lies beyond it is not touched."""
    vector = value.type
    address = b.bitcast(address, vector.as_pointer())
    if piece.valid == piece.lanes:
        b.store(value, address, align=size(vector.element))
        return
    types = [vector, vector.as_pointer(), I32, _mask(piece).type]
    masked = _intrinsic(b, "masked.store", vector, types, ir.VoidType())
    b.call(masked, [value, address, I32(size(vector.element)), _mask(piece)])


def multiply_add(b: Any, x: Any, y: Any, z: Any) -> Any:
    """x·y + z: rounded once where the machine has an instruction for it, and nowhere else."""
    return b.call(_intrinsic(b, "fmuladd", x.type, [x.type] * 3), [x, y, z])


def splat(b: Any, scalar: Any, lanes: int) -> Any:
    """A vector whose lanes are all that element."""
    vector = ir.VectorType(scalar.type, lanes)
    undefined = _word(vector, "undef")
    first = b.insert_element(undefined, scalar, I32(0))
    return shuffle(b, first, undefined, [0] * lanes)


def shuffle(b: Any, x: Any, y: Any, lanes: Sequence[int]) -> Any:
    """The lanes of those numbers, counted through x and on through y."""
    return b.shuffle_vector(x, y, ir.Constant(ir.VectorType(I32, len(lanes)), [*lanes]))


def totals(b: Any, vectors: Sequence[Any]) -> Any:
    """The sums of the lanes of each vector, in the first lanes of one.

    Neighbours are added to neighbours: first lanes, then pairs of them, and so on, for any number
    of vectors. As many as that are brought together while there are several.
    """
    lanes = vectors[0].type.count
    rows = [*vectors, *[vectors[-1]] * ((1 << (len(vectors) - 1).bit_length()) - len(vectors))]
    for _ in range(lanes.bit_length() - 1):
        if len(rows) > 1:
            rows = [_neighbours(b, x, y) for x, y in zip(rows[::2], rows[1::2], strict=True)]
        else:
            rows = [_neighbours(b, rows[0], None)]
    while len(rows) > 1:
        both = range(2 * rows[0].type.count)
        rows = [shuffle(b, x, y, both) for x, y in zip(rows[::2], rows[1::2], strict=True)]
    return rows[0]


def _neighbours(b: Any, x: Any, y: Any | None) -> Any:
    """Lane 0 + lane 1, 2 + 3, ... of x, then of y."""
    count = x.type.count if y is None else 2 * x.type.count
    y = x if y is None else y
    return b.fadd(shuffle(b, x, y, range(0, count, 2)), shuffle(b, x, y, range(1, count, 2)))


def _word(vector: Any, word: str) -> Any:
    """A constant in one word, where llvmlite would write each lane: parsing takes most of it."""
    constant = ir.FormattedConstant(vector, "")
    constant.constant = word
    return constant


def size(kind: Any) -> int:
    """Bytes of an element."""
    return 4 if isinstance(kind, ir.FloatType) else 8


def _mask(piece: Piece) -> Any:
    lanes = [int(lane < piece.valid) for lane in range(piece.lanes)]
    return ir.Constant(ir.VectorType(I1, piece.lanes), lanes)


def _intrinsic(b: Any, name: str, vector: Any, types: list[Any], result: Any = None) -> Any:
    suffix = f"v{vector.count}f{8 * size(vector.element)}" + (".p0" if "masked" in name else "")
    name, module = f"llvm.{name}.{suffix}", b.module
    if name in module.globals:
        return module.globals[name]
    return ir.Function(module, ir.FunctionType(result or vector, types), name)
