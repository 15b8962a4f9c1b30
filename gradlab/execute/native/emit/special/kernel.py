"""What the special kernels share: what they are made from, their parameters, their range."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from gradlab.execute.native.emit import rolled
from gradlab.execute.native.emit.element import index, load, store
from gradlab.execute.native.emit.loops import loop, place
from gradlab.execute.native.layout import Layout
from gradlab.graph.dtypes import DType
from gradlab.graph.op import Shape

Bounds = tuple[Any, Any]


@dataclass(frozen=True)
class Call:
    """A row with all that its kernel depends on: equal calls share one kernel.

    Attributes:
        name: the row.
        params: its parameters.
        layouts: where the elements of each input lie; any strides, 0 and negative ones too.
        dtypes: of each input.
        shape: of the output, which is contiguous.
        dtype: of the output.
    """

    name: str
    params: Mapping[str, Any]
    layouts: tuple[Layout, ...]
    dtypes: tuple[DType, ...]
    shape: Shape
    dtype: DType

    @property
    def symbol(self) -> str:
        """The name of the kernel, which follows from its content."""
        inputs = [str(dtype) for dtype in self.dtypes], self.layouts
        content = repr((sorted(self.params.items()), inputs, self.shape, str(self.dtype)))
        return f"gl.{self.name}.{hashlib.sha256(content.encode()).hexdigest()[:16]}"


@dataclass(frozen=True)
class Frame:
    """A kernel while it is being built: the builder, and the kernel's parameters.

    ``width`` is how many float32 numbers a vector of the machine has.
    """

    b: Any
    call: Call
    begin: Any
    end: Any
    out: Any
    inputs: Sequence[Any]
    scratch: Any
    error: Any
    width: int

    def load(self, number: int, indices: Sequence[Any]) -> Any:
        """An element of an input."""
        layout = self.call.layouts[number]
        return self.load_at(number, place(self.b, indices, layout.strides, layout.offset))

    def load_at(self, number: int, position: Any) -> Any:
        """What lies at a position of an input's buffer."""
        address = self.b.gep(self.inputs[number], [position])
        return load(self.b, address, self.call.dtypes[number])

    def store(self, value: Any, indices: Sequence[Any]) -> None:
        """Put an element into the output."""
        self.store_at(value, self.position(indices))

    def stored_at(self, position: Any) -> Any:
        """What was put at a position of the output's buffer."""
        return load(self.b, self.b.gep(self.out, [position]), self.call.dtype)

    def position(self, indices: Sequence[Any]) -> Any:
        """Where an element of the output lies in its buffer."""
        return place(self.b, indices, Layout.contiguous(self.call.shape).strides)

    def store_at(self, value: Any, position: Any) -> None:
        """Put an element at a position of the output's buffer."""
        store(self.b, value, self.b.gep(self.out, [position]), self.call.dtype)

    def bounds(self, shape: Shape, split: int | None) -> list[Bounds]:
        """All positions along each axis, but along the one that is split those of the range."""
        whole = [(index(0), index(n)) for n in shape]
        if split is not None:
            whole[split] = self.begin, self.end
        return whole


def split_axis(shape: Shape, besides: int | None = None) -> int | None:
    """The axis that threads share out: the first longer than one, in shapes with elements."""
    if 0 in shape:
        return None
    axes = (i for i, n in enumerate(shape) if n > 1 and i != besides)
    return next(axes, None)


def split_length(shape: Shape, besides: int | None = None) -> int:
    """Positions along that axis; 1 if there is none."""
    split = split_axis(shape, besides)
    return 1 if split is None else shape[split]


@dataclass(frozen=True)
class Special:
    """How the kernel of a row is built, and what its caller has to know.

    The kernel is ``void(i64 begin, i64 end, out*, inputs*...)``, then, where there is some,
    ``i8* scratch`` of as many bytes for each thread, aligned to 8, and, where it checks,
    ``i32* error``, where it puts 1 for an index out of range: then the output is of no use. It
    does the part [begin, end) of a range [0, length), and the parts may run at the same time.
    ``packed``: its inputs must lie row by row, without gaps. ``flops`` counts its operations.
    """

    build: Callable[[Frame], None]
    length: Callable[[Call], int] = lambda call: split_length(call.shape)
    scratch_bytes: Callable[[Call], int] = lambda call: 0
    checks: bool = False
    packed: bool = False
    flops: Callable[[Call], int] = lambda call: math.prod(call.shape)


@contextmanager
def nested(b: Any, bounds: Sequence[Bounds]) -> Iterator[list[Any]]:
    """Nested loops between bounds; gives the indices. LLVM unrolls the innermost at most."""
    if not bounds:
        yield []
        return
    made = loop if len(bounds) == 1 else rolled.loop
    with made(b, *bounds[0]) as i, nested(b, bounds[1:]) as inner:
        yield [i, *inner]


def cell(b: Any, start: Any) -> Any:
    """A place in memory for a value that changes; LLVM keeps it in a register."""
    with b.goto_entry_block():
        made = b.alloca(start.type)
    b.store(start, made)
    return made
