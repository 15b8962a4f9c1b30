"""Load data from wherever it is into named splits."""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from gradlab.data.array_preprocess import ArrayPreprocess
from gradlab.data.arrays import ArraySource, split_examples
from gradlab.data.dataset import Dataset, Split
from gradlab.data.image_folder import read_image_folder
from gradlab.data.preprocess import Preprocess
from gradlab.data.readers import READERS, from_arrays
from gradlab.data.source import Source, datasets
from gradlab.data.splits import split_rows
from gradlab.data.table import Table
from gradlab.data.targets import Labels, check_classes, check_present, check_task, infer_task
from gradlab.errors import ArgumentError, DataError, one_of


def load(
    source: Any,
    *,
    target: str | Sequence[str] | None = None,
    categorical: str | Sequence[str] = (),
    task: str | None = None,
    validation: float = 0.15,
    test: float = 0.15,
    seed: int = 0,
    standardize: bool = True,
    dtype: str = "float32",
    format: str | None = None,  # noqa: A002 - the word users know from other readers
    data_dir: str | PathLike[str] | None = None,
) -> Dataset:
    """Load a dataset, split its rows at random, and scale it by its training rows.

    Tables are described here. Images and text stay what they are, keep the splits that they are
    published with, and take ``validation``, ``test``, ``seed`` and ``standardize`` only where these
    say something about them; see `ArraySource`, `split_examples` and `ArrayPreprocess`.

    Args:
        source: a registered name (``"digits"``, ``"spiral(noise=0.1, samples=500)"``) or a mapping
            such as ``{"name": "spiral", "noise": 0.1}``, a path to a .csv, .tsv, .parquet or .npz
            file or to a folder of images, ``"-"`` for standard input, the bytes of such a file, a
            frame with its target in it, a pair (X, y) of arrays or frames, or what `read` gives.
        target: name of the column to predict, or several for a regression; by default the last
            column, the y of an NPZ file or pair, or what the registered dataset says.
        categorical: numeric columns to take as categories; text columns always are.
        task: ``"classification"`` or ``"regression"``. By default classification if the target
            is text, or whole numbers of at most 20 values each met twice on average.
        validation: fraction of the rows, in [0, 1). Does not change which rows test.
        test: fraction of the rows, in [0, 1).
        seed: of the split, and of registered datasets that are drawn at random.
        standardize: bring features and regression targets to mean 0 and standard deviation 1
            (pixels of digits to [0, 1]); see `Preprocess`.
        dtype: ``"float32"`` or ``"float64"``.
        format: csv, tsv, parquet or npz, where no path says it (standard input, bytes: csv).
        data_dir: folder of downloaded datasets and of local copies, instead of $GRADLAB_DATA or
            the user's cache.

    Raises:
        ArgumentError: an unknown name, or an argument out of its range.
        DataError: data that cannot be read or trained on.
        MissingExtraError: a Parquet file without pyarrow.

    >>> spiral = load("spiral(noise=0.1, samples=200)", seed=1)
    >>> spiral.describe()
    'spiral: classification, 140 train, 30 validation, 30 test rows, 2 features, 2 classes (0, 1)'
    >>> load(([[1.0], [2.0], [3.0]], [0.1, 0.2, 0.4]), validation=0, test=0).train.y.shape
    (3, 1)
    """
    origin = read(source, format=format, seed=seed, data_dir=data_dir)
    if isinstance(origin, ArraySource):
        if target is not None or categorical or task not in (None, "classification"):
            raise ArgumentError(
                f"target, categorical and task are for tables; {origin.name} has its classes"
            )
        return _load_arrays(
            origin, validation=validation, test=test, seed=seed, standardize=standardize
        )
    table = origin.table
    targets = origin.target if target is None else _names(target)
    task = task or (origin.task if target is None else None)
    chosen = _names(categorical)
    _check(table, targets, chosen)
    task = task or infer_task(table, targets)
    check_task(task)
    if task == "classification":
        if len(targets) > 1:
            raise ArgumentError(f"classification takes one target, got {', '.join(targets)}")
        labels = Labels.learn(table, targets[0])
        check_classes(table, labels)
        strata = labels.encode(table)
    else:
        strata = np.zeros(len(table), dtype=np.int64)
    rows = split_rows(strata, validation=validation, test=test, seed=seed)
    unseen = np.setdiff1d(strata, strata[rows.train])
    if unseen.size:
        label, count = labels.classes[unseen[0]], int((strata == unseen[0]).sum())
        raise DataError(
            f"class {label!r} has {count} of {len(table)} rows, and none is left for training; "
            "add rows, or lower validation and test"
        )
    train = table.rows(rows.train)
    preprocess = Preprocess.learn(
        train,
        targets,
        task=task,
        categorical=chosen,
        standardize=standardize,
        divisor=origin.divisor,
        dtype=dtype,
    )

    def split(part: Table, role: str) -> Split | None:
        return Split(preprocess.apply(part), preprocess.encode(part), role) if len(part) else None

    return Dataset(
        name=origin.name,
        train=Split(preprocess.apply(train), preprocess.encode(train), "train"),
        validation=split(table.rows(rows.validation), "validation"),
        test=split(table.rows(rows.test), "test"),
        preprocess=preprocess,
    )


