"""How the benchmarks time: in turns, so that a machine that slows down slows all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

Update = Callable[[], object]
Candidate = tuple[Callable[[], object], Update]
"""What sets the scene, untimed, and the update that is timed."""

REST = 0.25
"""Seconds before each round, in which worker threads of the one before stop spinning."""


def medians(
    candidates: Mapping[str, Candidate], rounds: int = 15, calls: int = 50, warm_up: int = 100
) -> dict[str, float]:
    """Median seconds of one call of each candidate, over rounds that take turns."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(rounds):
        for name, (prepare, update) in candidates.items():
            prepare()
            time.sleep(REST)
            for _ in range(warm_up if number == 0 else 1):
                update()
            start = time.perf_counter()
            for _ in range(calls):
                update()
            times[name].append((time.perf_counter() - start) / calls)
    return {name: statistics.median(found) for name, found in times.items()}


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
