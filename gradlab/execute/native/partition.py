"""How kernels are divided among threads: each does its part of the outermost loop.

Kernels that go over the same rows in the same parts can follow each other without waiting: what a
thread reads it has written itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from gradlab.execute.native.emit.nest import loops_of, operands
from gradlab.execute.native.emit.special import SPECIALS
from gradlab.execute.native.layout import Layout
from gradlab.execute.native.plan import (
    Buffer,
    Gather,
    Kernel,
    MatrixProduct,
    Nest,
    Operand,
    Plan,
    Range,
    Reduction,
    SpecialKernel,
)

CHUNK = 64
"""Elements that belong together where a long row is divided: no line is shared by two threads."""


def range_of(kernel: Kernel, threads: int) -> Range:
    """How a kernel can be divided; one part if it cannot."""
    if isinstance(kernel, Nest):
        loops = loops_of(kernel)
        length, unit = loops.lengths[0], loops.unit
        parts = length // unit
        if not _even(parts, threads) and unit >= CHUNK:
            unit = CHUNK
            parts = -(-length // unit)
    elif isinstance(kernel, Gather | MatrixProduct):
        target = kernel.writes()[0].layout
        length, unit = target.shape[0], 1
        parts = length
    else:
        assert isinstance(kernel, SpecialKernel)
        length, unit = SPECIALS[kernel.call.name].length(kernel.call), 1
        parts = length
    if threads == 1 or parts < threads:
        return Range(length, 1, length)
    return Range(length, parts, unit)


def _even(parts: int, threads: int) -> bool:
    """Whether no thread has much more to do than the others."""
    return parts % threads == 0 or parts >= 8 * threads


def divide(plan: Plan) -> None:
    """Ranges of all kernels, and partial results for reductions along a divided axis."""
    kernels: list[Kernel] = []
    for kernel in plan.kernels:
        kernel.range = range_of(kernel, plan.threads)
        kernels.append(kernel)
        if isinstance(kernel, Nest) and kernel.range.parts > 1:
            kernels += _partial(kernel, plan)
    plan.kernels = kernels


def _partial(nest: Nest, plan: Plan) -> list[Nest]:
    """Let each thread reduce its part by itself; the kernels that put the parts together."""
    joined: list[Nest] = []
    threads = plan.threads
    loops = loops_of(nest)
    outer = {x: s[0] for x, s in zip(operands(nest), loops.strides, strict=True)}
    for i, r in enumerate(nest.reductions):
        if outer[r.target] != 0:
            continue
        dtype, target = r.target.dtype, r.target
        own = Buffer("arena", len(plan.buffers), dtype, target.buffer.size, copies=threads)
        plan.buffers.append(own)
        nest.reductions[i] = Reduction(r.row, r.step, Operand(own, target.layout), r.axes)
        size = target.buffer.size
        # The longer axis outside: functions are shared by nests that differ in its length alone.
        parts = Layout((size, threads), (1, own.bytes_each // dtype.itemsize))
        whole = Operand(target.buffer, Layout((size, threads), (1, 0)))
        last = Reduction(r.row, Operand(own, parts), whole, (1,))
        join = Nest(f"{nest.label} (threads' parts)".strip(), (size, threads), [], [], [last])
        join.range = range_of(join, 1)
        joined.append(join)
    return joined


# --- who touches what -------------------------------------------------------------------------


@dataclass(frozen=True)
class Access:
    """A buffer that a kernel reads or writes, and how it is divided among the threads.

    ``owner`` is equal for accesses in which each thread keeps to the same elements.
    """

    buffer: Buffer
    owner: tuple[int, ...] | str | None
    write: bool

    def conflicts(self, other: Access) -> bool:
        """Whether one thread may write what another reads or writes."""
        if self.buffer is not other.buffer or not (self.write or other.write):
            return False
        return self.owner is None or self.owner != other.owner


def accesses(kernel: Kernel) -> list[Access]:
    """What a kernel reads and writes."""
    found = [Access(x.buffer, _owner(kernel, x, False), False) for x in kernel.reads()]
    return found + [Access(x.buffer, _owner(kernel, x, True), True) for x in kernel.writes()]


def _owner(kernel: Kernel, x: Operand, write: bool) -> tuple[int, ...] | str | None:
    if kernel.range.parts == 1:
        return "first thread"
    if write and x.buffer.copies > 1:
        return "each its copy"
    stride, extent = _rows(kernel, x)
    if stride <= 0 or extent > stride:
        return None
    return (x.layout.offset, kernel.range.parts, stride * kernel.range.unit)


def _rows(kernel: Kernel, x: Operand) -> tuple[int, int]:
    """Elements from one outer position to the next, and how many one position reaches over.

    (0, 0) where a thread may need more than the rows of its own positions.
    """
    strides, lengths = x.layout.strides, x.layout.shape
    if isinstance(kernel, Nest):
        loops = loops_of(kernel)
        strides = dict(zip(operands(kernel), loops.strides, strict=True))[x]
        lengths = loops.lengths
    elif isinstance(kernel, MatrixProduct):
        if x is kernel.y and len(lengths) == 2:
            return 0, 0
    elif isinstance(kernel, SpecialKernel) and x not in kernel.by_rows:
        return 0, 0
    if any(s < 0 for s in strides):
        return 0, 0
    inner = sum((n - 1) * s for n, s in zip(lengths[1:], strides[1:], strict=True) if n)
    return strides[0], inner + 1
