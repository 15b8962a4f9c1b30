"""LLVM IR of a whole program: a loop of updates that calls the kernels in order.

``run(updates, thread, bases, sync) -> updates done``. ``bases`` points to the addresses of the
arena, of an error flag for each kernel, of the matrix of row numbers, of the clock's sums, of the
bytes from one row to the next in each array of data, and of every buffer outside the arena, in the
plan's order; of a guarded program also, last, of its report. ``sync`` points to the counter of the
barrier. Every thread calls it, with its number.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from gradlab.execute.native.emit.element import I8, I64, index, memory
from gradlab.execute.native.emit.guard import REPORT, WORDS, Extent, guard
from gradlab.execute.native.emit.loops import loop
from gradlab.execute.native.emit.nest import buffers_of, emit_nest
from gradlab.execute.native.emit.rolled import least
from gradlab.execute.native.emit.special import SPECIALS
from gradlab.execute.native.emit.special import emit as emit_special
from gradlab.execute.native.emit.synchronize import emit_barrier
from gradlab.execute.native.layout import Layout
from gradlab.execute.native.math.attributes import set_attribute
from gradlab.execute.native.plan import (
    Buffer,
    Gather,
    Kernel,
    MatrixProduct,
    Nest,
    Operand,
    Plan,
    Range,
    SpecialKernel,
)
from gradlab.execute.native.product.emit import emit_product

ARENA, ERROR, ROWS, CLOCK, STEPS = range(5)
FIRST = 5
"""Number of the first buffer's address among the bases."""
BYTES = I8.as_pointer()
OTHERS = ("error flag", "row numbers", "clock", "steps between rows", "addresses", "barrier")
"""What ``run`` touches beside the buffers."""


def outside(plan: Plan) -> list[Buffer]:
    """The buffers whose addresses the program is given, in order."""
    return [buffer for buffer in plan.buffers if buffer.home != "arena"]


def tag(kernel: int, place: int) -> int:
    """A number for what a kernel does with a buffer, or with one of OTHERS, counted on."""
    return kernel << 32 | place


def emit_program(
    plan: Plan, width: int, inline: bool, timed: bool = False, guarded: bool = False
) -> ir.Module:
    """A module with all kernels of a plan, each distinct one once, and ``run``.

    Args:
        plan: with places, ranges and barriers.
        width: float32 numbers in a vector of the machine.
        inline: whether the kernels become part of ``run``, so that LLVM sees all lengths: right
            for tiny programs.
        timed: whether the first thread adds up the ticks that each kernel takes, with the wait
            before it.
        guarded: whether it checks the bounds of every access (see emit/guard.py).
    """
    module = ir.Module("gradlab")
    kind = ir.FunctionType(I64, [I64, I64, BYTES.as_pointer(), I64.as_pointer()])
    function = ir.Function(module, kind, "run")
    set_attribute(function, "stackrealign")
    emitter = _Emitter(module, function, plan, width, timed, guarded)
    emitter.emit()
    if guarded:
        sink = 8 * (REPORT + len(outside(plan)))
        guard(function, emitter.extents, emitter.report, sink)
    for kernel in emitter.kernels:
        kernel.attributes.add("alwaysinline" if inline else "noinline")
    for made in module.functions:
        if not made.is_declaration:
            # Without tables for unwinding there is nothing to register with the C++ runtime, of
            # which a process may hold several.
            made.attributes.add("nounwind")
    return module


def _runs(kernels: list[Kernel]) -> list[list[Kernel]]:
    """Kernels that follow one another without a barrier, serial and divided ones apart."""
    runs: list[list[Kernel]] = []
    for kernel in kernels:
        serial = kernel.range.parts == 1
        if runs and not kernel.barrier and serial == (runs[-1][-1].range.parts == 1):
            runs[-1].append(kernel)
        else:
            runs.append([kernel])
    return runs


