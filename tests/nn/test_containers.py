"""Containers: names as PyTorch's, refusals, residual connections."""

import collections

import numpy as np
import pytest

import gradlab as gl
from gradlab import nn
from gradlab.errors import ArgumentError, ShapeError


def test_module_list():
    first, second = nn.Linear(2, 3), nn.Linear(3, 1)
    parts = nn.ModuleList([first]).extend([second]).append(nn.ReLU())
    assert (parts[0], parts[-2], len(parts)) == (first, second, 3)
    assert [*parts][:2] == [first, second]
    assert list(parts.named_parameters()) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    with pytest.raises(ArgumentError, match=r"ModuleList takes modules .* number 3 is 'relu'"):
        parts.append("relu")
    with pytest.raises(NotImplementedError, match="ModuleList computes nothing"):
        parts(1.0)


def test_module_dict():
    parts = nn.ModuleDict({"a": nn.Linear(2, 3)})
    parts["b"] = nn.Linear(3, 1, bias=False)
    assert list(parts) == list(parts.keys()) == ["a", "b"]
    assert parts["b"] is parts.b is dict(parts.items())["b"] is list(parts.values())[1]
    assert ("a" in parts, "c" in parts, len(parts)) == (True, False, 2)
    assert list(parts.named_parameters()) == ["a.weight", "a.bias", "b.weight"]
    parts["a"] = nn.ReLU()
    assert list(parts.named_parameters()) == ["b.weight"]


@pytest.mark.parametrize("name", ["", "a.b", "forward", "training", "keys", 5])
def test_names_that_cannot_be(name):
    for make in (nn.ModuleDict, nn.Sequential):
        if name == "keys" and make is nn.Sequential:
            continue
        with pytest.raises(ArgumentError, match="cannot name a module"):
            make({name: nn.ReLU()})
        with pytest.raises(ArgumentError, match="takes modules such as"):
            make({name: np.tanh})


def test_sequential_with_names_as_in_torch():
    torch = pytest.importorskip("torch")
    theirs = torch.nn.Sequential(
        collections.OrderedDict(
            fc1=torch.nn.Linear(2, 3), act=torch.nn.Tanh(), fc2=torch.nn.Linear(3, 1)
        )
    ).double()
    ours = nn.Sequential(
        {
            "fc1": nn.Linear(2, 3, dtype="float64"),
            "act": nn.Tanh(),
            "fc2": nn.Linear(3, 1, dtype="float64"),
        }
    )
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    x = np.random.default_rng(0).normal(size=(4, 2))
    np.testing.assert_allclose(ours(x), theirs(torch.tensor(x)).detach().numpy(), rtol=1e-12)
    assert ours.fc2.weight.name == "fc2.weight"
    assert [len(ours), len(ours[1:]), ours[2] is ours.fc2] == [3, 2, True]


def test_residual():
    body, shortcut = nn.Linear(2, 3), nn.Linear(2, 3, bias=False)
    x = np.ones((4, 2), np.float32)
    block = nn.Residual(body, shortcut)
    np.testing.assert_array_equal(block(x), body(x) + shortcut(x))
    assert list(block.named_parameters()) == ["body.weight", "body.bias", "shortcut.weight"]
    x = gl.Variable([[1.0, -2.0]])
    with gl.GradientTape() as tape:
        y = nn.Residual(nn.ReLU())(x).sum()
    np.testing.assert_array_equal(tape.gradient(y, x), [[2.0, 1.0]])
    with pytest.raises(ShapeError, match=r"the shortcut has shape \(4, 1\) and .* \(4, 3\)"):
        nn.Residual(nn.Linear(1, 3))(np.ones((4, 1), np.float32))
