"""Every row of the table of operations, and what is made of them, in files for any batch size."""

import numpy as np
import pytest

import gradlab as gl
from gradlab import Spec, nn
from gradlab.errors import ArgumentError
from gradlab.graph import OPS, apply

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
from gradlab.interop.onnx import ROWS, to_onnx  # noqa: E402

SIZES = (1, 2, 3, 5, 64)
ORDER = np.array([2, 0, 1])


class Model(nn.Module):
    """A function of rows of shape (3, 4) and a whole number for each row."""

    def __init__(self, function):
        self.function = function

    def forward(self, x, i):
        return self.function(x, i)


def inputs(n):
    rng = np.random.default_rng(n)
    return rng.uniform(0.2, 0.9, (n, 3, 4)).astype(np.float32), rng.integers(0, 3, n)


def check(function, folder, sizes=SIZES):
    path, model = folder / "model.onnx", Model(function)
    to_onnx(model, path, (1, 3, 4), Spec((1,), "int64"))
    session = onnxruntime.InferenceSession(path)
    names = [x.name for x in session.get_inputs()]
    for n in sizes:
        x, i = inputs(n)
        (found,) = session.run(None, {k: v for k, v in {"x": x, "i": i}.items() if k in names})
        expected = model(gl.tensor(x), gl.tensor(i)).numpy()
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype), n
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-6, err_msg=f"n = {n}")


# --- rows -----------------------------------------------------------------------------------------


def elementwise(op):
    """The row of the batch, of numbers of each example, and of constants of the batch's length."""

    def function(x, i):
        shares = [x, x[:, :1], gl.full((x.shape[0], 1, 1), 0.5, "float32")]
        within = [d.low + share * (d.high - d.low) for d, share in zip(op.domain, shares)]  # noqa: B905
        return apply(op, tuple(within))

    return function


def where(x, i):
    return gl.where(gl.expand_dims(i, (1, 2)) > 0, x, gl.zeros((x.shape[0], 1, 4), x.dtype))


def conv_input(x, i):
    return gl.conv_transpose(x, np.ones((3, 2, 2), np.float32), stride=2)


def index_add(x, i):
    """Into rows in front, behind, backwards, at places of the columns, and for each row one."""
    n = x.shape[0]
    return gl.concat(
        [
            gl.index_add((n, 3, 4), np.s_[:, ORDER], x),
            gl.index_add((n, 3, 6), np.s_[:, :, 1:5], x)[..., :4],
            gl.index_add((n + 2, 3, 4), np.s_[1 : n + 1], x)[1:-1],
            gl.index_add((n, 3, 4), np.s_[::-1], x),
            gl.index_add((n, 3, 4), (np.arange(n), np.arange(n) * 0 + 1), x[:, 0]),
        ],
        axis=1,
    )


def along(function):
    """Along the axis of the batch, and along another."""
    return lambda x, i: gl.concat(
        [gl.flatten(gl.astype(function(x, axis), "float32")) for axis in (0, 1, 2)]
    )


def product(name):
    left, right = name[7] == "t", name[8] == "t"

    def function(x, i):
        y = x * 2
        a = gl.matrix_transpose(x) if left == right else x
        return apply(OPS[name], (a, y))

    return function


