"""Indexing against NumPy, and its adjoint: adding back where it was picked."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradlab as gl
from gradlab.errors import DTypeError, ShapeError, TraceError
from tests.graph.samples import key, shape

seeds = st.integers(0, 2**32 - 1)


def array_and_key(seed):
    rng = np.random.default_rng(seed)
    size = shape(rng)
    return rng, rng.standard_normal(size), key(rng, size)


@settings(max_examples=500)
@given(seed=seeds)
def test_same_elements_as_numpy(seed):
    _, x, picked = array_and_key(seed)
    np.testing.assert_array_equal(gl.tensor(x)[picked], x[picked], strict=True)


@settings(max_examples=300)
@given(seed=seeds)
def test_adding_back_is_the_adjoint(seed):
    """⟨x[key], g⟩ = ⟨x, index_add(key, g)⟩, also where an index comes twice."""
    rng, x, picked = array_and_key(seed)
    g = rng.standard_normal(x[picked].shape)
    back = gl.index_add(x.shape, picked, g).numpy()
    expected = np.zeros(x.shape)
    np.add.at(expected, picked, g)
    np.testing.assert_allclose(back, expected, rtol=1e-12, strict=True)
    np.testing.assert_allclose((x[picked] * g).sum(), (x * back).sum(), atol=1e-12)
    _, pullback = gl.vjp(lambda x: x[picked], x)
    np.testing.assert_array_equal(pullback(g)[0], back, strict=True)


@pytest.mark.parametrize(
    "picked",
    [
        (slice(None), [0, 1], slice(None), [1, 2]),  # apart: their axis comes first
        (slice(None), [0, 1], [1, 2]),  # side by side: it stays in place
        (0, slice(None), [1, 2]),  # a whole number counts as an array beside one
        (slice(None), [0, 1], ..., [1, 2]),
        ([[0], [1]], slice(None), [1, 2]),
        (slice(None), [0, 1], None, [1, 2]),
        (..., [0, 1], slice(None, None, -2)),
        (),
        ...,
        None,
        np.int64(1),
        np.array(1),
    ],
)
def test_where_the_axes_of_index_arrays_go(picked):
    x = np.arange(120.0).reshape(2, 3, 4, 5)
    np.testing.assert_array_equal(gl.tensor(x)[picked], x[picked], strict=True)


def test_dots_that_stand_for_no_axis_still_part_index_arrays():
    x = np.arange(24.0).reshape(4, 3, 2)
    picked = (slice(None), [0, 1, 2], ..., [0, 1, 1])
    np.testing.assert_array_equal(gl.tensor(x)[picked], x[picked], strict=True)


def test_an_index_may_be_a_traced_tensor():
    compiled = gl.compile(lambda x, rows: x[rows, 1:])
    x = np.arange(12.0).reshape(4, 3)
    np.testing.assert_array_equal(compiled(x, np.array([3, 3, -4])), x[[3, 3, -4], 1:])


def test_elements_picked_twice_get_both_adjoints():
    g = gl.grad(lambda x: (x[[0, 0, 2]] * np.array([1.0, 10.0, 100.0])).sum())(np.ones(3))
    np.testing.assert_array_equal(g, [11, 0, 100])


def test_tensors_can_be_walked_over():
    rows = list(gl.tensor([[1.0, 2.0], [3.0, 4.0]]))
    assert [row.numpy().tolist() for row in rows] == [[1, 2], [3, 4]]
    with pytest.raises(ShapeError, match="item"):
        len(gl.tensor(1.0))


@pytest.mark.parametrize(
    ("picked", "error", "says"),
    [
        ((0, 0, 0), ShapeError, "too many"),
        (7, ShapeError, "out of bounds"),
        ([0, 9], ShapeError, "out of bounds"),
        (([0, 1], [0, 1, 2]), ShapeError, "shape"),
        (np.array([True, False, True]), ShapeError, r"mask of shape \(3,\) does not fit"),
        (np.ones((2, 2), bool), ShapeError, r"lengths \(2, 3\)"),
        ((0, np.ones((2, 3), bool)), ShapeError, "from axis 1 on"),
        (True, DTypeError, "a mask with axes"),
        ([0.5], DTypeError, "whole numbers"),
    ],
)
def test_keys_that_do_not_fit(picked, error, says):
    with pytest.raises(error, match=says):
        gl.index(np.ones((2, 3)), picked)


def test_an_index_out_of_range_names_the_tensor():
    table = gl.Variable(np.ones((5, 3)), name="table")
    for pick in (lambda i: gl.take(table, i), lambda i: table[i]):
        with pytest.raises(ShapeError, match=r"'table' of shape \(5, 3\): index 7 .* size 5"):
            pick([1, 7])


def test_adding_at_an_index_that_does_not_fit():
    with pytest.raises(ShapeError, match="cannot add"):
        gl.index_add((3,), [0, 1], [1.0, 2.0, 3.0])
    with pytest.raises(ShapeError, match="broadcast"):
        gl.trace(lambda v: gl.index_add((3,), [0, 1], v), gl.Spec((3,)))
    with pytest.raises(TraceError):
        gl.trace(lambda n: gl.ones_like(np.ones(3))[:n], gl.Spec((), np.int64))


@settings(max_examples=60)
@given(seed=seeds, descending=st.booleans())
def test_take_along_axis_and_order_as_numpy(seed, descending):
    rng = np.random.default_rng(seed)
    size = shape(rng, int(rng.integers(1, 4)), low=1)
    axis = int(rng.integers(-len(size), len(size)))
    x = rng.integers(0, 3, size).astype(float)  # ties on purpose
    x = -x if descending else x
    order = np.argsort(x, axis, stable=True)
    np.testing.assert_array_equal(gl.argsort(x, axis), order, strict=True)
    np.testing.assert_array_equal(gl.sort(x, axis), np.sort(x, axis), strict=True)
    np.testing.assert_array_equal(gl.argmax(x, axis), np.argmax(x, axis), strict=True)
    np.testing.assert_array_equal(gl.argmin(x, axis), np.argmin(x, axis), strict=True)
    np.testing.assert_array_equal(gl.argmax(x), np.argmax(x))
    np.testing.assert_array_equal(gl.argmin(x), np.argmin(x))
    np.testing.assert_array_equal(
        gl.take_along_axis(x, order, axis), np.take_along_axis(x, order, axis), strict=True
    )
    np.testing.assert_array_equal(gl.take(x, [0, -1], axis), np.take(x, [0, -1], axis))


def test_order_of_nan_and_of_numbers_that_cannot_be_negated():
    x = np.array([2.0, np.nan, 1.0, np.nan])
    for name in ("argsort", "argmax", "argmin", "sort"):
        np.testing.assert_array_equal(getattr(gl, name)(x), getattr(np, name)(x))
    for x in (
        np.array([3, 0, 5], np.uint32),
        np.array([True, False]),
        np.array([0, -(2**63)]),
        np.array([2**63, 1], np.uint64),
    ):
        np.testing.assert_array_equal(gl.argmin(x), np.argmin(x))


def test_order_of_nothing():
    for function in (gl.argmax, gl.argmin):
        with pytest.raises(ShapeError, match=f"{function.__name__} over .* no elements"):
            function(np.ones((2, 0)), 1)
    assert gl.argmax(np.ones((0, 2)), 1).shape == (0,)
    assert gl.sort(np.ones((2, 0))).shape == (2, 0)


@settings(max_examples=60)
@given(seed=seeds)
def test_pad_roll_flip_one_hot_as_numpy(seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape(rng, int(rng.integers(1, 4))))
    axis = int(rng.integers(-x.ndim, x.ndim))
    widths = tuple((int(a), int(b)) for a, b in rng.integers(0, 3, (x.ndim, 2)))
    for value in (0.0, -1.5, np.inf):
        padded = np.pad(x, widths, constant_values=value)
        np.testing.assert_array_equal(gl.pad(x, widths, value), padded, strict=True)
    shift = int(rng.integers(-7, 8))
    np.testing.assert_array_equal(gl.roll(x, shift, axis), np.roll(x, shift, axis), strict=True)
    np.testing.assert_array_equal(gl.flip(x, axis), np.flip(x, axis), strict=True)
    whole = rng.integers(0, 9, x.shape)
    np.testing.assert_array_equal(gl.pad(whole, widths), np.pad(whole, widths), strict=True)
    labels = rng.integers(0, 5, shape(rng))
    np.testing.assert_array_equal(gl.one_hot(labels, 5), np.eye(5, dtype=np.float32)[labels])


def test_padding_whole_numbers_with_a_fraction_makes_floats():
    np.testing.assert_array_equal(gl.pad([1, 2], ((1, 0),), 0.5), np.float32([0.5, 1, 2]))
    assert gl.pad([1, 2], ((1, 0),), 3).dtype == np.int64
    padded = gl.compile(lambda x, value: gl.pad(x, ((0, 1),), value))(np.ones(1), 7.0)
    np.testing.assert_array_equal(padded, [1, 7])


@settings(max_examples=60)
@given(seed=seeds)
def test_tile_repeat_and_triangles_as_numpy(seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape(rng))
    counts = tuple(int(n) for n in rng.integers(0, 4, int(rng.integers(1, 5))))
    np.testing.assert_array_equal(gl.tile(x, counts), np.tile(x, counts), strict=True)
    np.testing.assert_array_equal(gl.tile(x, 2), np.tile(x, 2), strict=True)
    np.testing.assert_array_equal(gl.repeat(x, 3), np.repeat(x, 3), strict=True)
    for axis, length in enumerate(x.shape):
        times = rng.integers(0, 4, length)
        expected = np.repeat(x, times, axis)
        np.testing.assert_array_equal(gl.repeat(x, times, axis), expected, strict=True)
    if x.ndim > 1:
        k = int(rng.integers(-4, 5))
        np.testing.assert_array_equal(gl.tril(x, k), np.tril(x, k), strict=True)
        np.testing.assert_array_equal(gl.triu(x, k), np.triu(x, k), strict=True)


def test_triangles_keep_the_dtype():
    assert gl.tril(np.ones((2, 2), np.uint8)).dtype == np.uint8
    assert gl.triu(np.ones((2, 2), bool)).dtype == np.bool_
    with pytest.raises(ShapeError, match="2 axes"):
        gl.tril([1.0])
    with pytest.raises(ShapeError, match="cannot repeat length 2"):
        gl.repeat([1, 2], [1, 2, 3], 0)


def test_labels_outside_are_rows_of_zeros():
    np.testing.assert_array_equal(gl.one_hot([-1, 5], 5), np.zeros((2, 5)))
    with pytest.raises(DTypeError, match="whole numbers"):
        gl.one_hot([1.0], 5)
