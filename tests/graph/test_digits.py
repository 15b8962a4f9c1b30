"""Digits: functions and their derivatives keep them over the whole range, tails included.

Each is compared with mpmath, point by point. A bound counts units of roundoff (2⁻²⁴ in float32) of
the true result: a few for each rounded step, and more where an exponent is rounded. That of
exp(−x²) has x² roundoffs; in gelu it is ½x², of x · √½, which has two of its own: 2.5 x².
"""

import math

import numpy as np
import pytest

import gradlab as gl
from gradlab import nn

mp = pytest.importorskip("mpmath")

EXECUTORS = ["eager", "numpy", "native"]
DTYPES = ["float32", "float64"]


def run(function, executor, *arrays):
    f = function if executor == "eager" else gl.compile(function, executor)
    with np.errstate(all="ignore"):  # overflow to infinity, where it is right
        return np.asarray(f(*arrays))


def sigmoid(x):
    return 1 / (1 + mp.exp(-x))


def cdf(x):
    return mp.erfc(-x / mp.sqrt(2)) / 2


def density(x):
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def softplus(x):
    return mp.log1p(mp.exp(x)) if x < 50 else x + mp.log1p(mp.exp(-x))


def same(x):
    return x


def rounded_square(x):
    """Roundoffs of a result that contains exp(−x²), from the rounding of its exponent."""
    return 10 + x * x


FEW, SOME = 8, 16
# name: value, derivative, roundoffs of each (of |x| or a number), and the range
FUNCTIONS = {
    "exp": (mp.exp, mp.exp, FEW, FEW, (-80, 80)),
    "exp2": (lambda x: 2**x, lambda x: 2**x * mp.log(2), FEW, FEW, (-120, 120)),
    "expm1": (mp.expm1, mp.exp, FEW, FEW, (-80, 80)),
    "log": (mp.log, lambda x: 1 / x, FEW, FEW, (1e-30, 1e30)),
    "log2": (lambda x: mp.log(x, 2), lambda x: 1 / x / mp.log(2), FEW, FEW, (1e-30, 1e30)),
    "log10": (mp.log10, lambda x: 1 / x / mp.log(10), FEW, FEW, (1e-30, 1e30)),
    "log1p": (mp.log1p, lambda x: 1 / (1 + x), FEW, FEW, (-0.999, 1e6)),
    "sqrt": (mp.sqrt, lambda x: 1 / (2 * mp.sqrt(x)), FEW, FEW, (1e-30, 1e30)),
    "erf": (
        *(mp.erf, lambda x: 2 / mp.sqrt(mp.pi) * mp.exp(-x * x)),
        *(FEW, rounded_square, (-80, 80)),
    ),
    "erfc": (
        *(mp.erfc, lambda x: -2 / mp.sqrt(mp.pi) * mp.exp(-x * x)),
        *(lambda x: 24 + x * x, rounded_square, (-80, 80)),
    ),
    "sin": (mp.sin, mp.cos, FEW, FEW, (-100, 100)),
    "cos": (mp.cos, lambda x: -mp.sin(x), FEW, FEW, (-100, 100)),
    "tan": (mp.tan, lambda x: 1 + mp.tan(x) ** 2, FEW, SOME, (-1.5, 1.5)),
    "asin": (mp.asin, lambda x: 1 / mp.sqrt(1 - x * x), FEW, FEW, (-1, 1)),
    "acos": (mp.acos, lambda x: -1 / mp.sqrt(1 - x * x), FEW, FEW, (-1, 1)),
    "atan": (mp.atan, lambda x: 1 / (1 + x * x), FEW, FEW, (-1e9, 1e9)),
    "sinh": (mp.sinh, mp.cosh, FEW, FEW, (-80, 80)),
    "cosh": (mp.cosh, mp.sinh, FEW, FEW, (-80, 80)),
    "tanh": (mp.tanh, lambda x: mp.sech(x) ** 2, FEW, SOME, (-80, 80)),
    "sech": (mp.sech, lambda x: -mp.sech(x) * mp.tanh(x), FEW, SOME, (-80, 80)),
    "asinh": (mp.asinh, lambda x: 1 / mp.sqrt(1 + x * x), FEW, FEW, (-1e9, 1e9)),
    "acosh": (mp.acosh, lambda x: 1 / mp.sqrt(x * x - 1), FEW, FEW, (1.001, 1e9)),
    "atanh": (mp.atanh, lambda x: 1 / (1 - x * x), FEW, FEW, (-1, 1)),
    "sigmoid": (sigmoid, lambda x: sigmoid(x) * sigmoid(-x), FEW, SOME, (-80, 80)),
    "softplus": (softplus, sigmoid, FEW, FEW, (-80, 80)),
    "elu": (
        *(lambda x: x if x > 0 else mp.expm1(x), lambda x: 1 if x > 0 else mp.exp(x)),
        *(FEW, FEW, (-80, 80)),
    ),
    "silu": (
        *(lambda x: x * sigmoid(x), lambda x: sigmoid(x) * (1 + x * sigmoid(-x))),
        *(FEW, SOME, (-80, 80)),
    ),
    "gelu": (
        *(lambda x: x * cdf(x), lambda x: cdf(x) + x * density(x)),
        *(lambda x: 24 + 2.5 * x * x, lambda x: 24 + 2.5 * x * x, (-80, 80)),
    ),
}
# Two terms of opposite signs meet in these derivatives: the bound counts roundoffs of their sizes.
SIZES = {
    "silu": lambda x: sigmoid(x) * (1 + abs(x) * sigmoid(-x)),
    "gelu": lambda x: cdf(x) + abs(x) * density(x),
}