FUNCTIONS = {
    "argmax": along(gl.argmax),
    "argmin": along(gl.argmin),
    "argsort": along(gl.argsort),
    "astype": lambda x, i: gl.astype(i, "float32"),
    "astype_integer": lambda x, i: gl.astype(x * 9, "int32"),
    "broadcast_to": lambda x, i: gl.broadcast_to(x[:, :1], (2, x.shape[0], 5, 4)),
    "concat": lambda x, i: gl.concat([x, gl.ones((x.shape[0], 2, 4), x.dtype)], axis=1),
    "conv": lambda x, i: gl.conv(x, np.ones((2, 3, 2), np.float32), padding=1),
    "conv_input": conv_input,
    "cumsum": along(gl.cumsum),
    "identity": lambda x, i: gl.identity(x),
    "index": lambda x, i: x[:, 1:, ::-1],
    "index_add": index_add,
    "log_softmax": along(gl.log_softmax),
    "logsumexp": along(gl.logsumexp),
    "matmul": lambda x, i: x @ np.ones((4, 5), np.float32),
    "matmul_nt": product("matmul_nt"),
    "matmul_tn": product("matmul_tn"),
    "matmul_tt": product("matmul_tt"),
    "max": along(gl.max),
    "min": along(gl.min),
    "permute_dims": lambda x, i: gl.permute_dims(x, (2, 0, 1)),
    "reshape": lambda x, i: gl.reshape(x, (x.shape[0] * 3, 2, 2)),
    "stop_gradient": lambda x, i: gl.stop_gradient(x),
    "sum": along(gl.sum),
    "where": where,
    "windows": lambda x, i: gl.windows(x, (2, 2), (1, 2), (1, 1)),
}
RANDOM = {"random_uniform"}
"""Whose numbers are ONNX's own; tests/interop/test_onnx_models.py looks at them."""


def test_structured_rows_have_a_function():
    assert set(FUNCTIONS) == {"where"} | {n for n in set(ROWS) - RANDOM if not OPS[n].domain}


@pytest.mark.parametrize("name", sorted(set(ROWS) - RANDOM))
def test_rows(name, tmp_path):
    function = FUNCTIONS.get(name) or elementwise(OPS[name])
    check(function, tmp_path)


# --- what is made of them -------------------------------------------------------------------------


WORKING = {
    "sort": along(gl.sort),
    "take_along_axis": lambda x, i: gl.take_along_axis(x, gl.expand_dims(i, (1, 2)), axis=1),
    "take_along_axis of constants": lambda x, i: gl.take_along_axis(
        x, np.broadcast_to(ORDER[:, None], (x.shape[0], 3, 1)), axis=1
    ),
    "one of each row": lambda x, i: x[gl.arange(x.shape[0]), i],
    "one of each row, NumPy's": lambda x, i: x[np.arange(x.shape[0]), i],
    "from the right": lambda x, i: x[np.arange(x.shape[0]), i - 3],
    "two arrays beside rows": lambda x, i: x[np.arange(x.shape[0]), i, i],
    "a column of rows": lambda x, i: x[np.arange(x.shape[0])[:, None], [0, 2]],
    "a slice between": lambda x, i: x[np.arange(x.shape[0]), :, i],
    "rows backwards": lambda x, i: x[np.arange(x.shape[0])[::-1], i],
    "every second": lambda x, i: gl.concat([x, x])[np.arange(x.shape[0]) * 2],
    "take": lambda x, i: gl.take(x, gl.minimum(i, x.shape[0] - 1), axis=0),
    "rows by number": lambda x, i: gl.take(np.eye(3, 7, dtype="float32"), i, axis=0),
    "one_hot": lambda x, i: gl.one_hot(i, 3),
    "argsort twice": lambda x, i: gl.argsort(gl.argsort(x, 0), 0),
    "median": lambda x, i: gl.sort(gl.flatten(x, 1), 1)[:, 6],
    "the largest two": lambda x, i: gl.sort(x, -1)[..., -2:],
    "flip": along(gl.flip),
    "roll": lambda x, i: gl.roll(x, 1, 0) + gl.roll(x, -1, 0) + gl.roll(x, 2, 1),
    "differences": lambda x, i: x[1:] - x[:-1],
    "the last three": lambda x, i: x[-3:],
    "all but three": lambda x, i: x[:-3],
    "the first three": lambda x, i: x[:3],
    "backwards by two": lambda x, i: x[::-2],
    "backwards from the third": lambda x, i: x[2::-1],
    "backwards from the last but two": lambda x, i: x[-3::-1],
    "backwards to the last but two": lambda x, i: x[:-3:-1],
    "backwards between": lambda x, i: x[-2:0:-1],
    "the first": lambda x, i: x[0],
    "the last": lambda x, i: x[-1],
    "row numbers": lambda x, i: x + gl.expand_dims(gl.arange(x.shape[0], dtype="float32"), (1, 2)),
    "halves": lambda x, i: x + np.arange(x.shape[0], dtype="float32")[:, None, None] / 2,
    "numbers of the batch": lambda x, i: x * x.shape[0] + (2 * x.shape[0] - 1),
    "row numbers of a table": lambda x, i: gl.reshape(x, (-1, 4))[np.arange(x.shape[0]) * 3 + i],
    "table": lambda x, i: gl.expand_dims(i, 1) + np.add.outer(np.arange(x.shape[0]), ORDER),
    "table of the batch": lambda x, i: (
        np.add.outer(np.arange(x.shape[0]), np.arange(x.shape[0])) + i
    ),
    "minus infinity": lambda x, i: gl.concat(
        [x, np.full((x.shape[0], 1, 4), -np.inf, np.float32)], axis=1
    ),
    "pad": lambda x, i: gl.pad(x, ((1, 2), (0, 0), (0, 1))),
    "pad with a number": lambda x, i: gl.pad(x, ((0, 0), (1, 0), (0, 1)), 5.0),
    "stack": lambda x, i: gl.stack([x, x * 2], axis=1),
    "tile": lambda x, i: gl.tile(x, (1, 2, 1)),
    "tril": lambda x, i: gl.tril(x),
    "standardized by the batch": lambda x, i: (x - gl.mean(x, 0)) / (gl.std(x, 0) + 1),
    "products of pairs": lambda x, i: gl.flatten(x, 1) @ gl.matrix_transpose(gl.flatten(x, 1)),
    "einsum": lambda x, i: gl.einsum("nij,nkj->nik", x, x),
    "windows of rows": lambda x, i: gl.windows(
        gl.pad(gl.permute_dims(x, (1, 2, 0)), ((0, 0), (0, 0), (1, 1))), 2, 1, 1
    ),
}


