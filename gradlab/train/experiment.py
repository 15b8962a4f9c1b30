"""An experiment by name: from a table of settings to a trained network in a run folder."""

from __future__ import annotations

import dataclasses
import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gradlab.data import Dataset, Split
from gradlab.data.loading import names_dataset
from gradlab.errors import ArgumentError, DivergenceError, RunError
from gradlab.execute import thread_count
from gradlab.train.callbacks import Callback, EarlyStopping, JSONLog, TensorBoard
from gradlab.train.config import Config
from gradlab.train.evaluate import Evaluator
from gradlab.train.fit import fit
from gradlab.train.parts import (
    kind_of,
    make_batch_size,
    make_dataset,
    make_loss,
    make_metrics,
    make_model,
    make_optimizer,
)
from gradlab.train.progress import waiting
from gradlab.train.rows import elements, overlap
from gradlab.train.run import CONFIG, LOG, PREPROCESS, STANDARD_INPUT, Outcome, RunFolder
from gradlab.train.trainer import Trainer

WINDOWS = 4096
"""Windows of a text on which scores are measured, at most."""
LARGE = 1 << 30
"""Bytes of data from which on their fingerprint is taken of a sample."""


@dataclass(frozen=True)
class Experiment:
    """A training by settings, in a run folder; ``create`` begins one, ``open`` goes on with one.

    Attributes:
        config: its settings.
        dataset: its data.
        folder: what it writes.

    >>> import tempfile
    >>> config = Config("iris", hidden=(8,), lr=0.02, epochs=20)
    >>> experiment = Experiment.create(config, tempfile.mkdtemp())
    >>> outcome = experiment.train(progress=False)
    >>> outcome.epochs, outcome.parameters, outcome.scores["validation"]["accuracy"] > 0.8
    (20, 67, True)
    """

    config: Config
    dataset: Dataset
    folder: RunFolder

    @staticmethod
    def create(config: Config, out: str | Path = "runs") -> Experiment:
        """Begin an experiment: a new run folder, once all is known to fit together.

        Raises:
            GradlabError: whatever is wrong with settings, data or folder; there is no folder then.
        """
        files: dict[str, Any] = {}
        if config.data == "-":
            files[STANDARD_INPUT] = sys.stdin.buffer.read()  # kept, so that it can be resumed
        dataset = make_dataset(config, files.get(STANDARD_INPUT, b""))
        config = config.completed(kind_of(dataset.preprocess), len(dataset.train))
        paths = {"file": _absolute(config.file), "data_dir": _absolute(config.data_dir)}
        label = "stdin"
        if names_dataset(config.data, config.format):
            label = config.data.partition("(")[0].strip()
        elif config.data != "-":
            paths["data"] = _absolute(config.data)
            label = Path(config.data).resolve().stem.lstrip(".")
        config = dataclasses.replace(config, **paths)
        _check(config, dataset)
        files[PREPROCESS] = dataset.preprocess.to_json()
        files[CONFIG] = {
            "settings": dataclasses.asdict(config),
            "features": dataset.features,
            "outputs": dataset.outputs,
            "digest": _digest(dataset),
        }
        return Experiment(config, dataset, RunFolder.create(out, label, files))

    @staticmethod
    def open(path: str | Path) -> Experiment:
        """Go on with an experiment from its last checkpoint, to the bits it would have had.

        Raises:
            RunError: this is no run folder, or its data has changed since.
            DataError: its data cannot be read any more.
        """
        folder = RunFolder(path)
        config, about = folder.config()
        kept = folder.content(STANDARD_INPUT) if config.data == "-" else b""
        dataset = make_dataset(config, kept)
        config = config.completed(kind_of(dataset.preprocess), len(dataset.train))
        if _digest(dataset) != about["digest"]:
            raise RunError(f"{config.data} has changed since {path} began; train it anew")
        return Experiment(config, dataset, folder)

    def train(
        self,
        *,
        progress: bool = True,
        tensorboard: bool = False,
        callbacks: Sequence[Callback] = (),
    ) -> Outcome:
        """Train to the end, from the last checkpoint if there is one.

        Raises:
            DivergenceError: the training diverged; the last checkpoint stays.
            RunError: the folder cannot be written, or its checkpoint is damaged.
            MissingExtraError: tensorboard is not installed.
        """
        config, dataset, folder = self.config, self.dataset, self.folder
        hooks = [*callbacks, JSONLog(folder.path / LOG)]
        if config.patience is not None:
            hooks.append(EarlyStopping(config.patience))
        if tensorboard:
            hooks.append(TensorBoard(folder.path / "tensorboard"))
        model = make_model(config, dataset.preprocess)
        loss, measured = make_loss(config, dataset), make_metrics(dataset.task)
        seen = {split.role: split for split in dataset.splits}
        if kind_of(dataset.preprocess) == "text":
            seen = {role: _spread(windows) for role, windows in seen.items()}
        try:
            history = fit(
                model,
                dataset.train,
                loss=loss,
                optimizer=make_optimizer(config, len(dataset.train)),
                epochs=config.epochs,
                updates=config.updates,
                evaluate_every=config.evaluate_every,
                validation=seen.get("validation"),
                metrics=measured,
                batch_size=make_batch_size(config),
                micro_batch=config.micro_batch,
                shuffle=config.shuffle,
                drop_last=config.drop_last,
                seed=config.seed,
                callbacks=hooks,
                progress=progress,
                run=folder,
            )
        except DivergenceError as error:
            after = f"{folder.path} keeps the state of the last look, if there was one"
            raise DivergenceError(f"{error}; {after}") from error
        evaluator = Evaluator(model)
        best = history.best() if dataset.validation is not None else None
        last, kept = history.rows[-1], {} if best is None else history.rows[best]
        with waiting("scoring all rows", progress):
            scores = {
                role: evaluator.scores(split.x, split.y, loss, measured)
                for role, split in seen.items()
            }
        outcome = Outcome(
            dataset.describe(),
            parameters=sum(p.size for p in model.parameters()),
            epochs=last["epoch"],
            best_epoch=kept.get("epoch"),
            scores=scores,
            updates=last["update"],
            best_update=kept.get("update"),
        )
        title = f"{dataset.name}: {config.optimizer}"
        folder.finish(model.state_dict(), history, title, outcome)
        return outcome


