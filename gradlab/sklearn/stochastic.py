"""Fitting by gradient descent, epoch by epoch, with scikit-learn's rules for when to stop."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from gradlab.errors import ArgumentError
from gradlab.graph.dtypes import Array
from gradlab.optim import Optimizer
from gradlab.sklearn.descent import BatchSize, Descent, fresh_streams
from gradlab.sklearn.network import Network
from gradlab.sklearn.programs import updates
from gradlab.sklearn.solvers import make_optimizer

SMALLEST_RATE = 1e-6
"""Learning rate from which on an adaptive one is not lowered any more."""
ROWS_AT_ONCE = 1 << 19
"""Row numbers of the epochs that are run in one go."""


@dataclass(frozen=True)
class Rows:
    """Rows to train on, or to stop by.

    Attributes:
        x: features, dense or in CSR form.
        targets: as the network takes them.
        labels: as the user gave them.
        weights: what each row counts in training.
        given: what each counts in a score; None: all alike.
    """

    x: Any
    targets: Array
    labels: Array
    weights: Array
    given: Array | None

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, numbers: Array) -> Rows:
        x, targets, labels = self.x[numbers], self.targets[numbers], self.labels[numbers]
        given = None if self.given is None else self.given[numbers]
        return Rows(x, targets, labels, self.weights[numbers], given)


@dataclass
class Progress:
    """What a next ``partial_fit`` goes on with.

    Attributes:
        names: of all that it holds; another optimizer, or other layers with dropout, have others.
        values: slots and random streams by name.
        epochs: done with these slots.
        rate: what an adaptive learning rate has come down to, as a part of the first.
    """

    names: list[str]
    values: dict[str, Array]
    epochs: int = 0
    rate: float = 1.0


def begin_curves(estimator: Any) -> None:
    """Nothing has been learned yet."""
    early = estimator.early_stopping
    estimator.loss_curve_ = []
    estimator.best_loss_ = None if early else math.inf
    estimator.validation_scores_ = [] if early else None
    estimator.best_validation_score_ = -math.inf if early else None
    estimator._no_improvement_count = 0


def fit_stochastic(estimator: Any, network: Network, rows: Rows, incremental: bool) -> None:
    """Train an estimator, which has first weights; ``incremental`` for one epoch.

    It sets the attributes that scikit-learn's solvers set.
    """
    held_out = None
    if estimator.early_stopping:
        if incremental:
            raise ArgumentError("partial_fit does not support early_stopping=True")
        rows, held_out = _split(estimator, network, rows)
    if (getattr(estimator, "best_loss_", None) is None) != bool(held_out):
        begin_curves(estimator)  # other weights to go on from were not judged in this way
    optimizer = make_optimizer(estimator)
    progress = _progress(estimator, network, optimizer, incremental)
    descent = Descent(
        network,
        optimizer,
        rows.x,
        rows.targets,
        rows.weights,
        _batch_size(estimator, len(rows)),
        estimator._parameters(),
        progress.values,
    )
    order, best = np.arange(len(rows)), estimator._parameters()
    limit = 1 if incremental else estimator.max_iter
    estimator.n_iter_, stopped = 0, False
    while estimator.n_iter_ < limit and not stopped and not descent.interrupted:
        orders = []
        for _ in range(1 if held_out else _sure_epochs(estimator, len(rows), limit)):
            order = _shuffled(estimator, order)
            orders.append(order)
        rates = [_rate(estimator, progress, len(rows), e) for e in range(len(orders))]
        losses = descent.run(orders, progress.epochs, rates, estimator.alpha)
        if not (held_out or np.isfinite(losses).all()):
            estimator._check_finite(descent.parameters)
        estimator._take(descent.parameters)
        progress.epochs += len(losses)
        for loss in losses:
            _note(estimator, loss, len(rows))
            improved = _count(estimator, held_out)
            if held_out and improved:
                best = estimator._parameters()
            stopped = _is_over(estimator, progress)
    if descent.interrupted:
        warnings.warn("Training interrupted by user.", stacklevel=4)
    elif estimator.n_iter_ == estimator.max_iter and not (stopped or incremental):
        warnings.warn(
            f"Stochastic Optimizer: Maximum iterations ({estimator.max_iter}) reached and the "
            "optimization hasn't converged yet.",
            ConvergenceWarning,
            stacklevel=4,
        )
    progress.values = descent.values
    estimator._progress = progress
    if held_out:
        estimator._take(best)
        if estimator.n_iter_ and not math.isfinite(estimator.loss_):
            warnings.warn(
                f"the loss is {estimator.loss_} after {estimator.n_iter_} epochs; the weights with "
                "the best validation score are kept. Lower learning_rate_init or scale the data",
                RuntimeWarning,
                stacklevel=4,
            )


def _progress(
    estimator: Any, network: Network, optimizer: Optimizer, incremental: bool
) -> Progress:
    """What there is to go on with, or a new start."""
    names = [type(optimizer).__qualname__, *updates(network, optimizer).variables]
    found: Progress | None = getattr(estimator, "_progress", None)
    if incremental and found is not None and found.names == names:
        return replace(found)
    return Progress(names, _first_draws(estimator, network))


def _split(estimator: Any, network: Network, rows: Rows) -> tuple[Rows, Rows]:
    """Rows to train on, and rows to stop by."""
    binary = network.output == "logistic" and network.sizes[-1] == 1
    classes = estimator.classes_.tolist() if binary else []
    # As a column, so that the error names classes as scikit-learn's does.
    positive = (rows.labels != estimator.classes_[0])[:, None] if binary else None
    try:
        train, held_out = train_test_split(
            np.arange(len(rows)),
            random_state=estimator._random_state,
            test_size=estimator.validation_fraction,
            stratify=positive,
        )
    except ValueError as error:
        if not binary:
            raise
        raise ArgumentError(
            f"{error} early_stopping=True holds out rows of each class; True is {classes[-1]!r}, "
            f"False {classes[0]!r}"
        ) from error
    if len(held_out) < 2:
        raise ArgumentError(
            "The validation set is too small. Increase 'validation_fraction' or the size of your "
            "dataset."
        )
    return rows[train], rows[held_out]


def _first_draws(estimator: Any, network: Network) -> dict[str, Array]:
    """Random streams of dropout, if there is any: nothing is drawn for nothing."""
    if not any(network.dropout):
        return {}
    return fresh_streams(network.model(), int(estimator._random_state.randint(2**31 - 1)))


def _batch_size(estimator: Any, rows: int) -> BatchSize:
    size: Any = estimator.batch_size
    if callable(size):
        return size  # type: ignore[no-any-return]
    if size == "auto":
        return min(200, rows)
    if size > rows:
        warnings.warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped",
            stacklevel=5,
        )
    return min(int(size), rows)


def _sure_epochs(estimator: Any, rows: int, limit: int) -> int:
    """How many epochs are sure to come, whatever their losses are: they are run in one go."""
    if estimator.verbose:
        return 1
    patience = estimator.n_iter_no_change + 1 - estimator._no_improvement_count
    left = limit - estimator.n_iter_
    return int(max(1, min(left, patience, ROWS_AT_ONCE // rows)))


def _shuffled(estimator: Any, order: Array) -> Array:
    """The order of the next epoch, by the draws that scikit-learn makes."""
    if not estimator.shuffle:
        return order
    numbers = np.arange(len(order))
    estimator._random_state.shuffle(numbers)
    return order[numbers]


def _rate(estimator: Any, progress: Progress, rows: int, ahead: int) -> float:
    """What the learning rate is multiplied by in the epoch that comes after so many."""
    if estimator.optimizer is not None or estimator.solver != "sgd":
        return 1.0
    if estimator.learning_rate == "invscaling" and progress.epochs + ahead > 0:
        return float((estimator.t_ + ahead * rows + 1) ** -estimator.power_t)
    return progress.rate


def _note(estimator: Any, loss: float, rows: int) -> None:
    """An epoch is over."""
    estimator.n_iter_ += 1
    estimator.loss_ = loss
    estimator.t_ += rows
    estimator.loss_curve_.append(loss)
    if estimator.verbose:
        print(f"Iteration {estimator.n_iter_}, loss = {loss:.8f}")


def _count(estimator: Any, held_out: Rows | None) -> bool:
    """Count the epochs without improvement; whether this one is the best so far."""
    if held_out is None:
        loss = estimator.loss_
        worse = loss > estimator.best_loss_ - estimator.tol
        improved = loss < estimator.best_loss_
        if improved:  # a NaN is not, and would be kept by min
            estimator.best_loss_ = loss
    else:
        score = estimator._validation_score(held_out)
        estimator.validation_scores_.append(score)
        if estimator.verbose:
            print(f"Validation score: {score:f}")
        worse = score < estimator.best_validation_score_ + estimator.tol
        improved = score > estimator.best_validation_score_
        if improved:
            estimator.best_validation_score_ = score
    estimator._no_improvement_count = estimator._no_improvement_count + 1 if worse else 0
    return bool(improved)


def _is_over(estimator: Any, progress: Progress) -> bool:
    """Whether to stop; an adaptive learning rate is lowered first."""
    if estimator._no_improvement_count <= estimator.n_iter_no_change:
        return False
    what = "Validation score" if estimator.early_stopping else "Training loss"
    reason = (
        f"{what} did not improve more than tol={estimator.tol:f} for "
        f"{estimator.n_iter_no_change} consecutive epochs."
    )
    adaptive = estimator.optimizer is None and estimator.solver == "sgd"
    lowered = estimator.learning_rate_init * progress.rate
    adaptive = adaptive and estimator.learning_rate == "adaptive"
    if not adaptive or lowered <= SMALLEST_RATE:
        if estimator.verbose:
            print(f"{reason}{' Learning rate too small.' * adaptive} Stopping.")
        return True
    progress.rate /= 5
    estimator._no_improvement_count = 0
    if estimator.verbose:
        print(f"{reason} Setting learning rate to {lowered / 5:f}")
    return False
