"""Tensors and Variables: how they are made, that they do not change, and what operators mean."""

import operator

import numpy as np
import pytest

import gradlab as gl
from gradlab.errors import DTypeError, ShapeError
from gradlab.graph import OPS


def test_dtypes_of_what_a_tensor_is_made_from():
    assert gl.tensor([1.0, 2.0]).dtype == np.float32
    assert gl.tensor(0.5).dtype == np.float32
    assert gl.tensor([1, 2]).dtype == np.int64
    assert gl.tensor([True]).dtype == np.bool_
    assert gl.tensor(np.ones(2)).dtype == np.float64
    assert gl.tensor([1, 2], "float64").dtype == np.float64
    assert gl.tensor(gl.tensor(np.ones(2))).dtype == np.float64


@pytest.mark.parametrize("data", [[[1.0], [1.0, 2.0]], "text", [None], [1j], [object()]])
def test_what_no_tensor_can_be_made_from(data):
    with pytest.raises(DTypeError) as caught:
        gl.tensor(data)
    assert "\n" not in str(caught.value)


def test_a_tensor_is_a_copy_that_cannot_be_written_to():
    data = np.ones(2)
    x = gl.tensor(data)
    data[0] = 5
    np.testing.assert_array_equal(x, [1, 1])
    for view in (x.numpy(), np.asarray(x)):
        with pytest.raises(ValueError, match="read-only"):
            view[0] = 5
    own = np.array(x)
    own[0] = 5
    np.testing.assert_array_equal(x, [1, 1])


def test_conversions():
    x = gl.tensor(2.5)
    assert (x.item(), float(x), int(x), bool(x)) == (2.5, 2.5, 2, True)
    assert f"{x:.2f}" == "2.50"
    assert np.asarray(x, np.float64).dtype == np.float64
    assert [10, 20][gl.tensor(1)] == 20
    np.testing.assert_array_equal(np.from_dlpack(gl.tensor([1.0, 2.0])), [1, 2])
    assert repr(gl.tensor([1.0])) == "tensor([1.])"
    assert repr(gl.tensor([1.0], "float64", name="x")) == "tensor([1.], dtype=float64, name='x')"


OPERATORS = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.pow,
    operator.eq,
    operator.ne,
    operator.lt,
    operator.le,
    operator.gt,
    operator.ge,
]


@pytest.mark.parametrize("symbol", OPERATORS)
def test_operators_with_tensors_arrays_numbers_and_variables(symbol):
    x, y = np.array([1.0, 2.0, 3.0]), np.array([3.0, 2.0, 1.0])
    expected = symbol(x, y)
    for a, b in [(gl.tensor(x), y), (x, gl.tensor(y)), (gl.Variable(x), y), (x, gl.Variable(y))]:
        found = symbol(a, b)
        assert isinstance(found, gl.Tensor)
        np.testing.assert_array_equal(found, expected, strict=True)
    np.testing.assert_array_equal(symbol(gl.tensor(x), 2.0), symbol(x, 2.0), strict=True)
    np.testing.assert_array_equal(symbol(2.0, gl.tensor(x)), symbol(2.0, x), strict=True)


def test_operators_of_truth_values_and_of_one_tensor():
    a, b = np.array([True, True, False]), np.array([True, False, False])
    np.testing.assert_array_equal(gl.tensor(a) & b, a & b)
    np.testing.assert_array_equal(gl.tensor(a) | b, a | b)
    np.testing.assert_array_equal(~gl.tensor(a), ~a)
    x = gl.tensor([[-1.0, 2.0]])
    np.testing.assert_array_equal(-x, [[1, -2]])
    np.testing.assert_array_equal(+x, x)
    np.testing.assert_array_equal(abs(x), [[1, 2]])
    np.testing.assert_array_equal(x @ x.T, [[5]])
    np.testing.assert_array_equal(np.ones((1, 1)) @ x, x)
    np.testing.assert_array_equal(x.reshape(2, 1), x.reshape((2, 1)))
    np.testing.assert_array_equal(x.sum(1) + x.mean(1) + x.max(1) + x.min(1), [2.5])
    assert (x.ndim, x.size, len(x), x.mT.shape) == (2, 2, 1, (2, 1))
    assert len({x, x, gl.tensor([1.0])}) == 2  # by identity


def test_a_row_of_a_name_is_declared_once():
    from gradlab.errors import ArgumentError
    from gradlab.graph.op import declare

    with pytest.raises(ArgumentError, match="declared already"):
        declare(OPS["add"])
    assert repr(OPS["add"]) == "<op add: x + y>"


def test_a_variable_holds_a_copy_and_can_be_replaced():
    data = np.array([1.0, 2.0])
    w = gl.Variable(data, name="w")
    data[0] = 7
    np.testing.assert_array_equal(w, [1, 2])
    new = np.array([3.0, 4.0])
    w.assign(new)
    new[0] = 7
    np.testing.assert_array_equal(w, [3, 4])
    before = w.read()
    w.assign(w * 2)
    np.testing.assert_array_equal(before, [3, 4])
    assert repr(w) == "Variable([6., 8.], name='w')"


def test_a_variable_keeps_its_shape_and_dtype():
    w = gl.Variable([1.0, 2.0], name="w")
    assert w.dtype == np.float32
    w.assign(np.array([0.5, 0.5]))
    assert w.dtype == np.float32
    w.assign([1, 2])
    assert w.dtype == np.float32
    with pytest.raises(ShapeError, match=r"\(3,\) to variable w of shape \(2,\)"):
        w.assign([1.0, 2.0, 3.0])
    count = gl.Variable(0, name="count")
    with pytest.raises(DTypeError, match="astype"):
        count.assign(0.5)
    count.assign(count + 1)
    assert (int(count), float(count), bool(count), count.item()) == (1, 1.0, True, 1)


def test_a_weak_variable_counts_as_a_number():
    rate = gl.Variable(0.1, weak=True)
    assert (gl.tensor([1.0]) * rate).dtype == np.float32
    assert (gl.tensor([1.0], "float64") * rate).item() == 0.1
    rate.assign(0.2)
    assert rate.weak
    assert rate.item() == 0.2


def test_an_assigned_tensor_brings_no_history():
    w = gl.Variable(2.0)
    with gl.GradientTape() as tape:
        w.assign(w * w)
        y = w * 3
    assert tape.gradient(y, w).item() == 3
