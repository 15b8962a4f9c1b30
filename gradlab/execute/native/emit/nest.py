"""LLVM IR of a loop nest: its rows at each position, its reductions along the way."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from llvmlite import ir

from gradlab.execute.native.blocks import SumBlocks, cuts, sum_blocks
from gradlab.execute.native.collapse import Loops, collapse
from gradlab.execute.native.emit.element import (
    I8,
    I64,
    index,
    load,
    memory,
    number,
    register,
    store,
)
from gradlab.execute.native.emit.loops import loop, place
from gradlab.execute.native.emit.rolled import least
from gradlab.execute.native.emit.scalar import COMBINE, scalar, start
from gradlab.execute.native.math.attributes import set_attribute
from gradlab.execute.native.plan import Buffer, Immediate, Nest, Operand, Reduction
from gradlab.graph.dtypes import DType


def operands(nest: Nest) -> list[Operand]:
    """All that a nest reads and writes, each once."""
    return list(dict.fromkeys([*nest.reads(), *nest.results()]))


def loops_of(nest: Nest) -> Loops:
    """The loops of a nest, with the strides of each of its operands."""
    return collapse(nest.shape, [x.layout for x in operands(nest)])


def buffers_of(nest: Nest) -> list[Buffer]:
    """The buffers whose addresses the function takes, in order."""
    return list(dict.fromkeys(x.buffer for x in operands(nest)))


def blocks_of(nest: Nest) -> list[SumBlocks]:
    """The cuts of each reduction of a nest."""
    loops = loops_of(nest)
    strides = dict(zip(operands(nest), loops.strides, strict=True))
    return sum_blocks(nest, loops, [strides[r.target] for r in nest.reductions])


def scratch_places(nest: Nest) -> list[int]:
    """Where in its scratch the totals of each reduction start, counted in numbers."""
    place, places = 0, []
    for r, blocks in zip(nest.reductions, blocks_of(nest), strict=True):
        places.append(place)
        place += r.target.buffer.size if blocks.memory is not None else 0
    return places


def nest_scratch_bytes(nest: Nest) -> int:
    """Bytes for the totals of sums that add up in memory."""
    both = zip(nest.reductions, blocks_of(nest), strict=True)
    return sum(8 * r.target.buffer.size for r, blocks in both if blocks.memory is not None)


def emit_nest(module: ir.Module, nest: Nest) -> ir.Function:
    """``void(begin, end, *buffers, scratch)``: the outermost loop from begin to end.

    Nests that do the same over equal layouts share one function; the length of the outermost loop
    is no part of it.
    """
    name = f"nest.{_digest(nest)}"
    if name in module.globals:
        return module.get_global(name)
    buffers = buffers_of(nest)
    kinds = [memory(x.dtype).as_pointer() for x in buffers]
    if nest.scratch is not None:
        kinds.append(I8.as_pointer())
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [I64, I64, *kinds]), name)
    function.linkage = "internal"
    set_attribute(function, "stackrealign")
    for argument in function.args[2:]:
        argument.add_attribute("noalias")
    _Emitter(function, nest, buffers).emit()
    return function


def _digest(nest: Nest) -> str:
    """Equal for nests that can share one function."""
    loops, buffers = loops_of(nest), buffers_of(nest)
    known = {
        x: (buffers.index(x.buffer), strides, x.layout.offset, str(x.dtype))
        for x, strides in zip(operands(nest), loops.strides, strict=True)
    }

    def text(x: int | Operand | Immediate) -> Any:
        if isinstance(x, Operand):
            return known[x]
        return (repr(x.value), str(x.dtype)) if isinstance(x, Immediate) else x

    content = (
        loops.lengths[1:],
        [(s.row, [text(x) for x in s.inputs], str(s.dtypes), str(s.dtype)) for s in nest.steps],
        [(step, known[x]) for step, x in nest.stores],
        [(r.row, text(r.step), known[r.target]) for r in nest.reductions],
        [(blocks.register, blocks.memory) for blocks in blocks_of(nest)],
        scratch_places(nest),
    )
    return hashlib.sha256(repr(content).encode()).hexdigest()[:16]


ZERO = ir.Constant(ir.DoubleType(), 0.0)


def widened(b: Any, value: Any, dtype: DType) -> Any:
    """A float in double precision."""
    return b.fpext(value, ir.DoubleType()) if dtype.itemsize == 4 else value


def narrowed(b: Any, value: Any, dtype: DType) -> Any:
    """A number in double precision as a float of a dtype."""
    return b.fptrunc(value, register(dtype)) if dtype.itemsize == 4 else value


class _Sum:
    """A reduction in the making: where its accumulator is, and which loops it runs along."""

    def __init__(self, reduction: Reduction, strides: Any, blocks: SumBlocks, place: int) -> None:
        self.row, self.step, self.target = reduction.row, reduction.step, reduction.target
        self.strides, self.blocks, self.place = strides, blocks, place
        self.dtype = self.target.dtype
        self.inner = blocks.inner
        self.in_memory = self.inner == len(strides) or 0 in strides[: self.inner]
        self.register: Any = None
        self.total: Any = None


class _Emitter:
    def __init__(self, function: ir.Function, nest: Nest, buffers: list[Buffer]) -> None:
        self.nest = nest
        self.begin, self.end, *pointers = function.args
        self.pointer = dict(zip(buffers, pointers, strict=False))
        loops = loops_of(nest)
        self.lengths = loops.lengths
        self.strides = dict(zip(operands(nest), loops.strides, strict=True))
        self.b = ir.IRBuilder(function.append_basic_block("entry"))
        if nest.scratch is not None:
            self.scratch = self.b.bitcast(pointers[-1], ir.DoubleType().as_pointer())
        blocks, places = blocks_of(nest), scratch_places(nest)
        self.every = cuts(blocks)
        self.sums = [
            _Sum(r, self.strides[r.target], block, place)
            for r, block, place in zip(nest.reductions, blocks, places, strict=True)
        ]
        self.hoisted: dict[Operand, Any] = {}

    def emit(self) -> None:
        for s in self.sums:
            if s.inner < len(self.lengths):
                s.register = self.b.alloca(register(s.dtype))
                if s.blocks.register is not None:
                    s.total = self.b.alloca(ir.DoubleType())
        for x in dict.fromkeys(self.nest.reads()):
            if not any(self.strides[x]):  # one number for all positions
                self.hoisted[x] = self._load(x, [index(0)] * len(self.lengths))
        for s in self.sums:
            if s.in_memory:
                self._each_element(s, partial(self._clear, s))
        self._level(0, [])
        for s in self.sums:
            if s.blocks.memory is not None:
                self._each_element(s, partial(self._put_total, s))
        self.b.ret_void()

    def _bounds(self, depth: int) -> tuple[Any, Any]:
        if depth == 0:
            return self.begin, self.end
        return index(0), index(self.lengths[depth])

    def _address(self, x: Operand, indices: list[Any]) -> Any:
        strides = self.strides[x][: len(indices)]
        where = place(self.b, indices, strides, x.layout.offset)
        return self.b.gep(self.pointer[x.buffer], [where], inbounds=True)

    def _load(self, x: Operand, indices: list[Any]) -> Any:
        return load(self.b, self._address(x, indices), x.dtype)

    def _level(self, depth: int, indices: list[Any]) -> None:
        """The loops from a depth on, and the body within them."""
        if depth == len(self.lengths):
            self._body(indices)
            return
        b = self.b
        here = [s for s in self.sums if s.register is not None and s.inner == depth]
        for s in here:
            b.store(start(s.row, s.dtype), s.register)
            if s.total is not None:
                b.store(ZERO, s.total)
        if depth not in self.every:
            with loop(b, *self._bounds(depth)) as i:
                self._level(depth + 1, [*indices, i])
        else:
            begin, end = self._bounds(depth)
            every = self.every[depth]
            with loop(b, begin, end, every) as first:
                last = least(b, b.add(first, index(every), flags=["nsw"]), end)
                with loop(b, first, last) as i:
                    self._level(depth + 1, [*indices, i])
                self._close_blocks(depth, indices)
        for s in here:
            value = b.load(s.register)
            if s.total is not None:
                value = narrowed(b, b.load(s.total), s.dtype)
            self._finish(s, value, indices)

    def _finish(self, s: _Sum, value: Any, indices: list[Any]) -> None:
        """A value into the place of its result."""
        address = self._address(s.target, indices)
        if s.in_memory:
            value = COMBINE[s.row](self.b, load(self.b, address, s.dtype), value, s.dtype)
        store(self.b, value, address, s.dtype)

    # --- sums in blocks ----------------------------------------------------------------------

    def _close_blocks(self, depth: int, indices: list[Any]) -> None:
        """Add what the blocks of a loop came to, to the totals."""
        b = self.b
        for s in self.sums:
            if s.blocks.register is not None and s.blocks.register.depth == depth:
                block = widened(b, b.load(s.register), s.dtype)
                b.store(b.fadd(b.load(s.total), block), s.total)
                b.store(start(s.row, s.dtype), s.register)
            if s.blocks.memory is not None and s.blocks.memory.depth == depth:
                self._each_element(s, partial(self._add_to_total, s), indices)

    def _each_element(
        self, s: _Sum, action: Callable[[list[Any]], None], indices: Sequence[Any] = ()
    ) -> None:
        """Do something for each element of a target that the loops inside lead to."""
        depth = len(indices)
        if depth == len(self.lengths):
            action(list(indices))
        elif s.strides[depth] == 0:
            self._each_element(s, action, [*indices, index(0)])
        else:
            with loop(self.b, *self._bounds(depth)) as i:
                self._each_element(s, action, [*indices, i])

    def _clear(self, s: _Sum, indices: list[Any]) -> None:
        """Start values where a reduction accumulates in memory."""
        store(self.b, start(s.row, s.dtype), self._address(s.target, indices), s.dtype)
        if s.blocks.memory is not None:
            self.b.store(ZERO, self._total(s, indices))

    def _add_to_total(self, s: _Sum, indices: list[Any]) -> None:
        b, address, total = self.b, self._address(s.target, indices), self._total(s, indices)
        block = widened(b, load(b, address, s.dtype), s.dtype)
        b.store(b.fadd(b.load(total), block), total)
        store(b, start(s.row, s.dtype), address, s.dtype)

    def _put_total(self, s: _Sum, indices: list[Any]) -> None:
        total = narrowed(self.b, self.b.load(self._total(s, indices)), s.dtype)
        store(self.b, total, self._address(s.target, indices), s.dtype)

    def _total(self, s: _Sum, indices: list[Any]) -> Any:
        """Where the total of an element is."""
        where = place(self.b, indices, s.strides, s.place + s.target.layout.offset)
        return self.b.gep(self.scratch, [where], inbounds=True)

    # --- the body ----------------------------------------------------------------------------

    def _body(self, indices: list[Any]) -> None:
        nest, b = self.nest, self.b
        # All loads come before all stores, so that a result may replace what it is made of.
        loaded = {
            x: self.hoisted[x] if x in self.hoisted else self._load(x, indices)
            for x in dict.fromkeys(nest.reads())
        }
        values: list[Any] = []

        def value(x: int | Operand | Immediate) -> Any:
            if isinstance(x, Operand):
                return loaded[x]
            return number(x.value, x.dtype) if isinstance(x, Immediate) else values[x]

        for step in nest.steps:
            given = [value(x) for x in step.inputs]
            values.append(scalar(step.row, b, given, step.dtypes, step.dtype))
        for i, target in nest.stores:
            store(b, values[i], self._address(target, indices), target.dtype)
        for s in self.sums:
            if s.register is None:
                self._finish(s, value(s.step), indices)
            else:
                new = COMBINE[s.row](b, b.load(s.register), value(s.step), s.dtype)
                b.store(new, s.register)
