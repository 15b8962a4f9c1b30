"""What fit leaves is the best row of its history, with all state beside the parameters."""

import numpy as np
import pytest

import gradlab as gl
from gradlab import nn, optim
from gradlab.errors import RunError
from gradlab.init import initialize
from gradlab.train import Callback, RunFolder, accuracy, fit
from gradlab.train.evaluate import Evaluator
from gradlab.train.files import load_arrays
from gradlab.train.prediction import TrainedNetwork

EPOCHS, WORSE = 6, 3


class Centered(nn.Module):
    """With a mean of its own that moves in training and counts in evaluation."""

    def __init__(self):
        self.mean = gl.Variable(np.zeros(4, np.float32), trainable=False)

    def forward(self, x):
        if self.training:
            self.mean.assign(0.5 * self.mean + 0.5 * gl.mean(x, 0))
        return x - self.mean


class Noisy(nn.Module):
    """With random numbers in evaluation too."""

    def __init__(self):
        self.stream = gl.RandomStream(0)

    def forward(self, x):
        return x + self.stream.normal(x.shape, x.dtype) / 10


MODELS = {
    "plain": lambda: nn.MLP((4, 8, 3)),
    "large": lambda: nn.MLP((4, 600, 600, 3)),  # weights of a megabyte are updated where they lie
    "dropout": lambda: nn.MLP((4, 8, 3), dropout=0.3),
    "batch norm": lambda: nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)),
    "without γ and β": lambda: nn.Sequential(
        nn.BatchNorm1d(4, affine=False), nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)
    ),
    "a buffer": lambda: nn.Sequential(Centered(), nn.Linear(4, 3)),
    "random numbers": lambda: nn.Sequential(Noisy(), nn.Linear(4, 3)),
    "layer norm": lambda: nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 3)),
}
OPTIMIZERS = {
    "RMSProp": optim.RMSProp,
    "Adam": optim.Adam,
}


@pytest.fixture
def parts(classes):
    x, y = classes
    return (x[:30], y[:30]), (x[30:], y[30:])


def train(name, parts, optimizer="Adam", epochs=EPOCHS, **options):
    """Until epoch WORSE it learns, and then it unlearns."""
    model = MODELS[name]()
    initialize(model, "xavier_uniform", 1)
    rate = OPTIMIZERS[optimizer](lambda t: 0.05 if t < WORSE else 50.0)
    settings = {"loss": nn.cross_entropy, "optimizer": rate, "batch_size": 8, "progress": False}
    settings |= {"validation": parts[1], "metrics": {"accuracy": accuracy}, "epochs": epochs}
    return model, fit(model, parts[0], **(settings | options))


def scores(model, parts):
    found = Evaluator(model).scores(*parts[1], nn.cross_entropy, {"accuracy": accuracy})
    return {f"validation_{name}": value for name, value in found.items()}


def bits(model):
    """Of parameters, buffers and random counters."""
    return {name: v.numpy().tobytes() for name, v in model.named_variables().items()}


def row_of(history, number):
    row = history.rows[number]
    return {name: value for name, value in row.items() if name.startswith("validation")}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", MODELS)
def test_evaluation_is_that_of_the_best_row(name, optimizer, parts):
    model, history = train(name, parts, optimizer)
    best = history.best()
    assert best < EPOCHS - 1  # or else this says nothing
    assert scores(model, parts) == row_of(history, best)
    last, history = train(name, parts, optimizer, keep_best=False)
    assert scores(last, parts) == row_of(history, -1) != row_of(history, best)


class Dies(Callback):
    def __init__(self, after):
        self.after = after

    def on_advance(self, training, record):
        if training.trainer.epoch > self.after:
            raise KeyboardInterrupt


@pytest.mark.parametrize("name", MODELS)
def test_also_after_a_resume(name, parts, tmp_path):
    whole, history = train(name, parts)
    best = history.best()
    for after in sorted({1, best + 1, EPOCHS - 1}):
        folder = RunFolder(tmp_path / str(after))
        folder.path.mkdir()
        with pytest.raises(KeyboardInterrupt):
            train(name, parts, run=folder, callbacks=[Dies(after)])
        model, resumed = train(name, parts, run=folder)
        assert resumed.best() == best
        assert scores(model, parts) == row_of(resumed, best)
        assert bits(model) == bits(whole)
        again, _ = train(name, parts, run=folder)  # of a training that is at its end
        assert bits(again) == bits(whole)
        kept, _ = load_arrays(folder.path / "checkpoint.safetensors")
        assert {k for k in kept if k.startswith("best/")} == {f"best/{k}" for k in bits(model)}


def test_what_is_kept_is_never_of_another_row(parts, tmp_path):
    """Whether the best weights are kept may change from one resume to the next."""

    def folder(name):
        (tmp_path / name).mkdir()
        return RunFolder(tmp_path / name)

    early, late = folder("early"), folder("late")
    train("plain", parts, epochs=1, run=early, keep_best=False)
    with pytest.raises(RunError, match=r"best row so far were not kept .* keep_best=False again"):
        train("plain", parts, run=early)
    train("plain", parts, epochs=1, run=late)
    train("plain", parts, epochs=2, run=late, keep_best=False)
    with pytest.raises(RunError, match="best row so far were not kept"):
        train("plain", parts, run=late)


def test_the_last_weights_stay_if_the_best_are_kept_no_more(parts, tmp_path):
    train("plain", parts, epochs=WORSE, run=RunFolder(tmp_path))
    model, history = train("plain", parts, run=RunFolder(tmp_path), keep_best=False)
    assert history.best() < WORSE
    assert scores(model, parts) == row_of(history, -1)
    again, history = train("plain", parts, run=RunFolder(tmp_path))
    assert scores(again, parts) == row_of(history, history.best())


def test_a_run_that_was_not_validated_first(parts, tmp_path):
    train("plain", parts, epochs=1, run=RunFolder(tmp_path), validation=None, metrics=None)
    model, history = train("plain", parts, run=RunFolder(tmp_path))
    assert scores(model, parts) == row_of(history, history.best())


def test_a_run_folder_has_the_weights_of_the_best_row(train, wines):
    experiment, outcome = train(wines, epochs=8, lr=0.3, optimizer="adam", dropout=0.2)
    history = experiment.folder.history()
    best = history.best()
    assert best < 7
    held_out = experiment.dataset.validation
    network = TrainedNetwork.open(experiment.folder.path)
    found = Evaluator(network.model).scores(held_out.x, held_out.y, nn.cross_entropy)
    assert found["loss"] == history.rows[best]["validation_loss"]
    assert outcome.scores["validation"]["loss"] == found["loss"]
