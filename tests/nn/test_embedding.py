"""Embedding against PyTorch; numbers out of range, eager and compiled."""

import numpy as np
import pytest

import gradlab as gl
from gradlab import init, nn
from gradlab.errors import ArgumentError, DTypeError, ShapeError
from tests.nn.twins import compare, same, torch


@pytest.mark.parametrize("padding", [None, 0, 3, -1])
@pytest.mark.parametrize("shape", [(), (4,), (2, 3), (2, 0)])
def test_against_torch(shape, padding):
    indices = np.random.default_rng(0).integers(0, 5, shape)
    ours = nn.Embedding(5, 3, padding_idx=padding, dtype="float64")
    compare(ours, torch.nn.Embedding(5, 3, padding_idx=padding), indices)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32", "int64"])
def test_whole_numbers_of_every_kind(dtype):
    layer, indices = nn.Embedding(300, 2), np.array([[0, 7], [100, 7]], dtype)
    np.testing.assert_array_equal(layer(indices), layer.weight.numpy()[indices])
    np.testing.assert_array_equal(gl.compile(layer)(indices), layer.weight.numpy()[indices])


def test_compiled_as_eager():
    layer, indices = nn.Embedding(5, 3, padding_idx=1, dtype="float64"), np.array([[4, 1], [4, 0]])

    def step(indices):
        with gl.GradientTape() as tape:
            loss = gl.square(layer(indices)).sum()
        return tape.gradient(loss, layer.weight)

    gradient = gl.compile(step)(indices)
    same(gradient, step(indices).numpy())
    assert not gradient.numpy()[1].any()


def test_the_vector_of_padding_starts_at_zero():
    weight = nn.Embedding(4, 3, padding_idx=-2).weight.numpy()
    assert not weight[2].any()
    assert np.abs(weight).sum(axis=1).astype(bool).tolist() == [True, True, False, True]


def test_starts_standard_normal_and_takes_the_scheme():
    layer = nn.Embedding(500, 40)
    assert abs(layer.weight.numpy().std() - 1) < 0.02
    assert abs(layer.weight.numpy().mean()) < 0.03
    init.initialize(layer, "normal(std=0.02)", seed=0)
    assert abs(layer.weight.numpy().std() - 0.02) < 0.0005


def test_initialize_leaves_the_vector_of_padding_at_zero():
    layer = nn.Embedding(4, 3, padding_idx=-1)
    init.initialize(layer, "constant(value=2.0)")
    assert layer.weight.numpy().tolist() == [[2.0] * 3] * 3 + [[0.0] * 3]


@pytest.mark.parametrize("index", [-1, 5, 99])
def test_numbers_out_of_range(index):
    layer = nn.Embedding(5, 3)
    with pytest.raises(ArgumentError, match=f"Embedding: .* from 0 to 4, got .*{index}"):
        layer([0, index])
    with pytest.raises(ShapeError, match=r"an index .*is out of range"):
        gl.compile(layer)(np.array([0, index]))


def test_bad_arguments():
    with pytest.raises(ArgumentError, match="Embedding: num_embeddings must be a whole number"):
        nn.Embedding(0, 3)
    with pytest.raises(ArgumentError, match=r"Embedding: embedding_dim must be .* got 1.5"):
        nn.Embedding(3, 1.5)
    with pytest.raises(ArgumentError, match="padding_idx must be from -3 to 2, got 3"):
        nn.Embedding(3, 2, padding_idx=3)
    with pytest.raises(ArgumentError, match="padding_idx must be from -3 to 2, got -4"):
        nn.Embedding(3, 2, padding_idx=-4)
    with pytest.raises(ArgumentError, match=r"padding_idx must be from -3 to 2, got 1\.0"):
        nn.Embedding(3, 2, padding_idx=1.0)
    with pytest.raises(DTypeError, match="Embedding: dtype must be floating, got int32"):
        nn.Embedding(3, 2, dtype="int32")
    with pytest.raises(DTypeError, match="Embedding takes whole numbers, got float32"):
        nn.Embedding(3, 2)([0.0])
