"""L-BFGS over all rows, by SciPy, from a compiled objective and its gradient."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gradlab.graph.dtypes import Array
from gradlab.sklearn.network import Network
from gradlab.sklearn.programs import objective


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

    function = objective(replace(network, dtype="float64"), len(y))
    x = np.asarray(x if isinstance(x, np.ndarray) else x.toarray(), np.float64)
    y = y.astype(np.float64) if y.dtype.kind == "f" else y
    weights = weights.astype(np.float64)
    bounds = np.cumsum([value.size for value in values])[:-1]
    shapes = [value.shape for value in values]

    def parts(packed: Array) -> list[Array]:
        return [p.reshape(s) for p, s in zip(np.split(packed, bounds), shapes, strict=True)]

    def loss_and_gradient(packed: Array) -> tuple[float, Array]:
        loss, _, gradients = function(x, y, weights, settings.alpha, parts(packed))
        return loss, np.concatenate([gradient.ravel() for gradient in gradients])

    options: Any = {"maxfun": settings.max_fun, "maxiter": settings.max_iter, "gtol": settings.tol}
    packed = np.concatenate([np.asarray(value, np.float64).ravel() for value in values])
    found: Any = minimize(loss_and_gradient, packed, method="L-BFGS-B", jac=True, options=options)
    if settings.verbose:
        print(f"L-BFGS: {found.nit} iterations, {found.message}")
    if found.status != 0:
        warnings.warn(
            f"lbfgs stopped after {found.nit} iterations ({found.message}); raise max_iter or "
            "scale the data, for instance with a StandardScaler",
            ConvergenceWarning,
            stacklevel=4,
        )
    _, shown, _ = function(x, y, weights, settings.alpha, parts(found.x))
    return parts(found.x), shown, min(int(found.nit), settings.max_iter)
