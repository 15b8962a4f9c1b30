"""Weight selection gives back the small model from which a wider one was made, in every model."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradlab as gl
from gradlab import nn
from gradlab.errors import ArgumentError
from gradlab.graph import relu
from gradlab.init import SelectWeights, initialize
from gradlab.init.select_indices import chosen_elements, chosen_layers
from gradlab.nn.models import models
from gradlab.nn.models.resnet import BasicBlock, ResNet
from tests.init.widening import doubled, widened
from tests.interop import model_cases

POLICIES = ["uniform", "consecutive", "random"]


@pytest.fixture(autouse=True)
def float64():
    gl.set_default_dtype("float64")
    yield
    gl.set_default_dtype("float32")


def two_convolutions(width):
    return nn.Sequential(
        {
            "conv1": nn.Conv2d(1, width, 3, padding="same"),
            "relu1": nn.ReLU(),
            "pool1": nn.MaxPool2d(2),
            "conv2": nn.Conv2d(width, 2 * width, 3, padding="same"),
            "relu2": nn.ReLU(),
            "flatten": nn.Flatten(),
            "dense1": nn.Linear(2 * width * 16, 4 * width),
            "relu3": nn.ReLU(),
            "dense2": nn.Linear(4 * width, 5),
        }
    )


def three_dense_layers(width):
    """A 3c3d with one convolution: two layers after the one that reads the image."""
    return nn.Sequential(
        {
            "conv1": nn.Conv2d(1, width, 3, padding="same"),
            "relu1": nn.ReLU(),
            "flatten": nn.Flatten(),
            "dense1": nn.Linear(16 * width, 8 * width),
            "relu2": nn.ReLU(),
            "dense2": nn.Linear(8 * width, 8 * width),
            "relu3": nn.ReLU(),
            "dense3": nn.Linear(8 * width, 5),
        }
    )


class Decoder(nn.Module):
    """A linear layer that makes an image."""

    def __init__(self, width):
        self.dense = nn.Linear(6, 16 * width)
        self.norm = nn.BatchNorm1d(16 * width)
        self.deconv = nn.ConvTranspose2d(width, 2, 4, stride=2, padding=1)

    def forward(self, z):
        x = relu(self.norm(self.dense(z)))
        return self.deconv(gl.reshape(x, (-1, self.deconv.weight.shape[0], 4, 4)))


class Narrow(ResNet):
    """A ResNet of other widths."""

    def __init__(self, width, blocks=1):
        self.conv1 = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        before = width
        for stage, after in enumerate((width, 2 * width, 4 * width), start=1):
            others = [BasicBlock(after, after) for _ in range(blocks - 1)]
            first = BasicBlock(before, after, 1 if stage == 1 else 2)
            setattr(self, f"layer{stage}", nn.Sequential(first, *others))
            before = after
        self.fc = nn.Linear(before, 5)


def by_name(spec, inputs):
    return lambda width: models.build(spec.format(width, 4 * width), inputs=inputs, outputs=5)


def vit_or_gpt(name, inputs, more):
    """Heads of 4 units each."""
    return lambda w: models.build(
        f"{name}(width={w}, heads={w // 4}, layers=2{more})", inputs=inputs, outputs=5
    )


IMAGE = (3, 8, 8)
# How a model of some width is made, the width of the small one, its inputs, heads, channels.
CASES = {
    "mlp": (
        lambda w: models.build(f"mlp(hidden=({2 * w}, {w}))", inputs=(1, 4, 4), outputs=5),
        3, (1, 4, 4), 1, 1,
    ),
    "2c2d": (two_convolutions, 3, (1, 8, 8), 1, 6),
    "3c3d": (three_dense_layers, 3, (1, 4, 4), 1, 3),
    "decoder": (Decoder, 3, (6,), 1, 3),
    "gpt": (vit_or_gpt("gpt", (6,), ", bias=True"), 8, (6,), 2, 1),
    "vit": (vit_or_gpt("vit", IMAGE, ", patch=4"), 8, IMAGE, 2, 1),
    "resnet": (Narrow, 4, IMAGE, 1, 1),
    "convnext": (
        lambda w: models.build(
            f"convnext(widths=({w}, {w}, {2 * w}, {4 * w}), depths=(1, 1, 2, 1), patch=1)",
            inputs=IMAGE, outputs=5,
        ),
        3, IMAGE, 1, 1,
    ),
    "char_lstm": (
        lambda w: models.build(f"char_lstm(width={w})", inputs=(6,), outputs=5), 3, (6,), 1, 1
    ),
    "attention": (
        lambda w: nn.MultiheadAttention(w, w // 4, batch_first=True), 8, (5, 8), 2, 1
    ),
}  # fmt: skip


def filled(model, seed):
    """A model in evaluation with no parameter or statistic at its default."""
    rng = np.random.default_rng(seed)
    for path, variable in model.named_variables().items():
        if variable.dtype.kind == "f":
            low = 0.5 if "running_var" in path else -1.0
            variable.assign(rng.uniform(low, 1.0, variable.shape))
    return model.eval()


def examples(name, shape):
    rng = np.random.default_rng(7)
    if name in ("gpt", "char_lstm"):
        return rng.integers(0, 5, (4, *shape))
    return rng.normal(size=(4, *shape))


def same_state(found, expected):
    assert set(found) == set(expected)
    for path, array in expected.items():
        np.testing.assert_array_equal(found[path], array, err_msg=path)


# A ResNet's shortcuts go from a channel to that of the same number in a wider stage, which random
# channels of both stages do not; nor do uniform ones, unless the sizes divide (as here).
@pytest.mark.parametrize(
    ("name", "policy"),
    [(name, p) for name in CASES for p in POLICIES if (name, p) != ("resnet", "random")],
)
def test_the_small_model_comes_back(name, policy):
    make, width, shape, heads, channels = CASES[name]
    small, teacher, student = filled(make(width), 1), make(2 * width).eval(), make(width).eval()
    state = widened(name, small.state_dict(), policy, 5, heads, channels)
    teacher.load_state_dict(state)
    x = wide = examples(name, shape)
    y = small(x).numpy()
    if name == "attention":
        unit, live = doubled(width, policy, 5)
        wide = x[..., unit]
        z = teacher(wide).numpy()[..., live]
    else:
        z = teacher(wide).numpy()
    # So the teacher and its chosen units compute the same,
    np.testing.assert_allclose(z, y, rtol=1e-9, atol=1e-9)
    # and what is selected is those units.
    scheme = SelectWeights(teacher, elements=policy, select_head=True)
    initialize(student, scheme, seed=5)
    same_state(student.state_dict(), small.state_dict())
    np.testing.assert_array_equal(student(x), y)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", sorted(models))
def test_from_a_teacher_of_the_same_shapes_all_comes_back(name, policy):
    text, inputs = model_cases.CASES[name]
    teacher = filled(models.build(text, inputs=inputs, outputs=7), 1)
    student = filled(models.build(text, inputs=inputs, outputs=7), 2)
    initialize(student, SelectWeights(teacher, elements=policy, select_head=True), seed=3)
    same_state(student.state_dict(), teacher.state_dict())


def test_the_head_is_left_to_the_scheme_of_the_model():
    teacher, student, other = (filled(Narrow(w), w) for w in (8, 4, 4))
    initialize(student, SelectWeights(teacher), seed=4)
    initialize(other, *ResNet.init_scheme[:1], seed=4)
    np.testing.assert_array_equal(student.fc.weight, other.fc.weight)
    np.testing.assert_array_equal(student.fc.bias, np.zeros(5))
    np.testing.assert_array_equal(student.bn1.running_var, teacher.bn1.running_var.numpy()[::2])
    initialize(student, SelectWeights(teacher, otherwise="constant(value=3)"), seed=4)
    assert (student.fc.weight.numpy() == 3).all()


def test_patterns_on_top():
    teacher, student = nn.MLP((4, 8, 8, 3)), nn.MLP((4, 4, 4, 3))
    before = student.state_dict()
    patterns = {"0.*": SelectWeights(teacher), "2.bias": "constant(value=7)", "4.*": "zeros"}
    initialize(student, "identical", patterns=patterns)
    after = student.state_dict()
    np.testing.assert_array_equal(after["0.bias"], teacher[0].bias.numpy()[::2])
    assert (after["2.bias"] == 7).all()
    assert np.ptp(after["2.weight"]) == 0 != np.ptp(before["2.weight"])
    # What has another scheme needs no counterpart.
    initialize(student, SelectWeights({"0.weight": np.ones((8, 4))}), patterns={
        "*.bias": "zeros", "[24].*": "zeros"
    })  # fmt: skip
    assert (student[0].weight.numpy() == 1).all()
    assert not student[0].bias.numpy().any()


def test_buffers_go_with_their_parameters():
    teacher = filled(nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Linear(8, 2)), 1)
    student = filled(nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)), 2)
    before = student.state_dict()
    initialize(student, SelectWeights(teacher), patterns={"1.*": "constant(value=2)"})
    after = student.state_dict()
    np.testing.assert_array_equal(after["1.running_mean"], before["1.running_mean"])
    assert (after["1.weight"] == 2).all()
    initialize(student, SelectWeights(teacher))
    np.testing.assert_array_equal(
        student[1].running_mean.numpy(), teacher[1].running_mean.numpy()[::2]
    )


def plain_norm(width, before=False):
    """Normalizations without γ and β, whose statistics are all that they have."""
    first = [nn.BatchNorm1d(2, affine=False)] if before else []
    dense = [nn.Linear(2, width), nn.BatchNorm1d(width, affine=False), nn.ReLU()]
    return nn.Sequential(*first, *dense, nn.Linear(width, width), nn.Linear(width, 2))


def plain_images(width):
    return nn.Sequential(
        *(nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width, affine=False), nn.ReLU()),
        *(nn.Flatten(), nn.BatchNorm1d(16 * width, affine=False), nn.Linear(16 * width, 2)),
    )


STATISTICS = ("running_mean", "running_var")


@pytest.mark.parametrize("policy", POLICIES)
def test_statistics_without_parameters_are_selected(policy):
    teacher, student = filled(plain_norm(8, before=True), 1), filled(plain_norm(4, True), 2)
    teacher[0].num_batches_tracked.assign(17)
    initialize(student, SelectWeights(teacher, elements=policy), seed=3)
    taken = chosen_elements(policy, 8, 4, 3)
    np.testing.assert_array_equal(student[1].bias, teacher[1].bias.numpy()[taken])
    for name in STATISTICS:
        kept, given = (getattr(model[2], name).numpy() for model in (student, teacher))
        np.testing.assert_array_equal(kept, given[taken])
        kept, given = (getattr(model[0], name).numpy() for model in (student, teacher))
        np.testing.assert_array_equal(kept, given)
    assert student[0].num_batches_tracked.item() == 17


def test_statistics_of_images_without_parameters_are_selected():
    teacher, student = filled(plain_images(6), 1), filled(plain_images(3), 2)
    initialize(student, SelectWeights(teacher), seed=3)
    for name in STATISTICS:
        kept, given = (getattr(model[1], name).numpy() for model in (student, teacher))
        np.testing.assert_array_equal(kept, given[::2])
        kept, given = (getattr(model[4], name).numpy() for model in (student, teacher))
        np.testing.assert_array_equal(kept.reshape(3, 16), given.reshape(6, 16)[::2])


@pytest.mark.parametrize(
    ("pattern", "selected"),
    [("1.*", True), ("1.weight", False), ("1.bias", True), ("4.*", False), ("*", True)],
)
def test_statistics_without_parameters_go_with_what_is_before_them(pattern, selected):
    """With the bias of the layer whose outputs they are of."""
    teacher, student = filled(plain_norm(8, before=True), 1), filled(plain_norm(4, True), 2)
    before = student.state_dict()
    initialize(student, "zeros", patterns={pattern: SelectWeights(teacher, select_head=True)})
    after = student.state_dict()
    for name in STATISTICS:
        expected = getattr(teacher[2], name).numpy()[::2] if selected else before[f"2.{name}"]
        np.testing.assert_array_equal(after[f"2.{name}"], expected)


def test_skipped_statistics_keep_their_values_and_absent_ones_are_named():
    teacher, student = filled(plain_norm(8), 1), filled(plain_norm(4), 2)
    before = student.state_dict()
    initialize(student, SelectWeights(teacher, skip=["1.*"]))
    for name in STATISTICS:
        np.testing.assert_array_equal(getattr(student[1], name), before[f"1.{name}"])
    without = {k: v for k, v in teacher.state_dict().items() if not k.startswith("1.")}
    with pytest.raises(ArgumentError, match=r"1\.running_mean cannot be selected"):
        initialize(student, SelectWeights(without))


def test_a_model_of_statistics_alone():
    teacher, student = (filled(nn.BatchNorm1d(n, affine=False), n) for n in (8, 4))
    values = SelectWeights(teacher, elements="consecutive").select(student).values
    np.testing.assert_array_equal(values["running_var"], teacher.running_var.numpy()[:4])


def test_a_padding_row_stays_zero():
    teacher = nn.Sequential(nn.Embedding(5, 8), nn.Linear(8, 2))
    student = nn.Sequential(nn.Embedding(5, 4, padding_idx=1), nn.Linear(4, 2))
    initialize(student, SelectWeights(teacher))
    assert not student[0].weight.numpy()[1].any()
    np.testing.assert_array_equal(student[0].weight.numpy()[2], teacher[0].weight.numpy()[2, ::2])


def test_seeds():
    teacher, student = nn.MLP((4, 64, 64, 3)), nn.MLP((4, 8, 8, 3))
    scheme = SelectWeights(teacher, elements="random")
    first, again, other = (scheme.select(student, seed).values for seed in (1, 1, 2))
    same_state(first, again)
    assert not np.array_equal(first["2.weight"], other["2.weight"])
    with pytest.raises(ArgumentError, match="seed must be a whole number"):
        SelectWeights(teacher).select(student, -1)


def test_one_selection_after_another():
    """By strides that divide, or of the first, a selection from a selection is one."""
    sizes = [models.build(f"vit(layers={n}, heads={n}, width={4 * n}, patch=4)", inputs=IMAGE,
                          outputs=5) for n in (8, 4, 2)]  # fmt: skip
    for policy in ("uniform", "consecutive"):
        for layers in ("first", "last"):
            options = {"elements": policy, "layers": layers, "select_head": True}
            initialize(sizes[1], SelectWeights(sizes[0], **options))
            twice = SelectWeights(sizes[1], **options).select(sizes[2])
            once = SelectWeights(sizes[0], **options).select(sizes[2])
            same_state(twice.values, once.values)


@settings(max_examples=40)
@given(st.data(), st.sampled_from(POLICIES), st.integers(0, 9))
def test_units_anywhere_among_dead_ones(data, policy, seed):
    """An MLP of any sizes, in a larger one of any sizes."""
    hidden = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=3))
    wider = [s + data.draw(st.integers(0, 9)) for s in hidden]
    small, student = (filled(nn.MLP((3, *hidden, 2)), i) for i in (seed, seed + 1))
    teacher = nn.MLP((3, *wider, 2)).eval()
    sizes = zip((3, *wider, 2), (3, *hidden, 2), strict=True)
    index = [chosen_elements(policy, t, s, seed) for t, s in sizes]
    state = {name: np.zeros_like(value) for name, value in teacher.state_dict().items()}
    for layer in range(len(hidden) + 1):
        number, units = 2 * layer, index[layer + 1]
        state[f"{number}.weight"][np.ix_(units, index[layer])] = small[number].weight
        state[f"{number}.bias"][units] = small[number].bias
    teacher.load_state_dict(state)
    x = np.random.default_rng(seed).normal(size=(5, 3))
    np.testing.assert_allclose(teacher(x), small(x), atol=1e-12)
    initialize(student, SelectWeights(teacher, elements=policy, select_head=True), seed)
    same_state(student.state_dict(), small.state_dict())


@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from(POLICIES), st.integers(0, 9))
def test_indices(t, s, policy, seed):
    s, t = min(s, t), max(s, t)
    index = chosen_elements(policy, t, s, seed)
    assert len(index) == s
    assert (np.diff(index) > 0).all()
    assert index[0] >= 0
    assert index[-1] < t
    if policy == "uniform" and t % s:
        assert (index[0], index[-1]) == (0, t - 1) if s > 1 else index[0] == 0
        assert np.ptp(np.diff(index)) <= 1 if s > 1 else True
    if s == t:
        assert (index == np.arange(s)).all()


@given(
    st.integers(1, 40), st.integers(1, 40), st.sampled_from(["first", "last", "uniform"]),
    st.booleans(), st.booleans(),
)  # fmt: skip
def test_layers(t, s, policy, first, last):
    s, t = min(s, t), max(s, t)
    index = chosen_layers(policy, t, s, first, last and t > 1)
    assert len(index) == s
    assert (np.diff(index) > 0).all()
    assert 0 <= index[0] <= index[-1] < t
    if first:
        assert index[0] == 0
    if last and t > 1 and s > int(first):
        assert index[-1] == t - 1


def test_the_published_rule():
    """Xu et al.: ViT-S to ViT-T, 384 to 192, and ConvNeXt-T to -F, 96 to 48: every second one."""
    for t, s in ((384, 192), (96, 48), (1536, 768)):
        assert chosen_elements("uniform", t, s, 0).tolist() == list(range(0, t, 2))
    assert chosen_elements("uniform", 5, 2, 0).tolist() == [0, 4]
    assert chosen_elements("uniform", 7, 4, 0).tolist() == [0, 2, 4, 6]
    assert chosen_elements("uniform", 8, 3, 0).tolist() == [0, 4, 7]


def test_a_scheme_can_be_changed():
    scheme = SelectWeights({"weight": np.ones((2, 2))})
    assert dataclasses.replace(scheme, layers="last").layers == "last"
    with pytest.raises(ArgumentError, match="selected for a whole model"):
        scheme((2, 2), np.random.default_rng(0))
