"""What decides how a training goes on, as text that a checkpoint keeps."""

from __future__ import annotations

import dataclasses
import functools
import re
import types
import zlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gradlab.graph.dtypes import Array

if TYPE_CHECKING:
    from gradlab.train.training import Training

SETTINGS = (
    *("model", "optimizer", "loss", "batch_size", "micro_batch", "seed", "shuffle", "drop_last"),
)
"""Attributes of a Trainer that decide what it does."""
SAMPLE = 1000
"""Rows of large arrays that a fingerprint is taken of, about."""
PLAIN = (bool, int, float, complex, str, bytes, types.NoneType)


def settings_of(training: Training) -> dict[str, str]:
    """The settings of a training by name, and fingerprints of its data."""
    trainer = training.trainer
    settings = {name: described(getattr(trainer, name)) for name in SETTINGS}
    settings["data"] = f"{len(trainer.x)} rows, {fingerprint(trainer.x, trainer.y):08x}"
    if training.validation is not None:
        x, y = training.validation
        settings["validation"] = f"{len(x)} rows, {fingerprint(x, y):08x}"
    return settings


def described(value: Any) -> str:
    """A value as text that is the same in every process.

    Functions of the user are known by their names, their code and the plain values that they close
    over, those of gradlab by their names; where they lie does not count.

    >>> from gradlab.nn import cross_entropy
    >>> described((0.1, cross_entropy))
    '(0.1, <function cross_entropy>)'
    """
    text = re.sub(r" at 0x\w+", "", repr(value))
    code = "|".join(_code(value))
    return f"{text} [{zlib.crc32(code.encode()):08x}]" if code else text


def _code(value: Any) -> Iterator[str]:
    """The code of all functions in a value, and what they close over."""
    if isinstance(value, types.FunctionType):
        if value.__module__.partition(".")[0] == "gradlab":
            return  # known by its name; a later version may be written otherwise
        yield from _constants(value.__code__)
        for inside in (value.__defaults__, value.__kwdefaults__):
            yield from _closed(inside)
        for cell in value.__closure__ or ():
            try:
                yield from _closed(cell.cell_contents)
            except ValueError:  # an empty cell
                continue
    elif isinstance(value, types.MethodType):
        yield from _code(value.__func__)
    elif isinstance(value, functools.partial):
        yield from _code((value.func, value.args, value.keywords))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _code(part)
    elif isinstance(value, Mapping):
        yield from _code(list(value.values()))
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield from _code([getattr(value, field.name) for field in dataclasses.fields(value)])


def _closed(value: Any) -> Iterator[str]:
    """A value that a function closes over: plain ones, arrays, and functions in it."""
    if isinstance(value, PLAIN):
        yield repr(value)
    elif isinstance(value, np.ndarray):
        yield f"{fingerprint(value):08x}"
    else:
        yield from _code(value)


def _constants(code: types.CodeType) -> Iterator[str]:
    """Instructions, names and constants of a piece of code."""
    yield code.co_code.hex()
    yield repr(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _constants(constant)
        elif isinstance(constant, frozenset):
            yield repr(sorted(map(repr, constant)))  # its order differs from process to process
        else:
            yield repr(constant)


def fingerprint(*arrays: Array) -> int:
    """A checksum of arrays, of large ones by rows that are spread over them."""
    total = 0
    for array in arrays:
        rows = array if not array.ndim else array[:: max(1, len(array) // SAMPLE)]
        total = zlib.crc32(np.ascontiguousarray(rows).tobytes(), total)
    return total
