"""Functions written with ops: the same as NumPy's over any axes, and right at their kinks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradlab as gl
from gradlab.errors import ArgumentError, ShapeError
from tests.graph.samples import shape

seeds = st.integers(0, 2**32 - 1)

REDUCTIONS = {
    "sum": np.sum,
    "mean": np.mean,
    "var": np.var,
    "std": np.std,
    "any": np.any,
    "all": np.all,
    "max": np.max,
    "min": np.min,
    "prod": np.prod,
    "logsumexp": lambda x, axis, keepdims: np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims)),
    "norm": lambda x, axis, keepdims: np.sqrt(np.sum(x**2, axis=axis, keepdims=keepdims)),
}


def random_axis(rng, ndim):
    """None, one axis or several, counted from either end."""
    kind = rng.integers(3)
    if kind == 0 or ndim == 0:
        return None
    chosen = [int(a) for a in rng.permutation(ndim)[: rng.integers(1, ndim + 1)]]
    chosen = [a - ndim if rng.random() < 0.5 else a for a in chosen]
    return chosen[0] if kind == 1 else tuple(chosen)


@pytest.mark.parametrize("name", REDUCTIONS)
@settings(max_examples=60)
@given(seed=seeds)
def test_reductions_as_numpy(name, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape(rng))
    if name in ("any", "all"):
        x = np.where(x > 0, x, 0)
    axis, keepdims = random_axis(rng, x.ndim), bool(rng.integers(2))
    taken = x.shape if axis is None else np.array(x.shape)[np.atleast_1d(axis)]
    if 0 in taken and name not in ("sum", "norm", "any", "all"):
        with pytest.raises(ShapeError, match="no elements"):
            getattr(gl, name)(x, axis, keepdims)
        return
    expected = REDUCTIONS[name](x, axis=axis, keepdims=keepdims)
    found = getattr(gl, name)(x, axis, keepdims)
    assert found.shape == np.shape(expected)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize(
    "function",
    [gl.prod, gl.var, gl.norm, lambda x: gl.norm(x, ord=1), lambda x: gl.norm(x, ord=np.inf)],
)
@pytest.mark.parametrize("size", [(), (1,), (5,), (2, 3), (3, 1, 2)])
def test_derivatives_of_composite_reductions(function, size):
    gl.check_grads(function, [np.random.default_rng(0).uniform(0.5, 2, size)])


@settings(max_examples=40)
@given(seed=seeds)
def test_functions_that_move_numbers_as_numpy(seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape(rng, int(rng.integers(1, 4))))
    axis = int(rng.integers(-x.ndim, x.ndim))

    def same(found, expected):
        np.testing.assert_array_equal(found, expected, strict=True)

    same(gl.cumsum(x, axis), np.cumsum(x, axis))
    same(gl.stack([x, 2 * x], axis), np.stack([x, 2 * x], axis))
    same(gl.concat([x, 2 * x], axis), np.concatenate([x, 2 * x], axis))
    same(gl.expand_dims(x, axis), np.expand_dims(x, axis))
    same(gl.squeeze(gl.expand_dims(x, (0, -1)), (0, -1)), x)
    same(gl.tensor(x).squeeze(), np.squeeze(x))
    same(gl.tensor(x).T, x.T)
    same(
        gl.reshape(x, -1) if x.size else gl.reshape(x, (0,)), x.reshape(-1) if x.size else x.ravel()
    )
    same(gl.flatten(x, 1), x.reshape(x.shape[0], int(np.prod(x.shape[1:]))))
    cut = int(rng.integers(x.shape[axis] + 1))
    parts = gl.split(x, [cut, x.shape[axis] - cut], axis)
    for part, expected in zip(parts, np.split(x, [cut], axis), strict=True):
        same(part, expected)
    if x.ndim > 1:
        same(gl.tensor(x).mT, np.swapaxes(x, -1, -2))


SPECIAL = np.array(
    [-np.inf, -2.5, -1.5, -1.0, -0.5, -0.0, 0.0, 0.5, 1.2, 2.5, 1e30, np.inf, np.nan]
)


@pytest.mark.parametrize("name", ["ceil", "floor", "trunc", "round", "isnan", "isinf"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rounding_and_tests_of_numbers_as_numpy(name, dtype):
    x = SPECIAL.astype(dtype)
    found, expected = getattr(gl, name)(x).numpy(), getattr(np, name)(x)
    np.testing.assert_array_equal(found, expected, strict=True)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))
    whole = np.array([-3, 0, 2])
    np.testing.assert_array_equal(getattr(gl, name)(whole), getattr(np, name)(whole), strict=True)
    if expected.dtype != bool:
        (slope,) = gl.vjp(getattr(gl, name), x)[1](np.ones_like(x))
        np.testing.assert_array_equal(slope, np.zeros_like(x))


@given(seed=seeds)
def test_whole_quotients_and_remainders_as_python(seed):
    rng = np.random.default_rng(seed)
    numbers = rng.integers(-20, 20, 8), rng.choice([-7, -3, 2, 5], 8)
    for x, y in (numbers, tuple(n / 4 for n in numbers)):
        np.testing.assert_array_equal(gl.tensor(x) // y, x // y, strict=True)
        np.testing.assert_array_equal(x % gl.tensor(y), x % y, strict=True)
    assert (gl.tensor(7) // 2).item() == 3
    assert (7 % gl.tensor(4)).item() == 3
    assert (1 // gl.tensor(0.1, "float64")).item() == 1 // 0.1


def test_tensors_made_from_a_shape():
    for ours, theirs in ((gl.zeros, np.zeros), (gl.ones, np.ones)):
        for size in (3, (2, 3), (), (0, 2)):
            np.testing.assert_array_equal(ours(size), theirs(size, np.float32), strict=True)
        assert ours(2, "int64").dtype == np.int64
        with pytest.raises(ShapeError, match="0 or more"):
            ours((2, -1))
    np.testing.assert_array_equal(gl.full((2, 1), 0.5), np.float32([[0.5], [0.5]]), strict=True)
    assert gl.full(2, 7).dtype == np.int64
    assert gl.full(2, np.float64(7)).dtype == np.float64
    assert gl.full(2, 7, "float32").dtype == np.float32
    assert not gl.full((), 1.0).weak
    np.testing.assert_array_equal(gl.compile(lambda x: gl.full(2, x))(3.0), [3, 3])
    assert gl.grad(lambda x: gl.full(3, x).sum())(2.0).item() == 3
    for bounds in ((5,), (2, 5), (5, 2, -1), (0, 1, 0.25), (0.0, 3.0)):
        expected = np.arange(*bounds)
        np.testing.assert_array_equal(gl.arange(*bounds), expected)
        assert gl.arange(*bounds).dtype == ("float32" if expected.dtype.kind == "f" else "int64")
    assert gl.arange(3, dtype="float64").dtype == np.float64
    with pytest.raises(ArgumentError, match="other than 0"):
        gl.arange(0, 3, 0)


SLOPES_AT_KINKS = [
    (lambda x: gl.clip(x, -1, 1), [-1.0, 1.0], [1, 1]),  # at the bounds it is the identity
    (lambda x: gl.clip(x, -1, 1), [-1.1, 1.1], [0, 0]),
    (gl.leaky_relu, [0.0, -0.0], [0.01, 0.01]),
    (lambda x: gl.elu(x, 0.5), [0.0], [0.5]),
    (gl.relu, [0.0, -0.0], [0, 0]),
    (gl.norm, [0.0, 0.0], [0, 0]),
    (lambda x: gl.norm(x, ord=1), [0.0, 2.0], [0, 1]),
    (lambda x: gl.norm(x, ord=np.inf), [2.0, -2.0], [0.5, -0.5]),
    (gl.sort, [1.0, 1.0], [10, 1]),
]


@pytest.mark.parametrize(("function", "x", "slope"), SLOPES_AT_KINKS)
def test_slopes_at_the_kinks_of_composite_functions(function, x, slope):
    weights = [10.0, 1.0] if function is gl.sort else 1.0
    found = gl.grad(lambda x: (function(x) * weights).sum())(np.array(x))
    np.testing.assert_array_equal(found, slope)


def test_clip_by_tensors():
    """At a bound the adjoint is x's; outside, the bound's."""
    x, low = np.array([-2.0, 0.0, 1.0]), np.array(0.0)
    by_x, by_low = gl.grad(lambda x, low: gl.clip(x, low).sum(), (0, 1))(x, low)
    np.testing.assert_array_equal(by_x, [0, 1, 1])
    np.testing.assert_array_equal(by_low, 1)
    np.testing.assert_array_equal(gl.clip(np.array([np.nan, 5.0]), 0, 1), [np.nan, 1])


def test_second_derivatives_at_kinks_are_finite():
    cases = [
        (lambda x: gl.norm(x), np.zeros(2)),
        (lambda x: gl.sqrt(x).sum(), np.zeros(2)),
        (lambda x: gl.max(x), np.ones(3)),
        (lambda x: (x**3).sum(), np.zeros(2)),
        (lambda x: (x**1).sum(), np.zeros(2)),
        (lambda x: gl.pow(x, np.array([0.0, 1.0])).sum(), np.zeros(2)),
        (lambda x: gl.relu(x).sum(), np.zeros(2)),
        (lambda x: gl.elu(x).sum(), np.array([0.0, 1e4])),
        (lambda x: gl.softplus(x).sum(), np.array([-1e4, 1e4])),
    ]
    for function, x in cases:
        assert np.isfinite(gl.hessian(function)(x).numpy()).all()


def test_ties_share_the_adjoint_to_second_order():
    """max(x)² has the gradient 2 max(x) · share, so that its Hessian is 2 share shareᵀ."""
    share = np.array([0.5, 0.0, 0.5])
    hessian = gl.hessian(lambda x: gl.max(x) ** 2)(np.array([2.0, 1.0, 2.0]))
    np.testing.assert_allclose(hessian, 2 * np.outer(share, share))


def test_a_branch_not_taken_leaves_no_nan():
    x = np.array([0.0, 4.0])
    _, pullback = gl.vjp(lambda a, b: gl.where(x > 0, a, b), np.ones(2), np.ones(2))
    np.testing.assert_array_equal(pullback([np.nan, 1.0])[0], [0, 1])
    np.testing.assert_array_equal(pullback([1.0, np.nan])[1], [1, 0])
    safe = gl.grad(lambda x: gl.where(x > 0, gl.log(gl.where(x > 0, x, 1.0)), 0).sum())
    np.testing.assert_array_equal(safe(x), [0, 0.25])
    np.testing.assert_array_equal(gl.grad(lambda x: gl.where(x > 0, x, np.nan).sum())(x), [0, 1])


def test_stable_forms():
    x = np.array([-1e4, 1e4])
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        np.testing.assert_array_equal(gl.softplus(x), [0, 1e4])
        np.testing.assert_array_equal(gl.log_softmax(x), [-2e4, 0])
        np.testing.assert_array_equal(gl.softmax(x), [0, 1])
        np.testing.assert_array_equal(gl.logsumexp(x), 1e4)
    with np.errstate(divide="ignore"):
        assert gl.logsumexp([-np.inf, -np.inf]).item() == -np.inf
    assert gl.logsumexp([np.inf, 0.0]).item() == np.inf
    # near 1 the slope of asin needs 1 − |x| in full precision
    x = np.float32(1) - np.geomspace(1e-5, 1e-1, 20).astype(np.float32)
    slopes = gl.grad(lambda x: gl.asin(x).sum())(x)
    np.testing.assert_allclose(slopes, 1 / np.sqrt(1 - x.astype(float) ** 2), rtol=4e-7)


@pytest.mark.parametrize(("function", "sign"), [(gl.asin, 1), (gl.acos, -1)])
def test_second_derivatives_of_arcs_at_the_ends(function, sign):
    """±x/(1 − x²)^(3/2): infinite at ±1, with the sign of the limit."""
    with np.errstate(divide="ignore"):
        for x in (1.0, -1.0):
            assert gl.hessian(function)(x).item() == sign * x * np.inf


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        (lambda x: gl.sum(x, 2), ShapeError, "axis 2 is out of range for 2 axes"),
        (lambda x: gl.sum(x, (0, -2)), ShapeError, "twice"),
        (lambda x: gl.max(x[:0]), ShapeError, "no elements"),
        (lambda x: gl.mean(x[:0]), ShapeError, "no elements"),
        (lambda x: gl.softmax(x[:, :0]), ShapeError, "no elements"),
        (lambda x: gl.var(x[:1], 0, correction=1), ArgumentError, "needs more than 1 elements"),
        (lambda x: gl.norm(x, ord=3), ArgumentError, "1, 2 and inf"),
        (lambda x: gl.reshape(x, (4, 2)), ShapeError, r"\(2, 3\) \(6 elements\) to \(4, 2\)"),
        (lambda x: gl.reshape(x, (-2, -3)), ShapeError, "cannot reshape"),
        (lambda x: gl.reshape(x, (-1, -1)), ShapeError, "cannot reshape"),
        (lambda x: gl.permute_dims(x, (0,)), ShapeError, "each of the 2 axes once"),
        (lambda x: gl.permute_dims(x, (0, 0)), ShapeError, "twice"),
        (lambda x: gl.broadcast_to(x, (3, 3)), ShapeError, "broadcast"),
        (lambda x: gl.matrix_transpose(x[0]), ShapeError, "at least 2 axes"),
        (lambda x: gl.squeeze(x, 0), ShapeError, "length is not 1"),
        (lambda x: gl.concat([x, x[0]]), ShapeError, "cannot concatenate"),
        (lambda x: gl.concat([x, x[:, :2]]), ShapeError, "cannot concatenate"),
        (lambda x: gl.concat([]), ShapeError, "nothing to join"),
        (lambda x: gl.split(x, 2, 1), ShapeError, "cannot split length 3 into 2"),
        (lambda x: gl.split(x, 0), ShapeError, "cannot split"),
        (lambda x: gl.pad(x, ((1, 1),)), ShapeError, "for each axis"),
        (lambda x: gl.take_along_axis(x, [0]), ShapeError, "must have the axes"),
        (lambda x: x + np.ones(2), ShapeError, "do not broadcast"),
        (lambda x: gl.where(x > 0, x, np.ones(2)), ShapeError, "do not broadcast"),
    ],
)
def test_one_clear_line_eager_and_traced(wrong, error, says):
    for attempt in (
        lambda: wrong(gl.tensor(np.ones((2, 3)))),
        lambda: gl.trace(wrong, gl.Spec((2, 3))),
    ):
        with pytest.raises(error, match=says) as caught:
            attempt()
        assert "\n" not in str(caught.value)
