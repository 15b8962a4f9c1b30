"""Config: what is asked for, from words, TOML or a run's own file."""

import dataclasses
import json

import pytest

from gradlab.errors import ArgumentError
from gradlab.train import Config


def test_defaults():
    config = Config.of({"data": "digits"})
    assert config == Config("digits")
    assert (config.hidden, config.loss, config.lr) == (None, None, None)


def test_what_is_open_depends_on_the_data():
    table, images, text = (Config("x").completed(kind, 500) for kind in ("table", "arrays", "text"))
    assert (table.model, table.epochs, table.batch_size, table.schedule) == (
        "mlp", 30, 32, "cosine",
    )  # fmt: skip
    assert (images.model, images.epochs, images.batch_size) == ("mlp", 5, 128)
    assert (text.model, text.epochs, text.updates, text.clip_norm) == ("gpt", None, 2000, 1.0)
    assert text.schedule == "warmup(over=100, then='cosine(final=0.1)')"
    for kind, config in {"table": table, "arrays": images, "text": text}.items():
        assert config.completed(kind, 500) == config


def test_what_is_named_stays():
    named = {"epochs": 3, "batch_size": 7, "model": "char_lstm", "schedule": "constant"}
    config = Config("x", **named).completed("text", 500)
    assert {name: getattr(config, name) for name in named} == named
    assert config.updates is None
    assert Config("x", epochs=3).completed("text", 500).schedule.startswith("warmup(over=0.15,")
    assert Config("x").completed("arrays", rows=20).batch_size == 20
    braces = "warmup(over=1, then={'name': 'cosine'})"
    assert Config("x", schedule=braces).completed("text", 500).schedule == braces


@pytest.mark.parametrize(
    ("settings", "name", "value"),
    [
        ({"hidden": [3, 4]}, "hidden", (3, 4)),
        ({"hidden": "3, 4"}, "hidden", (3, 4)),
        ({"hidden": 5}, "hidden", (5,)),
        ({"hidden": "0"}, "hidden", ()),
        ({"hidden": 0}, "hidden", ()),
        ({"hidden": []}, "hidden", ()),
        ({"hidden": ""}, "hidden", ()),
        ({"categorical": "a,b"}, "categorical", ("a", "b")),
        ({"categorical": ["a,b"]}, "categorical", ("a,b",)),
        ({"lr": 1}, "lr", 1.0),
        ({"lr": None}, "lr", None),
        ({"standardize": False}, "standardize", False),
    ],
    ids=str,
)
def test_values_take_the_type_of_their_setting(settings, name, value):
    found = getattr(Config.of({"data": "iris"} | settings), name)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"learning_rate": 1}, "unknown setting 'learning_rate'"),
        ({"epoch": 1}, "did you mean 'epochs'"),
        ({"lr": "abc"}, "lr must be a number, got 'abc'"),
        ({"lr": True}, "lr must be a number"),
        ({"lr": -1}, "lr must be a finite number above 0, got -1"),
        ({"lr": float("nan")}, "above 0, got nan"),
        ({"lr": float("inf")}, "above 0, got inf"),
        ({"epochs": 1.5}, "epochs must be a whole number"),
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"test": None}, "test must be a number, got None"),
        ({"updates": 0}, "updates must be at least 1, got 0"),
        ({"evaluate_every": 0}, "evaluate_every must be at least 1, got 0"),
        ({"micro_batch": 0}, "micro_batch must be at least 1, got 0"),
        ({"block": 0}, "block must be at least 1, got 0"),
        ({"epochs": 1, "updates": 1}, "epochs is 1 and updates 1; give one of them"),
        ({"updates": 1, "batch_schedule": "constant"}, "give epochs instead of updates"),
        ({"model": "resnet(depth=20)", "hidden": [4]}, "hidden is an option of model mlp; those"),
        ({"model": "2c2d", "dropout": 0.0}, "dropout is an option of model mlp"),
        ({"augment": [1]}, "augment must be names"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"seed": -1}, "seed must be a whole number from 0 up"),
        ({"standardize": "yes"}, "standardize must be true or false"),
        ({"standardize": 1}, "standardize must be true or false"),
        ({"optimizer": 3}, "optimizer must be text"),
        ({"hidden": [1.5]}, "hidden must be whole numbers"),
        ({"hidden": [True]}, "hidden must be whole numbers"),
        ({"hidden": "a"}, "hidden must be whole numbers, such as 128,64, got 'a'"),
        ({"hidden": [8, 0]}, "at least 1 unit each, got 8,0"),
        ({"hidden": {"a": 1}}, "hidden must be whole numbers"),
        ({"categorical": [1]}, "categorical must be names"),
        ({"data": 3}, "data must be text"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said_in_one_line(settings, text):
    with pytest.raises(ArgumentError) as caught:
        Config.of({"data": "iris"} | settings)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_data_must_be_named():
    with pytest.raises(ArgumentError, match="no data"):
        Config.of({"epochs": 3})


def test_toml(tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text('data = "wine"\nhidden = [32]\nlr = 1\noptimizer = "momentum(momentum=0.8)"\n')
    assert Config.of(Config.read(path)) == Config(
        "wine", hidden=(32,), lr=1.0, optimizer="momentum(momentum=0.8)"
    )


def test_the_file_of_a_run(tmp_path):
    path = tmp_path / "config.json"
    config = Config("wine", hidden=(3,), categorical=("a", "b"), lr=0.1)
    path.write_text(json.dumps({"settings": dataclasses.asdict(config), "digest": "0"}))
    assert Config.of(Config.read(path)) == config


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("a.toml", b"a = [", "is not a file of settings"),
        ("a.toml", b"\xff\xfe", "is not a file of settings"),
        ("a.json", b"{", "is not a file of settings"),
        ("a.json", b"[1]", "it has no settings"),
        ("a.json", b'{"settings": 3}', "it has no settings"),
        ("a.json", b"{}", "it has no settings"),
    ],
)
def test_files_of_something_else(name, content, text, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ArgumentError, match=text):
        Config.read(tmp_path / name)


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(ArgumentError, match=r"cannot read .*: No such file"):
        Config.read(tmp_path / "no.toml")
    with pytest.raises(ArgumentError, match=r"cannot read .*: Is a directory"):
        Config.read(tmp_path)
