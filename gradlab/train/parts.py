"""The parts of an experiment, made from its config."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from gradlab.data import Dataset, load
from gradlab.errors import ArgumentError
from gradlab.init import initialize
from gradlab.nn import MLP, Module, losses
from gradlab.optim import Chain, ClipNorm, Optimizer, WeightDecay, optimizers
from gradlab.optim.transforms import Transform
from gradlab.schedule import Schedule, build
from gradlab.train.config import Config
from gradlab.train.evaluate import Loss, Metric
from gradlab.train.metrics import metrics
from gradlab.train.trainer import BatchSize


@dataclass(frozen=True)
class Task:
    """What fits a kind of target: losses, the default first, and metrics."""

    losses: tuple[str, ...]
    metrics: tuple[str, ...]


TASKS = {
    "classification": Task(("cross_entropy", "hinge"), ("accuracy",)),
    "regression": Task(("mse", "huber"), ("r2",)),
}


def make_dataset(config: Config, standard_input: bytes = b"") -> Dataset:
    """The data of an experiment; what came from standard input was read already."""
    return load(
        standard_input if config.data == "-" else config.data,
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
    sizes = (features, *config.hidden, outputs)
    model = MLP(sizes, activation=config.activation, dropout=config.dropout)
    initialize(model, config.init, config.seed)
    return model


def make_optimizer(config: Config) -> Optimizer:
    """The optimizer of an experiment, with its learning rate scheduled."""
    base: Any = optimizers.build(config.optimizer)
    rate = base.lr if config.lr is None else config.lr
    scheduled: Optimizer = dataclasses.replace(
        base, lr=rate * build(config.schedule, epochs=config.epochs)
    )
    before: list[Transform] = []
    if config.clip_norm is not None:
        before.append(ClipNorm(config.clip_norm))
    if config.weight_decay:
        before.append(WeightDecay(config.weight_decay))
    return Chain(*before, scheduled) if before else scheduled


def make_batch_size(config: Config) -> BatchSize:
    """The batch size of an experiment, a number or a schedule."""
    if config.batch_schedule is None:
        return config.batch_size
    size: Schedule = config.batch_size * build(config.batch_schedule, epochs=config.epochs)
    return size


def make_loss(config: Config, task: str) -> Loss:
    """The loss of an experiment.

    Raises:
        ArgumentError: a loss that does not fit the task.
    """
    fitting = TASKS[task].losses
    found: Loss = losses.build(config.loss or fitting[0])
    name = (config.loss or fitting[0]).partition("(")[0].strip()
    if name not in fitting:
        raise ArgumentError(f"loss {name} does not fit {task}; use {' or '.join(fitting)}")
    return found


def make_metrics(task: str) -> dict[str, Metric]:
    """The metrics of a task."""
    return {name: metrics[name].factory for name in TASKS[task].metrics}
