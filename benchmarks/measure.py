"""How the benchmarks time: in turns, so that a machine that slows down slows all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Update = Callable[[], object]
Candidate = tuple[Callable[[], object], Update]
"""What sets the scene, untimed, and the update that is timed."""

REST = 0.25
"""Seconds before each round, in which worker threads of the one before stop spinning."""


@dataclass(frozen=True)
class Stretch:
    """So many updates timed together, after ``warm`` untimed ones and what sets the scene."""

    run: Callable[[int], object]
    count: int
    warm: int = 1
    prepare: Callable[[], object] = lambda: None


def in_turns(
    stretches: Mapping[str, Stretch],
    rounds: int = 15,
    tick: Callable[[str], object] = lambda name: None,
) -> dict[str, float]:
    """Median seconds of one update of each, over rounds that take turns."""
    times: dict[str, list[float]] = {name: [] for name in stretches}
    for _ in range(rounds):
        for name, stretch in stretches.items():
            tick(name)
            stretch.prepare()
            time.sleep(REST)
            if stretch.warm:
                stretch.run(stretch.warm)
            start = time.perf_counter()
            stretch.run(stretch.count)
            times[name].append((time.perf_counter() - start) / stretch.count)
    return {name: statistics.median(found) for name, found in times.items()}


def medians(
    candidates: Mapping[str, Candidate], rounds: int = 15, calls: int = 50, warm_up: int = 100
) -> dict[str, float]:
    """Median seconds of one call of each candidate, over rounds that take turns."""
    stretches = {}
    for name, (prepare, update) in candidates.items():
        prepare()
        run = repeated(update)
        run(warm_up)
        stretches[name] = Stretch(run, calls, prepare=prepare)
    return in_turns(stretches, rounds)


def repeated(update: Update) -> Callable[[int], None]:
    """A function that calls an update so many times."""

    def run(times: int) -> None:
        for _ in range(times):
            update()

    return run


def enough(run: Callable[[int], object], quantum: int = 1, seconds: float = 0.05) -> int:
    """How many updates, a multiple of ``quantum``, take at least so many seconds."""
    count = quantum
    while True:
        start = time.perf_counter()
        run(count)
        taken = time.perf_counter() - start
        if taken >= seconds:
            return count
        count = quantum * round(count / quantum * min(10.0, 1.2 * seconds / taken) + 1)


def table(headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Rows as aligned text, names to the left and numbers to the right."""
    cells = [headings, *rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(headings))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    )


def duration(seconds: float) -> str:
    """Seconds with the unit that suits them.

    >>> duration(0.00000123), duration(0.05), duration(12)
    ('1.23 µs', '50 ms', '12 s')
    """
    for unit, scale in (("µs", 1e-6), ("ms", 1e-3)):
        if seconds < 999.5 * scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds:.3g} s"
