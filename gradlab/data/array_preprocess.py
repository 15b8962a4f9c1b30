"""What prediction needs to know of examples that are arrays."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gradlab.data.arrays import ArraySource
from gradlab.data.preprocess import Preprocess
from gradlab.data.source import Source
from gradlab.data.table import category
from gradlab.data.targets import Labels
from gradlab.errors import DataError

_CHUNK = 1 << 24
"""Bytes of pixels that are looked at together."""


@dataclass(frozen=True)
class ArrayPreprocess:
    """The form of images or windows of text, and what their classes stand for.

    Arrays stay what they are: bytes become floats within the model, by (x/255 − mean) / std in
    ``gradlab.nn.Pixels``.

    Attributes:
        kind: ``"arrays"`` or ``"text"``, see `ArraySource`.
        shape: of one example.
        dtype: of x.
        target: the classes, or the characters of the vocabulary.
        mean, std: of x/255 for each channel, over the training rows; empty where x is not bytes.

    >>> from gradlab.data.arrays import Examples
    >>> x = np.array([0, 255] * 6, np.uint8).reshape(3, 1, 2, 2)
    >>> labels = Labels("colour", ("white", "black"))
    >>> source = ArraySource("dots", "arrays", labels, Examples(x, np.array([0, 1, 0])))
    >>> preprocess = ArrayPreprocess.learn(source, x)
    >>> preprocess.shape, preprocess.mean, preprocess.std
    ((1, 2, 2), (0.5,), (0.5,))
    >>> ArrayPreprocess.from_json(preprocess.to_json()) == preprocess
    True
    """

    kind: Literal["arrays", "text"]
    shape: tuple[int, ...]
    dtype: str
    target: Labels
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    @classmethod
    def learn(
        cls, source: ArraySource, x: NDArray[Any], *, standardize: bool = True
    ) -> ArrayPreprocess:
        """Learn from the training rows x; without ``standardize``, mean is 0 and std 1."""
        mean: tuple[float, ...] = ()
        std: tuple[float, ...] = ()
        if source.kind == "arrays" and x.dtype == np.uint8:
            mean, std = pixel_moments(x)
            if not standardize:
                mean, std = (0.0,) * len(mean), (1.0,) * len(std)
        return cls(source.kind, x.shape[1:], str(x.dtype), source.labels, mean, std)

    @property
    def task(self) -> str:
        """Classification, of examples or of the next characters."""
        return "classification"

    @property
    def feature_names(self) -> tuple[str, ...]:
        """None: the elements of an array have no names."""
        return ()

    def prepare(self, source: Source | ArraySource) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """Examples of a source to predict for, and their classes as indices if it has them.

        These are its published test rows, or else the validation rows that it brings, or else all.

        Raises:
            DataError: examples of another form than those of the training, or an unknown class.
        """
        if isinstance(source, Source):
            raise DataError(f"training had {self._form()}, and {source.name} is a table")
        x, y = source.test or source.validation or source.train
        found = dataclasses.replace(self, kind=source.kind, shape=x.shape[1:], dtype=str(x.dtype))
        if self.kind == found.kind == "text":
            step = 1 if source.test or source.validation else self.shape[0]
            x = self._indices(x[::step], source)
            y = None if y is None else y[::step]
            found = dataclasses.replace(found, dtype=self.dtype)
        if found._form() != self._form():
            raise DataError(f"training had {self._form()}, and {source.name} has {found._form()}")
        return x, None if y is None else self._indices(y, source).astype(np.int64)

    def _form(self) -> str:
        """What an example is, in words."""
        if self.kind == "text":
            return f"windows of {self.shape[0]} characters"
        return f"arrays of {' × '.join(map(str, self.shape))} {self.dtype}"

    def _indices(self, y: NDArray[Any], source: ArraySource) -> NDArray[Any]:
        """Indices of the source's classes as those of the training."""
        if source.labels.classes == self.target.classes:
            return y
        place = {category(label): i for i, label in enumerate(self.target.classes)}
        known = np.array([place.get(category(c), -1) for c in source.labels.classes], np.int64)
        found: NDArray[Any] = known[y]
        if (found < 0).any():
            label = source.labels.classes[int(y[found < 0][0])]
            what = "character" if self.kind == "text" else "class"
            raise DataError(f"{source.name} has the {what} {label!r}, which training did not have")
        return found.astype(self.dtype if self.kind == "text" else np.int64)

    def decode(self, y: ArrayLike) -> NDArray[Any]:
        """Return the labels of class indices."""
        return self.target.decode(y)

    def to_json(self) -> dict[str, Any]:
        """Return a dict that JSON holds exactly."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ArrayPreprocess:
        """Rebuild from the dict of `to_json`.

        Raises:
            DataError: the dict is not one of `to_json`.
        """
        try:
            return cls(
                kind=data["kind"],
                shape=tuple(data["shape"]),
                dtype=data["dtype"],
                target=Labels(data["target"]["name"], tuple(data["target"]["classes"])),
                mean=tuple(data["mean"]),
                std=tuple(data["std"]),
            )
        except (KeyError, TypeError) as error:
            raise DataError(f"this is no preprocessing that gradlab wrote: {error!r}") from error


def restore_preprocess(data: Mapping[str, Any]) -> Preprocess | ArrayPreprocess:
    """Rebuild the preprocessing of a table or of arrays from the dict of ``to_json``.

    Raises:
        DataError: the dict is of neither.
    """
    return (ArrayPreprocess if "kind" in data else Preprocess).from_json(data)


def pixel_moments(x: NDArray[np.uint8]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of x/255 for each channel, axis 1; 1 for a channel of one value.

    >>> pixel_moments(np.array([[[0, 255]], [[0, 255]]], np.uint8))
    ((0.5,), (0.5,))
    """
    counts = np.zeros((x.shape[1], 256), np.int64)
    for rows in in_chunks(x, _CHUNK):
        for channel, count in enumerate(counts):
            count += np.bincount(rows[:, channel].ravel(), minlength=256)
    share = counts / counts.sum(axis=1, keepdims=True)
    values = np.arange(256) / 255
    mean = share @ values
    std = np.sqrt((share * (values - mean[:, None]) ** 2).sum(axis=1))
    return tuple(mean.tolist()), tuple(np.where(std > 0, std, 1.0).tolist())


def in_chunks(x: NDArray[Any], size: int) -> Iterator[NDArray[Any]]:
    """Rows of an array, about so many bytes at a time."""
    rows = max(1, size // max(1, x.itemsize * math.prod(x.shape[1:])))
    return (x[start : start + rows] for start in range(0, len(x), rows))
