"""History: a mapping, a table, JSON and pictures."""

import json
import math

import numpy as np
import pytest

from gradlab.errors import ArgumentError, RunError
from gradlab.train import History

ROWS = [
    {"epoch": 1, "loss": 20.0, "validation_loss": 3.0, "lr": 0.1, "eps": 1e-8, "seconds": 0.1},
    {"epoch": 2, "loss": 1.0, "validation_loss": math.nan, "lr": 0.05, "eps": 1e-8, "seconds": 0.2},
    {"epoch": 3, "loss": 0.5, "validation_loss": 2.0, "lr": 0.0, "eps": 1e-8, "seconds": 0.3},
]


def test_it_is_a_mapping():
    history = History(ROWS)
    assert list(history) == list(ROWS[0])
    assert len(history) == 6
    assert history["loss"].tolist() == [20, 1, 0.5]
    assert "accuracy" not in history
    with pytest.raises(KeyError, match="did you mean 'loss'"):
        history["los"]
    assert history == History(ROWS)
    assert history != History(ROWS[:2])


def test_rows_are_copies():
    rows = [dict(ROWS[0])]
    history = History(rows)
    rows[0]["loss"] = 0.0
    assert history["loss"] == [20]


def test_best():
    history = History(ROWS)
    assert history.best() == 2
    assert history.best(mode="max") == 0
    assert History([{"loss": 1.0}, {"loss": 1.0}]).best("loss") == 0
    assert History([{"loss": math.nan}]).best("loss") is None
    with pytest.raises(ArgumentError, match="mode"):
        history.best(mode="most")


def test_table_shows_what_changes():
    assert History(ROWS).table().splitlines() == [
        "epoch  loss  validation_loss    lr  seconds",
        "    1    20                3   0.1      0.1",
        "    2     1              nan  0.05      0.2",
        "    3   0.5                2     0      0.3",
    ]
    lines = History(ROWS * 3).table(every=4).splitlines()
    assert [line.split()[0] for line in lines] == ["epoch", "1", "2", "3"]
    assert "eps" in History(ROWS[:1]).table()


def test_json_goes_there_and_back(tmp_path):
    History(ROWS).to_json(tmp_path / "history.json")
    read = History(json.loads((tmp_path / "history.json").read_text()))
    for name in read:
        np.testing.assert_array_equal(read[name], History(ROWS)[name])


@pytest.mark.parametrize("rows", [ROWS, ROWS[:1], [{"epoch": 1, "loss": -1.0}]], ids=len)
@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_pictures(rows, suffix, tmp_path):
    path = tmp_path / f"curves{suffix}"
    History(rows).plot(path, title="a_b $x$")
    again = tmp_path / f"again{suffix}"
    History(rows).plot(again, title="a_b $x$")
    assert path.read_bytes() == again.read_bytes()
    if suffix == ".svg":
        text = path.read_text()
        shown = {"loss", "a_b $x$"} if len(rows[0]) == 2 else {"learning rate", "validation"}
        assert all(f">{label}<" in text for label in shown)
        assert ">eps<" not in text
    assert len(list(tmp_path.iterdir())) == 2


def test_what_cannot_be_drawn(tmp_path):
    with pytest.raises(ArgumentError, match="nothing to draw"):
        History().plot(tmp_path / "curves.png")
    with pytest.raises(ArgumentError, match="nothing to draw"):
        History([{"epoch": 1, "loss": math.nan}]).plot(tmp_path / "curves.png")
    with pytest.raises(ArgumentError, match=r"\.png or \.svg"):
        History(ROWS).plot(tmp_path / "curves.gif")
    with pytest.raises(RunError, match="cannot write"):
        History(ROWS).plot(tmp_path / "nowhere" / "curves.png")
    assert not list(tmp_path.iterdir())
