"""Named splits of a dataset, each with the role it may play."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradlab.data.array_preprocess import ArrayPreprocess, in_chunks
from gradlab.data.preprocess import Preprocess
from gradlab.data.targets import Labels
from gradlab.errors import ArgumentError, DataError

ROLES = ("train", "validation", "test")

_CHUNK = 1 << 24
"""Bytes of a split that are digested together."""


@dataclass(frozen=True, eq=False, repr=False)
class Split:
    """Rows of a dataset that play one role.

    ``x`` has a row for each example, of any shape: (n, d) floats of a table, (n, channels, height,
    width) bytes of images, (n, block) indices of characters. ``y`` is (n,) class indices, (n, k)
    floats, or (n, block) indices of the next characters. ``role`` is ``"train"``, ``"validation"``
    or ``"test"``. Memory maps stay on the disk.

    Raises:
        ArgumentError: another role.
        DataError: shapes that do not fit together.

    >>> import numpy as np
    >>> Split(np.zeros((5, 2)), np.zeros(5, dtype=np.int64), "train")
    <train split: x float64(5, 2), y int64(5,)>
    """

    x: NDArray[Any]
    y: NDArray[Any]
    role: str

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ArgumentError(f"role must be one of {', '.join(ROLES)}, got {self.role!r}")
        if self.x.ndim < 2 or self.y.ndim not in (1, 2) or len(self.x) != len(self.y):
            raise DataError(
                "a split needs x of shape (n, ...) and y of shape (n,) or (n, k), "
                f"got {self.x.shape} and {self.y.shape}"
            )

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        return (
            f"<{self.role} split: x {self.x.dtype}{self.x.shape}, y {self.y.dtype}{self.y.shape}>"
        )


def require_role(split: Split | None, *roles: str) -> Split:
    """Return the split if it plays one of these roles.

    Raises:
        DataError: there is no such split, or it plays another role.

    >>> import numpy as np
    >>> held_out = Split(np.zeros((5, 2)), np.zeros(5, dtype=np.int64), "test")
    >>> require_role(held_out, "test") is held_out
    True
    """
    wanted = " or ".join(roles)
    if split is None:
        raise DataError(f"this needs a {wanted} split, and there is none: load with a fraction > 0")
    if split.role not in roles:
        raise DataError(f"this may see a {wanted} split only, got the {split.role} split")
    return split


def for_tuning(split: Split | None) -> Split:
    """Return the split if choices may be made on it: training or validation, never test.

    Raises:
        DataError: a test split, or none.

    >>> import numpy as np
    >>> for_tuning(Split(np.zeros((5, 2)), np.zeros(5, dtype=np.int64), "test"))
    Traceback (most recent call last):
    gradlab.errors.DataError: this may see a train or validation split only, got the test split
    """
    return require_role(split, "train", "validation")


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """A dataset, split and scaled; ``preprocess`` does the same to rows that come later.

    ``validation`` and ``test`` are None where they were not asked for.
    """

    name: str
    train: Split
    validation: Split | None
    test: Split | None
    preprocess: Preprocess | ArrayPreprocess

    @property
    def splits(self) -> tuple[Split, ...]:
        """Those that there are, the training rows first."""
        return tuple(s for s in (self.train, self.validation, self.test) if s is not None)

    @property
    def task(self) -> str:
        """``"classification"`` or ``"regression"``."""
        return self.preprocess.task

    @property
    def classes(self) -> tuple[int | float | str, ...]:
        """Labels of the classes, in the order of their indices; empty for a regression."""
        target = self.preprocess.target
        return target.classes if isinstance(target, Labels) else ()

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Name of each column of x; none for images and text."""
        return self.preprocess.feature_names

    @property
    def target_names(self) -> tuple[str, ...]:
        """Name of each target column."""
        return self.preprocess.target.names

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one example: (d,), (channels, height, width) or (block,)."""
        return self.train.x.shape[1:]

    @property
    def features(self) -> int:
        """Numbers in one example."""
        return math.prod(self.input_shape)

    @property
    def outputs(self) -> int:
        """Number of classes, of targets, or of characters in the vocabulary."""
        return len(self.classes) or len(self.target_names)

    def __repr__(self) -> str:
        return f"<dataset {self.describe()}>"

    def describe(self) -> str:
        """Return name, task and sizes in one line."""
        sizes = ", ".join(f"{len(split)} {split.role}" for split in self.splits)
        shape = " × ".join(map(str, self.input_shape))
        if isinstance(self.preprocess, ArrayPreprocess) and self.preprocess.kind == "text":
            return f"{self.name}: text, {sizes} windows of {shape} characters, {self.outputs} kinds"
        if self.task == "classification":
            shown = [str(label) for label in self.classes[:10]]
            more = ", ..." if self.outputs > len(shown) else ""
            goal = f"{self.outputs} classes ({', '.join(shown)}{more})"
        else:
            goal = f"{self.outputs} target{'s' * (self.outputs > 1)}"
        return f"{self.name}: {self.task}, {sizes} rows, {shape} features, {goal}"

    def digest(self) -> str:
        """Fingerprint of the rows of all splits (SHA-256), read without a copy of them."""
        digest = hashlib.sha256()
        for split in self.splits:
            for array in (split.x, split.y):
                for part in _apart(array):
                    for rows in in_chunks(part, _CHUNK):
                        digest.update(np.ascontiguousarray(rows).data)
        return digest.hexdigest()


def _apart(array: NDArray[Any]) -> list[NDArray[Any]]:
    """Rows that hold all of an array: where they overlap, every so manieth and the last."""
    row = array.itemsize * math.prod(array.shape[1:])
    if not 0 < array.strides[0] < row:
        return [array]
    return [array[:: row // array.strides[0]], array[-1:]]
