"""What the two estimators share: checks, first weights, and what scikit-learn asks for."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from gradlab.errors import ArgumentError
from gradlab.graph.dtypes import Array
from gradlab.init import initialize
from gradlab.sklearn.lbfgs import lbfgs
from gradlab.sklearn.network import Network
from gradlab.sklearn.settings import check, for_each_layer, hidden_sizes
from gradlab.sklearn.stochastic import Rows, begin_curves, fit_stochastic

FLOATS = (np.float64, np.float32)


def keep_settings(estimator: Any, given: Mapping[str, Any]) -> None:
    """Keep what ``__init__`` was given (its ``locals()``), as scikit-learn wants it: untouched."""
    for name, value in given.items():
        if name not in ("self", "__class__"):
            setattr(estimator, name, value)


@contextmanager
def all_or_nothing(estimator: Any) -> Iterator[None]:
    """Let an estimator that cannot be fitted be as it was before."""
    before = {k: list(v) if isinstance(v, list) else v for k, v in vars(estimator).items()}
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def has_updates(estimator: Any) -> bool:
    """Whether its solver goes by single updates, so that there is a ``partial_fit``."""
    if estimator.solver == "lbfgs":
        raise AttributeError("partial_fit goes by single updates, which solver 'lbfgs' has not")
    return True


class Estimator(BaseEstimator):
    """A multi-layer perceptron with scikit-learn's manners."""

    coefs_: list[Array]
    intercepts_: list[Array]

    # --- what the two estimators say ----------------------------------------------------------

    @abstractmethod
    def _targets(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Array, Array]:
        """Checked rows, and their targets as the network takes them and as the user gave them."""

    @abstractmethod
    def _output(self, targets: Array) -> tuple[str, int]:
        """Name of the output, a key of ``OUTPUTS``, and how many numbers it has."""

    @abstractmethod
    def _decoded(self, outputs: Array) -> Any:
        """Predictions from the network's outputs."""

    @abstractmethod
    def _judged(self, labels: Any, predicted: Any, weights: Array | None) -> float:
        """Validation score; NaN where predicted values are not finite."""

    def _row_weights(self, labels: Array, given: Array | None) -> Array:
        """What each row counts in training."""
        return np.ones(labels.shape[0]) if given is None else given

    # --- scikit-learn's methods ---------------------------------------------------------------

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on rows X, of shape (n, features), and targets y.

        Args:
            X: array, data frame or sparse matrix.
            y: targets, of shape (n,) or (n, outputs).
            sample_weight: what each row counts, of shape (n,); 1 if not given.

        Raises:
            ValueError: settings or data that do not fit, or weights that stop being finite.
        """
        with all_or_nothing(self):
            self._fit(X, y, sample_weight, incremental=False)
        return self

    def predict(self, X: Any) -> Any:
        """Classes or values for rows X."""
        return self._decoded(self._outputs(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    # --- fitting ------------------------------------------------------------------------------

    def _fit(self, X: Any, y: Any, sample_weight: Any, incremental: bool) -> None:
        check(self)
        hidden = hidden_sizes(self)
        activations = for_each_layer(self, "activation", len(hidden))
        dropout = for_each_layer(self, "dropout", len(hidden))
        first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        x, targets, labels = self._targets(X, y, incremental, reset=first)
        given = None if sample_weight is None else _check_sample_weight(sample_weight, x)
        weights = self._row_weights(labels, given)
        rows = Rows(x, targets, labels, weights.astype(x.dtype), given)
        self._random_state = check_random_state(self.random_state)
        output, self.n_outputs_ = self._output(targets)
        self.out_activation_ = output.partition(" ")[0]
        self._network = network = Network(
            (x.shape[1], *hidden, self.n_outputs_),
            activations,
            tuple(map(float, dropout)),
            output,
            str(x.dtype),
        )
        if first:
            self._begin(network)
        elif (kept := (*(c.shape[0] for c in self.coefs_), self.coefs_[-1].shape[1])) != (
            network.sizes
        ):
            raise ArgumentError(
                f"features, hidden_layer_sizes and outputs are {network.sizes}, but the weights to "
                f"go on from are of {kept}; fit anew with warm_start=False"
            )
        if self.solver == "lbfgs":
            self._fit_lbfgs(network, rows)
        else:
            fit_stochastic(self, network, rows, incremental)
        self._check_finite([*self.coefs_, *self.intercepts_])

    def _begin(self, network: Network) -> None:
        """First weights, and nothing learned yet."""
        self.n_layers_ = len(network.sizes)
        self.t_ = 0
        self.coefs_, self.intercepts_ = self._first_weights(network)
        if self.solver != "lbfgs":
            begin_curves(self)

    def _first_weights(self, network: Network) -> tuple[list[Array], list[Array]]:
        """As scikit-learn draws them, in the same order, unless ``init`` says otherwise."""
        random, coefs, intercepts = self._random_state, [], []
        if self.init is not None:
            model = network.model()
            initialize(model, self.init, int(random.randint(2**31 - 1)))
            drawn = [variable.numpy() for variable in model.parameters()]
            return [w.T.copy() for w in drawn[::2]], [b.copy() for b in drawn[1::2]]
        # Glorot and Bengio's, for biases too; a third of the variance behind the logistic function.
        names = [*network.activations, (network.activations or (self.activation,))[-1]]
        for i, name in enumerate(names):
            factor = 2.0 if name == "logistic" else 6.0
            ins, outs = network.sizes[i : i + 2]
            bound = math.sqrt(factor / (ins + outs))
            coefs.append(random.uniform(-bound, bound, (ins, outs)).astype(network.dtype))
            intercepts.append(random.uniform(-bound, bound, outs).astype(network.dtype))
        return coefs, intercepts

    def _fit_lbfgs(self, network: Network, rows: Rows) -> None:
        found, self.loss_, self.n_iter_ = lbfgs(
            network, rows.x, rows.targets, rows.weights, self._parameters(), self
        )
        self._take([value.astype(network.dtype) for value in found])

    # --- weights, in the network's layout -----------------------------------------------------

    def _parameters(self) -> list[Array]:
        """Weight (out, in) and bias of each layer in turn."""
        pairs = zip(self.coefs_, self.intercepts_, strict=True)
        return [part for coef, intercept in pairs for part in (coef.T.copy(), intercept.copy())]

    def _take(self, values: Sequence[Array]) -> None:
        """Weights as the network has them become the estimator's."""
        self.coefs_ = [weight.T for weight in values[::2]]
        self.intercepts_ = list(values[1::2])

    def _check_finite(self, numbers: Iterable[Any]) -> None:
        if not all(np.isfinite(x).all() for x in numbers):
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large "
                "values and need to be preprocessed; or lower learning_rate_init."
            )

    # --- looking ------------------------------------------------------------------------------

    def _outputs(self, X: Any) -> Array:
        """The network's outputs for rows of a user."""
        check_is_fitted(self, "coefs_")
        return self._forward(validate_data(self, X, accept_sparse="csr", reset=False))

    def _forward(self, x: Any) -> Array:
        return self._network.predict(x, self.coefs_, self.intercepts_)

    def _validation_score(self, rows: Rows) -> float:
        """The score of rows that were held out."""
        with np.errstate(over="ignore", invalid="ignore"):  # of weights that diverge
            predicted = self._decoded(self._forward(rows.x))
            return self._judged(rows.labels, predicted, rows.given)
