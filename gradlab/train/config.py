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

    What is None takes a default that depends on the data, see ``completed``.

    Attributes:
        data: registered dataset, or path of a CSV, TSV, Parquet or NPZ file or of a folder of
            images, or "-".
        file, block: of text: the file, and the characters that the network sees at once.
        data_dir: folder of downloaded datasets and of local copies.
        target, categorical, task, format, validation, test, standardize: see ``gradlab.data.load``.
        model: a name, or ``name(key=value, ...)``.
        hidden, activation, dropout: of an mlp: units of each hidden layer (none or 0 make a linear
            model), its activation, and the share of hidden units left out while training.
        init: a name too; without one, what the source of the model uses, or else kaiming_normal.
        augment: random changes of images while training, such as "crop(padding=4)" and "flip".
        loss, optimizer, schedule: names, or ``name(key=value, ...)``; without a loss the task
            decides.
        class_weight: of a classification: "balanced", n / (classes · rows of the class), so that
            every class counts the same, or a number for each class, in their order: "1,2.5".
        label_smoothing: of a classification: the share of each target that goes to all classes.
        lr: base learning rate; without one, the optimizer's default.
        weight_decay, clip_norm: 0 and None leave them out.
        batch_size, batch_schedule: rows of a batch, and a schedule that multiplies them.
        micro_batch: rows that memory has to hold at once.
        epochs, updates: how long, in one of them; schedules are in the same.
        evaluate_every: updates from one look at the validation rows to the next.
        patience: ends early on the validation loss, after so many looks without a better one.
        seed: of everything random.

    Raises:
        ArgumentError: a number out of its range.
    """

    data: str
    file: str | None = None
    block: int | None = None
    data_dir: str | None = None
    target: str | None = None
    categorical: tuple[str, ...] = ()
    task: str | None = None
    format: str | None = None
    validation: float | None = None
    test: float = 0.15
    standardize: bool = True
    model: str | None = None
    hidden: tuple[int, ...] | None = None
    activation: str | None = None
    dropout: float | None = None
    init: str | None = None
    augment: tuple[str, ...] = ()
    loss: str | None = None
    class_weight: str | None = None
    label_smoothing: float = 0.0
    optimizer: str | None = None
    lr: float | None = None
    schedule: str | None = None
    weight_decay: float = 0.0
    clip_norm: float | None = None
    batch_size: int | None = None
    batch_schedule: str | None = None
    micro_batch: int | None = None
    epochs: int | None = None
    updates: int | None = None
    evaluate_every: int | None = None
    patience: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.hidden == (0,):
            object.__setattr__(self, "hidden", ())
        for name in COUNTS:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ArgumentError(f"{name} must be at least 1, got {value}")
        if self.lr is not None and not 0 < self.lr < math.inf:
            raise ArgumentError(f"lr must be a finite number above 0, got {self.lr}")
        if not 0 <= self.label_smoothing <= 1:
            raise ArgumentError(f"label_smoothing must be from 0 to 1, got {self.label_smoothing}")
        if any(units < 1 for units in self.hidden or ()):
            shown = ",".join(map(str, self.hidden or ()))
            raise ArgumentError(f"hidden layers need at least 1 unit each, got {shown}")
        if self.seed < 0:
            raise ArgumentError(f"seed must be a whole number from 0 up, got {self.seed}")
        if self.epochs is not None and self.updates is not None:
            raise ArgumentError(
                f"epochs is {self.epochs} and updates {self.updates}; give one of them"
            )
        if self.updates is not None and self.batch_schedule is not None:
            raise ArgumentError("batch_schedule runs over epochs; give epochs instead of updates")
        self._check_model()

    def _check_model(self) -> None:
        """The options of an mlp are of no other model."""
        name = (self.model or "mlp").partition("(")[0].strip()
        for option in ("hidden", "activation", "dropout"):
            if name != "mlp" and getattr(self, option) is not None:
                raise ArgumentError(
                    f"{option} is an option of model mlp; those of {name} go into its brackets, "
                    f"see: gradlab list models"
                )

    def completed(self, kind: str, rows: int) -> Config:
        """The config with everything that a run needs.

        Args:
            kind: of the data: "table", "arrays" (images) or "text".
            rows: to train on; a batch that is not named has no more.

        >>> config = Config("moons").completed("table", rows=350)
        >>> config.model, config.batch_size, config.epochs
        ('mlp', 32, 30)
        >>> Config("text", updates=100).completed("text", rows=9000).schedule
        "warmup(over=5, then='cosine(final=0.1)')"
        """
        found = dict(DEFAULTS[kind])
        found["batch_size"] = min(found["batch_size"], rows)
        if self.epochs is not None or self.updates is not None:
            found = {k: v for k, v in found.items() if k not in ("epochs", "updates")}
        found |= {name: value for name, value in vars(self).items() if value is not None}
        length = found["updates"] if "updates" in found else found["epochs"]
        if self.schedule is None:
            found["schedule"] = found["schedule"].format(twentieth=f"{length / 20:g}")
        return Config(**found)

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


COUNTS = ("epochs", "updates", "evaluate_every", "batch_size", "micro_batch", "block")
"""Settings that are whole numbers from 1 up."""

VALIDATION = 0.15
"""Share of the rows for validation, where the data bring none."""

DEFAULTS: dict[str, dict[str, Any]] = {
    "table": {
        "validation": VALIDATION,
        "model": "mlp",
        "optimizer": "adam",
        "schedule": "cosine",
        "batch_size": 32,
        "epochs": 30,
    },
    "arrays": {
        "validation": VALIDATION,
        "model": "mlp",
        "optimizer": "adam",
        "schedule": "cosine",
        "batch_size": 128,
        "epochs": 5,
    },
    # Karpathy, nanoGPT, 2022: its setting for a CPU, at three times its rate.
    "text": {
        "validation": 0.1,
        "model": "gpt",
        "optimizer": "adamw(lr=0.003, beta2=0.99, weight_decay=0.1, biases=False)",
        "schedule": "warmup(over={twentieth}, then='cosine(final=0.1)')",
        "clip_norm": 1.0,
        "batch_size": 12,
        "updates": 2000,
    },
}
"""What is not named, by the kind of data; {twentieth} of the training is a twentieth of it."""

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
