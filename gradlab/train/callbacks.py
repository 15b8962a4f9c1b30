"""What can be hooked into a training: called after each epoch, each a small object."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradlab.errors import ArgumentError, RunError, require
from gradlab.files import replacing
from gradlab.optim.hyper import Hyper, Scaled
from gradlab.train.files import plain

if TYPE_CHECKING:
    from gradlab.train.record import Record
    from gradlab.train.training import Training


class Callback:
    """Base of all callbacks; override what you need.

    ``on_epoch`` may return True to end the training there. If ``fit`` evaluates more or less often
    than once an epoch, it is called as often.
    """

    def on_start(self, training: Training) -> None:
        """Before the first epoch, or the first after a resume."""

    def on_advance(self, training: Training, record: Record) -> None:
        """After a stretch of updates, a few times a second."""

    def on_epoch(self, training: Training, row: Mapping[str, Any]) -> bool | None:
        """After an epoch, with its measurements."""

    def on_end(self, training: Training) -> None:
        """After the last epoch, and also after an error (if ``on_start`` went well)."""


class EarlyStopping(Callback):
    """End the training when a validation measurement has not improved for some rows of the history.

    What it decides follows from the history alone, so that a resumed training decides the same.

    Args:
        patience: rows without an improvement that are waited for, at least 1: epochs, unless
            ``fit`` evaluates at other times.
        monitor: a measurement on the validation split; never on the test split.
        mode: "min" or "max": what is better.
        min_delta: how much better counts as better.

    Raises:
        ArgumentError: patience below 1, or a measurement that is not of the validation split.

    >>> EarlyStopping(patience=5).monitor
    'validation_loss'
    """

    def __init__(
        self,
        patience: int = 10,
        monitor: str = "validation_loss",
        mode: str = "min",
        min_delta: float = 0.0,
    ) -> None:
        if patience < 1:
            raise ArgumentError(f"patience must be at least 1, got {patience}")
        if not monitor.startswith("validation_"):
            raise ArgumentError(
                f"early stopping watches the validation split only: monitor='validation_...', "
                f"got {monitor!r}"
            )
        if mode not in ("min", "max"):
            raise ArgumentError(f"mode is 'min' or 'max', got {mode!r}")
        self.patience, self.monitor, self.mode, self.min_delta = patience, monitor, mode, min_delta

    def on_start(self, training: Training) -> None:
        """Check that there is a validation split."""
        if training.validation is None:
            raise ArgumentError("early stopping needs a validation split; give validation data")

    def on_epoch(self, training: Training, row: Mapping[str, Any]) -> bool:
        """Whether the last improvement is longer ago than the patience."""
        sign = 1 if self.mode == "min" else -1
        best, waited = math.inf, 0
        for value in training.history[self.monitor]:
            if sign * value < best - self.min_delta:
                best, waited = sign * value, 0
            else:
                waited += 1
        return waited >= self.patience


class ReduceLROnPlateau(Callback):
    """Lower the learning rate when a measurement has not improved for more rows than the patience.

    η ← max(η · factor, min_lr), unless the difference is at most eps

    It is PyTorch's scheduler of that name, with its defaults, and lowers whatever rate the
    optimizer has: of a schedule all later values are multiplied by what η at that time is. The
    history shows the rate of each row, nothing is compiled anew, and a resumed training gets the
    same rates, since they follow from its history. A better value is below best · (1 − threshold)
    in mode "min" and above best · (1 + threshold) in mode "max", or with ``threshold_mode="abs"``
    below best − threshold and above best + threshold.

    Args:
        monitor: a measurement of the history: "loss", or one on the validation split.
        mode: "min" or "max": what is better.
        factor: in (0, 1).
        patience: rows without an improvement that are waited for; the one after them lowers η.
        threshold: how much better counts as better, at least 0.
        threshold_mode: "rel" or "abs".
        cooldown: rows after a reduction in which none is counted as without an improvement.
        min_lr: the smallest rate that it leads to.
        eps: the smallest difference that is made.

    Raises:
        ArgumentError: an argument out of its range, or no validation split to measure on.

    >>> ReduceLROnPlateau(patience=5).monitor
    'validation_loss'
    """

    def __init__(
        self,
        monitor: str = "validation_loss",
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        *,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
        eps: float = 1e-8,
    ) -> None:
        if mode not in ("min", "max"):
            raise ArgumentError(f"mode is 'min' or 'max', got {mode!r}")
        if threshold_mode not in ("rel", "abs"):
            raise ArgumentError(f"threshold_mode is 'rel' or 'abs', got {threshold_mode!r}")
        if not 0 < factor < 1:
            raise ArgumentError(f"factor must be above 0 and below 1, got {factor}")
        numbers = {
            "patience": patience,
            "threshold": threshold,
            "cooldown": cooldown,
            "min_lr": min_lr,
            "eps": eps,
        }
        for name, number in numbers.items():
            if not 0 <= number < math.inf:
                raise ArgumentError(f"{name} must be at least 0 and finite, got {number}")
        self.monitor, self.mode, self.factor, self.patience = monitor, mode, factor, patience
        self.threshold, self.threshold_mode = threshold, threshold_mode
        self.cooldown, self.min_lr, self.eps = cooldown, min_lr, eps

    def on_start(self, training: Training) -> None:
        """Begin, or lower the rate as it was lowered in the rows before a resume."""
        if training.validation is None and self.monitor.startswith("validation_"):
            raise ArgumentError(
                f"monitor is {self.monitor!r}, and there is no validation split; give validation "
                "data, or monitor='loss'"
            )
        self._best = math.inf if self.mode == "min" else -math.inf
        self._waited = self._cooling = 0
        for number in range(len(training.history.rows)):
            self._look(training, number)

    def on_epoch(self, training: Training, row: Mapping[str, Any]) -> None:
        """Look at the new row."""
        self._look(training, -1)

    def _look(self, training: Training, number: int) -> None:
        """Count a row of the history, and lower the rate if it is one too many."""
        value, trainer = training.history[self.monitor][number], training.trainer
        if self._better(value):
            self._best, self._waited = value, 0
        else:
            self._waited += 1
        if self._cooling:
            self._cooling, self._waited = self._cooling - 1, 0
        if self._waited > self.patience:
            self._waited, self._cooling = 0, self.cooldown
            t = float(training.history["epoch"][number])
            trainer.optimizer = trainer.optimizer.with_lr(lambda lr: self._lower(lr, t))

    def _better(self, value: float) -> bool:
        sign = 1 if self.mode == "min" else -1
        if self.threshold_mode == "rel":
            bound = self._best * (1 - sign * self.threshold)
        else:
            bound = self._best - sign * self.threshold
        return bool(sign * value < sign * bound)

    def _lower(self, lr: Hyper, t: float) -> Hyper:
        old = lr(t) if callable(lr) else lr
        new = max(old * self.factor, self.min_lr)
        if old - new <= self.eps:
            return lr
        return Scaled(lr, new / old) if callable(lr) else new


class JSONLog(Callback):
    """Write each epoch's measurements as a line of JSON.

    Args:
        path: the file; what it held before is replaced.

    Raises:
        RunError: the file cannot be written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def on_start(self, training: Training) -> None:
        """Begin the file with the epochs done before, so that a resume leaves no doubles."""
        with replacing(self.path) as temporary:
            temporary.write_text("".join(_line(row) for row in training.history.rows))

    def on_epoch(self, training: Training, row: Mapping[str, Any]) -> None:
        """Add a line."""
        try:
            with self.path.open("a") as file:
                file.write(_line(row))
        except OSError as error:
            raise RunError(f"cannot write {self.path}: {error.strerror}") from error


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(plain(row), allow_nan=False) + "\n"


class TensorBoard(Callback):
    """Write each epoch's measurements as TensorBoard scalars (extra ``tensorboard``).

    Args:
        folder: where the event files go.

    Raises:
        MissingExtraError: tensorboard is not installed.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        require("tensorboard.summary", "tensorboard")

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder}  # a file is opened anew where it starts

    def on_start(self, training: Training) -> None:
        """Open a file."""
        self._writer = require("tensorboard.summary", "tensorboard").Writer(str(self.folder))

    def on_epoch(self, training: Training, row: Mapping[str, Any]) -> None:
        """Add the scalars."""
        step = row["epoch"] if training.evaluate_every is None else row["update"]
        for name, value in row.items():
            if name != "epoch":
                self._writer.add_scalar(name, float(value), step=int(step))
        self._writer.flush()

    def on_end(self, training: Training) -> None:
        """Close the file."""
        self._writer.close()
