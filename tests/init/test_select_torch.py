"""Weights of PyTorch's making: its TransformerEncoder, and a ResNet with torchvision's names."""

import numpy as np
import pytest

from gradlab import nn
from gradlab.errors import ArgumentError
from gradlab.graph import relu
from gradlab.init import SelectWeights, initialize
from gradlab.interop import load_weights, open_weights, save_weights
from gradlab.nn.models import models
from tests.init.widening import doubled, widened

torch = pytest.importorskip("torch")

WIDTH, HEADS, LAYERS = 8, 2, 2
FORMS = ["module", "state", "w.safetensors", "w.pt", "last.ckpt"]


def given(form, module, folder):
    """A PyTorch module as what a teacher may be."""
    from safetensors import torch as files

    if form == "module":
        return module
    if form == "state":
        return module.state_dict()
    path = folder / form
    if form == "w.safetensors":
        files.save_file(module.state_dict(), path)
    elif form == "w.pt":
        torch.save(module.state_dict(), path)
    else:
        state = torch.nn.DataParallel(module).state_dict()
        torch.save({"epoch": 3, "state_dict": state, "optimizer": {}}, path)
    return path


def encoder(width, heads, layers=LAYERS):
    layer = torch.nn.TransformerEncoderLayer(
        width, heads, 3 * width, dropout=0.0, batch_first=True, dtype=torch.float64
    )
    made = torch.nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.uniform_(-1, 1)
    return made.eval()


class Layer(nn.Module):
    """A layer of PyTorch's TransformerEncoder by its names, with normalizations after."""

    def __init__(self, width, heads):
        self.self_attn = nn.MultiheadAttention(width, heads, batch_first=True, dtype="float64")
        self.linear1 = nn.Linear(width, 3 * width, dtype="float64")
        self.linear2 = nn.Linear(3 * width, width, dtype="float64")
        self.norm1 = nn.LayerNorm(width, dtype="float64")
        self.norm2 = nn.LayerNorm(width, dtype="float64")

    def forward(self, x):
        x = self.norm1(x + self.self_attn(x))
        return self.norm2(x + self.linear2(relu(self.linear1(x))))


class Encoder(nn.Module):
    def __init__(self, width, heads, layers):
        self.layers = nn.ModuleList(Layer(width, heads) for _ in range(layers))

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("policy", ["uniform", "random"])
def test_a_transformer_encoder(form, policy, tmp_path):
    small, teacher = encoder(WIDTH, HEADS), encoder(2 * WIDTH, 2 * HEADS)
    state = {name: value.numpy() for name, value in small.state_dict().items()}
    wide = widened("encoder", state, policy, 3, HEADS)
    teacher.load_state_dict({name: torch.tensor(value) for name, value in wide.items()})
    x = torch.randn(2, 5, WIDTH, dtype=torch.float64)
    unit, live = doubled(WIDTH, policy, 3)
    expected = small(x).detach().numpy()
    np.testing.assert_allclose(teacher(x[..., unit]).detach()[..., live], expected, atol=1e-9)

    student = Encoder(WIDTH, HEADS, LAYERS).eval()
    initialize(student, SelectWeights(given(form, teacher, tmp_path), elements=policy), seed=3)
    np.testing.assert_allclose(student(x.numpy()), expected, atol=1e-9)


@pytest.mark.parametrize("layers", [(2, 2), (2, 3)])
def test_an_encoder_beside_a_decoder(layers):
    """Both have what an encoder has, so which one has to be said."""
    teacher = torch.nn.Transformer(16, 2, *layers, dim_feedforward=48, batch_first=True)
    student = Encoder(8, 1, layers[1])
    with pytest.raises(ArgumentError, match=r"encoder.*say which"):
        SelectWeights(teacher).select(student)
    student = Encoder(8, 1, 2)
    report = SelectWeights(teacher, mapping={"*": "encoder.*"}).select(student).report
    assert all(row.source.startswith("encoder.") for row in report.selected)


def test_an_encoder_for_a_vit_by_mapping(tmp_path):
    """Other names, more layers; what the encoder lacks is left to the ViT's own scheme."""
    mapping = {
        "blocks.*.norm1.*": "layers.*.norm1.*",
        "blocks.*.norm2.*": "layers.*.norm2.*",
        "blocks.*.attn.qkv.*": "layers.*.self_attn.in_proj_*",
        "blocks.*.attn.proj.*": "layers.*.self_attn.out_proj.*",
        "blocks.*.mlp.fc*.*": "layers.*.linear*.*",
    }
    layer = torch.nn.TransformerEncoderLayer(16, 4, 64)
    teacher = torch.nn.TransformerEncoder(layer, 5, enable_nested_tensor=False)
    student = models.build("vit(layers=2, heads=2, width=8)", inputs=(3, 8, 8), outputs=5)
    skip = ["cls_token", "pos_embed", "patch_embed.*", "norm.*"]
    options = {"layers": "last", "mapping": mapping, "skip": skip}
    values, report = SelectWeights(teacher, **options).select(student)
    state = teacher.state_dict()
    rows = np.concatenate([16 * p + 4 * head + np.arange(4) for p in range(3) for head in (0, 2)])
    assert len(report.selected) == 24
    assert report.notes == ("layers blocks.*: 3, 4 of 5",)
    for number, theirs in ((0, 3), (1, 4)):
        np.testing.assert_array_equal(
            values[f"blocks.{number}.mlp.fc2.weight"],
            state[f"layers.{theirs}.linear2.weight"].numpy()[::2, ::2],
        )
        np.testing.assert_array_equal(
            values[f"blocks.{number}.attn.qkv.weight"],
            state[f"layers.{theirs}.self_attn.in_proj_weight"].numpy()[rows][:, ::2],
        )
    initialize(student, SelectWeights(teacher, **options))
    save_weights(student, tmp_path / "student.pt")
    found = torch.load(tmp_path / "student.pt", weights_only=True)
    assert all(np.array_equal(found[k], value) for k, value in student.state_dict().items())


