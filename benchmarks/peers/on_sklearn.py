"""scikit-learn: its own solvers, an epoch a call."""

from __future__ import annotations

import warnings
from functools import partial

import numpy as np
from joblib import Parallel, delayed
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

from benchmarks.limits import blas_threads
from benchmarks.peers.sweep import Sweep, Train
from benchmarks.peers.task import CORES, Array, Candidate, Layers, Problem

Model = MLPClassifier | MLPRegressor
ADAM_TOLERANCE = 1e-3
"""Its Adam has ε before the correction of bias, which shows where gradients are near 1e-7."""


def candidates(problem: Problem) -> list[Candidate]:
    """With one thread for its products, and with all."""
    return [_candidate(problem, threads) for threads in dict.fromkeys((1, CORES))]


def _candidate(problem: Problem, threads: int) -> Candidate:
    task, x = problem.task, problem.x
    y = problem.y if task.classes else problem.y.ravel()
    common = {"hidden_layer_sizes": task.sizes[1:-1], "activation": task.activation}
    common |= {"batch_size": task.batch, "alpha": 0.0, "solver": task.optimizer.lower()}
    model: Model
    if task.classes:
        model, scale = MLPClassifier(learning_rate_init=task.rate, **common), 1
    else:  # its loss is half the mean square, and so its rate is to be doubled
        momentum = {"momentum": 0.0, "nesterovs_momentum": False}
        model, scale = MLPRegressor(learning_rate_init=2 * task.rate, **momentum, **common), 2

    def first(updates: int) -> list[float]:
        order = problem.indices[:updates].ravel()
        _fit_from(model, problem.layers, x[order], y[order], epochs=1, shuffle=False)
        model.set_params(shuffle=True, warm_start=False)
        return [scale * model.loss_]

    rows = task.batch * min(task.stretch, task.rows // task.batch)

    def run(updates: int) -> None:
        for _ in range(updates * task.batch // rows):
            model.partial_fit(x[:rows], y[:rows])

    name = f"scikit-learn, {threads} thread{'s' * (threads > 1)}"
    prepare = partial(blas_threads, threads)
    return Candidate(name, first, run, rows // task.batch, prepare, ADAM_TOLERANCE)


def _fit_from(
    model: Model, layers: Layers, x: Array, y: Array, epochs: int, shuffle: bool = True
) -> list[float]:
    """Fit from given weights; the mean loss of each epoch."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        # A first fit makes the weights' arrays; a warm start keeps what is then written into them.
        model.set_params(warm_start=True, max_iter=1).fit(x, y)
        for (weight, bias), coef, intercept in zip(
            layers, model.coefs_, model.intercepts_, strict=True
        ):
            coef[:], intercept[:] = weight.T, bias
        earlier = len(model.loss_curve_)
        never_early = {"tol": 0.0, "n_iter_no_change": epochs}
        model.set_params(max_iter=epochs, shuffle=shuffle, **never_early).fit(x, y)
    return model.loss_curve_[earlier:]


def first_epoch(work: Sweep, number: int) -> float:
    """Mean loss of one network's first epoch, from its weights and over its batches."""
    order = work.indices[number, : work.indices.shape[1] // work.epochs].ravel()
    model = _classifier(work, number, epochs=1)
    x, y = work.x[order], work.y[order]
    return _fit_from(model, work.layers[number], x, y, epochs=1, shuffle=False)[0]


def sweep(work: Sweep, count: int, processes: int) -> Train:
    """The loop that one writes, or the same on several processes by joblib."""

    def run() -> np.ndarray:
        fits = (delayed(_fit)(work, number) for number in range(count))
        return np.array(Parallel(n_jobs=processes)(fits))

    return run


def _classifier(work: Sweep, number: int, epochs: int) -> MLPClassifier:
    return MLPClassifier(
        work.sizes[1:-1],
        alpha=0.0,
        batch_size=work.batch,
        learning_rate_init=work.rates[number],
        max_iter=epochs,
        n_iter_no_change=epochs,
        random_state=number,
    )


def _fit(work: Sweep, number: int) -> list[float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return _classifier(work, number, work.epochs).fit(work.x, work.y).loss_curve_