def points(low, high, dtype):
    """Numbers of a range, more of them near 0 and, in (−1, 1), near the ends."""
    rng = np.random.default_rng(0)
    if low > 0:
        x = np.exp(rng.uniform(math.log(low), math.log(high), 60))
    else:
        near = rng.uniform(max(low, -12), min(high, 12), 60)
        tiny = rng.choice([-1, 1], 20) * np.exp(rng.uniform(-60, -1, 20))
        x = np.concatenate([rng.uniform(low, high, 30), near, tiny])
        if (low, high) == (-1, 1):
            gaps = np.exp(rng.uniform(-14, -1, 20))
            x = np.concatenate([x, 1 - gaps, gaps - 1])
    x = x.astype(dtype)
    return x[(x > low) & (x < high)]


def check(found, true, x, roundoffs, dtype, size=abs):
    """Each number within so many roundoffs, where the true one is a normal number."""
    info = np.finfo(dtype)
    with mp.workdps(60):
        for at, value in zip(x, found, strict=True):
            exact = mp.mpf(true(mp.mpf(float(at))))
            if not info.tiny < abs(exact) < info.max:
                continue
            bound = roundoffs(float(at)) if callable(roundoffs) else roundoffs
            unit = (
                mp.mpf(float(info.eps))
                / 2
                * (abs(exact) if size is abs else size(mp.mpf(float(at))))
            )
            assert abs(mp.mpf(float(value)) - exact) <= bound * unit, (at, value, float(exact))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_and_derivatives(name, executor, dtype):
    value, slope, of_value, of_slope, limits = FUNCTIONS[name]
    function, x = getattr(gl, name), points(*limits, dtype)
    check(run(function, executor, x), value, x, of_value, dtype)
    slopes = run(gl.grad(lambda x: function(x).sum()), executor, x)
    check(slopes, slope, x, of_slope, dtype, SIZES.get(name, abs))


