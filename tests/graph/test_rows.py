"""Every row of the table: shapes, dtypes, values, derivatives, kinks, and the same when traced."""

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st

import gradlab as gl
from gradlab.graph import OPS, Spec, apply, as_tensor, trace
from tests.graph.samples import ROWS, SAMPLERS, Sample, draw, extremes

ELEMENTWISE = [name for name in ROWS if OPS[name].domain]
seeds = st.integers(0, 2**32 - 1)


def inputs_with_rule(op, inputs):
    return [i for i, x in enumerate(inputs) if op.vjps[i] is not None and x.dtype.kind == "f"]


def has_rule(name):
    return bool(inputs_with_rule(OPS[name], draw(OPS[name], np.random.default_rng(0), float)[0]))


DIFFERENTIABLE = [name for name in ROWS if has_rule(name)]


def applied(op, inputs, params):
    with np.errstate(all="ignore"):
        return apply(op, tuple(as_tensor(x) for x in inputs), params)


def same_bits(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def test_every_row_has_a_sampler():
    assert {name for name in ROWS if not OPS[name].domain} == set(SAMPLERS)


@pytest.mark.parametrize("name", ROWS)
def test_every_row_says_what_it_is(name):
    op = OPS[name]
    assert op.name == name
    assert op.formula
    if op.domain:
        rules = [op.vjps[i] for i in range(len(op.domain))]
        texts = op.derivatives or ("",) * len(rules)
        assert [rule is None for rule in rules] == [text == "" for text in texts]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ROWS)
@settings(max_examples=25)
@given(seed=seeds)
def test_shape_and_dtype_are_inferred(name, dtype, seed):
    op = OPS[name]
    inputs, params = draw(op, np.random.default_rng(seed), dtype)
    tensors = tuple(as_tensor(x) for x in inputs)
    y = applied(op, inputs, params)
    assert op.infer(*tensors, **params) == (y.shape, y.dtype)
    graph = trace(lambda *xs: apply(op, xs, params), *[Spec(x.shape, x.dtype) for x in inputs])
    (symbol,) = graph.outputs
    assert (symbol.shape, symbol.dtype) == (y.shape, y.dtype)
    (again,), _ = gl.execute.program(graph, "numpy").run(inputs, [])
    assert same_bits(again, y.value)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", DIFFERENTIABLE)
@settings(max_examples=10)
@given(seed=seeds)
def test_gradients_have_the_shape_and_dtype_of_their_input(name, dtype, seed):
    op = OPS[name]
    inputs, params = draw(op, np.random.default_rng(seed), dtype)
    tensors = [as_tensor(x) for x in inputs]
    sources = [tensors[i] for i in inputs_with_rule(op, inputs)]
    with gl.GradientTape() as tape:
        tape.watch(sources)
        y = apply(op, tuple(tensors), params)
    for x, g in zip(sources, tape.gradient(y, sources), strict=True):
        assert (g.shape, g.dtype) == (x.shape, x.dtype)


@pytest.mark.parametrize("name", [name for name in DIFFERENTIABLE if name != "astype"])
@settings(max_examples=15)
@given(seed=seeds)
def test_derivatives_to_second_order(name, seed):
    op = OPS[name]
    inputs, params = draw(op, np.random.default_rng(seed), np.float64)
    places = inputs_with_rule(op, inputs)

    def function(*floats):
        full = list(inputs)
        for place, x in zip(places, floats, strict=True):
            full[place] = x
        return apply(op, tuple(as_tensor(x) for x in full), params)

    gl.check_grads(function, [inputs[place] for place in places], seed=seed)


def test_the_derivative_of_a_cast_is_a_cast():
    x = gl.tensor([0.1, 0.2], "float64")
    g = gl.grad(lambda x: (gl.astype(x, "float32") ** 2).sum())(x)
    assert g.dtype == np.float64
    np.testing.assert_array_equal(g, 2 * np.asarray(x, np.float32))


REFERENCE = {
    "acos": np.arccos,
    "asin": np.arcsin,
    "atan": np.arctan,
    "erf": scipy.special.erf,
    "erfc": scipy.special.erfc,
    # e^(−|x|)-free where it overflows: 1/cosh, which is 0 there
    "sech": lambda x: 1 / np.cosh(x),
    "relu": lambda x: np.where(x <= 0, np.zeros_like(x), x),
    # (1 + tanh(x/2))/2 and |x|-split forms, independent of the row's own
    "sigmoid": lambda x: 0.5 + 0.5 * np.tanh(x / 2),
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
    "where": lambda c, x, y: np.choose(c.astype(bool), (y, x)),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_values_at_the_extremes(name, dtype):
    inputs = extremes(OPS[name], dtype)
    function = getattr(gl, name)
    reference = REFERENCE.get(name) or getattr(np, name)
    with np.errstate(all="ignore"):  # NumPy's own warnings; any other one is an error
        found, expected = function(*inputs).numpy(), reference(*inputs)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=8 * np.finfo(dtype).eps)


@pytest.mark.parametrize("name", [name for name in ROWS if OPS[name].kinks])
def test_subgradients_at_the_kinks(name):
    function = getattr(gl, name)
    for kink in OPS[name].kinks:
        numbers = tuple(range(len(kink.at)))
        point = [gl.tensor(x, "float64") for x in kink.at]
        found = gl.grad(lambda *xs: function(*xs).sum(), numbers)(*point)
        for g, expected in zip(found, kink.gradient, strict=True):
            np.testing.assert_array_equal(g, expected)


def test_a_root_has_one_subgradient_however_its_exponent_is_written():
    """0 at x = 0 < y < 1, whether y is a Python number, a tensor or an argument of a program."""
    slope = gl.grad(gl.pow)
    compiled = gl.compile(lambda x, y: slope(x, y))
    for y in (0.5, 0.25):
        with np.errstate(divide="ignore"):
            found = [slope(0.0, y), slope(0.0, gl.tensor(y)), compiled(0.0, y)]
        assert [g.item() for g in found] == [0, 0, 0]
    curvature = gl.hessian(lambda x: gl.pow(x, gl.tensor(0.25)))
    assert np.isfinite(curvature(0.0).item())


def test_a_sample_is_reproducible():
    first, second = (draw(OPS["index"], np.random.default_rng(3), np.float32) for _ in range(2))
    assert isinstance(first, Sample)
    assert repr(first) == repr(second)
