"""A plan as text: its kernels, and its memory."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gradlab.execute.native.plan import Kernel, Plan

UNITS = ("", "k", "M", "G")


def explain(plan: Plan, seconds: Sequence[float] = ()) -> str:
    """The kernels in order: what each does, its operations and bytes, and how it is divided.

    ``wait`` marks kernels before which the threads wait for one another, ``1`` such as only one
    thread does; ``/n`` tells into how many parts the others can be divided. ``seconds`` adds what
    each kernel took.
    """
    rows: list[tuple[str, ...]] = [("kernel", "does", "ops", "bytes", "threads", "for")]
    rows += [
        (
            f"{i}",
            kernel.title,
            short(kernel.flops),
            short(kernel.bytes),
            _division(kernel, plan.threads),
            kernel.label,
        )
        for i, kernel in enumerate(plan.kernels)
    ]
    if seconds:
        rows = [_with_time(*pair) for pair in zip(rows, [None, *seconds], strict=True)]
    operations = sum(kernel.flops for kernel in plan.kernels)
    moved = sum(kernel.bytes for kernel in plan.kernels)
    summary = [
        _count(len(plan.kernels), "kernel"),
        f"{short(operations)} operations",
        f"{short(moved)} bytes moved",
        f"{short(plan.arena)} bytes of arena",
        _count(plan.threads, "thread"),
        _count(sum(kernel.barrier for kernel in plan.kernels), "wait"),
    ]
    return f"{_aligned(rows)}\n{', '.join(summary)}"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' * (number != 1)}"


def _with_time(row: tuple[str, ...], seconds: float | None) -> tuple[str, ...]:
    time = "µs" if seconds is None else f"{1e6 * seconds:.2f}"
    return (row[0], time, *row[1:])


def memory(plan: Plan) -> str:
    """Every buffer: where it lies, how large it is, and between which kernels it is in use."""
    rows = [("buffer", "dtype", "bytes", "place", "in use")]
    for buffer in plan.buffers:
        inside = buffer.home == "arena"
        use = f"{buffer.first} to {buffer.last}" if buffer.first >= 0 else "never"
        place = f"{buffer.place}" if inside else ""
        rows.append((repr(buffer), str(buffer.dtype), short(buffer.bytes), place, use))
    return f"{_aligned(rows)}\narena: {short(plan.arena)} bytes"


def short(count: int) -> str:
    """A count with three digits and a unit.

    >>> short(12), short(12345), short(2_000_000)
    ('12', '12.3k', '2.0M')
    """
    power = min(int(math.log(max(count, 1), 1000) + 1e-12), len(UNITS) - 1)
    return f"{count / 1000**power:.1f}{UNITS[power]}" if power else f"{count}"


def _division(kernel: Kernel, threads: int) -> str:
    if threads == 1:
        return "1"
    part = f"/{kernel.range.parts}" if kernel.range.parts > 1 else "1"
    return f"wait {part}" if kernel.barrier else part


def _aligned(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    right = {"ops", "bytes", "place", "µs"}
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if heading in right else cell.ljust(width)
            for cell, width, heading in zip(row, widths, rows[0], strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
