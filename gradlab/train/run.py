"""A run folder: all that a training was and became, written so that a kill loses nothing."""

from __future__ import annotations

import dataclasses
import json
import secrets
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradlab.errors import ArgumentError, RunError
from gradlab.files import sync, sync_names
from gradlab.graph.dtypes import Array
from gradlab.train.config import Config
from gradlab.train.files import as_json, load_arrays, save_arrays, write_json
from gradlab.train.history import History
from gradlab.train.settings import settings_of

if TYPE_CHECKING:
    from gradlab.train.training import Training

CONFIG = "config.json"
PREPROCESS = "preprocess.json"
CHECKPOINT = "checkpoint.safetensors"
MODEL = "model.safetensors"
HISTORY = "history.json"
RESULT = "result.json"
STANDARD_INPUT = "standard-input"
LOG = "log.jsonl"
CURVES = ("curves.png", "curves.svg")
FILES = (
    CONFIG,
    PREPROCESS,
    CHECKPOINT,
    MODEL,
    HISTORY,
    RESULT,
    STANDARD_INPUT,
    LOG,
    *CURVES,
)
"""All that a training writes, by name."""
ABOUT = ("features", "outputs", "digest")
"""What ``config.json`` says beside the settings."""
FORMAT = 1
"""Version of the folder's layout."""


@dataclass(frozen=True)
class Outcome:
    """What came of an experiment.

    Attributes:
        dataset: one line about the data.
        parameters: number of weights.
        epochs: epochs done, with a fraction if it ended within one.
        best_epoch: where in epochs the weights were that were kept; None if they are the last.
        scores: loss and metrics on each split, by its role; None for one that is not finite.
        updates, best_update: the same in updates.
    """

    dataset: str
    parameters: int
    epochs: float
    best_epoch: float | None
    scores: Mapping[str, Mapping[str, float | None]]
    updates: int = 0
    best_update: int | None = None


