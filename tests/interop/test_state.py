"""State beside the parameters is kept, copied and exported wherever weights are."""

import copy

import numpy as np
import pytest

import gradlab as gl
from gradlab import nn, optim
from gradlab.init import SelectWeights, initialize
from gradlab.interop import load_weights, save_weights
from gradlab.train import Trainer
from gradlab.train.evaluate import Evaluator

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
from gradlab.interop.onnx import to_onnx  # noqa: E402
from gradlab.interop.torch import from_torch, to_torch  # noqa: E402

RNG = np.random.default_rng(0)
X = RNG.normal(2, 3, (24, 4)).astype(np.float32)
Y = RNG.integers(0, 3, 24)


class Centered(nn.Module):
    """With a mean and a count of its own, and parameters below."""

    def __init__(self):
        self.below = nn.Linear(4, 4)
        self.mean = gl.Variable(np.zeros(4, np.float32), trainable=False)
        self.parts = {"count": gl.Variable(np.array(0), trainable=False)}

    def forward(self, x):
        if self.training:
            self.mean.assign(0.5 * self.mean + 0.5 * gl.mean(x, 0))
            self.parts["count"].assign(self.parts["count"] + 1)
        return self.below(x - self.mean) + gl.astype(self.parts["count"], "float32")


def frozen():
    made = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3))
    made[0].weight.trainable = made[0].bias.trainable = False
    return made


def norm(**options):
    return lambda: nn.Sequential(
        nn.BatchNorm1d(4, **options), nn.Linear(4, 6), nn.BatchNorm1d(6, **options), nn.Linear(6, 3)
    )


MODELS = {
    "batch norm": norm(),
    "without γ and β": norm(affine=False),
    "means over all batches": norm(momentum=None),
    "without statistics": norm(track_running_stats=False),
    "a module's own": lambda: nn.Sequential(Centered(), nn.Linear(4, 3)),
    "frozen": frozen,
    "by name": lambda: nn.Sequential(
        {
            "flat": nn.Flatten(),
            "norm": nn.BatchNorm1d(4, affine=False, momentum=1.0),
            "dense": nn.Linear(4, 3),
        }
    ),
    "dropout": lambda: nn.Sequential(nn.Dropout(0.3), nn.Linear(4, 3)),
}


def trained(name, seed=1):
    model = MODELS[name]()
    initialize(model, "xavier_uniform", seed)
    Trainer(model, X, Y, nn.cross_entropy, optim.Adam(0.05), batch_size=8).advance(7)
    return model


def output(model):
    return Evaluator(model).predict(X)


def bits(arrays):
    return {k: (x.dtype, x.shape, np.asarray(x).tobytes()) for k, x in arrays.items()}


def by_state(model, name, folder):
    other = MODELS[name]()
    other.load_state_dict(model.state_dict())
    return other


def by_file(suffix):
    def copied(model, name, folder):
        save_weights(model, folder / f"w{suffix}")
        other = MODELS[name]()
        load_weights(other, folder / f"w{suffix}")
        return other

    return copied


def by_pytorch(model, name, folder):
    return from_torch(to_torch(model)) if "own" not in name else by_state(model, name, folder)


def by_selection(model, name, folder):
    other = trained(name, seed=2)
    initialize(other, SelectWeights(model, select_head=True))
    return other


def by_selection_from_a_file(model, name, folder):
    save_weights(model, folder / "w.safetensors")
    other = trained(name, seed=2)
    initialize(other, SelectWeights(folder / "w.safetensors", select_head=True))
    return other


def by_trainer(model, name, folder):
    """A state of a training, restored into another."""
    trainers = [
        Trainer(m, X, Y, nn.cross_entropy, optim.Adam(0.05), batch_size=8)
        for m in (model, MODELS[name]())
    ]
    trainers[1].restore(trainers[0].state())
    return trainers[1].model


WAYS = {
    "state_dict": by_state,
    "safetensors": by_file(".safetensors"),
    "a PyTorch file": by_file(".pt"),
    "PyTorch and back": by_pytorch,
    "selection": by_selection,
    "selection from a file": by_selection_from_a_file,
    "a trainer's state": by_trainer,
    "deepcopy": lambda model, name, folder: copy.deepcopy(model),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", MODELS)
def test_a_copy_is_the_same_in_all_of_its_state(name, way, tmp_path):
    model = trained(name)
    before = bits(model.state_dict())
    other = WAYS[way](model, name, tmp_path)
    assert bits(other.state_dict()) == before == bits(model.state_dict())
    np.testing.assert_array_equal(output(other), output(model))


@pytest.mark.parametrize("name", MODELS)
def test_exports_evaluate_as_the_model_does(name, tmp_path):
    model = trained(name)
    expected = output(model)
    to_onnx(model, tmp_path / "m.onnx", (1, 4))
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    (argument,) = session.get_inputs()
    (found,) = session.run(None, {argument.name: X})
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        theirs = to_torch(model).eval()(torch.tensor(X)).numpy()
    np.testing.assert_allclose(theirs, expected, rtol=1e-5, atol=1e-5)
