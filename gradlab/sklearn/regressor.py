"""MLPRegressor."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import validate_data

from gradlab.errors import ArgumentError, one_of
from gradlab.graph.dtypes import Array
from gradlab.sklearn.estimator import (
    FLOATS,
    Estimator,
    all_or_nothing,
    has_updates,
    keep_settings,
)

OUTPUTS = {"squared_error": "identity", "poisson": "exp"}
"""Of each loss, the network's output."""


class MLPRegressor(RegressorMixin, Estimator):
    """Multi-layer perceptron regressor: ``sklearn.neural_network.MLPRegressor``, compiled.

    J(θ) = (Σᵢ wᵢ ℓ(pᵢ, yᵢ) + ½ α Σ‖W‖²) / Σᵢ wᵢ over the rows i of a batch, with half the squared
    error, ½ ‖p − y‖², or half the Poisson deviance, Σ y log(y/p) − y + p with p = eᶻ.

    Parameters, attributes, random draws and rules for stopping are scikit-learn's: with the same
    ``random_state`` it takes the same path, to rounding. As there, the squared error in
    ``loss_curve_`` is the mean over the outputs, while the gradient is that of their sum.

    Args:
        loss: "squared_error" or "poisson".
        hidden_layer_sizes: units of each hidden layer, from 1 up.
        activation: of the hidden layers: scikit-learn's "identity", "logistic", "tanh", "relu", or
            any row of ``gradlab list activations``, such as "leaky_relu(negative_slope=0.1)"; or a
            list, one for each layer.
        solver: "adam", "sgd" or "lbfgs".
        alpha: strength of the penalty on the weights, from 0 up.
        batch_size: rows of a batch; "auto" is min(200, n). Or a schedule of these, a function of
            the epochs done, such as ``32 * gradlab.schedule.StepGrowth(every=5, factor=2)``.
        learning_rate: of solver "sgd": "constant", "invscaling" or "adaptive".
        learning_rate_init, power_t, momentum, nesterovs_momentum, beta_1, beta_2, epsilon: of the
            solvers, as in scikit-learn.
        max_iter: most epochs, or iterations of "lbfgs"; max_fun: most evaluations of "lbfgs".
        shuffle: whether each epoch has a new order.
        random_state: of weights, orders and the split for ``early_stopping``: the same number draws
            the same as in scikit-learn.
        tol, n_iter_no_change: it stops after more than so many epochs that each improved by less.
        early_stopping, validation_fraction: whether it stops by the score on rows held out, and how
            large a part of the rows these are.
        verbose: whether to print a line for each epoch.
        warm_start: whether ``fit`` goes on from the weights that there are.

    Beyond scikit-learn:

        optimizer: any of ``gradlab.optim``, or a text such as "adamw(lr=0.01)", instead of the
            solver and its settings.
        schedule: what the learning rate is multiplied by at t epochs, one of ``gradlab.schedule``
            or a text such as "cosine" (over max_iter epochs).
        init: any initializer of ``gradlab.init``, such as "kaiming_normal"; None is
            scikit-learn's, U(±√(6/(in + out))) for weights and biases.
        dropout: probability of dropping each hidden unit in training, in [0, 1), or a list, one
            for each layer.

    Attributes:
        coefs_, intercepts_: weights, of shapes (in, out), and biases of each layer. What is written
            into them counts.
        loss_, loss_curve_, best_loss_: of the last epoch, of each, and the smallest.
        validation_scores_, best_validation_score_: with ``early_stopping``.
        n_iter_, t_: epochs of the last fit, and rows seen in all.
        n_layers_, n_outputs_, out_activation_, n_features_in_, feature_names_in_: of the network.

    It computes in the dtype of X, float32 or float64, as scikit-learn does: float32 is about twice
    as fast.

    Raises:
        ValueError: when fitted with settings or data that do not fit.

    Source: scikit-learn, section 1.17 of its user guide; Glorot and Bengio, AISTATS 2010; Kingma
    and Ba, ICLR 2015.

    >>> from sklearn.datasets import make_regression
    >>> X, y = make_regression(200, 5, random_state=0)
    >>> model = MLPRegressor(solver="lbfgs", max_iter=100, random_state=0).fit(X, y / y.std())
    >>> bool(model.score(X, y / y.std()) > 0.99)
    True
    """

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        max_fun: int = 15000,
        optimizer: Any = None,
        schedule: Any = None,
        init: Any = None,
        dropout: Any = 0.0,
    ) -> None:
        keep_settings(self, locals())

    @available_if(has_updates)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one epoch, going on with the weights and the optimizer's state.

        Args:
            X, y, sample_weight: as for ``fit``.

        Raises:
            ValueError: as for ``fit``.
        """
        with all_or_nothing(self):
            self._fit(X, y, sample_weight, incremental=True)
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _targets(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Array, Array]:
        if self.loss not in OUTPUTS:
            raise ArgumentError(one_of("loss", str(self.loss), OUTPUTS))
        x, y = validate_data(
            self,
            X,
            y,
            accept_sparse="csr",
            multi_output=True,
            y_numeric=True,
            dtype=FLOATS,
            reset=reset,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if self.loss == "poisson" and y.min() < 0:
            raise ArgumentError("y has values below 0, for which loss 'poisson' has no meaning")
        return x, y.reshape(len(y), -1).astype(x.dtype), y

    def _output(self, targets: Array) -> tuple[str, int]:
        return OUTPUTS[self.loss], targets.shape[1]

    def _decoded(self, outputs: Array) -> Array:
        return outputs.ravel() if self.n_outputs_ == 1 else outputs

    def _judged(self, labels: Any, predicted: Any, weights: Array | None) -> float:
        if not np.isfinite(predicted).all():
            return math.nan
        return float(r2_score(labels, predicted, sample_weight=weights))