def _load_arrays(
    source: ArraySource, *, validation: float, test: float, seed: int, standardize: bool
) -> Dataset:
    """Split images or text; nothing is copied but rows that are drawn at random."""
    if source.train.y is None:
        raise DataError(
            f"{source.name} has no targets: of arrays they are an array y, of images the names of "
            "their folders"
        )
    if len(source.labels.classes) < 2:
        raise DataError(
            f"{source.name} has {len(source.labels.classes)} classes; classification needs two or "
            "more"
        )
    parts = split_examples(source, validation=validation, test=test, seed=seed)
    splits = {
        role: Split(part.x, part.y, role)
        for role, part in parts.items()
        if part is not None and part.y is not None
    }
    return Dataset(
        name=source.name,
        train=splits["train"],
        validation=splits.get("validation"),
        test=splits.get("test"),
        preprocess=ArrayPreprocess.learn(source, splits["train"].x, standardize=standardize),
    )


def read(
    source: Any,
    *,
    format: str | None = None,  # noqa: A002
    seed: int = 0,
    data_dir: str | PathLike[str] | None = None,
) -> Source | ArraySource:
    """Read a source of `load` without splitting it; an array X alone is features to predict for.

    Raises:
        ArgumentError: an unknown dataset name or format.
        DataError: a source that cannot be read.

    >>> read(([[1.0, 2.0]], ["yes"])).table.names
    ('x1', 'x2', 'y')
    """
    if format is not None and format not in READERS:
        raise ArgumentError(one_of("format", format, READERS))
    if isinstance(source, Source | ArraySource):
        return source
    if isinstance(source, str) and source == "-":
        source = sys.stdin.buffer.read()
    if isinstance(source, bytes):
        return READERS[format or "csv"](source, "standard input")
    if isinstance(source, Mapping) or (isinstance(source, str) and names_dataset(source, format)):
        registered: Source | ArraySource = datasets.build(source, seed=seed, data_dir=data_dir)
        return registered
    if isinstance(source, str | PathLike):
        return _read_path(Path(source), format, data_dir)
    if isinstance(source, tuple):
        if len(source) != 2:
            raise ArgumentError(f"arrays come as a pair (X, y), got {len(source)} of them")
        return from_arrays(*source, name="arrays")
    arrays = from_arrays(source, None, name="arrays")
    if isinstance(arrays, Source) and hasattr(source, "columns"):
        return Source("frame", arrays.table, arrays.table.names[-1:])
    return arrays


def names_dataset(source: str, format: str | None = None) -> bool:  # noqa: A002
    """Whether a text names a registered dataset and not a file or a folder.

    A path has a dot or a slash, or is that of a folder which is there.

    >>> names_dataset("spiral(noise=0.1)"), names_dataset("spiral.csv")
    (True, False)
    """
    if format is not None or not re.fullmatch(r"\w+\s*(\(.*\))?", source):
        return False
    return source in datasets or not Path(source).is_dir()


def _read_path(
    path: Path,
    format: str | None,  # noqa: A002
    data_dir: str | PathLike[str] | None,
) -> Source | ArraySource:
    if not (format or path.suffix) and path.is_dir():
        return read_image_folder(path, data_dir=data_dir)
    format = format or path.suffix.lower().removeprefix(".")  # noqa: A001
    if format not in READERS and not path.exists():
        raise DataError(f"cannot read {path}: no such file or folder")
    if format not in READERS:
        text = "; for a text, load the dataset text with this file" * (format in ("txt", "md"))
        raise DataError(
            f"cannot tell the format of {path} by its suffix; "
            f"it must be one of .{', .'.join(READERS)}, or give format{text}"
        )
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    return dataclasses.replace(READERS[format](data, str(path)), name=path.stem)


def _names(names: str | Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _check(table: Table, targets: tuple[str, ...], categorical: tuple[str, ...]) -> None:
    """Check on all rows what would otherwise surface in some split, with a wrong row number."""
    if not len(table):
        raise DataError("there are no rows")
    if not targets:
        raise DataError("there is no target: give a pair (X, y), or an array y, Y or target in NPZ")
    for name in targets + categorical:
        table[name]  # raises for an unknown one
    for name in targets:
        if name in categorical:
            raise DataError(f'column {name!r} is the target; ask for task="classification" instead')
        check_present(table, name)
    features = [name for name in table.names if name not in targets]
    if not features:
        raise DataError(f"there is no feature beside the target {', '.join(targets)}")
    for name in table.names:
        if not table.is_text(name):
            table.numbers(name)  # raises for an infinity
