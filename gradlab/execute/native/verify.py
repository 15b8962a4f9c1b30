"""What every graph and every plan must be: shapes, dtypes, places in memory.

Each stage of the compiler relies on what the one before it has left. A fault there shows far away,
or nowhere: as memory that nobody may touch. These checks find it where it arises.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable

import numpy as np

from gradlab.errors import ArgumentError, CompilerError
from gradlab.execute.native.emit.scalar import CASTS
from gradlab.execute.native.layout import Layout
from gradlab.execute.native.machine import LINE
from gradlab.execute.native.partition import range_of
from gradlab.execute.native.plan import (
    Buffer,
    Gather,
    Kernel,
    MatrixProduct,
    Nest,
    Operand,
    Plan,
    SpecialKernel,
)
from gradlab.graph import Graph, Tensor
from gradlab.graph.dtypes import DType
from gradlab.graph.op import OPS, Shape
from gradlab.graph.tensor import Symbol

LEVELS = ("", "plans", "memory")
Kind = tuple[Shape, DType]
"""Shape and dtype."""


def checking() -> str:
    """What GRADLAB_GUARD asks for: "plans", "memory" (plans, and every access), or "" for nothing.

    Raises:
        ArgumentError: GRADLAB_GUARD is none of these.
    """
    asked = os.environ.get("GRADLAB_GUARD", "")
    if asked not in LEVELS:
        raise ArgumentError(f'GRADLAB_GUARD={asked!r}: give "plans", "memory" or nothing')
    return asked


# --- graphs -----------------------------------------------------------------------------------


def check_rewritten(node: Symbol, made: Tensor) -> None:
    """Check that what stands for a node in a rewritten graph is like it.

    Raises:
        CompilerError: another shape or dtype.
    """
    if (made.shape, made.dtype) != (node.shape, node.dtype):
        assert node.op is not None
        raise CompilerError(
            f"{node.op.name} of {_kinds(node.inputs)} is written out as {_kinds([made])} instead "
            f"of {_kinds([node])}"
        )


def check_graph(graph: Graph) -> None:
    """Check that each node is what its op's rule infers, of tensors that are there before it.

    Raises:
        CompilerError: it is not.
    """
    known = {id(x) for x in (*graph.inputs, *(symbol for _, symbol in graph.captured))}
    for number, node in enumerate(graph.nodes, start=1):
        assert node.op is not None
        name = f"node %{number} ({node.op.name})"
        _check_known(known, node.inputs, name)
        shape, dtype = node.op.infer(*node.inputs, **node.params)
        if (tuple(shape), dtype) != (node.shape, node.dtype):
            raise CompilerError(
                f"{name} is {_kinds([node])}; of {_kinds(node.inputs)} its rule infers "
                f"{dtype}{tuple(shape)}"
            )
        known.add(id(node))
    _check_known(known, graph.outputs, "an output")
    for variable, x in graph.assigned:
        _check_known(known, [x], f"the value of {variable.name or 'a variable'}")
        if (x.shape, x.dtype) != (variable.shape, variable.dtype):
            raise CompilerError(
                f"{_kinds([x])} is assigned to {variable.name or 'a variable'} of "
                f"{variable.dtype}{variable.shape}"
            )


def _check_known(known: set[int], tensors: Iterable[Tensor], name: str) -> None:
    if any(isinstance(x, Symbol) and id(x) not in known for x in tensors):
        raise CompilerError(f"{name} comes before what it is computed from")


def _kinds(tensors: Iterable[Tensor]) -> str:
    return ", ".join(f"{x.dtype}{x.shape}" for x in tensors)


# --- plans ------------------------------------------------------------------------------------


def check_plan(plan: Plan) -> None:
    """Check that a plan that is placed keeps to its memory.

    Every operand lies within its buffer, and is written before it is read; buffers in use at once
    lie apart; each kernel's operands have the shapes and dtypes that its code counts on.

    Raises:
        CompilerError: a kernel or buffer that does not.
    """
    written = {b for b in plan.buffers if b.home in ("input", "data", "state", "constant")}
    for number, kernel in enumerate(plan.kernels):
        try:
            _check_kernel(kernel, written)
        except _FaultError as fault:
            raise CompilerError(f"kernel {number}, {kernel.title}: {fault}") from None
        written.update(x.buffer for x in kernel.writes())
    _check_places(plan)


class _FaultError(Exception):
    """What is wrong with a kernel."""


def _require(condition: bool, fault: str) -> None:
    if not condition:
        raise _FaultError(fault)


def _check_kernel(kernel: Kernel, written: set[Buffer]) -> None:
    for x in kernel.reads():
        _check_inside(x, x.buffer.bytes // x.dtype.itemsize)
        _require(
            x.buffer in written or not x.layout.size, f"{x.buffer} is read before it is written"
        )
    for x in kernel.writes():
        _check_inside(x, x.buffer.size)
        _require(x.buffer.home not in ("input", "data", "constant"), f"{x.buffer} is written")
    length = range_of(kernel, 1).length
    parts = kernel.range
    _require(parts.length == length, f"its range is {parts.length} long, its loop {length}")
    _require(parts.parts * parts.unit >= length, f"{parts} does not cover its loop")
    if isinstance(kernel, Nest):
        _check_nest(kernel)
    elif isinstance(kernel, MatrixProduct):
        _check_product(kernel)
    elif isinstance(kernel, SpecialKernel):
        _check_special(kernel)
    elif isinstance(kernel, Gather):
        row = math.prod(kernel.out.layout.shape[1:])
        _check_packed(kernel.out)
        kinds = kernel.source.size == row and kernel.source.dtype == kernel.out.dtype
        _require(kinds, f"rows of {row} elements are copied from {kernel.source.size}")


def _check_inside(x: Operand, size: int) -> None:
    """Every element of an operand lies in its buffer."""
    first, last = _span(x.layout)
    inside = first > last or 0 <= first <= last < size
    _require(inside, f"elements {first} to {last} of {x.buffer}, which has {size}")


def _span(layout: Layout) -> tuple[int, int]:
    """The first and the last place of a layout; (0, -1) if it has none."""
    if 0 in layout.shape:
        return 0, -1
    ends = [(n - 1) * stride for n, stride in zip(layout.shape, layout.strides, strict=True)]
    first = layout.offset + sum(end for end in ends if end < 0)
    return first, layout.offset + sum(end for end in ends if end > 0)


def _check_packed(x: Operand) -> None:
    """An operand is the whole of its buffer, row by row."""
    rows = Layout.contiguous(x.layout.shape)
    along = zip(x.layout.shape, x.layout.strides, rows.strides, strict=True)
    packed = all(n <= 1 or stride == row for n, stride, row in along)
    _require(packed or x.layout.size == 0, f"{x.buffer} does not lie row by row: {x.layout}")


def _check_nest(nest: Nest) -> None:
    for operand in (*nest.reads(), *nest.results()):
        shape = operand.layout.shape
        _require(shape == nest.shape, f"{operand.buffer} has the shape {shape}")
    for number, step in enumerate(nest.steps):
        for x, dtype in zip(step.inputs, step.dtypes, strict=True):
            if isinstance(x, int):
                _require(0 <= x < number, f"step {number} uses step {x}, which comes later")
            source = nest.steps[x].dtype if isinstance(x, int) else x.dtype
            _require(source == dtype, f"{step.row} of {dtype} takes {source}")
        if step.row not in CASTS:
            inputs = [_stand_in((), dtype) for dtype in step.dtypes]
            _, dtype = OPS[step.row].infer(*inputs)
            _require(dtype == step.dtype, f"{step.row} gives {dtype}, not {step.dtype}")
    for made, target in nest.stores:
        dtype = nest.steps[made].dtype
        _require(dtype == target.dtype, f"{dtype} is stored in {target.buffer}: {target.dtype}")
        _require(_one_to_one(target.layout, ()), f"{target.buffer} is written twice")
    for r in nest.reductions:
        source = nest.steps[r.step].dtype if isinstance(r.step, int) else r.step.dtype
        _, dtype = OPS[r.row].infer(_stand_in((1,), source), axis=(0,), keepdims=False)
        _require(dtype == r.target.dtype, f"{r.row} of {source} in {r.target.dtype}")
        _require(_one_to_one(r.target.layout, r.axes), f"{r.row} over {r.axes}: {r.target.layout}")


def _one_to_one(layout: Layout, axes: tuple[int, ...]) -> bool:
    """Whether positions share a place exactly if they differ along these axes alone."""
    kept = []
    for axis, (n, stride) in enumerate(zip(layout.shape, layout.strides, strict=True)):
        if axis in axes and n > 1 and stride != 0:
            return False
        if axis not in axes and n > 1:
            kept.append((abs(stride), n))
    reach = 0
    for stride, n in sorted(kept):
        if stride <= reach:
            return False
        reach += stride * (n - 1)
    return True


def _check_product(kernel: MatrixProduct) -> None:
    x, y, out = (operand.layout for operand in (kernel.x, kernel.y, kernel.out))
    *batch, m, n = out.shape
    k = x.shape[-1]
    fits = x.shape == (*batch, m, k) and y.shape == (*batch, k, n)
    _require(fits, f"{x.shape} times {y.shape} is not {out.shape}")
    dtypes = {operand.dtype for operand in (kernel.x, kernel.y, kernel.out)}
    _require(len(dtypes) == 1, f"of {sorted(map(str, dtypes))}")
    _check_packed(kernel.out)


def _check_special(kernel: SpecialKernel) -> None:
    call = kernel.call
    _check_packed(kernel.out)
    _require(kernel.out.layout.offset == 0, f"{kernel.out.buffer} does not begin with the result")
    _require(kernel.out.layout.shape == call.shape, f"{kernel.out.layout.shape} for {call.shape}")
    same = call.layouts == tuple(x.layout for x in kernel.inputs)
    _require(same, "its code is for other layouts than its inputs'")
    dtypes = (call.dtype, *call.dtypes) == (kernel.out.dtype, *(x.dtype for x in kernel.inputs))
    _require(dtypes, "its code is for other dtypes than its operands'")
    kinds = zip(call.layouts, call.dtypes, strict=True)
    inputs = [_stand_in(layout.shape, dtype) for layout, dtype in kinds]
    shape, dtype = OPS[call.name].infer(*inputs, **call.params)
    _require((tuple(shape), dtype) == (call.shape, call.dtype), f"its rule infers {dtype}{shape}")


def _stand_in(shape: Shape, dtype: DType) -> Tensor:
    """A tensor for rules of shapes and dtypes; it takes no memory."""
    return Tensor(np.broadcast_to(np.zeros((), dtype), shape))


def _check_places(plan: Plan) -> None:
    """Buffers of the arena lie in it, and apart if they are in use at once."""
    arena = [b for b in plan.buffers if b.home == "arena"]
    for b in arena:
        if b.place % LINE or b.place < 0 or b.place + b.bytes > plan.arena:
            raise CompilerError(f"{b} of {b.bytes} bytes at {b.place}: {plan.arena} bytes of arena")
    arena = [b for b in arena if b.bytes]
    first, last, begin, end = (
        np.array([(b.first, b.last, b.place, b.place + b.bytes) for b in arena], np.int64)
        .reshape(-1, 4)
        .T
    )
    for number, b in enumerate(arena):
        at_once = (first <= b.last) & (b.first <= last)
        shared = at_once & (begin < b.place + b.bytes) & (b.place < end)
        shared[number] = False
        if shared.any():
            other = arena[int(np.argmax(shared))]
            raise CompilerError(f"{b} and {other} are in use at once, and share memory")
