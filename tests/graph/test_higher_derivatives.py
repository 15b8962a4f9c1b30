"""Derivatives of derivatives where a formula has a case of its own: at 0, at ends, at ties.

A case that is a constant in the first derivative would be flat, and so wrong, in the next.
"""

import math

import numpy as np
import pytest

import gradlab as gl
from gradlab import nn

mp = pytest.importorskip("mpmath")

EXECUTORS = ["eager", "numpy", "native"]


def run(function, executor, *arrays):
    f = function if executor == "eager" else gl.compile(function, executor)
    with np.errstate(all="ignore"):
        return np.asarray(f(*arrays))


def derivative(function, order):
    for _ in range(order):
        function = gl.grad(lambda x, f=function: f(x).sum())
    return function


def cdf(x):
    return mp.erfc(-x / mp.sqrt(2)) / 2


SMOOTH = {
    "exp": mp.exp,
    "exp2": lambda x: 2**x,
    "expm1": mp.expm1,
    "log1p": mp.log1p,
    "square": lambda x: x * x,
    "sin": mp.sin,
    "cos": mp.cos,
    "tan": mp.tan,
    "asin": mp.asin,
    "acos": mp.acos,
    "atan": mp.atan,
    "sinh": mp.sinh,
    "cosh": mp.cosh,
    "tanh": mp.tanh,
    "sech": mp.sech,
    "asinh": mp.asinh,
    "atanh": mp.atanh,
    "erf": mp.erf,
    "erfc": mp.erfc,
    "sinc": mp.sincpi,
    "sigmoid": lambda x: 1 / (1 + mp.exp(-x)),
    "softplus": lambda x: mp.log1p(mp.exp(x)),
    "silu": lambda x: x / (1 + mp.exp(-x)),
    "gelu": lambda x: x * cdf(x),
}


