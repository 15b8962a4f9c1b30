"""Training beside PyTorch, JAX and scikit-learn: the same updates, in one run, in turns.

Every library starts from the same weights and takes the same batches, by index from data that it
holds; the losses of the first updates are compared before anything is timed. Whatever of the
libraries is installed takes part.

    python -m benchmarks.training_step
    python -m benchmarks.training_step --only 2048 --rounds 7
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress

from benchmarks import fresh
from benchmarks.limits import blas_threads, products
from benchmarks.measure import Stretch, duration, enough, in_turns, table
from benchmarks.peers import on_gradlab
from benchmarks.peers.sweep import Sweep, Train, digits
from benchmarks.peers.task import CORES, Candidate, Task, named, problem

LIBRARIES = {"on_pytorch": ("torch",), "on_jax": ("jax", "optax"), "on_sklearn": ("sklearn",)}
CHECKED = 5
"""Updates whose losses are compared."""
SWEEP_TOLERANCE = 1e-3
"""Largest relative difference of an epoch's mean loss: rounding grows with the updates."""
PRODUCTS = f"{CORES} single-thread products"


@dataclass(frozen=True)
class Bar:
    """How many times faster than the best of some candidates, told by how their names begin."""

    factor: float
    against: tuple[str, ...]


BEST = ("PyTorch", "JAX")
BARS = {
    "2-8-8-1": (Bar(500, ("PyTorch eager",)), Bar(8, ("JAX jit + scan",))),
    "64-64-10": (
        Bar(60, ("PyTorch eager",)),
        Bar(3, ("JAX jit + scan",)),
        Bar(30, ("scikit-learn",)),
    ),
    "784-512-256-10": (Bar(1.5, BEST),),
    "2048": (Bar(1.2, BEST),),
    "sweep": (Bar(30, ("scikit-learn loop",)), Bar(5, ("JAX vmap + scan",))),
}
SECTIONS = (*BARS, "first", "memory")
FIRST = ("64-64-10", "784-512-256-10")


