"""Memory in which a guarded program runs: every buffer apart, between zones that nobody may touch.

Two checks that do not rely on each other: emitted code asks for each access whether it lies in a
buffer of its kernel (emit/guard.py), and after the run the zones must be as they were, which sees
what BLAS does, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gradlab.errors import BoundsError
from gradlab.execute.native.machine import LINE
from gradlab.execute.native.plan import Buffer, Plan
from gradlab.graph.dtypes import Array

ZONE = 4 * LINE
"""Bytes between buffers: more than the widest vector."""
FILL = 0xFF
"""What memory holds that nobody has written to: NaN in floats, so that to read it is seen."""
MARK = 0xA5
"""What zones hold."""
SPARE = 1 << 16
"""Bytes that accesses out of bounds are led to, at least."""


@dataclass(frozen=True)
class Guards:
    """What there is to know of a guarded module.

    Attributes:
        functions: names, by number.
        kernels: numbers of the kernels that call each function, by name.
    """

    functions: Sequence[str]
    kernels: Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class Stretch:
    """Bytes that may be touched, from one address up to another."""

    name: str
    first: int
    last: int


class GuardedMemory:
    """The arrays of one run, moved to where zones lie around them.

    Args:
        plan: with its arena buffers ``ZONE`` bytes apart.
        guards: of the emitted module.
        arrays: what the machine code is given: the program's own arrays, the arena first, then one
            for each buffer outside the arena.

    Attributes:
        arrays: what it is given instead, the table of bounds last.
    """

    def __init__(self, plan: Plan, guards: Guards, arrays: Sequence[Array]) -> None:
        self.plan, self.guards = plan, guards
        buffers = [buffer for buffer in plan.buffers if buffer.home != "arena"]
        own = len(arrays) - len(buffers)
        self._arena = np.full(plan.arena + 2 * ZONE, MARK, np.uint8)
        self._arena[self._used()] = FILL
        self._blocks: list[tuple[str, Array, Array]] = []  # name, array, and its bytes with zones
        self.arrays = [self._arena[ZONE:], *arrays[1:own]]
        stretches: dict[Buffer, Stretch] = {}
        for buffer, array in zip(buffers, arrays[own:], strict=True):
            if buffer.home == "data":  # rows may lie anywhere, even on disk
                last = (len(array) - 1) * array.strides[0] + array[:1].nbytes if len(array) else 0
                self.arrays.append(array)
            else:
                last = array.nbytes
                self.arrays.append(self._apart(repr(buffer), array))
            first = _address(self.arrays[-1])
            stretches[buffer] = Stretch(repr(buffer), first, first + last)
        for buffer in plan.buffers:
            if buffer.home == "arena":
                first = _address(self._arena) + ZONE + buffer.place
                stretches[buffer] = Stretch(repr(buffer), first, first + buffer.bytes)
        mine = [
            Stretch(f"the program's array {i}", _address(x), _address(x) + x.nbytes)
            for i, x in enumerate(self.arrays[1:own], start=1)
        ]
        self._may = {name: [*mine, *self._stretches(name, stretches)] for name in guards.functions}
        self._spare = np.zeros(max(SPARE, *(buffer.bytes for buffer in plan.buffers)), np.uint8)
        self.table = self._table()
        self.arrays.append(self.table)

    def _apart(self, name: str, array: Array) -> Array:
        """A copy of an array between two zones."""
        block = np.full(array.nbytes + 2 * ZONE + LINE, MARK, np.uint8)
        block = block[-_address(block) % LINE :][: array.nbytes + 2 * ZONE]
        place = block[ZONE : ZONE + array.nbytes].view(array.dtype).reshape(array.shape)
        np.copyto(place, array)
        self._blocks.append((name, array, block))
        return place

    def _stretches(self, name: str, stretches: Mapping[Buffer, Stretch]) -> list[Stretch]:
        """What a function may touch; ``run`` may touch everything."""
        if name not in self.guards.kernels:
            return list(stretches.values())
        kernels = [self.plan.kernels[number] for number in self.guards.kernels[name]]
        operands = [x for kernel in kernels for x in (*kernel.reads(), *kernel.writes())]
        buffers = dict.fromkeys(x.buffer for x in operands)
        return [stretches[buffer] for buffer in buffers]

    def _table(self) -> Array:
        """See emit/guard.py."""
        rows = [
            [len(may), *(address for stretch in may for address in (stretch.first, stretch.last))]
            for may in self._may.values()
        ]
        head = 4 + len(rows)
        positions = head + np.cumsum([0, *map(len, rows)])[:-1]
        numbers = [0, 0, 0, _address(self._spare), *positions, *(n for row in rows for n in row)]
        return np.array(numbers, np.int64)

    def check(self) -> None:
        """Raise what was touched that must not be, or hand the results on.

        Raises:
            BoundsError: an access out of bounds, or a zone that was written to.
        """
        fault, address, size, *_ = self.table.tolist()
        if fault:
            name = self.guards.functions[fault - 1]
            nearest = min(self._may[name], key=lambda s: max(s.first - address, address - s.last))
            raise BoundsError(
                f"{self._kernels(name)} reached for {size} bytes at byte {address - nearest.first} "
                f"of {nearest.name}, which has {nearest.last - nearest.first}"
            )
        self._check_zone("the arena", self._arena, ~self._used())
        for name, array, block in self._blocks:
            zone = np.ones(block.size, bool)
            zone[ZONE:-ZONE] = False
            self._check_zone(name, block, zone)
            if array.flags.writeable:
                np.copyto(array, block[ZONE:-ZONE].view(array.dtype).reshape(array.shape))

    def _used(self) -> Array:
        """Which bytes of the arena belong to a buffer."""
        used = np.zeros(self._arena.size, bool)
        for buffer in self.plan.buffers:
            if buffer.home == "arena":
                used[ZONE + buffer.place :][: buffer.bytes] = True
        return used

    def _check_zone(self, name: str, block: Array, zone: Array) -> None:
        touched = np.flatnonzero((block != MARK) & zone)
        if touched.size:
            raise BoundsError(
                f"{self._kernels()} wrote to byte {touched[0] - ZONE} of {name}, beyond its buffers"
            )

    def _kernels(self, name: str | None = None) -> str:
        """The kernels of a function, or all of them, for a message."""
        numbers = range(len(self.plan.kernels)) if name is None else self.guards.kernels.get(name)
        if numbers is None:
            return "the loop over updates"
        titles = [f"kernel {number} ({self.plan.kernels[number].title})" for number in numbers]
        return " or ".join(titles)


def _address(array: Array) -> int:
    address: int = array.__array_interface__["data"][0]
    return address
