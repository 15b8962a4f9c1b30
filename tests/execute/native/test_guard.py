"""Faults planted in the compiler: its checks find them, and the guard finds them without those."""

import subprocess
import sys

import numpy as np
import pytest
from llvmlite import ir

import gradlab as gl
from gradlab.errors import ArgumentError, CompilerError, ShapeError
from gradlab.execute import Loop
from gradlab.execute.native import NativeProgram, assemble, compiler, lower, memory
from gradlab.execute.native.emit import guard as emit_guard
from gradlab.execute.native.emit import nest
from gradlab.execute.native.emit.special import gather, random
from gradlab.execute.native.layout import Layout
from gradlab.execute.native.product import tile
from gradlab.execute.simplify import simplify
from gradlab.graph import Spec, trace

ARRAYS = [np.arange(3), np.array([2, 0, 1])]


def gradient(x):
    """An adjoint of picks beside an axis of length 1, which once was written out wrongly."""
    scale = gl.tensor(np.ones((3, 1, 1), np.float32))
    return gl.grad(lambda x: (x[tuple(ARRAYS)] ** 2).sum())(x) * scale


def old_index_add(x, *arrays, key, shape):
    """The rule as it was: it does not see that there are axes behind those picked along."""
    x, columns = (gl.reshape(tensor, (shape[0], 1)) for tensor in (x, arrays[1]))
    return gl.where(gl.equal(columns, np.arange(shape[1])), x, 0.0)


def plant_rule(monkeypatch):
    monkeypatch.setitem(lower.WRITTEN_OUT, "index_add", old_index_add)
    return gradient, [(3, 4, 1)], ("check_rewritten", "written out")


def plant_reduction(monkeypatch):
    """A sum along rows is put where a sum along nothing would be."""
    wrong = lambda shape, axes: Layout.contiguous(shape)  # noqa: E731
    monkeypatch.setattr(assemble, "_reduced", wrong)
    return lambda x: gl.sum(gl.sin(x), 1), [(40, 30)], ("check_plan", "elements 0 to 1199")


def plant_layout(monkeypatch):
    """A view that begins one element too late."""
    right = Layout.windows

    def wrong(self, **sizes):
        layout = right(self, **sizes)
        return Layout(layout.shape, layout.strides, layout.offset + 1)

    monkeypatch.setattr(Layout, "windows", wrong)
    return lambda x: gl.windows(x, (2,), (1,)) + 1, [(6,)], ("check_plan", "elements 1 to 6")


def plant_tile(monkeypatch):
    """The edge of the last tile is one row too low."""
    right = tile.rows_from

    def wrong(b, first, stride, count, valid):
        return right(b, first, stride, count, b.add(valid, valid.type(1)))

    monkeypatch.setattr(tile, "rows_from", wrong)
    return lambda x, y: x @ y, [(11, 8), (8, 32)], None


def plant_length(monkeypatch):
    """The axis that is picked along passes for longer than it is."""
    right = gather.Picking.of

    def wrong(key, x, arrays):
        picking = right(key, x, arrays)
        (take,) = picking.takes
        longer = type(take)(take.length + 1, take.stride, take.layout)
        return type(picking)(picking.layout, (longer,), picking.ready, picking.sources)

    monkeypatch.setattr(gather.Picking, "of", wrong)
    rows = gl.tensor(np.array([0, 5]))
    return lambda x: gl.take(x + 1, rows + gl.astype(gl.min(x) * 0, "int64")), [(5, 3)], None


def plant_lanes(monkeypatch):
    """Random numbers fill the last block, though it is a part of one."""
    right = random._Blocks.store

    def wrong(self, lanes, position, count):
        right(self, lanes, position, self.b.add(count, count.type(1)))

    monkeypatch.setattr(random._Blocks, "store", wrong)
    stream = gl.RandomStream(0)
    return lambda x: x + stream.uniform((21,)), [()], None


def plant_loop(monkeypatch):
    """A loop nest goes one position too far."""
    right = nest._Emitter._bounds

    def wrong(self, depth):
        begin, end = right(self, depth)
        return begin, self.b.add(end, end.type(1))

    monkeypatch.setattr(nest._Emitter, "_bounds", wrong)
    return lambda x: gl.sin(x) * 2, [(7,)], None


PLANTS = [plant_rule, plant_reduction, plant_layout, plant_tile, plant_length, plant_lanes,
          plant_loop]  # fmt: skip
BY_PLAN = [plant_rule, plant_reduction, plant_layout]


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    """What is planted is not part of the key of a program on the disk."""
    monkeypatch.setenv("GRADLAB_CACHE", "off")


def planted(monkeypatch, plant):
    """The graph and inputs that the planted fault matters to, and the check that should see it."""
    function, shapes, check = plant(monkeypatch)
    graph = simplify(trace(function, *map(Spec, shapes)))
    inputs = [np.ones(shape, np.float32) for shape in shapes]
    return graph, inputs, [v.held.value for v, _ in graph.captured], check


@pytest.mark.parametrize("plant", BY_PLAN)
def test_checks_of_graphs_and_plans_find_what_is_planted(monkeypatch, plant):
    monkeypatch.setenv("GRADLAB_GUARD", "plans")
    graph, _, _, (_, text) = planted(monkeypatch, plant)
    with pytest.raises(CompilerError, match=text):
        NativeProgram(graph)


