"""One small nonlinear problem, so that every test follows the same curve."""

import numpy as np
import pytest

import gradlab as gl


class Problem:
    """Regression by a net of one tanh layer, with weights in PyTorch's layout."""

    def __init__(self, dtype):
        rng = np.random.default_rng(7)
        shapes = {"0.weight": (5, 3), "0.bias": (5,), "2.weight": (1, 5), "2.bias": (1,)}
        self.start = {name: rng.normal(size=shape).astype(dtype) for name, shape in shapes.items()}
        self.x = rng.normal(size=(16, 3)).astype(dtype)
        self.y = np.sin(self.x.sum(1, keepdims=True)).astype(dtype)
        self.weights = {name: gl.Variable(w, name=name) for name, w in self.start.items()}

    def loss(self):
        w = self.weights
        a = gl.tanh(self.x @ w["0.weight"].T + w["0.bias"])
        return gl.mean((a @ w["2.weight"].T + w["2.bias"] - self.y) ** 2)

    def values(self):
        return [w.numpy() for w in self.weights.values()]


@pytest.fixture
def problem():
    return Problem(np.float64)


@pytest.fixture
def single():
    return Problem(np.float32)
