"""Activation functions; a row of their own only where numerics or kinks need one."""

from __future__ import annotations

import math

from gradlab.graph.arithmetic import multiply
from gradlab.graph.comparison import greater, where
from gradlab.graph.elementwise import HUGE, elementwise, floating, unary
from gradlab.graph.functions import erfc, exp, expm1, special
from gradlab.graph.op import Interval, Kink, Op, declare
from gradlab.graph.reductions import nonempty, sum
from gradlab.graph.shaping import astype, normalize_axis
from gradlab.graph.summation import block_sum
from gradlab.graph.tensor import Like, Tensor, apply, as_tensor

ANY = (Interval(extremes=HUGE),)

RELU = elementwise(
    "relu",
    lambda xp, x: xp.maximum(x, 0),
    lambda g, f, x: g * astype(greater(x, 0), g.dtype),
    formula="max(x, 0)",
    derivatives=("1 if x > 0 else 0",),
    kinks=(Kink((0.0,), (0.0,)),),
    domain=ANY,
)


def _sigmoid(xp, x):  # type: ignore[no-untyped-def]
    return special(xp).expit(x)


SIGMOID = elementwise(
    "sigmoid",
    _sigmoid,
    lambda g, f, x: g * (f * sigmoid(-x)),  # 1 − f has lost its digits where f is near 1
    formula="1/(1 + exp(−x))",
    derivatives=("f(1 − f)",),
    domain=ANY,
)
SOFTPLUS = elementwise(
    "softplus",
    lambda xp, x: xp.logaddexp(x, xp.zeros_like(x)),
    lambda g, f, x: g * sigmoid(x),
    formula="log(1 + exp x)",
    derivatives=("sigmoid x",),
    domain=ANY,
)


def _log_softmax(xp, x, axis):  # type: ignore[no-untyped-def]
    shifted = x - x.max(axis=axis, keepdims=True)
    return shifted - xp.log(block_sum(xp, xp.exp(shifted), (axis,), keepdims=True))


LOG_SOFTMAX = declare(
    Op(
        "log_softmax",
        forward=_log_softmax,
        infer=lambda x, axis: (x.shape, x.dtype),
        vjps=(lambda g, f, x, axis: g - exp(f) * sum(g, axis, keepdims=True),),
        formula="x − log Σ exp x",
        derivatives=("1 − exp f on the diagonal, −exp f beside it",),
    )
)


def relu(x: Like) -> Tensor:
    """Rectifier, max(x, 0); the subgradient at 0 is 0.

    >>> relu([-1.0, 2.0])
    tensor([0., 2.])
    """
    return unary(RELU, x)


def leaky_relu(x: Like, slope: float = 0.01) -> Tensor:
    """x where positive, else slope · x; the subgradient at 0 is the slope.

    >>> leaky_relu([-1.0, 2.0])
    tensor([-0.01,  2.  ])
    """
    x = as_tensor(x)
    return where(greater(x, 0), x, multiply(x, slope))


def elu(x: Like, alpha: float = 1.0) -> Tensor:
    """x where positive, else α(eˣ − 1).

    Source: Clevert et al., Fast and Accurate Deep Network Learning by ELUs, 2016.

    >>> elu([-100.0, 2.0])
    tensor([-1.,  2.])
    """
    x = as_tensor(x)
    positive = greater(x, 0)
    # The branch not taken must stay finite, or its derivative would be 0 · ∞.
    return where(positive, x, multiply(expm1(where(positive, 0.0, x)), alpha))


def sigmoid(x: Like) -> Tensor:
    """Logistic function, σ(x) = 1/(1 + e⁻ˣ).

    >>> sigmoid([0.0, 100.0])
    tensor([0.5, 1. ])
    """
    return unary(SIGMOID, x)


def softplus(x: Like) -> Tensor:
    """log(1 + eˣ), without overflow.

    >>> softplus([-1000.0, 1000.0])
    tensor([   0., 1000.])
    """
    return unary(SOFTPLUS, x)


def gelu(x: Like) -> Tensor:
    """Gaussian error linear unit, x · Φ(x) = x · ½ erfc(−x/√2).

    Source: Hendrycks & Gimpel, Gaussian Error Linear Units, 2016.

    >>> gelu([0.0, 100.0])
    tensor([  0., 100.])
    """
    x = as_tensor(x)
    return x * (0.5 * erfc(x * -math.sqrt(0.5)))


def silu(x: Like) -> Tensor:
    """Sigmoid linear unit (swish), x · σ(x).

    Source: Elfwing et al., Sigmoid-Weighted Linear Units, 2018.

    >>> silu([0.0, 100.0])
    tensor([  0., 100.])
    """
    x = as_tensor(x)
    return x * sigmoid(x)


def log_softmax(x: Like, axis: int = -1) -> Tensor:
    """x − log Σ eˣ along an axis, without overflow.

    >>> log_softmax([1000.0, 0.0])
    tensor([    0., -1000.])
    """
    x = floating(x)
    (place,) = normalize_axis(axis, x.ndim)
    nonempty(x, axis, "softmax")
    return apply(LOG_SOFTMAX, (x,), {"axis": place})


def softmax(x: Like, axis: int = -1) -> Tensor:
    """eˣ / Σ eˣ along an axis, without overflow.

    >>> softmax([1000.0, 1000.0])
    tensor([0.5, 0.5])
    """
    return exp(log_softmax(x, axis))
