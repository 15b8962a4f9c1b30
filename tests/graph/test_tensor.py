"""Tensors and Variables: how they are made, that they do not change, and what operators mean."""

import operator

import numpy as np
import pytest

import gradlab as gl
from gradlab.errors import ArgumentError, DTypeError, ShapeError
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


# --- lists that hold tensors ------------------------------------------------------------------

ONE_INPUT = [
    *("abs", "atan", "cos", "cosh", "cumsum", "elu", "erf", "exp", "expm1", "expand_dims", "flip"),
    *("gelu", "identity", "leaky_relu", "log_softmax", "logsumexp", "matrix_transpose", "max"),
    *("mean", "min", "negative", "norm", "prod", "relu", "sigmoid", "silu", "sin", "sinh", "sort"),
    *("softmax", "softplus", "square", "std", "sum", "tan", "tanh", "tensor", "tril", "triu"),
    *("var", "flatten", "squeeze"),
]
TWO_INPUTS = [gl.add, gl.divide, gl.matmul, gl.maximum, gl.minimum, gl.multiply, gl.subtract]
OF_LISTS = {
    **{name: getattr(gl, name) for name in ONE_INPUT},
    **{f.__name__: lambda x, f=f: f(x, gl.ones((2, 2), "float64")) for f in TWO_INPUTS},
    **{f"{f.__name__} 2": lambda x, f=f: f(gl.ones(2), x) for f in TWO_INPUTS},
    "operators": lambda x: gl.tensor(np.ones(2)) * x + (gl.tensor(3.0) - x) / [2, x[1][1]],
    "expand_dims": lambda x: gl.expand_dims(x, 0),
    "permute_dims": lambda x: gl.permute_dims(x, (1, 0)),
    "reshape": lambda x: gl.reshape(x, (4,)),
    "broadcast_to": lambda x: gl.broadcast_to(x, (3, 2, 2)),
    "where": lambda x: gl.where([True, False], x, 0),
    "clip": lambda x: gl.clip(x, [0.5, x[0][0]], 2.0),
    "concat": lambda x: gl.concat([x, [[0.0, 1.0]]]),
    "stack": lambda x: gl.stack(x),
    "take": lambda x: gl.take(x, [1, 0, 1]),
    "einsum": lambda x: gl.einsum("ij,j->i", x, x[0]),
    "pad": lambda x: gl.pad(x, ((1, 0), (0, 1))),
    "repeat": lambda x: gl.repeat(x, 2),
    "split": lambda x: gl.split(x, 2)[1],
    "roll": lambda x: gl.roll(x, 1, 0),
    "index": lambda x: gl.index(x, (0,)),
}


@pytest.mark.parametrize("name", OF_LISTS)
def test_lists_of_tensors_are_stacked_as_ops(name):
    """Gradients reach the tensors, whatever stands beside them, eager and traced."""
    function = OF_LISTS[name]
    start = np.array([[0.7, -1.2], [0.4, 1.9]])

    def whole(x):
        if name in ("operators", "einsum", "clip"):  # they pick from the list
            return function([[x[0, 0], x[0, 1]], [x[1, 0], x[1, 1]]])
        return function(gl.stack([x[0], gl.stack([x[1, 0], gl.tensor(1.9, "float64")])]))

    def parts(x):
        last = x[1, 1] if name in ("operators", "einsum", "clip") else 1.9
        return function([x[0], (x[1, 0], last)])

    value, pullback = gl.vjp(whole, start)
    u = np.random.default_rng(0).standard_normal(value.shape)
    for run in (parts, lambda x: gl.trace(parts, x).replay(x)):
        found, back = gl.vjp(run, start)
        np.testing.assert_allclose(found, value, rtol=1e-12)
        np.testing.assert_allclose(back(u)[0], pullback(u)[0], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(gl.compile(parts)(start), value, rtol=1e-6)


def test_what_a_list_of_tensors_becomes():
    assert gl.grad(lambda x: gl.mean([x, x + 2]) + x)(0.0).item() == 2
    w, x = gl.Variable([1.0, 2.0], name="w"), gl.tensor(np.array([0.1, 0.2]))
    with gl.GradientTape() as tape:
        y = gl.sum(([w, (0.1, w[0])], [x, [0.1, 0.2]]))
    np.testing.assert_array_equal(tape.gradient(y, w), [2, 1])
    stacked = gl.as_tensor([x, [0.1, 1]])
    assert stacked.dtype == np.float64
    assert stacked.numpy()[1, 0] == 0.1  # a number beside a tensor takes its dtype
    assert gl.as_tensor([gl.tensor([1, 2]), [True, 3]]).dtype == np.int64
    assert gl.tensor([w, w], "float64").dtype == np.float64
    target = gl.Variable([0.0, 0.0])
    target.assign([w[1], 3.0])
    np.testing.assert_array_equal(target, [2, 3])
    np.testing.assert_array_equal(gl.Variable([w, w]), [[1, 2], [1, 2]])
    assert gl.tensor([5.0, 6.0])[[gl.tensor(1), 0]].tolist() == [6, 5]


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        (lambda w: [w, [w, w]], r"cannot stack shapes \(2,\) and \(2, 2\)"),
        (lambda w: [w, 1.0], r"cannot stack shapes \(2,\) and \(\)"),
        (lambda w: [[1.0, 2.0, 3.0], w], r"cannot stack shapes \(3,\) and \(2,\)"),
        (lambda w: [w, []], "nothing to join"),
    ],
)
def test_lists_of_tensors_of_unequal_shapes(parts, says):
    w = gl.Variable([1.0, 2.0])
    for run in (lambda: gl.sum(parts(w)), lambda: gl.trace(lambda: gl.sum(parts(w)))):
        with pytest.raises(ShapeError, match=says):
            run()


def test_what_a_variable_begins_with_is_no_part_of_a_tape():
    x = gl.Variable([1.0, 2.0])
    with gl.GradientTape() as tape:
        for start in (x * 2, [x[0], x[1]]):
            w = gl.Variable(start)
            assert not tape.watches(w.held)
            assert w.held.op is None
