"""Which tensor, which layer and which axis: names, patterns, heads, and clear errors."""

import numpy as np
import pytest

import gradlab as gl
from gradlab import nn
from gradlab.errors import ArgumentError, DataError, GradlabError, ShapeError
from gradlab.init import SelectWeights, initialize
from gradlab.init.select_axes import axes_of
from gradlab.init.select_head import heads_among
from gradlab.init.select_layers import pair, translated
from gradlab.nn.models import models

IMAGE = (3, 8, 8)


def made(spec, inputs=IMAGE, outputs=5):
    return models.build(spec, inputs=inputs, outputs=outputs)


def sources(teacher, student, **options):
    """The teacher's tensor for each of the student's."""
    report = SelectWeights(teacher, **options).select(student).report
    return {row.tensor: row.source for row in report.selected}


def numbers(found):
    return [int(source.split(".")[-2]) for name, source in found.items() if "weight" in name]


# --- layers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "expected"), [("first", [0, 1, 2]), ("last", [4, 5, 6]), ("uniform", [0, 3, 6])]
)
def test_blocks(policy, expected):
    teacher, student = (made(f"vit(layers={n}, heads=1, width=4, patch=4)") for n in (7, 3))
    found = sources(teacher, student, layers=policy)
    for part in ("norm1.weight", "attn.qkv.bias", "mlp.fc2.weight"):
        assert [found[f"blocks.{i}.{part}"] for i in range(3)] == [
            f"blocks.{i}.{part}" for i in expected
        ]
    assert found["norm.weight"] == "norm.weight"


def test_stages_are_counted_one_by_one_and_a_new_width_stays_first():
    teacher, student = made("resnet(depth=26)"), made("resnet(depth=14)")  # 4 and 2 blocks
    found = sources(teacher, student, layers="last")
    assert found["layer1.0.conv1.weight"] == "layer1.2.conv1.weight"
    assert found["layer1.1.bn2.running_var"] == "layer1.3.bn2.running_var"
    for stage in ("layer2", "layer3"):
        assert found[f"{stage}.0.conv1.weight"] == f"{stage}.0.conv1.weight"
        assert found[f"{stage}.1.conv1.weight"] == f"{stage}.3.conv1.weight"
    wide, narrow = made("wide_resnet(depth=22, width=2)"), made("wide_resnet(depth=16, width=1)")
    with pytest.raises(ArgumentError, match="skip"):  # no shortcut where nothing gets wider
        sources(narrow, wide, layers="last")
    narrow = made("wide_resnet(depth=16, width=2)")
    found = sources(wide, narrow, layers="last")
    assert found["layer1.0.shortcut.weight"] == "layer1.0.shortcut.weight"
    assert found["layer1.1.conv1.weight"] == "layer1.2.conv1.weight"


def test_nested_numbers():
    options = "widths=(4, 4, 8, 8), depths=({}, 1, {}, 1), patch=1"
    teacher, student = (made(f"convnext({options.format(*d)})") for d in ((3, 9), (1, 3)))
    found = sources(teacher, student, layers="uniform")
    assert [found[f"stages.2.{i}.gamma"] for i in range(3)] == [
        f"stages.2.{i}.gamma" for i in (0, 3, 6)
    ]
    assert found["stages.0.0.norm.bias"] == "stages.0.0.norm.bias"
    assert found["downsample_layers.3.1.weight"] == "downsample_layers.3.1.weight"


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("first", [0, 2, 4, 10]), ("last", [0, 6, 8, 10]), ("uniform", [0, 2, 6, 10])],
)
def test_a_row_of_linear_layers_keeps_its_ends(policy, expected):
    teacher, student = nn.MLP((4, 8, 8, 8, 8, 8, 3)), nn.MLP((4, 8, 8, 8, 3))
    assert numbers(sources(teacher, student, layers=policy, select_head=True)) == expected


def test_equal_layers_in_a_row_keep_their_ends():
    teacher, student = nn.MLP((8,) * 6), nn.MLP((8,) * 4)
    assert numbers(sources(teacher, student, layers="last", select_head=True)) == [0, 6, 8]


