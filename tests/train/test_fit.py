"""fit: validation, callbacks and best weights, which look and never touch."""

import importlib
import json
import logging

import numpy as np
import pytest

from gradlab import nn, optim, schedule
from gradlab.data import Split
from gradlab.errors import ArgumentError, DataError, RunError, ShapeError
from gradlab.train import (
    Callback,
    EarlyStopping,
    History,
    JSONLog,
    RunFolder,
    TensorBoard,
    Trainer,
    accuracy,
    fit,
)


def bits(model):
    return {name: value.tobytes() for name, value in model.state_dict().items()}


def without_seconds(history):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in history.rows]


@pytest.fixture
def parts(classes):
    x, y = classes
    return (x[:30], y[:30]), (x[30:], y[30:])


@pytest.fixture
def run(parts, make_model):
    """fit with small settings; the model and the history."""

    def call(epochs=6, **options):
        model = make_model()
        settings = {
            "loss": nn.cross_entropy,
            "optimizer": optim.Adam(0.05 * schedule.Cosine(epochs=8)),
            "epochs": epochs,
            "batch_size": 8,
            "progress": False,
        }
        return model, fit(model, parts[0], **(settings | options))

    return call


class Recorder(Callback):
    """Notes what is called."""

    def __init__(self, stop_at=None):
        self.calls, self.stop_at = [], stop_at

    def on_start(self, training):
        self.calls.append("start")

    def on_advance(self, training, record):
        self.calls.append(len(record))

    def on_epoch(self, training, row):
        self.calls.append(f"epoch {row['epoch']}")
        return row["epoch"] == self.stop_at

    def on_end(self, training):
        self.calls.append("end")


def test_looking_never_changes_the_weights(run, parts, tmp_path):
    plain, history = run()
    watched, seen = run(
        validation=parts[1],
        metrics={"accuracy": accuracy},
        callbacks=[Recorder(), JSONLog(tmp_path / "log.jsonl")],
        keep_best=False,
        progress=True,
        run=RunFolder(tmp_path),
    )
    assert bits(plain) == bits(watched)
    assert history["loss"].tobytes() == seen["loss"].tobytes()


def test_how_long_a_stretch_takes_changes_nothing(run, monkeypatch):
    plain, history = run(epochs=2, batch_size=1)
    module = importlib.import_module("gradlab.train.fit")  # by attribute, fit is the function
    monkeypatch.setattr(module, "STRETCH_SECONDS", 1e-9)
    slow, again = run(epochs=2, batch_size=1, callbacks=[recorder := Recorder()])
    assert recorder.calls.count(1) == 28
    assert bits(plain) == bits(slow)
    assert without_seconds(history) == without_seconds(again)


def test_rows_hold_what_was_measured(run, parts, make_model):
    model, history = run(
        validation=parts[1], metrics={"accuracy": accuracy, "half": lambda f, y: np.float16(0.5)}
    )
    assert list(history) == [
        "epoch", "update", "loss", "validation_loss", "validation_accuracy", "validation_half",
        "lr", "beta1", "beta2", "eps", "batch_size", "seconds",
    ]  # fmt: skip
    assert history["update"].tolist() == [4, 8, 12, 16, 20, 24]
    rate = 0.05 * schedule.Cosine(epochs=8)
    np.testing.assert_allclose(history["lr"], [rate(e + 24 / 30) for e in range(6)])
    json.dumps(history.rows)  # plain numbers only
    best = history.best()
    twin = Trainer(make_model(), *parts[0], nn.cross_entropy, optim.Adam(rate), batch_size=8)
    twin.advance(4 * (best + 1))
    assert bits(twin.model) == bits(model)
    assert twin.evaluate(*parts[1])["loss"] == history["validation_loss"][best]


def test_without_validation_the_last_weights_stay(run, parts, make_model):
    model, history = run()
    assert not [name for name in history if name.startswith("validation")]
    last, _ = run(validation=parts[1], keep_best=False)
    assert bits(model) == bits(last)


def test_best_weights_are_the_first_at_a_tie(run, parts):
    model, _ = run(optimizer=optim.SGD(0.0), validation=parts[1])
    assert bits(model) == bits(run(epochs=1, optimizer=optim.SGD(0.0))[0])