# --- a ResNet -----------------------------------------------------------------------------------


class BasicBlock(torch.nn.Module):
    def __init__(self, before, after, stride=1):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(after)
        self.conv2 = torch.nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.bn2 = torch.nn.BatchNorm2d(after)
        self.downsample = None
        if before != after:
            conv = torch.nn.Conv2d(before, after, 1, stride, bias=False)
            self.downsample = torch.nn.Sequential(conv, torch.nn.BatchNorm2d(after))

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet18(torch.nn.Module):
    """Names and stages of torchvision's, for small images."""

    def __init__(self, width):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(width)
        before = width
        for stage in range(4):
            after = width << stage
            blocks = [BasicBlock(before, after, 2 if stage else 1), BasicBlock(after, after)]
            setattr(self, f"layer{stage + 1}", torch.nn.Sequential(*blocks))
            before = after
        self.fc = torch.nn.Linear(before, 1000)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        for stage in range(4):
            x = getattr(self, f"layer{stage + 1}")(x)
        return self.fc(x.mean((2, 3)))


class Block(nn.Module):
    """The same block in gradlab."""

    def __init__(self, before, after, stride=1):
        self.conv1 = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.downsample = None
        if before != after:
            conv = nn.Conv2d(before, after, 1, stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.BatchNorm2d(after))

    def forward(self, x):
        y = self.bn2(self.conv2(relu(self.bn1(self.conv1(x)))))
        return relu(y + (x if self.downsample is None else self.downsample(x)))


def shallow(width):
    """A ResNet of one block in each of four stages."""
    parts = {"conv1": nn.Conv2d(3, width, 3, padding=1, bias=False)}
    parts |= {"bn1": nn.BatchNorm2d(width), "relu": nn.ReLU()}
    widths = [width, *[width << stage for stage in range(4)]]
    for stage in range(4):
        block = Block(widths[stage], widths[stage + 1], 2 if stage else 1)
        parts[f"layer{stage + 1}"] = nn.Sequential(block)
    pool = {"pool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten()}
    return nn.Sequential(parts | pool | {"fc": nn.Linear(widths[-1], 5)})


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("layers", ["first", "last"])
def test_a_resnet(form, layers, tmp_path):
    teacher, student = ResNet18(8).eval(), shallow(4).eval()
    with torch.no_grad():
        for name, tensor in teacher.state_dict().items():
            if tensor.dtype.is_floating_point and "weight" not in name:
                tensor.uniform_(0.5, 1)
    initialize(student, SelectWeights(given(form, teacher, tmp_path), layers=layers))
    state, found = teacher.state_dict(), student.state_dict()
    # The block that changes the width is the first whatever the policy; in layer1 none does.
    number = {"first": 0, "last": 1}[layers]
    for name, theirs in [("layer1.0", f"layer1.{number}"), ("layer3.0", "layer3.0")]:
        for part in ("conv1.weight", "bn2.bias", "bn1.running_var"):
            expected = state[f"{theirs}.{part}"].numpy()
            expected = expected[::2, ::2] if expected.ndim > 1 else expected[::2]
            np.testing.assert_array_equal(found[f"{name}.{part}"], expected)
    for part in ("0.weight", "1.running_mean", "1.num_batches_tracked"):
        expected = state[f"layer2.0.downsample.{part}"].numpy()
        for axis in range(expected.ndim):
            if expected.shape[axis] > 1:
                expected = expected.take(range(0, expected.shape[axis], 2), axis)
        np.testing.assert_array_equal(found[f"layer2.0.downsample.{part}"], expected)
    assert not found["fc.bias"].any()


def test_our_resnet_from_it(tmp_path):
    """It has no layer4 and no convolutions in its shortcuts, so they are passed over."""
    teacher = given("w.safetensors", ResNet18(32), tmp_path)
    student = models.build("resnet(depth=14)", inputs=(3, 8, 8), outputs=10)
    values, report = SelectWeights(teacher).select(student)
    assert any("such as layer2.0.downsample.0.weight" in note for note in report.notes)
    assert {row.tensor for row in report.left} == {"fc.weight", "fc.bias"}
    expected = open_weights(teacher)["layer2.0.conv1.weight"][::2, ::2]
    np.testing.assert_array_equal(values["layer2.0.conv1.weight"], expected)
    initialize(student, SelectWeights(teacher))
    save_weights(student, tmp_path / "s.safetensors", {"teacher": "w.safetensors"})
    assert load_weights(student, tmp_path / "s.safetensors") == ((), ())