def test_positions_go_by_their_order_not_by_their_numbers():
    teacher, student = nn.MLP((4, 8, 8, 3), dropout=0.5), nn.MLP((4, 4, 4, 3))
    assert numbers(sources(teacher, student, select_head=True)) == [0, 3, 6]

    def vgg(*norms):
        parts = [nn.Conv2d(3, 4, 3), *norms, nn.ReLU(), nn.Conv2d(4, 4, 3), *norms, nn.ReLU()]
        return nn.Sequential(*parts, nn.Flatten(), nn.Linear(64, 2))

    found = sources(vgg(nn.BatchNorm2d(4)), vgg(), select_head=True)
    assert found["2.weight"] == "3.weight"
    assert found["5.bias"] == "7.bias"


@pytest.mark.parametrize(("policy", "expected"), [("first", [0, 1]), ("last", [1, 2])])
def test_recurrent_layers(policy, expected):
    teacher, student = (made(f"char_lstm(width=4, layers={n})", (3,)) for n in (3, 2))
    found = sources(teacher, student, layers=policy)
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        assert [found[f"lstm.{name}_l{i}"] for i in (0, 1)] == [
            f"lstm.{name}_l{i}" for i in expected
        ]


def test_what_both_have_is_paired_by_number():
    shapes = {"a.0.x": (1,), "a.1.y": (2,), "b": (3,)}
    assert pair(shapes, shapes, "last").names == {name: name for name in shapes}
    assert pair(shapes, {"a.0.x.z": (1,), "b.0": (3,), "b": (3,)}, "last").names == {"b": "b"}


# --- patterns ---------------------------------------------------------------------------------


def test_mapping():
    found = translated(
        {"fc1.*": "fc2.*", "fc2.*": "fc1.*", "*.in_*": "*.deep.*.into"},
        ["fc1.w", "fc2.w", "a.in_b"],
        ["fc1.w", "fc2.w", "x.deep.c.into", "other"],
    )
    assert found == {
        "fc1.w": "fc2.w", "fc2.w": "fc1.w", "x.in_c": "x.deep.c.into", "other": "other"
    }  # fmt: skip


def test_a_prefix_before_all_names():
    model = nn.MLP((4, 8, 3))
    teacher = {f"net.body.{name}": value for name, value in model.state_dict().items()}
    teacher |= {"pixels.mean": np.zeros(3)}
    found = sources(teacher, nn.MLP((4, 2, 3)))
    assert found == {"0.weight": "net.body.0.weight", "0.bias": "net.body.0.bias"}


def test_a_shared_weight():
    teacher, student = (made(f"gpt(layers=1, heads=2, width={w})", (6,)) for w in (16, 8))
    report = SelectWeights(teacher).select(student).report
    assert report.left == ()
    assert "transformer.wte.weight" in {row.tensor for row in report.selected}
    # PyTorch's names for the same one tensor: both, or either.
    state = teacher.state_dict()
    state["lm_head.weight"] = state.pop("transformer.wte.weight")
    found = sources(state, student)
    assert found["transformer.wte.weight"] == "lm_head.weight"
    left = SelectWeights(teacher, skip=["lm_head.*"]).select(student).report.left
    assert [row.tensor for row in left] == ["transformer.wte.weight"]


def test_skipping():
    teacher, student = (
        made("vit(width=8, layers=1, heads=2)"),
        made("vit(width=4, layers=1, heads=1)"),
    )
    selection = SelectWeights(teacher, skip=["pos_*", "*.bias"]).select(student)
    left = {row.tensor: row.reason for row in selection.report.left}
    assert left["pos_embed"] == "skipped, left to the model's own scheme"
    assert left["head.weight"] == "head, left to the model's own scheme"
    assert all(name in left for name in student.state_dict() if name.endswith("bias"))
    assert set(selection.values) == set(student.state_dict())
    bias = selection.values["blocks.0.mlp.fc1.bias"]
    assert not bias.any()


# --- heads ------------------------------------------------------------------------------------


class Encoder(nn.Module):
    def __init__(self):
        self.layers = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])


