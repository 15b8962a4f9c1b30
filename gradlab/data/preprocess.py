"""From a table to the numbers a network takes, learnt on the training rows alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gradlab.data.arrays import ArraySource
from gradlab.data.source import Source
from gradlab.data.standardize import center_and_scale
from gradlab.data.table import Table
from gradlab.data.targets import Labels, Values
from gradlab.errors import ArgumentError, DataError

# Text with more categories than this, most of them met once, is a name or a mistyped number.
_MOST_CATEGORIES = 20


@dataclass(frozen=True)
class Numeric:
    """A column of numbers: x ← (x − center) / scale, with ``fill`` in place of a missing x."""

    name: str
    fill: float
    center: float
    scale: float

    @classmethod
    def learn(cls, table: Table, name: str, *, standardize: bool, divisor: float | None) -> Numeric:
        """Learn the mean, and the scale that was asked for."""
        mean, std = center_and_scale(table.numbers(name), name)
        if not standardize:
            return cls(name, mean, 0.0, 1.0)
        return cls(name, mean, mean, std) if divisor is None else cls(name, mean, 0.0, divisor)

    @property
    def features(self) -> tuple[str, ...]:
        """Name of the one feature this column gives."""
        return (self.name,)

    def apply(self, table: Table) -> NDArray[np.float64]:
        """Return the column filled and scaled, shape (n, 1)."""
        values = table.numbers(self.name)
        filled = np.where(np.isnan(values), self.fill, values)
        return ((filled - self.center) / self.scale)[:, None]


@dataclass(frozen=True)
class OneHot:
    """A column of categories: a feature for each, 1 where the row has it and 0 elsewhere.

    None is the category of missing values, there if training had one. A category that training
    did not have gives zeros in all of them.
    """

    name: str
    categories: tuple[str | None, ...]

    @classmethod
    def learn(cls, table: Table, name: str, *, named: bool) -> OneHot:
        """Collect the categories, sorted, missing last; ``named`` ones may be of any number."""
        seen = set(table.categories(name))
        texts = sorted(text for text in seen if text is not None)
        if not named and len(seen) > max(_MOST_CATEGORIES, len(table) / 2):
            raise DataError(
                f"column {name!r} has {len(seen)} different texts in {len(table)} training rows "
                f"(such as {texts[0]!r}); correct it if it should be numbers, remove it, "
                "or name it in categorical"
            )
        return cls(name, (*texts, None) if None in seen else tuple(texts))

    @property
    def features(self) -> tuple[str, ...]:
        """Name of each feature: ``column=category``."""
        return tuple(
            f"{self.name}={'(missing)' if category is None else category}"
            for category in self.categories
        )

    def apply(self, table: Table) -> NDArray[np.float64]:
        """Return the 0/1 features, shape (n, number of categories)."""
        place = {category: j for j, category in enumerate(self.categories)}
        places = [place.get(category, -1) for category in table.categories(self.name)]
        return np.equal.outer(places, np.arange(len(place))).astype(np.float64)


@dataclass(frozen=True)
class Preprocess:
    """How the columns of a table become features and targets; all that prediction needs.

    - Numbers: a missing value takes the training mean; then x ← (x − μ) / σ with mean and
      standard deviation of the training rows (σ = 1 for a constant column), or x / divisor
      where the range is known, or x itself without ``standardize``.
    - Categories: one-hot, see `OneHot`.
    - Targets: class labels ↔ indices, or values ↔ standardized values.

    Columns it does not know are ignored, so a table to predict for may have a target or not.

    >>> table = Table({"size": [1, None, 3], "hue": ["red", "blue", "red"], "y": ["a", "b", "a"]})
    >>> preprocess = Preprocess.learn(table, ("y",), task="classification")
    >>> preprocess.feature_names
    ('size', 'hue=blue', 'hue=red')
    >>> preprocess.apply(Table({"hue": ["red", "green"], "size": [3, 4]})).tolist()
    [[1.0, 0.0, 1.0], [2.0, 0.0, 0.0]]
    >>> Preprocess.from_json(preprocess.to_json()) == preprocess
    True
    """

    columns: tuple[Numeric | OneHot, ...]
    target: Labels | Values
    dtype: str = "float32"

    @classmethod
    def learn(
        cls,
        table: Table,
        target: tuple[str, ...],
        *,
        task: str,
        categorical: Collection[str] = (),
        standardize: bool = True,
        divisor: float | None = None,
        dtype: str = "float32",
    ) -> Preprocess:
        """Learn from the training rows.

        Raises:
            ArgumentError: a dtype other than float32 and float64.
            DataError: a column or target that cannot be trained on.
        """
        if dtype not in ("float32", "float64"):
            raise ArgumentError(f"dtype must be float32 or float64, got {dtype!r}")
        columns: list[Numeric | OneHot] = []
        for name in table.names:
            if name in target:
                continue
            if name in categorical or table.is_text(name):
                columns.append(OneHot.learn(table, name, named=name in categorical))
            else:
                columns.append(Numeric.learn(table, name, standardize=standardize, divisor=divisor))
        encoding: Labels | Values
        if task == "classification":
            encoding = Labels.learn(table, target[0])
        else:
            encoding = Values.learn(table, target, standardize=standardize)
        return cls(tuple(columns), encoding, dtype)

    @property
    def task(self) -> str:
        """``"classification"`` or ``"regression"``."""
        return "classification" if isinstance(self.target, Labels) else "regression"

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Name of each column of the feature matrix."""
        return tuple(name for column in self.columns for name in column.features)

    def apply(self, table: Table) -> NDArray[Any]:
        """Return the features of a table, shape (n, d).

        Raises:
            DataError: a column is missing, or holds text, an infinity or too large a number.
        """
        x = np.empty((len(table), len(self.feature_names)), dtype=self.dtype)
        start = 0
        for column in self.columns:
            if column.name not in table:
                raise DataError(
                    f"column {column.name!r} is missing: training had it; "
                    f"found: {', '.join(table.names)}"
                )
            stop = start + len(column.features)
            with np.errstate(over="ignore"):
                x[:, start:stop] = column.apply(table)
            if not np.isfinite(x[:, start:stop]).all():
                raise DataError(
                    f"column {column.name!r} has a value too large for {self.dtype}; "
                    "divide the column by its unit, or ask for float64"
                )
            start = stop
        return x

    def encode(self, table: Table) -> NDArray[Any]:
        """Return the targets of a table: int64 indices (n,), or floats (n, k).

        Raises:
            DataError: a target column is absent, or a value missing, unknown or infinite.
        """
        y = self.target.encode(table)
        return y if self.task == "classification" else y.astype(self.dtype)

    def prepare(self, source: Source | ArraySource) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """Features of a source to predict for, and its targets if none is missing.

        Raises:
            DataError: as in `apply` and `encode`, or examples that are no table.
        """
        if isinstance(source, ArraySource):
            raise DataError(f"training had a table, and {source.name} has {source.kind}")
        table, names = source.table, self.target.names
        known = all(name in table and not table.missing(name).any() for name in names)
        return self.apply(table), self.encode(table) if known else None

    def decode(self, y: ArrayLike) -> NDArray[Any]:
        """Return labels from class indices, or values in the data's units from scaled ones."""
        return self.target.decode(y)

    def to_json(self) -> dict[str, Any]:
        """Return a dict that JSON holds exactly."""
        return {
            "dtype": self.dtype,
            "task": self.task,
            "columns": [
                {"kind": "numeric" if isinstance(column, Numeric) else "categorical"}
                | asdict(column)
                for column in self.columns
            ],
            "target": asdict(self.target),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Preprocess:
        """Rebuild from the dict of `to_json`.

        Raises:
            DataError: the dict is not one of `to_json`.
        """
        kinds: dict[str, type[Numeric | OneHot]] = {"numeric": Numeric, "categorical": OneHot}
        encodings: dict[str, type[Labels | Values]] = {
            "classification": Labels,
            "regression": Values,
        }
        try:
            columns = [_tuples(column) for column in data["columns"]]
            built = tuple(kinds[column.pop("kind")](**column) for column in columns)
            return cls(built, encodings[data["task"]](**_tuples(data["target"])), data["dtype"])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"this is no preprocessing that gradlab wrote: {error!r}") from error


def _tuples(data: Mapping[str, Any]) -> dict[str, Any]:
    """Copy a dict with tuples in place of lists."""
    return {key: tuple(v) if isinstance(v, list) else v for key, v in data.items()}
