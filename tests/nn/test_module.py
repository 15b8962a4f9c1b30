"""The named tree: paths, state, sharing, modes, seeds, errors."""

import copy

import numpy as np
import pytest

import gradlab as gl
from gradlab import nn
from gradlab.errors import ArgumentError, DTypeError, ShapeError


class Block(nn.Module):
    def __init__(self):
        self.scale = gl.Variable([2.0, 3.0])
        self.running = gl.Variable([0.5, 0.5], trainable=False)
        self.layers = [nn.Linear(2, 2), nn.Dropout(0.5), nn.Linear(2, 1, bias=False)]
        self.note = "not a part"
        self.stream = gl.RandomStream(0)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


NAMES = {
    "scale": True,
    "running": False,
    "layers.0.weight": True,
    "layers.0.bias": True,
    "layers.1.stream.key": False,
    "layers.1.stream.count": False,
    "layers.2.weight": True,
    "stream.key": False,
    "stream.count": False,
}


def test_paths_follow_the_order_of_attributes():
    block = Block()
    assert list(block.named_variables()) == list(NAMES)
    assert list(block.named_parameters()) == [name for name, kept in NAMES.items() if kept]
    assert list(block.state_dict()) == [name for name in NAMES if "stream" not in name]
    assert list(block.named_streams()) == ["layers.1.stream", "stream"]
    assert list(block.named_modules()) == ["", "layers.0", "layers.1", "layers.2"]
    assert [id(p) for p in block.parameters()] == [id(p) for p in block.named_parameters().values()]


def test_shared_and_circular_parts_are_listed_once():
    block, other = Block(), nn.Linear(2, 2)
    other.weight = block.layers[0].weight
    block.other = other
    other.parent = block
    assert "other.weight" not in block.named_variables()
    assert list(block.named_variables())[-1] == "other.bias"


def test_members_of_a_dict_are_parts():
    block = nn.Module()
    block.heads = {"left": nn.Linear(2, 1), "right": [nn.Dropout(0.5)], 3: gl.Variable(1.0)}
    assert list(block.named_parameters()) == ["heads.left.weight", "heads.left.bias", "heads.3"]
    assert list(block.named_streams()) == ["heads.right.0.stream"]
    assert "(heads.left): Linear" in repr(block)
    assert not block.eval().heads["right"][0].training


def test_a_variable_is_not_replaced_by_its_value():
    layer = nn.Linear(2, 2)
    with pytest.raises(ArgumentError, match=r"weight of Linear .* by weight\.assign\(\.\.\.\)"):
        layer.weight = layer.weight - 0.1
    with pytest.raises(ArgumentError, match="bias of Linear is a Variable and would be lost"):
        layer.bias = None
    assert list(layer.named_parameters()) == ["weight", "bias"]
    layer.weight = gl.Variable(np.eye(2))
    del layer.bias
    layer.bias = None
    np.testing.assert_array_equal(layer([[1.0, 2.0]]), [[1.0, 2.0]])


def test_keywords_reach_forward():
    class Scaled(nn.Module):
        def forward(self, x, by=1.0):
            return gl.as_tensor(x) * by

    assert Scaled()(2.0, by=3.0).item() == 6.0


def test_recorded_outputs_are_named_by_kind_and_path():
    model = nn.Sequential(nn.MLP((2, 3, 1)), nn.Identity())
    with gl.GradientTape():
        h = model[0][0]([[1.0, 2.0]])
        y = model([[1.0, 2.0]])
        x = model[0][0].weight * 2.0
        assert nn.Identity()(x) is x
    assert (h.name, y.name, x.name) == ("Linear:0.0", "Linear:0.2", None)
    assert model([[1.0, 2.0]]).name is None


def test_a_frozen_parameter_is_a_buffer():
    model = nn.MLP((2, 3, 1))
    model[0].weight.trainable = False
    assert list(model.named_parameters()) == ["0.bias", "2.weight", "2.bias"]
    assert list(model.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]


def test_name_variables_gives_full_paths():
    block = Block()
    assert block.layers[0].weight.name == "weight"
    assert block.name_variables() is block
    assert {path: v.name for path, v in block.named_variables().items()} == {n: n for n in NAMES}
    with gl.GradientTape() as tape:
        loss = block.scale.sum()
    assert tape.gradient(loss, block.scale).shape == (2,)
    assert block.scale.read().name == "scale"


def test_train_and_eval_reach_every_module():
    block = Block()
    assert block.training
    assert block.eval() is block
    assert not any(m.training for m in block.named_modules().values())
    assert block.train().layers[1].training


def test_state_dict_is_a_copy_and_restores():
    model = nn.MLP((2, 3, 1))
    state = model.state_dict()
    before = model([[1.0, 2.0]]).numpy()
    state["0.weight"] += 1
    assert np.array_equal(model([[1.0, 2.0]]).numpy(), before)
    model.load_state_dict(state)
    assert not np.array_equal(model([[1.0, 2.0]]).numpy(), before)
    twin = nn.MLP((2, 3, 1))
    twin.load_state_dict(model.state_dict())
    assert np.array_equal(twin([[1.0, 2.0]]).numpy(), model([[1.0, 2.0]]).numpy())


