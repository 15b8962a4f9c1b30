"""Rows written out in simpler ones: the same numbers, at extremes too."""

import numpy as np
import pytest

import gradlab as gl
from gradlab.errors import ShapeError
from gradlab.execute.native import NativeProgram
from gradlab.execute.native.lower import WRITTEN_OUT, lower
from gradlab.execute.numpy import NumpyProgram
from gradlab.graph import OPS, Spec, apply, trace
from gradlab.graph.indexing import INDEX_ADD, TAKE

rng = np.random.default_rng(0)
EXTREMES = np.array(
    [
        [1.0, 2.0, 3.0],
        [1e30, -1e30, 0.0],
        [-np.inf, 0.0, 1.0],
        [-np.inf, -np.inf, -np.inf],
        [np.inf, 0.0, -np.inf],
        [np.inf, np.inf, 0.0],
        [np.nan, 0.0, 1.0],
        [-1e4, -1e4, -1e4],
    ]
)


def names(graph):
    return [node.op.name for node in graph.nodes]


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["log_softmax", "logsumexp"])
def test_rows_of_exponentials(name, dtype, axis):
    graph = trace(lambda x: getattr(gl, name)(x, axis), Spec(EXTREMES.shape, dtype))
    written = lower(graph)
    assert name not in names(written)
    x = EXTREMES.astype(dtype)
    (found,), _ = NumpyProgram(written).run([x], [])
    (expected,), _ = NumpyProgram(graph).run([x], [])
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(found, expected, rtol=8 * eps, atol=8 * eps, strict=True)


@pytest.mark.parametrize("keepdims", [False, True])
def test_logsumexp_over_several_axes(keepdims):
    x = rng.normal(size=(3, 4, 5))
    graph = trace(lambda x: gl.logsumexp(x, (0, 2), keepdims=keepdims), Spec(x.shape, "float64"))
    (found,), _ = NumpyProgram(lower(graph)).run([x], [])
    expected = np.log(np.exp(x).sum((0, 2), keepdims=keepdims))
    np.testing.assert_allclose(found, expected, rtol=1e-14, strict=True)


def test_the_adjoint_of_one_pick_from_each_row_takes_no_scattering():
    def function(x, columns):
        with gl.GradientTape() as tape:
            tape.watch(x)
            picked = x[np.arange(4), columns]
            loss = (picked * picked).sum()
        return picked, tape.gradient(loss, x)

    graph = trace(function, Spec((4, 3)), Spec((4,), np.int64))
    written = lower(graph)
    assert "index_add" in names(graph)
    assert "index_add" not in names(written)
    x, columns = rng.normal(size=(4, 3)).astype(np.float32), np.array([2, -3, 1, -1])
    (_, found), _ = NumpyProgram(written).run([x, columns], [])
    (_, expected), _ = NumpyProgram(graph).run([x, columns], [])
    np.testing.assert_array_equal(found, expected, strict=True)


def test_without_the_pick_nothing_would_see_a_number_out_of_range():
    graph = trace(
        lambda x, columns: gl.index_add((4, 3), (np.arange(4), columns), x),
        Spec((4,)),
        Spec((4,), np.int64),
    )
    assert "index_add" in names(lower(graph))


@pytest.mark.parametrize(
    "rows",
    [np.array([0, 1, 1, 3]), np.array([0, 1, 2, 4]), np.array([1, 2, 3, 4])],
    ids=["twice", "left out", "shifted"],
)
def test_other_rows_are_scattered(rows):
    """To add twice to one element, or to some rows only, is no question of where."""

    def function(x, columns):
        return gl.index_add((5, 3), (rows, columns), x)

    assert "index_add" in names(lower(trace(function, Spec((4,)), Spec((4,), np.int64))))


def test_fewer_numbers_than_rows_are_scattered():
    def function(x, columns):
        return apply(
            INDEX_ADD,
            (x, gl.tensor(np.arange(3)), columns),
            {"key": (TAKE, TAKE), "shape": (5, 4)},
        )

    assert "index_add" in names(lower(trace(function, Spec((3,)), Spec((3,), np.int64))))


PICKED = [
    ((2, 3), ([0, 1], [2, 0])),
    ((2, 3, 1), ([0, 1], [2, 0])),
    ((2, 3, 1, 1), ([0, 1], [2, -1])),
    ((3, 3), ([[0], [1], [2]], [[2], [0], [-3]])),
    ((3, 3), ([[0], [1], [2]], [2, 0, 1])),  # every row with every column
    ((3, 3), ([0, 1, 2], [[2], [0], [1]])),
    ((3, 3), ([0, 1, 2], [1])),
    ((1, 3), ([0], [2])),
    ((1, 1, 1), ([0], [0])),
    ((2, 1), ([0, 1], [0, 0])),
    ((0, 3), ([], [])),
    ((2, 200), ([0, 1], [-1, 100])),  # more columns than int8 counts
    ((4, 3), ([0, 1], [2, 0])),
]


