"""PyTorch as the independent implementation: names, layouts, outputs, gradients, a training."""

import numpy as np
import pytest

import gradlab as gl
from gradlab import nn

torch = pytest.importorskip("torch")
F = torch.nn.functional

ACTIVATIONS = {
    "identity": torch.nn.Identity(),
    "relu": torch.nn.ReLU(),
    "leaky_relu": torch.nn.LeakyReLU(),
    "elu": torch.nn.ELU(),
    "softplus": torch.nn.Softplus(threshold=1000),
    "sigmoid": torch.nn.Sigmoid(),
    "tanh": torch.nn.Tanh(),
    "gelu": torch.nn.GELU(),
    "silu": torch.nn.SiLU(),
}


def twins(activation="tanh"):
    """The same model twice, with PyTorch's weights."""
    torch.manual_seed(0)
    theirs = torch.nn.Sequential(
        torch.nn.Linear(5, 7), ACTIVATIONS[activation], torch.nn.Linear(7, 3)
    ).double()
    ours = nn.MLP((5, 7, 3), activation, dtype="float64")
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def batch(n=6):
    rng = np.random.default_rng(1)
    return rng.normal(size=(n, 5)), rng.integers(0, 3, n)


def same(ours, theirs):
    np.testing.assert_allclose(ours.numpy(), theirs.detach().numpy(), rtol=1e-12, atol=1e-12)


def test_every_activation_is_compared():
    assert set(ACTIVATIONS) == set(nn.activations)


@pytest.mark.parametrize("activation", nn.activations)
def test_outputs_and_gradients(activation):
    ours, theirs = twins(activation)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    x, y = batch()
    with gl.GradientTape() as tape:
        loss = nn.cross_entropy(ours(x), y)
    gradients = tape.gradient(loss, ours.named_parameters())
    F.cross_entropy(theirs(torch.tensor(x)), torch.tensor(y)).backward()
    same(ours(x), theirs(torch.tensor(x)))
    for name, parameter in theirs.named_parameters():
        same(gradients[name], parameter.grad)


def test_state_loads_into_torch():
    ours, theirs = nn.MLP((5, 7, 3), "tanh", dtype="float64"), twins()[1]
    theirs.load_state_dict({k: torch.tensor(v) for k, v in ours.state_dict().items()})
    x, _ = batch()
    same(ours(x), theirs(torch.tensor(x)))


def test_parameters_that_require_grad_load():
    ours, theirs = twins()
    with torch.no_grad():
        theirs[0].weight += 1
    ours.load_state_dict(dict(theirs.named_parameters()))
    np.testing.assert_array_equal(ours[0].weight, theirs[0].weight.detach())


def test_tied_weights_load_under_all_their_names():
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
    theirs[1].weight = theirs[0].weight
    ours = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    ours[1].weight = ours[0].weight
    ours.load_state_dict(theirs.state_dict())
    assert list(ours.state_dict()) == ["0.weight", "0.bias", "1.bias"]
    x = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    np.testing.assert_allclose(ours(x), theirs(torch.tensor(x)).detach(), rtol=1e-6)

    alias = {name: value for name, value in theirs.state_dict().items() if name != "0.weight"}
    ours.load_state_dict(alias)
    untied = theirs.state_dict() | {"1.weight": torch.zeros(3, 3)}
    with pytest.raises(gl.errors.ArgumentError, match=r"0.weight and 1.weight are one Variable"):
        ours.load_state_dict(untied)


def test_a_module_at_two_places_loads_under_both():
    shared, again = torch.nn.Linear(2, 2), nn.Linear(2, 2)
    ours = nn.Sequential(again, nn.Tanh(), again)
    ours.load_state_dict(torch.nn.Sequential(shared, torch.nn.Tanh(), shared).state_dict())
    np.testing.assert_array_equal(again.weight, shared.weight.detach())


