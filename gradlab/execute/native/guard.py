"""Memory with red zones, which guarded programs run in, and what they say of a fault."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gradlab.errors import CompilerError
from gradlab.execute.native.compiler import ZONE
from gradlab.execute.native.emit.guard import REPORT, WIDEST
from gradlab.execute.native.emit.program import ARENA, FIRST, OTHERS, STEPS, outside
from gradlab.execute.native.machine import LINE
from gradlab.execute.native.plan import Plan
from gradlab.graph.dtypes import Array
from gradlab.graph.op import Shape

REQUEST = ": a fault of gradlab's compiler, please report it with the program"
UNTOUCHED = 0xA5
"""What red zones are filled with."""
UNWRITTEN = 0xFF
"""What memory is filled with before a run: NaN, or −1, which show in results."""


def aligned(shape: Shape, dtype: npt.DTypeLike) -> Array:
    """An array that starts with a cache line."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    whole = np.empty(size + LINE, np.uint8)
    start = -address(whole) % LINE
    return whole[start : start + size].view(dtype).reshape(shape)


def address(array: Array) -> int:
    """Where an array starts; quicker than by its ctypes attribute."""
    at: int = array.__array_interface__["data"][0]
    return at


class Guarded:
    """Copies of arrays with red zones around them, and a report.

    Args:
        arrays: that a program takes, in its order.
        gathered: how many of those after the first FIRST are data whose rows it gathers.
    """

    def __init__(self, arrays: Sequence[Array], gathered: int) -> None:
        self.originals = arrays
        self.whole = [aligned((x.nbytes + 2 * ZONE,), np.uint8) for x in arrays]
        self.arrays = []
        for whole, x in zip(self.whole, arrays, strict=True):
            whole.fill(UNTOUCHED)
            copy = whole[ZONE : ZONE + x.nbytes].view(x.dtype).reshape(x.shape)
            np.copyto(copy, x)
            self.arrays.append(copy)
        self.arrays[ARENA].fill(UNWRITTEN)
        data = self.arrays[FIRST:][:gathered]
        self.arrays[STEPS][:] = [x.strides[0] for x in data]
        sizes = [x.nbytes for x in self.arrays[FIRST:]]
        self.report = aligned((REPORT + len(sizes) + 2 * WIDEST // 8,), np.int64)
        self.report.fill(0)
        self.report[REPORT:][: len(sizes)] = sizes

    def finish(self, plan: Plan, written: Sequence[Array]) -> None:
        """See that nothing was touched which should not have been; results go where they belong.

        Raises:
            CompilerError: an access beyond its bounds; a red zone, or an array that is not among
                those written, that is not as it was.
        """
        seen, place, start, size, store, *_ = self.report.tolist()
        if seen:
            raise CompilerError(_accusation(plan, place, start, size, bool(store)))
        names = ["the arena", *OTHERS[: FIRST - 1], *map(repr, outside(plan))]
        results = {id(x) for x in written}
        for number, (name, whole, original, copy) in enumerate(
            zip(names, self.whole, self.originals, self.arrays, strict=True)
        ):
            if (whole[:ZONE] != UNTOUCHED).any() or (whole[-ZONE:] != UNTOUCHED).any():
                raise CompilerError(f"the program wrote beside {name}{REQUEST}")
            if id(original) in results:
                np.copyto(original, copy)
            elif number not in (ARENA, STEPS) and original.tobytes() != copy.tobytes():
                raise CompilerError(f"the program wrote to {name}, which it only reads{REQUEST}")
        free = np.ones(plan.arena, np.bool_)
        for buffer in plan.buffers:
            if buffer.home == "arena":
                free[buffer.place : buffer.place + buffer.bytes] = False
        if (self.arrays[0][free] != UNWRITTEN).any():
            raise CompilerError(f"the program wrote between the buffers of its arena{REQUEST}")


def _accusation(plan: Plan, place: int, start: int, size: int, store: bool) -> str:
    """Which kernel did what to which buffer, from a tag of its code."""
    number, which = place >> 32, place & 0xFFFFFFFF
    known = number < len(plan.kernels)
    kernel = f"kernel {number}, {plan.kernels[number].title}," if known else "the loop of updates"
    access = f"{kernel} {'writes' if store else 'reads'} {size} bytes at byte {start} of "
    if which >= len(plan.buffers):
        return access + OTHERS[which - len(plan.buffers)] + REQUEST
    buffer = plan.buffers[which]
    allowed = "" if buffer in {x.buffer for x in plan.kernels[number].writes()} else " to read only"
    return f"{access}{buffer}, which has {buffer.bytes}{allowed}{REQUEST}"
