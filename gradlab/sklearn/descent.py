"""Gradient descent of an estimator: epochs over its rows, run by compiled programs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from gradlab.data import batch_runs
from gradlab.execute import Loop
from gradlab.graph import RandomStream
from gradlab.graph.dtypes import Array
from gradlab.nn import Module
from gradlab.optim import Optimizer
from gradlab.seeding import seed_sequence
from gradlab.sklearn.network import Network
from gradlab.sklearn.programs import room, updates

SLICE_SECONDS = 0.3
"""How long a program runs before Python, and with it Ctrl-C, has a turn."""
DENSE_BYTES = 1 << 26
"""Rows of a sparse matrix that are made dense at a time."""

BatchSize = int | Callable[[float], float]


@dataclass(frozen=True)
class Batches:
    """Batches of one size that follow one another in an epoch.

    Attributes:
        positions: among the epoch's rows, of shape (batches, room). Where a batch has fewer rows,
            the room is filled with rows that do not count.
        counted: how many rows of each batch count.
        seen: the part of the epoch that is over before each.
    """

    positions: Array
    counted: Array
    seen: Array


class Descent:
    """A network on its way down.

    Args:
        network: what is trained.
        optimizer: by which rule.
        x, y: the rows; x may be a sparse matrix in CSR form.
        weights: one for each row.
        batch_size: rows of a batch, or a function of the epochs done that gives them.
        parameters: weight (out, in) and bias of each layer in turn, to start from.
        values: slots and random streams to start from, by name; others are as at the first update.

    Attributes:
        interrupted: whether Ctrl-C ended the last run.
    """

    def __init__(
        self,
        network: Network,
        optimizer: Optimizer,
        x: Any,
        y: Array,
        weights: Array,
        batch_size: BatchSize,
        parameters: Sequence[Array],
        values: Mapping[str, Array],
    ) -> None:
        self.optimizer = optimizer
        self.x, self.y, self.weights = x, y, weights
        self.batch_size = batch_size
        self._program = updates(network, optimizer)
        variables = self._program.variables
        self._values = {variable: variable.numpy() for variable in variables.values()}
        self._values |= {variables[name]: value for name, value in values.items()}
        self._values |= zip(self._program.state.weights, parameters, strict=True)
        self._planned: tuple[int, list[Batches]] = (-1, [])
        self._loops: dict[int, Loop] = {}
        self.interrupted = False
        self._pace: dict[int, float] = {}  # seconds of an update over batches of each size

    @property
    def parameters(self) -> list[Array]:
        """Weight and bias of each layer in turn."""
        return [self._values[variable] for variable in self._program.state.weights]

    @property
    def values(self) -> dict[str, Array]:
        """Slots and random streams by name."""
        variables = self._program.variables.items()
        return {name: self._values[v] for name, v in variables if not v.trainable}

    def run(
        self, orders: Sequence[Array], first: int, rates: Sequence[float], alpha: float
    ) -> list[float]:
        """Train for one epoch after another; the mean loss of each that is over.

        It goes on whatever the losses are, and ends early with Ctrl-C only.

        Args:
            orders: the rows in each epoch's order.
            first: epochs done before; schedules go by it.
            rates: what the learning rate is multiplied by in each epoch.
            alpha: strength of the penalty.
        """
        plan = [(e, batches) for e in range(len(orders)) for batches in self._batches(first + e)]
        losses, left = np.zeros(len(orders)), np.zeros(len(orders), int)
        for epoch, batches in plan:
            left[epoch] += len(batches.counted)
        for size, group in groupby(plan, lambda part: part[1].positions.shape[1]):
            parts = list(group)
            rows = np.concatenate([orders[e][b.positions] for e, b in parts])
            counted = np.concatenate([b.counted for _, b in parts])
            epochs = np.repeat([e for e, _ in parts], [len(b.counted) for _, b in parts])
            times = first + epochs + np.concatenate([b.seen for _, b in parts])
            hyper = self.optimizer.over(times)
            hyper["lr"] = hyper["lr"] * np.asarray(rates)[epochs]
            numbers = np.stack([*hyper.values(), np.full(len(rows), alpha), counted], axis=1)
            found = self._run(size, rows, numbers)
            done = epochs[: len(found)]
            losses += np.bincount(done, found * counted[: len(found)] / len(self.y), len(orders))
            left -= np.bincount(done, minlength=len(orders))
            if self.interrupted:
                break
        return [float(loss) for loss in losses[left == 0]]

    def _batches(self, epoch: int) -> list[Batches]:
        """The batches of an epoch."""
        if self._planned[0] == epoch or (self._planned[1] and not callable(self.batch_size)):
            return self._planned[1]
        found, n, start = [], len(self.y), 0
        for size, count in batch_runs(n, self.batch_size, epoch):
            firsts = start + size * np.arange(count)
            exact = size < n and not callable(self.batch_size)
            places = np.arange(size if exact else room(size))
            positions = firsts[:, None] + places
            counts = (places < size) & (positions < n)
            positions[~counts] = start
            found.append(Batches(positions, counts.sum(axis=1), firsts / n))
            start += size * count
        self._planned = (epoch, found)
        return found

    def _run(self, size: int, rows: Array, numbers: Array) -> Array:
        """Updates over batches of one size, a slice at a time; their losses."""
        loop = self._loop(size)
        losses: list[Array] = []
        done = 0
        while done < len(rows):
            part = slice(done, done + self._most(size))
            start = time.perf_counter()
            over, indices = self._data(loop, rows[part])
            try:
                new, (found,) = over.run_from(self._values, indices, numbers[part])
            except KeyboardInterrupt:
                self.interrupted = True
                break
            self._values |= new
            losses.append(found)
            done += len(found)
            self._pace[size] = (time.perf_counter() - start) / len(found)
        return np.concatenate([np.zeros(0), *losses])

    def _loop(self, size: int) -> Loop:
        if size not in self._loops:
            loop = self._program.loop(size)
            dense = isinstance(self.x, np.ndarray)
            self._loops[size] = loop.over([self.x, self.y, self.weights]) if dense else loop
        return self._loops[size]

    def _most(self, size: int) -> int:
        """How many updates are run at once."""
        pace = self._pace.get(size)
        most = 1 if pace is None else int(SLICE_SECONDS / pace)
        if not isinstance(self.x, np.ndarray):
            row: int = self.x.shape[1] * self.x.dtype.itemsize
            most = min(most, DENSE_BYTES // (size * row))
        return max(1, most)

    def _data(self, loop: Loop, rows: Array) -> tuple[Loop, Array]:
        """What the updates run over, and the numbers of the rows there."""
        if isinstance(self.x, np.ndarray):
            return loop, rows
        chosen = rows.ravel()
        data = [self.x[chosen].toarray(), self.y[chosen], self.weights[chosen]]
        return loop.over(data), np.arange(rows.size).reshape(rows.shape)


def fresh_streams(model: Module, seed: int) -> dict[str, Array]:
    """Random streams of a model, which dropout draws from, by name."""
    values: dict[str, Array] = {}
    for path in model.named_streams():
        stream = RandomStream(seed_sequence(seed, "nets", path))
        values |= {f"{path}.key": stream.key.numpy(), f"{path}.count": stream.count.numpy()}
    return values
