"""Traces: what a Graph holds, what it leaves out, and what cannot be traced."""

from collections import namedtuple

import numpy as np
import pytest

import gradlab as gl
from gradlab.errors import TraceError
from gradlab.graph import Spec, Symbol, trace
from gradlab.graph.tree import leaves, map_leaves, rebuild


def names(graph):
    return [node.op.name for node in graph.nodes]


def test_nodes_come_in_the_order_of_need_and_only_if_needed():
    def function(x):
        _unused = gl.exp(x)
        y = x * 2
        return y + gl.sin(y)

    graph = trace(function, Spec((2,)))
    assert names(graph) == ["multiply", "sin", "add"]
    seen = {id(x) for x in graph.inputs}
    for node in graph.nodes:
        assert all(id(x) in seen for x in node.inputs if isinstance(x, Symbol))
        seen.add(id(node))


def test_nothing_runs_while_a_function_is_traced():
    graph = trace(lambda x: gl.log(x - 1e30) / 0, Spec((3,)))
    assert names(graph) == ["subtract", "log", "divide"]


def test_what_does_not_depend_on_arguments_is_a_constant():
    graph = trace(lambda x: x + gl.exp(gl.tensor([0.0, 1.0])), Spec((2,)))
    assert names(graph) == ["add"]
    np.testing.assert_allclose(graph.nodes[0].inputs[1].numpy(), np.exp([0, 1]), rtol=1e-6)


def test_variables_read_come_in_and_variables_assigned_go_out():
    a, b, c, unused = (gl.Variable(float(i), name="abcd"[i]) for i in range(4))

    def function(x):
        unused.read()
        b.assign(a + x)
        c.assign(x)
        return b * 2

    graph = trace(function, Spec())
    assert [v.name for v, _ in graph.captured] == ["a"]
    assert [v.name for v, _ in graph.assigned] == ["b", "c"]
    assert [float(v) for v in (a, b, c)] == [0, 1, 2]  # nothing has run


def test_an_assigned_variable_is_read_as_its_new_value():
    w = gl.Variable(1.0)

    def function(x):
        w.assign(w + x)
        w.assign(w * 10)
        return w + 0

    graph = trace(function, Spec())
    assert len(graph.captured) == len(graph.assigned) == 1
    assert graph.replay(2.0).item() == 30
    assert float(w) == 30


def test_gradients_are_recorded_too():
    w = gl.Variable(3.0)

    def step(x):
        with gl.GradientTape() as tape:
            loss = (w * x - 1) ** 2
        w.assign(w - 0.5 * tape.gradient(loss, w))
        return loss

    graph = trace(step, Spec())
    assert graph.replay(2.0).item() == 25
    assert float(w) == 3 - 0.5 * 2 * 5 * 2


def test_replay_is_a_function_that_can_be_differentiated_and_traced():
    graph = trace(lambda x: gl.sin(x) * x, Spec((3,), np.float64))
    x = np.array([0.1, 0.2, 0.3])
    np.testing.assert_allclose(
        gl.grad(lambda x: graph.replay(x).sum())(x), np.cos(x) * x + np.sin(x)
    )
    again = trace(lambda x: graph.replay(x) + 1, Spec((3,), np.float64))
    assert names(again) == ["sin", "multiply", "add"]


def test_replay_keeps_what_is_weak():
    graph = trace(lambda a, b: (a * 2, gl.where(a > b, a, b), gl.astype(b, "float64")), 1.0, 2.0)
    x = gl.tensor([1.0])
    twice, larger, decided = graph.replay(1.0, 2.0)
    assert [(x * y).dtype for y in (twice, larger)] == [np.float32] * 2
    assert (x * decided).dtype == np.float64


def test_a_nest_goes_in_and_a_nest_comes_out():
    graph = trace(
        lambda nest, y: {"sum": nest["a"] + nest["b"][0], "rest": (y, None, [2.0])},
        {"a": Spec(), "b": [Spec()]},
        Spec((2,)),
    )
    assert len(graph.inputs) == 3
    result = graph.replay(1.0, 2.0, [3.0, 4.0])
    assert result["sum"].item() == 3
    assert result["rest"][1] is None
    assert result["rest"][2][0].item() == 2


def test_specs_of_examples():
    w = gl.Variable([1.0], name="w")
    assert Spec.of(w) == Spec((1,), np.dtype(np.float32), name="w")
    assert Spec.of(3) == Spec((), np.dtype(np.int64), weak=True)
    assert Spec.of(np.float64(3)) == Spec((), np.dtype(np.float64))  # a NumPy number is not weak
    assert Spec.of(np.ones((2, 1))).shape == (2, 1)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x if x > 0 else -x,
        lambda x: float(x),
        lambda x: int(x),
        lambda x: x.item(),
        lambda x: x.numpy(),
        lambda x: np.asarray(x),
        lambda x: [1, 2][x],
        lambda x: x * 2 if (x * 2 == 0) else x,
    ],
)
def test_asking_a_traced_tensor_for_its_value(function):
    with pytest.raises(TraceError, match=r"has no value yet: .*gradlab\.") as caught:
        trace(function, Spec(name="x"))
    assert "\n" not in str(caught.value)


def test_a_symbol_that_has_leaked():
    leaked = []
    trace(lambda x: leaked.append(x * 2) or x, Spec())
    with pytest.raises(TraceError, match="no value"):
        leaked[0] + 1
    with pytest.raises(TraceError, match="trace that has ended"):
        trace(lambda x: x + leaked[0], Spec())
    with pytest.raises(TraceError, match="trace that has ended"):
        trace(lambda x: leaked[0], Spec())
    with pytest.raises(TraceError, match="not the innermost"):
        trace(lambda x: trace(lambda y: x + y, Spec()).outputs[0], Spec())


def test_a_failed_trace_leaves_nothing_active():
    def broken(x):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        trace(broken, Spec())
    assert (gl.tensor(1.0) + 1).item() == 2


def test_the_listing_names_everything():
    w = gl.Variable([1.0], name="w")

    def function(x):
        w.assign((w * x).named("product"))
        return w, x + np.ones(2, np.float32)

    listing = str(trace(function, Spec((1,), name="x")))
    assert listing.splitlines() == [
        "in   x: float32(1)",
        "read w: float32(1)",
        "%1 = multiply(w, x): float32(1)  # product",
        "%2 = stop_gradient(%1): float32(1)",
        "%3 = add(x, constant float32(2)): float32(2)",
        "set  w = %2",
        "out  %2, %3",
    ]


def test_a_chain_of_a_hundred_thousand_ops():
    def chain(x):
        for _ in range(100_000):
            x = x + 1
        return x

    graph = trace(chain, Spec())
    assert len(graph.nodes) == 100_000
    (y,), _ = gl.execute.program(graph, "numpy").run([np.float32(0)], [])
    assert y == 100_000


def test_nests():
    Point = namedtuple("Point", "x y")
    nest = {"b": [1, (2, None)], "a": Point(3, [])}
    assert leaves(nest) == [1, 2, 3]  # in the order of insertion
    assert map_leaves(lambda x: -x, nest) == {"b": [-1, (-2, None)], "a": Point(-3, [])}
    assert isinstance(rebuild(nest, iter("xyz"))["a"], Point)
