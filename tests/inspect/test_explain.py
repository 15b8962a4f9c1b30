"""The chain rule path by path: the lecture's examples, properties over random graphs, errors."""

from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradlab as gl
from gradlab import GradientTape, Variable, init, nn, tensor
from gradlab.errors import ArgumentError, DTypeError, GradientError
from gradlab.inspect import Path, explain


def test_lecture_example():
    a, b = Variable([2.0]), Variable([1.0])
    with GradientTape(persistent=True) as tape:
        tape.watch(a)
        tape.watch(b)
        c = a + b
        d = b + 1
        y = c * d
    by_b = explain(y, wrt=b)
    first, second = by_b.paths()
    assert by_b.path_count == 2
    assert (first.route, first.contribution.item()) == ("b → c → y", 2.0)
    assert (second.route, second.contribution.item()) == ("b → d → y", 3.0)
    assert by_b.gradient.item() == 5.0 == tape.gradient(y, b).item()
    assert [str(f) for f in first.factors] == ["∂c/∂b = 1", "∂y/∂c = d = 2"]
    assert [by_b.adjoint(x).item() for x in (b, c, d, y)] == [5.0, 2.0, 3.0, 1.0]
    by_a = explain(y, wrt=a)
    assert (by_a.path_count, by_a.gradient.item()) == (1, 2.0)


def test_two_neuron_network():
    w, b = Variable(0.7, name="w", dtype="float64"), Variable(-0.2, name="b", dtype="float64")
    a_prev, y = tensor(0.62, "float64"), tensor(1.0, "float64")
    with GradientTape():
        z = w * a_prev + b
        a = gl.sigmoid(z)
        C = (a - y) ** 2
    sigma = 1 / (1 + np.exp(-(0.7 * 0.62 - 0.2)))
    slopes = [sigma * (1 - sigma), 2 * (sigma - 1)]

    (path,) = explain(C, wrt=w).paths()
    assert [f.name for f in path.factors] == ["∂z/∂w", "∂a/∂z", "∂C/∂a"]
    assert [f.text for f in path.factors] == ["a_prev", "a(1 − a)", "2(a − y)"]
    values = [f.value.item() for f in path.factors]
    np.testing.assert_allclose(values, [0.62, *slopes], rtol=1e-14)
    np.testing.assert_allclose(path.contribution.item(), np.prod(values), rtol=1e-14)

    (path,) = explain(C, wrt=b).paths()
    assert str(path.factors[0]) == "∂z/∂b = 1"
    np.testing.assert_allclose([f.value.item() for f in path.factors], [1, *slopes], rtol=1e-14)


def test_mean_over_samples_is_one_factor():
    a, y = tensor([0.5, 1.0, 2.0, 4.0], "float64"), tensor([1.0, 1.0, 1.0, 1.0], "float64")
    with GradientTape() as tape:
        tape.watch(a)
        C = ((a - y) ** 2).mean()
    (path,) = explain(C, wrt=a).paths()
    (factor,) = path.factors
    assert factor.text == "1/4 · 2(a − y)"
    np.testing.assert_allclose(factor.value, 2 * (a.numpy() - 1) / 4)


def test_perceptron_of_matrices_is_summarised():
    rng = np.random.default_rng(0)
    X, T = tensor(rng.normal(size=(64, 20))), tensor(rng.normal(size=(64, 3)))
    W1, b1 = Variable(rng.normal(size=(20, 50)), name="W1"), Variable(np.zeros(50), name="b1")
    W2 = Variable(rng.normal(size=(50, 3)), name="W2")
    with GradientTape(persistent=True) as tape:
        h = gl.relu(X @ W1 + b1)
        out = h @ W2
        loss = ((out - T) ** 2).mean()
    by_weights, by_bias = explain(loss, wrt=W1), explain(loss, wrt=b1)
    np.testing.assert_allclose(by_weights.gradient, tape.gradient(loss, W1))
    (path,) = by_weights.paths()
    assert path.factors[0].text == "Xᵀ · (1 if (X @ W1 + b1) > 0 else 0)"
    assert path.factors[1].text == "· W2ᵀ"
    assert path.factors[1].value is None
    assert str(path.factors[1]) == "∂out/∂h = · W2ᵀ, adjoint (64, 3) → (64, 50)"
    assert len(str(by_weights)) < 2000
    (path,) = by_bias.paths()
    assert str(path.factors[0]).endswith("summed to (50,)")
    np.testing.assert_allclose(path.contribution, tape.gradient(loss, b1))


