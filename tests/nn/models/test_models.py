"""The registry of models: published sizes, refusals, first values, and a training of each."""

import ast
import math
import re
from pathlib import Path

import numpy as np
import pytest

import gradlab as gl
from gradlab import init, nn
from gradlab.errors import ArgumentError, ShapeError
from gradlab.nn.models import GPT, CharLSTM, vae_loss
from gradlab.nn.models.shapes import same_sides

models = nn.models.models
CIFAR, IMAGENET = (3, 32, 32), (3, 224, 224)


def made(spec, inputs, outputs):
    return models.build(spec, inputs=inputs, outputs=outputs)


def size(spec, inputs, outputs):
    return sum(v.size for v in made(spec, inputs, outputs).parameters())


# He et al., table 6, in millions; their network counts shortcuts of option A.
@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85)])
def test_resnet_has_the_published_size(depth, millions):
    assert round(size(f"resnet(depth={depth})", CIFAR, 10) / 1e6, 2) == millions


# Sizes to the last parameter, as published or counted by hand from the source's layers.
@pytest.mark.parametrize(
    ("spec", "inputs", "outputs", "count"),
    [
        ("mlp", (1, 28, 28), 10, 785 * 128 + 129 * 64 + 65 * 10),
        ("mlp(hidden=())", (784,), 10, 7850),
        ("mlp(hidden=(1000, 500, 100))", (784,), 10, 785 * 1000 + 1001 * 500 + 501 * 100 + 1010),
        ("2c2d", (1, 28, 28), 10, 26 * 32 + 801 * 64 + 3137 * 1024 + 10250),
        ("3c3d", CIFAR, 10, 76 * 64 + 577 * 96 + 865 * 128 + 1153 * 512 + 513 * 256 + 2570),
        (
            "all_cnn_c",
            CIFAR,
            100,
            28 * 96 + 2 * 865 * 96 + 865 * 192 + 3 * 1729 * 192 + 193 * 192 + 19300,
        ),
        ("resnet", CIFAR, 10, 269_722),
        ("wide_resnet", CIFAR, 10, 2_748_890),
        ("vae", (1, 28, 28), 10, 10_151_489),
        ("char_lstm", (50,), 83, 83 * 128 + 2 * (2 * 128 * 512 + 2 * 512) + 129 * 83),
        ("gpt", (64,), 65, 65 * 128 + 64 * 128 + 4 * (12 * 128**2 + 2 * 128) + 128),
        ("vit(patch=16, layers=12)", IMAGENET, 1000, 5_717_416),
        ("convnext", IMAGENET, 1000, 5_217_784),
    ],
)
def test_sizes(spec, inputs, outputs, count):
    assert size(spec, inputs, outputs) == count
    told = models[spec.partition("(")[0]].factory.__doc__
    assert f"{count:,}" in told.replace("\n    ", " ") or spec == "mlp(hidden=())"


def test_the_docs_tell_the_sizes():
    page = (Path(__file__).parents[3] / "docs" / "architectures.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| `\w+` \|[^|]*\| ([\d,]+) \| (.*?) \|", page, re.MULTILINE)
    assert sorted(name for name, _, _ in rows) == sorted(models)
    for name, count, at in rows:
        place = ast.literal_eval(at)
        inputs, outputs = place if isinstance(place[0], tuple) else (place, 0)
        assert f"{size(name, inputs, outputs):,}" == count


def test_gpt_is_gpt_2_in_its_setting():
    def formula(layers, width, block, tokens):
        return (tokens + block + 2) * width + layers * (12 * width**2 + 13 * width)

    for layers, width, block, tokens in ((1, 24, 8, 5), (3, 12, 7, 11)):
        spec = f"gpt(layers={layers}, heads=12, width={width}, bias=True)"
        assert size(spec, (block,), tokens) == formula(layers, width, block, tokens)
    assert f"{formula(12, 768, 1024, 50257):,}" in GPT.__doc__


# The smallest of each, on images or sequences of 4 examples.
SMALL = {
    "mlp": ("mlp(hidden=(8,), dropout=0.1)", (1, 3, 3)),
    "2c2d": ("2c2d", (1, 4, 4)),
    "3c3d": ("3c3d", (1, 9, 9)),
    "all_cnn_c": ("all_cnn_c", (1, 9, 9)),
    "resnet": ("resnet(depth=8)", (1, 8, 8)),
    "wide_resnet": ("wide_resnet(depth=10, width=1)", (1, 8, 8)),
    "vae": ("vae(latent=2)", (1, 4, 4)),
    "char_lstm": ("char_lstm(width=8)", (4,)),
    "gpt": ("gpt(layers=1, heads=2, width=8, dropout=0.1)", (4,)),
    "vit": ("vit(layers=1, heads=2, width=8, dropout=0.1)", (1, 8, 8)),
    "convnext": (
        "convnext(widths=(4, 4, 8, 8), depths=(1, 1, 1, 1), patch=1, drop_path=0.2)",
        (1, 8, 8),
    ),
}


