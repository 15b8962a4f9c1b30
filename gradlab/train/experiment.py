"""An experiment by name: from a table of settings to a trained network in a run folder."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from gradlab.data import Dataset, Preprocess, load, read
from gradlab.errors import ArgumentError, RunError, one_of
from gradlab.execute import compile
from gradlab.graph import as_tensor
from gradlab.graph.dtypes import Array
from gradlab.init import initialize
from gradlab.nn import MLP, Module, losses
from gradlab.optim import Chain, ClipNorm, Optimizer, WeightDecay, optimizers
from gradlab.schedule import batch_size, build
from gradlab.train.callbacks import Callback, EarlyStopping, JSONLog, TensorBoard
from gradlab.train.files import replacing
from gradlab.train.fit import fit
from gradlab.train.metrics import Metric, metrics
from gradlab.train.run import CONFIG, LOG, MODEL, PREPROCESS, RESULT, RunFolder, load_arrays
from gradlab.train.trainer import BatchSize, Loss

TASKS = {
    "classification": ("cross_entropy", ("accuracy",)),
    "regression": ("mse", ("r2",)),
}
"""Loss and metrics of each task."""


@dataclass(frozen=True)
class Config:
    """All settings of an experiment; the command line and ``--config`` use the same names.

    Attributes:
        data: registered dataset, or path of a CSV, TSV, Parquet or NPZ file, or "-".
        target, categorical, task, format, validation, test, standardize: see ``gradlab.data.load``.
        hidden: units of each hidden layer.
        activation, init, loss, optimizer, schedule: names, or ``name(key=value, ...)``; without a
            loss the task decides.
        dropout: share of hidden units left out while training, in [0, 1).
        lr: base learning rate; without one, the optimizer's default.
        weight_decay, clip_norm: 0 and None leave them out.
        batch_size, batch_schedule: rows of a batch, and a schedule that multiplies them.
        epochs, patience: how long; patience ends early on the validation loss.
        seed: of everything random.
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
        if self.epochs < 1:
            raise ArgumentError(f"epochs must be at least 1, got {self.epochs}")
        if self.lr is not None and not 0 < self.lr < float("inf"):
            raise ArgumentError(f"lr must be above 0, got {self.lr}")
        if any(units < 1 for units in self.hidden):
            raise ArgumentError(f"hidden layers need at least 1 unit each, got {self.hidden}")
        if self.batch_size < 1:
            raise ArgumentError(f"batch_size must be at least 1, got {self.batch_size}")

    @staticmethod
    def of(settings: Mapping[str, Any]) -> Config:
        """A config from plain values, as TOML and JSON have them.

        Raises:
            ArgumentError: an unknown name, or a value of the wrong type.

        >>> Config.of({"data": "iris", "hidden": [16]}).hidden
        (16,)
        """
        fields = {field.name: field for field in dataclasses.fields(Config)}
        values = {}
        for name, value in settings.items():
            if name not in fields:
                raise ArgumentError(one_of("setting", name, fields))
            values[name] = _typed(name, value, str(fields[name].type))
        if "data" not in values:
            raise ArgumentError("no data: name a dataset or a file")
        return Config(**values)

    @staticmethod
    def read(path: str | Path) -> dict[str, Any]:
        """The settings of a TOML file, or of the ``config.json`` of a run.

        Raises:
            ArgumentError: the file cannot be read.
        """
        path = Path(path)
        try:
            if path.suffix == ".json":
                return {k: v for k, v in RunFolder(path.parent).read(path.name)["settings"].items()}
            return tomllib.loads(path.read_text())
        except OSError as error:
            raise ArgumentError(f"cannot read {path}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError) as error:
            raise ArgumentError(f"{path} is not a file of settings: {error}") from error


def _typed(name: str, value: Any, kind: str) -> Any:
    """A plain value as the type of its field."""
    if value is None and "None" in kind:
        return None
    if kind.startswith("tuple"):
        whole = "int" in kind
        if isinstance(value, str | int):
            value = [part for part in str(value).split(",") if part]
        try:
            return tuple(int(part) if whole else str(part) for part in value)
        except (TypeError, ValueError):
            wanted = "whole numbers" if whole else "names"
            raise ArgumentError(f"{name} is a list of {wanted}, got {value!r}") from None
    wanted = kind.removesuffix(" | None")
    types = {"str": str, "int": int, "float": (int, float), "bool": bool}
    if not isinstance(value, types[wanted]) or (wanted != "bool" and isinstance(value, bool)):
        raise ArgumentError(f"{name} must be of type {wanted}, got {value!r}")
    return float(value) if wanted == "float" else value


# --- parts ------------------------------------------------------------------------------------


def make_dataset(config: Config) -> Dataset:
    """The data of an experiment."""
    return load(
        config.data,
        target=config.target,
        categorical=config.categorical,
        task=config.task,
        validation=config.validation,
        test=config.test,
        seed=config.seed,
        standardize=config.standardize,
        format=config.format,
    )


def make_model(config: Config, features: int, outputs: int) -> Module:
    """The network of an experiment, initialized."""
    model = MLP(
        (features, *config.hidden, outputs), activation=config.activation, dropout=config.dropout
    )
    initialize(model, config.init, config.seed)
    return model


def make_optimizer(config: Config) -> Optimizer:
    """The optimizer of an experiment, with its learning rate scheduled."""
    base: Optimizer = optimizers.build(config.optimizer)
    rate = base.lr if config.lr is None else config.lr
    scheduled = dataclasses.replace(base, lr=rate * build(config.schedule, epochs=config.epochs))
    before = []
    if config.clip_norm is not None:
        before.append(ClipNorm(config.clip_norm))
    if config.weight_decay:
        before.append(WeightDecay(config.weight_decay))
    return Chain(*before, scheduled) if before else scheduled


def make_batch_size(config: Config, rows: int) -> BatchSize:
    """The batch size of an experiment; a growing batch stops at all rows."""
    if config.batch_schedule is None:
        return config.batch_size
    schedule = config.batch_size * build(config.batch_schedule, epochs=config.epochs)
    return lambda t: min(batch_size(schedule, t), rows)


def make_loss(config: Config, task: str) -> Loss:
    """The loss of an experiment."""
    found: Loss = losses.build(config.loss or TASKS[task][0])
    return found


def make_metrics(task: str) -> dict[str, Metric]:
    """The metrics of a task."""
    return {name: metrics[name].factory for name in TASKS[task][1]}


# --- whole experiments ------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What came of an experiment.

    Attributes:
        folder: the run folder.
        dataset: one line about the data.
        parameters: number of weights.
        epochs: epochs done, and the one whose weights were kept.
        best_epoch: the epoch whose weights were kept.
        scores: loss and metrics on each split, by its role.
    """

    folder: Path
    dataset: str
    parameters: int
    epochs: int
    best_epoch: int | None
    scores: dict[str, dict[str, float]]


def run_experiment(
    config: Config,
    out: str | Path = "runs",
    *,
    progress: bool = True,
    tensorboard: bool = False,
    callbacks: Sequence[Callback] = (),
) -> Outcome:
    """Train as the config says, in a new run folder.

    Raises:
        GradlabError: whatever is wrong with settings, data or folder, before anything is trained;
            or the training diverged.
    """
    with _at_hand(config) as local:
        dataset = make_dataset(local)
        _check(config, dataset)
        folder = RunFolder.create(out, _label(config))
        if config.data == "-":  # kept, so that the run can be resumed
            kept = folder.path / Path(local.data).name
            with replacing(kept) as temporary:
                shutil.copyfile(local.data, temporary)
            local = dataclasses.replace(config, data=str(kept.resolve()))
    folder.write(PREPROCESS, dataset.preprocess.to_json())
    sizes = {"features": dataset.features, "outputs": dataset.outputs}
    settings = dataclasses.asdict(local)
    folder.write(CONFIG, {"settings": settings, "digest": _digest(dataset), **sizes})
    return _train(local, dataset, folder, progress, tensorboard, callbacks)


def resume_experiment(
    path: str | Path,
    *,
    progress: bool = True,
    tensorboard: bool = False,
    callbacks: Sequence[Callback] = (),
) -> Outcome:
    """Go on with an experiment from its last checkpoint, to the bits it would have had.

    Raises:
        RunError: this is no run folder, or its data has changed since.
    """
    folder = RunFolder(path)
    saved = folder.read(CONFIG)
    config = Config.of(saved["settings"])
    dataset = make_dataset(config)
    if _digest(dataset) != saved["digest"]:
        raise RunError(f"{config.data} has changed since {path} began; train it anew")
    return _train(config, dataset, folder, progress, tensorboard, callbacks)


def _check(config: Config, dataset: Dataset) -> None:
    """Find what is wrong with the settings before a folder is made."""
    make_optimizer(config)
    make_loss(config, dataset.task)
    make_model(config, dataset.features, dataset.outputs)
    if config.batch_size > len(dataset.train):
        raise ArgumentError(
            f"batch size {config.batch_size} is larger than the {len(dataset.train)} training "
            "rows; lower it"
        )
    if config.patience is not None and dataset.validation is None:
        raise ArgumentError("patience needs a validation split; give validation > 0")


@contextmanager
def _at_hand(config: Config) -> Iterator[Config]:
    """The config with its data where it can be read again: a full path, standard input as a file."""
    if config.data == "-":
        with TemporaryDirectory() as folder:
            path = Path(folder) / f"standard-input.{config.format or 'csv'}"
            path.write_bytes(sys.stdin.buffer.read())
            yield dataclasses.replace(config, data=str(path))
    elif Path(config.data).is_file():
        yield dataclasses.replace(config, data=str(Path(config.data).resolve()))
    else:
        yield config


def _label(config: Config) -> str:
    """Name of the data, fit for a folder."""
    name = "stdin" if config.data == "-" else config.data.partition("(")[0]
    return Path(name).stem or "run"


def _digest(dataset: Dataset) -> str:
    """Fingerprint of the data as the network sees it."""
    digest = hashlib.sha256()
    for split in (dataset.train, dataset.validation, dataset.test):
        if split is not None:
            digest.update(np.ascontiguousarray(split.x).tobytes())
            digest.update(np.ascontiguousarray(split.y).tobytes())
    return digest.hexdigest()


def _train(
    config: Config,
    dataset: Dataset,
    folder: RunFolder,
    progress: bool,
    tensorboard: bool,
    callbacks: Sequence[Callback],
) -> Outcome:
    model = make_model(config, dataset.features, dataset.outputs)
    loss, measured = make_loss(config, dataset.task), make_metrics(dataset.task)
    hooks = [*callbacks, JSONLog(folder.path / LOG)]
    if config.patience is not None:
        hooks.append(EarlyStopping(config.patience))
    if tensorboard:
        hooks.append(TensorBoard(folder.path / "tensorboard"))
    history = fit(
        model,
        dataset.train,
        loss=loss,
        optimizer=make_optimizer(config),
        epochs=config.epochs,
        validation=dataset.validation,
        metrics=measured,
        batch_size=make_batch_size(config, len(dataset.train)),
        seed=config.seed,
        callbacks=hooks,
        progress=progress,
        run=folder,
    )
    folder.finish(model.state_dict(), history, title=f"{dataset.name}: {config.optimizer}")
    splits = (dataset.train, dataset.validation, dataset.test)
    scores = {}
    for split in splits:
        if split is not None:
            output = model_output(model, split.x)
            value = {"loss": float(loss(as_tensor(output), split.y))}
            scores[split.role] = value | {
                k: metric(output, split.y) for k, metric in measured.items()
            }
    best = history.best() + 1 if dataset.validation is not None else None
    epochs = len(history.rows)
    folder.write(RESULT, {"epochs": epochs, "best_epoch": best, "scores": scores})
    weights = sum(p.size for p in model.parameters())
    return Outcome(folder.path, dataset.describe(), weights, epochs, best, scores)


def model_output(model: Module, x: Array) -> Array:
    """What a model gives in evaluation mode."""
    model.eval()
    found: Array = compile(model)(x).numpy()
    return found


# --- predictions ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Predictions:
    """Predictions for new rows.

    Attributes:
        names: of the target columns.
        values: predicted labels, of shape (n,), or numbers of shape (n, k).
        probabilities: of each class, of shape (n, k); None for a regression.
        classes: labels of the classes.
        scores: metrics, if the rows came with their targets.
    """

    names: tuple[str, ...]
    values: Array
    probabilities: Array | None
    classes: tuple[Any, ...]
    scores: dict[str, float] | None


def predict(path: str | Path, data: Any, *, format: str | None = None) -> Predictions:  # noqa: A002
    """Predict for rows of a source with the network of a run folder.

    Raises:
        RunError: this is no run folder, or it has no finished training.
        DataError: a column that the training had is missing.
    """
    folder = RunFolder(path)
    saved = folder.read(CONFIG)
    config = Config.of(saved["settings"])
    if not (folder.path / MODEL).exists():
        raise RunError(f"{path} has no finished training; run: gradlab train --resume {path}")
    preprocess = Preprocess.from_json(folder.read(PREPROCESS))
    model = make_model(config, saved["features"], saved["outputs"])
    model.load_state_dict(load_arrays(folder.path / MODEL)[0])
    table = read(data, format=format, seed=config.seed).table
    output = model_output(model, preprocess.apply(table))
    names = preprocess.target.names
    scores = None
    if all(name in table.names for name in names):
        y = preprocess.encode(table)
        scores = {k: metric(output, y) for k, metric in make_metrics(preprocess.task).items()}
    if preprocess.task == "regression":
        return Predictions(names, preprocess.decode(output), None, (), scores)
    shifted = np.exp(output - output.max(axis=1, keepdims=True))
    probabilities = shifted / shifted.sum(axis=1, keepdims=True)
    labels = preprocess.decode(output.argmax(axis=1))
    return Predictions(names, labels, probabilities, preprocess.target.classes, scores)
