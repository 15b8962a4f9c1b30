"""Batches that cannot be taken are told beforehand; time and settings when a training goes on."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest

from gradlab import init, nn, optim, schedule
from gradlab.errors import ArgumentError, RunError
from gradlab.train import (
    Callback,
    Config,
    Experiment,
    ReduceLROnPlateau,
    RunFolder,
    Trainer,
    experiment,
    fit,
)
from gradlab.train.settings import described

X = np.random.default_rng(0).normal(size=(33, 3)).astype(np.float32)
Y = np.arange(33) % 2


def network(norm=True):
    layers = [nn.Linear(3, 4), *([nn.BatchNorm1d(4)] if norm else []), nn.Linear(4, 2)]
    model = nn.Sequential(*layers)
    init.initialize(model, "xavier_uniform", seed=0)
    return model


def train(model=None, **options):
    defaults = {"loss": nn.cross_entropy, "optimizer": optim.SGD(0.1), "progress": False}
    return fit(model or network(), (X, Y), **(defaults | options))


# --- batches ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": 32}, "33 rows in batches of 32 leave one of 1 row in epoch 1"),
        ({"batch_size": lambda t: 8 if t < 2 else 32}, "batches of a schedule leave one of 1 row"),
    ],
)
def test_a_row_that_is_left_over_for_batch_norm_is_told_before_the_first_update(options, words):
    model = network()
    before = {name: value.copy() for name, value in model.state_dict().items()}
    with pytest.raises(ArgumentError, match=words) as caught:
        train(model, epochs=4, **options)
    assert "BatchNorm1d" in str(caught.value)
    assert "drop_last" in str(caught.value)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_it_is_dropped_when_asked():
    history = train(epochs=2, batch_size=32, drop_last=True)
    assert [row["update"] for row in history.rows] == [1, 2]
    assert train(network(norm=False), epochs=1, batch_size=32).rows[-1]["update"] == 2


def test_a_loss_of_pairs_needs_an_even_number_of_rows():
    def pairs(z, y):
        left, right = z.reshape(-1, 2, 2)[:, 0], z.reshape(-1, 2, 2)[:, 1]
        return ((left - right) ** 2).mean()

    with pytest.raises(ArgumentError, match="33 rows in batches of 4 leave one of 1 row"):
        train(network(norm=False), loss=pairs, epochs=1, batch_size=4)
    train(network(norm=False), loss=pairs, epochs=1, batch_size=4, drop_last=True)


def pairs(z, y):
    halves = z.reshape(-1, 2, 2)
    return ((halves[:, 0] - halves[:, 1]) ** 2).mean()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        # The smallest batch is fine, and a larger one is not.
        ({"epochs": 3, "batch_size": lambda t: 4 if t < 2 else 5}, "of 5 rows in epoch 3"),
        ({"updates": 17, "batch_size": lambda t: 4 if t < 2 else 5}, "of 5 rows in epoch 3"),
        ({"epochs": 1, "batch_size": 40, "micro_batch": 8}, None),
        ({"epochs": 2, "batch_size": 4}, None),
        ({"updates": 16, "batch_size": lambda t: 4 if t < 2 else 5}, None),
        ({"updates": 17, "batch_size": lambda t: 4 if t < 2.4 else 5}, None),  # of epoch 3 not all
    ],
)
def test_every_batch_of_the_plan_is_tried(options, words):
    model, x = network(norm=False), np.tile(X, (2, 1))[:32]
    y = np.arange(32) % 2
    if options["batch_size"] == 40:
        x, y = np.tile(X, (2, 1))[:40], np.arange(40) % 2
    settings = {"loss": pairs, "optimizer": optim.SGD(0.01), "progress": False} | options
    before = {name: value.copy() for name, value in model.state_dict().items()}
    if words is None:
        fit(model, (x, y), executor="numpy", **settings)
        return
    with pytest.raises(ArgumentError, match=words):
        fit(model, (x, y), executor="numpy", **settings)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_parts_of_one_row_are_told_with_micro_batch():
    x, y = np.tile(X, (2, 1))[:51], np.arange(51) % 2
    with pytest.raises(ArgumentError, match=r"of 11 rows in 11 parts .* size or micro_batch"):
        fit(
            network(), (x, y), loss=nn.cross_entropy, optimizer=optim.SGD(0.1), epochs=1,
            batch_size=20, micro_batch=8, progress=False,
        )  # fmt: skip


def test_an_experiment_whose_batches_cannot_be_taken_makes_no_folder(tmp_path, monkeypatch):
    def model(*_):
        return nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))

    monkeypatch.setattr(experiment, "make_model", model)
    growth = "step_growth(every=1, factor=7.923)"  # of 104 rows, batches of 103 leave one over
    config = Config("iris", epochs=3, batch_size=13, batch_schedule=growth)
    with pytest.raises(ArgumentError, match="in epoch 2, which the model or the loss cannot take"):
        Experiment.create(config, tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_order_of_rows_stays_without_shuffle():
    seen = []

    def loss(z, y):
        return nn.cross_entropy(z, y)

    for shuffle in (True, False):
        model = network(norm=False)
        trainer = Trainer(model, X, Y, loss, optim.SGD(0.1), batch_size=11, shuffle=shuffle)
        seen.append(np.concatenate([matrix.ravel() for matrix in trainer._batches(0)]))
        other = network(norm=False)
        train(other, epochs=1, batch_size=11, shuffle=shuffle, keep_best=False)
        trainer.advance()
        for name, value in model.state_dict().items():
            np.testing.assert_array_equal(value, other.state_dict()[name])
    assert (seen[1] == np.arange(33)).all()
    assert (seen[0] != np.arange(33)).any()


# --- time ---------------------------------------------------------------------------------------


def trainer(batch_size, rows=33):
    model = network(norm=False)
    return Trainer(
        model, X[:rows], Y[:rows], nn.cross_entropy, optim.Adam(0.01), batch_size=batch_size
    )


@pytest.mark.parametrize("other", [1, 2, 4, 8])
def test_another_batch_size_goes_on_at_the_same_time(other):
    first = trainer(8)
    first.advance(5 + 2)
    second = trainer(other)
    second.restore(first.state())
    assert second.epoch == first.epoch == 1 + 16 / 33
    assert second.updates == 7
    rest = second.advance()
    assert rest.batch_size.sum() == 33 - 16


@pytest.mark.parametrize(("other", "rows"), [(5, 33), (32, 33), (8, 32)])
def test_a_time_that_other_batches_do_not_have_is_refused(other, rows):
    first = trainer(8)
    first.advance(7)
    second = trainer(other, rows)
    before = second.state()
    with pytest.raises(RunError, match="after 16 of 33 rows of epoch 2, where no batch begins"):
        second.restore(first.state())
    for name, value in second.state().items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.parametrize("other", [3, 5, 33])
def test_at_the_end_of_an_epoch_any_batch_size_will_do(other):
    first = trainer(8)
    first.advance(10)
    second = trainer(other)
    second.restore(first.state())
    assert second.epoch == 2.0


def test_a_state_of_an_earlier_version_is_read_as_before():
    first = trainer(8)
    first.advance(7)
    old = {k: v for k, v in first.state().items() if k not in ("trainer/rows_seen", "trainer/rows")}
    second = trainer(8)
    second.restore(old)
    assert second.epoch == first.epoch


# --- settings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"optimizer": optim.SGD(0.2)}, r"optimizer was SGD\(lr=0.1\), is SGD\(lr=0.2\)"),
        ({"batch_size": 4}, "batch_size was 8, is 4"),
        ({"seed": 1}, "seed was 0, is 1"),
        ({"shuffle": False}, "shuffle was True, is False"),
        ({"drop_last": True}, "drop_last was False, is True"),
        ({"loss": nn.CrossEntropyLoss(label_smoothing=0.1)}, "loss was .*, is CrossEntropyLoss"),
        ({"optimizer": optim.SGD(0.1 * schedule.Step(every=2))}, "optimizer was .*Step"),
    ],
)
def test_what_differs_is_said(changes, words, tmp_path):
    settings = {"batch_size": 8, "run": RunFolder(tmp_path)}
    train(network(norm=False), epochs=2, **settings)
    with pytest.warns(UserWarning, match=words):
        history = train(network(norm=False), epochs=3, **(settings | changes))
    assert len(history.rows) == 3


def test_other_data_are_said(tmp_path):
    run = RunFolder(tmp_path)
    train(network(norm=False), epochs=2, batch_size=8, run=run)
    y = Y.copy()
    y[3] = 1 - y[3]
    with pytest.warns(UserWarning, match="data was 33 rows, .* is 33 rows"):
        fit(
            network(norm=False), (X, y), loss=nn.cross_entropy, optimizer=optim.SGD(0.1),
            progress=False, epochs=3, batch_size=8, run=run,
        )  # fmt: skip


def test_nothing_is_said_where_nothing_differs(tmp_path):
    def optimizer():
        return optim.SGD(lambda t: 0.1)  # another function, of the same name

    def loss():
        return lambda z, y: nn.cross_entropy(z, y)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for epochs in (1, 2):
            train(network(norm=False), epochs=epochs, batch_size=8, run=RunFolder(tmp_path),
                  optimizer=optimizer(), loss=loss())  # fmt: skip


def test_a_rate_that_a_callback_changed_is_no_other_setting(tmp_path):
    """What was asked for is compared, not what a plateau has made of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for epochs in (3, 5):
            plateau = ReduceLROnPlateau(patience=0, threshold=0.9, threshold_mode="abs")
            train(network(norm=False), epochs=epochs, batch_size=8, run=RunFolder(tmp_path),
                  validation=(X, Y), callbacks=[plateau])  # fmt: skip


