"""Each rule whose convention optax shares, update by update in float64."""

import numpy as np
import pytest

import gradlab as gl
from gradlab import optim

jax = pytest.importorskip("jax")
optax = pytest.importorskip("optax")

SHAPES = [(4, 3), (3,)]


def rate(t):
    return 0.1 / (1 + 0.3 * t)


CASES = {
    "sgd": (optim.SGD(rate), lambda: optax.sgd(rate)),
    "momentum": (
        optim.Momentum(rate, 0.8, form="torch"),
        lambda: optax.sgd(rate, momentum=0.8),
    ),
    "nesterov": (
        optim.Nesterov(rate, 0.8, form="torch"),
        lambda: optax.sgd(rate, momentum=0.8, nesterov=True),
    ),
    "adagrad": (
        optim.AdaGrad(rate, eps=0, initial_accumulator=0.1 + 1e-7),
        lambda: optax.adagrad(rate),
    ),
    "rmsprop": (optim.RMSProp(rate, 0.8, 1e-3), lambda: optax.rmsprop(rate, 0.8, 1e-3)),
    "adam": (optim.Adam(rate), lambda: optax.adam(rate)),
    "adamw": (optim.AdamW(rate, weight_decay=0.2), lambda: optax.adamw(rate, weight_decay=0.2)),
    "clip norm": (
        optim.Chain(optim.ClipNorm(3.6), optim.Momentum(rate, form="torch")),
        lambda: optax.chain(optax.clip_by_global_norm(3.6), optax.sgd(rate, momentum=0.9)),
    ),
    "clip value": (
        optim.Chain(optim.ClipValue(0.5), optim.Adam(rate)),
        lambda: optax.chain(optax.clip(0.5), optax.adam(rate)),
    ),
    "decay of matrices": (
        optim.Chain(optim.DecoupledDecay(0.2, biases=False), optim.Adam(rate)),
        lambda: optax.adamw(rate, weight_decay=0.2, mask=[True, False]),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_follows_optax_under_a_schedule(case):
    optimizer, make = CASES[case]
    rng = np.random.default_rng(5)
    weights = [gl.tensor(rng.normal(size=shape)) for shape in SHAPES]
    state = optimizer.init([gl.Variable(w.numpy()) for w in weights])
    slots = [{name: v.read() for name, v in s.items()} for s in state.slots]
    with jax.enable_x64(True):
        theirs = make()
        params = [jax.numpy.asarray(w.numpy()) for w in weights]
        memory = theirs.init(params)
        for t in range(30):
            gradients = [rng.normal(size=shape) for shape in SHAPES]
            h = optimizer.hyperparameters(t)
            mine = [gl.tensor(g) for g in gradients]
            weights, slots = optimizer.update(weights, mine, slots, h, t + 1)
            steps, memory = theirs.update([jax.numpy.asarray(g) for g in gradients], memory, params)
            params = optax.apply_updates(params, steps)
            for a, b in zip(weights, params, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12, err_msg=f"update {t}")