def main() -> None:
    """Print every section, or the one that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=SECTIONS, help="one section alone")
    parser.add_argument("--rounds", type=int, default=15, help="turns that each candidate gets")
    parser.add_argument("--quick", action="store_true", help="3 rounds and a sweep of 40 networks")
    options = parser.parse_args()
    rounds = 3 if options.quick else options.rounds
    print(header())
    for name in [options.only] if options.only else SECTIONS:
        if name == "sweep":
            compare_sweep(40 if options.quick else 1000, min(rounds, 3))
        elif name == "first":
            first_updates(min(rounds, 5))
        elif name == "memory":
            memory()
        else:
            compare(named(name), rounds)


def header() -> str:
    """Machine and libraries."""
    libraries = ("numpy", *(module for modules in LIBRARIES.values() for module in modules))
    names = {"sklearn": "scikit-learn"}
    found = [f"{names.get(n, n)} {version(names.get(n, n))}" for n in libraries if installed(n)]
    return f"{platform.machine()}, {CORES} cores; Python {platform.python_version()}, " + ", ".join(
        found
    )


def installed(*modules: str) -> bool:
    """Whether all of them can be imported."""
    return all(importlib.util.find_spec(module) for module in modules)


def peers() -> list[Any]:
    """The modules of the libraries that are installed."""
    return [
        importlib.import_module(f"benchmarks.peers.{name}")
        for name, modules in LIBRARIES.items()
        if installed(*modules)
    ]


# --- one update ------------------------------------------------------------------------------


def compare(task: Task, rounds: int) -> None:
    """One task: check, time, print."""
    print(f"\n{task.title}")
    work = problem(task)
    with progress() as bar:
        shown = bar.add_task("compiling", total=None)
        found = on_gradlab.candidates(work)
        for module in peers():
            found += module.candidates(work)
        compile_seconds = check(found, lambda name: bar.update(shown, description=name))
        stretches = {}
        for candidate in found:
            if candidate.name not in compile_seconds:
                continue
            bar.update(shown, description=f"warming {candidate.name}")
            stretches[candidate.name] = warmed(candidate)
        if task.name == "2048":
            run, _ = products(CORES)
            stretches[PRODUCTS] = Stretch(run, 3, prepare=partial(blas_threads, 1))
        bar.update(shown, total=rounds * len(stretches), completed=0)

        def tick(name: str) -> None:
            bar.update(shown, advance=1, description=name)

        seconds = in_turns(stretches, rounds, tick)
    pair = seconds.pop(PRODUCTS, None)
    print_ratios("one update", seconds, compile_seconds)
    print_bars(seconds, BARS[task.name])
    if pair is not None:
        limit, ours = products(CORES)[1] / pair, task.flops / seconds["gradlab"]
        print(
            f"products: gradlab {ours / 1e9:.0f} GFLOP/s (forward, to weights, to inputs but the "
            f"first: {task.flops / 1e9:.1f} GFLOP), {PRODUCTS} at once {limit / 1e9:.0f}: "
            f"{ours / limit:.0%}, bar ≥ 75 %: {verdict(ours / limit >= 0.75)}"
        )


def check(candidates: Sequence[Candidate], tick: Callable[[str], object]) -> dict[str, float]:
    """Compare the first losses, and say so; the seconds that each took to give them.

    A candidate that does something else than the first of them is left out, with a line that says
    so: its time would be that of other work.
    """
    seconds, worst = {}, 0.0
    expected = np.empty(0)
    for candidate in candidates:
        tick(f"compiling {candidate.name}")
        candidate.prepare()
        start = time.perf_counter()
        losses = np.asarray(candidate.first(CHECKED), np.float64)
        seconds[candidate.name] = time.perf_counter() - start
        if not expected.size:
            expected = losses
        wanted = expected if losses.size > 1 else expected.mean()
        difference = float(np.max(np.abs(losses / wanted - 1)))
        if not difference <= candidate.tolerance:
            print(f"left out: {candidate.name}, whose losses are {losses}; expected {wanted}")
            del seconds[candidate.name]
            continue
        worst = max(worst, difference)
    print(
        f"checked: the losses of {CHECKED} updates from the same weights agree to {worst:.0e} "
        f"in {len(seconds)} of {len(candidates)} ({', '.join(f'{loss:.5f}' for loss in expected)})"
    )
    return seconds


def warmed(candidate: Candidate) -> Stretch:
    """A candidate as what is timed: at least 50 ms of updates at a time."""
    candidate.prepare()
    candidate.run(candidate.quantum)
    count = enough(candidate.run, candidate.quantum)
    return Stretch(candidate.run, count, candidate.quantum, candidate.prepare)


# --- a thousand networks ---------------------------------------------------------------------


def compare_sweep(models: int, rounds: int) -> None:
    """The sweep: gradlab trains all, the others a sample whose time is scaled."""
    work = digits(models)
    updates = work.indices.shape[1]
    print(f"\n{models} digits networks, 64-64-10, {work.epochs} epochs of 32 rows, Adam")
    with progress() as bar:
        shown = bar.add_task("compiling", total=None)
        trains, prepares = sweeps(work)
        compile_seconds = check_sweep(work, trains)
        bar.update(shown, total=rounds * len(trains), completed=0)

        def tick(name: str) -> None:
            bar.update(shown, advance=1, description=name)

        def stretch(name: str) -> Stretch:
            count, train = trains[name]
            prepare = prepares.get(name, lambda: None)
            return Stretch(lambda times: train(), count, warm=0, prepare=prepare)

        seconds = in_turns({name: stretch(name) for name in trains}, rounds, tick)
    samples = ", ".join(f"{name}: {count}" for name, (count, _) in trains.items())
    print(f"networks trained: {samples}; a network has {updates} updates")
    every = {name: models * found for name, found in seconds.items()}
    print_ratios(f"all {models}", every, compile_seconds)
    print_bars(every, BARS["sweep"])


def sweeps(work: Sweep) -> tuple[dict[str, tuple[int, Train]], dict[str, Callable[[], None]]]:
    """Each library's way to train so many of the networks, and what sets its scene."""
    models = len(work.rates)
    trains = {"gradlab": (models, on_gradlab.sweep(work, models))}
    prepares = {"gradlab": partial(blas_threads, CORES)}
    for module in peers():
        library = module.__name__.rpartition("_")[2]
        if library == "jax":
            sample = min(models, 200)
            for width, threads in ((sample, 1), (10, 1), (10, CORES)):
                name = f"JAX vmap + scan, {width} wide, {threads} thread{'s' * (threads > 1)}"
                trains[name] = (sample, module.sweep(work, sample, width, threads))
        elif library == "sklearn":
            for threads in dict.fromkeys((1, CORES)):
                name = f"scikit-learn loop, {threads} thread{'s' * (threads > 1)}"
                trains[name] = (4, module.sweep(work, 4, 1))
                prepares[name] = partial(blas_threads, threads)
            trains[f"scikit-learn, {CORES} processes"] = (8, module.sweep(work, 8, CORES))
    return trains, prepares


