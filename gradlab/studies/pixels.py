"""Images as rows of pixels, as the studies train on them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradlab.data import Dataset, Split
from gradlab.data import load as load_data
from gradlab.studies.study import Plan


class Rows(NamedTuple):
    """Pixels of mean 0 and variance 1 over the training rows, and classes."""

    x: NDArray[np.float32]
    y: NDArray[Any]


def load(name: str, plan: Plan, validation: float = 0.0) -> dict[str, Rows]:
    """The splits of a dataset of images, by role.

    >>> load("digits", Plan())["train"].x.shape
    (1527, 64)
    """
    dataset: Dataset = load_data(name, validation=validation, data_dir=plan.data_dir)
    train = dataset.train.x.astype(np.float32)
    mean, std = train.mean(), train.std()

    def rows(split: Split) -> Rows:
        x = split.x.reshape(len(split), -1).astype(np.float32)
        return Rows((x - mean) / std, split.y)

    return {split.role: rows(split) for split in dataset.splits}
