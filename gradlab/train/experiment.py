"""An experiment by name: from a table of settings to a trained network in a run folder."""

from __future__ import annotations

import dataclasses
import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradlab.data import Dataset
from gradlab.data.loading import names_dataset
from gradlab.errors import ArgumentError, DivergenceError, RunError
from gradlab.train.callbacks import Callback, EarlyStopping, JSONLog, TensorBoard
from gradlab.train.config import Config
from gradlab.train.evaluate import Evaluator
from gradlab.train.fit import fit
from gradlab.train.parts import (
    make_batch_size,
    make_dataset,
    make_loss,
    make_metrics,
    make_model,
    make_optimizer,
)
from gradlab.train.run import CONFIG, LOG, PREPROCESS, STANDARD_INPUT, Outcome, RunFolder
from gradlab.train.trainer import Trainer


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
        label = "stdin"
        if names_dataset(config.data, config.format):
            label = config.data.partition("(")[0].strip()
        elif config.data != "-":
            path = Path(config.data).resolve()  # to be found from any folder
            config, label = dataclasses.replace(config, data=str(path)), path.stem.lstrip(".")
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
        model = make_model(config, dataset.features, dataset.outputs)
        loss, measured = make_loss(config, dataset.task), make_metrics(dataset.task)
        try:
            history = fit(
                model,
                dataset.train,
                loss=loss,
                optimizer=make_optimizer(config),
                epochs=config.epochs,
                validation=dataset.validation,
                metrics=measured,
                batch_size=make_batch_size(config),
                seed=config.seed,
                callbacks=hooks,
                progress=progress,
                run=folder,
            )
        except DivergenceError as error:
            raise DivergenceError(f"{error}; {folder.path} keeps the last good epoch") from error
        evaluator = Evaluator(model)
        splits = [s for s in (dataset.train, dataset.validation, dataset.test) if s is not None]
        best = history.best() if dataset.validation is not None else None
        outcome = Outcome(
            dataset.describe(),
            parameters=sum(p.size for p in model.parameters()),
            epochs=len(history.rows),
            best_epoch=None if best is None else best + 1,
            scores={s.role: evaluator.scores(s.x, s.y, loss, measured) for s in splits},
        )
        title = f"{dataset.name}: {config.optimizer}"
        folder.finish(model.state_dict(), history, title, outcome)
        return outcome


def _check(config: Config, dataset: Dataset) -> None:
    """Find what is wrong with the settings before a folder is made."""
    if config.patience is not None:
        EarlyStopping(config.patience)
        if dataset.validation is None:
            raise ArgumentError("patience needs a validation split; give validation > 0")
    Trainer(
        make_model(config, dataset.features, dataset.outputs),
        dataset.train.x,
        dataset.train.y,
        make_loss(config, dataset.task),
        make_optimizer(config),
        batch_size=make_batch_size(config),
        seed=config.seed,
    )


def _digest(dataset: Dataset) -> str:
    """Fingerprint of the data as the network sees it."""
    digest = hashlib.sha256()
    for split in (dataset.train, dataset.validation, dataset.test):
        if split is not None:
            digest.update(split.x.tobytes() + split.y.tobytes())
    return digest.hexdigest()
