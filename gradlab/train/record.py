"""Record: what happened in a stretch of updates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gradlab.graph.dtypes import Array


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
        arrays = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in ("update", "epoch", "loss", "batch_size")
        }
        hyperparameters = {
            name: np.concatenate([part.hyperparameters[name] for part in parts])
            for name in parts[0].hyperparameters
        }
        seconds = sum(part.seconds for part in parts)
        return Record(**arrays, hyperparameters=hyperparameters, seconds=seconds)

    @property
    def mean_loss(self) -> float:
        """Loss averaged over the rows seen."""
        return float(np.average(self.loss.astype(np.float64), weights=self.batch_size))
