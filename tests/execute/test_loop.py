"""Loop: the same as calling the step again and again."""

import numpy as np
import pytest

import gradlab as gl
from gradlab.execute import Loop
from gradlab.graph import Spec, trace

rng = np.random.default_rng(0)
X = rng.normal(size=(20, 3)).astype(np.float32)
Y = 2 * X.sum(1)
ROWS = rng.integers(0, 20, (15, 4))
RATES = 0.1 / np.arange(1, 16)


class Model:
    """Weights with momentum and noise: variables of each kind that a training carries."""

    def __init__(self):
        self.w = gl.Variable(np.ones(3, np.float32), name="w")
        self.v = gl.Variable(np.zeros(3, np.float32), trainable=False)
        self.count = gl.Variable(0, trainable=False)
        self.stream = gl.RandomStream(1)

    def step(self, x, y, rate):
        with gl.GradientTape() as tape:
            noise = self.stream.normal((4, 3)) * 0.01
            loss = gl.mean(((x + noise) @ self.w - y) ** 2)
        self.v.assign(0.9 * self.v - rate * tape.gradient(loss, self.w))
        self.w.assign(self.w + self.v)
        self.count.assign(self.count + 1)
        return loss, loss > 0.05, self.w

    def state(self):
        return [v.numpy() for v in (self.w, self.v, self.count, self.stream.count)]


def loop_of(model, **options):
    graph = trace(model.step, Spec((4, 3)), Spec((4,)), Spec(weak=True, dtype=np.float64))
    return Loop(graph, [X, Y], **options)


def same(a, b):
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y, strict=True)


def test_the_same_bits_as_the_compiled_step():
    looped, stepped = Model(), Model()
    emitted = loop_of(looped).run(ROWS, RATES[:, None])
    step = gl.compile(stepped.step)
    results = [step(X[rows], Y[rows], float(r)) for rows, r in zip(ROWS, RATES, strict=True)]
    same(emitted, [np.stack([r[i].numpy() for r in results]) for i in range(3)])
    same(looped.state(), stepped.state())
    assert int(looped.count) == 15


def test_it_can_be_cut_into_pieces():
    whole, pieces = Model(), Model()
    loop = loop_of(pieces)
    emitted = loop_of(whole).run(ROWS, RATES[:, None])
    parts = [loop.run(ROWS[a:b], RATES[a:b, None]) for a, b in [(0, 4), (4, 4), (4, 15)]]
    same(emitted, [np.concatenate(part) for part in zip(*parts, strict=True)])
    same(whole.state(), pieces.state())


def test_it_halts_after_the_first_update_whose_flag_is_false():
    free, halted = Model(), Model()
    losses, going, _ = loop_of(free).run(ROWS, RATES[:, None])
    assert not going.all()
    first = int(np.argmin(going))
    assert 0 < first < 14
    emitted = loop_of(halted, halt=1).run(ROWS, RATES[:, None])
    assert len(emitted[0]) == first + 1
    assert int(halted.count) == first + 1
    np.testing.assert_array_equal(emitted[0], losses[: first + 1])


@pytest.mark.parametrize("data", [X.astype(np.float64), (10 * X).astype(np.int64)])
def test_everything_is_computed_in_the_dtypes_of_the_graph(data):
    w = gl.Variable([0.0, 0.0, 0.0])

    def step(x, rate):
        w.assign(w + rate * x.sum(0))
        return w, rate * 2

    loop = Loop(trace(step, Spec((4, 3)), Spec(weak=True)), [data])
    emitted = loop.run(ROWS, RATES[:, None])
    assert [x.dtype for x in emitted] == [np.float32, np.float32]
    again = gl.Variable([0.0, 0.0, 0.0])
    for rows, rate in zip(ROWS, RATES, strict=True):
        again.assign(again + float(rate) * data[rows].astype(np.float32).sum(0))
    np.testing.assert_array_equal(w, again)


def test_floats_are_not_cut_to_whole_numbers():
    with pytest.raises(TypeError, match="Cannot cast"):
        Loop(trace(lambda x: x, Spec((4,), np.int64)), [Y])


def test_no_updates_leave_everything_as_it_was():
    model = Model()
    emitted = loop_of(model).run(ROWS[:0], RATES[:0, None])
    assert [x.shape for x in emitted] == [(0,), (0,), (0, 3)]
    same(model.state(), Model().state())
