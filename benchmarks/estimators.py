"""Estimators beside scikit-learn's: whole fits over the same rows, in one run, in turns.

Both start from the same random_state, so they draw the same weights and orders and take the same
path: the loss curves are compared before anything is timed. scikit-learn is timed with one and with
all threads for its products, and the better counts.

    python -m benchmarks.estimators
    python -m benchmarks.estimators --only digits-32 --rounds 9
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
import sklearn.neural_network as theirs
from sklearn import datasets
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

import gradlab.sklearn as ours
from benchmarks.limits import blas_threads
from benchmarks.measure import Stretch, duration, in_turns, table
from gradlab.sklearn.programs import programs

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
DTYPES = {"float64": 1e-9, "float32": 1e-2}
"""Each with the largest relative difference of the loss of an epoch: rounding grows on the way."""


@dataclass(frozen=True)
class Task:
    """A fit to time.

    Attributes:
        rows: makes x and y.
        settings: of both estimators; ``max_iter`` makes a fit long enough to time.
        classes: whether it is classification.
        bar: how many times faster gradlab is to be, at least.
    """

    rows: Callable[[], tuple[Any, Any]]
    settings: dict[str, Any] = field(default_factory=dict)
    classes: bool = True
    bar: float = 1.0

    def data(self, dtype: str) -> tuple[Any, Any]:
        """Standardized rows and targets."""
        x, y = self.rows()
        x = (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-9)
        return x.astype(dtype), y if self.classes else (y - y.mean()) / y.std()

    def estimator(self, library: Any) -> Any:
        """A new estimator of a library."""
        made = library.MLPClassifier if self.classes else library.MLPRegressor
        return made(random_state=0, **self.settings)


def shipped(name: str) -> tuple[Any, Any]:
    """Rows that come with scikit-learn."""
    found: tuple[Any, Any] = getattr(datasets, f"load_{name}")(return_X_y=True)
    return found


def made_up(n: int, features: int, classes: int) -> tuple[Any, Any]:
    """Rows of random numbers; targets are a rough function of them."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, features))
    score = np.tanh(x @ rng.standard_normal((features, max(classes, 1))))
    return x, score.argmax(axis=1) if classes else score[:, 0]


DIGITS, MNIST = partial(shipped, "digits"), partial(made_up, 60_000, 784, 10)
TASKS = {
    "iris": Task(partial(shipped, "iris"), {"max_iter": 200}),
    "wine": Task(partial(shipped, "wine"), {"max_iter": 200, "activation": "tanh"}),
    "diabetes": Task(partial(shipped, "diabetes"), {"max_iter": 200}, classes=False),
    "cancer, lbfgs": Task(partial(shipped, "breast_cancer"), {"solver": "lbfgs"}),
    "cancer, early stopping": Task(
        partial(shipped, "breast_cancer"), {"early_stopping": True, "max_iter": 200}
    ),
    "digits-32": Task(DIGITS, {"hidden_layer_sizes": (64,), "batch_size": 32}, bar=20),
    "digits-200": Task(DIGITS, bar=5),
    "digits, sgd": Task(DIGITS, {"solver": "sgd", "batch_size": 32, "hidden_layer_sizes": (64,)}),
    "5,000 × 20": Task(
        partial(made_up, 5_000, 20, 0), {"hidden_layer_sizes": (64, 64), "max_iter": 20}, False
    ),
    "20,000 × 50": Task(
        partial(made_up, 20_000, 50, 2), {"hidden_layer_sizes": (256, 128), "max_iter": 3}
    ),
    "60,000 × 10": Task(partial(made_up, 60_000, 10, 0), {"max_iter": 5}, classes=False),
    "60,000 × 784": Task(MNIST, {"hidden_layer_sizes": (256,), "max_iter": 2}),
}


