"""Predictions for new rows with the network of a run folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gradlab.data import ArrayPreprocess, Labels, Preprocess, read, restore_preprocess
from gradlab.errors import ArgumentError, RunError
from gradlab.graph.dtypes import Array
from gradlab.nn import Module
from gradlab.train.config import Config
from gradlab.train.evaluate import Evaluator
from gradlab.train.files import load_arrays
from gradlab.train.parts import kind_of, make_metrics, make_model
from gradlab.train.run import MODEL, PREPROCESS, RunFolder


@dataclass(frozen=True)
class Predictions:
    """Predictions for new rows.

    Attributes:
        names: of the target columns.
        values: predicted labels, of shape (n,), or numbers of shape (n, k).
        probabilities: of each class, of shape (n, k); None for a regression.
        classes: labels of the classes.
        scores: metrics, if the rows came with their targets, none of them missing.
    """

    names: tuple[str, ...]
    values: Array
    probabilities: Array | None
    classes: tuple[Any, ...]
    scores: dict[str, float] | None


@dataclass(frozen=True)
class TrainedNetwork:
    """The network of a run folder with all that belongs to it.

    Attributes:
        config: settings of the run.
        preprocess: how data become what it takes.
        model: with the weights that were kept.
    """

    config: Config
    preprocess: Preprocess | ArrayPreprocess
    model: Module

    @staticmethod
    def open(path: str | Path) -> TrainedNetwork:
        """Read it.

        Raises:
            RunError: this is no run folder, or it has no finished training.
        """
        folder = RunFolder(path)
        config, _ = folder.config()
        if not folder.finished:
            raise RunError(f"{path} has no finished training; run: gradlab train --resume {path}")
        preprocess = restore_preprocess(folder.read(PREPROCESS))
        model = make_model(config, preprocess, initialized=False)
        model.load_state_dict(load_arrays(folder.path / MODEL)[0])
        return TrainedNetwork(config, preprocess, model)


def predict(
    path: str | Path,
    data: Any,
    *,
    format: str | None = None,  # noqa: A002
    data_dir: str | Path | None = None,
) -> Predictions:
    """Predict for rows of a source with the network of a run folder.

    Of a dataset that is published with a test split, that is predicted for.

    Args:
        path: of the run folder.
        data, format: see ``gradlab.data.read``.
        data_dir: folder of datasets; by default that of the run.

    Raises:
        RunError: this is no run folder, or it has no finished training.
        ArgumentError: a network of text.
        DataError: a column that the training had is missing, images have another shape, or a target
            has an unknown class.
    """
    network = TrainedNetwork.open(path)
    config, preprocess = network.config, network.preprocess
    if kind_of(preprocess) == "text":
        raise ArgumentError(f"{path} has a network of text; let it write: gradlab sample {path}")
    source = read(data, format=format, seed=config.seed, data_dir=data_dir or config.data_dir)
    x, y = preprocess.prepare(source)
    output = Evaluator(network.model).predict(x)
    target = preprocess.target
    scores = None
    if y is not None:
        scores = {k: metric(output, y) for k, metric in make_metrics(preprocess.task).items()}
    if not isinstance(target, Labels):
        return Predictions(target.names, target.decode(output), None, (), scores)
    odds = np.exp(output - output.max(axis=1, keepdims=True))
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    labels = target.decode(output.argmax(axis=1))
    return Predictions(target.names, labels, probabilities, target.classes, scores)
