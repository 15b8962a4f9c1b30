"""Poolings against PyTorch, compiled, to second order, and what they say of bad arguments."""

import inspect

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import gradlab as gl
from gradlab import nn
from gradlab.errors import ArgumentError, ShapeError
from tests.nn.twins import check_compiled, compare, torch

MAX = [nn.MaxPool1d, nn.MaxPool2d]
AVG = [nn.AvgPool1d, nn.AvgPool2d]
ADAPTIVE = [
    nn.AdaptiveAvgPool1d,
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveMaxPool1d,
    nn.AdaptiveMaxPool2d,
]


def values(*shape):
    return np.random.default_rng(3).normal(size=shape)


def of_torch(layer, *arguments, **options):
    return getattr(torch.nn, layer.__name__)(*arguments, **options)


@given(data=st.data(), layer=st.sampled_from(MAX + AVG))
@settings(max_examples=80)
def test_windows_against_torch(data, layer):
    draw, rank = data.draw, layer.rank
    sizes = st.tuples(*[st.integers(1, 3)] * rank)
    kernel, stride = draw(sizes), draw(st.one_of(st.none(), sizes))
    options = {"padding": tuple(draw(st.integers(0, k // 2)) for k in kernel)}
    if layer in MAX:
        # PyTorch writes outside its memory for windows that lie in the padding altogether.
        options["dilation"] = 1 if any(options["padding"]) else draw(sizes)
    else:
        options["count_include_pad"] = draw(st.booleans())
    lengths = np.array(draw(st.tuples(*[st.integers(1, 7)] * rank)))
    reach = np.array(options.get("dilation", 1)) * (np.array(kernel) - 1) + 1
    assume((lengths + 2 * np.array(options["padding"]) >= reach).all())
    # Without ties, where PyTorch chooses otherwise.
    x = np.random.default_rng(0).permutation(4 * lengths.prod()).reshape(2, 2, *lengths) / 7
    compare(layer(kernel, stride, **options), of_torch(layer, kernel, stride, **options), x)


@given(data=st.data(), layer=st.sampled_from(ADAPTIVE))
@settings(max_examples=60)
def test_adaptive_pooling_against_torch(data, layer):
    numbers = st.tuples(*[st.integers(1, 7)] * layer.rank)
    lengths, counts = np.array(data.draw(numbers)), data.draw(numbers)
    x = np.random.default_rng(0).permutation(4 * lengths.prod()).reshape(2, 2, *lengths) / 7
    compare(layer(counts), of_torch(layer, counts), x)


@pytest.mark.parametrize("layer", MAX + AVG + ADAPTIVE)
def test_arguments_have_pytorchs_names_and_defaults(layer):
    known = inspect.signature(layer).parameters
    theirs = inspect.signature(getattr(torch.nn, layer.__name__)).parameters
    positional = [p.name for p in known.values() if p.kind is not p.KEYWORD_ONLY]
    assert positional == list(theirs)[: len(positional)]
    for name, p in known.items():
        assert p.default == theirs[name].default, name


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.MaxPool2d(3, 2, 1), (2, 2, 5, 6)),
        (nn.MaxPool1d(2), (1, 2, 7)),
        (nn.AvgPool2d(3, 2, 1, count_include_pad=False), (1, 2, 5, 4)),
        (nn.AdaptiveAvgPool2d((2, 3)), (1, 2, 4, 7)),
    ],
)
def test_compiled_as_eager(layer, shape):
    check_compiled(layer, values(*shape))


@pytest.mark.parametrize("layer", [nn.MaxPool2d(2, 1, 1), nn.AvgPool2d(2, 1, 1)])
def test_second_order(layer):
    gl.check_grads(lambda x: gl.square(layer(x)), [values(1, 1, 3, 3)])


def test_those_that_tie_share_the_gradient():
    x = gl.Variable(np.zeros((1, 1, 4)))
    with gl.GradientTape() as tape:
        y = nn.MaxPool1d(2)(x).sum()
    np.testing.assert_array_equal(tape.gradient(y, x), [[[0.5, 0.5, 0.5, 0.5]]])


def test_padding_never_wins():
    x = -1 - np.arange(4.0).reshape(1, 1, 4)
    np.testing.assert_array_equal(nn.MaxPool1d(3, 1, 1)(x), [[[-1, -1, -2, -3]]])


def test_whole_numbers_become_floats():
    assert nn.MaxPool2d(2)(np.full((1, 1, 2, 2), 255, np.uint8)).dtype == np.float32


@pytest.mark.parametrize("layer", MAX + AVG)
def test_bad_arguments(layer):
    name = layer.__name__
    with pytest.raises(ArgumentError, match=f"{name}: kernel_size must be a whole number from 1"):
        layer(0)
    with pytest.raises(ArgumentError, match=f"{name}: stride must be"):
        layer(2, (1, 1, 1))
    with pytest.raises(ArgumentError, match=f"{name}: padding must be at most half of kernel_size"):
        layer(3, padding=2)
    with pytest.raises(ShapeError, match=f"{name}: windows of .* are larger than inputs"):
        layer(4)(np.ones((1, 1) + (3,) * layer.rank))


@pytest.mark.parametrize("layer", [*MAX, *AVG, *ADAPTIVE])
def test_wrong_inputs(layer):
    along = ("length", "height, width")[layer.rank - 1]
    words = rf"{layer.__name__} takes inputs of shape \(n, channels, {along}\), got \(5, 6\)"
    with pytest.raises(ShapeError, match=words):
        layer(2)(np.ones((5, 6)))


def test_adaptive_sizes_are_checked():
    with pytest.raises(ArgumentError, match="AdaptiveAvgPool2d: output_size must be a whole"):
        nn.AdaptiveAvgPool2d(0)
    with pytest.raises(ShapeError, match="no elements"):
        nn.AdaptiveAvgPool1d(2)(np.ones((1, 1, 0)))
