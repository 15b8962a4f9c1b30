"""The rules of scikit-learn's networks, update by update, while the learning rate changes."""

import math

import numpy as np
import pytest
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer

import gradlab as gl
from gradlab import optim

UPDATES = 40


def rate(t):
    return 0.1 * (1 + 0.6 * math.sin(t))


def follow(optimizer, theirs, weights):
    """Both from the same gradients, those of a bowl."""
    scale = np.array([1.0, 4.0, 0.3])
    w = gl.Variable(weights[0].copy())
    state = optimizer.init([w])
    for t in range(UPDATES):
        optimizer.minimize(lambda: (scale * gl.square(w)).sum() / 2, state, epoch=t)
        if isinstance(theirs, AdamOptimizer):
            theirs.learning_rate_init = rate(t)
        else:
            theirs.learning_rate = rate(t)
        theirs.update_params(weights, [scale * weights[0]])
        np.testing.assert_allclose(w.numpy(), weights[0], rtol=1e-11, err_msg=f"update {t}")


@pytest.fixture
def weights():
    return [np.array([1.0, -2.0, 3.0])]


@pytest.mark.parametrize(
    ("optimizer", "nesterov"),
    [
        (optim.Momentum(rate, 0.8), False),
        (optim.Nesterov(rate, 0.8, form="keras"), True),
    ],
    ids=["momentum", "nesterov"],
)
def test_momentum(optimizer, nesterov, weights):
    follow(optimizer, SGDOptimizer(weights, momentum=0.8, nesterov=nesterov), weights)


def test_adam_with_epsilon_before_the_correction(weights):
    eps = 1e-2

    def corrected(t):
        return eps / math.sqrt(1 - 0.99 ** (t + 1))

    optimizer = optim.Adam(rate, beta2=0.99, eps=corrected)
    follow(optimizer, AdamOptimizer(weights, beta_2=0.99, epsilon=eps), weights)