@pytest.mark.parametrize("bad", [[0, 1, 2], [0], [2]])
def test_a_validation_loss_that_is_not_a_number_is_never_best(run, parts, bad, monkeypatch):
    evaluate = Trainer.evaluate

    def sometimes(self, *args):
        found = evaluate(self, *args)
        epoch = int(self.epoch) - 1
        return found | {"loss": float("nan") if epoch in bad else 10.0 - epoch}

    monkeypatch.setattr(Trainer, "evaluate", sometimes)
    model, history = run(epochs=3, validation=parts[1])
    monkeypatch.undo()
    best = max({0, 1, 2} - set(bad), default=2)
    assert history.best() == (best if len(bad) < 3 else None)
    assert bits(model) == bits(run(epochs=best + 1)[0])


@pytest.mark.parametrize(
    ("values", "settings", "epochs"),
    [
        ([5, 4, 3, 3, 3, 1], {"patience": 2}, 5),
        ([5, 4, 3, 3, 3, 1], {"patience": 3}, 9),
        ([1, 2], {"patience": 1}, 2),
        ([5, 4.9, 4.8, 1], {"patience": 2, "min_delta": 0.5}, 3),
        ([0.1, 0.2, 0.1, 0.1], {"patience": 2, "mode": "max"}, 4),
        ([float("nan")] * 3, {"patience": 3}, 3),
    ],
)
def test_early_stopping(values, settings, epochs, run, parts, monkeypatch):
    values = [*values, *[99] * 9]
    monkeypatch.setattr(Trainer, "evaluate", lambda self, *_: {"loss": values[int(self.epoch) - 1]})
    _, history = run(epochs=9, validation=parts[1], callbacks=[EarlyStopping(**settings)])
    assert len(history.rows) == epochs


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"patience": 0}, "at least 1"),
        ({"monitor": "loss"}, "validation split only"),
        ({"monitor": "test_loss"}, "validation split only"),
        ({"mode": "best"}, "mode"),
    ],
)
def test_early_stopping_refuses(settings, text):
    with pytest.raises(ArgumentError, match=text):
        EarlyStopping(**settings)


def test_early_stopping_needs_validation(run):
    with pytest.raises(ArgumentError, match="needs a validation split"):
        run(callbacks=[EarlyStopping()], progress=True)


def test_callbacks_are_called_in_order(run):
    recorder = Recorder(stop_at=2)
    _, history = run(callbacks=[recorder])
    assert recorder.calls == ["start", 4, "epoch 1", 4, "epoch 2", "end"]
    assert len(history.rows) == 2


def test_callbacks_end_after_an_error(run):
    class Bad(Callback):
        def on_epoch(self, training, row):
            raise ZeroDivisionError

    recorder = Recorder()
    with pytest.raises(ZeroDivisionError):
        run(callbacks=[recorder, Bad()])
    assert recorder.calls[-1] == "end"


def test_a_training_goes_on_to_the_same_bits(run, parts, tmp_path):
    options = {
        "validation": parts[1],
        "callbacks": [EarlyStopping(4)],
        "metrics": {"accuracy": accuracy},
        "optimizer": optim.Adam(lambda t: 0.05 if t < 2 else 3.0),
    }
    model, history = run(**options)
    assert history.best() < 3  # so that the best weights are those of before some interruption
    for stop in range(1, 6):
        folder = tmp_path / str(stop)
        folder.mkdir()

        class Kill(Callback):
            def on_advance(self, training, record, stop=stop):
                if training.trainer.epoch > stop:
                    raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run(**(options | {"callbacks": [EarlyStopping(4), Kill()]}), run=RunFolder(folder))
        again, resumed = run(**options, run=RunFolder(folder))
        assert bits(again) == bits(model)
        assert without_seconds(resumed) == without_seconds(history)


def test_a_finished_training_is_not_trained_again(run, parts, tmp_path):
    first, history = run(validation=parts[1], run=RunFolder(tmp_path))
    again, same = run(validation=parts[1], run=RunFolder(tmp_path), callbacks=[r := Recorder()])
    assert bits(first) == bits(again)
    assert history == same
    assert r.calls == ["start", "end"]


def test_a_stopped_training_stays_stopped(run, tmp_path):
    run(run=RunFolder(tmp_path), callbacks=[Recorder(stop_at=2)])
    _, history = run(run=RunFolder(tmp_path))
    assert len(history.rows) == 2


