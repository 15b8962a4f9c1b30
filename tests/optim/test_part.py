"""A batch in parts is the whole batch, whatever the optimizer."""

import numpy as np
import pytest

import gradlab as gl
from gradlab import nn, optim
from gradlab.optim import Part

OPTIMIZERS = [
    *(row.factory(lr=0.05) for row in optim.optimizers.values()),
    optim.Nesterov(0.05, form="torch"),
    optim.Chain(optim.ClipNorm(0.1), optim.WeightDecay(0.1), optim.Nesterov(0.05, 0.5)),
    optim.Chain(optim.ClipValue(0.01), optim.DecoupledDecay(0.1, biases=False), optim.Adam(0.05)),
    optim.Momentum(0.05, dampening=0.3),
    optim.AdaGrad(0.05, lr_decay=0.1),
    optim.RMSProp(centered=True, momentum=0.5),
    optim.AdamW(0.05, beta2=0.6, amsgrad=True),
    optim.Nesterov(0.001, maximize=True),
    optim.Groups({"bias": optim.Adam(0.05), "*": optim.Momentum(0.05)}),
]
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(12, 3)), RNG.normal(size=(12, 2))
START = nn.Linear(3, 2, dtype="float64").state_dict()


def trained(optimizer, parts, eager, updates=4):
    """Everything after some updates with a batch in so many parts."""
    model = nn.Linear(3, 2, dtype="float64")
    model.load_state_dict(START)
    state = optimizer.init(model)
    sums = state.sums()

    def step(x, y, last):
        part = None if parts == 1 else Part(sums, 1 / parts, last)
        return optimizer.minimize(lambda: nn.mse_loss(model(x), y), state, part=part)

    run = step if eager else gl.compile(step, executor="numpy")
    losses = []
    for _ in range(updates):
        rows = np.split(np.arange(12), parts)
        losses.append(np.mean([run(X[r], Y[r], r is rows[-1]).item() for r in rows]))
    assert all(not total.numpy().any() for total in sums)
    assert state.count.item() == updates
    return [
        losses,
        *(v.numpy() for v in state.named_variables().values()),
        *model.state_dict().values(),
    ]


@pytest.mark.parametrize("eager", [True, False], ids=["eager", "compiled"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
def test_parts_are_the_whole(optimizer, eager):
    whole = trained(optimizer, 1, eager)
    for parts in (2, 6):
        for a, b in zip(whole, trained(optimizer, parts, eager), strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-9, atol=1e-12)


def test_nothing_but_the_sums_moves_before_the_last_part():
    model = nn.Linear(3, 2)
    optimizer = optim.Adam(0.1)
    state = optimizer.init(model)
    sums = state.sums()
    before = [v.numpy().copy() for v in (*state.weights, *state.named_variables().values())]
    x, y = X.astype(np.float32), Y.astype(np.float32)
    for _ in range(3):
        part = Part(sums, 0.25, False)
        optimizer.minimize(lambda: nn.mse_loss(model(x), y), state, part=part)
    after = [v.numpy() for v in (*state.weights, *state.named_variables().values())]
    assert all((a == b).all() for a, b in zip(before, after, strict=True))
    assert all(total.numpy().any() for total in sums)


def test_adamw_may_spare_the_biases():
    """Matrices as ever, biases as Adam does it."""
    found = {}
    for name, optimizer in {
        "adam": optim.Adam(0.1),
        "all": optim.AdamW(0.1, weight_decay=0.5),
        "matrices": optim.AdamW(0.1, weight_decay=0.5, biases=False),
        "chain": optim.Chain(optim.DecoupledDecay(0.5, biases=False), optim.Adam(0.1)),
    }.items():
        *_, weight, bias = trained(optimizer, 1, True, updates=1)
        found[name] = weight, bias
    (w, b), (_, adam) = found["matrices"], found["adam"]
    np.testing.assert_allclose(b, adam, rtol=1e-12)
    np.testing.assert_allclose(w, found["all"][0], rtol=1e-12)
    assert abs(found["all"][1] - b).max() > 1e-3
    for mine, chained in zip((w, b), found["chain"], strict=True):
        np.testing.assert_allclose(mine, chained, rtol=1e-12)
    with pytest.raises(gl.errors.ArgumentError, match="biases is 1"):
        optim.AdamW(biases=1)
