"""LLVM IR of a loop nest: its rows at each position, its reductions along the way."""

from __future__ import annotations

import hashlib
from typing import Any

from llvmlite import ir

from gradlab.execute.native.collapse import Loops, collapse
from gradlab.execute.native.emit.element import I64, index, load, memory, number, register, store
from gradlab.execute.native.emit.loops import loop, place
from gradlab.execute.native.emit.scalar import COMBINE, scalar, start
from gradlab.execute.native.math.attributes import set_attribute
from gradlab.execute.native.plan import Buffer, Immediate, Nest, Operand


def operands(nest: Nest) -> list[Operand]:
    """All that a nest reads and writes, each once."""
    return list(dict.fromkeys([*nest.reads(), *nest.writes()]))


def loops_of(nest: Nest) -> Loops:
    """The loops of a nest, with the strides of each of its operands."""
    return collapse(nest.shape, [x.layout for x in operands(nest)])


def buffers_of(nest: Nest) -> list[Buffer]:
    """The buffers whose addresses the function takes, in order."""
    return list(dict.fromkeys(x.buffer for x in operands(nest)))


def emit_nest(module: ir.Module, nest: Nest) -> ir.Function:
    """``void(begin, end, *buffers)``: the outermost loop from begin to end.

    Nests that do the same over equal layouts share one function; the length of the outermost loop
    is no part of it.
    """
    name = f"nest.{_digest(nest)}"
    if name in module.globals:
        return module.get_global(name)
    buffers = buffers_of(nest)
    kinds = [memory(x.dtype).as_pointer() for x in buffers]
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
    )
    return hashlib.sha256(repr(content).encode()).hexdigest()[:16]


class _Sum:
    """A reduction in the making: where its accumulator is, and which loops it runs along."""

    def __init__(self, row: str, step: int | Operand, target: Operand, strides: Any) -> None:
        self.row, self.step, self.target, self.strides = row, step, target, strides
        self.dtype = target.dtype
        # The innermost loops that are all reduced accumulate in a register.
        inner = len(strides)
        while inner and strides[inner - 1] == 0:
            inner -= 1
        self.inner = inner
        self.in_memory = inner == len(strides) or 0 in strides[:inner]
        self.register: Any = None


class _Emitter:
    def __init__(self, function: ir.Function, nest: Nest, buffers: list[Buffer]) -> None:
        self.nest = nest
        self.begin, self.end, *pointers = function.args
        self.pointer = dict(zip(buffers, pointers, strict=True))
        loops = loops_of(nest)
        self.lengths = loops.lengths
        self.strides = dict(zip(operands(nest), loops.strides, strict=True))
        self.sums = [_Sum(r.row, r.step, r.target, self.strides[r.target]) for r in nest.reductions]
        self.b = ir.IRBuilder(function.append_basic_block("entry"))
        self.hoisted: dict[Operand, Any] = {}

    def emit(self) -> None:
        for s in self.sums:
            if s.inner < len(self.lengths):
                s.register = self.b.alloca(register(s.dtype))
        for x in dict.fromkeys(self.nest.reads()):
            if not any(self.strides[x]):  # one number for all positions
                self.hoisted[x] = self._load(x, [index(0)] * len(self.lengths))
        for s in self.sums:
            if s.in_memory:
                self._clear(s, 0, [])
        self._level(0, [])
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

    def _clear(self, s: _Sum, depth: int, indices: list[Any]) -> None:
        """Start values where a reduction accumulates in memory."""
        if depth == len(self.lengths):
            store(self.b, start(s.row, s.dtype), self._address(s.target, indices), s.dtype)
        elif s.strides[depth] == 0:
            self._clear(s, depth + 1, [*indices, index(0)])
        else:
            with loop(self.b, *self._bounds(depth)) as i:
                self._clear(s, depth + 1, [*indices, i])

    def _level(self, depth: int, indices: list[Any]) -> None:
        """The loops from a depth on, and the body within them."""
        if depth == len(self.lengths):
            self._body(indices)
            return
        here = [s for s in self.sums if s.register is not None and s.inner == depth]
        for s in here:
            self.b.store(start(s.row, s.dtype), s.register)
        with loop(self.b, *self._bounds(depth)) as i:
            self._level(depth + 1, [*indices, i])
        for s in here:
            self._finish(s, self.b.load(s.register), indices)

    def _finish(self, s: _Sum, value: Any, indices: list[Any]) -> None:
        """A value into the place of its result."""
        address = self._address(s.target, indices)
        if s.in_memory:
            value = COMBINE[s.row](self.b, load(self.b, address, s.dtype), value, s.dtype)
        store(self.b, value, address, s.dtype)

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
