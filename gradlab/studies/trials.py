"""Networks trained alike from different first weights, each with the best learning rate for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradlab.errors import DivergenceError
from gradlab.graph.op import Shape
from gradlab.nn import Module, cross_entropy
from gradlab.nn.models import models
from gradlab.optim import AdamW, Chain, ClipNorm, Optimizer
from gradlab.schedule import Cosine, Warmup
from gradlab.studies.pixels import Rows
from gradlab.studies.starts import Start
from gradlab.studies.statistics import Estimate, mean
from gradlab.studies.study import Plan
from gradlab.train import InUpdates, Trainer, accuracy

WEIGHT_DECAY = 0.05
WARMUP = 0.1
"""Share of the updates over which the learning rate grows."""
LOOKS = 8
"""Looks at a network after the one at its first weights."""
TRIAL = 1000
"""Seed of the trainings that choose a learning rate; those that are compared count from 0."""

Scores = NDArray[np.float64]


class Task(NamedTuple):
    """What is learned: rows to train on, to choose learning rates by, and held out from both."""

    train: Rows
    choose: Rows
    held_out: Rows
    inputs: Shape
    outputs: int


@dataclass(frozen=True)
class Outcome:
    """Trainings from one initialization.

    Attributes:
        rate: their learning rate.
        updates: how long they took.
        scores: held-out loss and accuracy at each look, of shape (seeds, looks, 2).
    """

    rate: float
    updates: int
    scores: Scores

    @property
    def losses(self) -> Scores:
        """Held-out loss, of shape (seeds, looks)."""
        return self.scores[:, :, 0]

    @property
    def last(self) -> Scores:
        """Held-out loss after the last update, of each seed."""
        return self.losses[:, -1]

    @property
    def accuracy(self) -> Estimate:
        """Held-out accuracy after the last update, in percent."""
        return mean(100 * self.scores[:, -1, 1])


def looks(updates: int) -> list[int]:
    """Updates after which a network is looked at: often at first, where losses fall fast.

    >>> looks(400)
    [0, 6, 25, 56, 100, 156, 225, 306, 400]
    """
    return [round(updates * (look / LOOKS) ** 2) for look in range(LOOKS + 1)]


@dataclass(frozen=True)
class Bench:
    """Where networks are trained.

    Attributes:
        task: the data.
        model: a model by name.
        batch_size: rows of a batch.
    """

    task: Task
    model: str
    batch_size: int

    def train(
        self, start: Start, watched: Rows, at: Sequence[int], lr: float, seed: int
    ) -> tuple[Module, Scores]:
        """Train a network, and look at it after so many updates, the last of which end it.

        Returns:
            The network, and its loss and accuracy on the watched rows, of shape (looks, 2).

        Raises:
            DivergenceError: the training diverged.
        """
        model: Module = models.build(self.model, inputs=self.task.inputs, outputs=self.task.outputs)
        start(model, seed)
        trainer = Trainer(
            model,
            *self.task.train,
            cross_entropy,
            self._optimizer(lr, at[-1]),
            batch_size=self.batch_size,
            seed=seed,
        )
        scores = []
        for look in at:
            if look > trainer.updates:
                trainer.advance(look - trainer.updates)
            found = trainer.evaluate(*watched, {"accuracy": accuracy})
            scores.append((found["loss"], found["accuracy"]))
        return model, np.array(scores)

    def choose(self, start: Start, rates: Sequence[float], updates: int, plan: Plan) -> float:
        """The learning rate with which a training of a seed of its own ends best."""
        losses = {}
        for number, rate in enumerate(rates):
            plan.progress(number / len(rates), f"learning rate {rate:g}")
            try:
                _, scores = self.train(start, self.task.choose, [updates], rate, TRIAL)
                losses[rate] = float(scores[-1, 0])
            except DivergenceError:
                losses[rate] = math.inf
        return min(losses, key=losses.__getitem__)

    def compare(self, start: Start, rate: float, updates: int, plan: Plan) -> Outcome:
        """Train once for each seed."""
        scores = []
        for seed in range(plan.seeds):
            plan.progress(seed / plan.seeds, f"seed {seed}")
            scores.append(self.train(start, self.task.held_out, looks(updates), rate, seed)[1])
        return Outcome(rate, updates, np.array(scores))

    def _optimizer(self, lr: float, updates: int) -> Optimizer:
        schedule = InUpdates(
            Warmup(over=WARMUP * updates, then=Cosine(epochs=(1 - WARMUP) * updates)),
            len(self.task.train.x),
            self.batch_size,
        )
        return Chain(ClipNorm(1.0), AdamW(lr * schedule, weight_decay=WEIGHT_DECAY, biases=False))