class RunFolder:
    """A folder that holds one training.

    ``config.json`` what was asked; ``preprocess.json`` how rows become numbers;
    ``standard-input`` the data, if it came from there;
    ``checkpoint.safetensors`` where the training stands, in one file that is replaced as a whole:
    weights, optimizer and random state, best weights, history; ``model.safetensors`` the weights
    to use; ``history.json``, ``log.jsonl``, ``curves.png``, ``curves.svg`` how it went;
    ``result.json`` how good it became.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @staticmethod
    def create(parent: str | Path, name: str, files: Mapping[str, Any]) -> RunFolder:
        """A new folder ``name-001``, or the next number that is free.

        It is there with all of its first files, or not at all.

        Args:
            parent: where it is made; made too if it is not there.
            name: what it is called before the number.
            files: its first files by name: bytes, or what JSON holds.

        Raises:
            RunError: the parent cannot be written.

        >>> import tempfile
        >>> folder = RunFolder.create(tempfile.mkdtemp(), "digits", {"config.json": {"seed": 0}})
        >>> folder.path.name, folder.read("config.json")
        ('digits-001', {'seed': 0})
        """
        parent = Path(parent)
        hidden = parent / f".{name}.{secrets.token_hex(4)}.tmp"
        try:
            hidden.mkdir(parents=True)
            try:
                for file, content in files.items():
                    data = content if isinstance(content, bytes) else as_json(content).encode()
                    (hidden / file).write_bytes(data)
                    sync(hidden / file)
                sync_names(hidden)
                path = _numbered(hidden, parent, name)
                sync_names(parent)
                return RunFolder(path)
            finally:
                shutil.rmtree(hidden, ignore_errors=True)
        except OSError as error:
            raise RunError(
                f"cannot make a run folder in {parent}: {error.strerror or error}; "
                "choose another --out"
            ) from error

    # --- small files -------------------------------------------------------------------------

    def read(self, name: str) -> Any:
        """What one of the JSON files holds.

        Raises:
            RunError: this is no run folder, or the file is damaged.
        """
        try:
            return json.loads(self.content(name))
        except ValueError as error:
            raise RunError(f"{self.path / name} is damaged: {error}") from error

    def content(self, name: str) -> bytes:
        """The bytes of a file.

        Raises:
            RunError: this is no run folder, or the file cannot be read.
        """
        try:
            return (self.path / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            why = f"it has no {name}" if self.path.is_dir() else "there is no such folder"
            raise RunError(f"{self.path} is not a run folder: {why}") from None
        except OSError as error:
            raise RunError(f"cannot read {self.path / name}: {error.strerror}") from error

    def config(self) -> tuple[Config, dict[str, Any]]:
        """The settings, and what else ``config.json`` says.

        Raises:
            RunError: this is no run folder, or the file is damaged.
        """
        found = self.read(CONFIG)
        try:
            return Config.of(found["settings"]), {k: found[k] for k in ABOUT}
        except (LookupError, TypeError, ArgumentError) as error:
            raise RunError(f"{self.path / CONFIG} is damaged: {error!s}") from error

    # --- checkpoints -------------------------------------------------------------------------

    def checkpoint(self, training: Training) -> None:
        """Write down where a training stands."""
        state = training.trainer.state()
        best = {f"best/{name}": value for name, value in (training.best or {}).items()}
        about = {
            "format": FORMAT,
            "history": training.history.rows,
            "stopped": training.stopped,
            "settings": training.settings or settings_of(training),
        }
        save_arrays(self.path / CHECKPOINT, state | best, about)

    def restore(self, training: Training) -> None:
        """Bring a training to where the checkpoint stands, if there is one.

        It warns of settings and data that are not those of the checkpoint.

        Raises:
            RunError: the checkpoint is of another model or optimizer, or stands where no batch of
                this training begins.
        """
        # As they were asked for: callbacks may change the optimizer later.
        training.settings = settings_of(training)
        if not (self.path / CHECKPOINT).exists():
            return
        arrays, about = load_arrays(self.path / CHECKPOINT)
        if about.get("format") != FORMAT:
            raise RunError(
                f"{self.path / CHECKPOINT} has format {about.get('format')}, this gradlab reads "
                f"{FORMAT}; use the version that wrote it"
            )
        best = {k.removeprefix("best/"): v for k, v in arrays.items() if k.startswith("best/")}
        training.trainer.restore(arrays)
        now, then = training.settings, about.get("settings") or {}
        changed = [
            f"{k} was {_lines_apart(then[k], now[k])}, is {_lines_apart(now[k], then[k])}"
            for k in now
            if then.get(k, now[k]) != now[k]
        ]
        if changed:
            warnings.warn(
                f"{self.path} goes on with other settings than its checkpoint's: "
                f"{'; '.join(changed)}",
                stacklevel=3,
            )
        training.history = History(about["history"])
        training.best = best or None
        training.stopped = about["stopped"]

    @property
    def finished(self) -> bool:
        """Whether the training is done, and all that it leaves is there."""
        return (self.path / RESULT).exists()

    def outcome(self) -> Outcome:
        """What came of a finished training.

        Raises:
            RunError: it is not finished, or the file is damaged.
        """
        try:
            return Outcome(**self.read(RESULT))
        except TypeError as error:
            raise RunError(f"{self.path / RESULT} is damaged: {error}") from error

    def history(self) -> History:
        """The epochs done."""
        if self.finished:
            return History(self.read(HISTORY))
        if (self.path / CHECKPOINT).exists():
            return History(load_arrays(self.path / CHECKPOINT)[1]["history"])
        return History()

    def finish(
        self, weights: Mapping[str, Array], history: History, title: str, outcome: Outcome
    ) -> None:
        """Write what a finished training leaves: weights, history, curves and, last, the result."""
        save_arrays(self.path / MODEL, weights, {"format": FORMAT})
        history.to_json(self.path / HISTORY)
        for name in CURVES:
            history.plot(self.path / name, title)
        write_json(self.path / RESULT, dataclasses.asdict(outcome))


def is_run_folder(path: Path) -> bool:
    """Whether a folder is one."""
    return (path / CONFIG).is_file() and (path / PREPROCESS).is_file()


def _numbered(folder: Path, parent: Path, name: str) -> Path:
    """The folder, renamed to the next free number."""
    taken = [p.name.removeprefix(f"{name}-") for p in parent.iterdir()]
    number = max((int(t) for t in taken if t.isdecimal()), default=0) + 1
    while True:  # another process may take the same number first
        path = parent / f"{name}-{number:03d}"
        try:
            return folder.rename(path)
        except OSError:
            if not path.exists():
                raise
            number += 1


def _lines_apart(text: str, other: str) -> str:
    """The lines of a text that another one does not have, in one line."""
    lines = [line.strip() for line in text.splitlines() if line not in other.splitlines()]
    return " ".join(lines) or "without it"
