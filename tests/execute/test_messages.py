"""What a compiled function says of a number that it does not know, and of an index out of range."""

import numpy as np
import pytest

import gradlab as gl
from gradlab import nn
from gradlab.errors import ArgumentError, ShapeError, TraceError

TABLE = np.arange(10.0)
X = np.ones((3, 2), np.float32)
KNOWN_ONLY = {
    "axis of a sum": lambda x, n: gl.sum(x, axis=n),
    "axis of a stack": lambda x, n: gl.stack([x, x], n),
    "axis of a softmax": lambda x, n: gl.softmax(x, n),
    "axis of a concat": lambda x, n: gl.concat([x, x], n),
    "axes of a permutation": lambda x, n: gl.permute_dims(x, (n, 0)),
    "count of arange": lambda x, n: gl.arange(n),
    "count of zeros": lambda x, n: gl.zeros((n, 2)),
    "count of ones": lambda x, n: gl.ones(n),
    "count of full": lambda x, n: gl.full((n,), 1.0),
    "count of repeat": lambda x, n: gl.repeat(x, n, 0),
    "count of tile": lambda x, n: gl.tile(x, n),
    "count of classes": lambda x, n: gl.one_hot(np.array([0, 1]), n),
    "parts of a split": lambda x, n: gl.split(x, n),
    "shift of a roll": lambda x, n: gl.roll(x, n, 0),
    "shape of a reshape": lambda x, n: gl.reshape(x, (n, -1)),
    "shape of a broadcast": lambda x, n: gl.broadcast_to(x, (n, 3, 2)),
    "first bound of a slice": lambda x, n: x[n:],
    "last bound of a slice": lambda x, n: x[:n],
    "step of a slice": lambda x, n: x[::n],
    "range": lambda x, n: [x for _ in range(n)],
    "branch": lambda x, n: x if n > 1 else -x,
}


@pytest.mark.parametrize("what", KNOWN_ONLY)
def test_a_number_that_must_be_known(what):
    function = KNOWN_ONLY[what]
    with pytest.raises(TraceError, match=r"as n in compile\(lambda x: f\(x, n\)\)") as caught:
        gl.compile(function)(X, 1)
    assert "\n" not in str(caught.value)
    n = 2 if what == "branch" else 1
    for found, expected in zip(
        np.atleast_1d(gl.compile(lambda x: function(x, n))(X)), np.atleast_1d(function(X, n)),
        strict=True,
    ):  # fmt: skip
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("array", [TABLE, TABLE.tolist(), tuple(TABLE)])
def test_an_array_is_no_tensor_that_a_traced_number_picks_from(array):
    with pytest.raises(TraceError, match=r"'i' .* write gradlab\.as_tensor\(array\)\[index\]"):
        gl.compile(lambda x, i: x + array[i])(X, 2)
    compiled = gl.compile(lambda x, i: x + gl.as_tensor(array)[i])
    np.testing.assert_array_equal(compiled(X, 2), X + 2)


@pytest.mark.parametrize("nest", ["x[0]", "x[1]['b']", "scale"])
def test_the_message_names_the_argument(nest):
    def function(x, /, *, scale=1.0):
        chosen = {"x[0]": x[0], "x[1]['b']": x[1]["b"], "scale": scale}[nest]
        return x[0] * (2 if chosen else 3)

    with pytest.raises(TraceError) as caught:
        gl.compile(function)([np.float32(1), {"a": "text", "b": np.float32(2)}], scale=2.0)
    assert f"the traced tensor {nest!r} of shape () has no value" in str(caught.value)


@pytest.mark.parametrize("executor", ["native", "numpy"])
def test_an_index_out_of_range_is_told_with_names(executor):
    model = nn.Sequential(nn.Embedding(5, 2), nn.Flatten())
    model.name_variables()
    tokens = np.array([[1, 7]])
    with pytest.raises(ArgumentError, match="from 0 to 4, got 1 to 7"):
        model(tokens)
    with pytest.raises(ShapeError, match=r"out of range for '0\.weight' of shape \(5, 2\)"):
        gl.compile(model, executor)(tokens)

    def two(x, y, near, far):
        return x[near], y[far], gl.index_add((4,), far, gl.as_tensor([1.0, 1.0]))

    compiled = gl.compile(two, executor)
    x, y, good = np.arange(3.0), np.arange(9.0), np.array([0, 1])
    compiled(x, y, good, good)
    with pytest.raises(ShapeError, match=r"an index in 'near' is out of range for 'x' of shape"):
        compiled(x, y, np.array([3, 0]), good)
    with pytest.raises(ShapeError, match=r"an index in 'far' is out of range for 'y' of shape"):
        compiled(x, y, good, np.array([0, 9]))
    with pytest.raises(ShapeError, match=r"'far' is out of range for a tensor of shape \(4,\)"):
        compiled(x, y, good, np.array([0, 4]))
