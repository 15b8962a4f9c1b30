"""Training: a training in progress, and how far it goes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gradlab.errors import ArgumentError
from gradlab.graph.dtypes import Array
from gradlab.train.history import History
from gradlab.train.trainer import Trainer

Pair = tuple[Any, Any]
LOOKS = 10
"""How often a training that is measured in updates is looked at, if its epochs are long."""


@dataclass
class Training:
    """A training in progress, as callbacks see it.

    Attributes:
        trainer: what does the updates.
        epochs: how many are planned, or None if
        updates: so many updates are.
        evaluate_every: updates from one row of the history to the next; None for an epoch.
        history: what was measured so far.
        validation: the validation arrays, or None.
        best: the model's variables where the validation loss was best, or None.
        stopped: whether a callback ended the training early.
        settings: what it was started with, as text, for a run folder to compare.
    """

    trainer: Trainer
    epochs: int | None
    updates: int | None = None
    evaluate_every: int | None = None
    history: History = field(default_factory=History)
    validation: Pair | None = None
    best: dict[str, Array] | None = None
    stopped: bool = False
    settings: dict[str, str] | None = None

    def __post_init__(self) -> None:
        if self.updates is not None and self.evaluate_every is None:
            tenth = -(-self.updates // LOOKS)
            if self.trainer.updates_left > tenth:
                self.evaluate_every = tenth

    @property
    def ended(self) -> bool:
        """Whether there is nothing left to do."""
        if self.updates is not None:
            return self.stopped or self.trainer.updates >= self.updates
        assert self.epochs is not None
        return self.stopped or self.trainer.epoch >= self.epochs

    @property
    def due(self) -> bool:
        """Whether this is where a row of the history is to be."""
        if self.ended:
            return True
        if self.evaluate_every is None:
            return self.trainer.epoch.is_integer()
        return self.trainer.updates % self.evaluate_every == 0

    @property
    def updates_left(self) -> int:
        """Updates until the next row of the history or the end of the epoch, what comes first."""
        left = self.trainer.updates_left
        if self.evaluate_every is not None:
            left = min(left, self.evaluate_every - self.trainer.updates % self.evaluate_every)
        if self.updates is not None:
            left = min(left, self.updates - self.trainer.updates)
        return left

    @property
    def progress(self) -> tuple[str, float, int]:
        """What is counted, how much of it is done, and how much is planned."""
        if self.updates is not None:
            return "update", self.trainer.updates, self.updates
        assert self.epochs is not None
        return "epoch", self.trainer.epoch, self.epochs


def check_budget(epochs: int | None, updates: int | None, evaluate_every: int | None) -> None:
    """Check how long a training is to be.

    Raises:
        ArgumentError: neither epochs nor updates, both, or a number below 1.

    >>> check_budget(3, 100, None)
    Traceback (most recent call last):
    gradlab.errors.ArgumentError: epochs is 3 and updates 100; give one of them
    """
    if epochs is None and updates is None:
        raise ArgumentError("give epochs or updates: how long to train")
    if epochs is not None and updates is not None:
        raise ArgumentError(f"epochs is {epochs} and updates {updates}; give one of them")
    given = {"epochs": epochs, "updates": updates, "evaluate_every": evaluate_every}
    for name, number in given.items():
        if number is not None and number < 1:
            raise ArgumentError(f"{name} must be at least 1, got {number}")
