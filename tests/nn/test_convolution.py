"""Convolutions against PyTorch, compiled, to second order, and what they say of bad arguments."""

import inspect

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import gradlab as gl
from gradlab import init, nn
from gradlab.errors import ArgumentError, DTypeError, ShapeError
from tests.nn.twins import check_compiled, compare, torch

LAYERS = [nn.Conv1d, nn.Conv2d]
TRANSPOSED = [nn.ConvTranspose1d, nn.ConvTranspose2d]
ALL = LAYERS + TRANSPOSED


def values(*shape):
    return np.random.default_rng(3).normal(size=shape)


def each(draw, rank, low, high):
    """One number, or one for each axis."""
    number = st.integers(low, high)
    return draw(st.one_of(number, st.tuples(*[number] * rank)))


def longest(number, rank):
    return np.broadcast_to(number, rank)


@given(data=st.data(), rank=st.sampled_from([1, 2]))
@settings(max_examples=60)
def test_convolutions_against_torch(data, rank):
    draw = data.draw
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    inner, outer = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 3))
    kernel, dilation = each(draw, rank, 1, 3), each(draw, rank, 1, 2)
    stride, padding = each(draw, rank, 1, 3), each(draw, rank, 0, 2)
    word = draw(st.sampled_from([None, None, "same", "valid"]))
    stride, padding = (1 if word == "same" else stride), word or padding
    lengths = draw(st.tuples(*[st.integers(3, 6)] * rank))
    around = 0 if word else longest(padding, rank)
    reach = longest(dilation, rank) * (longest(kernel, rank) - 1) + 1
    assume(word == "same" or (np.array(lengths) + 2 * around >= reach).all())
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    options["bias"] = draw(st.booleans())
    theirs = (torch.nn.Conv1d, torch.nn.Conv2d)[rank - 1](inner, outer, kernel, **options)
    ours = LAYERS[rank - 1](inner, outer, kernel, **options, dtype="float64")
    compare(ours, theirs, values(draw(st.integers(1, 2)), inner, *lengths))


@given(data=st.data(), rank=st.sampled_from([1, 2]))
@settings(max_examples=60)
def test_transposed_convolutions_against_torch(data, rank):
    draw = data.draw
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    inner, outer = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 3))
    kernel, dilation = each(draw, rank, 1, 3), each(draw, rank, 1, 2)
    stride, padding = each(draw, rank, 1, 3), each(draw, rank, 0, 2)
    extra = tuple(draw(st.integers(0, int(s) - 1)) for s in longest(stride, rank))
    lengths = draw(st.tuples(*[st.integers(2, 4)] * rank))
    reach = longest(dilation, rank) * (longest(kernel, rank) - 1) + 1
    grown = (np.array(lengths) - 1) * longest(stride, rank) + reach + extra
    assume((grown > 2 * longest(padding, rank)).all())
    options = {"stride": stride, "padding": padding, "output_padding": extra}
    options |= {"dilation": dilation, "groups": groups, "bias": draw(st.booleans())}
    peer = (torch.nn.ConvTranspose1d, torch.nn.ConvTranspose2d)[rank - 1]
    ours = TRANSPOSED[rank - 1](inner, outer, kernel, **options, dtype="float64")
    compare(ours, peer(inner, outer, kernel, **options), values(2, inner, *lengths))


@pytest.mark.parametrize("layer", ALL)
def test_arguments_come_in_pytorchs_order(layer):
    peer = getattr(torch.nn, layer.__name__)
    known = inspect.signature(layer).parameters
    theirs = [p for p in inspect.signature(peer).parameters.values() if p.name in known]
    assert [p.name for p in theirs] == list(known)
    for p in theirs:
        assert p.default == known[p.name].default, p.name


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv1d(2, 4, 3, 2, 1, groups=2, dtype="float64"), (2, 2, 6)),
        (nn.Conv2d(2, 3, (3, 2), 1, "same", dtype="float64"), (2, 2, 4, 5)),
        (nn.ConvTranspose2d(2, 3, 3, 2, 1, 1, dtype="float64"), (2, 2, 3, 2)),
    ],
)
def test_compiled_as_eager(layer, shape):
    check_compiled(layer, values(*shape))


@pytest.mark.parametrize("layer", [nn.Conv2d(2, 2, 2, 2, 1), nn.ConvTranspose2d(2, 2, 2, 2)])
def test_second_order(layer):
    x, w = values(1, 2, 3, 3), layer.weight.numpy().astype(float)
    op = gl.conv if isinstance(layer, nn.Conv2d) else gl.conv_transpose
    gl.check_grads(lambda x, w: op(x, w, layer.stride, layer.padding), [x, w])


def test_a_transposed_convolution_so_long_that_one_window_more_would_fit():
    x, w = values(1, 2, 3), values(2, 1, 2)
    y = gl.conv_transpose(x, w, dilation=2, output_padding=1)
    peer = torch.nn.functional.conv_transpose1d
    options = {"dilation": 2, "output_padding": 1}
    np.testing.assert_allclose(y, peer(torch.tensor(x), torch.tensor(w), **options))
    gl.check_grads(lambda x, w: gl.conv_transpose(x, w, **options), [x, w])


