"""Targets: class labels and their indices, or values and their scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gradlab.data.standardize import center_and_scale
from gradlab.data.table import Table, category, count_rows
from gradlab.errors import ArgumentError, DataError

TASKS = ("classification", "regression")

# A whole-numbered target with more values than this is taken for a quantity.
_MOST_CLASSES = 20


def infer_task(table: Table, target: tuple[str, ...]) -> str:
    """Return the task that a target asks for.

    Classification if there is one target column and it holds text, or whole numbers of at most
    20 different values, each met twice on average; regression otherwise.

    >>> infer_task(Table({"y": [0, 1, 1, 0]}), ("y",))
    'classification'
    >>> infer_task(Table({"y": [0.5, 1, 1, 0]}), ("y",))
    'regression'
    """
    if len(target) > 1:
        return "regression"
    if table.is_text(target[0]):
        return "classification"
    values = table.numbers(target[0])
    distinct = len(np.unique(values))
    few = distinct <= min(_MOST_CLASSES, len(values) / 2)
    return "classification" if few and (values == np.floor(values)).all() else "regression"


@dataclass(frozen=True)
class Labels:
    """Class labels of a target column; a label's place is its index.

    >>> labels = Labels.learn(Table({"kind": ["dog", "cat", "dog"]}), "kind")
    >>> labels.classes, labels.encode(Table({"kind": ["dog", "cat"]})), labels.decode([1, 0])
    (('cat', 'dog'), array([1, 0]), array(['dog', 'cat'], dtype='<U3'))
    """

    name: str
    classes: tuple[int | float | str, ...]

    @classmethod
    def learn(cls, table: Table, name: str) -> Labels:
        """Collect the labels, sorted; whole numbers become int.

        Raises:
            DataError: missing labels.
        """
        check_present(table, name)
        classes: tuple[Any, ...]
        if table.is_text(name):
            classes = tuple(sorted({category(text) for text in table[name]}))
        else:
            values = np.unique(table[name])
            whole = bool((values == np.floor(values)).all())
            classes = tuple((values.astype(np.int64) if whole else values).tolist())
        return cls(name, classes)

    @property
    def names(self) -> tuple[str, ...]:
        """The target column, as a tuple of one."""
        return (self.name,)

    def encode(self, table: Table) -> NDArray[np.int64]:
        """Return the class index of each row, shape (n,).

        Raises:
            DataError: a label that is missing or was never seen in training.
        """
        check_present(table, self.name)
        index = {category(label): i for i, label in enumerate(self.classes)}
        codes = np.array([index.get(str(text), -1) for text in table.categories(self.name)], int)
        if (codes < 0).any():
            row = int((codes < 0).argmax())
            raise DataError(
                f"target {self.name!r} has the unknown class {table[self.name].tolist()[row]!r} "
                f"in {count_rows(codes < 0)}; known: {', '.join(map(str, self.classes))}"
            )
        return codes

    def decode(self, y: ArrayLike) -> NDArray[Any]:
        """Return the labels of class indices."""
        return np.array(self.classes)[np.asarray(y, dtype=np.int64)]


@dataclass(frozen=True)
class Values:
    """Target columns of a regression, each with the mean and scale that standardize it.

    >>> values = Values.learn(Table({"price": [10.0, 30.0]}), ("price",), standardize=True)
    >>> values.encode(Table({"price": [20.0, 40.0]})).tolist(), values.decode([[2.0]]).tolist()
    ([[0.0], [2.0]], [[40.0]])
    """

    names: tuple[str, ...]
    center: tuple[float, ...]
    scale: tuple[float, ...]

    @classmethod
    def learn(cls, table: Table, names: tuple[str, ...], *, standardize: bool) -> Values:
        """Learn mean and scale of each column, or 0 and 1 where it is to stay as it is."""
        moments = [
            center_and_scale(table.numbers(name), name) if standardize else (0.0, 1.0)
            for name in names
        ]
        return cls(names, tuple(m for m, _ in moments), tuple(s for _, s in moments))

    def encode(self, table: Table) -> NDArray[np.float64]:
        """Return the scaled values, shape (n, k).

        Raises:
            DataError: a value that is missing, infinite or text.
        """
        for name in self.names:
            check_present(table, name)
        values = np.column_stack([table.numbers(name) for name in self.names])
        scaled: NDArray[np.float64] = (values - np.array(self.center)) / np.array(self.scale)
        return scaled

    def decode(self, y: ArrayLike) -> NDArray[np.float64]:
        """Return values in the units of the data, shape (n, k), from scaled ones."""
        values: NDArray[np.float64] = np.asarray(y, np.float64) * np.array(self.scale)
        values += np.array(self.center)
        return values


def check_task(task: str) -> None:
    """Raise ArgumentError for a task that is neither classification nor regression."""
    if task not in TASKS:
        raise ArgumentError(f"task must be one of {', '.join(TASKS)}, got {task!r}")


def check_classes(table: Table, labels: Labels) -> None:
    """Raise DataError for one class only, or as many classes as rows."""
    if len(labels.classes) == 1:
        raise DataError(
            f"target {labels.name!r} has one class only ({labels.classes[0]!r}); "
            "classification needs two or more"
        )
    if len(labels.classes) == len(table):
        fix = (
            "name another target column"
            if table.is_text(labels.name)
            else 'for a quantity ask for task="regression" (--task regression)'
        )
        raise DataError(f"target {labels.name!r} has as many classes as rows ({len(table)}); {fix}")


def check_present(table: Table, name: str) -> None:
    """Raise DataError for a target column with missing values."""
    missing = table.missing(name)
    if missing.any():
        raise DataError(
            f"target {name!r} is missing in {count_rows(missing)}; fill it in or remove the rows"
        )
