"""gradlab's side: ``Trainer.advance``, and ``Loop.run_many`` for a sweep."""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np

from benchmarks.limits import blas_threads
from benchmarks.peers.sweep import Sweep, Train
from benchmarks.peers.task import CORES, Candidate, Problem, Task, network
from gradlab import nn, optim
from gradlab.execute import Loop
from gradlab.graph import Spec, Tensor, trace
from gradlab.train import Trainer

EXECUTOR = "native"
OPTIMIZERS = {"SGD": optim.SGD, "Adam": optim.Adam}


def trainer(task: Task, x: object, y: object) -> Trainer:
    """A Trainer for a task's network, at its initial weights."""
    return Trainer(
        network(task.sizes, task.activation),
        x,
        y,
        nn.cross_entropy if task.classes else nn.mse_loss,
        OPTIMIZERS[task.optimizer](task.rate),
        batch_size=task.batch,
        executor=EXECUTOR,
    )


def candidates(problem: Problem) -> list[Candidate]:
    """The one there is."""
    made = trainer(problem.task, problem.x, problem.y)
    return [
        Candidate(
            "gradlab",
            lambda n: made.advance(n).loss,
            made.advance,
            prepare=partial(blas_threads, CORES),
        )
    ]


def sweep(work: Sweep, count: int) -> Train:
    """All with one compiled program, over all cores."""
    model = network(work.sizes, "relu")
    optimizer = optim.Adam(1e-3)
    state = optimizer.init(model.name_variables().named_parameters())
    names = list(optimizer.hyperparameters(0.0))

    def step(x: Tensor, y: Tensor, *numbers: Tensor) -> Tensor:
        hyper = dict(zip(names, numbers, strict=True))
        return optimizer.minimize(lambda: nn.cross_entropy(model(x), y), state, hyper)

    specs = [Spec((work.batch, *array.shape[1:]), array.dtype) for array in (work.x, work.y)]
    specs += [Spec((), np.float64, weak=True) for _ in names]
    loop = Loop(trace(step, *specs), [work.x, work.y], EXECUTOR)

    parameters = list(model.named_parameters().values())

    def run() -> np.ndarray:
        states = (
            dict(zip(parameters, itertools.chain.from_iterable(layers), strict=True))
            for layers in work.layers[:count]
        )
        numbers = (optim.Adam(rate).hyperparameters(0.0) for rate in work.rates[:count])
        stepped = (np.tile(list(h.values()), (work.indices.shape[1], 1)) for h in numbers)
        # What is in no state, the slots, starts from what the Variables hold: zeros.
        found = loop.run_many(states, work.indices[:count], stepped)
        return np.array([emitted[0] for _, emitted in found])

    return run