LOSSES = (lambda z, y: nn.cross_entropy(z, y), lambda z, y: 2 * nn.cross_entropy(z, y))


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ({"optimizer": optim.SGD(lambda t: 0.1)}, {"optimizer": optim.SGD(lambda t: 0.2)}, "optim"),
        ({"loss": LOSSES[0]}, {"loss": LOSSES[1]}, "loss was <function <lambda>>"),
        ({"batch_size": lambda t: 8}, {"batch_size": lambda t: 4}, "batch_size was <function"),
        ({}, {"validation": (X[:9], Y[:9])}, "validation was 33 rows, .*, is 9 rows"),
        ({}, {"model": nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))}, "Tanh"),
    ],
    ids=["rate", "loss", "batch", "validation", "model"],
)
def test_what_differs_in_functions_data_and_the_model_is_said(first, second, words, tmp_path):
    settings = {"batch_size": 8, "run": RunFolder(tmp_path), "validation": (X, Y)}
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    train(**({"model": model, "epochs": 2} | settings | first))
    with pytest.warns(UserWarning, match=words):
        train(**({"model": model, "epochs": 3} | settings | first | second))


def closed_over(rate):
    return optim.SGD(lambda t: rate / (1 + t))


def test_numbers_that_a_function_closes_over_are_settings():
    assert described(closed_over(0.1)) == described(closed_over(0.1)) != described(closed_over(0.2))