@pytest.mark.parametrize("executor", EXECUTORS)
def test_the_tails_that_cancel(executor):
    """What a formula in the function's value would lose: right values, in float32."""
    x = np.float32([9.5, 20, -30])
    slopes = run(gl.grad(lambda x: gl.tanh(x).sum()), executor, x)
    np.testing.assert_allclose(slopes, 1 / np.cosh(x.astype(float)) ** 2, rtol=1e-6)
    slopes = run(gl.grad(lambda x: gl.sigmoid(x).sum()), executor, x)
    np.testing.assert_allclose(slopes, 0.25 / np.cosh(x.astype(float) / 2) ** 2, rtol=1e-6)
    slopes = run(gl.grad(lambda x: gl.expm1(x).sum()), executor, -abs(x))
    np.testing.assert_allclose(slopes, np.exp(-abs(x.astype(float))), rtol=1e-6)
    y = np.float32([-5.5, -8, -12])
    expected = [float(v * cdf(v)) for v in map(mp.mpf, map(float, y))]
    np.testing.assert_allclose(run(gl.gelu, executor, y), expected, rtol=2e-5)


# --- several numbers ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("executor", EXECUTORS)
def test_logsumexp_of_large_numbers(executor, dtype):
    """Its gradient is the softmax, whatever the size of the numbers."""
    slope = gl.grad(lambda x: gl.logsumexp(x, axis=1).sum())
    rng = np.random.default_rng(0)
    differences = np.round(rng.uniform(-20, 0, (8, 5)), 2).astype(dtype)
    for size in (0, 2e7, -2e7, 1e30, -1e30):
        x = (differences + np.asarray(size, dtype)).astype(dtype)
        shifted = x.astype(float) - x.max(1, keepdims=True)
        weights = np.exp(shifted) / np.exp(shifted).sum(1, keepdims=True)
        found = run(slope, executor, x)
        np.testing.assert_allclose(found, weights, rtol=32 * np.finfo(dtype).eps)
    np.testing.assert_allclose(run(slope, executor, np.full((1, 3), 2e7, dtype)), 1 / 3, rtol=1e-6)
    x = np.array([[-np.inf, 1.0, 1.0]], dtype)
    np.testing.assert_array_equal(run(slope, executor, x), [[0, 0.5, 0.5]])


@pytest.mark.parametrize("executor", EXECUTORS)
def test_log_softmax_and_softmax(executor):
    x = np.float32(np.random.default_rng(0).uniform(-40, 40, (20, 6)))
    wide = x.astype(float)
    exact = wide - np.log(np.exp(wide - wide.max(1, keepdims=True)).sum(1, keepdims=True))
    exact -= wide.max(1, keepdims=True)
    u = 2.0**-24
    # x − max and − log Σ are rounded: a roundoff each of numbers up to |log p| and log 6.
    found = run(gl.log_softmax, executor, x)
    assert (np.abs(found - exact) <= u * (3 * np.abs(exact) + 8)).all()
    found = run(gl.softmax, executor, x)
    assert (np.abs(found / np.exp(exact) - 1) <= u * (3 * np.abs(exact) + 16)).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("target", [0.0, 1.0])
def test_binary_cross_entropy(target, executor, dtype):
    """Values and slopes to a few roundoffs from −80 to 80; 1.1e-7 at z = 16 with target 1."""
    z = points(-80, 80, dtype)
    y = np.full(z.shape, target, dtype)

    def loss(z, y):
        return nn.binary_cross_entropy_with_logits(z, y, reduction="none")

    side = 1 - 2 * target
    check(run(loss, executor, z, y), lambda z: softplus(side * z), z, FEW, dtype)
    slopes = run(gl.grad(lambda z, y: loss(z, y).sum()), executor, z, y)
    check(slopes, lambda z: side * sigmoid(side * z), z, SOME, dtype)
    np.testing.assert_allclose(run(loss, executor, np.float32([16]), np.float32([1])), 1.1253516e-7)
    by_target = run(gl.grad(lambda z, y: loss(z, y).sum(), 1), executor, z, y)
    np.testing.assert_array_equal(by_target, -z)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("mean", [0.0, 1e3, 1e6, -3e7])
