"""Trainer: the one object that every way of training drives."""

from __future__ import annotations

import copy
import math
import time
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from gradlab.data import batch_sizes, batches
from gradlab.errors import ArgumentError, DivergenceError, GradlabError, RunError, ShapeError
from gradlab.execute import Loop
from gradlab.execute.compiled import Recordings
from gradlab.graph import (
    Graph,
    Spec,
    Tensor,
    Variable,
    as_tensor,
    isfinite,
    logical_and,
    trace,
)
from gradlab.graph.dtypes import Array
from gradlab.graph.trace import dry_run
from gradlab.graph.tree import rebuild
from gradlab.graph.variable import changing
from gradlab.nn import Module
from gradlab.nn.module import in_mode
from gradlab.optim import Chain, Optimizer, Part
from gradlab.optim.state import State
from gradlab.train.divergence import first_bad
from gradlab.train.evaluate import ROWS, Evaluator, Loss, Metric
from gradlab.train.record import Record
from gradlab.train.rows import as_rows, extremes
from gradlab.train.stretch import Stretch

LONGEST = 1 << 22
"""Row numbers of a stretch: enough that starting one takes no time beside its updates."""
BatchSize = int | Callable[[float], float]
LOOPS_KEPT = 16
"""Compiled loops kept, one for each batch size; growing batches meet many sizes."""
ROWS_SEEN, ROWS_IN_ALL = "trainer/rows_seen", "trainer/rows"
"""Names of the rows used in the epoch at hand, and of all there are, in a state."""
PLACE = ("trainer/update", "trainer/epoch", "trainer/batch")
"""Names of the numbers in a state that say where in the data the training stands."""


TRAINABLE = "trainer/trainable"
"""Name of what a state says of each Variable of the model: whether it is trainable."""


