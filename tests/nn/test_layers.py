"""Layers by themselves: shapes, dtypes, statistics of dropout, errors."""

import math

import numpy as np
import pytest

import gradlab as gl
from gradlab import nn
from gradlab.errors import ArgumentError, DTypeError, ShapeError


def test_linear_starts_from_a_draw_of_its_own_within_bounds():
    a, b = (nn.Linear(16, 400, dtype="float64") for _ in range(2))
    assert not np.isin(a.weight.numpy(), b.weight.numpy()).any()
    for values in (a.weight.numpy(), a.bias.numpy()):
        assert 0.24 < np.abs(values).max() <= 0.25
        assert abs(values.mean()) < 6 * 0.25 / math.sqrt(3 * values.size)
    # The bias is not a continuation of a row of the weight.
    assert not np.isin(a.bias.numpy(), a.weight.numpy()).any()


@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 5, 3), (0, 3)])
def test_linear_keeps_leading_axes(shape):
    layer, x = nn.Linear(3, 2), np.ones(shape, np.float32)
    expected = x @ layer.weight.numpy().T + layer.bias.numpy()
    assert layer(x).shape == (*shape[:-1], 2)
    np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-6)


def test_linear_without_bias_and_in_float64():
    layer = nn.Linear(3, 2, bias=False, dtype="float64")
    assert list(layer.named_parameters()) == ["weight"]
    assert layer(np.ones((1, 3))).dtype == np.float64
    with pytest.raises(DTypeError, match="must be floating, got int64"):
        nn.Linear(3, 2, dtype="int64")


def test_linear_follows_the_default_dtype():
    gl.set_default_dtype("float64")
    try:
        assert nn.Linear(3, 2).weight.dtype == np.float64
    finally:
        gl.set_default_dtype("float32")


@pytest.mark.parametrize("sizes", [(0, 2), (3, -1), (2.0, 1), (True, 2)])
def test_linear_wants_whole_sizes(sizes):
    with pytest.raises(ArgumentError, match=r"_features must be a whole number from 1 up"):
        nn.Linear(*sizes)


@pytest.mark.parametrize("shape", [(), (4,), (3, 4)])
def test_linear_names_the_shape_that_it_takes(shape):
    with pytest.raises(ShapeError, match=r"Linear\(3, 2\) takes inputs of shape \(\.\.\., 3\)"):
        nn.Linear(3, 2)(np.ones(shape))


def test_flatten():
    x = np.arange(24.0).reshape(2, 3, 4)
    assert np.array_equal(nn.Flatten()(x).numpy(), x.reshape(2, 12))
    assert nn.Flatten()(np.ones((0, 3, 4))).shape == (0, 12)
    assert nn.Flatten()(np.ones(5)).shape == (5, 1)
    with pytest.raises(ShapeError, match="got a number"):
        nn.Flatten()(1.0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_statistics(p, dtype):
    n = 200_000
    y = nn.Dropout(p).reseed(0)(np.full(n, 3.0, dtype)).numpy()
    assert y.dtype == dtype
    assert set(np.unique(y)) == {0, np.dtype(dtype).type(3) * np.dtype(dtype).type(1 / (1 - p))}
    dropped = np.mean(y == 0)
    assert abs(dropped - p) < 4 * math.sqrt(p * (1 - p) / n)
    assert abs(y.mean() - 3) < 4 * 3 * math.sqrt(p / (1 - p) / n)


def test_dropout_masks_differ_between_calls_and_layers():
    model = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5))
    x = np.ones(64, np.float32)
    first, second = model[0](x).numpy(), model[0](x).numpy()
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, model[1](x).numpy())


def test_dropouts_made_by_hand_share_no_mask():
    x = np.ones(64, np.float32)
    masks = [nn.Dropout(0.5)(x).numpy() for _ in range(3)]
    assert len({mask.tobytes() for mask in masks}) == 3
    branches = [nn.Sequential(nn.Dropout(0.5)) for _ in range(2)]
    assert not np.array_equal(*(branch(x).numpy() for branch in branches))


def test_dropout_is_off_in_evaluation_and_at_zero():
    x = gl.tensor(np.ones(64))
    layer = nn.Dropout(0.5).eval()
    assert layer(x) is x
    assert nn.Dropout(0.0)(x) is x
    assert layer.stream.count.item() == 0


def test_dropout_gradient_is_the_mask():
    layer, x = nn.Dropout(0.5), gl.Variable(np.ones(64))
    with gl.GradientTape() as tape:
        y = layer(x)
        loss = y.sum()
    np.testing.assert_array_equal(tape.gradient(loss, x).numpy(), y.numpy())


def test_dropout_is_the_same_compiled():
    eager, model = nn.MLP((4, 8, 2), dropout=0.5), nn.MLP((4, 8, 2), dropout=0.5)
    eager.load_state_dict(model.state_dict())
    eager.reseed(1)
    fast, x = gl.compile(model.reseed(1)), np.ones((3, 4), np.float32)
    for _ in range(3):
        # Numbers of about 1 at most, by sums of 4 and then of 8 terms in either order.
        bound = (4 + 8) * np.finfo(np.float32).eps
        np.testing.assert_allclose(fast(x).numpy(), eager(x).numpy(), rtol=0, atol=bound)


