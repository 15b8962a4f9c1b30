"""Guarded programs: they compute the same, and a planted fault of the compiler is caught."""

import dataclasses
import threading

import numpy as np
import pytest

import gradlab as gl
from gradlab.errors import BoundsError
from gradlab.execute import Loop
from gradlab.execute.native import NativeProgram, lower
from gradlab.execute.native.compiler import make_plan
from gradlab.execute.native.emit import guard, nest, program
from gradlab.execute.native.guarded import ZONE
from gradlab.execute.native.layout import Layout
from gradlab.execute.native.plan import Operand, check_operands
from gradlab.graph import Spec, trace
from gradlab.graph.indexing import INDEX_ADD
from tests.execute.native.random_graphs import Case


@pytest.mark.parametrize("seed", [11, 12])
def test_a_guarded_program_computes_the_same(seed):
    case = Case(seed, exact=True)
    plain, guarded = NativeProgram(case.graph), NativeProgram(case.graph, guard=True)
    expected = plain.run(case.inputs, case.state)
    for xs, ys in zip(guarded.run(case.inputs, case.state), expected, strict=True):
        for x, y in zip(xs, ys, strict=True):
            np.testing.assert_array_equal(x, y, strict=True)


def test_threads_take_turns_in_a_guarded_program():
    ready = NativeProgram(trace(lambda x: gl.exp(x).sum(), Spec((8, 8))), guard=True)
    inputs = [np.full((8, 8), k, np.float32) for k in range(8)]
    results = {}

    def run(k):
        for _ in range(20):
            results[k] = ready.run([inputs[k]], [])[0][0]

    threads = [threading.Thread(target=run, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k in range(8):
        np.testing.assert_allclose(results[k], 64 * np.exp(k), rtol=1e-5)


def test_the_environment_turns_it_on(monkeypatch):
    function = trace(lambda x: x + 1, Spec((2,)))
    monkeypatch.setenv(program_module().GUARD, "1")
    assert "guard.check" not in NativeProgram(function, guard=False).ir
    assert NativeProgram(function)._guards is not None
    monkeypatch.setenv(program_module().GUARD, "0")
    assert NativeProgram(function)._guards is None


def program_module():
    from gradlab.execute.native import program

    return program


# --- plants: each breaks one part of the compiler ---------------------------------------------


def one_too_many(monkeypatch):
    """Loops over rows go one too far."""
    plain = program._Emitter._bounds

    def bounds(self, r):
        begin, end = plain(self, r)
        return begin, self.b.add(end, program.index(1))

    monkeypatch.setattr(program._Emitter, "_bounds", bounds)


def shifted(monkeypatch):
    """What is read lies three elements further on than it should."""
    plain = nest._Emitter._load

    def load(self, x, indices):
        moved = dataclasses.replace(x, layout=dataclasses.replace(x.layout, offset=3))
        self.strides[moved] = self.strides[x]
        return plain(self, moved, indices)

    monkeypatch.setattr(nest._Emitter, "_load", load)


NETWORK = {
    "a nest": (lambda x: gl.exp(x) * 2, [(5, 7)]),
    "a reduction": (lambda x: gl.exp(x).sum(1), [(5, 7)]),
    "a product": (lambda x, y: x @ y, [(5, 7), (7, 3)]),
    "a product of vectors": (lambda x, y: x @ y, [(1, 70), (70, 33)]),
    "sorted": (lambda x: gl.argsort(x, 1), [(5, 7)]),
    "joined": (lambda x, y: gl.concat([x, y], 1), [(5, 7), (5, 2)]),
    "picked": (lambda x: x[np.array([3, 1, 2]), np.array([0, 0, 2])], [(4, 3)]),
    "scattered": (lambda x: gl.index_add((9,), np.array([1, 1, 7]), x), [(3,)]),
    "convolved": (lambda x, w: gl.conv(x, w), [(2, 1, 6, 6), (3, 1, 3, 3)]),
}


@pytest.mark.parametrize("name", NETWORK)
def test_a_loop_that_goes_too_far_is_caught(name, monkeypatch):
    function, shapes = NETWORK[name]
    graph = trace(function, *[Spec(shape) for shape in shapes])
    inputs = [np.ones(shape, np.float32) for shape in shapes]
    NativeProgram(graph, guard=True).run(inputs, [])
    one_too_many(monkeypatch)
    with pytest.raises(BoundsError, match=r"kernel \d+ .* reached for \d+ bytes at byte"):
        NativeProgram(graph, guard=True).run(inputs, [])


def test_a_place_that_is_wrong_is_caught_and_named(monkeypatch):
    graph = trace(lambda x: gl.exp(x), Spec((8,)))
    shifted(monkeypatch)
    with pytest.raises(
        BoundsError,
        match=r"kernel 0 \(exp \[8\]\) reached for 4 bytes at byte 32 of input0, which has 32",
    ):
        NativeProgram(graph, guard=True).run([np.ones(8, np.float32)], [])


def test_a_write_beyond_a_buffer_is_seen_after_the_run_too(monkeypatch):
    """The zones tell what was written where emitted code does not ask, as in BLAS."""
    monkeypatch.setattr(guard, "_accesses", lambda instruction: iter(()))
    one_too_many(monkeypatch)
    graph = trace(lambda x: gl.exp(x), Spec((8,)))
    with pytest.raises(BoundsError, match="wrote to byte 32 of output0"):
        NativeProgram(graph, guard=True).run([np.zeros(8, np.float32)], [])
    graph = trace(lambda x: gl.exp(x).sum() + x @ np.ones(8, np.float32), Spec((8,)))
    plain = make_plan(lower.lower(graph), 0, None, 1)
    apart = make_plan(lower.lower(graph), 0, None, 1, ZONE)
    assert apart.arena >= plain.arena + ZONE


def test_a_loop_over_data_is_guarded():
    data = np.arange(12, dtype=np.float32).reshape(6, 2)
    graph = trace(lambda x, rate: (x * rate).sum(), Spec((3, 2)), Spec(weak=True))
    loop = Loop(graph, [data])
    rows = np.array([[0, 1, 5], [2, 2, 3]])
    expected = [data[r].sum() * k for r, k in zip(rows, (2, 3), strict=True)]
    loop.program = NativeProgram(graph, gathered=1, guard=True)
    np.testing.assert_allclose(loop.run(rows, np.array([[2.0], [3.0]]))[0], expected)


# --- invariants -------------------------------------------------------------------------------


def test_a_row_written_out_in_another_shape_is_caught(monkeypatch):
    graph = trace(lambda x: gl.log_softmax(x, 0), Spec((3, 1)))
    monkeypatch.setitem(lower.WRITTEN_OUT, "log_softmax", lambda x, axis: gl.reshape(x, (3,)))
    with pytest.raises(AssertionError, match=r"log_softmax of float32 \(3, 1\) was written out"):
        lower.lower(graph)
    monkeypatch.setitem(lower.WRITTEN_OUT, "log_softmax", lambda x, axis: gl.astype(x, "float64"))
    with pytest.raises(AssertionError, match="float64"):
        lower.lower(graph)


@pytest.mark.parametrize("offset", [-1, 1])
def test_an_operand_beyond_its_buffer_is_caught(offset):
    plan = make_plan(trace(lambda x: gl.exp(x), Spec((4,))), 0, None, 1)
    (kernel,) = plan.kernels
    (number, target) = kernel.stores[0]
    kernel.stores[0] = (number, Operand(target.buffer, Layout((4,), (1,), offset)))
    with pytest.raises(AssertionError, match=r"reaches for elements .* of output0, which has 4"):
        check_operands(plan)


# --- picks and their adjoints -----------------------------------------------------------------


@pytest.mark.parametrize("tail", [(), (1,), (1, 1), (2,), (3, 1)])
@pytest.mark.parametrize("rows", [1, 2, 5])
@pytest.mark.parametrize("columns", [1, 3])
@pytest.mark.parametrize("keyed", ["pairs", "columns first", "negative", "repeated"])
def test_gradients_of_picks_beside_axes_of_any_length(tail, rows, columns, keyed):
    rng = np.random.default_rng(0)
    shape = (rows, columns, *tail)
    i, j = np.arange(rows), rng.integers(0, columns, rows)
    if keyed == "columns first":
        shape = (columns, rows, *tail)
        i, j = j, i
    elif keyed == "negative":
        j = j - columns
    elif keyed == "repeated":
        i = i * 0
    x = rng.normal(size=shape)
    scale = rng.normal(size=(shape[0], *(1,) * (len(shape) - 1)))

    def function(x):
        return gl.grad(lambda x: (x[i, j] ** 2).sum())(x) * scale

    expected = np.zeros(shape)
    np.add.at(expected, (i, j), 2 * x[i, j])
    graph = trace(function, Spec(shape, "float64"))
    (found,), _ = NativeProgram(graph, guard=True).run([x], [])
    np.testing.assert_allclose(found, expected * scale, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("subscripts", ["iik->ik", "iik->k", "kii->ki", "iikl->lik", "iii->i"])
@pytest.mark.parametrize("n", [1, 3])
def test_gradients_of_repeated_letters_beside_axes_of_length_1(subscripts, n):
    rng = np.random.default_rng(1)
    sizes = {"i": n, "k": 1, "l": 1}
    x = rng.normal(size=[sizes[letter] for letter in subscripts.partition("->")[0]])

    def function(x):
        return gl.grad(lambda x: (gl.einsum(subscripts, x) ** 2).sum())(x) * 3.0

    graph = trace(function, Spec(x.shape, "float64"))
    (found,), _ = NativeProgram(graph, guard=True).run([x], [])
    np.testing.assert_allclose(found, function(x).numpy(), rtol=1e-14)


def test_numbers_out_of_range_are_seen_where_another_tensor_is_picked_from():
    i, x = np.arange(2), np.ones(2, np.float32)

    def function(x, j, wide):
        return gl.index_add((2, 3), (i, j), x), wide[i, j]

    graph = trace(function, Spec((2,)), Spec((2,), "int64"), Spec((2, 9)))
    assert any(node.op is INDEX_ADD for node in lower.lower(graph).nodes)
    ready = NativeProgram(graph, guard=True)
    with pytest.raises(gl.errors.ShapeError, match="out of range"):
        ready.run([x, np.array([2, 7]), np.ones((2, 9), np.float32)], [])
