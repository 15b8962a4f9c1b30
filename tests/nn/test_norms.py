"""Normalizations against PyTorch, their running statistics, and numbers that are hard for them."""

import inspect
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradlab as gl
from gradlab import init, nn
from gradlab.errors import ArgumentError, DTypeError, ShapeError
from tests.nn.twins import check_compiled, compare, same, torch

CHANNELS = 4
BATCH = [nn.BatchNorm1d, nn.BatchNorm2d]
EACH = {
    "layer": lambda **o: nn.LayerNorm(6, **o),
    "layer of two axes": lambda **o: nn.LayerNorm((3, 6), **o),
    "rms": lambda **o: nn.RMSNorm(6, **o),
    "group": lambda **o: nn.GroupNorm(2, CHANNELS, **o),
    "batch": lambda **o: nn.BatchNorm1d(CHANNELS, **o),
}
X = (2, CHANNELS, 3, 6)


def values(*shape):
    return np.random.default_rng(3).normal(1, 2, size=shape)


def randomized(peer):
    """With other parameters than ones and zeros."""
    with torch.no_grad():
        for i, p in enumerate(peer.parameters()):
            p.copy_(torch.linspace(-1 + i, 2, p.numel()).reshape(p.shape))
    return peer


@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    count=st.integers(1, 4),
    affine=st.booleans(),
    bias=st.booleans(),
    eps=st.sampled_from([1e-5, 1e-2]),
)
@settings(max_examples=40)
def test_layer_norm_against_torch(shape, count, affine, bias, eps):
    last = shape[-count:]
    options = {"eps": eps, "elementwise_affine": affine, "bias": bias}
    peer = randomized(torch.nn.LayerNorm(last, **options))
    compare(nn.LayerNorm(last, **options, dtype="float64"), peer, values(*shape))
    del options["bias"]
    peer = randomized(torch.nn.RMSNorm(last, **options))
    compare(nn.RMSNorm(last, **options, dtype="float64"), peer, values(*shape))


@given(
    groups=st.integers(1, 3),
    each=st.integers(1, 3),
    lengths=st.lists(st.integers(1, 3), max_size=3),
    affine=st.booleans(),
)
@settings(max_examples=40)
def test_group_norm_against_torch(groups, each, lengths, affine):
    channels = groups * each
    peer = randomized(torch.nn.GroupNorm(groups, channels, affine=affine))
    ours = nn.GroupNorm(groups, channels, affine=affine, dtype="float64")
    # PyTorch refuses a single value in each group.
    compare(ours, peer, values(2, channels, *lengths, 2))


def test_rms_norm_takes_its_epsilon_from_the_inputs():
    for dtype in ("float32", "float64"):
        x = np.full((1, 3), 1e-6, dtype)
        expected = torch.nn.functional.rms_norm(torch.tensor(x), (3,))
        np.testing.assert_allclose(nn.RMSNorm(3)(x), expected, rtol=1e-6)


@pytest.mark.parametrize("momentum", [0.1, 1.0, 0.0, None])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("layer", BATCH)
def test_batch_norm_against_torch(layer, affine, momentum):
    options = {"momentum": momentum, "affine": affine}
    ours = layer(3, **options, dtype="float64")
    peer = randomized(getattr(torch.nn, layer.__name__)(3, **options))
    shapes = [(5, 3), (4, 3, 2)] if layer is nn.BatchNorm1d else [(2, 3, 2, 3), (3, 3, 1, 1)]
    for i, shape in enumerate(shapes * 2):  # each moves the running statistics on
        compare(ours, peer, values(*shape) * (i + 1))
    compare(ours.eval(), peer.eval(), values(*shapes[0]))
    compare(ours, peer, values(1, 3, *shapes[0][2:]))


def test_batch_norm_without_running_statistics():
    ours = nn.BatchNorm1d(3, track_running_stats=False, dtype="float64")
    assert list(ours.state_dict()) == ["weight", "bias"]
    peer = torch.nn.BatchNorm1d(3, track_running_stats=False)
    compare(ours, peer, values(5, 3))
    compare(ours.eval(), peer.eval(), values(5, 3))


@pytest.mark.parametrize("layer", [*BATCH, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm])
def test_arguments_come_in_pytorchs_order(layer):
    known = inspect.signature(layer).parameters
    theirs = inspect.signature(getattr(torch.nn, layer.__name__)).parameters
    assert [name for name in theirs if name in known] == list(known)
    for name, p in known.items():
        assert p.default == theirs[name].default, name