def named_head():
    model = Encoder()
    model.classifier = nn.ModuleDict({"norm": nn.LayerNorm(4), "out": nn.Linear(4, 2)})
    return model


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (nn.Sequential(nn.Flatten(), nn.MLP((4, 4, 2))), "1.2"),
        (Encoder(), None),
        (named_head(), "classifier.out"),
        (nn.MultiheadAttention(4, 2), None),
        (nn.Linear(4, 2), None),
        (nn.LayerNorm(4), None),
        *[
            (made(name, inputs), head)
            for name, inputs, head in [
                ("2c2d", (1, 8, 8), "dense2"), ("3c3d", (3, 10, 9), "dense3"),
                ("all_cnn_c", (3, 9, 9), "conv9"), ("char_lstm", (5,), "dense"),
                ("gpt", (5,), None), ("resnet", IMAGE, "fc"), ("vit", IMAGE, "head"),
            ]
        ],
    ],
)  # fmt: skip
def test_head(model, expected):
    assert heads_among(model) == ((expected,) if expected else ())


# --- axes -------------------------------------------------------------------------------------


def roles(axis):
    return [(factor.role, factor.size) for factor in axis.factors]


def test_axes_of_a_vae():
    axes = axes_of(made("vae", (1, 8, 8)))
    image = [("units", 64), ("whole", 4)]
    assert roles(axes["dense1.weight"][1]) == roles(axes["dense2.weight"][1]) == image
    assert roles(axes["dense5.weight"][1]) == [("units", 64), ("whole", 16)]
    assert roles(axes["dense3.weight"][1]) == [("units", 8)]


def test_axes_of_attention_by_the_names_of_others():
    class Attention(nn.Module):
        def __init__(self, heads):
            if heads:
                self.n_head = heads
            for name in ("to_q", "key", "v_proj", "to_out", "extra"):
                setattr(self, name, nn.Linear(8, 8))

    # Without the number of heads, nothing can be left out.
    for heads, both in ((4, [("heads", 4), ("units", 2)]), (0, [("whole", 8)])):
        axes = axes_of(Attention(heads))
        for name in ("to_q.weight", "to_q.bias", "key.weight", "v_proj.weight"):
            assert roles(axes[name][0]) == both
        assert roles(axes["to_out.weight"][1]) == both
        assert roles(axes["key.weight"][1]) == roles(axes["extra.weight"][1]) == [("units", 8)]
        assert roles(axes["to_out.weight"][0]) == roles(axes["to_out.bias"][0]) == [("units", 8)]


def test_axes_after_a_recurrent_layer_in_both_directions():
    model = nn.Sequential(nn.LSTM(3, 4, 2, bidirectional=True), nn.Linear(8, 2))
    axes = axes_of(model)
    both = [("whole", 2), ("units", 4)]
    assert roles(axes["0.weight_ih_l0"][1]) == [("whole", 3)]
    assert roles(axes["0.weight_ih_l1_reverse"][1]) == roles(axes["1.weight"][1]) == both
    assert roles(axes["0.weight_hh_l1"][1]) == [("units", 4)]
    assert roles(axes["0.bias_ih_l1"][0]) == [("whole", 4), ("units", 4)]


def test_axes_of_a_normalization_of_a_flattened_image():
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Flatten(), nn.BatchNorm1d(12), nn.Linear(12, 2))
    axes = axes_of(model)
    image = [("units", 3), ("whole", 4)]
    assert roles(axes["2.running_mean"][0]) == roles(axes["3.weight"][1]) == image


def test_heads_and_what_is_in_them():
    teacher, student = nn.MultiheadAttention(24, 4), nn.MultiheadAttention(6, 2)
    selection = SelectWeights(teacher).select(student)
    rows = np.concatenate([24 * part + 6 * head + np.array([0, 2, 4])
                           for part in range(3) for head in (0, 2)])  # fmt: skip
    weight = teacher.in_proj_weight.numpy()
    np.testing.assert_array_equal(selection.values["in_proj_weight"], weight[rows][:, ::4])
    row = selection.report.selected[0]
    assert row.axes == ("all 3 · heads 0, 2 of 4 · uniform 3 of 6", "uniform 6 of 24")
    # Without the module: as large as the student's, or by an argument.
    state = teacher.state_dict()
    report = SelectWeights(state).select(student).report
    (row, *_) = report.selected
    assert report.notes == ("heads of the teacher: taken to be as large as the student's",)
    assert row.axes[0] == "all 3 · heads 0, 4 of 8 · all 3"
    (row, *_) = SelectWeights(state, teacher_heads=4).select(student).report.selected
    assert row.axes[0] == "all 3 · heads 0, 2 of 4 · uniform 3 of 6"


