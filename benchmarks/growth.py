"""How an update's time grows with width, depth, batch and threads, beside the machine's limits.

Each number of threads has a process of its own, with GRADLAB_THREADS set.

    python -m benchmarks.growth --out benchmarks/growth.svg
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from benchmarks.limits import blas_threads, copies, products
from benchmarks.measure import Stretch, duration, enough, in_turns, table
from benchmarks.peers.task import CORES, Task, problem
from gradlab.palette import BLACK, COLOURS, DASHES

WIDTHS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048)
DEPTHS = (1, 2, 4, 8, 16, 32)
BATCHES = (1, 4, 16, 64, 256, 1024)
TOUCHED = 24
"""Bytes read and written by Adam for each weight: the weight and its two slots."""
ROUNDS = 5


@dataclass(frozen=True)
class Point:
    """One network: so many hidden layers, all as wide as the input, and a batch."""

    curve: str
    width: int
    depth: int
    batch: int

    @property
    def along(self) -> int:
        """Its place on its curve."""
        return {"width": self.width, "depth": self.depth, "batch": self.batch}[self.curve]

    @property
    def task(self) -> Task:
        """What is trained."""
        sizes = (self.width,) * (self.depth + 1) + (10,)
        return Task("growth", sizes, "relu", self.batch, "Adam", 1e-3, 4 * self.batch, 1)


def points(quick: bool) -> list[Point]:
    """Every network of the three curves."""
    every = 2 if quick else 1
    most = 256 if quick else WIDTHS[-1]
    found = [Point("width", width, 3, 64) for width in WIDTHS[::every] if width <= most]
    found += [Point("depth", 128, depth, 64) for depth in DEPTHS[::every]]
    return found + [Point("batch", 256, 3, batch) for batch in BATCHES[::every]]


def main() -> None:
    """Print the table and save the picture."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/growth.svg"))
    parser.add_argument("--quick", action="store_true", help="half of the networks, small ones")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    chosen = points(options.quick)
    if options.worker:
        for point in chosen:
            print(json.dumps(time_of(point)), flush=True)
        return
    threads = [count for count in (1, 2, 4, 8, 16, 32, 64) if count < CORES] + [CORES]
    with Progress(console=Console(stderr=True), transient=True) as bar:
        shown = bar.add_task("limits", total=len(threads) * len(chosen))
        limits = {count: limits_of(count) for count in threads}
        found = {}
        for count in threads:
            bar.update(shown, description=f"{count} threads")
            found[count] = []
            for line in worker(count, options.quick):
                found[count].append(json.loads(line))
                bar.update(shown, advance=1)
    for count, (rate, bandwidth) in limits.items():
        print(
            f"limits, {count} thread{'s' * (count > 1)}: products {rate / 1e9:.0f} GFLOP/s, "
            f"memory {bandwidth / 1e9:.0f} GB/s"
        )
    print_table(chosen, found, limits)
    draw(options.out, chosen, found, limits)
    print(f"\ndrawn in {options.out}")


def worker(threads: int, quick: bool) -> Iterator[str]:
    """Lines that a process with so many threads prints, a network each."""
    command = [sys.executable, "-m", "benchmarks.growth", "--worker", *["--quick"] * quick]
    environment = os.environ | {"GRADLAB_THREADS": str(threads)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield from process.stdout
    if process.returncode:
        raise SystemExit(f"the run with {threads} threads ended with {process.returncode}")


def time_of(point: Point) -> dict[str, float]:
    """Seconds to the first update's end, and of one update after it."""
    from benchmarks.peers import on_gradlab

    work = problem(point.task)
    start = time.perf_counter()
    trainer = on_gradlab.trainer(work.task, work.x, work.y)
    trainer.advance(1)
    first = time.perf_counter() - start
    count = enough(trainer.advance)
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        trainer.advance(count)
        times.append((time.perf_counter() - start) / count)
    return {"first": first, "update": statistics.median(times)}


def limits_of(threads: int) -> tuple[float, float]:
    """Operations a second of products, and bytes a second of copies, on so many threads."""
    (multiply, operations), (copy, transferred) = products(threads), copies(threads)
    blas_threads(1)
    seconds = in_turns({"products": Stretch(multiply, 3), "copies": Stretch(copy, 2)}, ROUNDS)
    return operations / seconds["products"], transferred / seconds["copies"]


def print_table(
    chosen: list[Point],
    found: dict[int, list[dict[str, float]]],
    limits: dict[int, tuple[float, float]],
) -> None:
    """A table for each curve."""
    most = max(limits)
    headings = (
        *(f"{count} thread{'s' * (count > 1)}" for count in found),
        "GFLOP/s",
        "of the products' limit",
        "first update",
    )
    for curve in dict.fromkeys(point.curve for point in chosen):
        rows = []
        for i, point in enumerate(chosen):
            if point.curve != curve:
                continue
            best = min(times[i]["update"] for times in found.values())
            rate = point.task.flops / best
            rows.append(
                (
                    ", ".join(
                        f"{k} {v}"
                        for k, v in asdict(point).items()
                        if k in ("width", "depth", "batch")
                    ),
                    *(duration(times[i]["update"]) for times in found.values()),
                    f"{rate / 1e9:.1f}",
                    f"{rate / limits[most][0]:.0%}",
                    duration(found[most][i]["first"]),
                )
            )
        print("\n" + table((f"cost against {curve}", *headings), rows))


def draw(
    out: Path,
    chosen: list[Point],
    found: dict[int, list[dict[str, float]]],
    limits: dict[int, tuple[float, float]],
) -> None:
    """Three panels: time of an update against width, depth and batch."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    curves = list(dict.fromkeys(point.curve for point in chosen))
    figure, axes = plt.subplots(1, len(curves), figsize=(13, 4.2), layout="constrained")
    rate, bandwidth = limits[max(limits)]
    for ax, curve in zip(axes, curves, strict=True):
        picked = [(i, point) for i, point in enumerate(chosen) if point.curve == curve]
        along = [point.along for _, point in picked]
        for colour, dash, (count, times) in zip(COLOURS, DASHES * 2, found.items(), strict=False):
            seconds = [times[i]["update"] for i, _ in picked]
            label = f"gradlab, {count} thread{'s' * (count > 1)}"
            ax.loglog(along, seconds, "o", color=colour, linestyle=dash, label=label, markersize=4)
        least = [point.task.flops / rate for _, point in picked]
        ax.loglog(along, least, color=BLACK, linewidth=1, label="products at the machine's rate")
        moved = [TOUCHED * point.task.weights / bandwidth for _, point in picked]
        ax.loglog(
            along, moved, ":", color=BLACK, linewidth=1, label="weights and slots from memory"
        )
        fixed = {"width": "depth 3, batch 64", "depth": "width 128, batch 64"}
        ax.set(xlabel=curve, title=fixed.get(curve, "width 256, depth 3"))
        ax.set_xscale("log", base=2)
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("seconds an update")
    axes[0].legend(fontsize="small")
    figure.savefig(out)
    plt.close(figure)


if __name__ == "__main__":
    main()
