"""Recurrent layers against PyTorch: names, outputs, last states, gradients; and compiled."""

import numpy as np
import pytest

import gradlab as gl
from gradlab import nn
from gradlab.errors import ArgumentError, DTypeError, ShapeError

torch = pytest.importorskip("torch")

KINDS = ["RNN", "LSTM", "GRU"]
OPTIONS = [
    {},
    {"num_layers": 2, "batch_first": True},
    {"num_layers": 2, "bidirectional": True},
    {"bias": False, "bidirectional": True, "batch_first": True},
]


def twins(kind, **options):
    """The same layer twice, with PyTorch's weights."""
    torch.manual_seed(0)
    theirs = getattr(torch.nn, kind)(3, 4, **options).double()
    ours = getattr(nn, kind)(3, 4, **options, dtype="float64")
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def flat(output):
    """Outputs and last states in a row."""
    y, state = output
    return [y, *(state if isinstance(state, tuple) else [state])]


def compare(ours, theirs, x, state=()):
    """Outputs, last states, and the gradients of a sum of all of them, weighted."""
    rng = np.random.default_rng(2)
    x, cells = gl.Variable(x), [gl.Variable(part) for part in state]
    x_, cells_ = (
        torch.tensor(x.numpy(), requires_grad=True),
        [torch.tensor(part, requires_grad=True) for part in state],
    )
    given = () if not state else (tuple(cells),) if len(cells) == 2 else (cells[0],)
    given_ = () if not state else (tuple(cells_),) if len(cells_) == 2 else (cells_[0],)
    found_ = flat(theirs(x_, *given_))
    weights = [rng.normal(size=part.shape) for part in found_]
    with gl.GradientTape() as tape:
        found = flat(ours(x, *given))
        loss = sum((part * w).sum() for part, w in zip(found, weights, strict=True))
    sum((part * torch.tensor(w)).sum() for part, w in zip(found_, weights, strict=True)).backward()
    for part, part_ in zip(found, found_, strict=True):
        np.testing.assert_allclose(part.numpy(), part_.detach().numpy(), rtol=1e-12, atol=1e-13)
    wanted = {name: p.grad for name, p in theirs.named_parameters()}
    gradients = tape.gradient(loss, [*ours.parameters(), x, *cells])
    for g, g_ in zip(
        gradients, [*wanted.values(), x_.grad, *(c.grad for c in cells_)], strict=True
    ):
        np.testing.assert_allclose(g.numpy(), g_.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_against_torch(kind, options):
    ours, theirs = twins(kind, **options)
    compare(ours, theirs, np.random.default_rng(1).normal(size=(5, 2, 3)))


@pytest.mark.parametrize("kind", KINDS)
def test_initial_states(kind):
    ours, theirs = twins(kind, num_layers=2, bidirectional=True)
    rng = np.random.default_rng(1)
    state = [rng.normal(size=(4, 2, 4)) for _ in range(2 if kind == "LSTM" else 1)]
    compare(ours, theirs, rng.normal(size=(3, 2, 3)), state)


def test_relu():
    ours, theirs = twins("RNN", nonlinearity="relu")
    compare(ours, theirs, np.random.default_rng(1).normal(size=(5, 2, 3)))


@pytest.mark.parametrize("kind", KINDS)
def test_the_inputs_of_all_steps_are_one_product(kind):
    layer, steps = getattr(nn, kind)(3, 4), 6
    graph = gl.trace(layer, gl.Spec((steps, 2, 3)))
    products = [node.size for node in graph.nodes if "matmul" in node.op.name]
    rows = layer.gates * 4
    assert products == [steps * 2 * rows] + [2 * rows] * steps


@pytest.mark.parametrize("kind", KINDS)
def test_first_weights_are_pytorchs_draw(kind):
    for parameter in getattr(nn, kind)(9, 64, num_layers=2, bidirectional=True).parameters():
        assert 0.9 / 8 < np.abs(parameter.numpy()).max() <= 1 / 8
        assert abs(parameter.numpy().mean()) < 0.02


def test_dropout_between_layers_only():
    x = np.ones((2, 6, 3), np.float32)
    one = nn.LSTM(3, 4, dropout=0.9, batch_first=True)
    np.testing.assert_array_equal(one(x)[0], one(x)[0])
    two = nn.LSTM(3, 4, num_layers=2, dropout=0.5, batch_first=True)
    assert not np.array_equal(two(x)[0], two(x)[0])
    two.eval()
    np.testing.assert_array_equal(two(x)[0], two(x)[0])
    # The last layer's own outputs are kept.
    assert np.all(two.train()(x)[0].numpy() != 0)


def test_compiled_with_gradients():
    layer, _ = twins("LSTM", num_layers=2, batch_first=True)  # of seeded weights

    def step(x):
        with gl.GradientTape() as tape:
            y, (h, c) = layer(x)
            loss = (y * y).mean() + h.sum() + c.sum()
        return loss, tape.gradient(loss, layer.parameters())

    x = np.random.default_rng(0).normal(size=(2, 4, 3))
    loss, gradients = gl.compile(step)(x)
    wanted, expected = step(x)
    # Sums of a few hundred terms of the order of 1, each rounded to 1e-16.
    np.testing.assert_allclose(loss, wanted, rtol=1e-13)
    for found, right in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be(kind):
    make = getattr(nn, kind)
    with pytest.raises(ArgumentError, match=f"{kind}: hidden_size must be a whole number"):
        make(3, 0)
    with pytest.raises(ArgumentError, match=r"p must be in \[0, 1\)"):
        make(3, 4, dropout=1.0)
    with pytest.raises(DTypeError, match="floating"):
        make(3, 4, dtype="int64")
    with pytest.raises(
        ShapeError, match=rf"{kind} takes inputs of shape \(n, t, 3\), .*got \(2, 4\)"
    ):
        make(3, 4, batch_first=True)(np.ones((2, 4)))
    with pytest.raises(ShapeError, match=r"\(t, n, 3\), .*got \(2, 4, 5\)"):
        make(3, 4)(np.ones((2, 4, 5)))
    with pytest.raises(ShapeError, match=r"t at least 1, got \(0, 4, 3\)"):
        make(3, 4)(np.ones((0, 4, 3)))
    state = np.ones((2, 2, 4))
    with pytest.raises(ShapeError, match=r"initial state must have shape \(1, 2, 4\), got \(2, 2"):
        make(3, 4)(np.ones((5, 2, 3)), (state, state) if kind == "LSTM" else state)


def test_rnn_nonlinearity():
    with pytest.raises(ArgumentError, match="unknown nonlinearity 'relus'; did you mean 'relu'"):
        nn.RNN(3, 4, nonlinearity="relus")
