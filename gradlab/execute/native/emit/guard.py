"""Bounds of every access: what the code of a guarded program checks while it runs.

`guard` goes over a module that is otherwise done, so whatever built a load, a store or a copy need
not know of it. Every pointer comes, by steps, from an argument of a function or from a place where
``run`` says which memory it means: its *root*. A *frame* holds a root's limits, and functions take
one beside each pointer. An access beyond the limits is reported, and done in memory that nobody
needs instead.

After S. Nagarakatte et al., SoftBound: highly compatible and complete spatial memory safety for C,
PLDI 2009.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from gradlab.errors import CompilerError
from gradlab.execute.native.emit.element import I1, I8, I64, index

FRAME = 5
"""Words of a frame: first byte, end of what may be read, end of what may be written, who touches it
(a tag), and where to report."""
REPORT = 8
"""Words of the report: whether there is one, the tag, the byte from the first one on, how many
bytes, whether it is a store; then the sizes of the buffers outside the arena, and memory that
nobody needs."""
WIDEST = 4096
"""Bytes of that memory; no single load or store is as wide."""
WORDS, BYTES = I64.as_pointer(), I8.as_pointer()


@dataclass(frozen=True)
class Extent:
    """What a pointer leads to: so many bytes from there on, whose they are, whether to write."""

    size: Any
    tag: int
    writable: bool


def guard(run: Any, extents: Mapping[Any, Extent], report: Any, sink: Any) -> None:
    """Check every access in the module of ``run``.

    Args:
        run: the function that is called from outside.
        extents: of values and arguments in ``run``, the roots.
        report: where it reports, in ``run``: before all of the roots but its arguments.
        sink: where in the report there is memory that nobody needs, as a number of bytes.
    """
    module = run.module
    check = _check(module, sink)
    inner = [f for f in module.functions if f.blocks and f not in (run, check)]
    frames = {function: _with_frames(function) for function in inner}
    for function in inner:
        _Guard(function, check, frames, frames[function]).go()
    roots = _Guard(run, check, frames, {}, report)
    roots.provide(extents)
    roots.go()


def _with_frames(function: Any) -> dict[Any, Any]:
    """Let a function take a frame for each of its pointers; which is whose."""
    pointers = [x for x in function.args if isinstance(x.type, ir.PointerType)]
    more = [ir.Argument(function, WORDS) for _ in pointers]
    kind = function.function_type
    kind = ir.FunctionType(kind.return_type, [*kind.args, *[WORDS] * len(more)])
    function.ftype, function.type = kind, kind.as_pointer()
    function.args = (*function.args, *more)
    return dict(zip(pointers, more, strict=True))


def _check(module: Any, sink: int) -> Any:
    """``bytes*(address, skip, size, store, frame)``: the address, or memory that nobody needs."""
    kind = ir.FunctionType(BYTES, [BYTES, I64, I64, I64, WORDS])
    function = ir.Function(module, kind, "gl.guard")
    function.linkage = "internal"
    function.attributes.add("noinline")
    function.attributes.add("nounwind")
    address, skip, size, store, frame = function.args
    entry, inside, outside, first, leave = (
        function.append_basic_block(name)
        for name in ("entry", "inside", "outside", "first", "leave")
    )
    b = ir.IRBuilder(entry)

    def word(number: Any) -> Any:
        return b.load(b.gep(frame, [number]))

    begin, end = word(index(0)), word(b.add(index(1), store))
    at = b.add(b.ptrtoint(address, I64), skip)
    fits = b.and_(b.icmp_signed(">=", at, begin), b.icmp_signed("<=", b.add(at, size), end))
    fits = b.and_(fits, b.icmp_signed(">", size, index(0)))
    b.cbranch(b.or_(fits, b.icmp_signed("==", size, index(0))), inside, outside)
    b.position_at_end(inside)
    b.ret(address)
    b.position_at_end(outside)
    report = b.inttoptr(word(index(4)), WORDS)
    before = b.cmpxchg(report, index(0), index(1), "acq_rel", "monotonic")
    b.cbranch(b.extract_value(before, 1), first, leave)
    b.position_at_end(first)
    for place, value in enumerate((word(index(3)), b.sub(at, begin), size, store), start=1):
        b.store(value, b.gep(report, [index(place)]))
    b.branch(leave)
    b.position_at_end(leave)
    b.ret(b.gep(b.bitcast(report, BYTES), [index(sink)]))
    return function


class _Guard:
    """The accesses of one function."""

    def __init__(
        self,
        function: Any,
        check: Any,
        functions: Mapping[Any, Any],
        frames: dict[Any, Any],
        report: Any = None,
    ) -> None:
        self.function, self.check, self.functions = function, check, functions
        self.frames, self.report = frames, report
        # What is there before anything is added to it.
        self.work = [x for block in function.blocks for x in block.instructions]
        for x in self.work:
            x.operands = [*x.operands]  # some have a tuple of them

    def provide(self, extents: Mapping[Any, Extent]) -> None:
        """Make the frames of ``run``."""
        nothing = ir.Constant(BYTES, None)
        cells = [x for x in self.work if isinstance(x, ir.AllocaInstr)]
        extents = {nothing: Extent(index(0), -1, False), **extents}
        for cell in cells:
            extents[cell] = Extent(index(_bytes(cell.type.pointee)), -1, True)
        self.work.remove(self.report)  # the frames need it
        entry = self.function.entry_basic_block
        for root, extent in extents.items():
            b = ir.IRBuilder(entry)
            b.position_at_start(entry)
            frame = b.alloca(I64, FRAME)
            inside = isinstance(root, ir.Instruction)
            b = ir.IRBuilder(root.parent if inside else entry)
            _position_after(b, root if inside else self.report)
            begin = b.ptrtoint(root, I64)
            end = b.add(begin, extent.size)
            writable = end if extent.writable else begin
            words = (begin, end, writable, index(extent.tag), b.ptrtoint(self.report, I64))
            for place, word in enumerate(words):
                b.store(word, b.gep(frame, [index(place)]))
            self.frames[root] = frame

    def go(self) -> None:
        """Add the checks."""
        for x in self.work:
            if isinstance(x, ir.LoadInstr | ir.instructions.LoadAtomicInstr):
                self._element(x, 0, x.type, store=False)
            elif isinstance(x, ir.StoreInstr | ir.instructions.StoreAtomicInstr):
                self._element(x, 1, x.operands[0].type, store=True)
            elif isinstance(x, ir.instructions.AtomicRMW | ir.instructions.CmpXchg):
                self._element(x, 0, x.operands[1].type, store=True)
            elif isinstance(x, ir.CallInstr) and isinstance(x.callee, ir.Function):
                self._call(x)

    def _element(self, x: Any, operand: int, kind: Any, store: bool) -> None:
        """One element, or a vector of them."""
        if not isinstance(x.operands[operand], ir.AllocaInstr):
            b = _before(x)
            self._checked(b, x, operand, index(0), index(_bytes(kind)), store)

    def _checked(self, b: Any, x: Any, operand: int, skip: Any, size: Any, store: bool) -> Any:
        """Let an instruction take an address that is checked; whether it was as it should be."""
        address = x.operands[operand]
        plain = b.bitcast(address, BYTES)
        given = [plain, skip, size, index(int(store)), self._frame(address)]
        found = b.call(self.check, given)
        x.operands[operand] = b.bitcast(found, address.type)
        return b.icmp_unsigned("==", found, plain)

    def _call(self, x: Any) -> None:
        name, b = x.callee.name, _before(x)
        pointers = [a for a in x.args if isinstance(a.type, ir.PointerType)]
        if x.callee in self.functions:
            x.operands = [*x.operands, *map(self._frame, pointers)]
        elif name.startswith("llvm.masked.load"):
            self._lanes(b, x, 1, x.operands[3], x.type.element, store=False)
        elif name.startswith("llvm.masked.store"):
            self._lanes(b, x, 2, x.operands[4], x.operands[1].type.element, store=True)
        elif name.startswith(("llvm.memcpy", "llvm.memset")):
            sides = {1: True, 2: False} if "memcpy" in name else {1: True}
            size = x.operands[3]
            fits = I1(1)
            for operand, store in sides.items():
                fits = b.and_(fits, self._checked(b, x, operand, index(0), size, store))
            x.operands[3] = b.select(fits, size, index(0))
        elif pointers and not name.startswith("llvm.prefetch"):
            raise CompilerError(f"a guarded program cannot check what {name} reads and writes")

    def _lanes(self, b: Any, x: Any, operand: int, mask: Any, kind: Any, store: bool) -> None:
        """Lanes of a vector, from the first one of the mask to the last."""
        count = mask.type.count
        bits = b.bitcast(mask, ir.IntType(count))
        bits = b.zext(bits, I64) if count < 64 else bits
        first, above = (
            b.call(b.module.declare_intrinsic(f"llvm.{end}", [I64], _COUNTING), [bits, I1(0)])
            for end in ("cttz", "ctlz")
        )
        width = index(_bytes(kind))
        some = b.icmp_unsigned("!=", bits, index(0))
        lanes = b.select(some, b.sub(b.sub(index(64), above), first), index(0))
        self._checked(b, x, operand, b.mul(first, width), b.mul(lanes, width), store)

    def _frame(self, pointer: Any) -> Any:
        """The frame of a pointer's root."""
        if pointer in self.frames:
            return self.frames[pointer]
        if isinstance(pointer, ir.GEPInstr) or getattr(pointer, "opname", "") == "bitcast":
            return self._frame(pointer.operands[0])
        if isinstance(pointer, ir.SelectInstr):  # of two places in the same memory
            _, *sides = pointer.operands
            first, second = map(self._frame, sides)
            if first is second:
                return first
        raise CompilerError(f"nothing says what memory {pointer} leads to")


_COUNTING = ir.FunctionType(I64, [I64, I1])


def _before(x: Any) -> Any:
    b = ir.IRBuilder(x.parent)
    b.position_before(x)
    return b


def _position_after(b: Any, x: Any) -> None:
    """Behind an instruction, and behind all phis of its block."""
    following = iter(x.parent.instructions[x.parent.instructions.index(x) + 1 :])
    b.position_before(next(y for y in following if not isinstance(y, ir.PhiInstr)))


def _bytes(kind: Any) -> int:
    """Bytes of an element, a vector or an address in memory."""
    if isinstance(kind, ir.VectorType):
        return int(kind.count) * _bytes(kind.element)
    if isinstance(kind, ir.FloatType):
        return 4
    return -(-int(kind.width) // 8) if isinstance(kind, ir.IntType) else 8
