"""Bounds of every access in emitted code, for programs that are being debugged.

Each load and store of a kernel first asks ``guard.check`` whether all its bytes lie in one of the
buffers that the kernel may touch. If not, the first such access is noted in the table, and the
access goes to a spare stretch of memory instead, so that nothing is read or overwritten.

The table is an array of int64: number of the function at fault plus 1, address and bytes of the
access, address of the spare memory; then for each function the position of its row; then the rows:
how many buffers, and the first address and the one after the last of each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llvmlite import ir

from gradlab.execute.native.emit.element import I8, I64, index

FAULT, ADDRESS, BYTES, SPARE, POSITIONS = range(5)
TABLE = "guard.table"
BYTE_POINTER = I8.as_pointer()
UNGUARDED = ("barrier",)
"""Functions that touch no buffer."""


def guard(module: ir.Module, run: ir.Function, table: Any) -> list[str]:
    """Guard every access of a module's functions; returns their names, by number.

    Args:
        module: with all that is emitted, before LLVM's passes.
        run: the function that is called from outside.
        table: builds the table's address, given a builder at the start of ``run``.
    """
    functions = [f for f in module.functions if not f.is_declaration and f.name not in UNGUARDED]
    place = ir.GlobalVariable(module, I64.as_pointer(), TABLE)
    place.linkage = "internal"
    place.initializer = ir.Constant(I64.as_pointer(), None)
    check = _emit_check(module, place)
    for number, function in enumerate(functions):
        for block in function.blocks:
            for instruction in list(block.instructions):
                for operand, count in _accesses(instruction):
                    b = ir.IRBuilder(block)
                    b.position_before(instruction)
                    pointer = instruction.operands[operand]
                    size = count(b) if callable(count) else index(count)
                    asked = b.bitcast(pointer, BYTE_POINTER)
                    safe = b.call(check, [asked, size, index(number)])
                    instruction.operands[operand] = b.bitcast(safe, pointer.type)
    first = run.entry_basic_block
    b = ir.IRBuilder(first)
    b.position_at_start(first)
    b.store(table(b), place)
    return [function.name for function in functions]


def callers(module: ir.Module, kernels: Mapping[Any, Sequence[int]]) -> dict[str, list[int]]:
    """The numbers of the kernels for which each function is called, by name.

    Args:
        module: with all functions.
        kernels: those that ``run`` calls, with the numbers of their kernels.
    """
    numbers = {str(function.name): [*dict.fromkeys(own)] for function, own in kernels.items()}
    waiting = [function for function in kernels if not function.is_declaration]
    while waiting:
        function = waiting.pop()
        own = numbers[str(function.name)]
        for block in function.blocks:
            for instruction in block.instructions:
                callee: Any = getattr(instruction, "callee", None)
                defined = isinstance(callee, ir.Function) and not callee.is_declaration
                if not defined or callee.name == "guard.check":
                    continue
                known = numbers.setdefault(callee.name, [])
                if new := [number for number in own if number not in known]:
                    known += new
                    waiting.append(callee)
    return numbers


def _accesses(instruction: Any) -> Iterator[tuple[int, Any]]:
    """Operands that are addresses of buffers, with the bytes that are touched there."""
    if isinstance(instruction, ir.instructions.LoadInstr):
        candidates = [(0, _size(instruction.type))]
    elif isinstance(instruction, ir.instructions.StoreInstr):
        candidates = [(1, _size(instruction.operands[0].type))]
    elif isinstance(instruction, ir.instructions.CallInstr):
        candidates = _of_call(instruction)
    else:
        candidates = []
    for operand, count in candidates:
        if not _is_own(instruction.operands[operand]):
            yield operand, count


def _of_call(call: Any) -> list[tuple[int, Any]]:
    name, operands = getattr(call.callee, "name", ""), call.operands  # the callee comes first
    if name.startswith("llvm.memcpy"):
        return [(1, lambda b: operands[3]), (2, lambda b: operands[3])]
    if name.startswith("llvm.memset"):
        return [(1, lambda b: operands[3])]
    if name.startswith("llvm.masked.store"):
        return [(2, lambda b: _masked(b, operands[4], operands[1].type))]
    if name.startswith("llvm.masked.load"):
        return [(1, lambda b: _masked(b, operands[3], call.type))]
    return []


def _masked(b: Any, mask: Any, vector: Any) -> Any:
    """Bytes of the lanes of a mask, which are the first ones."""
    bits = ir.IntType(vector.count)
    count = b.call(b.module.declare_intrinsic("llvm.ctpop", [bits]), [b.bitcast(mask, bits)])
    count = b.zext(count, I64) if vector.count < 64 else count
    return b.mul(count, index(_size(vector.element)))


def _is_own(pointer: Any) -> bool:
    """Whether an address lies in a function's own variables, in a constant or among the bases."""
    while isinstance(pointer, ir.instructions.GEPInstr | ir.instructions.CastInstr):
        pointer = pointer.operands[0]
    own = isinstance(pointer, ir.instructions.AllocaInstr | ir.GlobalVariable)
    return own or pointer.type == BYTE_POINTER.as_pointer()


def _size(kind: Any) -> int:
    """Bytes of a value in memory."""
    if isinstance(kind, ir.VectorType):
        return int(kind.count) * _size(kind.element)
    if isinstance(kind, ir.IntType):
        return -(-int(kind.width) // 8)
    return 4 if isinstance(kind, ir.FloatType) else 8


def _emit_check(module: ir.Module, place: Any) -> ir.Function:
    """``address(address, bytes, function)``: the address, or the spare one."""
    kind = ir.FunctionType(BYTE_POINTER, [BYTE_POINTER, I64, I64])
    function = ir.Function(module, kind, "guard.check")
    function.linkage = "internal"
    function.attributes.add("noinline")
    address, size, number = function.args
    entry, look, compare, following, fault, note, spare, fine = (
        function.append_basic_block(name)
        for name in ("entry", "look", "compare", "following", "fault", "note", "spare", "fine")
    )
    b = ir.IRBuilder(entry)
    table = b.load(place)
    begin = b.ptrtoint(address, I64)
    end = b.add(begin, size)

    def at(position: Any) -> Any:
        return b.gep(table, [position])

    row = b.load(at(b.add(number, index(POSITIONS))))
    count = b.load(at(row))
    b.cbranch(b.icmp_signed("==", size, index(0)), fine, look)

    b.position_at_end(look)
    i = b.phi(I64)
    i.add_incoming(index(0), entry)
    b.cbranch(b.icmp_signed("<", i, count), compare, fault)

    b.position_at_end(compare)
    first = b.add(row, b.add(b.mul(i, index(2)), index(1)))
    low, high = b.load(at(first)), b.load(at(b.add(first, index(1))))
    inside = b.and_(b.icmp_unsigned(">=", begin, low), b.icmp_unsigned("<=", end, high))
    b.cbranch(inside, fine, following)

    b.position_at_end(following)
    i.add_incoming(b.add(i, index(1)), following)
    b.branch(look)

    b.position_at_end(fault)
    known = b.load(at(index(FAULT)))
    b.cbranch(b.icmp_signed("==", known, index(0)), note, spare)

    b.position_at_end(note)
    b.store(b.add(number, index(1)), at(index(FAULT)))
    b.store(begin, at(index(ADDRESS)))
    b.store(size, at(index(BYTES)))
    b.branch(spare)

    b.position_at_end(spare)
    b.ret(b.inttoptr(b.load(at(index(SPARE))), BYTE_POINTER))

    b.position_at_end(fine)
    b.ret(address)
    return function
