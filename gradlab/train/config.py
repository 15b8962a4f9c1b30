"""Config: all settings of an experiment, checked one by one."""

from __future__ import annotations

import dataclasses
import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradlab.errors import ArgumentError, one_of


@dataclass(frozen=True)
class Config:
    """All settings of an experiment; the command line and ``--config`` use the same names.

    Attributes:
        data: registered dataset, or path of a CSV, TSV, Parquet or NPZ file, or "-".
        target, categorical, task, format, validation, test, standardize: see ``gradlab.data.load``.
        hidden: units of each hidden layer; none (or 0) make a linear model.
        activation, init, loss, optimizer, schedule: names, or ``name(key=value, ...)``; without a
            loss the task decides.
        dropout: share of hidden units left out while training, in [0, 1).
        lr: base learning rate; without one, the optimizer's default.
        weight_decay, clip_norm: 0 and None leave them out.
        batch_size, batch_schedule: rows of a batch, and a schedule that multiplies them.
        epochs, patience: how long; patience ends early on the validation loss.
        seed: of everything random.

    Raises:
        ArgumentError: a number out of its range.
    """

    data: str
    target: str | None = None
    categorical: tuple[str, ...] = ()
    task: str | None = None
    format: str | None = None
    validation: float = 0.15
    test: float = 0.15
    standardize: bool = True
    hidden: tuple[int, ...] = (128, 64)
    activation: str = "relu"
    dropout: float = 0.0
    init: str = "kaiming_normal"
    loss: str | None = None
    optimizer: str = "adam"
    lr: float | None = None
    schedule: str = "cosine"
    weight_decay: float = 0.0
    clip_norm: float | None = None
    batch_size: int = 32
    batch_schedule: str | None = None
    epochs: int = 30
    patience: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.hidden == (0,):
            object.__setattr__(self, "hidden", ())
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ArgumentError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.lr is not None and not 0 < self.lr < math.inf:
            raise ArgumentError(f"lr must be a finite number above 0, got {self.lr}")
        if any(units < 1 for units in self.hidden):
            shown = ",".join(map(str, self.hidden))
            raise ArgumentError(f"hidden layers need at least 1 unit each, got {shown}")
        if self.seed < 0:
            raise ArgumentError(f"seed must be a whole number from 0 up, got {self.seed}")

    @staticmethod
    def of(settings: Mapping[str, Any]) -> Config:
        """A config from plain values, as TOML, JSON and the command line have them.

        Raises:
            ArgumentError: an unknown name, a value of the wrong type or out of its range.

        >>> Config.of({"data": "iris", "hidden": [16]}).hidden
        (16,)
        >>> Config.of({"data": "iris", "hidden": "64,32"}).hidden
        (64, 32)
        """
        fields = {field.name: field for field in dataclasses.fields(Config)}
        values = {}
        for name, value in settings.items():
            if name not in fields:
                raise ArgumentError(one_of("setting", name, fields))
            values[name] = _typed(name, value, str(fields[name].type))
        if "data" not in values:
            raise ArgumentError("no data: name a dataset or a file, such as gradlab train digits")
        return Config(**values)

    @staticmethod
    def read(path: str | Path) -> dict[str, Any]:
        """The settings in a TOML file, or in the ``config.json`` of a run.

        Raises:
            ArgumentError: the file cannot be read, or holds something else.
        """
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8")
            found = json.loads(text)["settings"] if path.suffix == ".json" else tomllib.loads(text)
            return dict(found)
        except OSError as error:
            raise ArgumentError(f"cannot read {path}: {error.strerror}") from error
        except (ValueError, LookupError, TypeError) as error:
            reason = str(error) if isinstance(error, ValueError) else "it has no settings"
            raise ArgumentError(f"{path} is not a file of settings: {reason}") from error


WORDS = {"str": "text", "int": "a whole number", "float": "a number", "bool": "true or false"}
TYPES: dict[str, Any] = {"str": str, "int": int, "float": (int, float), "bool": bool}


def _typed(name: str, value: Any, kind: str) -> Any:
    """A plain value as the type of its field."""
    if value is None and "None" in kind:
        return None
    if kind.startswith("tuple"):
        return _listed(name, value, "int" if "int" in kind else "str")
    kind = kind.removesuffix(" | None")
    if not isinstance(value, TYPES[kind]) or (kind != "bool" and isinstance(value, bool)):
        raise ArgumentError(f"{name} must be {WORDS[kind]}, got {value!r}")
    return float(value) if kind == "float" else value


def _listed(name: str, value: Any, kind: str) -> tuple[Any, ...]:
    """A list, a single value, or text with commas, as a tuple."""
    if isinstance(value, str):
        parts: list[Any] = [part.strip() for part in value.split(",") if part.strip()]
        if kind == "int":
            parts = [int(part) if part.lstrip("+-").isdecimal() else part for part in parts]
    else:
        parts = list(value) if isinstance(value, list | tuple) else [value]
    if not all(isinstance(part, TYPES[kind]) and not isinstance(part, bool) for part in parts):
        wanted = "whole numbers, such as 128,64" if kind == "int" else "names"
        raise ArgumentError(f"{name} must be {wanted}, got {value!r}")
    return tuple(parts)
