"""Sums of many terms are within a few roundings of the exact ones, on every executor."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradlab as gl
from gradlab import nn
from gradlab.execute.native import NativeProgram, compiler
from gradlab.graph import Spec, trace
from gradlab.graph.summation import BLOCK, block_sum

EXECUTORS = ["eager", "numpy", "native"]
# A level adds at most 128 terms one after another. The error of each step is at most 2⁻²⁴ of what
# has been added up by then, which is half of the sum on average.
BOUND = 2 * BLOCK * 2.0**-24 / 2
SHAPES = {
    (10**6,): [(0,)],
    (10**5, 4): [(0,), (1,), (0, 1)],
    (4, 10**5): [(0,), (1,), (0, 1)],
    (10**5, 1): [(0,)],
    (3000, 130): [(0,), (1,), (0, 1)],
    (70, 70, 70): [axes for n in (1, 2, 3) for axes in itertools.combinations(range(3), n)],
    (2, 10**5, 3): [(1,), (0, 1), (1, 2)],
    (129, 5): [(0,)],
}


def run(function, executor, *arrays):
    if executor == "eager":
        return function(*arrays).numpy()
    return gl.compile(function, executor=executor)(*arrays).numpy()


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(
    ("shape", "axis"), [(shape, axis) for shape, axes in SHAPES.items() for axis in axes]
)
def test_sums_and_means_of_many_terms(shape, axis, executor):
    rng = np.random.default_rng(0)
    for x in (np.full(shape, 0.1), rng.random(shape), rng.normal(size=shape)):
        x = x.astype(np.float32)
        exact, scale = x.astype(np.float64).sum(axis), np.abs(x.astype(np.float64)).sum(axis)
        count = math.prod(shape[i] for i in axis)
        total = run(lambda x: gl.sum(x, axis), executor, x)
        mean = run(lambda x: gl.mean(x, axis), executor, x)
        assert total.dtype == np.float32
        assert (np.abs(total - exact) <= BOUND * scale).all()
        assert (np.abs(mean - exact / count) <= (BOUND + 2.0**-23) * scale / count).all()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_what_is_built_of_sums(executor):
    """Variances, norms, softmax, losses and batch statistics over many rows."""
    rng = np.random.default_rng(1)
    x = rng.random((10**5, 4)).astype(np.float32) + 1
    exact = x.astype(np.float64)

    def close(function, expected):
        np.testing.assert_allclose(run(function, executor, x), expected, rtol=4e-6)

    close(lambda x: gl.var(x, 0), exact.var(0))
    close(lambda x: gl.norm(x, 0), np.sqrt((exact**2).sum(0)))
    close(lambda x: gl.norm(x), np.sqrt((exact**2).sum()))
    close(lambda x: gl.logsumexp(x, 0), np.log(np.exp(exact).sum(0)))
    close(lambda x: gl.softmax(x, 0)[:3], (np.exp(exact) / np.exp(exact).sum(0))[:3])
    close(lambda x: nn.mse_loss(x, gl.zeros_like(x)), (exact**2).mean())
    close(lambda x: nn.huber_loss(x, gl.zeros_like(x)), (exact - 0.5).mean())
    labels = rng.integers(0, 4, len(x))
    odds = np.log(np.exp(exact).sum(1)) - exact[np.arange(len(x)), labels]
    close(lambda x: nn.cross_entropy(x, labels), odds.mean())
    layer = nn.BatchNorm1d(4, affine=False)
    layer(x)
    np.testing.assert_allclose(layer.running_mean.numpy(), 0.1 * exact.mean(0), rtol=4e-6)
    bias = gl.Variable(np.zeros(4, np.float32))

    def gradient(x):
        return gl.grad(lambda b: ((x + b) * x).sum())(bias.read())

    close(gradient, exact.sum(0))


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from([1, 2, 5, 64, 65, 128, 129, 200, 400]), min_size=1, max_size=3),
    st.data(),
)
def test_any_axes_of_any_layout(shape, data):
    """The same sums in whatever order the elements lie, and the shape is NumPy's."""
    while math.prod(shape) > 2_000_000:
        shape = shape[:-1]
    axis = tuple(data.draw(st.sets(st.sampled_from(range(len(shape))), min_size=1)))
    turned = data.draw(st.permutations(range(len(shape))))
    x = np.arange(math.prod(shape), dtype=np.float32).reshape(shape) % 7
    x = np.ascontiguousarray(x.transpose(turned)).transpose(np.argsort(turned))
    for keepdims in (False, True):
        expected = x.astype(np.int64).sum(axis, keepdims=keepdims)
        found = block_sum(np, x, tuple(sorted(axis)), keepdims)
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == np.float32
        assert np.shape(found) == expected.shape


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((5000, 3), (0,)),
        ((3, 5000), (0, 1)),
        ((900, 900), (0,)),
        ((40, 60, 50), (0, 2)),
        ((2000, 7, 3), (0, 1)),
    ],
)
def test_blocks_in_machine_code_beside_other_reductions(shape, axis, threads, monkeypatch):
    """Whole numbers, whose sums are exact in any order; guarded, fused, divided among threads."""
    monkeypatch.setattr(compiler, "WORTH_SHARING", 0)
    x = np.random.default_rng(2).integers(-8, 9, shape).astype(np.float32)

    def function(x):
        y = x * 2 + 1
        return gl.sum(y, axis), gl.max(y, axis), gl.sum(y), y, gl.min(y), gl.sum(y * y, 0)

    ready = NativeProgram(trace(function, Spec(shape)), threads=threads, guard=True)
    y = x * 2 + 1
    expected = [y.sum(axis), y.max(axis), y.sum(), y, y.min(), (y * y).sum(0)]
    for _ in range(2):
        for found, right in zip(ready.run([x], [])[0], expected, strict=True):
            np.testing.assert_array_equal(found, right)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_stays_so(executor, value):
    x = np.ones((500, 3), np.float32)
    x[300, 1] = value
    total = run(lambda x: gl.sum(x, 0), executor, x)
    np.testing.assert_array_equal(total, [500, value, 500])
    np.testing.assert_array_equal(run(gl.sum, executor, x), np.float32(value))


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(("shape", "axis"), [((10**6,), 0), ((10**5, 3), 0), ((3, 10**5), 1)])
def test_running_sums_of_many_terms(shape, axis, executor):
    """Each is the exact one, rounded: totals are kept in float64."""
    rng = np.random.default_rng(2)
    for x in (np.full(shape, 0.1), rng.random(shape)):
        x = x.astype(np.float32)
        exact = np.cumsum(x.astype(np.float64), axis)
        found = run(lambda x: gl.cumsum(x, axis), executor, x)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, exact, rtol=2.0**-23)