# --- report -----------------------------------------------------------------------------------


def test_report():
    teacher, student = (
        made(f"gpt(layers={n}, heads={n}, width={4 * n})", (4 * n,)) for n in (6, 2)
    )
    report = SelectWeights(teacher, layers="last", elements="consecutive").select(student).report
    lines = str(report).splitlines()
    assert lines[0] == (
        "15 of 15 tensors, 1,680 of 1,680 numbers, selected from GPT: layers last, elements "
        "consecutive"
    )
    assert lines[1] == "layers transformer.h.*: 4, 5 of 6"
    assert lines[3].split() == ["student", "shape", "teacher", "shape", "selected"]
    assert "all 3 · heads 0, 1 of 6 · all 4, first 8 of 24" in lines[7]
    assert len({line.index("transformer", 20) for line in lines[4:]}) == 1
    content = report.to_json()
    assert content["selected"][1]["axes"] == ("first 8 of 24", "first 8 of 24")
    assert content["notes"] == ("layers transformer.h.*: 4, 5 of 6",)


# --- errors -----------------------------------------------------------------------------------

STUDENT = nn.MLP((4, 6, 6, 3))


def arrays(**changes):
    state = nn.MLP((4, 12, 12, 3)).state_dict()
    return {name: value for name, value in (state | changes).items() if value is not None}


def with_shape(name, *shape):
    return arrays(**{name: np.zeros(shape, np.float32)})


