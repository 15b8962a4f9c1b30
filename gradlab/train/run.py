"""A run folder: all that a training was and became, written so that a kill loses nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gradlab.errors import RunError
from gradlab.graph.dtypes import Array
from gradlab.train.files import replacing, write_json
from gradlab.train.history import History

if TYPE_CHECKING:
    from gradlab.train.fit import Training

CONFIG = "config.json"
PREPROCESS = "preprocess.json"
CHECKPOINT = "checkpoint.safetensors"
MODEL = "model.safetensors"
HISTORY = "history.json"
RESULT = "result.json"
LOG = "log.jsonl"
FORMAT = 1
"""Version of the folder's layout."""


class RunFolder:
    """A folder that holds one training.

    ``config.json`` what was asked; ``preprocess.json`` how rows become numbers;
    ``checkpoint.safetensors`` where the training stands, in one file that is replaced as a whole:
    weights, optimizer and random state, best weights, history; ``model.safetensors`` the weights
    to use; ``history.json``, ``log.jsonl``, ``curves.png``, ``curves.svg`` how it went;
    ``result.json`` how good it became.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @staticmethod
    def create(parent: str | Path, name: str) -> RunFolder:
        """A new folder ``name-001``, or the next number that is free.

        Raises:
            RunError: the parent cannot be written.
        """
        parent = Path(parent)
        try:
            parent.mkdir(parents=True, exist_ok=True)
            taken = [p.name.rpartition("-")[2] for p in parent.glob(f"{name}-*")]
            number = max((int(t) for t in taken if t.isdigit()), default=0) + 1
            while True:  # another process may take the same number first
                try:
                    path = parent / f"{name}-{number:03d}"
                    path.mkdir()
                    return RunFolder(path)
                except FileExistsError:
                    number += 1
        except OSError as error:
            raise RunError(
                f"cannot write run folder {parent}: {error.strerror or error}; choose another --out"
            ) from error

    # --- small files -------------------------------------------------------------------------

    def write(self, name: str, content: Any) -> None:
        """Write one of the JSON files."""
        write_json(self.path / name, content)

    def read(self, name: str) -> Any:
        """Read one of the JSON files.

        Raises:
            RunError: this is no run folder, or the file is damaged.
        """
        try:
            return json.loads((self.path / name).read_text())
        except FileNotFoundError:
            raise RunError(f"{self.path} is not a run folder: it has no {name}") from None
        except (OSError, ValueError) as error:
            raise RunError(f"cannot read {self.path / name}: {error}") from error

    # --- checkpoints -------------------------------------------------------------------------

    def checkpoint(self, training: Training) -> None:
        """Write down where a training stands."""
        state = training.trainer.state()
        best = {f"best/{name}": value for name, value in (training.best or {}).items()}
        about = {
            "format": FORMAT,
            "history": training.history.rows,
            "best_epoch": training.best_epoch,
            "stopped": training.stopped,
        }
        save_arrays(self.path / CHECKPOINT, state | best, about)

    def restore(self, training: Training) -> None:
        """Bring a training to where the checkpoint stands, if there is one."""
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
        training.history = History(about["history"])
        training.best = best or None
        training.best_epoch = about["best_epoch"]
        training.stopped = about["stopped"]

    def history(self) -> tuple[History, bool]:
        """The epochs done, and whether the training is finished."""
        if (self.path / RESULT).exists():
            return History(self.read(HISTORY)), True
        if not (self.path / CHECKPOINT).exists():
            return History(), False
        return History(load_arrays(self.path / CHECKPOINT)[1]["history"]), False

    def finish(self, weights: Mapping[str, Array], history: History, title: str) -> None:
        """Write what a finished training leaves: weights, history and curves."""
        save_arrays(self.path / MODEL, weights, {"format": FORMAT})
        history.to_json(self.path / HISTORY)
        for suffix in ("png", "svg"):
            history.plot(self.path / f"curves.{suffix}", title)


def save_arrays(path: Path, arrays: Mapping[str, Array], about: Mapping[str, Any]) -> None:
    """Write arrays and some JSON about them as one safetensors file.

    Raises:
        RunError: the file cannot be written; what was there before stays.
    """
    from safetensors.numpy import save_file

    plain = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    with replacing(path) as temporary:
        try:
            save_file(plain, temporary, metadata={"gradlab": json.dumps(about)})
        except Exception as error:  # the library raises its own kind for a full disk
            raise OSError(str(error)) from error


def load_arrays(path: Path) -> tuple[dict[str, Array], dict[str, Any]]:
    """Read what ``save_arrays`` wrote.

    Raises:
        RunError: the file is missing or damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            about = json.loads((file.metadata() or {}).get("gradlab", "{}"))
            return {name: file.get_tensor(name) for name in file.keys()}, about
    except FileNotFoundError:
        raise RunError(f"there is no {path}") from None
    except (OSError, ValueError, SafetensorError) as error:
        raise RunError(f"cannot read {path}: {error}") from error