def main() -> None:
    """Print the table of all tasks, and a search."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=TASKS, help="one task alone")
    parser.add_argument("--rounds", type=int, default=5, help="turns that each fit gets")
    parser.add_argument("--first", choices=TASKS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    if options.first:
        print(first_fit(options.first))
        return
    libraries = ", ".join(
        f"{name} {version(name)}" for name in ("gradlab", "scikit-learn", "numpy")
    )
    print(f"{platform.machine()}, {CORES} cores, {libraries}; medians of {options.rounds} rounds\n")
    rows = []
    for name in [options.only] if options.only else TASKS:
        row = compare(name, options.rounds)
        print(f"{name}: {', '.join(row[4:])}", file=sys.stderr)
        rows.append(row)
    headings = ("", "rows", "layers", "batch", "float64", "float32", "first ever", "from disk")
    print(table(headings, rows), end="\n\n")
    if not options.only:
        search(options.rounds)


def compare(name: str, rounds: int) -> tuple[str, ...]:
    """A row of the table."""
    task = TASKS[name]
    cells = []
    for dtype, close in DTYPES.items():
        x, y = task.data(dtype)
        check(task, x, y, close)
        stretches = {
            f"scikit-learn {n}": Stretch(fits(task, theirs, x, y), 1, 0, partial(blas_threads, n))
            for n in {1, CORES}
        }
        own = Stretch(fits(task, ours, x, y), 1, 0, partial(blas_threads, CORES))
        stretches["gradlab"] = own
        times = in_turns(stretches, rounds)
        mine = times.pop("gradlab")
        peer = min(times.values())
        met = "" if peer >= task.bar * mine else f" (bar {task.bar:g}: NOT MET)"
        cells.append(f"{duration(peer)} / {duration(mine)} = {peer / mine:.1f}{met}")
    settings, model = task.settings, task.estimator(ours)
    classes = len(np.unique(y)) if task.classes else 1
    outputs = classes if classes > 2 else 1
    layers = "-".join(map(str, (x.shape[1], *np.atleast_1d(model.hidden_layer_sizes), outputs)))
    size = "all" if settings.get("solver") == "lbfgs" else min(200, len(x))
    batch = str(settings.get("batch_size", size))
    return (name, f"{len(x):,}", layers, batch, *cells, *map(duration, first_fits(name)))


def check(task: Task, x: Any, y: Any, close: float) -> None:
    """Both do the same work, or the benchmark ends."""
    mine, other = (task.estimator(library).fit(x, y) for library in (ours, theirs))
    curves = [np.array(getattr(model, "loss_curve_", [model.loss_])) for model in (mine, other)]
    if task.settings.get("solver") == "lbfgs":  # it converges, by paths that part in the end
        close = 0.05
        assert mine.n_iter_ == other.n_iter_, f"{mine.n_iter_} and {other.n_iter_} iterations"
    assert curves[0].shape == curves[1].shape, f"{curves[0].shape} and {curves[1].shape} epochs"
    np.testing.assert_allclose(*curves, rtol=close)


def fits(task: Task, library: Any, x: Any, y: Any) -> Callable[[int], None]:
    """So many fits."""

    def run(times: int) -> None:
        for _ in range(times):
            task.estimator(library).fit(x, y)

    return run


def first_fits(name: str) -> tuple[float, float]:
    """Seconds of a new process's first fit in float64: with nothing compiled, and from the disk."""
    command = [sys.executable, "-m", "benchmarks.estimators", "--first", name]
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"GRADLAB_CACHE": cache}
        cold, disk = (
            float(subprocess.run(command, env=environment, stdout=-1, check=True).stdout)
            for _ in range(2)
        )
    return cold, disk


def first_fit(name: str) -> float:
    """Seconds of a fit, imports apart."""
    task = TASKS[name]
    x, y = task.data("float64")
    model = task.estimator(ours)
    start = time.perf_counter()
    model.fit(x, y)
    return time.perf_counter() - start


def search(rounds: int) -> None:
    """A search over candidates of one shape."""
    x, y = Task(DIGITS).data("float32")
    grid = {"alpha": [1e-5, 1e-3, 1e-1], "learning_rate_init": [1e-3, 3e-3, 1e-2]}

    def run(library: Any, times: int) -> None:
        for _ in range(times):
            estimator = library.MLPClassifier((64,), batch_size=32, max_iter=10, random_state=0)
            GridSearchCV(estimator, grid, cv=5).fit(x, y)

    programs.forget()
    made = programs.made
    run(ours, 1)
    made = programs.made - made
    stretches = {
        f"scikit-learn {n}": Stretch(partial(run, theirs), 1, 0, partial(blas_threads, n))
        for n in {1, CORES}
    }
    stretches["gradlab"] = Stretch(partial(run, ours), 1, 0, partial(blas_threads, CORES))
    times = in_turns(stretches, min(rounds, 3))
    own = times.pop("gradlab")
    peer = min(times.values())
    print(
        f"GridSearchCV, 9 candidates, 5 folds, digits at batch 32: {duration(peer)} / "
        f"{duration(own)} = {peer / own:.1f}; {made} compiled for all 46 fits"
    )


if __name__ == "__main__":
    main()
