"""What is not followed is refused or noted, so that no selection is silently a wrong one."""

import numpy as np
import pytest

import gradlab as gl
from gradlab import nn
from gradlab.errors import ArgumentError, DTypeError, ShapeError
from gradlab.init import SelectWeights, initialize
from gradlab.init.select_axes import axes_of
from gradlab.init.select_head import heads_among
from gradlab.nn.models import models


def roles(axis):
    return [(factor.role, factor.size) for factor in axis.factors]


def selected(make, large, small, **options):
    """How each tensor was selected, from a large model for a small one."""
    return SelectWeights(make(large), **options).select(make(small)).report


def module(**parts):
    made = nn.Module()
    for name, part in parts.items():
        setattr(made, name, part)
    return made


# --- flattened images -------------------------------------------------------------------------


def test_only_the_first_dense_layer_reads_the_image():
    axes = axes_of(models.build("3c3d", inputs=(3, 32, 32), outputs=10))
    assert roles(axes["dense1.weight"][1]) == [("units", 128), ("whole", 9)]
    assert roles(axes["dense2.weight"][1]) == [("units", 512)]
    assert roles(axes["dense3.weight"][1]) == [("units", 256)]
    axes = axes_of(models.build("2c2d", inputs=(1, 28, 28), outputs=10))
    assert roles(axes["dense2.weight"][1]) == [("units", 1024)]
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(64, 32), nn.BatchNorm1d(32), nn.Linear(32, 5)
    )
    assert roles(axes_of(model)["3.weight"][0]) == [("units", 32)]


def test_a_flattened_image_is_noted():
    def make(w):
        return nn.Sequential(nn.Conv2d(1, w, 3), nn.Flatten(), nn.Linear(4 * w, w), nn.Linear(w, 2))

    notes = selected(make, 8, 4).notes
    assert notes == ("2.weight: taken to be of 4 places of an image",)
    assert selected(make, 4, 4).notes == ()


# --- what is put together or taken apart -------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (  # channels side by side
            lambda w: module(
                a=nn.Conv2d(1, w, 3), b=nn.Conv2d(w, w, 3), c=nn.Conv2d(2 * w, w, 3),
                norm=nn.LayerNorm(w), head=nn.Linear(w, 2),
            ),
            "c.weight .* axis 1 is features that no other layer gives",
        ),
        (  # embeddings that are flattened
            lambda w: nn.Sequential(nn.Embedding(5, w), nn.Flatten(), nn.Linear(6 * w, 3)),
            "0.weight .* axis 1 is features that no other layer reads",
        ),
        (  # a gated unit, whose two halves are multiplied
            lambda w: module(
                stem=nn.Linear(3, w), up=nn.Linear(w, 8 * w), down=nn.Linear(4 * w, w),
                head=nn.Linear(w, 2),
            ),
            "up.weight .* axis 0 is features that no other layer reads",
        ),
        (  # the layer that reads the image is registered first
            lambda w: module(dense=nn.Linear(16 * w, 3), conv=nn.Conv2d(1, w, 3)),
            "dense.weight .* axis 1 is inputs",
        ),
        (
            lambda w: module(conv=nn.Conv2d(2, w, 3), lstm=nn.LSTM(4 * w, 5), head=nn.Linear(5, 2)),
            "conv.weight .* axis 0 is features that no other layer reads",
        ),
    ],
)  # fmt: skip
def test_what_is_not_followed(make, words):
    with pytest.raises(ShapeError, match=words):
        selected(make, 8, 4)
    selected(make, 4, 4)


def test_inputs_and_outputs_are_whole():
    with pytest.raises(
        ShapeError, match=r"0.weight .* axis 1 is inputs of the model, .* 16 in .* 6"
    ):
        SelectWeights(nn.MLP((64, 8, 3))).select(nn.MLP((16, 8, 3)))
    with pytest.raises(ShapeError, match=r"0.weight .* axis 1 is inputs of the model"):
        SelectWeights(nn.MLP((16, 16, 16, 3))).select(nn.MLP((8, 8, 8, 3)))
    with pytest.raises(ShapeError, match=r"2.weight .* axis 0 is outputs of the model"):
        SelectWeights(nn.MLP((4, 8, 9)), select_head=True).select(nn.MLP((4, 8, 3)))
    with pytest.raises(ShapeError, match=r"2.bias .* axis 0 is outputs of the model"):
        SelectWeights(nn.MLP((4, 8, 9)), select_head=True, skip=["2.weight"]).select(
            nn.MLP((4, 8, 3))
        )
    color, grey = (models.build("resnet(depth=8)", inputs=(c, 8, 8), outputs=5) for c in (3, 1))
    with pytest.raises(ShapeError, match=r"conv1.weight .* axis 1 is inputs of the model"):
        SelectWeights(color).select(grey)
    assert SelectWeights(color, skip=["conv1.weight"]).select(grey).report.left