def test_deepcopy_is_independent():
    model = nn.MLP((2, 3, 1), dropout=0.5)
    twin = copy.deepcopy(model)
    twin[0].weight.assign(twin[0].weight * 0)
    assert model[0].weight.numpy().any()
    assert list(twin.named_variables()) == list(model.named_variables())


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda s: s.pop("2.bias"), ArgumentError, "missing: 2.bias$"),
        (lambda s: s.update(head=np.zeros(2)), ArgumentError, "unexpected: head$"),
        (
            lambda s: s.update(head=s.pop("2.bias")),
            ArgumentError,
            "MLP: missing: 2.bias; unexpected: head",
        ),
        (
            lambda s: s.update({"2.weight": np.zeros((2, 3))}),
            ShapeError,
            r"2.weight has shape \(2, 3\) instead of \(1, 3\)",
        ),
        (lambda s: s.update({"2.bias": ["a"]}), DTypeError, "2.bias holds <U1, not numbers"),
        (lambda s: s.update({"2.bias": [[1], []]}), DTypeError, "2.bias does not convert"),
        (lambda s: s.update({str(i): 0 for i in range(7, 15)}), ArgumentError, "and 3 more$"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change, error, words):
    model = nn.MLP((2, 3, 1))
    before, state = model.state_dict(), {k: v + 1 for k, v in model.state_dict().items()}
    change(state)
    with pytest.raises(error, match=words) as caught:
        model.load_state_dict(state)
    assert "\n" not in str(caught.value)
    assert all(np.array_equal(v, before[k]) for k, v in model.state_dict().items())


def test_numbers_that_the_dtype_cannot_hold_do_not_load():
    block = nn.Module()
    block.scale = gl.Variable([1.0, 1.0])
    block.steps = gl.Variable(np.int32(0), trainable=False)
    good = {"scale": np.array([np.inf, np.nan]), "steps": np.array(5)}
    block.load_state_dict(good)
    assert block.steps.item() == 5
    with pytest.raises(DTypeError, match=r"scale holds 1e\+300, which is too large for float32"):
        block.load_state_dict(good | {"scale": np.array([1.0, 1e300])})
    with pytest.raises(DTypeError, match="steps holds 4294967301, which is too large for int32"):
        block.load_state_dict(good | {"steps": np.array(2**32 + 5)})
    assert np.isinf(block.scale.numpy()[0])


def test_floats_do_not_load_into_whole_numbers():
    block = nn.Module()
    block.first, block.steps = gl.Variable([1.0]), gl.Variable(0, trainable=False)
    with pytest.raises(DTypeError, match="steps is float64 and cannot become int64"):
        block.load_state_dict({"first": np.array([2.0]), "steps": np.array(1.5)})
    assert block.first.item() == 1.0


def test_reseed_depends_on_seed_and_path_alone():
    def draws(*modules, seed=0):
        model = nn.Sequential(*modules).reseed(seed)
        return {
            path: stream.uniform((4,)).numpy().tolist()
            for path, stream in model.named_streams().items()
        }

    two = draws(nn.Dropout(), nn.Dropout())
    three = draws(nn.Dropout(), nn.Dropout(), nn.Dropout())
    assert two == {path: three[path] for path in two}
    assert len({tuple(u) for u in three.values()}) == 3
    assert draws(nn.Dropout(), seed=1)["0.stream"] != two["0.stream"]


def test_reseed_starts_the_count_anew():
    model = nn.MLP((2, 3, 1), dropout=0.5).reseed(0)
    first = model([[1.0, 2.0]]).numpy()
    model([[1.0, 2.0]])
    model.reseed(0)
    assert model.named_variables()["2.stream.count"].item() == 0
    assert np.array_equal(model([[1.0, 2.0]]).numpy(), first)


@pytest.mark.parametrize("seed", [-1, 0.5, None, "0"])
def test_reseed_wants_a_whole_number(seed):
    with pytest.raises(ArgumentError, match="whole number from 0 up"):
        nn.Dropout().reseed(seed)


def test_repr_shows_settings_lists_and_shared_modules():
    block = Block()
    assert repr(block).splitlines() == [
        "Block(",
        "  note='not a part'",
        "  (layers.0): Linear(in_features=2, out_features=2)  # 6 parameters",
        "  (layers.1): Dropout(p=0.5)",
        "  (layers.2): Linear(in_features=2, out_features=1)  # 2 parameters",
        ")  # 10 parameters",
    ]
    relu = nn.ReLU()
    assert repr(nn.Sequential(relu, relu)) == "Sequential(\n  (0): ReLU()\n  (1): ReLU()\n)"


def test_a_module_without_forward_says_so():
    with pytest.raises(NotImplementedError, match=r"Module computes nothing yet: define forward"):
        nn.Module()(1.0)
