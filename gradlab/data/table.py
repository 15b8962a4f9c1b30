"""A table: named columns of numbers or of text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gradlab.errors import DataError, one_of

# Compared without regard to case; the last two are how pandas writes a missing value.
_MISSING = frozenset({"", "na", "nan", "null", "?", "<na>", "nat"})


@dataclass(frozen=True, eq=False)
class Table:
    """Named columns of one length: numbers (NaN where missing) or text (None where missing).

    Numbers keep their NumPy dtype. Truth values become the text "True" and "False". In text,
    space around a value is dropped, and empty, NA, NaN, null and ? (in any case) mean missing.

    Raises:
        DataError: columns of different lengths, or of a dtype that is neither number nor text.

    >>> table = Table({"size": [1.5, None, 3.0], "colour": ["red", "NA", " blue"]})
    >>> table["size"], table["colour"]
    (array([1.5, nan, 3. ]), array(['red', None, 'blue'], dtype=object))
    """

    columns: Mapping[str, Any]

    def __post_init__(self) -> None:
        columns = {name: _column(values, name) for name, values in self.columns.items()}
        object.__setattr__(self, "columns", columns)
        lengths = {len(column): name for name, column in columns.items()}
        if len(lengths) > 1:
            text = " and ".join(f"{name} with {n} rows" for n, name in lengths.items())
            raise DataError(f"columns must have one length, got {text}")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(self.columns)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self.columns:
            raise DataError(one_of("column", name, self.columns))
        column: NDArray[Any] = self.columns[name]
        return column

    def rows(self, index: NDArray[np.int64]) -> Table:
        """Return a table of the rows with these indices."""
        return Table({name: column[index] for name, column in self.columns.items()})

    def is_text(self, name: str) -> bool:
        """Whether a column holds text."""
        return self[name].dtype.kind == "O"

    def missing(self, name: str) -> NDArray[np.bool_]:
        """Return True for each row whose value is missing."""
        column = self[name]
        if self.is_text(name):
            return np.array([value is None for value in column], dtype=bool)
        return np.asarray(np.isnan(column))

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Return a column as float64, NaN where missing.

        Raises:
            DataError: the column holds text or an infinity.
        """
        column = self[name]
        if self.is_text(name):
            row = int(np.flatnonzero(~self.missing(name))[0])
            raise DataError(
                f"column {name!r} must hold numbers, got {column[row]!r} in data row {row + 1}"
            )
        values = column.astype(np.float64)
        infinite = np.isinf(values)
        if infinite.any():
            raise DataError(
                f"column {name!r} is infinite in {count_rows(infinite)}; "
                "leave the value empty or remove the row"
            )
        return values

    def categories(self, name: str) -> list[str | None]:
        """Return a column as texts, None where missing; 3, 3.0 and "3.0" are one category."""
        absent = self.missing(name)
        return [
            None if none else category(value)
            for value, none in zip(self[name].tolist(), absent, strict=True)
        ]


def category(value: float | str) -> str:
    """Text of a category, the same for every way to write a number.

    A file read for training and one read for prediction may disagree on whether a column is
    text; its categories have to meet all the same.

    >>> category(3), category(3.0), category("3.0"), category("red")
    ('3', '3', '3', 'red')
    """
    if isinstance(value, int):
        return str(value)
    try:
        number = float(value)
    except ValueError:
        return str(value)
    return str(int(number)) if number.is_integer() else repr(number)


def is_missing(text: str) -> bool:
    """Whether a text without space around it stands for a missing value."""
    return text.casefold() in _MISSING


def count_rows(mask: NDArray[np.bool_]) -> str:
    """Count the rows of a mask and say where the first one is, counted from 1 below the header.

    >>> count_rows(np.array([False, True, True]))
    '2 rows (first: data row 2)'
    """
    count = int(mask.sum())
    return f"{count} row{'s' * (count > 1)} (first: data row {int(mask.argmax()) + 1})"


def _column(values: ArrayLike, name: str) -> NDArray[Any]:
    """Turn values into an array of numbers or an object array of text."""
    array = np.asarray(values)
    if array.ndim != 1:
        raise DataError(f"column {name!r} must hold one value a row, got shape {array.shape}")
    if array.dtype.kind in "iuf":
        return array
    if array.dtype.kind not in "bUTO":
        raise DataError(
            f"column {name!r} must hold numbers or text, got {array.dtype}; convert it first"
        )
    cleaned = [_clean(value, name) for value in array.tolist()]
    if all(value is None or _is_number(value) for value in cleaned):
        return np.array([np.nan if value is None else float(value) for value in cleaned])
    text = np.empty(len(cleaned), dtype=object)
    text[:] = [None if value is None else str(value) for value in cleaned]
    return text


def _clean(value: Any, name: str) -> Any:
    """Strip a text, and turn whatever means missing into None."""
    text = str(value).strip()
    if value is None or is_missing(text):
        return None
    if _is_number(value):
        return value
    if not isinstance(value, str | bool | np.bool_):
        raise DataError(
            f"column {name!r} must hold numbers or text, got {type(value).__name__}; "
            "convert it first"
        )
    return text


def _is_number(value: Any) -> bool:
    return isinstance(value, Real | Decimal) and not isinstance(value, bool)
