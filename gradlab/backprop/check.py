"""A gradient checker that anybody can use: derivatives against finite differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradlab.backprop.functional import vjp
from gradlab.errors import GradientError
from gradlab.graph import Tensor, as_tensor
from gradlab.graph.tree import leaves, map_leaves


def check_grads(
    function: Callable[..., Any],
    args: Sequence[Any],
    order: int = 2,
    eps: float = 1e-6,
    rtol: float = 1e-5,
    atol: float = 1e-6,
    directions: int = 2,
    seed: int = 0,
) -> None:
    """Compare the derivatives of a function with finite differences, in float64.

    Along a random direction v with a random adjoint u, ⟨u, (f(x + εv) − f(x − εv)) / 2ε⟩ must equal
    ⟨∂fᵀu, v⟩; for order 2 the same is asked of the gradient as a function of x and u.

    Args:
        function: of floating arguments; returns a tensor or a nest of them.
        args: the point, away from kinks by more than eps.
        order: up to which order.
        eps, rtol, atol: step, and tolerances on |difference| ≤ atol + rtol · |expected|. The error
            of a central difference is about ε² + 2⁻⁵²/ε, some 1e-10 times the function's size.
        directions, seed: how many random directions, and their seed.

    Raises:
        GradientError: they differ; says at which order and by how much.

    >>> import gradlab
    >>> check_grads(lambda x: gradlab.sin(x) * x, [[0.5, 1.5]])
    """
    rng = np.random.default_rng(seed)
    arguments = [np.asarray(x, np.float64) for x in args]
    for _ in range(directions):
        _check(function, arguments, rng, eps, rtol, atol)
    if order > 1:
        value = function(*map(as_tensor, arguments))
        adjoints = [rng.standard_normal(x.shape) for x in leaves(value)]

        def gradient(*parts: Tensor) -> Any:
            value, pullback = vjp(function, *parts[: len(arguments)])
            seeds = iter(parts[len(arguments) :])
            return pullback(map_leaves(lambda _: next(seeds), value))

        try:
            check_grads(
                gradient, [*arguments, *adjoints], order - 1, eps, rtol, atol, directions, seed + 1
            )
        except GradientError as error:
            raise GradientError(f"in the derivative of order 2 or higher: {error}") from None


def _check(
    function: Callable[..., Any],
    args: list[np.ndarray[Any, Any]],
    rng: np.random.Generator,
    eps: float,
    rtol: float,
    atol: float,
) -> None:
    value, pullback = vjp(function, *args)
    outputs = leaves(value)
    v = [rng.standard_normal(x.shape) for x in args]
    u = [rng.standard_normal(y.shape) for y in outputs]
    shifted = [
        leaves(function(*(as_tensor(x + step * d) for x, d in zip(args, v, strict=True))))
        for step in (eps, -eps)
    ]
    expected = sum(
        float(np.sum(w * (plus.numpy() - minus.numpy()) / (2 * eps)))
        for w, plus, minus in zip(u, *shifted, strict=True)
    )
    seeds = iter(u)
    gradients = leaves(pullback(map_leaves(lambda _: as_tensor(next(seeds)), value)))
    found = sum(float(np.sum(g.numpy() * d)) for g, d in zip(gradients, v, strict=True))
    if not abs(found - expected) <= atol + rtol * abs(expected):
        raise GradientError(
            f"derivative along a random direction is {found:.10g}, "
            f"finite differences give {expected:.10g} (difference {found - expected:.2g})"
        )
