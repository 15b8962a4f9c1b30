"""``fit``: a whole training, epoch by epoch, with validation, callbacks and checkpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gradlab.data import Split, for_tuning
from gradlab.errors import ArgumentError
from gradlab.graph import Tensor
from gradlab.graph.dtypes import Array
from gradlab.nn import Module
from gradlab.optim import Optimizer
from gradlab.train.callbacks import Callback
from gradlab.train.history import History
from gradlab.train.metrics import Metric
from gradlab.train.progress import LiveProgress
from gradlab.train.trainer import BatchSize, Loss, Record, Trainer

if TYPE_CHECKING:
    from gradlab.train.run import RunFolder

Pair = tuple[Any, Any]
STRETCH_SECONDS = 0.2
"""How long updates run before the display moves."""


@dataclass
class Training:
    """A training in progress, as callbacks see it.

    Attributes:
        trainer: what does the updates.
        epochs: how many are planned.
        history: the epochs done.
        validation: the validation arrays, or None.
        best: the model's variables after the best epoch by validation loss, or None.
        best_epoch: that epoch, from 1.
        stopped: whether a callback ended the training early.
    """

    trainer: Trainer
    epochs: int
    history: History = field(default_factory=History)
    validation: Pair | None = None
    best: dict[str, Array] | None = None
    best_epoch: int | None = None
    stopped: bool = False


def fit(
    model: Module,
    train: Split | Pair,
    *,
    loss: Loss,
    optimizer: Optimizer,
    epochs: int,
    validation: Split | Pair | None = None,
    metrics: Mapping[str, Metric] | None = None,
    batch_size: BatchSize = 32,
    seed: int = 0,
    callbacks: Sequence[Callback] = (),
    keep_best: bool = True,
    progress: bool = True,
    run: RunFolder | None = None,
    executor: str = "numpy",
) -> History:
    """Train a model, and leave it with its best or its last weights.

    Args:
        model: updated in place.
        train: training rows, a Split or a pair (x, y).
        loss: ``loss(model(x), y)`` gives a scalar.
        optimizer: its hyperparameters may be schedules.
        epochs: passes over the data, at least 1.
        validation: rows that are only looked at after each epoch; a test split is refused.
        metrics: further measurements on the validation rows, by name.
        batch_size: rows of a batch, or a function of t (in epochs) that gives them.
        seed: of the order of rows and the model's random streams.
        callbacks: see ``Callback``.
        keep_best: leave the model with the weights of the best epoch by validation loss.
        progress: whether to show how it goes.
        run: folder for checkpoints; if it holds one, the training goes on from there.
        executor: what runs the updates.

    Raises:
        DivergenceError: the loss or a weight stopped being finite.
        DataError: ``validation`` is a test split.

    >>> import numpy as np
    >>> from gradlab import nn, optim
    >>> x = np.linspace(-1, 1, 64).reshape(-1, 1)
    >>> history = fit(nn.Linear(1, 1), (x, 3 * x), loss=nn.mse_loss, optimizer=optim.SGD(0.5),
    ...               epochs=10, validation=(x, 3 * x), progress=False)
    >>> history["validation_loss"][-1] < 1e-6
    np.True_
    """
    if epochs < 1:
        raise ArgumentError(f"epochs must be at least 1, got {epochs}")
    x, y = _pair(train)
    trainer = Trainer(
        model, x, y, loss, optimizer, batch_size=batch_size, seed=seed, executor=executor
    )
    training = Training(trainer, epochs, validation=_pair(validation) if validation else None)
    if run is not None:
        run.restore(training)
    shown = [*callbacks, *([LiveProgress()] if progress else [])]
    try:
        for callback in shown:
            callback.on_start(training)
        if run is not None:
            run.checkpoint(training)
        while len(training.history.rows) < epochs and not training.stopped:
            record = _epoch(training, shown)
            row = _measure(training, record, metrics)
            training.history.append(row)
            if keep_best:
                _keep_best(training)
            # Every callback hears of the epoch, whatever the others say.
            training.stopped = any([callback.on_epoch(training, row) for callback in shown])
            if run is not None:
                run.checkpoint(training)
    finally:
        for callback in reversed(shown):
            callback.on_end(training)
    if keep_best and training.best is not None:
        variables = model.named_variables()
        for name, value in training.best.items():
            variables[name].assign(Tensor(value))
    return training.history


def _pair(rows: Split | Pair) -> Pair:
    if isinstance(rows, Split):
        chosen = for_tuning(rows)
        return chosen.x, chosen.y
    return rows


def _epoch(training: Training, callbacks: Sequence[Callback]) -> Record:
    """The rest of an epoch, in stretches that last as long as an eye can wait."""
    trainer = training.trainer
    goal = int(trainer.epoch) + 1
    parts: list[Record] = []
    stretch = 16
    while trainer.epoch < goal:
        record = trainer.advance(min(stretch, trainer.updates_left))
        parts.append(record)
        stretch = max(1, int(stretch * min(4.0, STRETCH_SECONDS / max(record.seconds, 1e-9))))
        for callback in callbacks:
            callback.on_advance(training, record)
    return Record.join(parts)


def _measure(
    training: Training, record: Record, metrics: Mapping[str, Metric] | None
) -> dict[str, Any]:
    """An epoch's row of the history."""
    row: dict[str, Any] = {
        "epoch": len(training.history.rows) + 1,
        "update": training.trainer.updates,
        "loss": record.mean_loss,
    }
    if training.validation is not None:
        found = training.trainer.evaluate(*training.validation, metrics)
        row |= {f"validation_{name}": value for name, value in found.items()}
    row |= {name: float(values[-1]) for name, values in record.hyperparameters.items()}
    return row | {"batch_size": int(record.batch_size[0]), "seconds": round(record.seconds, 6)}


def _keep_best(training: Training) -> None:
    """Hold on to the weights if this epoch is the best so far."""
    if training.validation is None:
        return
    last = len(training.history.rows) - 1
    if training.history.best("validation_loss") == last:
        variables = training.trainer.model.named_variables()
        training.best = {name: v.held.value for name, v in variables.items()}
        training.best_epoch = last + 1
