"""Metrics against scikit-learn, and where it has nothing to say."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sklearn

from gradlab.errors import ArgumentError, ShapeError
from gradlab.train import accuracy, mean_squared_error, metrics, r_squared, top_k


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_classification_as_scikit_learn(rng, dtype):
    logits = rng.permuted(np.tile(np.arange(7), (200, 1)), axis=1).astype(dtype)  # no ties
    y = rng.integers(0, 7, 200)
    assert accuracy(logits, y) == sklearn.accuracy_score(y, logits.argmax(axis=1))
    for k in range(1, 7):
        expected = sklearn.top_k_accuracy_score(y, logits, k=k, labels=range(7))
        assert top_k(logits, y, k) == pytest.approx(expected)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_regression_as_scikit_learn(rng, dtype):
    predictions, y = rng.normal(size=(2, 50, 3)).astype(dtype)
    y += predictions
    assert mean_squared_error(predictions, y) == pytest.approx(
        sklearn.mean_squared_error(y.astype(float), predictions.astype(float))
    )
    assert r_squared(predictions, y) == pytest.approx(
        sklearn.r2_score(y.astype(float), predictions.astype(float))
    )


@given(st.floats(-1e3, 1e3), st.floats(0.1, 1e3))
def test_r_squared_does_not_depend_on_units(shift, scale):
    y, predictions = np.random.default_rng(0).normal(size=(2, 20, 1))
    assert r_squared(scale * predictions + shift, scale * y + shift) == pytest.approx(
        r_squared(predictions, y), rel=1e-6
    )


def test_large_half_precision_errors_do_not_overflow():
    y = np.full((2, 1), 6e4, np.float16)
    assert mean_squared_error(-y, y) == pytest.approx((2 * 6e4) ** 2, rel=1e-3)


def test_one_column_of_logits_is_binary():
    logits = np.array([[-1.0], [2.0], [3.0], [np.nan]])
    assert accuracy(logits, np.array([0, 1, 0, 0])) == 0.5
    assert accuracy(logits, np.array([[-1], [1], [-1], [1]])) == 0.5
    assert accuracy(logits[:, 0], np.array([0, 1, 1, 1])) == 0.75


def test_what_is_not_a_number_is_wrong():
    logits = np.array([[np.nan, np.nan], [1.0, np.nan], [0.0, 1.0]])
    assert accuracy(logits, np.array([0, 1, 1])) == pytest.approx(1 / 3)
    assert top_k(logits, np.array([0, 1, 1]), k=2) == pytest.approx(1 / 3)
    assert math.isnan(mean_squared_error(logits, logits))


def test_constant_targets():
    y = np.array([[1.0, 2.0], [1.0, 3.0]])
    assert r_squared(y, y) == 1
    assert r_squared(y + np.array([1, 0]), y) == 0.5
    assert r_squared(y[:1], y[:1]) == 1


@pytest.mark.parametrize("metric", [accuracy, top_k, mean_squared_error, r_squared])
def test_nothing_is_broadcast(metric):
    with pytest.raises(ShapeError, match=r"\(3, 2\).* \(2,\)"):
        metric(np.zeros((3, 2)), np.zeros(2))


@pytest.mark.parametrize("metric", [accuracy, lambda z, y: top_k(z, y, 2)])
def test_sequences_count_by_place(metric, rng):
    logits, y = rng.normal(size=(5, 7, 4)), rng.integers(0, 4, (5, 7))
    logits[2, 3, 1] = np.nan
    assert metric(logits, y) == metric(logits.reshape(35, 4), y.reshape(35))
    with pytest.raises(ShapeError, match="classes"):
        metric(logits, y[:, 0])


@pytest.mark.parametrize("k", [0, 4])
def test_k_is_among_the_classes(k):
    with pytest.raises(ArgumentError, match="from 1 to 3 classes"):
        top_k(np.zeros((2, 3)), np.zeros(2, int), k)


def test_rows_are_described():
    for info in metrics.values():
        assert info.formula
        assert info.summary


# --- which targets are understood ---------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["int64", "uint8", "float32", "bool"])
@pytest.mark.parametrize("shape", [(50, 3), (10, 5, 3)])
def test_one_hot_and_soft_targets_are_classes(rng, shape, dtype):
    logits = rng.normal(size=shape)
    y = rng.integers(0, 3, shape[:-1])
    one_hot = np.eye(3)[y].astype(dtype)
    assert accuracy(logits, one_hot) == accuracy(logits, y)
    assert top_k(logits, one_hot, 2) == top_k(logits, y, 2)
    soft = (0.9 * np.eye(3)[y] + 0.1 / 3).astype(np.float32)
    assert accuracy(logits, soft) == accuracy(logits, y)
    assert accuracy(np.eye(3)[y], one_hot) == 1.0


@pytest.mark.parametrize("targets", [(0, 1), (-1, 1), (False, True), (0.2, 0.7)])
@pytest.mark.parametrize("column", [(6,), (6, 1), (2, 3, 1)])
def test_targets_for_one_column(column, targets):
    z = np.array([-1.0, 2.0, 3.0, -4.0, 5.0, -6.0]).reshape(column)
    y = np.array(targets)[[0, 1, 0, 0, 1, 1]]
    assert accuracy(z, y.reshape(column)) == 4 / 6
    if column[-1] == 1:
        assert accuracy(z, y.reshape(column[:-1])) == 4 / 6


SHAPES = [(6,), (6, 1), (1, 6), (2, 3), (3, 2), (2, 3, 1), (1, 2, 3), (6, 2), (0, 3), (0,)]


@pytest.mark.parametrize("logits", SHAPES)
@pytest.mark.parametrize("y", SHAPES)
def test_shapes_that_do_not_fit_are_refused(logits, y):
    one_column = len(logits) == 1 or logits[-1] == 1
    fits = y in (logits, logits[:-1]) and 0 not in logits and len(y) > 0
    z = np.ones(logits)
    targets = np.zeros(y, int)
    if fits and y == logits and not one_column:
        targets[..., 0] = 1
    for metric in (accuracy, *((top_k,) if not one_column else ())):
        options = {"k": 1} if metric is top_k else {}
        if fits:
            assert 0 <= metric(z, targets, **options) <= 1
        else:
            with pytest.raises(ShapeError, match=metric.__name__):
                metric(z, targets, **options)


def test_targets_that_mean_nothing_are_refused():
    with pytest.raises(ArgumentError, match="each row sums to 1"):
        accuracy(np.ones((2, 3)), np.array([[1, 1, 0], [1, 0, 0]]))
    with pytest.raises(ArgumentError, match="each row sums to 1"):
        accuracy(np.ones((2, 3)), np.array([[2, -1, 0], [1, 0, 0]]))
    with pytest.raises(ArgumentError, match="0 and 1, -1 and 1"):
        accuracy(np.ones((2, 1)), np.array([0, 2]))
    for y in ([0.5, 1.0], [np.nan, 0.0]):
        for metric in (accuracy, top_k):
            with pytest.raises(ArgumentError, match=r"must be whole numbers, got (0\.5|nan)"):
                metric(np.ones((2, 6)), np.array(y))


@pytest.mark.parametrize("metric", [mean_squared_error, r_squared])
@pytest.mark.parametrize("predictions", SHAPES)
@pytest.mark.parametrize("y", SHAPES)
def test_values_of_other_shapes_are_refused(metric, predictions, y):
    if predictions == y and 0 not in y:
        assert metric(np.ones(predictions), np.ones(y)) == (metric is r_squared)
    else:
        with pytest.raises(ShapeError, match="no rows" if 0 in y else "reshape one"):
            metric(np.ones(predictions), np.ones(y))


@pytest.mark.parametrize("metric", [mean_squared_error, r_squared])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint64", "bool", "float16"])
def test_values_of_every_dtype(metric, dtype):
    a, b = np.array([[0], [1], [100]]).astype(dtype), np.array([[1], [0], [3]]).astype(dtype)
    assert metric(a, b) == metric(a.astype(float), b.astype(float))


@pytest.mark.parametrize("z", ["float16", "float32", "int8", "uint8", "bool"])
@pytest.mark.parametrize("y", ["int64", "uint8", "int8", "bool", "float32"])
def test_logits_and_classes_of_every_dtype(z, y):
    logits = np.array([[1, 0], [0, 1], [0, 1]]).astype(z)
    for targets in ([0, 1, 0], [[1, 0], [0, 1], [1, 0]]):
        assert accuracy(logits, np.array(targets).astype(y)) == 2 / 3
        assert top_k(logits, np.array(targets).astype(y), k=1) == 2 / 3
    assert accuracy(logits[:, :1], np.array([1, 0, 1]).astype(y)) == 2 / 3