def test_a_tensor_used_twice_by_one_operation_is_two_paths():
    x = tensor(3.0)
    with GradientTape() as tape:
        tape.watch(x)
        y = x * x
    explanation = explain(y, wrt=x)
    assert explanation.path_count == 2
    names = [path.factors[0].name for path in explanation.paths()]
    assert names == ["∂y/∂x by input 1", "∂y/∂x by input 2"]
    assert [path.contribution.item() for path in explanation.paths()] == [3.0, 3.0]


def test_unnamed_chains_side_by_side_stay_apart():
    a, b = tensor(2.0), tensor(1.0)
    with GradientTape() as tape:
        tape.watch((a, b))
        y = (a + b) * (b + 1)
    routes = [path.route for path in explain(y, wrt=b).paths()]
    assert routes == ["b → (a + b) → y", "b → (b + 1) → y"]


def test_reading_a_mixed_precision_product():
    w, x = Variable(2.0, name="w"), tensor([1.0, 3.0], "float64")
    with GradientTape():
        y = w * x
    (path,) = explain(y, wrt=w).paths()
    assert str(path) == "w → y contributes 4\n  ∂y/∂w = x = [1, 3], summed to ()"


# --- properties over random graphs ----------------------------------------------------------------

UNARY = (gl.sin, gl.sigmoid, gl.square, gl.negative, gl.tanh)
BINARY = (gl.add, gl.subtract, gl.multiply)
STEPS = st.lists(
    st.tuples(st.sampled_from((*UNARY, *BINARY)), st.integers(0, 99), st.integers(0, 99)),
    min_size=1,
    max_size=9,
)


def _random_graph(steps):
    """A computation whose last node uses every step's choice of earlier nodes."""
    x = tensor([0.3, -0.8], "float64", name="x")
    nodes = [x]
    with GradientTape(persistent=True) as tape:
        tape.watch(x)
        for op, i, j in steps:
            operands = (i,) if op in UNARY else (i, j)
            nodes.append(op(*(nodes[k % len(nodes)] for k in operands)))
    return tape, x, nodes


def _count(node, source):
    """Paths by brute force."""
    return 1 if node is source else sum(_count(i, source) for i in node.inputs)


