"""L-BFGS over all rows, by SciPy, from a compiled objective and its gradient."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gradlab.graph.dtypes import Array
from gradlab.sklearn.network import Network
from gradlab.sklearn.programs import objective, room


def lbfgs(
    network: Network,
    x: Any,
    y: Array,
    weights: Array,
    values: Sequence[Array],
    settings: Any,
) -> tuple[list[Array], float, int]:
    """Weights at the minimum, the loss there as scikit-learn shows it, and the iterations taken.

    It computes in float64, as SciPy does.

    Args:
        x, y, weights: the rows; x may be a sparse matrix.
        values: parameters to start from.
        settings: the estimator, for alpha, tol, max_iter, max_fun and verbose.
    """
    from scipy.optimize import minimize
    from sklearn.exceptions import ConvergenceWarning

    rows = room(len(y))
    function = objective(replace(network, dtype="float64"), rows)
    x = _filled(x if isinstance(x, np.ndarray) else x.toarray(), rows, np.float64)
    y = _filled(y, rows, np.float64 if y.dtype.kind == "f" else y.dtype)
    weights = _filled(weights, rows, np.float64)
    bounds = np.cumsum([value.size for value in values])[:-1]
    shapes = [value.shape for value in values]

    def parts(packed: Array) -> list[Array]:
        return [p.reshape(s) for p, s in zip(np.split(packed, bounds), shapes, strict=True)]

    def loss_and_gradient(packed: Array) -> tuple[float, Array]:
        loss, _, gradients = function(x, y, weights, settings.alpha, parts(packed))
        return loss, np.concatenate([gradient.ravel() for gradient in gradients])

    options: Any = {"maxfun": settings.max_fun, "maxiter": settings.max_iter, "gtol": settings.tol}
    packed = np.concatenate([np.asarray(value, np.float64).ravel() for value in values])
    with _libraries().limit(limits=1, user_api="blas"):  # its vectors are too short for threads
        found: Any = minimize(
            loss_and_gradient, packed, method="L-BFGS-B", jac=True, options=options
        )
    if settings.verbose:
        print(f"L-BFGS: {found.nit} iterations, {found.message}")
    if found.status != 0:
        warnings.warn(
            f"lbfgs stopped after {found.nit} iterations ({found.message}); raise max_iter or "
            "scale the data, for instance with a StandardScaler",
            ConvergenceWarning,
            stacklevel=5,
        )
    _, shown, _ = function(x, y, weights, settings.alpha, parts(found.x))
    return parts(found.x), shown, min(int(found.nit), settings.max_iter)


def _filled(array: Array, rows: int, dtype: npt.DTypeLike) -> Array:
    """An array with rows of zeros at its end, which count nothing."""
    made = np.zeros((rows, *array.shape[1:]), dtype)
    made[: len(array)] = array
    return made


@functools.cache
def _libraries() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