@pytest.mark.parametrize(
    ("model", "options", "error", "words"),
    [
        (
            STUDENT,
            {"teacher": with_shape("2.weight", 12, 5)},
            ShapeError,
            r"2.weight of shape \(6, 6\) cannot be selected from the teacher's 2.weight of shape "
            r"\(12, 5\): the teacher is smaller in axis 1; leave it out \(skip=\['2.weight'\]\)",
        ),
        (
            STUDENT,
            {"teacher": with_shape("2.weight", 12, 12, 1)},
            ShapeError,
            r"2.weight .* \(12, 12, 1\): one has 2 axes, the other 3",
        ),
        (
            STUDENT,
            {"teacher": with_shape("0.weight", 6, 12)},
            ShapeError,
            r"the teacher's 0.weight of shape \(6, 12\) looks transposed, as in Hugging Face",
        ),
        (
            STUDENT,
            {"teacher": arrays(**{"2.bias": None})},
            ArgumentError,
            r"2.bias has no counterpart in arrays, which has 0.weight, .*mapping=\{'2.bias': \.\.\."
            r"\}.*skip=\['2.bias'\]",
        ),
        (
            nn.MLP((4, 6, 6, 6, 6, 3)),
            {"teacher": nn.MLP((4, 12, 12, 3))},
            ArgumentError,
            r"6.weight cannot be selected from MLP: the student has 5 such layers \*, the teach",
        ),
        (
            made("vit(layers=3, heads=1, width=4)"),
            {"teacher": made("vit(layers=2, heads=1, width=4)")},
            ArgumentError,
            r"blocks.2.norm1.weight .* the student has 3 such layers blocks\.\*, the teacher 2; "
            "take a smaller student",
        ),
        (
            nn.Conv2d(1, 4, 3),
            {"teacher": nn.Conv2d(1, 4, 5)},
            ShapeError,
            r"weight of shape \(4, 1, 3, 3\) .* axis 2 is kernel, .* 3 in the student, 5 in the",
        ),
        (
            nn.Conv2d(4, 4, 3, groups=2),
            {"teacher": nn.Conv2d(8, 8, 3, groups=4)},
            ShapeError,
            "axis 0 is channels of a grouped convolution, which must be as many",
        ),
        (
            made("gpt(layers=1, heads=1, width=4)", (6,), 5),
            {"teacher": made("gpt(layers=1, heads=1, width=4)", (6,), 7)},
            ShapeError,
            r"wte.weight .* axis 0 is rows of the vocabulary, .* 5 in the student, 7 in",
        ),
        (
            made("2c2d", (1, 8, 8)),
            {"teacher": made("2c2d", (1, 16, 16))},
            ShapeError,
            r"dense1.weight of shape .* axis 1 is 4 places of 64 channels, and the teacher has 16 "
            "places of 64",
        ),
        (
            made("2c2d", (1, 8, 8)),
            {
                "teacher": made("2c2d", (1, 8, 8)).state_dict()
                | {"dense1.weight": np.zeros((1024, 257))}
            },
            ShapeError,
            "axis 1 of the teacher is no multiple of 4 places of an image",
        ),
        (
            nn.MultiheadAttention(6, 2),
            {"teacher": nn.MultiheadAttention(16, 4).state_dict()},
            ShapeError,
            r"of 16 features, does not divide into heads of 3; say how many heads the teacher has "
            r"\(teacher_heads",
        ),
        (
            nn.MultiheadAttention(6, 2),
            {"teacher": nn.MultiheadAttention(16, 4).state_dict(), "teacher_heads": 5},
            ShapeError,
            "does not divide into 5 heads",
        ),
        (
            nn.MultiheadAttention(6, 2),
            {"teacher": nn.MultiheadAttention(16, 1)},
            ShapeError,
            "axis 0 has 2 heads in the student, 1 in the teacher",
        ),
        (STUDENT, {"layers": "middle"}, ArgumentError, "unknown policy of layers 'middle'"),
        (STUDENT, {"elements": "uniformly"}, ArgumentError, "did you mean 'uniform'"),
        (STUDENT, {"skip": ["5.*"]}, ArgumentError, r"'5.\*' matches no tensor of the student"),
        (STUDENT, {"skip": "0.*"}, ArgumentError, r"skip must be a list of patterns"),
        (STUDENT, {"teacher_heads": 0}, ArgumentError, "teacher_heads must be 1 or more, got 0"),
        (STUDENT, {"mapping": {"0.*": "0.*.*"}}, ArgumentError, "write as many in both"),
        (
            STUDENT,
            {"mapping": {"x.*": "0.*"}},
            ArgumentError,
            r"no tensor of the student matches 'x\.\*'; it has 0.weight, 0.bias",
        ),
        (
            STUDENT,
            {"mapping": {"0.*": "x.*"}},
            ArgumentError,
            r"no tensor of the teacher matches 'x\.\*'",
        ),
        (STUDENT, {"otherwise": "kaimin"}, ArgumentError, "unknown initializer 'kaimin'"),
        (STUDENT, {"teacher": 7}, ArgumentError, "teacher must be a module, .*, got 7"),
        (STUDENT, {"teacher": "none.safetensors"}, DataError, "there is no file none.safetensors"),
        (STUDENT, {"teacher": "weights.h5"}, ArgumentError, "ends with one of .safetensors"),
        (STUDENT, {"teacher": "."}, ArgumentError, "'.' is a folder: give the file of weights"),
        (
            nn.Sequential(nn.Embedding(3, 2)),
            {"teacher": {"0.weight": np.zeros((3, 2), complex)}},
            GradlabError,
            "0.weight holds complex128, not numbers",
        ),
    ],
)
def test_errors_change_nothing(model, options, error, words):
    before = model.state_dict()
    with pytest.raises(error, match=words) as caught:
        initialize(model, SelectWeights(**{"teacher": arrays()} | options))
    assert "\n" not in str(caught.value)
    assert all(np.array_equal(v, before[k]) for k, v in model.state_dict().items())


def test_a_counter_does_not_become_a_fraction():
    teacher = nn.BatchNorm1d(4).state_dict() | {"num_batches_tracked": np.array(0.5)}
    with pytest.raises(gl.errors.DTypeError, match="num_batches_tracked is float64 and cannot"):
        SelectWeights(teacher).select(nn.BatchNorm1d(2))