# --- heads of a model ---------------------------------------------------------------------------


def test_heads_by_name():
    body = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
    assert heads_among(module(head=nn.Linear(4, 9), layers=body)) == ("head",)
    # The last layer of a body that feeds the head is none.
    assert heads_among(module(fc=nn.Linear(4, 9), body=nn.MLP((3, 5, 4)))) == ("fc",)
    assert heads_among(module(conv=nn.Linear(3, 4), fc=nn.Linear(4, 6), out=nn.Linear(6, 9))) == (
        "fc",
        "out",
    )
    both = nn.ModuleDict({"policy": nn.Linear(4, 9), "value": nn.Linear(4, 1)})
    assert heads_among(module(body=nn.Linear(3, 4), heads=both)) == ("heads.policy", "heads.value")
    vgg = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 9))
    assert heads_among(module(body=nn.Linear(3, 4), classifier=vgg)) == ("classifier.2",)


# --- attention ----------------------------------------------------------------------------------


def attention(width, heads=2, keys=None, **more):
    made = module(
        stem=nn.Linear(3, width), q_proj=nn.Linear(width, width),
        k_proj=nn.Linear(width, keys or width), v_proj=nn.Linear(width, keys or width),
        o_proj=nn.Linear(width, width), head=nn.Linear(width, 2),
    )  # fmt: skip
    made.num_heads = heads
    return made


def test_names_alone_are_no_attention():
    def gated(w):
        return module(
            stem=nn.Linear(3, w), value=nn.Linear(w, w), gate=nn.Linear(w, w), out=nn.Linear(w, 2)
        )

    rows = {row.tensor: row.axes for row in selected(gated, 8, 4).selected}
    assert rows["value.weight"] == rows["gate.weight"] == ("uniform 4 of 8", "uniform 4 of 8")

    def projection(w):
        return module(in_proj=nn.Linear(5, w), out=nn.Linear(w, 2))

    rows = {row.tensor: row.axes for row in selected(projection, 24, 12).selected}
    assert rows["in_proj.weight"] == ("uniform 12 of 24", "all 5")


def test_an_attention_without_its_number_of_heads():
    def make(w):
        return attention(w, heads=None)

    with pytest.raises(ShapeError, match=r"q_proj.weight .* does not say its number of heads"):
        selected(make, 16, 8)
    selected(make, 8, 8)


