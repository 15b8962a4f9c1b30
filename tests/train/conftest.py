import numpy as np
import pytest

from gradlab import init, nn
from gradlab.train import Config, Experiment, History
from gradlab.train.files import write_json


@pytest.fixture
def classes():
    """A classification with something to learn: (x, y) of 50 rows, 3 classes."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 50)
    return (rng.normal(size=(50, 4)) + y[:, None]).astype(np.float32), y


@pytest.fixture
def make_model():
    def make(seed=0, dropout=0.3, dtype=None):
        model = nn.MLP((4, 8, 3), "tanh", dropout=dropout, dtype=dtype)
        init.initialize(model, "xavier_uniform", seed)
        return model

    return make


@pytest.fixture
def wines(tmp_path):
    """A CSV file of a classification with text, gaps and three classes."""
    rng = np.random.default_rng(1)
    kind = rng.integers(0, 3, 90)
    lines = ["alcohol,colour,ash,kind"]
    for k in kind:
        a, b = rng.normal(size=2) + k
        lines.append(f"{a:.3f},{'red' if b > 1 else 'white'},{b:.3f},{'abc'[k]}")
    lines[5] = ",red,0.5,a"
    path = tmp_path / "wines.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def config(monkeypatch):
    """A config that trains in a blink; pictures take longest, so they are texts."""

    def sketch(history, path, title=""):
        write_json(path, [title, *({**row, "seconds": 0} for row in history.rows)])

    monkeypatch.setattr(History, "plot", sketch)

    def make(data, **settings):
        small = {"hidden": (8,), "epochs": 4, "dropout": 0.2, "lr": 0.01, "batch_size": 16}
        return Config(str(data), **(small | settings))

    return make


@pytest.fixture
def train(tmp_path, config):
    """Train an experiment in the test's folder; the experiment and what came of it."""

    def run(data, **settings):
        experiment = Experiment.create(config(data, **settings), tmp_path / "runs")
        return experiment, experiment.train(progress=False)

    return run