def test_every_model_is_tested():
    assert set(SMALL) == set(models)


def examples(name, shape):
    """Inputs, targets and loss of a batch of 4."""
    rng = np.random.default_rng(0)
    if name in ("char_lstm", "gpt"):
        return rng.integers(0, 5, (4, *shape)), rng.integers(0, 5, (4, *shape)), nn.cross_entropy
    x = rng.uniform(size=(4, *shape)).astype(np.float32)
    return (x, x, vae_loss) if name == "vae" else (x, rng.integers(0, 5, 4), nn.cross_entropy)


@pytest.mark.parametrize("name", SMALL)
def test_two_updates_are_the_same_natively(name):
    spec, shape = SMALL[name]
    x, y, loss_of = examples(name, shape)
    losses = {}
    for executor in ("numpy", "native"):
        model = made(spec, shape, 5).reseed(0)
        scheme, patterns = getattr(model, "init_scheme", ("kaiming_uniform", {}))
        init.initialize(model, scheme, seed=1, patterns=patterns)

        def update(x, y, model=model):
            with gl.GradientTape() as tape:
                loss = loss_of(model(x), y)
            for θ, g in zip(
                model.parameters(), tape.gradient(loss, model.parameters()), strict=True
            ):
                θ.assign(θ - 0.05 * g)
            return loss

        step = gl.compile(update, executor=executor)
        losses[executor] = [float(step(x, y)) for _ in range(3)]
    assert losses["numpy"][0] != losses["numpy"][2]
    np.testing.assert_allclose(losses["native"], losses["numpy"], rtol=2e-5)


@pytest.mark.parametrize("name", sorted(set(SMALL) - {"mlp"}))
def test_first_values_depend_on_the_seed_alone(name):
    spec, shape = SMALL[name]
    first, again = made(spec, shape, 5), made(spec, shape, 5)
    for model in (first, again):
        scheme, patterns = model.init_scheme
        init.initialize(model, scheme, seed=0, patterns=patterns)
    for path, value in first.state_dict().items():
        np.testing.assert_array_equal(again.state_dict()[path], value, err_msg=path)


def test_first_values_of_gpt_and_2c2d():
    gpt = made("gpt(layers=2, heads=2, width=64)", (16,), 50)
    init.initialize(gpt, gpt.init_scheme[0], patterns=gpt.init_scheme[1])
    for path, std in {
        "transformer.h.0.attn.c_attn.weight": 0.02,
        "transformer.h.1.attn.c_proj.weight": 0.02 / math.sqrt(4),
        "transformer.h.0.mlp.c_proj.weight": 0.02 / math.sqrt(4),
        "transformer.wte.weight": 0.02,
    }.items():
        assert abs(gpt.named_parameters()[path].numpy().std() / std - 1) < 0.05
    net = made("2c2d", (1, 8, 8), 10)
    init.initialize(net, net.init_scheme[0], patterns=net.init_scheme[1])
    assert set(net.conv1.bias.numpy()) == {np.float32(0.05)}
    weights = net.dense1.weight.numpy()
    assert np.abs(weights).max() <= 0.1
    assert abs(weights.std() / (0.05 * 0.8796) - 1) < 0.01


# timm's trunc_normal_(std=0.02) cuts at ±2 whatever std is: nothing.
def test_first_values_of_vit_and_convnext():
    nets = {
        "vit(layers=1, heads=1, width=64)": (
            "blocks.0.attn.qkv.weight",
            "pos_embed",
            "head.weight",
        ),
        "convnext(widths=(32, 32, 64, 64), depths=(1, 1, 1, 1), patch=1)": (
            "downsample_layers.2.1.weight",
            "stages.3.0.pwconv1.weight",
        ),
    }
    for spec, paths in nets.items():
        net = made(spec, (1, 32, 32), 50)
        init.initialize(net, net.init_scheme[0], patterns=net.init_scheme[1])
        for path in paths:
            values = net.named_parameters()[path].numpy()
            assert abs(values.std() / 0.02 - 1) < 0.05
            assert np.abs(values).max() > 0.05
        if spec.startswith("vit"):  # whose convolution keeps PyTorch's first values
            for values in net.patch_embed.proj.parameters():
                assert 0.9 / 4 < np.abs(values.numpy()).max() <= 1 / 4


