"""Stochastic depth: which branches it leaves out, how often, and when."""

import math

import numpy as np
import pytest

import gradlab as gl
from gradlab import nn
from gradlab.errors import ArgumentError, ShapeError


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("p", [0.1, 0.5])
def test_whole_examples_are_left_out(p, dtype):
    n = 20_000
    y = nn.StochasticDepth(p).reseed(0)(np.ones((n, 2, 3), dtype)).numpy()
    assert y.dtype == dtype
    assert (y == y[:, :1, :1]).all()
    assert set(np.unique(y)) == {0, np.dtype(dtype).type(1 / (1 - p))}
    assert abs(np.mean(y[:, 0, 0] == 0) - p) < 4 * math.sqrt(p * (1 - p) / n)


def test_a_batch_is_left_out_as_a_whole():
    layer, n = nn.StochasticDepth(0.25, "batch").reseed(0), 2000
    draws = [layer(np.ones((3, 2), np.float32)).numpy() for _ in range(n)]
    assert all((y == y[0, 0]).all() for y in draws)
    dropped = np.mean([y[0, 0] == 0 for y in draws])
    assert abs(dropped - 0.25) < 4 * math.sqrt(0.25 * 0.75 / n)


def test_layers_draw_from_streams_of_their_own():
    x = np.ones((64, 1), np.float32)
    layers = [nn.StochasticDepth(0.5) for _ in range(2)]
    draws = [layer(x).numpy().tobytes() for layer in layers * 2]
    assert len(set(draws)) == 4
    layers[0].reseed(3), layers[1].reseed(3)
    np.testing.assert_array_equal(layers[0](x), layers[1](x))


def test_off_in_evaluation_and_at_zero():
    x = gl.tensor(np.ones((4, 2)))
    layer = nn.StochasticDepth(0.5).eval()
    assert layer(x) is x
    assert nn.StochasticDepth(0.0)(x) is x
    assert layer.stream.count.item() == 0


def test_the_gradient_is_the_mask():
    x = gl.Variable(np.ones((8, 3)))
    with gl.GradientTape() as tape:
        y = nn.StochasticDepth(0.5)(x)
        loss = y.sum()
    np.testing.assert_array_equal(tape.gradient(loss, x).numpy(), y.numpy())


def test_compiled_as_eager():
    eager, other = nn.StochasticDepth(0.5).reseed(1), nn.StochasticDepth(0.5).reseed(1)
    fast, x = gl.compile(other), np.ones((16, 2), np.float32)
    for _ in range(3):
        np.testing.assert_array_equal(fast(x), eager(x))
    other.eval()
    np.testing.assert_array_equal(fast(x), x)


def test_errors():
    for p in (-0.1, 1.0, math.nan, "0.5", None):
        with pytest.raises(ArgumentError, match=r"StochasticDepth: p must be in \[0, 1\), got"):
            nn.StochasticDepth(p)
    with pytest.raises(ArgumentError, match=r"unknown mode of StochasticDepth 'rows'.*'row'"):
        nn.StochasticDepth(0.5, "rows")
    with pytest.raises(ShapeError, match=r"StochasticDepth takes inputs of shape \(n, ...\)"):
        nn.StochasticDepth(0.5)(1.0)


@pytest.mark.parametrize("layer", [nn.StochasticDepth(0.5), nn.Dropout(0.5)])
def test_whole_numbers_become_floats(layer):
    x = np.ones((200, 1), np.int64)
    assert sorted(set(layer(x).numpy().ravel())) == [0.0, 2.0]
    assert layer(x).dtype == layer.eval()(x).dtype == np.float32
