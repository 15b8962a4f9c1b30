"""What is compiled anew, and what comes from the disk: the key is all that code depends on."""

import numpy as np
import pytest

import gradlab as gl
from gradlab.execute import Loop
from gradlab.execute.native import NativeProgram, assemble, compiler
from gradlab.execute.native import program as program_file
from gradlab.execute.simplify import simplify
from gradlab.graph import Spec, Variable, trace
from tests.execute.native.plans import plan_of, training_step


@pytest.fixture
def compilations(monkeypatch, tmp_path):
    """Each compilation's key; with a cache of its own, empty at first."""
    monkeypatch.setenv("GRADLAB_CACHE", str(tmp_path))
    keys = []

    def counted(*arguments):
        keys.append(compiler.content(*arguments))
        return compiler.compiled(*arguments)

    monkeypatch.setattr(program_file, "compiled", counted)
    return keys


def classifier_loop():
    step, specs, model = training_step((6, 9, 3), batch=8)
    data = np.random.default_rng(0)
    x = data.normal(size=(40, 6)).astype(np.float32)
    return Loop(trace(step, *specs), [x, data.integers(0, 3, 40)]), model


ROWS = np.random.default_rng(3).integers(0, 40, (10, 8))


def test_rates_and_weights_are_run_time_inputs(compilations):
    loop, model = classifier_loop()
    for rate in (0.1, 0.01, 1e-3):
        loop.run(ROWS, [[rate]] * 10)
        gl.init.initialize(model, "xavier_uniform", seed=int(1000 * rate))
    assert len(compilations) == 1


def test_seeds_are_run_time_inputs(compilations):
    stream = gl.RandomStream(1)
    draw = gl.compile(lambda x: x + stream.normal((3,)))
    first = draw(0.0)
    stream.key.assign(gl.RandomStream(2).key)
    stream.count.assign(0 * stream.count)
    assert not np.array_equal(draw(0.0), first)
    assert len(compilations) == 1


def test_another_process_s_program_comes_from_the_disk(compilations, monkeypatch):
    first, model = classifier_loop()
    expected = [x.tobytes() for x in first.run(ROWS, [[0.1]] * 10)]
    expected += [w.numpy().tobytes() for w in model.parameters()]

    def never(*args):
        raise AssertionError("planned again")

    monkeypatch.setattr(compiler, "make_plan", never)
    second, model = classifier_loop()
    found = [x.tobytes() for x in second.run(ROWS, [[0.1]] * 10)]
    found += [w.numpy().tobytes() for w in model.parameters()]
    assert found == expected
    assert compilations[0] == compilations[1]
    with pytest.raises(AssertionError, match="planned again"):
        NativeProgram(trace(lambda x: x + 1, Spec((2,))))


def key_of(function, *specs, gathered=0, halt=None, threads=1, timed=False):
    graph = simplify(trace(function, *specs))
    return compiler.content(graph, gathered, halt, threads, timed)


def test_what_makes_other_code_has_another_key():
    def sum_of(axis):
        return lambda x: gl.sum(x, axis)

    square = Spec((3, 3))
    v, w = (Variable(np.ones((3, 3), np.float32)) for _ in range(2))
    keys = [
        key_of(sum_of(0), square),
        key_of(sum_of(1), square),
        key_of(sum_of(0), Spec((3, 4))),
        key_of(sum_of(0), Spec((3, 3), "float64")),
        key_of(sum_of(0), square, gathered=1),
        key_of(sum_of(0), square, threads=2),
        key_of(sum_of(0), square, timed=True),
        key_of(lambda x: x[0] > 1, square),
        key_of(lambda x: x[0] > 2, square),
        key_of(lambda x: x[1] > 2, square),
        key_of(lambda x: (x.sum() > 0, x.sum()), square),
        key_of(lambda x: (x.sum() > 0, x.sum()), square, halt=0),
        key_of(lambda x: (x.sum(), x.sum() > 0), square),
        key_of(lambda x, y: x - y, square, square),
        key_of(lambda x, y: y - x, square, square),
        key_of(lambda x: (x - v).sum(), square),
        key_of(lambda x: v.assign(x - v), square),
        key_of(lambda x: w.assign(x - v), square),
        key_of(lambda x: (v.assign(x - v), w.assign(x))[:0], square),
        key_of(lambda x: gl.index(x, (np.array([0, 1]), 0)), square),
        key_of(lambda x: gl.index(x, (0, np.array([0, 1]))), square),
    ]
    assert len(set(keys)) == len(keys)


def test_names_and_large_constants_make_no_other_code():
    def plus(numbers):
        return lambda x: x + numbers

    assert key_of(plus(np.array([2.0, 7.0, 1.0, 8.0])), Spec((4,), name="a")) == key_of(
        plus(np.array([3.0, 1.0, 4.0, 1.0])), Spec((4,), name="b")
    )


def test_how_many_constants_there_are_is_part_of_the_key():
    """The code takes the address of each; two that are equal are two still."""
    one, other = gl.tensor([1.0]), gl.tensor([1.0])
    graphs = [trace(lambda x, y=y: [one, y, x], Spec((2,))) for y in (one, other)]
    assert [len(assemble.constants(graph)) for graph in graphs] == [1, 2]
    assert len({compiler.content(graph, 0, None, 1, False) for graph in graphs}) == 2


def test_whether_rows_are_picked_in_their_order_is_part_of_the_key():
    """It decides whether threads have to wait before the picking."""

    def pick(rows):
        return lambda x, columns: gl.index(x, (rows, columns))

    specs = Spec((4, 3)), Spec((4,), np.int64)
    plans = [plan_of(pick(rows), *specs) for rows in (np.arange(4), np.array([0, 1, 1, 3]))]
    assert [bool(plan.kernels[0].by_rows) for plan in plans] == [True, False]
    assert key_of(pick(np.arange(4)), *specs) != key_of(pick(np.array([0, 1, 1, 3])), *specs)
