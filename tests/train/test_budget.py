"""Budgets in updates: when it is looked, where it ends, and what schedules see."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradlab import init, nn, optim, schedule
from gradlab.data import batches
from gradlab.errors import ArgumentError
from gradlab.train import Callback, Experiment, History, InUpdates, RunFolder, Trainer, fit

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(23, 3)), RNG.integers(0, 2, 23)


def run(**options):
    model = nn.MLP((3, 4, 2), dropout=0.2)
    init.initialize(model, "xavier_uniform", 0)
    settings = {
        "loss": nn.cross_entropy,
        "optimizer": optim.Adam(0.02 * schedule.Cosine(epochs=9)),
        "batch_size": 5,
        "progress": False,
        "executor": "numpy",
    }
    return model, fit(model, (X, Y), **(settings | options))


def bits(model):
    return {name: value.tobytes() for name, value in model.state_dict().items()}


@pytest.mark.parametrize(
    ("options", "updates"),
    [
        ({"updates": 7}, [1, 2, 3, 4, 5, 6, 7]),
        ({"updates": 27}, [3, 6, 9, 12, 15, 18, 21, 24, 27]),
        ({"updates": 52}, [5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 52]),  # an epoch has 5
        ({"updates": 12, "evaluate_every": 5}, [5, 10, 12]),
        ({"updates": 12, "evaluate_every": 7}, [7, 12]),
        ({"updates": 12, "evaluate_every": 99}, [12]),
        ({"epochs": 2, "evaluate_every": 4}, [4, 8, 10]),
        ({"epochs": 2, "evaluate_every": 7}, [7, 10]),
        ({"epochs": 2}, [5, 10]),
    ],
    ids=str,
)
def test_rows_of_the_history(options, updates):
    _, history = run(**options, validation=(X, Y))
    assert history["update"].tolist() == updates
    epochs = [u // 5 + u % 5 * 5 / 23 for u in updates]
    np.testing.assert_allclose(history["epoch"], epochs)
    assert all(isinstance(row["epoch"], int) == (row["update"] % 5 == 0) for row in history.rows)


@settings(max_examples=20)
@given(st.integers(1, 25), st.integers(1, 9))
def test_looking_at_other_times_changes_no_bit(updates, every):
    model, history = run(updates=updates, evaluate_every=every)
    twin = nn.MLP((3, 4, 2), dropout=0.2)
    init.initialize(twin, "xavier_uniform", 0)
    trainer = Trainer(
        twin, X, Y, nn.cross_entropy, optim.Adam(0.02 * schedule.Cosine(epochs=9)),
        batch_size=5, executor="numpy",
    )  # fmt: skip
    trainer.advance(updates)
    assert bits(twin) == bits(model)
    assert history.rows[-1]["update"] == updates


@pytest.mark.parametrize(
    "options", [{"updates": 13, "evaluate_every": 3}, {"epochs": 3, "evaluate_every": 4}], ids=str
)
def test_it_goes_on_to_the_same_bits(options, tmp_path):
    model, history = run(**options, validation=(X, Y))
    for stop in range(1, 13, 3):
        folder = tmp_path / str(stop)
        folder.mkdir()

        class Kill(Callback):
            def on_advance(self, training, record, stop=stop):
                if training.trainer.updates >= stop:
                    raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run(**options, validation=(X, Y), run=RunFolder(folder), callbacks=[Kill()])
        again, resumed = run(**options, validation=(X, Y), run=RunFolder(folder))
        assert bits(again) == bits(model)
        for mine, theirs in zip(resumed.rows, history.rows, strict=True):
            assert mine | {"seconds": 0} == theirs | {"seconds": 0}


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "give epochs or updates"),
        ({"epochs": 1, "updates": 1}, "give one of them"),
        ({"updates": 0}, "updates must be at least 1, got 0"),
        ({"updates": 3, "evaluate_every": 0}, "evaluate_every must be at least 1, got 0"),
    ],
    ids=str,
)
def test_how_long_is_said_once(options, text):
    with pytest.raises(ArgumentError, match=text):
        run(**options)


@given(st.integers(1, 50), st.integers(1, 50))
def test_a_schedule_in_updates_counts_them(rows, batch_size):
    batch_size = min(rows, batch_size)
    counted = InUpdates(schedule.LinearGrowth(1), rows, batch_size)  # f(u) = 1 + u
    update = 0
    for epoch in range(3):
        used = 0
        for matrix in batches(rows, batch_size, epoch=epoch, seed=0):
            for _ in matrix:
                assert counted(epoch + used / rows) == pytest.approx(1 + update, rel=1e-9)
                used += matrix.shape[1]
                update += 1


def test_the_command_lines_schedule_is_in_the_unit_of_its_budget(tmp_path, config):
    """Of 200 updates over 62 rows, the first 50 are warmup."""
    settings = {"epochs": None, "schedule": "warmup(over=50)", "evaluate_every": 10, "lr": 0.1}
    chosen = config("iris", updates=200, batch_size=16, test=0.1, **settings)
    experiment = Experiment.create(chosen, tmp_path)
    outcome = experiment.train(progress=False)
    history = experiment.folder.history()
    assert history["update"].tolist() == list(range(10, 201, 10))
    used = np.minimum((history["update"] - 1) / 50, 1) * 0.1  # rate of the last update of each row
    np.testing.assert_allclose(history["lr"], used, rtol=1e-6)
    assert (outcome.updates, outcome.best_update) == (200, history.rows[history.best()]["update"])
    assert Experiment.open(experiment.folder.path).config == experiment.config


def test_the_command_lines_schedule_counts_no_update_that_is_dropped(tmp_path, config):
    """Of 104 rows, batches of 103 leave one over: an epoch has one update with drop_last."""
    settings = {"epochs": None, "schedule": "multi_step(milestones=(3,), gamma=0.5)", "lr": 0.1}
    chosen = config("iris", updates=5, batch_size=103, evaluate_every=1, drop_last=True, **settings)
    experiment = Experiment.create(chosen, tmp_path)
    experiment.train(progress=False)
    assert experiment.folder.history()["lr"].tolist() == [0.1, 0.1, 0.1, 0.05, 0.05]


def test_progress_counts_updates(capsys):
    run(updates=12, progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("update  2/12  loss ")
    assert lines[-1].startswith("update 12/12  loss ")


def test_curves_run_over_updates_within_an_epoch(tmp_path):
    rows = [{"epoch": e, "update": u, "loss": 1.0 / u} for e, u in ((0.4, 2), (0.8, 4), (1, 5))]
    History(rows).plot(tmp_path / "a.svg")
    assert ">update<" in (tmp_path / "a.svg").read_text()
    History([row | {"epoch": i} for i, row in enumerate(rows)]).plot(tmp_path / "b.svg")
    assert ">epoch<" in (tmp_path / "b.svg").read_text()