@pytest.mark.parametrize("executor", ["eager", "native"])
@pytest.mark.parametrize("name", SMOOTH)
def test_smooth_functions_to_fourth_order(name, executor):
    """At 0, where many formulas have their cases, beside it, and away from it."""
    x = np.array([0.0, -0.0, 1e-9, -1e-9, 0.3, -0.3, 0.7, -0.7])
    for order in range(1, 5):
        found = run(derivative(getattr(gl, name), order), executor, x)
        with mp.workdps(60):
            true = [float(mp.diff(SMOOTH[name], mp.mpf(v), order)) for v in x]
        np.testing.assert_allclose(found, true, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_derivatives_far_out_are_finite(dtype, executor):
    """Where the functions are flat, all their derivatives are 0, and none is ∞ · 0."""
    x = np.array([-1e30, -1e4, -800, -120, -50, 50, 120, 800, 1e4, 1e30], dtype)
    flat = ("tanh", "sech", "sigmoid", "erf", "erfc", "atan")
    for name in (*flat, "softplus", "silu", "gelu", "elu", "asinh"):
        for order in (1, 2, 3):
            within = x[abs(x) < 1e12] if order == 3 else x  # x³ is a number of the dtype
            found = run(derivative(getattr(gl, name), order), executor, within)
            assert np.isfinite(found).all(), (name, order)
            if order > 1 and name not in ("atan", "asinh"):
                np.testing.assert_allclose(found, 0, atol=1e-15)


# --- powers ---------------------------------------------------------------------------------------

POWERS = [
    (x, y) for x in (0.5, 1.0, 2.0, 1e-3, 30.0) for y in (-2.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0)
]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_powers_to_second_order(executor):
    """x^y for x > 0: the mixed derivative is x^(y−1) (1 + y log x), 1/x at y = 0."""
    hessian = gl.hessian(lambda z: gl.pow(z[0], z[1]))
    f = hessian if executor == "eager" else gl.compile(hessian, executor)
    for x, y in POWERS:
        mixed = x ** (y - 1) * (1 + y * math.log(x))
        true = [[y * (y - 1) * x ** (y - 2), mixed], [mixed, x**y * math.log(x) ** 2]]
        np.testing.assert_allclose(f(np.array([x, y])), true, 1e-13, 1e-13)
    np.testing.assert_allclose(f(np.array([2.0, 0.0]))[0, 1], 0.5, rtol=1e-15)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_powers_to_third_order_by_the_exponent(executor):
    """∂³/∂x∂y² of x^y is x^(y−1) log x (2 + y log x)."""
    mixed = gl.grad(lambda x, y: gl.grad(lambda x, y: gl.grad(gl.pow, 0)(x, y), 1)(x, y), 1)
    for x, y in POWERS:
        true = x ** (y - 1) * math.log(x) * (2 + y * math.log(x))
        np.testing.assert_allclose(
            run(mixed, executor, np.array(x), np.array(y)), true, 1e-12, 1e-13
        )


@pytest.mark.parametrize("executor", EXECUTORS)
def test_powers_of_zero(executor):
    """Of 0^y by the base: 0 where it would be infinite for 0 ≤ y < 1, and right everywhere else."""
    base, exponents = np.zeros(8), np.array([0.0, 0.25, 0.5, 1.0, 1.0, 2.0, 3.0, 4.0])
    for order, true in ((1, [0, 0, 0, 1, 1, 0, 0, 0]), (2, [0, 0, 0, 0, 0, 2, 0, 0])):

        def slope(x, y, order=order):
            return derivative(lambda x: gl.pow(x, y), order)(x)

        np.testing.assert_array_equal(run(slope, executor, base, exponents), true)
    third = run(lambda x: derivative(lambda x: x**3, 3)(x), executor, np.zeros(1))
    np.testing.assert_array_equal(third, 6)
    infinite = run(gl.grad(lambda x: (x**-1.0).sum()), executor, np.zeros(1))
    np.testing.assert_array_equal(infinite, -np.inf)
    by_exponent = gl.grad(lambda x, y: gl.pow(x, y).sum(), 1)
    np.testing.assert_array_equal(run(by_exponent, executor, base, exponents), 0)


# --- kinks: the side that is taken ---------------------------------------------------------------

KINKS = {
    "relu": (0.0, [0, 0, 0]),
    "abs": (0.0, [0, 0, 0]),
    "sqrt": (0.0, [0, 0, 0]),
    "leaky_relu": (0.0, [0.01, 0, 0]),
    "elu": (0.0, [1, 1, 1]),
    "sign": (0.0, [0, 0, 0]),
    "floor": (1.0, [0, 0, 0]),
    "round": (0.5, [0, 0, 0]),
}
CHOSEN = {
    "relu of a square": (lambda x: gl.relu(x) * x, 0.0, [0, 0, 0]),
    "clip inside": (lambda x: gl.clip(x, -1, 1) ** 2, 1.0, [2, 2, 0]),
    "clip outside": (lambda x: gl.clip(x, -1, 1) ** 2, 1.5, [0, 0, 0]),
    "maximum": (lambda x: gl.maximum(x, 1.0) ** 2, 1.0, [1, 0.5, 0]),
    "where": (lambda x: gl.where(x > 0, x**3, x**2), 0.0, [0, 2, 0]),
    "maximum of itself": (lambda x: gl.max(gl.stack([x, x, x])) ** 2, 3.0, [6, 2, 0]),
    "product at 0": (lambda x: gl.prod(gl.stack([x, x, 2 * x])), 0.0, [0, 0, 12]),
    "huber at its edge": (lambda x: nn.huber_loss(x, 0.0, "sum"), 1.0, [1, 1, 0]),
    "huber beyond it": (lambda x: nn.huber_loss(x, 0.0, "sum"), 1.5, [1, 0, 0]),
    "huber within": (lambda x: nn.huber_loss(x, 0.0, "sum"), 0.0, [0, 1, 0]),
    "cross-entropy of signs": (
        lambda x: nn.binary_cross_entropy_with_logits(x, 1.0, "sum"),
        *(0.0, [-0.5, 0.25, 0]),
    ),
    "cross-entropy of halves": (
        lambda x: nn.binary_cross_entropy_with_logits(x, 0.5, "sum"),
        *(0.0, [0, 0.25, 0]),
    ),
}


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("name", [*KINKS, *CHOSEN])
def test_derivatives_at_kinks(name, executor):
    """Of one side, to third order: see docs/conventions.md."""
    function, at, true = CHOSEN[name] if name in CHOSEN else (getattr(gl, name), *KINKS[name])
    found = [run(derivative(function, n), executor, np.float64(at)) for n in (1, 2, 3)]
    np.testing.assert_allclose(found, true, atol=1e-15)


@pytest.mark.parametrize("executor", ["eager", "native"])
def test_matrices_of_second_derivatives(executor):
    """Of functions of several numbers where numbers are equal, zero or large."""
    eye, ones = np.eye(3), np.ones((3, 3)) / 3
    softmax = eye / 3 - ones / 3
    cases = [
        (gl.logsumexp, np.full(3, 2e7), softmax),
        (gl.logsumexp, np.zeros(3), softmax),
        (lambda x: -gl.log_softmax(x)[0], np.full(3, 1e4), softmax),
        (lambda x: nn.cross_entropy(gl.reshape(x, (1, 3)), np.array([1])), np.zeros(3), softmax),
        (gl.var, np.ones(3), 2 / 3 * (eye - ones)),
        (lambda x: (x * x).sum(), np.zeros(3), 2 * eye),
        (gl.norm, np.zeros(3), 0 * eye),
        (gl.std, np.ones(3), 0 * eye),
        (gl.prod, np.array([0.0, 0.0, 3.0]), [[0, 3, 0], [3, 0, 0], [0, 0, 0]]),
        (lambda x: (gl.sort(x) * [1.0, 2.0, 4.0]).sum() ** 2, np.array([3.0, 1.0, 2.0]), None),
    ]
    for function, at, true in cases:
        found = run(gl.hessian(function), executor, at)
        if true is None:
            weights = np.array([4.0, 1.0, 2.0])
            true = 2 * np.outer(weights, weights)
        np.testing.assert_allclose(found, true, atol=1e-12)


@pytest.mark.parametrize("executor", ["eager", "native"])
@pytest.mark.parametrize("layer", ["LayerNorm", "RMSNorm", "GroupNorm", "BatchNorm1d"])
def test_normalizations_of_equal_numbers(layer, executor):
    """Without a variance they are linear, x/√ε: their second derivative is 0, and no case's."""
    made = {
        "LayerNorm": lambda: nn.LayerNorm(3, dtype="float64"),
        "RMSNorm": lambda: nn.RMSNorm(3, eps=1e-5, dtype="float64"),
        "GroupNorm": lambda: nn.GroupNorm(1, 3, dtype="float64"),
        "BatchNorm1d": lambda: nn.BatchNorm1d(1, track_running_stats=False, dtype="float64"),
    }[layer]()
    shape = (3, 1) if layer == "BatchNorm1d" else (1, 3)
    x = np.zeros(3) if layer == "RMSNorm" else np.ones(3)

    def function(x):
        return made(gl.reshape(x, shape)).reshape((3,)) @ np.array([1.0, 2.0, 4.0])

    slope = np.array([1.0, 2.0, 4.0]) - (0 if layer == "RMSNorm" else 7 / 3)
    np.testing.assert_allclose(run(gl.grad(function), executor, x), slope / math.sqrt(1e-5), 1e-12)
    np.testing.assert_allclose(run(gl.hessian(function), executor, x), 0, atol=1e-6)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_the_slope_by_a_target_at_its_bounds(executor):
    """−z at y = 0 and y = 1 too, where a traced target is kept within its range."""
    z, y = np.array([2.0, -3.0, 4.0]), np.array([0.0, 1.0, 0.5])
    slope = gl.grad(lambda z, y: nn.binary_cross_entropy_with_logits(z, y, "sum"), 1)
    np.testing.assert_array_equal(run(slope, executor, z, y), -z)
