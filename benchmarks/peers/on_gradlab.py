"""gradlab's side: ``Trainer.advance``, and ``Loop.run_many`` for a sweep."""

from __future__ import annotations

import itertools
from collections.abc import Callable
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
Updates = Callable[[int], np.ndarray]
"""So many updates; the loss of each."""
Loss = Callable[[Tensor, Tensor], Tensor]
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


def looped(
    network: nn.Module,
    optimizer: optim.Optimizer,
    loss: Loss,
    batch: int,
    data: list[np.ndarray],
    executor: str = EXECUTOR,
) -> Loop:
    """Updates of a network as one Loop over the data."""
    state = optimizer.init(network.name_variables().named_parameters())
    names = optimizer.names()

    def step(x: Tensor, y: Tensor, *numbers: Tensor) -> Tensor:
        hyper = dict(zip(names, numbers, strict=True))
        return optimizer.minimize(lambda: loss(network(x), y), state, hyper)

    specs = [Spec((batch, *array.shape[1:]), array.dtype) for array in data]
    specs += [Spec((), np.float64, weak=True) for _ in names]
    return Loop(trace(step, *specs), data, executor)


def updates(task: Task, x: np.ndarray, y: np.ndarray, rows: np.ndarray) -> Updates:
    """So many updates over ready-made rows, as the peers that loop inside get them."""
    optimizer = OPTIMIZERS[task.optimizer](task.rate)
    loss = nn.cross_entropy if task.classes else nn.mse_loss
    loop = looped(network(task.sizes, task.activation), optimizer, loss, task.batch, [x, y])
    numbers = list(optimizer.hyperparameters(0.0).values())
    done = 0

    def run(n: int) -> np.ndarray:
        nonlocal done
        picked = np.take(rows, np.arange(done, done + n), axis=0, mode="wrap")
        done += n
        return loop.run(picked, np.tile(numbers, (n, 1)))[0]

    return run


def candidates(problem: Problem) -> list[Candidate]:
    """The loop, and the Trainer, which also draws the batches and looks for divergence."""
    prepare = partial(blas_threads, CORES)
    made = trainer(problem.task, problem.x, problem.y)
    run = updates(problem.task, problem.x, problem.y, problem.indices)
    return [
        Candidate("gradlab", run, run, prepare=prepare),
        Candidate("gradlab Trainer", lambda n: made.advance(n).loss, made.advance, prepare=prepare),
    ]


def sweep(work: Sweep, count: int) -> Train:
    """All with one compiled program, over all cores."""
    model = network(work.sizes, "relu")
    loop = looped(model, optim.Adam(1e-3), nn.cross_entropy, work.batch, [work.x, work.y])
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