@pytest.mark.parametrize("name", WORKING)
def test_made_of_rows(name, tmp_path):
    check(WORKING[name], tmp_path)


REFUSED = {
    "half": (lambda x, i: x[: x.shape[0] // 2], "depends on the batch size"),
    "shares": (lambda x, i: x * (1 / x.shape[0]), "depends on the batch size"),
    "squares": (lambda x, i: x + x.shape[0] ** 2, "depends on the batch size"),
    "square numbers": (
        lambda x, i: i + np.arange(x.shape[0]) ** 2,
        "a constant of the model depends on the batch size",
    ),
    "a diagonal": (
        lambda x, i: gl.tril(gl.flatten(x, 1) @ gl.matrix_transpose(gl.flatten(x, 1))),
        "a constant of the model depends on the batch size",
    ),
    "a matrix of the batch": (
        lambda x, i: np.eye(x.shape[0], dtype="float32") @ gl.flatten(x, 1),
        "a constant of the model depends on the batch size",
    ),
    "a frame around rows": (
        lambda x, i: gl.pad(x, ((1, 0), (0, 0), (0, 0)), 5.0),
        "a constant of the model depends on the batch size",
    ),
    "each twice": (lambda x, i: gl.repeat(x, 2, axis=0), "depends on the batch size"),
    "parts": (
        lambda x, i: gl.stack(list(gl.split(x, x.shape[0]))),
        "the model's operations depend on the batch size",
    ),
    "pairs of rows": (
        lambda x, i: gl.reshape(x, (x.shape[0] // 2, 2, 12)),
        r"the model does not take a batch of 59 rows \(.*\); export it for one batch size",
    ),
    "computed places": (
        lambda x, i: gl.index_add((3, 3, 4), i, x),
        "adds at places known beforehand only",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name, tmp_path):
    function, message = REFUSED[name]
    with pytest.raises(ArgumentError, match=message):
        to_onnx(Model(function), tmp_path / "model.onnx", (1, 3, 4), Spec((1,), "int64"))
    assert not list(tmp_path.iterdir())