def test_leaky_relu_and_elu_take_their_settings():
    x = np.linspace(-3, 3, 13)
    same(nn.LeakyReLU(0.3)(x), torch.nn.LeakyReLU(0.3)(torch.tensor(x)))
    same(nn.ELU(0.7)(x), torch.nn.ELU(0.7)(torch.tensor(x)))


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_softmax_modules(axis):
    x = np.random.default_rng(0).normal(size=(3, 4))
    same(nn.Softmax(axis)(x), torch.softmax(torch.tensor(x), axis))
    same(nn.LogSoftmax(axis)(x), torch.log_softmax(torch.tensor(x), axis))


def test_a_training_step_by_step():
    ours, theirs = twins()
    x, y = batch(20)

    @gl.compile
    def step(x, y, rate):
        with gl.GradientTape() as tape:
            loss = nn.cross_entropy(ours(x), y)
        weights = ours.parameters()
        for w, g in zip(weights, tape.gradient(loss, weights), strict=True):
            w.assign(w - rate * g)
        return loss

    for _ in range(10):
        loss = F.cross_entropy(theirs(torch.tensor(x)), torch.tensor(y))
        weights = list(theirs.parameters())
        gradients = torch.autograd.grad(loss, weights)
        with torch.no_grad():
            for w, g in zip(weights, gradients, strict=True):
                w -= 0.5 * g
        same(step(x, y, 0.5), loss)
    for name, value in theirs.state_dict().items():
        same(ours.named_parameters()[name], value)


# --- losses -----------------------------------------------------------------------------------

RNG = np.random.default_rng(2)
VALUES = RNG.normal(size=(8, 4)) * 2
OTHERS = RNG.normal(size=(8, 4))
CLASSES = RNG.integers(0, 4, 8)
SHARES = RNG.dirichlet(np.ones(4), 8)
LOSSES = {
    "mse": (nn.mse_loss, F.mse_loss, OTHERS),
    "huber": (nn.huber_loss, F.huber_loss, OTHERS),
    "huber_wide": (
        lambda p, t, r="mean": nn.huber_loss(p, t, r, delta=2.5),
        lambda p, t, reduction: F.huber_loss(p, t, reduction, 2.5),
        OTHERS,
    ),
    "cross_entropy": (nn.cross_entropy, F.cross_entropy, CLASSES),
    "soft_cross_entropy": (nn.cross_entropy, F.cross_entropy, SHARES),
    "binary": (
        nn.binary_cross_entropy_with_logits,
        F.binary_cross_entropy_with_logits,
        SHARES,
    ),
    "hinge": (nn.hinge_loss, F.multi_margin_loss, CLASSES),
}


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", LOSSES)
def test_losses(name, reduction):
    ours, theirs, target = LOSSES[name]
    z, t = gl.Variable(VALUES), torch.tensor(VALUES, requires_grad=True)
    with gl.GradientTape() as tape:
        found = ours(z, target, reduction)
    expected = theirs(t, torch.tensor(target), reduction=reduction)
    same(found, expected)
    expected.sum().backward()
    same(tape.gradient(found, z), t.grad)


@pytest.mark.parametrize("name", ["cross_entropy", "binary", "hinge", "mse", "huber"])
def test_losses_of_extreme_predictions(name):
    ours, theirs, _ = LOSSES[name]
    logits = np.array([[1e4, -1e4], [-1e4, 1e4], [0.0, 0.0], [1e4, 1e4]])
    target = np.array([0, 0, 1, 1])
    if name not in ("cross_entropy", "hinge"):
        target = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    z, t = gl.Variable(logits), torch.tensor(logits, requires_grad=True)
    with gl.GradientTape() as tape:
        found = ours(z, target, "none")
    expected = theirs(t, torch.tensor(target), reduction="none")
    same(found, expected)
    assert np.isfinite(found.numpy()).all()
    expected.sum().backward()
    same(tape.gradient(found, z), t.grad)
