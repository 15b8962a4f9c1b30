"""What a compiled program consists of: kernels in order, and the buffers between them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from gradlab.execute.native.emit.special import SPECIALS, Call
from gradlab.execute.native.layout import Layout
from gradlab.execute.native.machine import LINE
from gradlab.execute.native.product.spec import Method, Product
from gradlab.graph.dtypes import DType
from gradlab.graph.op import Shape


@dataclass(eq=False)
class Buffer:
    """A stretch of memory that holds one tensor.

    Attributes:
        home: whose memory it is: "arena", "input", "data" (rows are gathered from it), "state",
            "output" or "constant".
        number: which input, Variable, output or constant; arena buffers are numbered as made.
        dtype: of its elements.
        size: how many there are, in one copy.
        copies: 1, or the number of threads of which each has its own part.
        place: byte in the arena at which it starts.
        first, last: kernels between which it is in use; with several threads, counts of
            barriers, since a thread may be ahead of another up to the next one.
    """

    home: str
    number: int
    dtype: DType
    size: int
    copies: int = 1
    place: int = 0
    first: int = -1
    last: int = -1

    @property
    def bytes_each(self) -> int:
        """Bytes of one copy, in whole cache lines if there are several."""
        count = self.size * self.dtype.itemsize
        return count if self.copies == 1 else -(-count // LINE) * LINE

    @property
    def bytes(self) -> int:
        """Bytes in all."""
        return self.bytes_each * self.copies

    def __repr__(self) -> str:
        return f"{self.home}{self.number}"


@dataclass(frozen=True)
class Operand:
    """A tensor in memory: a buffer, and where in it the elements lie."""

    buffer: Buffer
    layout: Layout

    @property
    def dtype(self) -> DType:
        """Of the elements."""
        return self.buffer.dtype


@dataclass(frozen=True)
class Immediate:
    """A number that is part of the code."""

    value: Any
    dtype: DType


@dataclass(frozen=True)
class Step:
    """One row applied to one element within a loop nest.

    ``inputs`` are numbers of earlier steps, operands that are loaded, or immediate numbers.
    """

    row: str
    inputs: tuple[int | Operand | Immediate, ...]
    dtypes: tuple[DType, ...]
    dtype: DType


@dataclass(frozen=True)
class Reduction:
    """A step's values combined over some axes of the nest (``row``: sum, max or min).

    The layout of ``target`` has the nest's axes; those that are reduced have stride 0.
    """

    row: str
    step: int | Operand
    target: Operand
    axes: tuple[int, ...]


@dataclass(frozen=True)
class Range:
    """A kernel's outermost loop: its length, and the parts of ``unit`` positions it divides into.

    Part p of all is [p · unit, (p + 1) · unit), cut off at the length. One part is serial.
    """

    length: int = 1
    parts: int = 1
    unit: int = 1


@dataclass(eq=False)
class Kernel:
    """A piece of work between two of which threads may have to wait for each other.

    Attributes:
        label: what listings show.
        range: how its outermost loop is divided among threads.
        barrier: whether all threads wait for one another before it.
        after: kernels that come before it though it may read nothing of theirs.
    """

    label: str
    range: Range = field(default=Range(), kw_only=True)
    barrier: bool = field(default=False, kw_only=True)
    after: list[Kernel] = field(default_factory=list, kw_only=True)

    def reads(self) -> list[Operand]:
        """What it reads."""
        raise NotImplementedError

    def writes(self) -> list[Operand]:
        """What it writes."""
        raise NotImplementedError

    @property
    def flops(self) -> int:
        """Arithmetic operations, one for each row and element."""
        return 0

    @property
    def bytes(self) -> int:
        """Bytes read and written, each element of each operand once."""
        return sum(_extent(x) for x in [*self.reads(), *self.writes()])

    @property
    def title(self) -> str:
        """Rows and shapes, for listings."""
        raise NotImplementedError


def _extent(x: Operand) -> int:
    """Bytes of the distinct elements of an operand."""
    both = zip(x.layout.shape, x.layout.strides, strict=True)
    return math.prod(n for n, stride in both if stride) * x.dtype.itemsize


@dataclass(eq=False)
class Nest(Kernel):
    """Elementwise rows and reductions over one shape, as one loop nest.

    Attributes:
        shape: the positions at which the steps are computed.
        steps: in order.
        stores: steps whose values are kept, and where.
        reductions: see there.
        scratch: sums of blocks, of reductions that add up in memory.
    """

    shape: Shape
    steps: list[Step]
    stores: list[tuple[int, Operand]]
    reductions: list[Reduction]
    scratch: Buffer | None = None

    def reads(self) -> list[Operand]:
        """What it reads."""
        found = [x for step in self.steps for x in step.inputs if isinstance(x, Operand)]
        return found + [r.step for r in self.reductions if isinstance(r.step, Operand)]

    def results(self) -> list[Operand]:
        """What it is for."""
        return [x for _, x in self.stores] + [r.target for r in self.reductions]

    def writes(self) -> list[Operand]:
        """What it writes."""
        return [*self.results(), *scratch_operand(self.scratch)]

    @property
    def flops(self) -> int:
        """One for each row and element."""
        return (len(self.steps) + len(self.reductions)) * math.prod(self.shape)

    @property
    def title(self) -> str:
        """Rows, in order, and the shape."""
        rows = [step.row for step in self.steps] + [r.row for r in self.reductions]
        return f"{' '.join(rows)} {list(self.shape)}"


@dataclass(eq=False)
class MatrixProduct(Kernel):
    """Matrices of x times matrices of y; both have their batch axes broadcast to those of out.

    x has the axes (..., i, p), y (..., p, j) and out (..., i, j), whatever lies transposed.
    """

    x: Operand
    y: Operand
    out: Operand
    method: Method
    scratch: Buffer | None = None

    @property
    def product(self) -> Product:
        """One of its products of matrices."""
        m, n = self.out.layout.shape[-2:]
        k = self.x.layout.shape[-1]
        (*_, x_row, x_k), (*_, y_k, y_column) = self.x.layout.strides, self.y.layout.strides
        row = self.out.layout.strides[-2]
        return Product(self.out.dtype, m, n, k, (x_row, x_k), (y_k, y_column), row)

    def reads(self) -> list[Operand]:
        """The factors."""
        return [self.x, self.y]

    def writes(self) -> list[Operand]:
        """The product, and what it packs."""
        return [self.out, *scratch_operand(self.scratch)]

    @property
    def flops(self) -> int:
        """A multiplication and an addition for each i, j and p."""
        return 2 * self.out.layout.size * self.x.layout.shape[-1]

    @property
    def title(self) -> str:
        """Method and shapes."""
        shapes = f"{list(self.x.layout.shape)} @ {list(self.y.layout.shape)}"
        return f"product ({self.method}) {shapes}"


@dataclass(eq=False)
class SpecialKernel(Kernel):
    """A row with a kernel of its own (see emit/special).

    ``by_rows``: operands of which position i of the outermost loop takes row i alone. ``fault``:
    what is wrong if it finds an index out of range.
    """

    call: Call
    inputs: list[Operand]
    out: Operand
    by_rows: list[Operand]
    scratch: Buffer | None = None
    fault: str = ""

    def reads(self) -> list[Operand]:
        """The inputs."""
        return self.inputs

    def writes(self) -> list[Operand]:
        """The output, and its notes."""
        return [self.out, *scratch_operand(self.scratch)]

    @property
    def flops(self) -> int:
        """As its kernel counts them."""
        return SPECIALS[self.call.name].flops(self.call)

    @property
    def title(self) -> str:
        """Row and shape."""
        return f"{self.call.name} {list(self.out.layout.shape)}"


@dataclass(eq=False)
class Gather(Kernel):
    """The rows of the present batch, copied from the data."""

    source: Buffer
    out: Operand

    def reads(self) -> list[Operand]:
        """Nothing that a kernel writes."""
        return []

    def writes(self) -> list[Operand]:
        """The batch."""
        return [self.out]

    @property
    def bytes(self) -> int:
        """Each row is read and written."""
        return 2 * _extent(self.out)

    @property
    def title(self) -> str:
        """Shape of the batch."""
        return f"gather {list(self.out.layout.shape)}"


def scratch_operand(buffer: Buffer | None) -> list[Operand]:
    """A scratch buffer as something written: each thread's copy is one row."""
    if buffer is None:
        return []
    return [Operand(buffer, Layout((buffer.size,), (1,)))]


@dataclass
class Plan:
    """A program before there is code.

    Attributes:
        kernels: in the order in which they run.
        buffers: all of them.
        arena: bytes of the arena.
        threads: how many threads share the work.
        gathered: how many inputs are rows picked from data.
        halt: number of the emitted truth value that ends the run, if any.
    """

    kernels: list[Kernel]
    buffers: list[Buffer]
    arena: int = 0
    threads: int = 1
    gathered: int = 0
    halt: int | None = None