def test_running_statistics_are_buffers():
    layer = nn.BatchNorm2d(2)
    assert list(layer.named_parameters()) == ["weight", "bias"]
    assert layer.num_batches_tracked.dtype == np.int64
    layer(values(2, 2, 3, 3))
    assert layer.num_batches_tracked.item() == 1
    layer.eval()(values(2, 2, 3, 3))
    assert layer.num_batches_tracked.item() == 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("constant", [0.0, 0.1, 2024.0, 100000.1, -3e8])
@pytest.mark.parametrize("kind", ["layer", "layer of two axes", "group", "batch"])
def test_equal_numbers_become_exactly_zero(kind, constant, dtype):
    made = EACH[kind](dtype=dtype)
    x = np.full((2, CHANNELS, 18) if kind == "batch" else X, constant, dtype)
    assert not np.any(made(x))
    if kind == "batch":
        np.testing.assert_allclose(made.running_mean, 0.1 * constant, rtol=1e-6)
        np.testing.assert_allclose(made.running_var, 0.9)


@pytest.mark.parametrize("kind", ["layer", "layer of two axes", "group", "batch"])
def test_a_large_mean_does_not_cancel(kind):
    """Differences of 1 beside 1e6 in float32, whose squares of the mean would drown them."""
    x = np.random.default_rng(0).integers(0, 8, X).astype(np.float32)
    x = x.reshape(2, CHANNELS, 18) if kind == "batch" else x
    near, far = (EACH[kind]()(values).numpy() for values in (x, x + np.float32(1e6)))
    np.testing.assert_allclose(near, far, atol=1e-6)


@pytest.mark.parametrize("kind", EACH)
def test_second_order(kind):
    made = EACH[kind](dtype="float64")
    shape = (2, CHANNELS, 2) if kind == "batch" else (2, CHANNELS, 3, 6)
    gl.check_grads(lambda x: made(x) * np.arange(x.size).reshape(x.shape), [values(*shape)])


@pytest.mark.parametrize("kind", EACH)
def test_compiled_as_eager(kind):
    shape = (3, CHANNELS) if kind == "batch" else X
    check_compiled(EACH[kind](dtype="float64"), values(*shape))


def test_running_statistics_move_on_in_a_compiled_function():
    eager, compiled = (nn.BatchNorm1d(2, momentum=None, dtype="float64") for _ in range(2))
    fast = gl.compile(compiled)
    for i in range(3):
        x = values(4, 2) * i
        same(fast(x), eager(x).numpy())
    for name, value in eager.state_dict().items():
        same(compiled.state_dict()[name], value, name)
    same(gl.compile(compiled.eval())(x), eager.eval()(x).numpy())


@pytest.mark.parametrize("scheme", ["kaiming_uniform", "torch_default", "orthogonal"])
@pytest.mark.parametrize("kind", EACH)
def test_initialize_leaves_ones_and_zeros(kind, scheme):
    model = nn.Sequential(EACH[kind]())
    parameters = model.named_parameters()
    for bias in set(parameters) - {"0.weight"}:
        parameters[bias].assign(np.full(parameters[bias].shape, 3.0))
    init.initialize(model, scheme, seed=0)
    assert np.all(parameters["0.weight"].numpy() == 1)
    assert all(not np.any(v) for name, v in parameters.items() if "bias" in name)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.LayerNorm(0), "LayerNorm: normalized_shape must be a whole number from 1 up"),
        (lambda: nn.LayerNorm(()), r"LayerNorm: normalized_shape must have one length or more"),
        (lambda: nn.RMSNorm((2, 1.5)), "RMSNorm: normalized_shape must be a whole .* got 1.5"),
        (lambda: nn.RMSNorm(3, eps=-1.0), "RMSNorm: eps must be a finite number above 0, got -1.0"),
        (lambda: nn.GroupNorm(2, 3), "num_channels must be a multiple of num_groups=2, got 3"),
        (lambda: nn.GroupNorm(0, 3), "GroupNorm: num_groups must be a whole number from 1 up"),
        (lambda: nn.BatchNorm1d(-1), "BatchNorm1d: num_features must be a whole number from 1"),
        (lambda: nn.BatchNorm2d(3, eps=0), "BatchNorm2d: eps must be a finite number above 0"),
        (lambda: nn.LayerNorm(3, eps="1e-5"), "LayerNorm: eps must be a finite .* got '1e-5'"),
        (lambda: nn.GroupNorm(1, 3, eps=np.inf), "GroupNorm: eps must be a finite .* got inf"),
        (lambda: nn.BatchNorm1d(3, momentum="x"), r"momentum must be in \[0, 1\] or None, got 'x'"),
        (lambda: nn.BatchNorm2d(3, momentum=1.5), r"momentum must be in \[0, 1\] or None, got 1.5"),
    ],
)
def test_bad_arguments(make, words):
    with pytest.raises(ArgumentError, match=words):
        make()