def test_fewer_heads_of_keys_and_values():
    def make(w):
        return attention(w, keys=w // 2)

    with pytest.raises(ShapeError, match=r"q_proj.weight .* fewer heads of keys and values"):
        selected(make, 16, 8)
    selected(make, 8, 8)
    report = selected(attention, 16, 8)
    assert report.selected[2].axes[0] == "all 2 heads · uniform 4 of 8"

    def unread(w):
        made = attention(w, keys=w // 4)
        del made.o_proj
        return made

    with pytest.raises(ShapeError, match=r"q_proj.weight .* fewer heads of keys and values"):
        selected(unread, 16, 8)

    def fused(w):
        made = module(stem=nn.Linear(3, w), qkv=nn.Linear(w, 2 * w), proj=nn.Linear(w, w))
        made.num_heads = 2
        return made

    with pytest.raises(ShapeError, match=r"qkv.weight .* fewer heads of keys and values"):
        selected(fused, 12, 6)


def test_an_attention_within_another_part_that_looks_like_one():
    inner = attention(8)
    outer = attention(12, heads=3)
    outer.inner = inner
    axes = axes_of(outer)
    assert roles(axes["inner.o_proj.weight"][1]) == [("heads", 2), ("units", 4)]
    assert roles(axes["o_proj.weight"][1]) == [("heads", 3), ("units", 4)]


def test_heads_that_are_said_twice_or_for_nothing():
    teacher, student = nn.MultiheadAttention(16, 4), nn.MultiheadAttention(8, 2)
    with pytest.raises(ArgumentError, match=r"teacher_heads is 8, but .*in_proj_weight has 4"):
        SelectWeights(teacher, teacher_heads=8).select(student)
    SelectWeights(teacher, teacher_heads=4).select(student)
    with pytest.raises(ArgumentError, match="teacher_heads is of no use"):
        SelectWeights(nn.MLP((2, 8, 2)), teacher_heads=4).select(nn.MLP((2, 4, 2)))


# --- places -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["posterior", "post", "pose", "pos_mlp", "position_mlp", "pos"])
def test_a_layer_is_no_embedding_of_places(name):
    def make(w):
        return module(**{"stem": nn.Linear(3, w), name: nn.Linear(w, w), "out": nn.Linear(w, 2)})

    rows = {row.tensor: row.axes for row in selected(make, 8, 4).selected}
    assert rows[f"{name}.weight"] == ("uniform 4 of 8", "uniform 4 of 8")


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("pos_embedding", "places"),
        ("position", "places"),
        ("pose", "units"),
        ("posterior", "units"),
    ],
)
def test_places_of_a_module_itself(name, role):
    axes = axes_of(module(**{name: gl.Variable(np.ones((6, 4)))}))
    assert roles(axes[name][0]) == [(role, 6)]


@pytest.mark.parametrize("name", ["wpe", "pos_emb", "position_embeddings", "embed_positions"])
def test_embeddings_of_places(name):
    axes = axes_of(module(**{name: nn.Embedding(6, 4), "out": nn.Linear(4, 2)}))
    assert roles(axes[f"{name}.weight"][0]) == [("places", 6)]


def test_images_of_another_size():
    large, small = (
        models.build("vit(layers=1, heads=1, width=4, patch=4)", inputs=(3, n, n), outputs=5)
        for n in (16, 8)
    )
    words = r"pos_embed .* axis 1 is places, which must be as many: 5 in the student, 17 in"
    with pytest.raises(ShapeError, match=words):
        SelectWeights(large).select(small)


# --- layers and names ---------------------------------------------------------------------------


def row(*widths):
    pairs = zip((3, *widths), widths, strict=False)
    return nn.Sequential(*[layer for a, b in pairs for layer in (nn.Conv2d(a, b, 3), nn.ReLU())])


def test_layers_that_do_not_fit():
    with pytest.raises(
        ArgumentError, match=r"layers 0 and 6 of \* do not fit: one gives 16, the other reads 32; t"
    ):
        SelectWeights(row(16, 16, 32, 32)).select(row(8, 16))
    with pytest.raises(ArgumentError, match="layers 2 and 6 of"):
        SelectWeights(nn.MLP((3, 8, 6, 4, 2))).select(nn.MLP((3, 4, 4, 2)))
    blocks = [nn.Sequential(nn.Linear(n, n), nn.Linear(n, n)) for n in (8, 8, 16, 16)]
    student = nn.ModuleList([nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)) for _ in range(2)])
    teacher = nn.ModuleList(blocks)
    with pytest.raises(ArgumentError, match=r"layer 1 of \* does not fit as the last: it gives 8"):
        SelectWeights(teacher).select(student)
    with pytest.raises(ArgumentError, match=r"layers before and 2 of .* one gives 8, the other re"):
        SelectWeights(teacher, layers="last").select(student)


def test_two_prefixes():
    student = nn.MLP((4, 4, 2))
    state = nn.MLP((4, 8, 2)).state_dict()
    teacher = {f"{name}.{key}": value for name in ("a", "b") for key, value in state.items()}
    with pytest.raises(
        ArgumentError, match=r"under 'a\.' and under 'b\.': .*mapping=\{'\*': 'a\.\*"
    ):
        SelectWeights(teacher).select(student)
    (first, *_) = SelectWeights(teacher, mapping={"*": "b.*"}).select(student).report.selected
    assert first.source == "b.0.weight"
    # A few names that end alike are no prefix.
    with pytest.raises(ArgumentError, match="the teacher has no such layers"):
        SelectWeights({"a.0.bias": state["0.bias"]}).select(student)