@pytest.mark.parametrize("numbers", ["int8", "uint8", "int32", "int64"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "bool"])
def test_picks_are_added_where_they_were_taken(numbers, dtype):
    """The adjoint of picks, times something else, whatever axes of length 1 there are."""
    for shape, arrays in PICKED:
        rows, columns = (np.array(a, np.int64) for a in arrays)
        columns = columns % shape[1] if numbers == "uint8" else columns
        x = rng.integers(0, 2, shape).astype(dtype)
        scale = np.arange(1, shape[0] + 1).reshape(-1, *[1] * (len(shape) - 1)).astype(dtype)

        def function(x, columns, rows=rows, scale=scale):
            key = (gl.tensor(rows), columns)
            picked = x[key]
            return gl.index_add(x.shape, key, picked) * scale, picked

        graph = trace(function, Spec(x.shape, x.dtype), Spec(columns.shape, numbers))
        inputs = [x, columns.astype(numbers)]
        for ready in (NativeProgram(graph), NumpyProgram(lower(graph))):
            found, _ = ready.run(inputs, [])
            expected = np.zeros_like(x)
            np.add.at(expected, (rows, columns), x[rows, columns])
            np.testing.assert_array_equal(found[0], expected * scale, strict=True)
            np.testing.assert_array_equal(found[1], x[rows, columns], strict=True)


def test_numbers_that_only_another_shape_has_are_still_seen():
    """They are in range for what is picked, and not for what is added to."""
    rows = gl.tensor(np.arange(2))

    def function(x, columns):
        return x[rows, columns], gl.index_add((2, 3), (rows, columns), [1.0, 2.0])

    ready = NativeProgram(trace(function, Spec((2, 9)), Spec((2,), np.int64)))
    ready.run([np.ones((2, 9), np.float32), np.array([2, 0])], [])
    with pytest.raises(ShapeError, match="out of range"):
        ready.run([np.ones((2, 9), np.float32), np.array([8, 0])], [])


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("iij->j", [(3, 3, 1)]),
        ("iij->ij", [(2, 2, 1)]),
        ("ii->", [(4, 4)]),
        ("ii->i", [(1, 1)]),
        ("iijk->ik", [(2, 2, 1, 1)]),
        ("iij,jk->ik", [(3, 3, 1), (1, 2)]),
    ],
)
def test_gradients_of_repeated_letters(text, shapes):
    arrays = [rng.integers(-3, 4, shape).astype(np.float32) for shape in shapes]

    def gradients(*xs):
        return gl.grad(lambda *xs: (gl.einsum(text, *xs) ** 2).sum(), tuple(range(len(xs))))(*xs)

    for found, expected in zip(gl.compile(gradients)(*arrays), gradients(*arrays), strict=True):
        np.testing.assert_array_equal(found, expected, strict=True)


def test_a_graph_without_such_rows_stays_itself():
    graph = trace(lambda x: gl.exp(x).sum(), Spec((3,)))
    assert lower(graph) is graph


def test_what_goes_in_and_out_keeps_its_place():
    v, w = gl.Variable([1.0, 2.0], name="v"), gl.Variable([3.0, 4.0], name="w")

    def step(x, y):
        v.assign(gl.log_softmax(v, 0) + y)
        w.assign(x)
        return {"loss": gl.logsumexp(w, 0), "same": x, "number": 1.5}

    graph = trace(step, Spec((2,), name="x"), Spec((2,), name="y"))
    written = lower(graph)
    assert [x.name for x in written.inputs] == ["x", "y"]
    assert [variable for variable, _ in written.captured] == [v for v, _ in graph.captured]
    assert [variable for variable, _ in written.assigned] == [v, w]
    assert written.structure == graph.structure
    given = [np.array([5.0, 6.0], np.float32), np.array([0.5, 0.25], np.float32)]
    state = [variable.held.value for variable, _ in graph.captured]
    for found, expected in zip(
        NumpyProgram(written).run(given, state), NumpyProgram(graph).run(given, state), strict=True
    ):
        for x, y in zip(found, expected, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-6, strict=True)


def test_every_rule_is_one_of_a_row():
    assert set(WRITTEN_OUT) <= set(OPS)
