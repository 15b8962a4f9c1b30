"""Readers of files: bytes in, a source out."""

from __future__ import annotations

import csv
import io
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gradlab.data.arrays import ArraySource, image_source
from gradlab.data.source import Source
from gradlab.data.table import Table, is_missing
from gradlab.errors import DataError, require

_X_NAMES = ("x", "X", "data")
_Y_NAMES = ("y", "Y", "target")
_SPLIT_NAMES = ("x_train", "y_train", "x_test", "y_test")
# In characters; enough to see the delimiter, and within the csv module's limit for one field.
_LONGEST_HEADER = 100_000


def read_csv(data: bytes, name: str) -> Source:
    """Read CSV text with a header line; the delimiter is a comma, semicolon or tab.

    A column is numeric if every value that is not missing is a number, and text otherwise. The
    target is the last column.

    Raises:
        DataError: no header or rows, a line with too many or few fields, not UTF-8.

    >>> read_csv(b"size;hue\\n1;red\\n;blue", "shop").table["size"]
    array([ 1., nan])
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{name} is not UTF-8 text (byte {error.start}); save it as UTF-8"
        ) from None
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=_delimiter(text),
        skipinitialspace=True,
        strict=True,
    )
    header: list[str] | None = None
    rows: list[list[str]] = []
    try:
        for fields in reader:
            if not fields:
                continue
            fields = [field.strip() for field in fields]
            if header is None:
                header = _check_header(fields, name)
                continue
            if len(fields) != len(header):
                raise DataError(
                    f"{name}, line {reader.line_num}: {len(fields)} fields "
                    f"where the header has {len(header)}"
                )
            rows.append(fields)
    except csv.Error as error:
        raise DataError(f"{name}, line {reader.line_num}: {error}") from error
    if header is None:
        raise DataError(f"{name} is empty")
    if not rows:
        raise DataError(f"{name} has a header and no rows")
    columns = {
        column: _parse(values)
        for column, values in zip(header, zip(*rows, strict=True), strict=True)
    }
    return Source(name, Table(columns), (header[-1],))


def read_parquet(data: bytes, name: str) -> Source:
    """Read a Parquet file; the target is the last column.

    Raises:
        DataError: the file is damaged, or a column holds neither numbers nor text.
        MissingExtraError: pyarrow is not installed.
    """
    pyarrow = require("pyarrow", "parquet")
    parquet = require("pyarrow.parquet", "parquet")
    try:
        read = parquet.read_table(pyarrow.BufferReader(data))
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"{name} is not a Parquet file, or is damaged: {reason}") from error
    names = unique_names(read.column_names, name)
    # pandas stores the index of a frame as a column of such a name.
    kept = [column for column in names if not re.fullmatch(r"__index_level_\d+__", column)]
    table = Table({column: read.column(column).to_numpy() for column in kept})
    return Source(name, table, tuple(kept[-1:]))


def read_npz(data: bytes, name: str) -> Source | ArraySource:
    """Read NumPy arrays: features x under x, X or data; targets y under y, Y or target.

    x of shape (n, d) makes a table with the columns x1, x2, ... and the array of targets (y, or y1,
    y2, ...); of more axes, or split into x_train, y_train, x_test and y_test, it stays an array of
    examples, see `image_source`.

    Raises:
        DataError: the file is damaged, has no x, or holds Python objects.
    """
    if not zipfile.is_zipfile(io.BytesIO(data)):
        raise DataError(f"{name} is not an NPZ file, or is cut short")
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            found = sorted(file.files)
            if "x_train" in found:
                wanted = [key for key in _SPLIT_NAMES if key in found]
                return _published({key: file[key] for key in wanted}, name)
            x_name = next((key for key in _X_NAMES if key in found), None)
            if x_name is None:
                raise DataError(
                    f"{name} has no array x, X, data or x_train; found: {_listed(found)}"
                )
            y_name = next((key for key in _Y_NAMES if key in found), None)
            x = file[x_name]
            y = None if y_name is None else file[y_name]
    except DataError:
        raise
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        if "allow_pickle" in str(error):
            raise DataError(
                f"{name} holds Python objects, which are not read for safety; "
                "save arrays of numbers, or labels as text (y.astype(str))"
            ) from error
        raise DataError(f"{name} is damaged: {error}") from error
    return from_arrays(x, y, name, y_name or "y")


READERS: Mapping[str, Callable[[bytes, str], Source | ArraySource]] = {
    "csv": read_csv,
    "tsv": read_csv,
    "parquet": read_parquet,
    "npz": read_npz,
}


def from_arrays(x: Any, y: Any, name: str, y_name: str = "y") -> Source | ArraySource:
    """Take features and targets, arrays or frames, as one table; y may be None.

    Arrays of three axes or more, and memory maps, stay arrays; see `image_source`.

    Raises:
        DataError: not numbers, lengths that differ, a name used twice, targets of a stack of arrays
            that are no classes.
    """
    if isinstance(x, np.ndarray) and (x.ndim > 2 or isinstance(x, np.memmap)):
        return image_source(name, x, y, None)
    features = _columns(x, "x")
    targets: dict[str, ArrayLike] = {}
    if y is not None:
        label = getattr(y, "name", None)
        targets = _columns(y, label if isinstance(label, str) else y_name, target=True)
    for column in targets:
        if column in features:
            raise DataError(f"column {column!r} is in both X and y; take it out of one")
    return Source(name, Table(features | targets), tuple(targets))


def _published(arrays: Mapping[str, NDArray[Any]], name: str) -> ArraySource:
    """Arrays that are split already."""
    missing = [key for key in _SPLIT_NAMES if key not in arrays]
    if missing:
        raise DataError(f"{name} has x_train and lacks {_listed(missing)}; it needs all four")
    x, y, x_test, y_test = (arrays[key] for key in _SPLIT_NAMES)
    return image_source(name, x, y, (x_test, y_test))


def _columns(values: Any, name: str, *, target: bool = False) -> dict[str, ArrayLike]:
    """Columns of a frame by its names, or of an array by number."""
    if hasattr(values, "columns"):
        names = unique_names([str(column) for column in values.columns], "the frame")
        return {
            text: np.asarray(values[column])
            for text, column in zip(names, values.columns, strict=True)
        }
    array = _array(values, name)
    if target and (array.ndim == 1 or array.shape[1:] == (1,)):
        return {name: array.reshape(len(array))}
    if array.ndim != 2:
        raise DataError(
            f"{name} must have two dimensions, a row for each example, got shape {array.shape}"
        )
    if array.dtype.kind not in "biuf":
        raise DataError(f"{name} must be an array of numbers, got {array.dtype}")
    array = array.astype(np.uint8) if array.dtype.kind == "b" else array
    return {f"{name}{j + 1}": array[:, j] for j in range(array.shape[1])}


def _array(values: Any, name: str) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except ValueError as error:
        raise DataError(f"{name} has rows of different lengths") from error


def unique_names(names: Iterable[str], where: str) -> list[str]:
    """Return the names as a list, or raise DataError for one that is there twice."""
    listed = list(names)
    twice = [column for column, count in Counter(listed).items() if count > 1]
    if twice:
        raise DataError(f"{where} has the column {twice[0]!r} more than once; rename one")
    return listed


def _delimiter(text: str) -> str:
    """Return the delimiter that splits the first line into most fields."""
    start = text.lstrip("\r\n")[:_LONGEST_HEADER].splitlines()[:1]
    return max(
        ",;\t",
        key=lambda mark: len(next(csv.reader(start, delimiter=mark, skipinitialspace=True), [])),
    )


def _check_header(fields: list[str], name: str) -> list[str]:
    """Return the column names, or say why the first line is no header."""
    for place, field in enumerate(fields, start=1):
        if _is_number(field):
            raise DataError(
                f"{name}: the first line has the number {field!r} where a column name belongs; "
                "put a line of column names on top"
            )
        if not field:
            raise DataError(
                f"{name}: column {place} has no name; name it "
                "(an index that pandas wrote is left out with to_csv(index=False))"
            )
    return unique_names(fields, name)


def _parse(values: Iterable[str]) -> NDArray[Any]:
    """Turn the fields of a column into numbers if all are, or leave them as text."""
    texts = list(values)
    if all(is_missing(text) or _is_number(text) for text in texts):
        return np.array([np.nan if is_missing(text) else float(text) for text in texts])
    return np.array(texts, dtype=object)


def _is_number(text: str) -> bool:
    """Whether a text is a number; Python's own 1_000 is not one here."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "nothing"