def test_variances_beside_a_large_mean(mean, executor):
    """Exact numbers around a large mean: their deviations are computed as if it were 0."""
    x = np.float32(np.random.default_rng(0).integers(-8, 9, (1000, 3)) * 4 + mean)
    wide = x.astype(float)
    for function, exact in ((gl.var, wide.var(0)), (gl.std, wide.std(0))):
        found = run(lambda x, f=function: f(x, axis=0), executor, x)
        np.testing.assert_allclose(found, exact, rtol=2e-6)
    slopes = run(gl.grad(lambda x: gl.var(x, axis=0).sum()), executor, x)
    np.testing.assert_allclose(slopes, 2 * (wide - wide.mean(0)) / 1000, rtol=1e-4, atol=1e-7)
    equal = np.full((7, 2), np.float32(mean) + np.float32(0.1))
    np.testing.assert_array_equal(run(lambda x: gl.var(x, axis=0), executor, equal), 0)


# --- numbers whose squares leave the range --------------------------------------------------------

SCALES = {"float32": (1, 1e10, 1e13, 1e15, 1e18, 1e30, 1e36, 1e-10, 1e-15, 1e-18, 1e-30, 1e-36)}
SCALES["float64"] = (1, 1e116, 1e160, 1e300, 1e-135, 1e-160, 1e-300)


@pytest.mark.parametrize(
    ("dtype", "scale"), [(dtype, scale) for dtype in DTYPES for scale in SCALES[dtype]]
)
@pytest.mark.parametrize("executor", EXECUTORS)
def test_norms_of_any_size(executor, dtype, scale):
    x = (np.random.default_rng(0).normal(size=(4, 50)) * scale).astype(dtype)
    wide = x.astype(np.longdouble)
    eps = np.finfo(dtype).eps
    for axis in (None, 0, 1, (0, 1)):
        for keepdims in (False, True):
            exact = np.sqrt((wide**2).sum(axis, keepdims=True))
            found = run(lambda x, a=axis, k=keepdims: gl.norm(x, a, k), executor, x)
            shape = exact.shape if keepdims else exact.squeeze(axis).shape
            assert found.shape == shape
            np.testing.assert_allclose(found.ravel(), exact.ravel().astype(float), 64 * eps)
            slopes = run(gl.grad(lambda x, a=axis: gl.norm(x, a).sum()), executor, x)
            np.testing.assert_allclose(slopes, (wide / exact).astype(float), 64 * eps)
    found = run(lambda x: gl.std(x, axis=1), executor, x)
    np.testing.assert_allclose(found, wide.std(1).astype(float), 64 * eps)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_norms_at_the_ends(executor):
    for x, expected in (([0.0, 0.0], 0), ([np.inf, 1.0], np.inf), ([np.nan, 1.0], np.nan)):
        np.testing.assert_array_equal(run(gl.norm, executor, np.float32(x)), expected)
    zeros = np.zeros(3, np.float32)
    np.testing.assert_array_equal(run(gl.grad(gl.norm), executor, zeros), 0)
    assert run(gl.norm, executor, np.zeros((0,), np.float32)) == 0
    largest = np.float32([np.finfo(np.float32).max])
    np.testing.assert_array_equal(run(gl.norm, executor, largest), largest[0])
    smallest = np.float32([1.4e-45, 0])
    np.testing.assert_array_equal(run(gl.norm, executor, smallest), smallest[0])


@pytest.mark.parametrize("executor", ["eager", "native"])
@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1.0, 1e3, 1e30])
def test_the_second_derivatives_of_norms_of_any_size(scale, executor):
    """H = (I − uuᵀ)/‖x‖ for u = x/‖x‖."""
    x = np.float64([3.0, -4.0, 12.0]) * scale
    u = x / (13 * scale)
    found = run(gl.hessian(gl.norm), executor, x)
    np.testing.assert_allclose(found * scale, (np.eye(3) - np.outer(u, u)) / 13, atol=1e-15)
