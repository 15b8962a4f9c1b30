"""Tensors and Variables: how they are made, that they do not change, and what operators mean."""

import operator

import numpy as np
import pytest

import gradlab as gl
from gradlab.errors import ArgumentError, DTypeError, ShapeError, TraceError
from gradlab.graph import OPS


def test_dtypes_of_what_a_tensor_is_made_from():
    assert gl.tensor([1.0, 2.0]).dtype == np.float32
    assert gl.tensor(0.5).dtype == np.float32
    assert gl.tensor([1, 2]).dtype == np.int64
    assert gl.tensor([True]).dtype == np.bool_
    assert gl.tensor(np.ones(2)).dtype == np.float64
    assert gl.tensor([1, 2], "float64").dtype == np.float64
    assert gl.tensor(gl.tensor(np.ones(2))).dtype == np.float64


@pytest.mark.parametrize("data", [[[1.0], [1.0, 2.0]], "text", None, [None], [1j], [object()]])
def test_what_no_tensor_can_be_made_from(data):
    for make in (gl.tensor, gl.exp):
        with pytest.raises(DTypeError) as caught:
            make(data)
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


def test_what_came_from_the_caller_is_a_copy():
    """A tensor must not change after a tape or a trace has taken note of it."""
    data = np.ones(2)
    w = gl.Variable(np.zeros(2), trainable=False)
    w.assign(gl.reshape(data, (2,)))
    x = gl.tensor(np.ones(2))
    with gl.GradientTape() as tape:
        tape.watch(x)
        y = (x * data).sum()
    scaled = gl.trace(lambda x: x * data, x)
    data[0] = 5
    np.testing.assert_array_equal(w, [1, 1])
    np.testing.assert_array_equal(tape.gradient(y, x), [1, 1])
    np.testing.assert_array_equal(scaled.replay(x), [1, 1])


def test_dlpack_exports_a_copy():
    torch = pytest.importorskip("torch")
    for x in (gl.tensor([1.0, 2.0]), gl.Variable([1.0, 2.0])):
        torch.from_dlpack(x)[0] = 9
        np.testing.assert_array_equal(x, [1, 2])
        with pytest.raises(BufferError, match="copy"):
            np.from_dlpack(x, copy=False)


def test_numbers_show_no_dtype_before_they_meet_one():
    assert repr(gl.exp(0.0)) == "tensor(1.)"
    assert repr(gl.tensor(1.0, "float64")) == "tensor(1., dtype=float64)"


def test_nothing_equals_none():
    for x in (gl.tensor([1.0]), gl.Variable([1.0])):
        assert (x == None) is False  # noqa: E711
        assert (x != None) is True  # noqa: E711


@pytest.mark.parametrize("make", [gl.tensor, lambda x: gl.Variable(x)])
def test_functions_of_numpy_compute_on_the_numbers(make):
    data = np.array([[1.0, 2.0], [3.0, 4.0]])
    x = make(data)
    for function in (np.exp, np.sum, np.mean, np.add.reduce, np.linalg.norm, np.shape):
        found = function(x)
        assert not isinstance(found, gl.Tensor)
        np.testing.assert_array_equal(found, function(data))
    np.testing.assert_array_equal(np.mean(x, axis=0, keepdims=True), [[2, 3]])
    np.testing.assert_array_equal(np.concatenate([x, data]), np.concatenate([data, data]))
    np.testing.assert_array_equal(np.where(x > 2, x, 0), np.where(data > 2, data, 0))
    total = data.copy()
    total += x
    np.testing.assert_array_equal(total, 2 * data)
    with pytest.raises(ValueError, match="read-only"):
        np.add(data, data, out=x)


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (np.exp, "write gradlab.exp"),
        (np.arcsin, "write gradlab.asin"),
        (np.sum, "write gradlab.sum"),
        (lambda x: np.concatenate([x, x]), "write gradlab.concat"),
        (np.logaddexp.reduce, "gradlab has no such"),
    ],
)
def test_functions_of_numpy_say_what_to_write_in_a_trace(function, hint):
    w = gl.Variable([1.0])
    for wrong in (function, lambda x: function(w)):
        with pytest.raises(TraceError, match=hint):
            gl.trace(wrong, gl.Spec((2,)))
    sizes = []
    gl.trace(lambda x: sizes.extend([np.shape(x), np.ndim(x), np.size(x, 0)]), gl.Spec((2, 3)))
    assert sizes == [(2, 3), 2, 2]


def test_conversions():
    x = gl.tensor(2.5)
    assert (x.item(), float(x), int(x), bool(x)) == (2.5, 2.5, 2, True)
    assert f"{x:.2f}" == "2.50"
    assert np.asarray(x, np.float64).dtype == np.float64
    assert [10, 20][gl.tensor(1)] == 20
    assert [10, 20][gl.Variable(1)] == 20
    assert f"{gl.Variable(2.5):.2f}" == "2.50"
    assert gl.tensor([[1, 2]]).tolist() == gl.Variable([[1, 2]]).tolist() == [[1, 2]]
    np.testing.assert_array_equal(np.from_dlpack(gl.Variable([1.0, 2.0])), [1, 2])
    np.testing.assert_array_equal(np.from_dlpack(gl.tensor([1.0, 2.0])), [1, 2])
    assert repr(gl.tensor([1.0])) == "tensor([1.])"
    assert repr(gl.tensor([1.0], "float64", name="x")) == "tensor([1.], dtype=float64, name='x')"


OPERATORS = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.floordiv,
    operator.mod,
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
    np.testing.assert_array_equal(x.prod(1) + x.var(1) + x.std(1), [-2 + 2.25 + 1.5])
    assert (x.argmax().item(), x.squeeze(0).shape, x.flatten().shape) == (1, (2,), (2,))
    assert (x.ndim, x.size, len(x), x.mT.shape) == (2, 2, 1, (2, 1))
    assert len({x, x, gl.tensor([1.0])}) == 2  # by identity


def test_a_row_of_a_name_is_declared_once():
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


@pytest.mark.parametrize(
    "name",
    ["iadd", "isub", "imul", "itruediv", "ifloordiv", "imod", "ipow", "imatmul", "iand", "ior"],
)
def test_a_variable_is_not_replaced_by_a_tensor(name):
    w = gl.Variable([1.0, 2.0], name="w")
    with pytest.raises(ArgumentError, match=r"write w.assign\(w "):
        getattr(operator, name)(w, 2.0)
    x = gl.tensor([1.0, 2.0])
    x -= 1  # tensors have no other meaning of it
    np.testing.assert_array_equal(x, [0, 1])


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