def check_sweep(work: Sweep, trains: Mapping[str, tuple[int, Train]]) -> dict[str, float]:
    """Compare the first epoch's mean loss of some networks; seconds of each one's first run."""
    seconds, found = {}, {}
    epoch = work.indices.shape[1] // work.epochs
    for name, (_, train) in trains.items():
        start = time.perf_counter()
        losses = train()
        seconds[name] = time.perf_counter() - start
        if not name.startswith("scikit-learn"):  # its fits draw weights and batches of their own
            found[name] = losses[:4, :epoch].mean(axis=1)
    for module in peers():
        if hasattr(module, "first_epoch"):
            found["scikit-learn"] = np.array([module.first_epoch(work, i) for i in range(4)])
    expected = found["gradlab"]
    worst = 0.0
    for name, losses in found.items():
        difference = float(np.max(np.abs(losses / expected - 1)))
        if not difference <= SWEEP_TOLERANCE:
            raise SystemExit(f"{name} has losses {losses}; expected {expected}")
        worst = max(worst, difference)
    print(f"checked: mean losses of the first epoch of 4 networks agree to {worst:.0e} in all")
    return seconds


# --- in a fresh process ----------------------------------------------------------------------


def first_updates(rounds: int) -> None:
    """From the call to the first update's end, cold and from the disk cache."""
    print("\nfirst update, each in a fresh process")
    rows, verdicts = [], []
    for name in FIRST:
        found: dict[str, list[dict[str, float]]] = {"cold": [], "from the cache": []}
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as folder:
                for times in found.values():
                    times.append(fresh.measure("first", name, {"GRADLAB_CACHE": folder}))
        for (state, times), bar in zip(found.items(), (0.5, 0.05), strict=True):
            parts = {part: statistics.median(t[part] for t in times) for part in times[0]}
            called = parts["trainer"] + parts["update"]
            rows.append(
                (
                    f"{name}, {state}",
                    duration(parts["trainer"]),
                    duration(parts["update"]),
                    duration(called),
                    duration(parts["imports"]),
                )
            )
            verdicts.append(
                f"{name} {state}: {duration(called)}, bar {duration(bar)}: {verdict(called <= bar)}"
            )
    print(table(("", "Trainer(...)", "advance(1)", "together", "imports apart"), rows))
    print("\n".join(verdicts))


def memory() -> None:
    """How much a process grows while it trains the largest network."""
    task = named("2048")
    held, live = 3 * 4 * task.weights, 4 * task.live
    print(f"\nmemory of {task.title}, each in a fresh process")
    print(
        f"weights and Adam's two slots {held / 1e6:.0f} MB + activations and adjoints alive at "
        f"once {live / 1e6:.0f} MB"
    )
    for what, name in (("memory", "gradlab"), ("trainer_memory", "gradlab Trainer")):
        growth = fresh.measure(what, task.name)["growth"]
        ratio = growth / (held + live)
        print(
            f"{name}: growth at the peak {growth / 1e6:.0f} MB, ratio {ratio:.2f}, bar ≤ 1.3: "
            f"{verdict(ratio <= 1.3)}"
        )
    print(
        "growth: peak resident size less that before the model was made, with libraries, compiler "
        "and data in place; alive at once: the batch, the hidden outputs still needed, and the "
        "adjoints of one layer's output and input, at the layer where they are most"
    )


# --- printing --------------------------------------------------------------------------------


def progress() -> Progress:
    """A bar on the error stream that goes away when done."""
    return Progress(console=Console(stderr=True), transient=True)


def print_ratios(what: str, seconds: Mapping[str, float], first: Mapping[str, float]) -> None:
    """Times, and how many times gradlab's each is."""
    ours = seconds["gradlab"]
    rows = [
        (name, duration(found), f"{found / ours:.2f}", duration(first[name]))
        for name, found in seconds.items()
    ]
    print(table((what, "median", "over gradlab's", "first, compiling"), rows))


def print_bars(seconds: Mapping[str, float], bars: Sequence[Bar]) -> None:
    """Whether each bar is met, where its candidates took part."""
    for bar in bars:
        rivals = {name: time for name, time in seconds.items() if name.startswith(bar.against)}
        words = f"bar ≥ {bar.factor:g} × the best of {' and '.join(bar.against)}"
        if not rivals:
            print(f"{words}: not installed")
            continue
        best = min(rivals, key=lambda name: rivals[name])
        found = []
        for name, ours in seconds.items():
            if name.startswith("gradlab"):
                ratio = rivals[best] / ours
                found.append(f"{name} {ratio:.3g} × ({verdict(ratio >= bar.factor)})")
        print(f"{words}, {best}: {', '.join(found)}")


def verdict(met: bool) -> str:
    """In words."""
    return "met" if met else "NOT MET"


if __name__ == "__main__":
    main()
