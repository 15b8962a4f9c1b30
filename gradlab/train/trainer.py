"""Trainer: the one object that every way of training drives."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from gradlab.data import batches
from gradlab.errors import ArgumentError, DivergenceError, RunError, ShapeError
from gradlab.execute import Loop, NumpyProgram, compile
from gradlab.graph import Spec, Symbol, Tensor, Variable, isfinite, logical_and, trace
from gradlab.graph.dtypes import Array
from gradlab.nn import Module
from gradlab.optim import Optimizer

Loss = Callable[[Tensor, Any], Tensor]
BatchSize = int | Callable[[float], int]
LOOPS_KEPT = 16
"""Compiled loops kept, one for each batch size; growing batches meet many sizes."""
EVALUATION_ROWS = 4096
"""Rows that go through the model at once when it is evaluated."""


@dataclass(frozen=True)
class Record:
    """What happened in a stretch of updates, one entry for each.

    Attributes:
        update: number of the update, from 1.
        epoch: time t at which it was made, in epochs; its whole part is the epoch's number.
        loss: loss on its batch, before the update.
        batch_size: rows in its batch.
        hyperparameters: the values used, by name.
        seconds: how long the stretch took.
    """

    update: Array
    epoch: Array
    loss: Array
    batch_size: Array
    hyperparameters: Mapping[str, Array]
    seconds: float

    def __len__(self) -> int:
        return len(self.update)

    @staticmethod
    def join(parts: Sequence[Record]) -> Record:
        """Stretches that follow one another, as one."""
        first = parts[0]
        joined = [
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("update", "epoch", "loss", "batch_size")
        ]
        hyperparameters = {
            name: np.concatenate([part.hyperparameters[name] for part in parts])
            for name in first.hyperparameters
        }
        return Record(*joined, hyperparameters, sum(part.seconds for part in parts))

    @property
    def mean_loss(self) -> float:
        """Loss averaged over the rows seen."""
        return float(np.average(self.loss.astype(np.float64), weights=self.batch_size))


class Trainer:
    """Trains a model on arrays, a stretch of updates at a time.

    Args:
        model: any Module; its parameters are updated in place.
        x, y: training data, one row each; x takes the dtype of the model's parameters.
        loss: ``loss(model(x), y)`` gives a scalar, the mean over the batch.
        optimizer: any ``gradlab.optim.Optimizer``.
        batch_size: rows of a batch, or a function of t (in epochs) that gives them.
        seed: of the order of rows and of the model's random streams.
        shuffle: whether each epoch has a new order.
        drop_last: whether the rows left over at an epoch's end are dropped.
        executor: what runs the updates.

    Raises:
        ArgumentError: batches larger than the data.
        ShapeError: x and y differ in length, or do not fit the model.

    >>> import numpy as np
    >>> from gradlab import nn, optim
    >>> x = np.linspace(-1, 1, 32).reshape(-1, 1)
    >>> trainer = Trainer(nn.Linear(1, 1), x, 3 * x, nn.mse_loss, optim.SGD(0.5), batch_size=8)
    >>> record = trainer.advance(40)
    >>> record.loss[0] > 1, bool(record.loss[-1] < 1e-6), trainer.epoch
    (True, True, 10.0)
    """

    def __init__(
        self,
        model: Module,
        x: Any,
        y: Any,
        loss: Loss,
        optimizer: Optimizer,
        *,
        batch_size: BatchSize = 32,
        seed: int = 0,
        shuffle: bool = True,
        drop_last: bool = False,
        executor: str = "numpy",
    ) -> None:
        self.model = model
        self.loss = loss
        self.optimizer = optimizer
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.executor = executor
        parameters = model.named_parameters()
        if not parameters:
            raise ArgumentError("the model has no parameters to train")
        self.dtype = next(iter(parameters.values())).dtype
        self.x, self.y = _rows(x, self.dtype), _rows(y, self.dtype)
        if len(self.x) != len(self.y):
            raise ShapeError(f"x has {len(self.x)} rows and y {len(self.y)}")
        self.optimizer_state = optimizer.init(parameters)
        model.reseed(seed)
        self.updates = 0
        self._epoch, self._batch = 0, 0
        self._order = self._batches()
        self._loops: OrderedDict[int, Loop] = OrderedDict()
        self._predict = compile(lambda x: self._in_mode(False, x), executor)

    # --- where it stands ---------------------------------------------------------------------

    @property
    def epoch(self) -> float:
        """Time t in epochs: rows seen in this epoch over rows in an epoch, plus epochs done."""
        return self._epoch + self._seen(self._batch) / len(self.x)

    @property
    def updates_left(self) -> int:
        """Updates until the end of this epoch."""
        return len(self._order) - self._batch

    def _batches(self) -> list[Array]:
        return batches(
            len(self.x),
            self.batch_size,
            epoch=self._epoch,
            seed=self.seed,
            shuffle=self.shuffle,
            drop_last=self.drop_last,
        )

    def _seen(self, batch: int) -> int:
        return sum(len(rows) for rows in self._order[:batch])

    def variables(self) -> dict[str, Variable]:
        """Everything that training changes: weights, statistics, random counters, slots."""
        model = {f"model/{k}": v for k, v in self.model.named_variables().items()}
        slots = self.optimizer_state.named_variables()
        return model | {f"optimizer/{k}": v for k, v in slots.items()}

    def state(self) -> dict[str, Array]:
        """All that is needed to go on from here to the same bits: arrays by name."""
        place = {"trainer/update": self.updates, "trainer/epoch": self._epoch}
        place["trainer/batch"] = self._batch
        counters = {name: np.asarray(number, np.int64) for name, number in place.items()}
        return counters | {k: v.held.value.copy() for k, v in self.variables().items()}

    def restore(self, state: Mapping[str, Array]) -> None:
        """Go back to a state that ``state`` gave.

        Raises:
            RunError: the state is of another model or optimizer; nothing is changed.
        """
        variables = self.variables()
        for name, variable in variables.items():
            if name not in state or state[name].shape != variable.shape:
                found = f"shape {state[name].shape}" if name in state else "nothing"
                raise RunError(f"the state has {found} for {name}, expected {variable.shape}")
        for name, variable in variables.items():
            variable.assign(Tensor(np.array(state[name])))
        self.updates = int(state["trainer/update"])
        self._epoch, self._batch = int(state["trainer/epoch"]), int(state["trainer/batch"])
        self._order = self._batches()

    # --- training ----------------------------------------------------------------------------

    def advance(self, updates: int | None = None) -> Record:
        """Do so many updates, or finish the epoch if none are named.

        Raises:
            DivergenceError: a weight or the loss stopped being finite; the model is left as it
                was before that update.
        """
        if updates is None:
            updates = self.updates_left
        elif updates < 1:
            raise ArgumentError(f"updates must be at least 1, got {updates}")
        parts: list[Record] = []
        while updates > 0:
            stretch = self._order[self._batch : self._batch + updates]
            for _, group in groupby(stretch, key=len):
                parts.append(self._run(np.stack(list(group))))
            updates -= len(stretch)
            if self._batch == len(self._order):
                self._epoch, self._batch = self._epoch + 1, 0
                self._order = self._batches()
        return Record.join(parts)

    def _run(self, indices: Array) -> Record:
        """Updates over batches of one size."""
        start = time.perf_counter()
        count, rows = indices.shape
        seen = self._seen(self._batch)
        epochs = self._epoch + (seen + rows * np.arange(count)) / len(self.x)
        values = [self.optimizer.hyperparameters(float(t)) for t in epochs]
        stepped = [list(value.values()) for value in values]
        before = {variable: variable.held for variable in self.variables().values()}
        loop = self._loop(rows)
        losses, finite = loop.run(indices, stepped)
        if not finite[-1]:
            failed = len(losses) - 1
            for variable, held in before.items():
                variable.assign(held)
            if failed:
                loop.run(indices[:failed], stepped[:failed])
            self.updates, self._batch = self.updates + failed, self._batch + failed
            raise DivergenceError(self._diagnosis(indices[failed], values[failed], loop))
        self.updates, self._batch = self.updates + count, self._batch + count
        return Record(
            np.arange(self.updates - count + 1, self.updates + 1),
            epochs,
            losses,
            np.full(count, rows),
            {name: np.array([value[name] for value in values]) for name in values[0]},
            time.perf_counter() - start,
        )

    def _loop(self, rows: int) -> Loop:
        """The compiled loop for batches of so many rows."""
        if rows not in self._loops:
            names = list(self.optimizer.hyperparameters(0.0))
            weights = self.model.parameters()

            def step(x: Tensor, y: Tensor, *numbers: Tensor) -> tuple[Tensor, Tensor]:
                hyper = dict(zip(names, numbers, strict=True))
                loss = self.optimizer.minimize(
                    lambda: self.loss(self._in_mode(True, x), y), self.optimizer_state, hyper
                )
                finite = isfinite(loss)
                for weight in weights:
                    finite = logical_and(finite, isfinite(weight).min())
                return loss.named("loss"), finite

            specs = [Spec((rows, *a.shape[1:]), a.dtype) for a in (self.x, self.y)]
            specs += [Spec((), np.float64, weak=True, name=name) for name in names]
            graph = trace(step, *specs)
            self._loops[rows] = Loop(graph, [self.x, self.y], self.executor, halt=1)
            if len(self._loops) > LOOPS_KEPT:
                self._loops.popitem(last=False)
        self._loops.move_to_end(rows)
        return self._loops[rows]

    def _in_mode(self, training: bool, x: Tensor) -> Tensor:
        """The model's output in training or in evaluation mode."""
        before = self.model.training
        self.model.train(training)
        try:
            output: Tensor = self.model(x)
        finally:
            self.model.train(before)
        return output

    def _diagnosis(self, rows: Array, hyper: Mapping[str, float], loop: Loop) -> str:
        """One line on the update that failed, from running it node by node."""
        graph = loop.program.graph
        inputs = [self.x[rows], self.y[rows], *(np.asarray(v) for v in hyper.values())]
        state = [variable.held.value for variable, _ in graph.captured]
        first = NumpyProgram(graph).first_nonfinite(inputs, state)
        rate = f" (lr = {hyper['lr']:g})" if "lr" in hyper else ""
        return (
            f"training diverged at update {self.updates + 1}, epoch {self._epoch + 1}{rate}: "
            f"the first tensor that is not finite is {_describe(first)}; "
            "lower the learning rate, clip the gradient or check the data"
        )

    # --- looking -----------------------------------------------------------------------------

    def predict(self, x: Any) -> Array:
        """The model's output in evaluation mode, a row for each row of x."""
        x = _rows(x, self.dtype)
        parts = [x[i : i + EVALUATION_ROWS] for i in range(0, len(x), EVALUATION_ROWS)]
        return np.concatenate([self._predict(part).numpy() for part in parts])

    def evaluate(
        self, x: Any, y: Any, metrics: Mapping[str, Callable[[Array, Array], float]] | None = None
    ) -> dict[str, float]:
        """Loss and metrics of the model in evaluation mode."""
        output, target = self.predict(x), _rows(y, self.dtype)
        found = {"loss": self.loss(Tensor(output), Tensor(target)).item()}
        return found | {name: metric(output, target) for name, metric in (metrics or {}).items()}


def _rows(array: Any, dtype: Any) -> Array:
    """Data as an array that can be picked from by rows; floats in the model's dtype."""
    found = np.asarray(array)
    if found.dtype.kind == "f":
        found = found.astype(dtype, copy=False)
    return np.ascontiguousarray(found)


def _describe(node: Tensor | None) -> str:
    """A tensor in words that a user of the model knows."""
    if node is None:
        return "one of another executor only (NumPy stays finite)"
    if node.name:
        return f"{node.name} {node.shape}"
    if node.op is None:
        return f"an input of shape {node.shape}"
    near = next((name for x in node.inputs if (name := _nearest_name(x))), None)
    return f"{node.op.name}{node.shape}" + (f", computed from {near}" if near else "")


def _nearest_name(node: Tensor) -> str | None:
    """Name of the closest named ancestor."""
    level: list[Tensor] = [node]
    seen: set[int] = set()
    while level:
        for x in level:
            if x.name and isinstance(x, Symbol):
                return x.name
        seen.update(id(x) for x in level)
        level = [y for x in level for y in x.inputs if id(y) not in seen]
    return None
