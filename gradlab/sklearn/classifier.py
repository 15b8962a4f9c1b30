"""MLPClassifier."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target, unique_labels
from sklearn.utils.validation import validate_data

from gradlab.errors import ArgumentError
from gradlab.graph.dtypes import Array
from gradlab.sklearn.estimator import (
    FLOATS,
    Estimator,
    all_or_nothing,
    has_updates,
    keep_settings,
)


class MLPClassifier(ClassifierMixin, Estimator):
    """Multi-layer perceptron classifier: ``sklearn.neural_network.MLPClassifier``, compiled.

    J(θ) = (Σᵢ wᵢ ℓ(pᵢ, yᵢ) + ½ α Σ‖W‖²) / Σᵢ wᵢ over the rows i of a batch, where ℓ is the
    cross-entropy of the softmax, or of the logistic function for two classes and several labels.

    Parameters, attributes, random draws and rules for stopping are scikit-learn's: with the same
    ``random_state`` it takes the same path, to rounding.

    Args:
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
        class_weight: what the rows of each class count, {class: weight} or "balanced".
        label_smoothing: share of each target that goes to all classes, from 0 to 1.

    Attributes:
        coefs_, intercepts_: weights, of shapes (in, out), and biases of each layer. What is written
            into them counts.
        loss_, loss_curve_, best_loss_: of the last epoch, of each, and the smallest.
        validation_scores_, best_validation_score_: with ``early_stopping``.
        n_iter_, t_: epochs of the last fit, and rows seen in all.
        n_layers_, n_outputs_, out_activation_, n_features_in_, feature_names_in_: of the network.
        classes_: the classes, sorted.

    It computes in the dtype of X, float32 or float64, as scikit-learn does: float32 is about twice
    as fast.

    Raises:
        ValueError: when fitted with settings or data that do not fit.

    Source: scikit-learn, section 1.17 of its user guide; Glorot and Bengio, AISTATS 2010; Kingma
    and Ba, ICLR 2015.

    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import cross_val_score
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier((16,), learning_rate_init=0.05, tol=1e-3, random_state=0)
    >>> bool(cross_val_score(model, X, y, n_jobs=1).mean() > 0.9)
    True
    """

    def __init__(
        self,
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
        class_weight: Any = None,
        label_smoothing: float = 0.0,
    ) -> None:
        keep_settings(self, locals())

    @available_if(has_updates)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Train for one epoch, going on with the weights and the optimizer's state.

        Args:
            X, y, sample_weight: as for ``fit``.
            classes: all classes there will be; needed at the first call.

        Raises:
            ValueError: as for ``fit``; or no classes at the first call, or other ones later.
        """
        if self.class_weight == "balanced":
            raise ArgumentError(
                "class_weight 'balanced' needs all rows; give partial_fit's estimator a dictionary"
            )
        with all_or_nothing(self):
            if not hasattr(self, "classes_"):
                if classes is None:
                    raise ArgumentError("classes must be passed on the first call to partial_fit.")
                multilabel = type_of_target(y).startswith("multilabel")
                self._begin_labels(y if multilabel else classes)
            elif classes is not None and not np.array_equal(self.classes_, unique_labels(classes)):
                raise ArgumentError(
                    f"classes is {classes!r}, not the same as at the last call to partial_fit, "
                    f"{self.classes_!r}"
                )
            self._fit(X, y, sample_weight, incremental=True)
        return self

    def predict_proba(self, X: Any) -> Array:
        """Probability of each class, in the order of ``classes_``, of shape (n, classes)."""
        outputs = self._outputs(X)
        if self.n_outputs_ == 1:
            return np.hstack([1 - outputs, outputs])
        return outputs

    def predict_log_proba(self, X: Any) -> Array:
        """Logarithm of ``predict_proba``."""
        with np.errstate(divide="ignore"):  # a probability may be too small for its dtype
            return np.asarray(np.log(self.predict_proba(X)))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def _begin_labels(self, labels: Any) -> None:
        self._label_binarizer = LabelBinarizer().fit(labels)
        self.classes_ = self._label_binarizer.classes_

    def _targets(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Array, Array]:
        x, y = validate_data(
            self, X, y, accept_sparse="csr", multi_output=True, dtype=FLOATS, reset=reset
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._begin_labels(y)
        else:
            self._check_labels(unique_labels(y))
        if not isinstance(self.label_smoothing, Real) or not (
            0 <= float(self.label_smoothing) <= 1
        ):
            raise ArgumentError(
                f"label_smoothing must be a number from 0 to 1, got {self.label_smoothing!r}"
            )
        multiclass = self._label_binarizer.y_type_ == "multiclass"
        if multiclass and not self.label_smoothing:
            return x, np.searchsorted(self.classes_, y), y
        targets = self._label_binarizer.transform(y).astype(x.dtype)
        if self.label_smoothing:
            among = len(self.classes_) if multiclass else 2
            targets = (1 - self.label_smoothing) * targets + self.label_smoothing / among
        return x, targets.astype(x.dtype, copy=False), y

    def _check_labels(self, found: Array) -> None:
        """Classes to go on with are the same, or in ``partial_fit`` some of them."""
        if self.warm_start and set(found) != set(self.classes_):
            raise ArgumentError(
                "warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit. Previously got {self.classes_}, `y` has {found}"
            )
        if len(np.setdiff1d(found, self.classes_)):
            raise ArgumentError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. "
                f"'y' has {found}."
            )

    def _output(self, targets: Array) -> tuple[str, int]:
        if self._label_binarizer.y_type_ == "multiclass":
            smoothed = " of smoothed targets" if self.label_smoothing else ""
            return f"softmax{smoothed}", len(self.classes_)
        return "logistic", targets.shape[1]

    def _row_weights(self, labels: Array, given: Array | None) -> Array:
        weights = super()._row_weights(labels, given)
        if self.class_weight is None:
            return weights
        if not isinstance(self.class_weight, Mapping):
            return np.asarray(weights * compute_sample_weight(self.class_weight, labels))
        unknown = [c for c in self.class_weight if c not in self.classes_]
        if unknown:
            raise ArgumentError(
                f"class_weight has {unknown[0]!r}, which is no class; there are {self.classes_}"
            )
        # A batch of ``partial_fit`` need not have all classes, which scikit-learn's function wants.
        own = [self.class_weight.get(label, 1.0) for label in self.classes_.tolist()]
        return np.asarray(weights * np.asarray(own)[np.searchsorted(self.classes_, labels)])

    def _decoded(self, outputs: Array) -> Any:
        outputs = outputs.ravel() if self.n_outputs_ == 1 else outputs
        return self._label_binarizer.inverse_transform(outputs)

    def _judged(self, labels: Any, predicted: Any, weights: Array | None) -> float:
        if self._label_binarizer.y_type_.startswith("multilabel"):
            return float(accuracy_score(labels, predicted, sample_weight=weights))
        # The same number, without the checks that would take longer than an epoch of a small table.
        return float(np.average(labels == predicted, weights=weights))
