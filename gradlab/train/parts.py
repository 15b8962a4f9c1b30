"""The parts of an experiment, made from its config."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradlab.data import ArrayPreprocess, Dataset, Preprocess, datasets, load
from gradlab.errors import ArgumentError
from gradlab.init import initialize
from gradlab.nn import Module, losses
from gradlab.nn.loss_registry import CrossEntropyLoss
from gradlab.nn.models import models
from gradlab.optim import Chain, ClipNorm, Optimizer, WeightDecay, optimizers
from gradlab.optim.transforms import Transform
from gradlab.schedule import Schedule, build
from gradlab.train.budget import InUpdates
from gradlab.train.config import VALIDATION, Config
from gradlab.train.evaluate import Loss, Metric
from gradlab.train.images import with_images
from gradlab.train.metrics import metrics
from gradlab.train.trainer import BatchSize


@dataclass(frozen=True)
class Task:
    """What fits a kind of target: losses, the default first, and metrics."""

    losses: tuple[str, ...]
    metrics: tuple[str, ...]


INIT = "kaiming_normal"
"""Of models whose source names none."""

TASKS = {
    "classification": Task(("cross_entropy", "hinge"), ("accuracy",)),
    "regression": Task(("mse", "huber"), ("r2",)),
}


def source_of(config: Config, data: str, standard_input: bytes = b"") -> Any:
    """What ``gradlab.data`` takes for a name or a path and the settings that belong to it.

    Raises:
        ArgumentError: a file or a block for what is no name of a dataset.

    >>> source_of(Config("text", file="plays.txt"), "text")
    {'name': 'text', 'file': 'plays.txt'}
    """
    if data == "-":
        return standard_input
    options: dict[str, Any] = {"file": config.file, "block": config.block}
    own = {name: value for name, value in options.items() if value is not None}
    if data in datasets and "block" in datasets[data].parameters and config.validation is not None:
        own["validation"] = config.validation
    known = datasets[data].parameters if data in datasets else {}
    wrong = [name for name in own if name not in known]
    if wrong:
        raise ArgumentError(f"{data} takes no {' and no '.join(wrong)}, as the dataset text does")
    if "file" in known and config.file is None:
        raise ArgumentError(f"{data} needs a file: gradlab train {data} --file corpus.txt")
    return {"name": data} | own if own else data


def make_dataset(config: Config, standard_input: bytes = b"") -> Dataset:
    """The data of an experiment; what came from standard input was read already."""
    return load(
        source_of(config, config.data, standard_input),
        target=config.target,
        categorical=config.categorical,
        task=config.task,
        validation=VALIDATION if config.validation is None else config.validation,
        test=config.test,
        seed=config.seed,
        standardize=config.standardize,
        format=config.format,
        data_dir=config.data_dir,
    )


def kind_of(preprocess: Preprocess | ArrayPreprocess) -> str:
    """What kind of data it is of: "table", "arrays" or "text"."""
    return preprocess.kind if isinstance(preprocess, ArrayPreprocess) else "table"


def make_model(
    config: Config, preprocess: Preprocess | ArrayPreprocess, initialized: bool = True
) -> Module:
    """The network of an experiment, initialized, unless it gets its weights from elsewhere.

    Raises:
        ArgumentError: an unknown model, or one that does not fit the data.
    """
    spec = config.model or "mlp"
    name = spec.partition("(")[0].strip()
    if "outputs" not in models[name].parameters:
        raise ArgumentError(f"model {name} predicts no target; train it with gradlab.fit")
    target = preprocess.target
    options = {key: getattr(config, key) for key in ("hidden", "activation", "dropout")}
    model: Module = models.build(
        spec,
        inputs=input_shape(preprocess),
        outputs=len(getattr(target, "classes", ())) or len(target.names),
        **{key: value for key, value in options.items() if value is not None},
    )
    scheme, patterns = getattr(model, "init_scheme", (INIT, {}))
    if config.init is not None:
        scheme, patterns = config.init, {}
    if initialized:
        initialize(model, scheme, config.seed, patterns=patterns)
    return with_images(model, config.augment, preprocess)


def input_shape(preprocess: Preprocess | ArrayPreprocess) -> tuple[int, ...]:
    """Shape of one example."""
    if isinstance(preprocess, ArrayPreprocess):
        return preprocess.shape
    return (len(preprocess.feature_names),)


def make_optimizer(config: Config, rows: int) -> Optimizer:
    """The optimizer of an experiment over so many training rows, with its rate scheduled."""
    assert config.optimizer is not None
    assert config.schedule is not None
    assert config.batch_size is not None
    base: Any = optimizers.build(config.optimizer)
    rate = base.lr if config.lr is None else config.lr
    schedule = build(config.schedule, epochs=config.updates or config.epochs)
    if config.updates is not None:
        schedule = InUpdates(schedule, rows, config.batch_size, config.drop_last)
    scheduled: Optimizer = dataclasses.replace(base, lr=rate * schedule)
    before: list[Transform] = []
    if config.clip_norm is not None:
        before.append(ClipNorm(config.clip_norm))
    if config.weight_decay:
        before.append(WeightDecay(config.weight_decay))
    return Chain(*before, scheduled) if before else scheduled


def make_batch_size(config: Config) -> BatchSize:
    """The batch size of an experiment, a number or a schedule."""
    assert config.batch_size is not None
    if config.batch_schedule is None:
        return config.batch_size
    size: Schedule = config.batch_size * build(config.batch_schedule, epochs=config.epochs)
    return size


def make_loss(config: Config, dataset: Dataset) -> Loss:
    """The loss of an experiment; classes may have weights, and targets may be smoothed.

    Raises:
        ArgumentError: a loss that does not fit the task; class weights or label smoothing with
            another loss than cross-entropy, or weights that do not fit the classes.
    """
    fitting = TASKS[dataset.task].losses
    loss: Loss = losses.build(config.loss or fitting[0])
    name = (config.loss or fitting[0]).partition("(")[0].strip()
    if name not in fitting:
        raise ArgumentError(f"loss {name} does not fit {dataset.task}; use {' or '.join(fitting)}")
    options: dict[str, Any] = {}
    if config.class_weight is not None:
        options["weight"] = _class_weights(config.class_weight, dataset)
    if config.label_smoothing:
        options["label_smoothing"] = config.label_smoothing
    if not options:
        return loss
    if not isinstance(loss, CrossEntropyLoss):
        given = " and ".join(o for o in ("class_weight", "label_smoothing") if getattr(config, o))
        raise ArgumentError(
            f"{given} belongs to classes and the loss cross_entropy, not to {dataset.task} with "
            f"{name}: leave it out"
        )
    return dataclasses.replace(loss, **options)


def _class_weights(text: str, dataset: Dataset) -> tuple[float, ...]:
    """Weights of the classes: those that are named, or such that all classes count the same."""
    if dataset.task != "classification":
        raise ArgumentError(f"class_weight needs classes, and {dataset.name} is a regression")
    count = dataset.outputs
    if text.strip() == "balanced":
        rows = np.bincount(np.asarray(dataset.train.y).ravel(), minlength=count)
        return tuple((rows.sum() / (count * np.maximum(rows, 1))).tolist())
    try:
        weights = tuple(float(part) for part in text.split(","))
    except ValueError:
        weights = ()
    if len(weights) != count or not all(0 <= weight < math.inf for weight in weights):
        raise ArgumentError(
            f"class_weight must be balanced or {count} numbers of 0 or above, one for each class, "
            f"got {text!r}"
        )
    return weights


def make_metrics(task: str) -> dict[str, Metric]:
    """The metrics of a task."""
    return {name: metrics[name].factory for name in TASKS[task].metrics}
