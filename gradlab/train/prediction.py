"""Predictions for new rows with the network of a run folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gradlab.data import Preprocess, read
from gradlab.data.targets import Labels
from gradlab.errors import RunError
from gradlab.graph.dtypes import Array
from gradlab.train.evaluate import Evaluator
from gradlab.train.files import load_arrays
from gradlab.train.parts import make_metrics, make_model
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


def predict(path: str | Path, data: Any, *, format: str | None = None) -> Predictions:  # noqa: A002
    """Predict for rows of a source with the network of a run folder.

    Raises:
        RunError: this is no run folder, or it has no finished training.
        DataError: a column that the training had is missing, or a target has an unknown class.
    """
    folder = RunFolder(path)
    config, about = folder.config()
    if not folder.finished:
        raise RunError(f"{path} has no finished training; run: gradlab train --resume {path}")
    preprocess = Preprocess.from_json(folder.read(PREPROCESS))
    model = make_model(config, about["features"], about["outputs"])
    model.load_state_dict(load_arrays(folder.path / MODEL)[0])
    table = read(data, format=format, seed=config.seed).table
    output = Evaluator(model).predict(preprocess.apply(table))
    target = preprocess.target
    scores = None
    if all(name in table and not table.missing(name).any() for name in target.names):
        y = preprocess.encode(table)
        scores = {k: metric(output, y) for k, metric in make_metrics(preprocess.task).items()}
    if not isinstance(target, Labels):
        return Predictions(target.names, target.decode(output), None, (), scores)
    odds = np.exp(output - output.max(axis=1, keepdims=True))
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    labels = target.decode(output.argmax(axis=1))
    return Predictions(target.names, labels, probabilities, target.classes, scores)
