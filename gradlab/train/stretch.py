"""Stretch: updates that follow one another, as an executor takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from gradlab.graph.dtypes import Array


@dataclass(frozen=True)
class Stretch:
    """Updates that follow one another, with batches of one size.

    Attributes:
        rows: of the data in each batch, of shape (updates, batch).
        times: when each update is made, in epochs.
        after: the epoch and the number of the next batch in it, after each update.
    """

    rows: Array
    times: Array
    after: Array

    def goes_on_with(self, other: Stretch) -> bool:
        """Whether both can be one."""
        return bool(self.rows.shape[1] == other.rows.shape[1])

    @staticmethod
    def join(parts: Sequence[Stretch]) -> Stretch:
        """Stretches with batches of one size as one."""
        names = [field.name for field in fields(Stretch)]
        return Stretch(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))
