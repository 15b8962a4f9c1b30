"""The sweep: on random small graphs, against the chain rule written out path by path."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import gradlab as gl
from gradlab.backprop import reachable, sum_to, sweep

# Each with its local derivatives by hand.
UNARY = {
    "sin": (gl.sin, lambda x: np.cos(x)),
    "tanh": (gl.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "negative": (gl.negative, lambda x: -1.0),
    "square": (gl.square, lambda x: 2 * x),
}
BINARY = {
    "add": (gl.add, lambda x, y: (1.0, 1.0)),
    "multiply": (gl.multiply, lambda x, y: (y, x)),
    "subtract": (gl.subtract, lambda x, y: (1.0, -1.0)),
}


@st.composite
def scalar_graphs(draw):
    """Recorded nodes of a random graph over two scalar sources."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sources = [gl.tensor(x) for x in rng.uniform(-1, 1, 2)]
    with gl.GradientTape() as tape:
        tape.watch(sources)
        made = list(sources)
        for _ in range(draw(st.integers(1, 9))):
            if rng.random() < 0.4:
                function, _ = UNARY[rng.choice(list(UNARY))]
                made.append(function(made[rng.integers(len(made))]))
            else:
                function, _ = BINARY[rng.choice(list(BINARY))]
                x, y = (made[i] for i in rng.integers(len(made), size=2))
                made.append(function(x, y))
    return tape._nodes, sources


def local_derivatives(node):
    values = [x.item() for x in node.inputs]
    name = node.op.name
    return (UNARY[name][1](*values),) if name in UNARY else BINARY[name][1](*values)


def over_all_paths(node, source):
    """Sum over the paths from a node back to a source of the products of local derivatives."""
    if node is source:
        return 1.0
    return (
        sum(
            slope * over_all_paths(x, source)
            for x, slope in zip(node.inputs, local_derivatives(node), strict=True)
        )
        if node.op
        else 0.0
    )


@settings(max_examples=150)
@given(graph=scalar_graphs())
def test_the_adjoint_is_the_sum_over_all_paths(graph):
    nodes, sources = graph
    y = nodes[-1]
    adjoints = sweep(nodes, {id(y): gl.tensor(np.array(1.0))}, reachable(nodes, sources))
    for x in (*sources, *nodes):
        found = adjoints[id(x)].item() if id(x) in adjoints else 0.0
        np.testing.assert_allclose(found, over_all_paths(y, x), rtol=1e-9, atol=1e-12)


@settings(max_examples=100)
@given(graph=scalar_graphs(), seed=st.floats(-2, 2))
def test_an_adjoint_is_its_seed_and_what_comes_over_its_edges(graph, seed):
    nodes, sources = graph
    seeds = {id(nodes[-1]): gl.tensor(np.array(1.0)), id(nodes[0]): gl.tensor(np.array(seed))}
    arrived = {key: g.item() for key, g in seeds.items()}
    edges = []

    def on_edge(node, i, contribution):
        edges.append((id(node), i))
        x = id(node.inputs[i])
        arrived[x] = arrived.get(x, 0.0) + contribution.item()

    adjoints = sweep(nodes, dict(seeds), reachable(nodes, sources), on_edge)
    assert len(set(edges)) == len(edges)  # each edge once
    assert set(arrived) == set(adjoints)
    for key, g in adjoints.items():
        np.testing.assert_allclose(g.item(), arrived[key], rtol=1e-12, atol=1e-15)


@settings(max_examples=30)
@given(graph=scalar_graphs())
def test_a_sweep_leaves_no_trace(graph):
    nodes, sources = graph
    reached = reachable(nodes, sources)
    first, second = (sweep(nodes, {id(nodes[-1]): gl.tensor(1.0)}, reached) for _ in range(2))
    assert {key: g.item() for key, g in first.items()} == {k: g.item() for k, g in second.items()}


def test_nothing_is_computed_for_what_was_not_asked():
    w, x = gl.Variable([1.0]), gl.Variable([2.0])
    with gl.GradientTape() as tape:
        y = gl.exp(x) * w
    reached = reachable(tape._nodes, [w.read()])
    assert reached == {id(w.read()), id(y)}


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_broadcast_is_undone_by_a_sum(seed):
    from tests.graph.samples import broadcasting, shape

    rng = np.random.default_rng(seed)
    full = shape(rng)
    small = broadcasting(rng, full)
    g, x = rng.standard_normal(full), rng.standard_normal(small)
    back = sum_to(gl.tensor(g), small)
    assert back.shape == small
    # adjoint of broadcasting: ⟨g, broadcast x⟩ = ⟨sum_to g, x⟩
    np.testing.assert_allclose((g * x).sum(), (back.numpy() * x).sum(), atol=1e-12)