def _absolute(path: str | None) -> Any:
    """A path that is found from any folder."""
    return None if path is None else str(Path(path).expanduser().resolve())


def _check(config: Config, dataset: Dataset) -> None:
    """Find what is wrong with the settings before a folder is made."""
    thread_count()  # raises for a GRADLAB_THREADS that is none
    if config.patience is not None:
        EarlyStopping(config.patience)
        if dataset.validation is None:
            raise ArgumentError("patience needs a validation split; give validation > 0")
    Trainer(
        make_model(config, dataset.preprocess),
        dataset.train.x,
        dataset.train.y,
        make_loss(config, dataset),
        make_optimizer(config, len(dataset.train)),
        batch_size=make_batch_size(config),
        micro_batch=config.micro_batch,
        shuffle=config.shuffle,
        drop_last=config.drop_last,
        seed=config.seed,
    ).check_batches(config.epochs, config.updates)


def _spread(windows: Split) -> Split:
    """Windows of a text that do not overlap, evenly spread over it, to measure scores on."""
    x, y = windows.x, windows.y
    apart = x.shape[1] * x.itemsize // x.strides[0] if overlap(x) else 1
    every = slice(None, None, max(apart, -(-len(x) // WINDOWS)))
    return Split(x[every], y[every], windows.role)


def _digest(dataset: Dataset) -> str:
    """Fingerprint of the data: of all of it, or, where that takes long, of rows spread over it."""
    arrays = [array for split in dataset.splits for array in (split.x, split.y)]
    if sum(elements(array).nbytes for array in arrays) < LARGE:
        return dataset.digest()
    digest = hashlib.sha256()
    for array in arrays:
        rows = array[:: max(1, len(array) // WINDOWS)]
        digest.update(f"{array.shape} {array.dtype}".encode() + np.ascontiguousarray(rows).data)
    return digest.hexdigest()
