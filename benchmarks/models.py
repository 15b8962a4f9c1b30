"""Training architectures beside PyTorch and JAX: the same updates, in one run, in turns.

Every library starts from the same weights, which PyTorch's models load by their names, and takes
the same batches; the losses of the first updates are compared before anything is timed.

    python -m benchmarks.models
    python -m benchmarks.models --only 2c2d --rounds 7
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks.limits import blas_threads
from benchmarks.measure import in_turns
from benchmarks.peers.on_gradlab import looped
from benchmarks.peers.task import CORES, Array, Candidate, indices
from benchmarks.training_step import (
    Bar,
    check,
    header,
    installed,
    print_bars,
    print_ratios,
    progress,
    warmed,
)
from gradlab import init, nn, optim
from gradlab.nn.models import models

ROWS = 8
"""Batches of data."""


@dataclass(frozen=True)
class Case:
    """A model by its name in the registry, one example's shape, classes, batch and optimizer."""

    model: str
    inputs: tuple[int, ...]
    outputs: int
    batch: int
    optimizer: str

    @property
    def title(self) -> str:
        """What the tables call it."""
        return f"{self.model}, batch {self.batch}, {self.optimizer}"

    def data(self) -> tuple[Array, Array]:
        """Random images, or sequences of tokens with the tokens that follow."""
        rng, rows = np.random.default_rng(0), ROWS * self.batch
        if len(self.inputs) == 1:
            tokens = rng.integers(self.outputs, size=(rows, self.inputs[0] + 1))
            return tokens[:, :-1].copy(), tokens[:, 1:].copy()
        x = rng.standard_normal((rows, *self.inputs), dtype=np.float32)
        return x, rng.integers(self.outputs, size=rows)

    def network(self) -> nn.Module:
        """The model with its first values."""
        made: nn.Module = models.build(self.model, inputs=self.inputs, outputs=self.outputs)
        scheme, patterns = made.init_scheme
        init.initialize(made, scheme, 0, patterns=patterns)
        return made


CASES = {
    "2c2d": Case("2c2d", (1, 28, 28), 10, 128, "SGD"),
    "resnet": Case("resnet(depth=20)", (3, 32, 32), 10, 128, "Momentum"),
    "gpt": Case("gpt", (64,), 65, 12, "AdamW"),
    "char_lstm": Case("char_lstm", (50,), 65, 50, "SGD"),
}
OPTIMIZERS = {
    "SGD": partial(optim.SGD, 0.01),
    "Momentum": partial(optim.Momentum, 0.01, 0.9),
    "AdamW": partial(optim.AdamW, 1e-3, weight_decay=0.1),
}
BAR = (Bar(1.0, ("PyTorch", "JAX")),)


def main() -> None:
    """Print a table for each model, or for the one that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=CASES, help="one model alone")
    parser.add_argument("--rounds", type=int, default=9, help="turns that each candidate gets")
    options = parser.parse_args()
    print(header())
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GRADLAB_CACHE"] = folder  # so that the first update is compiled, not loaded
        for name in [options.only] if options.only else CASES:
            compare(CASES[name], options.rounds)


def compare(case: Case, rounds: int) -> None:
    """One model: check, time, print."""
    print(f"\n{case.title}")
    x, y = case.data()
    rows = indices(len(x), case.batch, 4 * ROWS)
    state = case.network().state_dict()
    with progress() as bar:
        shown = bar.add_task("compiling", total=None)
        found = [ours(case, x, y, rows)]
        if installed("torch"):
            from benchmarks.peers import torch_models

            found += torch_models.candidates(case.model, case.optimizer, state, x, y, rows)
        if installed("jax") and case.model == "2c2d":
            from benchmarks.peers import jax_models

            found += jax_models.candidates(state, x, y, rows)
        first = check(found, lambda name: bar.update(shown, description=name))
        stretches = {c.name: warmed(c) for c in found if c.name in first}
        bar.update(shown, total=rounds * len(stretches), completed=0)
        seconds = in_turns(
            stretches, rounds, lambda name: bar.update(shown, advance=1, description=name)
        )
    print_ratios("one update", seconds, first)
    print_bars(seconds, BAR)


def ours(case: Case, x: Array, y: Array, rows: Array) -> Candidate:
    """gradlab's loop; its trace and compilation belong to the first updates."""
    run: Callable[[int], Array] | None = None
    place = itertools.count()

    def updates(n: int) -> Array:
        nonlocal run
        if run is None:
            optimizer = OPTIMIZERS[case.optimizer]()
            loop = looped(case.network(), optimizer, nn.cross_entropy, case.batch, [x, y])
            numbers = list(optimizer.hyperparameters(0.0).values())

            def run(n: int) -> Array:
                picked = rows[[next(place) % len(rows) for _ in range(n)]]
                return loop.run(picked, np.tile(numbers, (n, 1)))[0]

        return run(n)

    return Candidate("gradlab", updates, updates, prepare=partial(blas_threads, CORES))


if __name__ == "__main__":
    main()