class _Emitter:
    def __init__(
        self,
        module: ir.Module,
        function: Any,
        plan: Plan,
        width: int,
        timed: bool,
        guarded: bool,
    ) -> None:
        self.module, self.plan, self.width, self.timed = module, plan, width, timed
        self.guarded = guarded
        self.updates, self.thread, self.bases, self.sync = function.args
        self.b = ir.IRBuilder(function.append_basic_block("entry"))
        self.kernels: dict[Any, None] = {}
        self.base: dict[Buffer, Any] = {}
        self.update: Any = None
        self.rounds: Any = None
        """How many barriers this thread has passed."""
        self.extents: dict[Any, Extent] = {}
        """Of a guarded program's pointers, what they lead to."""
        self.sizes: dict[Buffer, Any] = {}
        """Of a guarded program, bytes of the arrays that it runs with."""
        self.kernel: int = len(plan.kernels)
        """Number of the kernel at hand; one more for what is between them."""
        self.written: set[Buffer] = set()
        """What the kernel at hand writes."""
        self.numbers = {buffer: number for number, buffer in enumerate(plan.buffers)}

    def emit(self) -> None:
        b, plan = self.b, self.plan
        count = len(outside(plan))
        if self.guarded:
            self.report = b.load(b.gep(self.bases, [index(FIRST + count)]))
            self._extent(self.bases, "addresses", index(8 * (FIRST + count + 1)))
            self._extent(self.sync, "barrier", index(8))
            sizes = b.gep(b.bitcast(self.report, WORDS), [index(REPORT)])
            self._extent(sizes, "addresses", index(8 * count))
            for i, buffer in enumerate(outside(plan)):
                self.sizes[buffer] = b.load(b.gep(sizes, [index(i)]))
        self.arena = b.load(b.gep(self.bases, [index(ARENA)]))
        error = b.load(b.gep(self.bases, [index(ERROR)]))
        self.error = self._limited(
            b.bitcast(error, ir.IntType(32).as_pointer()),
            "error flag",
            index(4 * max(len(plan.kernels), 1)),
        )
        rows = b.load(b.gep(self.bases, [index(ROWS)]))
        batch = next((k.out.layout.shape[0] for k in plan.kernels if isinstance(k, Gather)), 0)
        size = b.mul(self.updates, index(8 * batch)) if self.guarded else None
        self.rows = self._limited(b.bitcast(rows, I64.as_pointer()), "row numbers", size, False)
        for i, buffer in enumerate(outside(plan)):
            self.base[buffer] = b.load(b.gep(self.bases, [index(FIRST + i)]))
        self.rounds = b.alloca(I64)
        b.store(index(0), self.rounds)
        if self.timed:
            self.last = b.alloca(I64)
        self.first = b.icmp_signed("==", self.thread, index(0))
        self.bounds = {r: self._bounds(r) for r in dict.fromkeys(k.range for k in plan.kernels)}
        before = b.block
        body, after = b.append_basic_block("update"), b.append_basic_block("done")
        b.cbranch(b.icmp_signed(">", self.updates, index(0)), body, after)
        b.position_at_end(body)
        self.update = b.phi(I64, "u")
        self.update.add_incoming(index(0), before)
        if self.timed:
            b.store(self._ticks(), self.last)
        for kernels in _runs(plan.kernels):
            if kernels[0].barrier:
                self._wait()
            if plan.threads > 1 and kernels[0].range.parts == 1:
                with b.if_then(self.first):
                    self._run(kernels)
            else:
                self._run(kernels)
        self._wait()  # the next update writes what this one reads
        done = b.add(self.update, index(1))
        more = b.icmp_signed("<", done, self.updates)
        if plan.halt is not None:
            more = b.and_(more, self._goes_on(plan.halt))
        self.update.add_incoming(done, b.block)
        b.cbranch(more, body, after)
        last = b.block
        b.position_at_end(after)
        count = b.phi(I64)
        count.add_incoming(index(0), before)
        count.add_incoming(done, last)
        b.ret(count)

    def _wait(self) -> None:
        if self.plan.threads > 1:
            barrier = emit_barrier(self.module, self.plan.threads)
            self.b.call(barrier, [self.sync, self.rounds])

    def _goes_on(self, halt: int) -> Any:
        """Whether the emitted truth value of this update holds."""
        (buffer,) = (x for x in self.plan.buffers if x.home == "output" and x.number == halt)
        flag = self.b.load(self._pointer(buffer))
        return self.b.icmp_unsigned("!=", flag, ir.Constant(flag.type, 0))

    def _ticks(self) -> Any:
        """The processor's clock."""
        kind, name = ir.FunctionType(I64, []), "llvm.readcyclecounter"
        known = self.module.globals.get(name)
        return self.b.call(known or ir.Function(self.module, kind, name), [])

    def _count(self, number: int) -> None:
        """Add the first thread's ticks since the last kernel to a kernel's sum."""
        b, now = self.b, self._ticks()
        with b.if_then(self.first):
            table = b.bitcast(b.load(b.gep(self.bases, [index(CLOCK)])), I64.as_pointer())
            table = self._limited(table, "clock", index(8 * len(self.plan.kernels)))
            place = b.gep(table, [index(number)])
            b.store(b.add(b.load(place), b.sub(now, b.load(self.last))), place)
        b.store(now, self.last)

    # --- addresses -----------------------------------------------------------------------------

    def _extent(self, pointer: Any, what: Buffer | str, size: Any, writable: bool = True) -> None:
        """Say what a pointer of a guarded program leads to."""
        place = (
            self.numbers[what]
            if isinstance(what, Buffer)
            else len(self.numbers) + OTHERS.index(what)
        )
        self.extents[pointer] = Extent(size, tag(self.kernel, place), writable)

    def _limited(self, pointer: Any, what: Buffer | str, size: Any, writable: bool = True) -> Any:
        """A pointer that, in a guarded program, leads to so many bytes and no further."""
        if not self.guarded:
            return pointer
        pointer = self.b.gep(pointer, [index(0)])  # its own value, for this kernel alone
        self._extent(pointer, what, size, writable)
        return pointer

    def _pointer(self, buffer: Buffer, own: bool = False) -> Any:
        """Where a buffer starts in this update; of several copies, this thread's own if asked."""
        b, skip = self.b, index(0)
        if buffer.home == "arena":
            address = b.gep(self.arena, [index(buffer.place)], inbounds=True)
            if own and buffer.copies > 1:
                skip = b.mul(self.thread, index(buffer.bytes_each))
                address = b.gep(address, [skip], inbounds=True)
        else:
            address = self.base[buffer]
            if buffer.home in ("input", "output"):  # one value for each update
                skip = b.mul(self.update, index(buffer.bytes))
                address = b.gep(address, [skip], inbounds=True)
        pointer = b.bitcast(address, memory(buffer.dtype).as_pointer())
        each = own or buffer.copies == 1
        size = index(buffer.size * buffer.dtype.itemsize if each else buffer.bytes)
        if buffer in self.sizes:  # never more than there is, whatever the plan says
            size = least(b, size, b.sub(self.sizes[buffer], skip))
        return self._limited(pointer, buffer, size, buffer in self.written)

    def _at(self, x: Operand, own: bool = False) -> Any:
        """Where the first element of an operand lies."""
        return self.b.gep(self._pointer(x.buffer, own), [index(x.layout.offset)], inbounds=True)

    def _bounds(self, r: Range) -> tuple[Any, Any]:
        """The part of a range that this thread does."""
        b, threads = self.b, self.plan.threads
        if threads == 1 or r.parts == 1:
            return index(0), index(r.length)

        def bound(thread: Any) -> Any:
            part = b.sdiv(b.mul(thread, index(r.parts)), index(threads))
            where = b.mul(part, index(r.unit))
            return b.select(b.icmp_signed("<", where, index(r.length)), where, index(r.length))

        return bound(self.thread), bound(b.add(self.thread, index(1)))

    # --- kernels -------------------------------------------------------------------------------

    def _run(self, kernels: list[Kernel]) -> None:
        for kernel in kernels:
            self.kernel = self.plan.kernels.index(kernel)
            self.written = {x.buffer for x in kernel.writes()}
            self._call(kernel, *self.bounds[kernel.range])
            if self.timed:
                self._count(self.kernel)
        self.kernel, self.written = len(self.plan.kernels), set()

    def _call(self, kernel: Kernel, begin: Any, end: Any) -> None:
        if isinstance(kernel, Nest):
            function = emit_nest(self.module, kernel)
            pointers = [self._pointer(x, x in self.written) for x in buffers_of(kernel)]
            if kernel.scratch is not None:
                pointers.append(self.b.bitcast(self._pointer(kernel.scratch, own=True), BYTES))
            self._invoke(function, [begin, end, *pointers])
        elif isinstance(kernel, MatrixProduct):
            self._product(kernel, begin, end)
        elif isinstance(kernel, Gather):
            self._gather(kernel, begin, end)
        else:
            assert isinstance(kernel, SpecialKernel)
            self._special(kernel, begin, end)

    def _invoke(self, function: Any, arguments: list[Any]) -> None:
        self.kernels[function] = None
        self.b.call(function, arguments)

    def _product(self, kernel: MatrixProduct, begin: Any, end: Any) -> None:
        function = emit_product(self.module, kernel.product, self.width, kernel.method)
        scratch = (
            self._pointer(kernel.scratch, own=True) if kernel.scratch else ir.Constant(BYTES, None)
        )
        operands = (kernel.out, kernel.x, kernel.y)
        addresses = [self._at(x) for x in operands]
        batch = kernel.out.layout.shape[:-2]

        def run(depth: int, indices: list[Any]) -> None:
            if depth < len(batch):
                bounds = (begin, end) if depth == 0 else (index(0), index(batch[depth]))
                with loop(self.b, *bounds) as i:
                    run(depth + 1, [*indices, i])
                return
            moved = [
                self._moved(a, x.layout, indices) for a, x in zip(addresses, operands, strict=True)
            ]
            rows = (index(0), index(kernel.out.layout.shape[-2])) if batch else (begin, end)
            self._invoke(function, [*rows, *moved, scratch])

        run(0, [])

    def _moved(self, address: Any, layout: Layout, indices: list[Any]) -> Any:
        """An address moved on to the given positions of the first axes."""
        for i, stride in zip(indices, layout.strides, strict=False):
            address = self.b.gep(address, [self.b.mul(i, index(stride))])
        return address

    def _special(self, kernel: SpecialKernel, begin: Any, end: Any) -> None:
        function = emit_special(self.module, kernel.call, self.width)
        pointers = [self._pointer(x.buffer) for x in (kernel.out, *kernel.inputs)]
        if kernel.scratch:
            pointers.append(self._pointer(kernel.scratch, own=True))
        if SPECIALS[kernel.call.name].checks:
            pointers.append(self.b.gep(self.error, [index(self.kernel)]))
        self._invoke(function, [begin, end, *pointers])

    def _gather(self, kernel: Gather, begin: Any, end: Any) -> None:
        b = self.b
        size = kernel.source.bytes
        count = kernel.out.layout.shape[0]
        source, target = (
            self.base[kernel.source],
            b.bitcast(self._pointer(kernel.out.buffer), BYTES),
        )
        source = self._limited(source, kernel.source, self.sizes.get(kernel.source), writable=False)
        first = b.mul(self.update, index(count))
        steps = b.bitcast(b.load(b.gep(self.bases, [index(STEPS)])), I64.as_pointer())
        steps = self._limited(steps, "steps between rows", index(8 * self.plan.gathered), False)
        step = b.load(b.gep(steps, [index(kernel.source.number)]))
        copy = self.module.declare_intrinsic("llvm.memcpy", [BYTES, BYTES, I64])
        with loop(b, begin, end) as i:
            row = b.load(b.gep(self.rows, [b.add(first, i)]))
            given = b.gep(source, [b.mul(row, step)])
            taken = b.gep(target, [b.mul(i, index(size))])
            b.call(copy, [taken, given, index(size), ir.Constant(ir.IntType(1), 0)])