@pytest.mark.parametrize("plant", PLANTS)
def test_the_guard_finds_what_is_planted(monkeypatch, plant):
    monkeypatch.setenv("GRADLAB_GUARD", "")
    graph, inputs, state, check = planted(monkeypatch, plant)
    if check:
        where = lower if check[0] == "check_rewritten" else compiler
        monkeypatch.setattr(where, check[0], lambda *parts: None)
    ready = NativeProgram(graph, guard=True)
    with pytest.raises(
        CompilerError, match=r"kernel \d+, .*(reads|writes) \d+ bytes at byte -?\d+"
    ):
        ready.run(inputs, state)


def test_the_error_names_kernel_buffer_and_place(monkeypatch):
    graph, inputs, state, _ = planted(monkeypatch, plant_loop)
    text = r"kernel 0, sin multiply \[7\], reads 4 bytes at byte 28 of input0, which has 28"
    with pytest.raises(CompilerError, match=text):
        NativeProgram(graph, guard=True).run(inputs, state)


@pytest.mark.parametrize("plant", [plant_loop, plant_lanes])
def test_red_zones_show_what_no_bound_stopped(monkeypatch, plant):
    """What is written by code that the guard does not see: a library's, say."""
    unchecked = lambda self, *rest, **more: ir.IntType(1)(1)  # noqa: E731
    monkeypatch.setattr(emit_guard._Guard, "_checked", unchecked)
    graph, inputs, state, _ = planted(monkeypatch, plant)
    with pytest.raises(CompilerError, match=r"wrote be(side output0|tween the buffers)"):
        NativeProgram(graph, guard=True).run(inputs, state)


def test_buffers_in_use_at_once_lie_apart(monkeypatch):
    monkeypatch.setattr(memory, "_lowest", lambda begin, end, size: 0)
    graph = trace(lambda x, y: (x @ y).sum(0) @ (y @ x), Spec((4, 4)), Spec((4, 4)))
    with pytest.raises(CompilerError, match="in use at once"):
        NativeProgram(graph)


def test_a_guarded_program_gives_the_same():
    """Rows of data, stepped inputs, Variables that are written and such that are not."""
    rng = np.random.default_rng(0)
    w, b = gl.Variable(np.ones((5, 3))), gl.Variable(np.zeros(3))
    data = [rng.normal(size=(30, 5)).astype(np.float32)[::-1], rng.integers(0, 3, 30)]
    rows = rng.integers(0, 30, (6, 7))

    def step(x, y, rate):
        loss = gl.mean(gl.logsumexp(x @ w + b, 1) - (x @ w + b)[np.arange(7), y])
        w.assign(w - rate * gl.sum(x, 0)[:, None])
        return loss

    graph = simplify(trace(step, Spec((7, 5)), Spec((7,), np.int64), Spec(weak=True)))
    state = {v: v.held.value for v, _ in (*graph.captured, *graph.assigned)}
    numbers = [np.full(6, 0.1, graph.inputs[2].dtype)]
    plain, guarded = (
        NativeProgram(graph, 2, guard=guard).updates(data, rows, numbers, state)
        for guard in (False, True)
    )
    np.testing.assert_allclose(guarded[0][0], plain[0][0], rtol=1e-5)
    np.testing.assert_allclose(guarded[1][w], plain[1][w], rtol=1e-5)
    np.testing.assert_array_equal(state[w], np.ones((5, 3)))


def test_an_index_out_of_range_is_an_error_of_its_own_under_the_guard():
    graph = trace(lambda x, i: x[i], Spec((4,)), Spec((2,), np.int64))
    with pytest.raises(ShapeError, match="out of range"):
        NativeProgram(graph, guard=True).run([np.ones(4, np.float32), np.array([0, 4])], [])


def test_the_kinds_of_programs_are_apart_on_the_disk():
    graph = trace(lambda x: x + 1, Spec((2,)))
    keys = {compiler.content(graph, 0, None, 1, False, guard) for guard in (False, True)}
    assert len(keys) == 2


def test_the_variable_guards_all_programs(monkeypatch):
    monkeypatch.setenv("GRADLAB_GUARD", "memory")
    function, shapes, _ = plant_loop(monkeypatch)
    with pytest.raises(CompilerError, match="input0"):
        gl.compile(function)(np.ones(*shapes, np.float32))
    graph = trace(lambda x: x * 2, Spec((2, 3)))
    with pytest.raises(CompilerError, match="bytes at byte"):
        Loop(graph, [np.ones((4, 3), np.float32)]).run([[0, 1]], [])


def test_a_wrong_name_is_refused(monkeypatch):
    monkeypatch.setenv("GRADLAB_GUARD", "everything")
    with pytest.raises(ArgumentError, match='give "plans", "memory" or nothing'):
        NativeProgram(trace(lambda x: x + 1, Spec((2,))))


def test_the_case_that_once_corrupted_memory():
    code = """
import numpy as np, gradlab as gl
i, j, c = np.arange(2), np.array([2, 0]), np.float32([1, 10]).reshape(2, 1, 1)
f = lambda x: gl.grad(lambda x: (x[i, j] ** 2).sum())(x) * c
print(gl.compile(f)(np.arange(6, dtype=np.float32).reshape(2, 3, 1)).numpy().ravel().tolist())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "[0.0, 0.0, 4.0, 60.0, 0.0, 0.0]"
