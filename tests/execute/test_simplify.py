import numpy as np
import pytest

import gradlab as gl
from gradlab import nn, optim
from gradlab.execute import NumpyProgram
from gradlab.execute.simplify import simplify
from gradlab.graph import Spec, Variable, trace


def names(graph):
    return [node.op.name for node in graph.nodes]


def test_equal_operations_are_done_once():
    graph = trace(lambda x: gl.tanh(x) * 2 + gl.tanh(x) * 2, Spec((3,)))
    assert names(graph).count("tanh") == 2
    assert names(simplify(graph)) == ["tanh", "multiply", "add"]


@pytest.mark.parametrize("copy", [gl.identity, gl.stop_gradient])
def test_copies_are_left_out(copy):
    assert names(simplify(trace(lambda x: copy(gl.exp(copy(x))), Spec((3,))))) == ["exp"]


def test_what_differs_stays_apart():
    def function(x):
        return x * 0.0, x * -0.0, gl.sum(x, 0), gl.sum(x, 1), x.astype("float64")

    graph = trace(function, Spec((2, 2)))
    assert len(simplify(graph).nodes) == len(graph.nodes)


def test_each_draw_of_a_stream_stays():
    stream = gl.RandomStream(0)
    graph = simplify(trace(lambda: (stream.uniform((2,)), stream.uniform((2,)))))
    assert names(graph).count("random_uniform") == 2


def test_an_argument_can_be_output_and_new_state():
    total = Variable([0.0])

    def function(x):
        total.assign(x)
        return x

    graph = simplify(trace(function, Spec((1,))))
    outputs, assigned = NumpyProgram(graph).run([np.ones(1, np.float32)], [])
    assert outputs[0] == assigned[0] == 1.0


@pytest.mark.parametrize("optimizer", [optim.Nesterov(0.1), optim.Adam(0.01)])
def test_a_training_step_keeps_its_bits(optimizer):
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3))
    state = optimizer.init(model.named_parameters())
    names = list(optimizer.hyperparameters())

    def step(x, y, *numbers):
        hyper = dict(zip(names, numbers, strict=True))
        return optimizer.minimize(lambda: nn.cross_entropy(model(x), y), state, hyper)

    numbers = [Spec(dtype=np.float64, weak=True)] * len(names)
    graph = trace(step, Spec((5, 4)), Spec((5,), np.int64), *numbers)
    simple = simplify(graph)
    assert len(simple.nodes) < 0.8 * len(graph.nodes)
    rng = np.random.default_rng(0)
    values = [np.asarray(v) for v in optimizer.hyperparameters().values()]
    inputs = [rng.standard_normal((5, 4)).astype(np.float32), rng.integers(0, 3, 5), *values]
    for one, other in zip(run(graph, inputs), run(simple, inputs), strict=True):
        np.testing.assert_array_equal(one, other)


def run(graph, inputs):
    outputs, assigned = NumpyProgram(graph).run(inputs, [v.held.value for v, _ in graph.captured])
    return [*outputs, *assigned]


def test_a_users_row_is_never_shared():
    """Its parameters may be anything: lists, arrays, or numbers that are equal but not the same."""
    row = gl.Op(
        "signed",
        forward=lambda xp, x, by: xp.copysign(x, by[0]),
        infer=lambda x, by: (x.shape, x.dtype),
        vjps=(None,),
        formula="|x| with the sign of a number",
    )
    signed = [gl.apply, row]

    def function(x):
        apply, op = signed
        return [apply(op, (x,), {"by": [zero]}) for zero in (0.0, -0.0)]

    graph = simplify(trace(function, Spec((1,))))
    (plus, minus) = run(graph, [np.ones(1, np.float32)])
    assert (plus[0], minus[0]) == (1, -1)
