"""Weights that are frozen and thawed under an optimizer of one's own loop."""

import numpy as np
import pytest

import gradlab as gl
from gradlab import nn, optim
from gradlab.errors import ArgumentError, GradientError

torch = pytest.importorskip("torch")
X = np.random.default_rng(0).normal(size=(8, 3))


@pytest.mark.parametrize("compiled", [False, True])
def test_adam_counts_the_updates_of_each_weight_as_pytorch_does(compiled):
    """Also where a compiled step returns to what was trainable before."""
    model = nn.Sequential(nn.Linear(3, 4, dtype="float64"), nn.Linear(4, 1, dtype="float64"))
    twin = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 1)).double()
    twin.load_state_dict({k: torch.tensor(v) for k, v in model.state_dict().items()})
    optimizer, other = optim.Adam(0.05), torch.optim.Adam(twin.parameters(), 0.05)
    state = optimizer.init(model)

    def step():
        return optimizer.minimize(lambda: (model(X) ** 2).mean(), state)

    run = gl.compile(step, executor="numpy") if compiled else step
    for trainable in (True, False, True, False, True):
        model[0].weight.trainable = model[0].bias.trainable = trainable
        for p in twin[0].parameters():
            p.requires_grad_(trainable)
            p.grad = None
        for _ in range(3):
            run()
            other.zero_grad()
            (twin(torch.tensor(X)) ** 2).mean().backward()
            other.step()
        for name, value in twin.state_dict().items():
            np.testing.assert_allclose(model.state_dict()[name], value.numpy(), rtol=1e-6)
    counts = {k: v.item() for k, v in state.named_variables().items() if k.endswith("count")}
    assert counts == {"count": 15, "0.weight.count": 9, "0.bias.count": 9}


def test_a_frozen_weight_that_the_loss_does_not_read():
    w, still = gl.Variable([1.0]), gl.Variable([1.0], name="still")
    optimizer = optim.SGD(0.5)
    state = optimizer.init({"w": w, "still": still})
    still.trainable = False

    @gl.compile
    def step(rate):
        return optimizer.minimize(
            lambda: (w * w).sum() + ((still**2).sum() if still.trainable else 0.0),
            state,
            {"lr": rate},
        )

    step(0.5)
    assert still.item() == 1
    still.trainable = True
    step(0.5)
    assert still.item() == 0


@pytest.mark.parametrize("optimizer", [optim.SGD(0.5), optim.Nesterov(0.5)])
def test_weights_that_the_loss_does_not_depend_on(optimizer):
    w, idle = gl.Variable([1.0]), gl.Variable([1.0])
    state = optimizer.init({"w": w, "idle": idle})
    with pytest.raises(GradientError, match="was never read"):
        optimizer.minimize(lambda: (w * w).sum(), state)
    assert (w.item(), idle.item()) == (1, 1)
    names = []
    optimizer.minimize(lambda: (w * w).sum(), state, on_unused=names.extend)
    assert names == ["idle"]
    assert w.item() != 1 == idle.item()
    with pytest.raises(GradientError, match="none of the weights"):
        optimizer.minimize(lambda: gl.tensor(1.0), state, on_unused=names.extend)
    w.trainable = idle.trainable = False
    with pytest.raises(ArgumentError, match="none of the weights is trainable"):
        optimizer.minimize(lambda: (w * w).sum(), state)