class Trainer:
    """Trains a model on arrays, a stretch of updates at a time.

    Args:
        model: any Module; its parameters are updated in place.
        x, y: training data, one row each; x takes the dtype of the model's parameters.
        loss: ``loss(model(x), y)`` gives a scalar, the mean over the batch.
        optimizer: any ``gradlab.optim.Optimizer``.
        batch_size: rows of a batch, or a schedule or function of t (in epochs) that gives them,
            rounded and up to all rows.
        seed: of the order of rows and of the model's random streams.
        shuffle: whether each epoch has a new order.
        drop_last: whether the rows left over at an epoch's end are dropped.
        micro_batch: rows that memory has to hold at once: a batch of more is cut into as few equal
            parts as possible, and their gradients add up. Layers with statistics of a batch, such
            as BatchNorm, take them of a part. None: batches stay whole.
        executor: what runs the updates.

    Raises:
        ArgumentError: batches larger than the data, or targets that the loss cannot take.
        ShapeError: x and y differ in length, or do not fit the model and the loss.
        DTypeError: data that are no numbers.

    >>> import numpy as np
    >>> from gradlab import nn, optim
    >>> x = np.linspace(-1, 1, 32).reshape(-1, 1)
    >>> trainer = Trainer(nn.Linear(1, 1), x, 3 * x, nn.mse_loss, optim.SGD(0.5), batch_size=8)
    >>> record = trainer.advance(40)
    >>> bool(record.loss[0] > 1), bool(record.loss[-1] < 1e-6), trainer.epoch
    (True, True, 10.0)
    """

    _unwatched = frozenset(
        {"x", "y", "dtype", "batch_size", "seed", "shuffle", "drop_last", "updates"}
        | {"_epoch", "_batch", "_planned", "_loops", "_evaluator", "_unused"}
    )

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
        micro_batch: int | None = None,
        executor: str = "native",
    ) -> None:
        self.model = model
        self.loss = loss
        self.optimizer = optimizer
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.micro_batch = micro_batch
        self.executor = executor
        if micro_batch is not None and micro_batch < 1:
            raise ArgumentError(f"micro_batch must be 1 row or more, got {micro_batch}")
        parameters = model.name_variables().named_parameters()
        if not parameters:
            raise ArgumentError("the model has no parameters to train")
        self.dtype = next(iter(parameters.values())).dtype
        self.x, self.y = self._pair(x, y)
        self.optimizer_state = optimizer.init(parameters)
        self._rule = _rule(optimizer)
        self._sums: list[Variable] = []
        self._unused: set[str] = set()
        self.updates = 0
        self._epoch, self._batch = 0, 0
        self._planned: tuple[int, list[Array]] = (-1, [])
        self._loops: OrderedDict[int, Recordings[Loop]] = OrderedDict()
        self._evaluator = Evaluator(model, executor)
        first = self._batches(0)[0][0]
        rows = first[: len(first) // self.parts(len(first))]
        try:
            with self._modes():
                self._try(self.x, self.y, rows)
        except GradlabError:  # what does not fit in evaluation either is told as it is there,
            with in_mode(model, training=False):  # where no random layer stands in between
                self._try(self.x, self.y, rows)
            raise
        self._tried = {len(rows)}
        self.check_batches(1)
        model.reseed(seed)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_loops": OrderedDict()}  # made again when they are needed

    def __deepcopy__(self, memo: dict[int, Any]) -> Trainer:
        """A Trainer of a copy of the model and the state, over the same data."""
        memo |= {id(data): data for data in (self.x, self.y)}
        other = copy.copy(self)
        memo[id(self)] = other
        vars(other).update(copy.deepcopy(vars(other), memo))
        return other

    def arrays(self, x: Any, y: Any) -> tuple[Array, Array]:
        """Data as arrays to evaluate on, floats in the model's dtype.

        Raises:
            ShapeError: x and y differ in length, or do not fit the model and the loss.
            DTypeError: they are no numbers.
            ArgumentError: targets that the loss cannot take.
        """
        x, y = self._pair(x, y)
        with in_mode(self.model, training=False):
            self._try(x, y, np.arange(min(len(x), ROWS)))
        return x, y

    def _pair(self, x: Any, y: Any) -> tuple[Array, Array]:
        """Rows as arrays, as many of each."""
        x, y = as_rows("x", x, self.dtype), as_rows("y", y, self.dtype)
        if len(x) != len(y):
            raise ShapeError(f"x has {len(x)} rows and y {len(y)}; they must be as many")
        if not len(x):
            raise ShapeError("x has no rows")
        return x, y

    def check_batches(self, epochs: int | None, updates: int | None = None) -> None:
        """Check that model and loss can take every batch of so many epochs or updates.

        Raises:
            ArgumentError: they cannot, such as BatchNorm of a single row that is left over.
        """
        for rows, epoch in self._sizes(epochs, updates).items():
            parts = self.parts(rows)
            if rows // parts in self._tried:
                continue
            try:
                with self._modes():
                    self._try(self.x, self.y, np.arange(rows // parts))
            except GradlabError as error:
                size = "a schedule" if callable(self.batch_size) else f"{self.batch_size}"
                batch = f"{rows} row{'s' * (rows != 1)}"
                choice = "batch size"
                if parts > 1:
                    batch, choice = f"{batch} in {parts} parts", f"{choice} or micro_batch"
                raise ArgumentError(
                    f"{len(self.x)} rows in batches of {size} leave one of {batch} in epoch "
                    f"{epoch + 1}, which the model or the loss cannot take ({error}): choose "
                    f"another {choice}, or drop_last if it is what an epoch leaves over"
                ) from error
            self._tried.add(rows // parts)

    def _sizes(self, epochs: int | None, updates: int | None) -> dict[int, int]:
        """Rows of all batches of so many epochs or updates, and the epoch where each is first."""
        first: dict[int, int] = {}
        left = math.inf if updates is None else updates
        epoch = 0
        while left > 0 and (epochs is None or epoch < epochs):
            for rows, count in batch_sizes(len(self.x), self.batch_size, epoch, self.drop_last):
                if left > 0:
                    first.setdefault(rows, epoch)
                left -= count
            epoch += 1
            if not callable(self.batch_size):
                break
        return first

    def _try(self, x: Array, y: Array, rows: Array) -> None:
        """Check that the loss can take a batch as large as these rows, and the targets' range."""

        def step(x: Tensor, y: Tensor) -> tuple[Any, Tensor]:
            output = self.model(x)
            return output, self.loss(output, y)

        specs = [Spec((len(rows), *a.shape[1:]), a.dtype) for a in (x, y)]
        graph = trace(step, *specs, reads=())
        *outputs, loss = graph.outputs
        if loss.shape:
            raise ShapeError(f"the loss has shape {loss.shape}; reduce it with gradlab.mean")
        # Targets out of range are seen by a loss only where it has numbers: here, beside zeros. The
        # smallest and the largest of them tell for all, and others fill the batch. What a loss
        # has against such a batch otherwise does not matter.
        zeros = [Tensor(np.zeros(x.shape, x.dtype)) for x in outputs]
        output = rebuild(graph.structure[0], iter(zeros))
        ends = extremes(y)
        for start in range(0, len(ends), len(rows)):
            chosen = np.concatenate([ends[start:], rows])[: len(rows)]
            try:
                with np.errstate(all="ignore"):
                    dry_run(self.loss, output, Tensor(y[chosen]))
            except (GradlabError, IndexError):
                raise
            except Exception:
                return

    # --- where it stands ---------------------------------------------------------------------

    @property
    def epoch(self) -> float:
        """Time t in epochs: rows seen in this epoch over rows in an epoch, plus epochs done."""
        return self._epoch + self._seen() / len(self.x)

    @property
    def updates_left(self) -> int:
        """Updates until the end of this epoch."""
        return sum(map(len, self._batches(self._epoch))) - self._batch

    def _batches(self, epoch: int) -> list[Array]:
        """The batches of an epoch, planned when they are first asked for."""
        if self._planned[0] != epoch:
            planned = batches(
                len(self.x),
                self.batch_size,
                epoch=epoch,
                seed=self.seed,
                shuffle=self.shuffle,
                drop_last=self.drop_last,
            )
            self._planned = (epoch, planned)
        return self._planned[1]

    def _seen(self) -> int:
        """Rows used in this epoch."""
        if not self._batch:
            return 0
        sizes = [m.shape[1] for m in self._batches(self._epoch) for _ in m]
        return sum(sizes[: self._batch])

    def _stretches(self, updates: int) -> Iterator[Stretch]:
        """The next so many updates, those with batches of one size together."""
        waiting: list[Stretch] = []
        epoch, skip = self._epoch, self._batch
        while updates > 0:
            number, seen = 0, 0
            planned = self._batches(epoch)
            last = sum(map(len, planned))
            for matrix in planned:
                count, rows = matrix.shape
                numbers = number + np.arange(count)
                times = epoch + (seen + rows * np.arange(count)) / len(self.x)
                done = numbers + 1 == last
                after = np.stack([epoch + done, np.where(done, 0, numbers + 1)], axis=1)
                part = slice(max(skip - number, 0), max(skip - number, 0) + updates)
                stretch = Stretch(matrix[part], times[part], after[part])
                number, seen = number + count, seen + matrix.size
                if not len(stretch.rows):
                    continue
                updates -= len(stretch.rows)
                full = len(waiting) * stretch.rows.size > LONGEST
                if waiting and (full or not waiting[-1].goes_on_with(stretch)):
                    yield Stretch.join(waiting)
                    waiting = []
                waiting.append(stretch)
                if updates == 0:
                    break
            epoch, skip = epoch + 1, 0
        if waiting:
            yield Stretch.join(waiting)

    def variables(self) -> dict[str, Variable]:
        """Everything that training changes: weights, statistics, random counters, slots."""
        self._follow()
        return self._variables(self.optimizer_state)

    def _variables(self, slots: State) -> dict[str, Variable]:
        model = {f"model/{k}": v for k, v in self.model.named_variables().items()}
        return model | {f"optimizer/{k}": v for k, v in slots.named_variables().items()}

    def state(self) -> dict[str, Array]:
        """All that is needed to go on from here to the same bits: arrays by name."""
        with changing:
            place = dict(zip(PLACE, (self.updates, self._epoch, self._batch), strict=True))
            place |= {ROWS_SEEN: self._seen(), ROWS_IN_ALL: len(self.x)}
            counters = {name: np.asarray(number, np.int64) for name, number in place.items()}
            trainable = [v.trainable for v in self.model.named_variables().values()]
            arrays = {k: v.held.value.copy() for k, v in self.variables().items()}
        return counters | {TRAINABLE: np.array(trainable)} | arrays

    def restore(self, state: Mapping[str, Array]) -> None:
        """Go back to a state that ``state`` gave; parameters are trainable as they were then.

        Time goes on from the same t, also with other batches, if one of them begins there.

        Raises:
            RunError: the state is of another model or optimizer, or of an epoch's part that batches
                of this size or rows of this number do not have; nothing is changed.
        """
        batch = self._place(state)
        self._follow()
        named = self.model.named_variables()
        flags = np.asarray(state.get(TRAINABLE, [v.trainable for v in named.values()]))
        if flags.shape != (len(named),):
            raise RunError(f"the state lacks {TRAINABLE}; it is of another model or optimizer")
        trainable = dict(zip(named, flags.tolist(), strict=True))
        slots = self._slots(
            {k: v for k, v in named.items() if trainable[k] or self._has_slots(state, k)},
            {k for k in named if f"optimizer/{k}.count" in state},
        )
        variables = self._variables(slots)
        expected = {name: (v.shape, v.dtype) for name, v in variables.items()}
        expected |= dict.fromkeys(PLACE, ((), np.dtype(np.int64)))
        for name, (shape, dtype) in expected.items():
            if name not in state:
                raise RunError(f"the state lacks {name}; it is of another model or optimizer")
            if (state[name].shape, state[name].dtype) != (shape, dtype):
                raise RunError(
                    f"the state has {state[name].dtype} {state[name].shape} for {name}, which is "
                    f"{dtype} {shape} here; it is of another model or optimizer"
                )
        with changing:
            for name, variable in named.items():
                variable.trainable = trainable[name]
            self._use(slots)
            for name, variable in variables.items():
                variable.assign(Tensor(np.array(state[name])))
            self.updates, self._epoch = (int(state[name]) for name in PLACE[:2])
            self._batch = batch

    def _place(self, state: Mapping[str, Array]) -> int:
        """Number of the batch in its epoch at which a state stands."""
        if any(name not in state for name in (*PLACE, ROWS_SEEN, ROWS_IN_ALL)):
            return int(state.get(PLACE[2], 0))  # of an earlier version, or no state
        epoch, seen, rows = (int(state[name]) for name in (PLACE[1], ROWS_SEEN, ROWS_IN_ALL))
        if not seen:
            return 0
        planned = batches(
            len(self.x),
            self.batch_size,
            epoch=epoch,
            seed=self.seed,
            shuffle=False,
            drop_last=self.drop_last,
        )
        sizes = [matrix.shape[1] for matrix in planned for _ in matrix]
        ends = np.cumsum(sizes).tolist()
        if rows == len(self.x) and seen in ends[:-1]:
            return int(ends.index(seen)) + 1
        raise RunError(
            f"the state stands after {seen} of {rows} rows of epoch {epoch + 1}, where no batch "
            f"begins in batches of {sizes[0]} of {len(self.x)} rows: go on with the same data and "
            "batch size, or change them at the end of an epoch"
        )

    # --- what the user changes ---------------------------------------------------------------

    def _follow(self) -> None:
        """Have slots for all that is to be trained now, by the optimizer that is there now."""
        named, state = self.model.named_variables(), self.optimizer_state
        if _rule(self.optimizer) != self._rule:
            self._rule = _rule(self.optimizer)
            self._use(self.optimizer.init(self.model.name_variables()))
            return
        known = set(state.weights)
        weights = {k: v for k, v in named.items() if v.trainable or v in known}
        if not state.is_of(weights):
            late = bool(state.count.held.item())
            counted = {
                k for k, v in weights.items() if v in state.counts or (late and v not in known)
            }
            self.model.name_variables()
            self._use(self._slots(weights, counted))

    def _slots(self, weights: Mapping[str, Variable], counted: Set[str]) -> State:
        """The optimizer's state of these weights, which is kept where there is one."""
        state = self.optimizer_state
        if state.is_of(weights) and counted == {k for k, v in weights.items() if v in state.counts}:
            return state
        others = {k: v for k, v in weights.items() if v not in set(state.weights)}
        fresh = self.optimizer.init(others, whole=False) if others else state
        return state.over(weights, fresh, counted)

    def _has_slots(self, state: Mapping[str, Array], name: str) -> bool:
        """Whether a state has something for a weight that the optimizer remembers of it."""
        known = (*self.optimizer.slots, "count")
        return any(f"optimizer/{name}.{slot}" in state for slot in known)

    def _use(self, state: State) -> None:
        """Go on with a state of the optimizer."""
        if state is not self.optimizer_state:
            self.optimizer_state, self._sums = state, []

    def _modes(self) -> AbstractContextManager[None]:
        """Training mode, unless the model is in it: then its parts are as the user left them."""
        return nullcontext() if self.model.training else in_mode(self.model, training=True)

    def _warn(self, names: list[str]) -> None:
        """Say once of each parameter that the loss does not depend on it."""
        new = [name for name in names if name not in self._unused]
        if new:
            self._unused.update(new)
            warnings.warn(
                f"the loss does not depend on {', '.join(new)}: left as they are, without weight "
                "decay; set trainable = False on parameters that are not to be trained",
                stacklevel=2,
            )

    # --- training ----------------------------------------------------------------------------

    def advance(self, updates: int | None = None) -> Record:
        """Do so many updates, or finish the epoch if none are named.

        Raises:
            DivergenceError: the loss, a weight or a slot stopped being finite; everything is left
                as it was before that update.
        """
        if updates is None:
            updates = self.updates_left
        elif updates < 1:
            raise ArgumentError(f"updates must be at least 1, got {updates}")
        return Record.join([self._run(stretch) for stretch in self._stretches(updates)])

    def parts(self, rows: int) -> int:
        """Parts into which a batch of so many rows is cut: the fewest that are equal and fit."""
        least = 1 if self.micro_batch is None else -(-rows // self.micro_batch)
        return next(parts for parts in range(least, rows + 1) if rows % parts == 0)

    def _run(self, stretch: Stretch) -> Record:
        """Updates over batches of one size."""
        start = time.perf_counter()
        count, rows = stretch.rows.shape
        parts = self.parts(rows)
        values = self.optimizer.over(stretch.times)
        stepped = np.repeat(np.stack(list(values.values()), axis=1), parts, axis=0)
        if parts > 1:
            last = np.arange(count * parts) % parts == parts - 1
            stepped = np.concatenate([last[:, None], stepped], axis=1)
        indices = stretch.rows.reshape(count * parts, -1)
        loop = self.loop(rows)
        new, (losses, finite) = loop.run_from({}, indices, stepped)
        done = count if finite[-1] else (len(losses) - 1) // parts
        if done < count:
            new, _ = loop.run_from({}, indices[: done * parts], stepped[: done * parts])
        if done:
            with changing:
                for variable, value in new.items():
                    variable.assign(Tensor(value))
                self.updates += done
                self._epoch, self._batch = stretch.after[done - 1].tolist()
        if done < count:
            failed = slice(done * parts, (done + 1) * parts)
            named = {name.partition("/")[2]: v for name, v in self.variables().items()}
            named |= {str(v.name): v for v in self._sums}
            first = first_bad(loop, indices[failed], stepped[failed], named)
            rate = f" (lr = {values['lr'][done]:g})" if "lr" in values else ""
            raise DivergenceError(
                f"training diverged at update {self.updates + 1}, epoch {self._epoch + 1}{rate}: "
                f"the first tensor that is not finite is {first or 'none that NumPy computes'}; "
                "lower the learning rate, clip the gradient or check the data"
            )
        return Record(
            np.arange(self.updates - count + 1, self.updates + 1),
            stretch.times,
            losses if parts == 1 else losses.reshape(count, parts).mean(axis=1),
            np.full(count, rows),
            values,
            time.perf_counter() - start,
        )

    def loop(self, rows: int) -> Loop:
        """The compiled loop for batches of so many rows; it runs over the parts of a batch, if any.

        With the native executor, ``loop(32).program.explain()`` lists its kernels.
        """
        known = self._loops.setdefault(rows, Recordings())
        self._loops.move_to_end(rows)
        if len(self._loops) > LOOPS_KEPT:
            self._loops.popitem(last=False)
        with self._modes():
            return known.get(
                lambda: self._recorded(rows),
                lambda graph: Loop(graph, [self.x, self.y], self.executor, halt=1),
            )

    def _recorded(self, rows: int) -> Graph:
        """An update over a batch of so many rows, or over a part of it if it is cut."""
        self._follow()
        names = list(self.optimizer.hyperparameters(0.0))
        floats = [v for v in self.variables().values() if v.dtype.kind == "f"]
        parts = self.parts(rows)
        if parts > 1 and not self._sums:  # zeros between updates, so no part of the state
            self._sums = self.optimizer_state.sums()

        def step(x: Tensor, y: Tensor, *numbers: Tensor) -> tuple[Tensor, Tensor]:
            part = Part(self._sums, 1 / parts, numbers[0]) if parts > 1 else None
            hyper = dict(zip(names, numbers[parts > 1 :], strict=True))
            loss = self.optimizer.minimize(
                lambda: as_tensor(self.loss(self.model(x), y)).named("loss"),
                self.optimizer_state,
                hyper,
                part=part,
                on_unused=self._warn,
            )
            finite = isfinite(loss)
            for variable in floats:
                finite = logical_and(finite, isfinite(variable).min())
            return loss, finite

        arrays = {"x": self.x, "y": self.y}
        specs = [Spec((rows // parts, *a.shape[1:]), a.dtype, name=n) for n, a in arrays.items()]
        if parts > 1:
            specs.append(Spec((), np.bool_, name="last part"))
        specs += [Spec((), np.float64, weak=True, name=name) for name in names]
        return trace(step, *specs, reads=self)

    # --- looking -----------------------------------------------------------------------------

    def predict(self, x: Any) -> Any:
        """The model's output in evaluation mode, a row for each row of x; see ``Evaluator``."""
        return self._evaluation().predict(as_rows("x", x, self.dtype))

    def evaluate(
        self, x: Any, y: Any, metrics: Mapping[str, Metric] | None = None
    ) -> dict[str, float]:
        """Loss and metrics of the model in evaluation mode."""
        x, y = as_rows("x", x, self.dtype), as_rows("y", y, self.dtype)
        return self._evaluation().scores(x, y, self.loss, metrics)

    def _evaluation(self) -> Evaluator:
        """Of the model that is there now."""
        if self._evaluator.model is not self.model:
            self._evaluator = Evaluator(self.model, self.executor)
        return self._evaluator


def _rule(optimizer: Optimizer) -> Any:
    """What the slots of an optimizer belong to: its class, without transforms around it."""
    while isinstance(optimizer, Chain):
        optimizer = optimizer.optimizer
    return type(optimizer), optimizer.slots