@settings(max_examples=60, deadline=None)
@given(STEPS, st.booleans())
def test_paths_add_up_to_the_gradient(steps, scalar):
    tape, x, nodes = _random_graph(steps)
    with tape:
        y = nodes[-1].sum() if scalar else nodes[-1] + x
    explanation = explain(y, wrt=x)
    assert explanation.path_count == _count(y, x)
    paths = list(islice(explanation.paths(), 500))
    if explanation.path_count <= 500:
        assert len({path.edges for path in paths}) == len(paths) == explanation.path_count
        total = np.sum([path.contribution.numpy() for path in paths], axis=0)
        np.testing.assert_allclose(total, tape.gradient(y, x), rtol=1e-9, atol=1e-12)
    for path in paths[:20]:
        assert path.nodes[0] is x
        assert path.nodes[-1] is y
        factors = [np.asarray(factor.value) for factor in path.factors]
        np.testing.assert_allclose(
            path.contribution, np.prod(np.broadcast_arrays(*factors), axis=0), rtol=1e-9, atol=1e-12
        )


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_an_adjoint_is_its_seed_plus_the_edges_out_of_the_node(steps):
    tape, x, nodes = _random_graph(steps)
    with tape:
        y = nodes[-1] * x
    explanation = explain(y, wrt=x)
    for node in explanation.nodes:
        parts = [e.contribution.numpy() for e in explanation.edges if e.source is node]
        total = np.sum([float(node is y) * np.ones(2), *parts], axis=0)
        np.testing.assert_allclose(total, explanation.adjoint(node), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(total, tape.gradient(y, node), rtol=1e-12, atol=1e-14)


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_routes_of_paths_tell_them_apart(steps):
    _, x, nodes = _random_graph(steps)
    with GradientTape() as tape:
        tape.watch(x)
        y = nodes[-1] + x
    paths = [str(path) for path in islice(explain(y, wrt=x, names={}).paths(), 100)]
    if not any("more" in path for path in paths):
        assert len(set(paths)) == len(paths)


def test_an_edge_past_other_paths_is_not_taken_for_the_whole_derivative():
    x = tensor(3.0)
    with GradientTape() as tape:
        tape.watch(x)
        h = x * 2.0
        y = h + x
    explanation = explain(y, wrt=x)
    assert str(explanation).startswith("∂y/∂x = 3, the sum over 2 paths from x to y")
    assert [str(path.factors[-1]) for path in explanation.paths()] == [
        "∂y/∂h = 1",
        "∂y/∂x directly = 1",
    ]


# --- networks -------------------------------------------------------------------------------------


def network(activation="relu"):
    """A perceptron with two layers under a tape: model, loss and the loss's tape."""
    model = nn.MLP((3, 4, 2), activation)
    init.initialize(model, seed=0)
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    with GradientTape(persistent=True) as tape:
        loss = nn.cross_entropy(model(x), [0, 1, 0, 1, 1])
    return model, loss, tape


def test_layers_and_activations_of_a_network_are_seen_by_name():
    model, loss, tape = network()
    explanation = explain(loss, wrt=model[0].weight)
    (path,) = explanation.paths()
    assert path.route == ("0.weight → Linear:0 → ReLU:1 → Linear:2 → log_softmax(Linear:2) → loss")
    assert [f.text for f in path.factors[:3]] == [
        "array(5, 3)ᵀ ·", "1 if Linear:0 > 0 else 0", "· 2.weight",
    ]  # fmt: skip
    assert path.factors[-1].text == "−1/5"
    assert "ReLU:1 = relu(Linear:0)" in str(explanation)
    np.testing.assert_allclose(path.contribution, tape.gradient(loss, model[0].weight))


def test_a_long_chain_of_unnamed_nodes_is_cut_where_its_text_would_be_too_long():
    x = tensor([0.5, 2.0], name="x")
    with GradientTape() as tape:
        tape.watch(x)
        y = gl.sigmoid(gl.exp(gl.sin(gl.square(x + 1.0)) * gl.tanh(3.0)))
        y = gl.tanh(gl.sigmoid(gl.tanh(gl.sigmoid(y)))).sum()
    (path,) = explain(y, wrt=x).paths()
    assert len(path.factors) > 2
    assert all(0 < len(factor.text) <= 72 for factor in path.factors)
    product = np.prod([factor.value.numpy() for factor in path.factors], axis=0)
    np.testing.assert_allclose(path.contribution, product, rtol=1e-6)


def test_a_layer_called_twice_has_two_names():
    layer = nn.Sequential(nn.Linear(2, 2))[0]
    with GradientTape():
        y = layer(layer([[1.0, 2.0]])).sum()
    routes = [path.route for path in explain(y, wrt=layer.weight).paths()]
    assert routes == [
        "0.weight → Linear:0 → (Linear:0 @ 0.weightᵀ) → Linear:0#2 → y",
        "0.weight → (Linear:0 @ 0.weightᵀ) → Linear:0#2 → y",
    ]


def test_unnamed_nodes_with_the_same_formula_are_told_apart():
    x = tensor([0.3], name="x")
    with GradientTape() as tape:
        tape.watch(x)
        y = gl.sin(x) + gl.sin(x)
    assert len({path.route for path in explain(y, wrt=x).paths()}) == 2


# --- large graphs ---------------------------------------------------------------------------------


def test_sixty_diamonds_have_2_to_the_60_paths():
    x = tensor(1.0)
    with GradientTape() as tape:
        tape.watch(x)
        y = x
        for _ in range(60):
            y = y * 0.5 + gl.sin(y)
    explanation = explain(y, wrt=x)
    assert explanation.path_count == 2**60
    first = list(islice(explanation.paths(), 3))  # all of them would take ages
    assert len({path.edges for path in first}) == 3
    assert all(isinstance(path, Path) for path in first)
    assert "… and 1,152,921,504,606,846,966 more" in str(explanation)
    with pytest.raises(ArgumentError, match="more than 60"):
        explanation.to_svg()


def test_a_chain_of_100_000_operations():
    x = tensor(1.0, "float64", name="x")
    with GradientTape() as tape:
        tape.watch(x)
        y = x
        for _ in range(100_000):
            y = y * 1.00001
    explanation = explain(y, wrt=x)
    (path,) = explanation.paths()
    assert explanation.path_count == 1
    assert len(path.edges) == 100_000
    np.testing.assert_allclose(path.contribution, np.exp(1e5 * np.log1p(1e-5)), rtol=1e-9)
    assert max(len(factor.text) for factor in path.factors) <= 72
    assert "more factors" in str(path)


# --- names ----------------------------------------------------------------------------------------


def test_names_are_given_own_or_the_callers():
    w, other = Variable(2.0, name="weight"), tensor(3.0)
    with GradientTape():
        product = w * other
        y = product + w * 5.0
    assert [p.route for p in explain(y, wrt=w).paths()] == [
        "weight → product → y",
        "weight → (weight · 5) → y",
    ]
    chosen = explain(y, wrt=w, names={"W": w, "loss": y})
    assert str(next(iter(chosen.paths()))).splitlines() == [
        "W → (W · 3) → loss contributes 3",
        "  ∂(W · 3)/∂W = 3",
        "  ∂loss/∂(W · 3) = 1",
    ]
    with pytest.raises(ArgumentError, match=r"names\['c'\] is of type float"):
        explain(y, wrt=w, names={"c": 1.0})


def test_a_variable_of_the_caller_names_a_leaf_without_a_name():
    theta = Variable(2.0)
    with GradientTape():
        y = theta**3
    (path,) = explain(y, wrt=theta).paths()
    assert str(path.factors[0]) == "∂y/∂theta = 3·theta^(3−1) = 12"


def test_an_operation_without_derivative_texts_shows_its_name():
    cube = gl.Op(
        "cube",
        forward=lambda xp, x: x * x * x,
        infer=gl.elementwise_shape,
        vjps=(lambda g, y, x: g * 3 * x * x,),
        formula="x³",
    )
    x = tensor(2.0)
    with GradientTape() as tape:
        tape.watch(x)
        y = gl.apply(cube, (x,))
    (path,) = explain(y, wrt=x).paths()
    assert str(path.factors[0]) == "∂y/∂x = cube′ = 12"


def test_values_of_any_kind_have_a_short_text():
    x = tensor([[1.0, np.nan, np.inf]] * 5)
    with GradientTape() as tape:
        tape.watch(x)
        y = x * 2.0
    text = str(explain(y, wrt=x))
    assert "shape (5, 3), norm nan" in text
    assert "2 everywhere, shape (5, 3)" in text


# --- errors ---------------------------------------------------------------------------------------


def test_errors_say_what_to_do():
    w, unused, x = Variable(2.0, name="w"), Variable(1.0, name="unused"), tensor([1.0])
    with GradientTape():
        y = w * 3.0
        stopped = gl.stop_gradient(w * 1.0) * x
    with pytest.raises(GradientError, match=r"not recorded.*GradientTape"):
        explain(w.held * 3.0, wrt=w)
    with pytest.raises(GradientError, match="not recorded"):
        explain(3.0, wrt=w)
    with pytest.raises(GradientError, match="y does not depend on unused"):
        explain(y, wrt=unused)
    with pytest.raises(GradientError, match="only through stop_gradient"):
        explain(stopped, wrt=w)
    with pytest.raises(GradientError, match="wrt is of type float"):
        explain(y, wrt=2.0)
    with pytest.raises(DTypeError, match="wrt is int64"):
        explain(y, wrt=tensor([1, 2]))
    with pytest.raises(GradientError, match="lies on no path"):
        explain(y, wrt=w).adjoint(x)
    w.assign(5.0)
    with pytest.raises(GradientError, match="earlier value of w"):
        explain(y, wrt=w)
    with pytest.raises(GradientError, match="traced tensor"):
        gl.trace(lambda x: explain(x * 2, wrt=x), gl.Spec(()))


def test_explaining_while_the_tape_still_records_changes_nothing():
    x = tensor(3.0)
    with GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = x**2
        before = str(explain(y, wrt=x))
        z = y * x
    assert str(explain(y, wrt=x)).splitlines()[0] == before.splitlines()[0]
    assert tape.gradient(z, x).item() == 27.0