def test_functions_that_differ_in_an_operation_alone_are_different_settings():
    assert described(lambda z, y: z + y) != described(lambda z, y: z - y)


def test_the_text_of_a_function_is_the_same_in_another_process():
    """Sets and addresses differ from process to process."""
    code = (
        "from gradlab.train.settings import described\n"
        "print(described((lambda t: t in {'a', 'b', 'c', 'd'}, print)))"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in "123"
    }  # fmt: skip
    assert len(texts) == 1


def test_what_callbacks_change_is_no_other_setting_when_a_killed_run_goes_on(tmp_path):
    class Kill(Callback):
        def on_advance(self, training, record):
            if training.trainer.epoch >= 4:
                raise KeyboardInterrupt

    class Raise(Callback):
        def on_epoch(self, training, row):
            training.trainer.model[1].p = min(0.5, 0.1 * row["epoch"])

        def on_start(self, training):
            for row in training.history.rows:
                self.on_epoch(training, row)

    def go(*callbacks):
        model = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.1), nn.Linear(8, 2), nn.Dropout(0))
        init.initialize(model, "xavier_uniform", seed=0)
        plateau = ReduceLROnPlateau(patience=0, threshold=0.5)
        history = train(
            model, epochs=6, validation=(X, Y), callbacks=[plateau, Raise(), *callbacks],
            batch_size=8, executor="numpy", run=RunFolder(tmp_path) if callbacks else None,
        )  # fmt: skip
        return history["lr"].tolist(), model.state_dict()

    rates, weights = go()
    with pytest.raises(KeyboardInterrupt):
        go(Kill())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again, resumed = go(Callback())
    assert again == rates
    assert len(set(rates)) > 2
    for name, value in weights.items():
        np.testing.assert_array_equal(resumed[name], value)
