"""The order of kernels, and where threads wait for one another."""

from __future__ import annotations

from collections import Counter

from gradlab.execute.native.partition import Access, accesses
from gradlab.execute.native.plan import Buffer, Kernel, Plan, Range

SMALL = 6000
"""Operations and bytes of a kernel that is not worth a barrier."""

LARGE = 1 << 20
"""Bytes of memory, new or given back, for which a barrier is worth it."""


def schedule(plan: Plan) -> None:
    """Put the kernels into an order with few barriers and little memory in use.

    Of the kernels whose inputs are ready, first come those before which threads need not wait;
    among these the one that gives back the most memory: an optimizer's update, say, right after
    the gradient that only it needs.
    """
    scheduler = _Scheduler(plan)
    while scheduler.ready:
        scheduler.take(min(scheduler.ready, key=scheduler.urgency))
    plan.kernels = scheduler.done


class _Scheduler:
    def __init__(self, plan: Plan) -> None:
        self.kernels, self.threads = plan.kernels, plan.threads
        self.done: list[Kernel] = []
        self.accesses = [accesses(kernel) for kernel in self.kernels]
        self.since: dict[Buffer, list[Access]] = {}
        """What was touched since the last barrier."""
        self.uses: Counter[Buffer] = Counter()
        """How many of the kernels left touch a buffer."""
        self.alive: set[Buffer] = set()
        self.frugal = any(kernel.after for kernel in self.kernels)
        """Whether memory counts more than time: the program computes things again to save it."""
        self.idle = 0
        """Bytes given back since the last barrier, which may be used again only after another."""
        self.followers: list[list[int]] = [[] for _ in self.kernels]
        self.missing = [0] * len(self.kernels)
        writer: dict[Buffer, int] = {}
        readers: dict[Buffer, list[int]] = {}
        numbers = {kernel: number for number, kernel in enumerate(self.kernels)}
        for number, own in enumerate(self.accesses):
            before = {numbers[kernel] for kernel in self.kernels[number].after}
            for a in own:
                if a.buffer in writer:
                    before.add(writer[a.buffer])
                if a.write:
                    before.update(readers.get(a.buffer, ()))
            for a in own:
                if a.write:
                    writer[a.buffer], readers[a.buffer] = number, []
                else:
                    readers.setdefault(a.buffer, []).append(number)
            before.discard(number)
            self.missing[number] = len(before)
            for earlier in before:
                self.followers[earlier].append(number)
            self.uses.update({a.buffer for a in own})
        self.ready = [number for number, count in enumerate(self.missing) if count == 0]

    def urgency(self, number: int) -> tuple[bool, int, int]:
        """What is least comes first."""
        return self._waits(self.accesses[number]), self._growth(number), number

    def _waits(self, own: list[Access]) -> bool:
        """Whether other threads may still be at what a kernel touches."""
        if self.threads == 1:
            return False
        return any(a.conflicts(b) for a in own for b in self.since.get(a.buffer, ()))

    def _growth(self, number: int) -> int:
        """Bytes of the arena that are in use after a kernel and were not before it."""
        growth = 0
        for buffer in {a.buffer for a in self.accesses[number] if a.buffer.home == "arena"}:
            if buffer not in self.alive:
                growth += buffer.bytes
            if self.uses[buffer] == 1:
                growth -= buffer.bytes
        return growth

    def take(self, number: int) -> None:
        """Make a kernel the next one."""
        kernel, own = self.kernels[number], self.accesses[number]
        wasteful = self.frugal and self.idle >= LARGE
        if self.threads > 1 and (wasteful or self._growth(number) >= LARGE):
            # To wait takes no time beside such a kernel, and memory given back so far is free.
            kernel.barrier = True
            self.since = {}
        elif self._waits(own):
            alone = self._by_one_thread(kernel)
            if alone is not None:
                own = alone
            else:
                kernel.barrier = True
                self.since = {}
        for a in own:
            self.since.setdefault(a.buffer, []).append(a)
        if kernel.barrier:
            self.idle = 0
        for buffer in {a.buffer for a in own}:
            self.uses[buffer] -= 1
            self.alive.add(buffer)
            if self.uses[buffer] == 0 and buffer.home == "arena":
                self.idle += buffer.bytes
        self.done.append(kernel)
        self.ready.remove(number)
        for later in self.followers[number]:
            self.missing[later] -= 1
            if self.missing[later] == 0:
                self.ready.append(later)

    def _by_one_thread(self, kernel: Kernel) -> list[Access] | None:
        """Give a small kernel to the first thread alone, if then nobody has to wait."""
        copies = any(x.buffer.copies > 1 for x in kernel.writes())
        if copies or kernel.range.parts == 1 or kernel.flops + kernel.bytes > SMALL:
            return None
        divided = kernel.range
        kernel.range = Range(divided.length, 1, divided.length)
        alone = accesses(kernel)
        if self._waits(alone):
            kernel.range = divided
            return None
        return alone