def test_two_patterns_for_one_name():
    state = nn.MLP((4, 8, 2)).state_dict()
    teacher = {f"{name}.{key}": value for name in ("a", "b") for key, value in state.items()}
    with pytest.raises(ArgumentError, match=r"gives 0.weight two names in the teacher, a.0.weight"):
        SelectWeights(teacher, mapping={"*": "a.*", "0.*": "b.0.*"}).select(nn.MLP((4, 4, 2)))


def test_no_such_layers():
    with pytest.raises(ArgumentError, match=r"the teacher has no such layers \*; say their names"):
        SelectWeights(nn.Sequential(nn.BatchNorm2d(3))).select(nn.MLP((4, 4, 4, 2)))


def test_transposed_weights():
    def gpt(w):
        return models.build(f"gpt(layers=1, heads=2, width={w}, bias=True)", inputs=(6,), outputs=5)

    state = gpt(16).state_dict()
    linear = ("c_attn.weight", "c_fc.weight", "c_proj.weight")
    turned = {k: v.T if k.endswith(linear) else v for k, v in state.items()}
    skip = ["*.c_attn.*", "*.c_fc.*", "*.mlp.c_proj.*"]
    for options in ({}, {"skip": skip}):
        with pytest.raises(ShapeError, match="every weight of c_attn, c_fc, c_proj turned, the sq"):
            SelectWeights(turned, **options).select(gpt(8))
    SelectWeights(state).select(gpt(8))


# --- values and report --------------------------------------------------------------------------


def test_numbers_that_do_not_fit():
    teacher = nn.MLP((2, 8, 2)).state_dict() | {"0.bias": np.full(8, 1e300)}
    student = nn.MLP((2, 4, 2))
    before = student[0].weight.numpy().copy()
    with pytest.raises(DTypeError, match=r"0.bias holds 1e\+300, which is too large for float32"):
        initialize(student, SelectWeights(teacher))
    np.testing.assert_array_equal(student[0].weight.numpy(), before)


def test_what_was_not_used():
    teacher = nn.MLP((2, 8, 2)).state_dict() | {"aux.weight": np.ones(3), "aux.bias": np.ones(3)}
    student = nn.MLP((2, 4, 2))
    assert SelectWeights(teacher).select(student).report.notes == (
        "not used of the teacher: 2 tensors, such as aux.weight",
    )
    del teacher["aux.bias"]
    (note,) = SelectWeights(teacher).select(student).report.notes
    assert note == "not used of the teacher: 1 tensor, such as aux.weight"
    # Of layers that were not chosen another note tells.
    notes = SelectWeights(nn.MLP((2, 8, 8, 8, 2))).select(nn.MLP((2, 4, 4, 2))).report.notes
    assert notes == ("layers *: 0, 2, 6 of 0, 2, 4, 6",)


def test_a_skipped_normalization_keeps_its_value():
    def make(w):
        return nn.Sequential(nn.Linear(2, w), nn.BatchNorm1d(w), nn.Linear(w, 2))

    scheme = SelectWeights(make(8), skip=["1.*"], otherwise="constant(value=3)")
    values, report = scheme.select(make(4))
    left = {line.tensor: line.reason for line in report.left}
    assert left["1.weight"] == left["1.running_mean"] == "skipped, keeps its value"
    assert left["2.weight"] == "head, left to constant(value=3)"
    assert "1.weight" not in values


def test_otherwise_is_for_what_is_left():
    """It need not fit anything else."""
    teacher, student = (
        nn.Sequential(nn.Conv2d(3, w, 3), nn.Flatten(), nn.Linear(w, w), nn.Linear(w, w))
        for w in (8, 4)
    )
    scheme = SelectWeights(teacher, skip=["2.weight"], otherwise="identity")
    with pytest.raises(ShapeError, match=r"0.weight"):
        initialize(student, "identity")
    values = scheme.select(student).values
    np.testing.assert_array_equal(values["2.weight"], np.eye(4))
    assert set(values) == set(student.state_dict())


def test_schemes_compare_and_hash():
    scheme = SelectWeights({"weight": np.ones((2, 2))})
    assert scheme != SelectWeights({"weight": np.ones((2, 2))})
    assert hash(scheme)
