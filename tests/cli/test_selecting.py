"""``gradlab select-weights``, and a training that starts from selected weights."""

import numpy as np
import pytest

from gradlab import nn
from gradlab.init import initialize
from gradlab.interop import load_weights, open_weights, save_weights
from gradlab.nn.models import models

SMALL = ("--model", "mlp(hidden=(4,))", "--inputs", "2", "--outputs", "2")


@pytest.fixture
def teacher(tmp_path):
    model = nn.MLP((2, 8, 2))
    initialize(model, "kaiming_normal", seed=3, patterns={"*.bias": "uniform(low=1, high=2)"})
    save_weights(model, tmp_path / "teacher.safetensors")
    return model


def test_report_and_file(gradlab, teacher, tmp_path):
    done = gradlab("select-weights", "teacher.safetensors", *SMALL, "--out", "s.safetensors")
    assert done.status == 0
    assert done.out.splitlines() == [
        "2 of 4 tensors, 12 of 22 numbers, selected from teacher.safetensors: layers first, "
        "elements uniform",
        "",
        "student   shape  teacher   shape  selected",
        "0.weight  4×2    0.weight  8×2    uniform 4 of 8, all 2",
        "0.bias    4      0.bias    8      uniform 4 of 8",
        "2.weight  2×4    -                head, left to kaiming_uniform",
        "2.bias    2      -                head, left to kaiming_uniform",
        "",
        "s.safetensors: 22 parameters",
    ]
    weights = open_weights(tmp_path / "s.safetensors")
    np.testing.assert_array_equal(weights["0.bias"], teacher[0].bias.numpy()[::2])
    about = {"teacher": "teacher.safetensors", "layers": "first", "elements": "uniform"}
    about |= {"seed": "0", "model": "mlp(hidden=(4,))", "format": "pt"}
    about |= {"inputs": "2", "outputs": "2"}
    assert weights.metadata == about
    load_weights(nn.MLP((2, 4, 2)), tmp_path / "s.safetensors")


def test_to_and_from_pytorch(gradlab, teacher, tmp_path):
    torch = pytest.importorskip("torch")
    state = {f"body.{k}.x": torch.tensor(v) for k, v in teacher.state_dict().items()}
    torch.save({"model": state}, tmp_path / "t.pt")
    options = ("--map", "*.bias=body.*.bias.x", "--map", "*.weight=body.*.weight.x")
    options += ("--select-head", "--elements", "random", "--seed", "4", "--layers", "last")
    done = gradlab("select-weights", "t.pt", *SMALL, *options, "--out", "s.pt")
    assert "4 of 4 tensors" in done.out
    twin = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    twin.load_state_dict(torch.load(tmp_path / "s.pt", weights_only=True))
    assert set(twin[0].bias.tolist()) < set(teacher[0].bias.numpy().tolist())


def test_options(gradlab, tmp_path):
    image = ("--inputs", "3,8,8", "--outputs", "5")
    wide = models.build("vit(layers=3, heads=2, width=16)", inputs=(3, 8, 8), outputs=7)
    save_weights(wide, tmp_path / "vit.safetensors")
    model = ("--model", "vit(layers=2, heads=1, width=4)", *image)
    options = ("--skip", "pos_embed", "--heads", "2", "--layers", "uniform")
    options += ("--otherwise", "constant(value=3)", "--out", "s.safetensors")
    done = gradlab("select-weights", "vit.safetensors", *model, *options)
    assert "layers blocks.*: 0, 2 of 3" in done.out
    assert "all 3 · heads 0 of 2 · uniform 4 of 8, uniform 4 of 16" in done.out
    assert "skipped, left to constant(value=3)" in done.out
    weights = open_weights(tmp_path / "s.safetensors")
    assert (weights["pos_embed"] == 3).all()
    assert (weights["head.weight"] == 3).all()


def test_a_run_is_a_teacher_and_selected_weights_start_a_run(gradlab, wines, tmp_path):
    assert gradlab("train", wines, "--epochs", "2", "--hidden", "8", "-q").status == 0
    out = ("--out", "s.safetensors")
    done = gradlab("select-weights", "runs/wines-001", *SMALL, *out, "--select-head")
    assert "4 of 4 tensors" in done.out
    init = "select_weights(teacher='s.safetensors', select_head=True)"
    options = ("--epochs", "1", "--hidden", "4", "--lr", "1e-30", "-q", "--optimizer", "sgd")
    done = gradlab("train", wines, "--init", init, *options)
    assert done.status == 0, done.err
    assert gradlab("export", "runs/wines-002", "after.safetensors").status == 0
    before, after = (open_weights(tmp_path / f"{name}.safetensors") for name in ("s", "after"))
    for name in before:
        np.testing.assert_array_equal(after[name], before[name])
    # The network is there without its teacher.
    (tmp_path / "s.safetensors").unlink()
    assert gradlab("predict", "runs/wines-002", wines).status == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("none.safetensors", *SMALL), "there is no file none.safetensors"),
        ((".", *SMALL), "is not a run folder"),
        (("teacher.safetensors", *SMALL, "--inputs", "a,b"), "inputs must be whole numbers"),
        (("teacher.safetensors", *SMALL, "--map", "a"), "map must be STUDENT=TEACHER, got 'a'"),
        (("teacher.safetensors", *SMALL, "--map", "a=b"), "no tensor of the student matches 'a'"),
        (
            ("teacher.safetensors", *SMALL, "--map", "a=b", "--map", "a=c"),
            "map gives 'a' both 'b' and 'c'",
        ),
        (("teacher.safetensors", *SMALL, "--layers", "third"), "unknown policy of layers 'third'"),
        (("teacher.safetensors", *SMALL, "--model", "mpl"), "did you mean 'mlp'"),
        (("teacher.safetensors", *SMALL, "--model", "mlp(hidden=(9,))"), "smaller in axis 0"),
        (("teacher.safetensors", *SMALL[:4]), "model mlp needs outputs"),
        (("teacher.safetensors", *SMALL, "--heads", "0"), "--heads"),
        (("teacher.safetensors",), "Missing option"),
    ],
)
def test_one_clear_line(gradlab, teacher, tmp_path, words, message):
    done = gradlab("select-weights", *words, "--out", "s.safetensors")
    assert (done.status, done.out) == (2, "")
    assert message in done.err
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    assert not (tmp_path / "s.safetensors").exists()


def test_the_teacher_is_not_overwritten(gradlab, teacher, tmp_path):
    before = (tmp_path / "teacher.safetensors").read_bytes()
    (tmp_path / "link.safetensors").symlink_to("teacher.safetensors")
    for name in ("./teacher.safetensors", "link.safetensors"):
        done = gradlab("select-weights", "teacher.safetensors", *SMALL, "--out", name)
        assert (done.status, done.out) == (2, "")
        assert "lies in, the teacher: give another name" in done.err
        assert (tmp_path / "teacher.safetensors").read_bytes() == before


def test_the_name_is_checked_first(gradlab):
    done = gradlab("select-weights", "none.safetensors", *SMALL, "--out", "s.h5")
    assert done.err.startswith("error: s.h5: the name of a weights file ends with one of")


def test_where_it_cannot_be_written(gradlab, teacher):
    for name, message in (("s.h5", "ends with one of"), ("none/s.pt", "cannot write none/s.pt")):
        done = gradlab("select-weights", "teacher.safetensors", *SMALL, "--out", name)
        assert (done.status, done.out) == (2, "")
        assert message in done.err