@pytest.mark.parametrize("layer", ALL)
def test_first_weights_are_pytorchs_draw(layer):
    made = layer(6, 120, 5, groups=2, dtype="float64")
    torch.manual_seed(0)
    peer = getattr(torch.nn, layer.__name__)(6, 120, 5, groups=2)
    for name, p in peer.state_dict().items():
        mine = made.named_parameters()[name].numpy()
        assert mine.shape == tuple(p.shape)
        bound = float(p.abs().max())
        assert 0.9 * bound < np.abs(mine).max() < 1.1 * bound
        assert abs(mine.std() / float(p.std()) - 1) < 0.15
    assert not np.array_equal(made.weight, layer(6, 120, 5, groups=2, dtype="float64").weight)


def test_initialize_goes_by_the_fans_of_the_kernel():
    model = nn.Sequential(nn.Conv2d(32, 64, 3), nn.ConvTranspose2d(64, 32, 3, groups=2))
    init.initialize(model, "kaiming_normal", seed=0)
    for layer in model:
        fan_in = np.prod(layer.weight.shape[1:])
        assert abs(layer.weight.numpy().std() / np.sqrt(2 / fan_in) - 1) < 0.03
        assert not layer.bias.numpy().any()
    init.initialize(model, "torch_default", seed=0)
    for layer in model:
        bound = 1 / np.sqrt(np.prod(layer.weight.shape[1:]))
        assert 0.9 * bound < np.abs(layer.bias.numpy()).max() <= bound


@pytest.mark.parametrize("layer", ALL)
def test_dtypes(layer):
    shape = (2, 3) + (5,) * layer.rank
    assert layer(3, 2, 3)(np.ones(shape, np.uint8)).dtype == np.float32
    assert layer(3, 2, 3, dtype="float64")(np.ones(shape, np.float32)).dtype == np.float64
    with pytest.raises(DTypeError, match=f"{layer.__name__}: dtype must be floating, got int64"):
        layer(3, 2, 3, dtype="int64")


@pytest.mark.parametrize("layer", ALL)
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"in_channels": 0}, "in_channels must be a whole number from 1 up, got 0"),
        ({"out_channels": 2.0}, "out_channels must be a whole number from 1 up, got 2.0"),
        ({"kernel_size": 0}, "kernel_size must be a whole number from 1 up"),
        ({"kernel_size": (1, 2, 3)}, r"kernel_size .* got \(1, 2, 3\)"),
        ({"stride": 0}, "stride must be a whole number from 1 up"),
        ({"padding": -1}, "padding must be a whole number from 0 up"),
        ({"dilation": "2"}, "dilation must be a whole number from 1 up"),
        ({"groups": 4}, "in_channels must be a multiple of groups=4, got 6"),
        ({"in_channels": 4, "groups": 4}, "out_channels must be a multiple of groups=4, got 6"),
    ],
)
def test_bad_arguments(layer, options, words):
    with pytest.raises(ArgumentError, match=f"^{layer.__name__}: {words}"):
        layer(**({"in_channels": 6, "out_channels": 6, "kernel_size": 3} | options))


def test_bad_padding():
    with pytest.raises(ArgumentError, match="unknown padding of Conv1d 'sam'; did you mean 'same'"):
        nn.Conv1d(1, 1, 3, padding="sam")
    with pytest.raises(ArgumentError, match="Conv2d: padding='same' needs stride 1, got 2"):
        nn.Conv2d(1, 1, 3, stride=2, padding="same")
    with pytest.raises(ArgumentError, match="ConvTranspose1d: output_padding must be below stride"):
        nn.ConvTranspose1d(1, 1, 3, stride=2, output_padding=2)


@pytest.mark.parametrize("layer", ALL)
def test_wrong_inputs(layer):
    made = layer(3, 2, 3)
    along = ("length", "height, width")[layer.rank - 1]
    words = rf"{layer.__name__}\(3, 2\) takes inputs of shape \(n, 3, {along}\), got "
    for shape in [(3,) + (5,) * layer.rank, (1, 2) + (5,) * layer.rank, (5,)]:
        with pytest.raises(ShapeError, match=words):
            made(np.ones(shape, np.float32))


def test_a_kernel_larger_than_the_input():
    with pytest.raises(ShapeError, match=r"Conv1d: a kernel that reaches over \(5,\)"):
        nn.Conv1d(1, 1, 5)(np.ones((1, 1, 4), np.float32))
    with pytest.raises(ShapeError, match="nothing of x"):
        nn.ConvTranspose1d(1, 1, 1, padding=1)(np.ones((1, 1, 2), np.float32))


def test_bad_arguments_of_the_functions():
    x = np.ones((1, 1, 4, 4))
    for op in (gl.conv, gl.conv_transpose):
        with pytest.raises(ShapeError, match=rf"{op.__name__} takes .* no length 0, got .*0, 3\)"):
            op(x, np.ones((1, 1, 0, 3)))
    with pytest.raises(ArgumentError, match=r"padding must be a whole number .* got array\("):
        gl.conv(x, x, padding=np.array([1, 1]))
    with pytest.raises(ArgumentError, match=r"windows: size must have a number for each axis"):
        gl.windows(x, ())