def test_a_checkpoint_of_another_model(run, parts, tmp_path):
    run(run=RunFolder(tmp_path))
    with pytest.raises(RunError, match="another model or optimizer"):
        run(run=RunFolder(tmp_path), optimizer=optim.Momentum(0.1))


def test_splits_keep_their_roles(run, parts):
    run(epochs=1, validation=Split(*parts[1], "validation"))
    with pytest.raises(DataError, match="got the test split"):
        run(validation=Split(*parts[1], "test"))


def test_validation_is_checked_before_training(run, parts):
    x, y = parts[1]
    with pytest.raises(ShapeError, match="x has 20 rows and y 3"):
        run(validation=(x, y[:3]))
    with pytest.raises(ArgumentError, match="from 0 to 2"):
        run(validation=(x, y + 5))
    with pytest.raises(ArgumentError, match="epochs must be at least 1"):
        run(epochs=0)


def test_json_log(run, parts, tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text("older\n")
    _, history = run(
        callbacks=[JSONLog(path)], validation=parts[1], metrics={"nan": lambda f, y: float("nan")}
    )
    lines = [json.loads(line, parse_constant=pytest.fail) for line in path.read_text().splitlines()]
    assert [line.pop("validation_nan") for line in lines] == [None] * 6
    for row in history.rows:
        del row["validation_nan"]
    assert lines == history.rows


def test_a_log_that_cannot_be_written(run, tmp_path):
    with pytest.raises(RunError, match="cannot write"):
        run(callbacks=[JSONLog(tmp_path / "nowhere" / "log.jsonl")])

    class Remove(Callback):
        def on_advance(self, training, record):
            (tmp_path / "log.jsonl").unlink(missing_ok=True)
            (tmp_path / "log.jsonl").mkdir(exist_ok=True)

    with pytest.raises(RunError, match=r"cannot write .*log\.jsonl: Is a directory"):
        run(callbacks=[JSONLog(tmp_path / "log.jsonl"), Remove()])


def test_tensorboard(run, parts, tmp_path):
    pytest.importorskip("tensorboard")
    logging.getLogger("tensorboard").setLevel(logging.ERROR)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    _, history = run(validation=parts[1], callbacks=[TensorBoard(tmp_path)])
    events = EventAccumulator(str(tmp_path)).Reload()
    for name in ("loss", "validation_loss", "lr"):
        found = [(e.step, e.tensor_proto.float_val[0]) for e in events.Tensors(name)]
        np.testing.assert_allclose([v for _, v in found], history[name], rtol=1e-6)
        assert [step for step, _ in found] == [1, 2, 3, 4, 5, 6]


def test_progress_as_lines(run, parts, capsys):
    _, history = run(validation=parts[1], progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith(f"epoch 1/6  loss {history['loss'][0]:.4f}  val ")
    assert lines[-1].startswith("epoch 6/6")


def test_progress_tells_of_the_epoch_that_ended_it(run, capsys):
    run(callbacks=[Recorder(stop_at=3)], progress=True)
    assert capsys.readouterr().err.splitlines()[-1].startswith("epoch 3/6")


def test_progress_as_a_bar(run, parts, capsys, monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TERM", "xterm")
    run(validation=parts[1], progress=True)
    assert "━━━" in capsys.readouterr().err
    monkeypatch.setenv("TERM", "dumb")
    run(validation=parts[1], progress=True)
    assert capsys.readouterr().err.startswith("epoch 1/6")


def test_progress_in_a_notebook(run, monkeypatch, capsys):
    display = pytest.importorskip("IPython.display")
    widgets = pytest.importorskip("ipywidgets")
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    shown = []
    monkeypatch.setattr(display, "display", lambda *things, **_: shown.extend(things))
    run(progress=True)
    assert any(isinstance(thing, widgets.Output) for thing in shown)
    shown.clear()
    monkeypatch.setattr("gradlab.train.progress.find_spec", lambda name: None)
    run(progress=True)
    assert shown
    assert not any(isinstance(thing, widgets.Output) for thing in shown)


def test_history_of_a_run_in_progress(run, tmp_path):
    folder = RunFolder(tmp_path)
    assert folder.history() == History()
    _, history = run(run=folder)
    assert folder.history() == history
    assert not folder.finished
