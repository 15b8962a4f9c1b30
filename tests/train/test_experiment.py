"""Whole experiments, by the names in the registries, and at the edges."""

import io
import types

import numpy as np
import pytest

from gradlab import data, init, nn, optim, schedule
from gradlab.errors import ArgumentError, DataError, DivergenceError, GradlabError, RunError
from gradlab.train import Config, Experiment, RunFolder, predict
from gradlab.train.evaluate import Evaluator
from gradlab.train.files import load_arrays
from gradlab.train.parts import TASKS
from gradlab.train.prediction import TrainedNetwork

WRITTEN = {  # rows with something that has no default
    "constant": "constant(value=0.1)",
    "cosine_restarts": "cosine_restarts(period=1)",
    "cyclic": "cyclic(up=1)",
    "exponential": "exponential(gamma=0.5)",
    "inverse_time": "inverse_time(rate=0.5)",
    "linear_growth": "linear_growth(rate=0.5)",
    "multi_step": "multi_step(milestones=(1,))",
    "normal": "normal(std=0.1)",
    "reciprocal": "reciprocal(schedule='cosine', limit=4)",
    "sequence": "sequence(schedules=('constant', 'linear'), milestones=(1,))",
    "step": "step(every=1)",
    "step_growth": "step_growth(every=1, factor=2)",
    "truncated_normal": "truncated_normal(std=0.1)",
    "uniform": "uniform(low=-0.1, high=0.1)",
    "warmup": "warmup(over=1)",
}


def named(setting, registry):
    return [pytest.param(setting, WRITTEN.get(n, n), id=f"{setting}-{n}") for n in registry]


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        *named("optimizer", optim.optimizers),
        *named("schedule", schedule.schedules),
        *named("batch_schedule", schedule.schedules),
        # Weights are selected from a file, in tests/cli/test_selecting.py.
        *named("init", [name for name in init.initializers if name != "select_weights"]),
        *named("activation", nn.activations),
        *named("data", [n for n, row in data.datasets.items() if "data_dir" not in row.parameters]),
    ],
)
def test_every_registered_name_trains(setting, text, train):
    settings = {"data": "iris", "epochs": 2, "hidden": (4, 4), "lr": None} | {setting: text}
    _, outcome = train(**settings)
    assert outcome.epochs == 2
    for scores in outcome.scores.values():
        assert all(np.isfinite(value) for value in scores.values())


@pytest.mark.parametrize("loss", nn.losses)
@pytest.mark.parametrize("source", ["iris", "diabetes"])
def test_a_loss_fits_its_task_or_there_is_no_folder(loss, source, train, tmp_path):
    task = {"iris": "classification", "diabetes": "regression"}[source]
    if loss in TASKS[task].losses:
        _, outcome = train(source, epochs=1, loss=loss)
        assert np.isfinite(outcome.scores["test"]["loss"])
    else:
        with pytest.raises(ArgumentError, match=f"loss {loss} does not fit {task}; use"):
            train(source, epochs=1, loss=loss)
        assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "settings",
    [
        {"hidden": ()},
        {"hidden": (3, 4, 5)},
        {"validation": 0.0},
        {"test": 0.0},
        {"validation": 0.0, "test": 0.0},
        {"standardize": False},
        {"batch_size": 1, "epochs": 1},
        {"batch_size": 62},  # all training rows but one, which is a batch of its own
        {"dropout": 0.5, "weight_decay": 0.01, "clip_norm": 0.1},
        {"target": "colour"},
        {"target": "ash"},
        {"categorical": ("ash",)},
        {"seed": 2**70},
        {"batch_schedule": "step_growth(every=1, factor=10)"},
    ],
    ids=str,
)
def test_settings_at_the_edge(settings, train, wines):
    experiment, outcome = train(wines, **settings)
    history = experiment.folder.history()
    validated = settings.get("validation") != 0
    assert (outcome.best_epoch is not None) == validated
    assert ("validation_loss" in history) == validated
    assert set(outcome.scores) == {"train"} | {
        role for role in ("validation", "test") if settings.get(role) != 0
    }


def test_a_batch_grows_up_to_all_rows(train, wines):
    experiment, _ = train(wines, batch_schedule="step_growth(every=1, factor=3)")
    rows = len(experiment.dataset.train)
    assert experiment.folder.history()["batch_size"].tolist() == [16, 48, rows, rows]