@pytest.mark.parametrize("kind", EACH)
def test_parameters_are_floats(kind):
    with pytest.raises(DTypeError, match=r"Norm.*: dtype must be floating, got int64"):
        EACH[kind](dtype="int64")


@pytest.mark.parametrize(
    ("layer", "shape", "words"),
    [
        (nn.LayerNorm(3), (2, 4), r"LayerNorm\(3\) takes inputs of shape \(..., 3\), got \(2, 4\)"),
        (nn.LayerNorm((2, 3)), (3,), r"LayerNorm\(\(2, 3\)\) takes .* \(..., 2, 3\), got \(3,\)"),
        (nn.RMSNorm(3), (), r"RMSNorm\(3\) takes inputs of shape \(..., 3\), got \(\)"),
        (nn.GroupNorm(1, 3), (3,), r"GroupNorm\(1, 3\) takes inputs of shape \(n, 3, ...\), got"),
        (nn.BatchNorm1d(3), (2, 4), r"BatchNorm1d\(3\) .* \(n, 3\) or \(n, 3, length\), got"),
        (nn.BatchNorm2d(3), (2, 3), r"BatchNorm2d\(3\) .* \(n, 3, height, width\), got \(2, 3\)"),
        (nn.BatchNorm1d(3), (1, 3), r"needs more than one value .* larger batches, or eval\(\)$"),
        (
            nn.BatchNorm1d(3, track_running_stats=False).eval(),
            (1, 3),
            r"BatchNorm1d needs more than one value of each channel .*; use larger batches$",
        ),
    ],
)
def test_wrong_inputs(layer, shape, words):
    with pytest.raises(ShapeError, match=words):
        layer(np.ones(shape, np.float32))


# --- numbers whose squares leave the range --------------------------------------------------------

SIZED = {
    "LayerNorm": (lambda dtype: nn.LayerNorm(6, dtype=dtype), (4, 6)),
    "RMSNorm": (lambda dtype: nn.RMSNorm(6, eps=1e-6, dtype=dtype), (4, 6)),
    "GroupNorm": (lambda dtype: nn.GroupNorm(2, 4, dtype=dtype), (3, 4, 5)),
    "BatchNorm1d": (lambda dtype: nn.BatchNorm1d(6, dtype=dtype), (8, 6)),
    "BatchNorm2d": (lambda dtype: nn.BatchNorm2d(2, dtype=dtype), (3, 2, 4, 4)),
}


@pytest.mark.parametrize("executor", ["eager", "numpy", "native"])
@pytest.mark.parametrize("size", [1e-30, 1e-10, 1.0, 1e10, 1e15, 1e20, 1e30, 1e36])
@pytest.mark.parametrize("layer", SIZED)
def test_numbers_of_any_size(layer, size, executor):
    """Values and slopes in float32 are those of the same layer in float64."""
    make, shape = SIZED[layer]
    rng = np.random.default_rng(0)
    x = (rng.normal(size=shape) * size).astype(np.float32)
    weights = rng.normal(size=shape)

    def results(dtype):
        module = make(dtype)

        def slope(x):
            return gl.grad(lambda x: (module(x) * weights.astype(dtype)).sum())(x)

        run = [f if executor == "eager" else gl.compile(f, executor) for f in (module, slope)]
        with warnings.catch_warnings():
            if layer.startswith("Batch") and size > 1e18 and dtype == "float32":
                # The variance itself, which goes into the running one, is no number of float32.
                warnings.simplefilter("ignore", RuntimeWarning)
            return [np.asarray(f(x.astype(dtype)), float) for f in run]

    found, exact = results("float32"), results("float64")
    np.testing.assert_allclose(found[0], exact[0], rtol=1e-5, atol=1e-6 * abs(exact[0]).max())
    # A slope is what is left of terms that cancel, the larger ones with the digits of float32.
    np.testing.assert_allclose(found[1], exact[1], rtol=1e-4, atol=4e-6 * abs(exact[1]).max())
