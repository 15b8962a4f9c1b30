"""Examples that are arrays already, images or windows of text, and their splits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gradlab.data.splits import split_rows, split_sizes
from gradlab.data.table import Table
from gradlab.data.targets import Labels
from gradlab.errors import DataError

_CHANNELS = (1, 3, 4)
"""Grey, colour, colour with transparency."""


class Examples(NamedTuple):
    """Arrays with a row for each example; y is None where there are no targets."""

    x: NDArray[Any]
    y: NDArray[Any] | None


@dataclass(frozen=True, eq=False)
class ArraySource:
    """Examples that are arrays already, and what is known about them.

    Args:
        name: of the dataset.
        kind: ``"arrays"`` for images and the like, x of shape (n, ...) and y class indices of
            shape (n,); ``"text"`` for windows of characters, x and y of shape (n, block).
        labels: what the indices of y stand for, in text those of x too.
        train: examples to train on, from which splits that are not published are drawn.
        validation, test: published splits.

    >>> images = ArraySource(
    ...     "dots",
    ...     "arrays",
    ...     Labels("colour", ("white", "black")),
    ...     train=Examples(np.zeros((4, 1, 2, 2), np.uint8), np.array([0, 1, 0, 1])),
    ... )
    >>> images.train.x.dtype, images.test
    (dtype('uint8'), None)
    """

    name: str
    kind: Literal["arrays", "text"]
    labels: Labels
    train: Examples
    validation: Examples | None = None
    test: Examples | None = None


def image_source(
    name: str, x: NDArray[Any], y: ArrayLike | None, test: tuple[NDArray[Any], ArrayLike] | None
) -> ArraySource:
    """Take arrays as examples and classes; bytes are images.

    Images of shape (n, height, width) get one channel; of shape (n, height, width, channels) with
    1, 3 or 4 channels, they get the channels first.

    Raises:
        DataError: lengths that differ, or targets that are no classes.

    >>> image_source("grey", np.zeros((2, 5, 5), np.uint8), ["a", "b"], None).train.x.shape
    (2, 1, 5, 5)
    """
    parts = [(x, y)] if test is None else [(x, y), test]
    columns = [_column(name, *part) for part in parts]
    given = [column for column in columns if column is not None]
    labels = Labels("class", ())
    if given:
        labels = Labels.learn(Table({"class": np.concatenate(given)}), "class")
        if len(labels.classes) > max(2, sum(map(len, given)) // 2):
            raise DataError(
                f"{name}: y has {len(labels.classes)} different values in {sum(map(len, given))} "
                "rows; examples that are arrays take classes as targets"
            )
    made = [
        Examples(
            channels_first(part, name),
            None if column is None else labels.encode(Table({"class": column})),
        )
        for (part, _), column in zip(parts, columns, strict=True)
    ]
    return ArraySource(name, "arrays", labels, made[0], test=made[1] if test is not None else None)


def channels_first(x: NDArray[Any], name: str) -> NDArray[Any]:
    """Images of bytes as (n, channels, height, width); other arrays as they are."""
    if x.dtype != np.uint8 or x.ndim not in (3, 4):
        return x
    if x.ndim == 3:
        return x[:, None]
    last = x.shape[3] in _CHANNELS and x.shape[1] not in _CHANNELS
    if last and isinstance(x, np.memmap):
        raise DataError(
            f"{name}: a memory map of images must have the channels first, got {x.shape}; "
            "write it as (n, channels, height, width)"
        )
    return np.ascontiguousarray(np.moveaxis(x, 3, 1)) if last else x


def split_examples(
    source: ArraySource, *, validation: float, test: float, seed: int
) -> dict[str, Examples | None]:
    """Train, validation and test examples: the published ones, others drawn from those to train on.

    Rows are drawn as `split_rows` does it, with each class in proportion. The rows of a memory map
    stay where they are: the last ones of the file test, those before them validate.

    Raises:
        ArgumentError: fractions out of range.
        DataError: too few rows, or a class without rows to train on.
    """
    train, known = source.train, {"validation": source.validation, "test": source.test}
    x, y = train
    if source.kind == "text":
        return {"train": train, **known}
    if y is None or not len(x):
        raise DataError(f"{source.name} has no {'targets' if y is None else 'rows'} to train on")
    validation = 0.0 if source.validation is not None else validation
    test = 0.0 if source.test is not None else test
    if isinstance(x, np.memmap):
        rows = _in_order(len(x), validation, test)
    else:
        rows = split_rows(y, validation=validation, test=test, seed=seed)._asdict()
    missing = np.setdiff1d(y, y[rows["train"]])
    if missing.size:
        raise DataError(
            f"class {source.labels.classes[missing[0]]!r} of {source.name} has no row left for "
            "training; add rows, lower validation and test, or shuffle the rows of a memory map"
        )
    found = {role: _picked(train, index) for role, index in rows.items()}
    return found | {role: examples for role, examples in known.items() if examples is not None}


def _in_order(n: int, validation: float, test: float) -> dict[str, Any]:
    """Slices of rows, in the order train, validation, test."""
    tests, validations = split_sizes(n, validation, test)
    return {
        "train": slice(0, n - tests - validations),
        "validation": slice(n - tests - validations, n - tests),
        "test": slice(n - tests, n),
    }


def _picked(examples: Examples, index: Any) -> Examples | None:
    """Rows of examples, without a copy where these are all or neighbours; None for none."""
    x, y = examples
    assert y is not None
    if not isinstance(index, slice) and len(index) == len(x):
        return examples
    picked = y[index]
    return Examples(x[index], picked) if len(picked) else None


def _column(name: str, x: NDArray[Any], y: ArrayLike | None) -> NDArray[Any] | None:
    """Check examples, and give their targets as a column."""
    if x.dtype.kind not in "uif" or x.ndim < 2:
        raise DataError(f"{name}: x must hold numbers, (n, ...), got {x.dtype} of shape {x.shape}")
    if y is None:
        return None
    column = np.asarray(y)
    if column.ndim == 2 and column.shape[1] == 1:
        column = column[:, 0]
    if column.shape != x.shape[:1]:
        raise DataError(f"{name}: y must have shape ({len(x)},) to fit x, got {column.shape}")
    return column
