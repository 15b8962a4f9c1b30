"""``fit``: a whole training, with validation, callbacks and checkpoints."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gradlab.data import Split, for_tuning
from gradlab.errors import RunError
from gradlab.graph import Tensor
from gradlab.graph.variable import changing
from gradlab.nn import Module
from gradlab.optim import Optimizer
from gradlab.train.callbacks import Callback
from gradlab.train.evaluate import Loss, Metric
from gradlab.train.history import History
from gradlab.train.progress import LiveProgress
from gradlab.train.record import Record
from gradlab.train.trainer import BatchSize, Trainer
from gradlab.train.training import Pair, Training, check_budget

if TYPE_CHECKING:
    from gradlab.train.run import RunFolder

STRETCH_SECONDS = 0.2
"""How long updates run before the display moves."""


def fit(
    model: Module,
    train: Split | Pair,
    *,
    loss: Loss,
    optimizer: Optimizer,
    epochs: int | None = None,
    updates: int | None = None,
    evaluate_every: int | None = None,
    validation: Split | Pair | None = None,
    metrics: Mapping[str, Metric] | None = None,
    batch_size: BatchSize = 32,
    micro_batch: int | None = None,
    shuffle: bool = True,
    drop_last: bool = False,
    seed: int = 0,
    callbacks: Sequence[Callback] = (),
    keep_best: bool = True,
    progress: bool = True,
    run: RunFolder | None = None,
    executor: str = "native",
) -> History:
    """Train a model, and leave it with its best or its last weights.

    Args:
        model: updated in place.
        train: training rows, a Split or a pair (x, y).
        loss: ``loss(model(x), y)`` gives a scalar.
        optimizer: its hyperparameters may be schedules.
        epochs: passes over the data, at least 1; or else
        updates: updates in all, at least 1. Schedules are functions of epochs then too.
        evaluate_every: updates from one row of the history to the next: there the model is looked
            at, callbacks are called and the checkpoint is written. By default an epoch; with
            ``updates``, a tenth of them if an epoch takes longer.
        validation: rows that are only looked at, at each of these times; a test split is refused.
        metrics: further measurements on the validation rows, by name.
        batch_size: rows of a batch, or a schedule or function of t (in epochs) that gives them.
        micro_batch: rows that memory has to hold at once; see ``Trainer``.
        shuffle: whether each epoch has a new order of rows.
        drop_last: whether the rows left over at an epoch's end are dropped.
        seed: of the order of rows and the model's random streams.
        callbacks: see ``Callback``.
        keep_best: leave the model with the weights of the best row by validation loss.
        progress: whether to show how it goes.
        run: folder for checkpoints; if it holds one, the training goes on from there.
        executor: what runs the updates.

    Raises:
        ArgumentError: neither epochs nor updates, both, or one below 1.
        DivergenceError: the loss, a weight or a slot of the optimizer stopped being finite.
        DataError: ``train`` or ``validation`` is a test split.
        RunError: the run folder cannot be written, or holds a training of another kind, or one
            without the weights of its best row.

    >>> import numpy as np
    >>> from gradlab import nn, optim
    >>> x = np.linspace(-1, 1, 64).reshape(-1, 1)
    >>> history = fit(nn.Linear(1, 1), (x, 3 * x), loss=nn.mse_loss, optimizer=optim.SGD(0.5),
    ...               epochs=10, validation=(x, 3 * x), progress=False)
    >>> history["validation_loss"][-1] < 1e-6
    np.True_
    """
    check_budget(epochs, updates, evaluate_every)
    x, y = _pair(train)
    trainer = Trainer(
        model,
        x,
        y,
        loss,
        optimizer,
        batch_size=batch_size,
        micro_batch=micro_batch,
        shuffle=shuffle,
        drop_last=drop_last,
        seed=seed,
        executor=executor,
    )
    trainer.check_batches(epochs, updates)
    training = Training(trainer, epochs, updates, evaluate_every)
    if validation is not None:
        training.validation = trainer.arrays(*_pair(validation))
    if run is not None:
        run.restore(training)
        if keep_best:
            _check_best(training)
    hooks = [*callbacks, *([LiveProgress()] if progress else [])]
    started: list[Callback] = []
    try:
        for hook in hooks:
            hook.on_start(training)
            started.append(hook)
        if run is not None:
            run.checkpoint(training)
        while not training.ended:
            record = _advance(training, hooks)
            row = _measure(training, record, metrics)
            training.history.append(row)
            _keep_best(training, keep_best)
            # Every callback hears of it, whatever the others say.
            answers = [hook.on_epoch(training, row) for hook in hooks]
            training.stopped = any(answers)
            if run is not None:
                run.checkpoint(training)
    finally:
        for hook in reversed(started):
            hook.on_end(training)
    if keep_best:
        _take_best(training)
    return training.history


def _take_best(training: Training) -> None:
    """Leave the model with the weights that were kept, unless it has become another one."""
    variables, best = training.trainer.model.named_variables(), training.best
    if best is None:
        return
    if {k: x.shape for k, x in best.items()} != {k: v.shape for k, v in variables.items()}:
        warnings.warn(
            "the model has its last weights: those of its best row are of other layers, which were "
            "replaced or added later",
            stacklevel=3,
        )
        return
    with changing:
        for name, value in best.items():
            variables[name].assign(Tensor(value))


def _pair(rows: Split | Pair) -> Pair:
    if isinstance(rows, Split):
        chosen = for_tuning(rows)
        return chosen.x, chosen.y
    return rows


def _advance(training: Training, hooks: Sequence[Callback]) -> Record:
    """Updates up to the next row of the history, in pieces as long as an eye can wait."""
    trainer = training.trainer
    parts: list[Record] = []
    stretch = 16
    while not parts or not training.due:
        record = trainer.advance(min(stretch, training.updates_left))
        parts.append(record)
        stretch = max(1, int(stretch * min(4.0, STRETCH_SECONDS / max(record.seconds, 1e-9))))
        for hook in hooks:
            hook.on_advance(training, record)
    return Record.join(parts)


def _measure(
    training: Training, record: Record, metrics: Mapping[str, Metric] | None
) -> dict[str, Any]:
    """A row of the history."""
    epoch = training.trainer.epoch
    row: dict[str, Any] = {
        "epoch": int(epoch) if epoch == int(epoch) else epoch,
        "update": training.trainer.updates,
        "loss": record.mean_loss,
    }
    if training.validation is not None:
        found = training.trainer.evaluate(*training.validation, metrics)
        row |= {f"validation_{name}": value for name, value in found.items()}
    row |= {name: float(values[-1]) for name, values in record.hyperparameters.items()}
    return row | {"batch_size": int(record.batch_size[0]), "seconds": round(record.seconds, 6)}


def _check_best(training: Training) -> None:
    """Refuse to go on from a history whose best row has no weights."""
    history = training.history
    known = training.validation is not None and "validation_loss" in list(history)
    if training.best is None and known and history.best("validation_loss") is not None:
        raise RunError(
            "the weights of the best row so far were not kept (the run began with "
            "keep_best=False): give keep_best=False again, or begin another run"
        )


def _keep_best(training: Training, kept: bool) -> None:
    """Hold on to the weights if these are the best so far; never to those of another row."""
    if training.validation is None:
        return
    if training.history.best("validation_loss") == len(training.history.rows) - 1:
        variables = training.trainer.model.named_variables()
        training.best = {name: v.held.value for name, v in variables.items()} if kept else None