# Standard deviations and largest values that the sources tell, as multiples of one another.
@pytest.mark.parametrize(
    ("spec", "path", "std", "largest"),
    [
        ("all_cnn_c", "conv4.weight", math.sqrt(2 / (9 * 288)), 2 / 0.8796),
        ("3c3d", "conv3.weight", math.sqrt(2 / (9 * 224)), 2 / 0.8796),
        ("3c3d", "dense2.weight", math.sqrt(2 / 768), math.sqrt(3)),
        ("resnet(depth=8)", "layer3.0.conv1.weight", math.sqrt(2 / (9 * 32)), math.inf),
        ("wide_resnet(depth=10)", "layer3.0.conv1.weight", math.sqrt(2 / (9 * 256)), math.inf),
        ("wide_resnet(depth=10)", "fc.weight", 1 / math.sqrt(3 * 256), math.sqrt(3)),
        ("vae", "conv2.weight", math.sqrt(2 / (16 * 128)), math.sqrt(3)),
    ],
)
def test_first_values_of_images_networks(spec, path, std, largest):
    net = made(spec, (1, 12, 12), 20)
    init.initialize(net, net.init_scheme[0], patterns=net.init_scheme[1])
    values = net.named_parameters()[path].numpy()
    assert abs(values.std() / std - 1) < 0.03
    most = np.abs(values).max() / std
    assert 0.95 * min(largest, 3.5) < most <= 1.0001 * largest
    bias = {"all_cnn_c": np.float32(0.1)}.get(spec, 0)
    assert all((v.numpy() == bias).all() for p, v in net.named_parameters().items() if "bias" in p)


def rates(spec, shape=(1, 12, 12)):
    """Probabilities of dropping something, in the order of the layers."""
    modules = made(spec, shape, 5).named_modules()
    return [(path, part.p) for path, part in modules.items() if hasattr(part, "p")]


def test_what_is_dropped():
    assert rates("all_cnn_c") == [("dropout1", 0.2), ("dropout2", 0.5), ("dropout3", 0.5)]
    assert rates("vae") == [(f"dropout{i}", 0.2) for i in range(1, 6)]
    assert rates("char_lstm", (4,)) == [
        ("dropout_before", 0.2),
        ("lstm.dropout", 1 - 0.8 * 0.8),
        ("dropout_after", 0.2),
    ]
    block = ["attn.attn_dropout", "attn.resid_dropout", "mlp.dropout"]
    assert rates("gpt(layers=1, dropout=0.3)", (4,)) == [
        ("transformer.drop", 0.3),
        *((f"transformer.h.0.{name}", 0.3) for name in block),
    ]
    assert rates("vit(layers=1, dropout=0.3)") == [
        ("pos_drop", 0.3),
        *((f"blocks.0.{name}", 0.3) for name in ("attn.proj_drop", "mlp.drop1", "mlp.drop2")),
    ]
    drops = rates("convnext(widths=(4, 4, 4, 4), depths=(1, 2, 1, 1), patch=1, drop_path=0.4)")
    np.testing.assert_allclose([p for _, p in drops], [0, 0.1, 0.2, 0.3, 0.4])


def test_xaviers_bound_of_an_lstm_counts_both_weights_as_one():
    model = CharLSTM((4,), 5, width=32)
    scheme, patterns = model.init_scheme
    init.initialize(model, scheme, patterns=patterns)
    bound = math.sqrt(6 / ((32 + 32) + 4 * 32))
    for path in ("lstm.weight_ih_l0", "lstm.weight_hh_l1"):
        largest = np.abs(model.named_parameters()[path].numpy()).max()
        assert 0.99 * bound < largest <= bound
    assert not model.lstm.bias_ih_l0.numpy().any()