def test_a_compiled_dropout_follows_the_mode():
    layer, x = nn.Dropout(0.5), np.ones(64, np.float32)
    fast = gl.compile(lambda x: layer(x))
    assert not fast(x).numpy().all()
    layer.eval()
    np.testing.assert_array_equal(fast(x), x)
    layer.train()
    assert not fast(x).numpy().all()


def test_a_mode_that_is_set_inside_a_compiled_function_is_recorded_once():
    layer, calls = nn.Dropout(0.5), []

    @gl.compile
    def evaluated(x):
        calls.append(1)
        before = layer.training
        layer.eval()
        y = layer(x)
        layer.train(before)
        return y

    x = np.ones(8, np.float32)
    for _ in range(3):
        np.testing.assert_array_equal(evaluated(x), x)
    assert len(calls) == 1


@pytest.mark.parametrize("p", [-0.1, 1.0, math.nan])
def test_dropout_wants_a_probability(p):
    with pytest.raises(ArgumentError, match=r"p must be in \[0, 1\)"):
        nn.Dropout(p)


def test_sequential_is_a_sequence():
    parts = [nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)]
    model = nn.Sequential(*parts)
    assert len(model) == 3
    assert list(model) == parts
    assert model[-1] is parts[-1]
    assert nn.Sequential()(1.0) == 1.0
    with pytest.raises(ArgumentError, match="number 1 is <function relu"):
        nn.Sequential(nn.ReLU(), gl.relu)


def test_a_slice_is_a_sequential_of_the_same_modules():
    model = nn.MLP((2, 5, 3))
    head, tail = model[:2], model[2:]
    assert [type(part) for part in (head, tail)] == [nn.Sequential] * 2
    assert list(head) == [model[0], model[1]]
    assert list(tail.named_parameters()) == ["0.weight", "0.bias"]
    assert model[2].weight.name == "2.weight"
    x = np.ones((4, 2), np.float32)
    np.testing.assert_array_equal(tail(head(x)), model(x))


def test_an_mlp_takes_a_module_as_activation():
    given = nn.LeakyReLU(0.2)
    model = nn.MLP((2, 3, 3, 1), given)
    assert model[1].negative_slope == model[3].negative_slope == 0.2
    assert len({id(given), id(model[1]), id(model[3])}) == 3
    with pytest.raises(ArgumentError, match=r"activation is <class .*ReLU'>; write it as text"):
        nn.MLP((2, 3, 1), nn.ReLU)


def test_mlp_layers_and_names():
    model = nn.MLP((2, 5, 4, 3), "leaky_relu(negative_slope=0.2)", dropout=0.25)
    assert [type(part).__name__ for part in model] == [
        "Linear", "LeakyReLU", "Dropout", "Linear", "LeakyReLU", "Dropout", "Linear",
    ]  # fmt: skip
    assert model[1].negative_slope == 0.2
    assert model[2].p == 0.25
    assert {k: v.shape for k, v in model.named_parameters().items()} == {
        "0.weight": (5, 2), "0.bias": (5,), "3.weight": (4, 5), "3.bias": (4,),
        "6.weight": (3, 4), "6.bias": (3,),
    }  # fmt: skip
    assert [v.name for v in model.parameters()] == list(model.named_parameters())
    assert list(nn.MLP((2, 1)).named_parameters()) == ["0.weight", "0.bias"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (((3,),), r"sizes must be \(in, ..., out\), at least two; got \(3,\)"),
        ((5,), "sizes must be"),
        (((3, 0, 1),), "out_features must be a whole number"),
        (((3, 2, 1), "rely"), "unknown activation 'rely'; did you mean 'relu'"),
        (((3, 2, 1), "relu", 1.5), r"p must be in \[0, 1\)"),
        (((3, 2, 1), "relu", math.nan), r"p must be in \[0, 1\)"),
    ],
)
def test_mlp_errors(arguments, words):
    with pytest.raises(ArgumentError, match=words):
        nn.MLP(*arguments)


LAYERS = {
    "Linear": lambda: nn.Linear(2, 3, dtype="float64"),
    "LayerNorm": lambda: nn.LayerNorm(2, dtype="float64"),
    "BatchNorm1d": lambda: nn.BatchNorm1d(2, dtype="float64"),
    "Dropout": lambda: nn.Dropout(0.0),
    "Flatten": lambda: nn.Flatten(),
    **{name: lambda name=name: nn.activations.build(name) for name in nn.activations},
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_take_lists_of_tensors(name):
    layer, start = LAYERS[name](), np.array([[0.5, -1.0], [2.0, 0.3]])
    expected, pullback = gl.vjp(layer, start)
    found, back = gl.vjp(lambda x: layer([x[0], (x[1, 0], x[1, 1])]), start)
    u = np.random.default_rng(0).standard_normal(found.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(back(u)[0], pullback(u)[0], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", nn.losses)
def test_losses_take_lists_of_tensors(name):
    loss, start = nn.losses.build(name), np.array([[0.5, -1.0], [2.0, 0.3]])
    targets = {"cross_entropy": [1, 0], "hinge": [1, 0], "vae": np.zeros((2, 0))}
    target = targets.get(name, [[1.0, 0.0], [0.0, 1.0]])
    expected = gl.grad(lambda x: loss(x, target))(start)
    found = gl.grad(lambda x: loss([x[0], [x[1, 0], x[1, 1]]], target))(start)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
