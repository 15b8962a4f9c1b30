"""What every library is asked to train, and what it hands back to be checked and timed."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gradlab import init, nn
from gradlab.data import batches

Array = NDArray[np.generic]
Layers = list[tuple[Array, Array]]
"""Weights of shape (out, in) and biases of shape (out,), layer by layer."""

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Task:
    """A network, its data's shape, its batch and its optimizer.

    ``rows`` is a multiple of ``batch``. ``stretch`` is how many updates a library that compiles
    whole loops does in one call: enough that the call itself costs nothing.
    """

    name: str
    sizes: tuple[int, ...]
    activation: str
    batch: int
    optimizer: str
    rate: float
    rows: int
    stretch: int

    @property
    def title(self) -> str:
        """What the tables call it."""
        sizes = "-".join(map(str, self.sizes))
        return f"{sizes} {self.activation}, batch {self.batch}, {self.optimizer}"

    @property
    def classes(self) -> bool:
        """Whether it is classification, by cross-entropy; otherwise regression, by squares."""
        return self.sizes[-1] > 1

    @property
    def flops(self) -> int:
        """Of one update's products: forward, to the weights, and to all inputs but the first."""
        layers = itertools.pairwise(self.sizes)
        return sum(2 * self.batch * n * m * (3 if i else 2) for i, (n, m) in enumerate(layers))

    @property
    def weights(self) -> int:
        """Number of weights and biases."""
        return sum((n + 1) * m for n, m in itertools.pairwise(self.sizes))

    @property
    def live(self) -> int:
        """Most numbers of activations and adjoints that one update must hold at a time.

        On the way back at layer l these are the inputs of layers 1 to l and the adjoints of
        layer l's output and input.
        """
        widths = self.sizes
        return self.batch * max(
            sum(widths[:layer]) + widths[layer] + (widths[layer - 1] if layer > 1 else 0)
            for layer in range(1, len(widths))
        )


TASKS = (
    Task("2-8-8-1", (2, 8, 8, 1), "tanh", 10, "SGD", 0.01, 1000, 10_000),
    Task("64-64-10", (64, 64, 10), "relu", 32, "Adam", 1e-3, 1792, 2000),
    Task("784-512-256-10", (784, 512, 256, 10), "relu", 128, "Adam", 1e-3, 12_800, 20),
    Task("2048", (2048, 2048, 2048, 2048, 10), "relu", 512, "Adam", 1e-3, 4096, 2),
)


def named(name: str) -> Task:
    """The task of this name."""
    return next(task for task in TASKS if task.name == name)


@dataclass(frozen=True)
class Problem:
    """A task with its numbers: data, initial weights, and the rows of each batch."""

    task: Task
    x: Array
    y: Array
    layers: Layers
    indices: Array


@dataclass(frozen=True)
class Candidate:
    """One library's training, ready to run.

    ``first(n)`` starts from the initial weights and gives the losses of n updates, or their mean
    alone; what is compiled is compiled by it. ``run(n)`` then does n more, a multiple of
    ``quantum``. ``prepare`` sets the scene, such as the number of threads. ``tolerance`` is how
    far its losses may be from another's, relatively: by rounding, unless its rule differs.
    """

    name: str
    first: Callable[[int], Sequence[float] | Array]
    run: Callable[[int], object]
    quantum: int = 1
    prepare: Callable[[], object] = lambda: None
    tolerance: float = 1e-4


def network(sizes: Sequence[int], activation: str, seed: int = 0) -> nn.MLP:
    """The network with its initial weights."""
    model = nn.MLP(sizes, activation=activation)
    init.initialize(model, "torch_default", seed=seed)
    return model


def layers_of(model: nn.MLP) -> Layers:
    """Its weights and biases, copied."""
    arrays = [np.array(parameter) for parameter in model.named_parameters().values()]
    return list(zip(arrays[::2], arrays[1::2], strict=True))


def indices(rows: int, batch: int, updates: int, seed: int = 0) -> Array:
    """Rows of each batch, epoch after epoch, as ``Trainer`` draws them."""
    epochs = (batches(rows, batch, epoch=epoch, seed=seed) for epoch in itertools.count())
    matrices = itertools.chain.from_iterable(epochs)
    found = itertools.islice(itertools.chain.from_iterable(matrices), updates)
    return np.stack(list(found)).astype(np.int32)


def problem(task: Task) -> Problem:
    """Random data for a task."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((task.rows, task.sizes[0]), dtype=np.float32)
    if task.classes:
        y = rng.integers(task.sizes[-1], size=task.rows)
    else:
        y = rng.standard_normal((task.rows, task.sizes[-1]), dtype=np.float32)
    layers = layers_of(network(task.sizes, task.activation))
    updates = max(task.stretch, task.rows // task.batch)
    return Problem(task, x, y, layers, indices(task.rows, task.batch, updates))