@pytest.mark.parametrize(
    ("spec", "inputs", "words"),
    [
        (
            "2c2d",
            (28, 28),
            r"2c2d takes inputs of shape \(channels, height, width\), got \(28, 28\)",
        ),
        ("3c3d", (1, 8, 9), "3c3d takes images of at least 9×9, got 8×9"),
        ("all_cnn_c", (1, 9, 8), "AllCNNC takes images of at least 9×9, got 9×8"),
        ("resnet(depth=18)", CIFAR, r"depth must be 6n \+ 2 \(8, 14, 20, ...\), got 18"),
        ("wide_resnet(depth=28)", CIFAR[:2], r"takes inputs of shape \(channels, height, width\)"),
        ("wide_resnet(depth=18)", CIFAR, r"depth must be 6n \+ 4"),
        ("wide_resnet(depth=28.0)", CIFAR, r"WideResNet: depth must be a whole number"),
        ("resnet(depth=20.0)", CIFAR, r"ResNet: depth must be a whole number"),
        ("2c2d", 28, r"2c2d takes inputs of shape \(channels, height, width\), got 28"),
        ("mlp", 28, r"mlp takes inputs of shape \(...\), got 28"),
        ("mlp", (3, 0), r"mlp takes inputs of shape \(...\), got \(3, 0\)"),
        ("wide_resnet(width=0)", CIFAR, "width must be a whole number from 1 up, got 0"),
        ("vae", (1, 30, 28), "multiples of 4, got 30×28"),
        ("gpt", CIFAR, r"GPT takes inputs of shape \(block,\), got \(3, 32, 32\)"),
        ("gpt(heads=3)", (64,), "width must be a multiple of heads=3, got 128"),
        ("char_lstm", (0,), r"takes inputs of shape \(t,\), got \(0,\)"),
        ("vit(patch=5)", CIFAR, "multiples of patch=5, got 32×32"),
        ("vit(heads=5)", CIFAR, "width must be a multiple of heads=5, got 192"),
        ("convnext(depths=(1, 2))", CIFAR, "depths must be four whole numbers"),
        ("convnext(depths=(1, -1, 1, 1))", CIFAR, "depths must be a whole number .* got -1"),
        ("convnext(widths=(8, 8, 8, 0))", CIFAR, "ConvNeXt: widths must be .* got 0"),
        ("convnext(drop_path=-0.1)", CIFAR, r"ConvNeXt: drop_path must be in \[0, 1\), got -0.1"),
        ("convnext", (3, 16, 40), "patch=4 takes images of at least 32×32, got 16×40"),
        ("2c2d(width=3)", (1, 28, 28), "unknown parameter of model 2c2d 'width'"),
        ("2c3d", (1, 28, 28), "unknown model '2c3d'; did you mean '2c2d'|'3c3d'"),
    ],
)
def test_what_cannot_be(spec, inputs, words):
    with pytest.raises(ArgumentError, match=words):
        made(spec, inputs, 10)


def test_gpt_takes_shorter_sequences_but_no_longer_ones():
    model = made("gpt(layers=1, heads=2, width=8)", (4,), 5)
    whole = model(np.array([[1, 2, 3, 4]])).numpy()
    np.testing.assert_allclose(model(np.array([[1, 2]])), whole[:, :2], rtol=1e-4, atol=1e-6)
    with pytest.raises(ShapeError, match=r"t from 1 to 4, got \(1, 5\)"):
        model(np.array([[1, 2, 3, 4, 0]]))
    with pytest.raises(ShapeError, match=r"t from 1 to 4, got \(1, 0\)"):
        model(np.zeros((1, 0), int))


def test_vit_takes_no_image_whose_patches_lie_otherwise():
    model = made("vit(layers=1, heads=1, width=4)", (1, 8, 16), 3)
    for shape in ((2, 1, 16, 8), (2, 1, 9, 16), (1, 8, 16)):
        with pytest.raises(ShapeError, match=r"ViT takes images of shape \(n, 1, 8, 16\), got"):
            model(np.zeros(shape, np.float32))


def test_vae_loss_takes_bytes_and_checks_shapes():
    output = np.random.default_rng(0).uniform(size=(3, 4 + 2 * 2)).astype(np.float32)
    pixels = np.array([[[0, 51], [102, 255]]] * 3, np.uint8)
    floats = vae_loss(output, pixels / np.float32(255))
    np.testing.assert_allclose(vae_loss(output, pixels), floats, rtol=1e-6)
    for wrong in (pixels[:2], pixels[:, :1, :1], np.zeros((3, 8), np.float32), np.uint8(1)):
        with pytest.raises(ShapeError, match=r"takes outputs of shape \(n, pixels \+ 2 · latent\)"):
            vae_loss(output, wrong)
    with pytest.raises(ArgumentError, match="unknown reduction"):
        vae_loss(output, pixels, "max")


@pytest.mark.parametrize("length", range(1, 12))
@pytest.mark.parametrize(("kernel", "stride"), [(2, 2), (3, 2), (4, 1), (5, 3)])
def test_same_sides_gives_as_many_windows_as_strides(length, kernel, stride):
    left, right, top, bottom = same_sides((length, length), kernel, stride)
    assert (left, right) == (top, bottom)
    assert right - left in (0, 1)
    places = (left + length + right - kernel) // stride + 1
    assert places == math.ceil(length / stride)