def test_the_defaults_learn_digits(tmp_path):
    outcome = Experiment.create(Config("digits"), tmp_path).train(progress=False)
    assert outcome.scores["test"]["accuracy"] >= 0.97


def test_two_classes(train, tmp_path):
    experiment, outcome = train("moons", epochs=8)
    assert outcome.scores["test"]["accuracy"] > 0.8
    found = predict(experiment.folder.path, "moons")
    assert found.probabilities.shape == (500, 2)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, rtol=1e-5)


def test_several_targets(tmp_path, config):
    """The command line names one; from Python, arrays hold any number."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 3))
    np.savez(tmp_path / "two.npz", x=x, y=x @ rng.normal(size=(3, 2)))
    settings = config(tmp_path / "two.npz", epochs=60, lr=0.05, dropout=0.0)
    experiment = Experiment.create(settings, tmp_path)
    outcome = experiment.train(progress=False)
    assert outcome.scores["test"]["r2"] > 0.9
    found = predict(experiment.folder.path, tmp_path / "two.npz")
    assert found.names == ("y1", "y2")
    assert found.values.shape == (80, 2)
    assert found.scores["r2"] > 0.9


def test_the_same_settings_give_the_same_files(train, wines, tmp_path):
    one, _ = train(wines, patience=2)
    two, _ = train(wines, patience=2)
    for name in ("model.safetensors", "curves.svg", "curves.png", "result.json", "config.json"):
        assert (one.folder.path / name).read_bytes() == (two.folder.path / name).read_bytes()


def test_a_config_file_makes_the_run_again(train, wines):
    one, _ = train(wines)
    again = Config.of(Config.read(one.folder.path / "config.json"))
    assert again == one.config


def test_predictions(train, wines, tmp_path):
    experiment, _ = train(wines)
    lines = wines.read_text().splitlines()
    found = predict(experiment.folder.path, wines)
    assert found.names == ("kind",)
    assert set(found.values) <= set("abc")
    truth = [line.rsplit(",", 1)[1] for line in lines[1:]]
    assert found.scores["accuracy"] == np.mean(found.values == truth)
    assert (found.probabilities.argmax(axis=1) == ["abc".index(v) for v in found.values]).all()

    bare, gaps = tmp_path / "bare.csv", tmp_path / "gaps.csv"
    bare.write_text("\n".join(line.rsplit(",", 1)[0] for line in lines))
    gaps.write_text("\n".join([lines[0], *(line.rsplit(",", 1)[0] + "," for line in lines[1:])]))
    for unlabelled in (bare, gaps):
        without = predict(experiment.folder.path, unlabelled)
        assert without.scores is None
        assert (without.values == found.values).all()


def test_predictions_are_in_the_units_of_the_data(train, tmp_path):
    x = np.linspace(0, 1, 100)
    path = tmp_path / "line.csv"
    path.write_text("x,y\n" + "".join(f"{a},{5000 + 300 * a}\n" for a in x))
    experiment, _ = train(path, epochs=60, lr=0.05, dropout=0.0)
    values = predict(experiment.folder.path, path).values[:, 0]
    network = TrainedNetwork.open(experiment.folder.path)
    inputs, scaled = network.preprocess.prepare(data.read(path))
    center, scale = network.preprocess.target.center[0], network.preprocess.target.scale[0]
    output = Evaluator(network.model).predict(inputs)[:, 0].astype(np.float64)
    np.testing.assert_allclose(values, center + scale * output, rtol=1e-12)
    np.testing.assert_allclose(center + scale * scaled[:, 0], 5000 + 300 * x, rtol=1e-6)
    assert 5000 < center < 5300


def test_predictions_need_a_finished_training_and_all_columns(train, wines, tmp_path):
    experiment, _ = train(wines)
    path = tmp_path / "few.csv"
    path.write_text("alcohol,colour\n1,red\n")
    with pytest.raises(DataError, match="column 'ash' is missing"):
        predict(experiment.folder.path, path)
    path.write_text(wines.read_text().replace(",a\n", ",unheard\n"))
    with pytest.raises(DataError, match="unknown class 'unheard'"):
        predict(experiment.folder.path, path)
    (experiment.folder.path / "result.json").unlink()
    with pytest.raises(RunError, match="no finished training; run: gradlab train --resume"):
        predict(experiment.folder.path, wines)


def test_the_weights_load_into_pytorch(train, wines):
    torch = pytest.importorskip("torch")
    experiment, _ = train(wines, dropout=0.0)
    state = load_arrays(experiment.folder.path / "model.safetensors")[0]
    features = experiment.dataset.features
    twin = torch.nn.Sequential(torch.nn.Linear(features, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    twin.load_state_dict({name: torch.tensor(value) for name, value in state.items()})
    x = experiment.dataset.preprocess.apply(data.read(wines).table)
    labels = twin(torch.tensor(x)).argmax(dim=1).numpy()
    assert (np.array(list("abc"))[labels] == predict(experiment.folder.path, wines).values).all()


def test_data_that_changed_are_told_of(train, wines):
    experiment, _ = train(wines)
    (experiment.folder.path / "result.json").unlink()
    text = wines.read_text()
    wines.write_text(text.replace("0.5,a", "0.6,a"))
    with pytest.raises(RunError, match=r"wines\.csv has changed since .* began; train it anew"):
        Experiment.open(experiment.folder.path)
    wines.unlink()
    with pytest.raises(DataError, match="cannot read"):
        Experiment.open(experiment.folder.path)
    wines.write_text(text)
    Experiment.open(experiment.folder.path)


def test_standard_input_is_kept(wines, tmp_path, monkeypatch, config):
    stdin = types.SimpleNamespace(buffer=io.BytesIO(wines.read_bytes()))
    monkeypatch.setattr("sys.stdin", stdin)
    experiment = Experiment.create(config("-"), tmp_path / "runs")
    monkeypatch.setattr("sys.stdin", types.SimpleNamespace(buffer=io.BytesIO(b"")))
    outcome = experiment.train(progress=False)
    moved = experiment.folder.path.rename(tmp_path / "moved")
    (moved / "result.json").unlink()
    assert Experiment.open(moved).train(progress=False) == outcome
    assert outcome.dataset.startswith("standard input: classification")
    (moved / "standard-input").unlink()
    with pytest.raises(RunError, match="standard-input"):
        Experiment.open(moved)


def test_a_file_may_have_the_name_of_a_dataset(wines, tmp_path, monkeypatch, config):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "iris").write_bytes(wines.read_bytes())
    assert Experiment.create(config("iris")).dataset.features == 4
    assert Experiment.create(config("iris", format="csv")).dataset.target_names == ("kind",)
    (tmp_path / "iris(1).csv").write_bytes(wines.read_bytes())
    experiment = Experiment.create(config("iris(1).csv"))
    assert experiment.folder.path.name == "iris(1)-001"
    assert experiment.config.data == str(tmp_path / "iris(1).csv")


def test_a_relative_path_is_found_again(wines, tmp_path, monkeypatch, config):
    monkeypatch.chdir(tmp_path)
    experiment = Experiment.create(config("wines.csv"))
    path = experiment.folder.path.resolve()
    monkeypatch.chdir("/")
    assert Experiment.open(path).dataset.describe() == experiment.dataset.describe()


WRONG = [
    {"optimizer": "adm"},
    {"optimizer": "adam(lr='x')"},
    {"optimizer": "adamw", "weight_decay": 0.1},
    {"schedule": "step"},
    {"schedule": "warmup(over=40)"},
    {"batch_schedule": "no"},
    {"activation": "no"},
    {"init": "no"},
    {"loss": "no"},
    {"loss": "cross_entropy(reduction='none')"},
    {"dropout": 1.0},
    {"weight_decay": -1.0},
    {"clip_norm": 0.0},
    {"patience": 0},
    {"patience": 3, "validation": 0.0},
    {"batch_size": 64},
    {"validation": 0.6, "test": 0.6},
    {"target": "no"},
    {"categorical": ("no",)},
    {"task": "no"},
    {"format": "no"},
    {"data": "no"},
    {"data": "no.csv"},
]


@pytest.mark.parametrize("settings", WRONG, ids=str)
def test_what_is_wrong_is_found_before_a_folder_is_made(settings, train, wines, tmp_path):
    with pytest.raises(GradlabError) as caught:
        train(**({"data": wines} | settings))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "runs").exists()


def test_divergence_names_the_folder(train, wines, tmp_path):
    with pytest.raises(
        DivergenceError, match=r"update \d+.*wines-001 keeps the state of the last look"
    ):
        train(wines, lr=1e30)
    folder = RunFolder(tmp_path / "runs" / "wines-001")
    assert not folder.finished
    assert (folder.path / "checkpoint.safetensors").exists()
