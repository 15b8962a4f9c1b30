"""No command overwrites what it reads, nor what a training left in a run folder."""

import shlex

import numpy as np
import pytest

from gradlab.train.run import CHECKPOINT, FILES, STANDARD_INPUT

SELECT = "select-weights {} --model mlp(hidden=(2,)) --inputs 2 --outputs 2 --out"
COMMANDS = {
    "predict": "predict runs/wines-001 wines.csv --out",
    "export": "export runs/wines-001",
    "select-weights": SELECT.format("runs/wines-001"),
    "select-weights of a file": SELECT.format("w.safetensors"),
    "schedules plot": "schedules plot cosine --out",
}
"""Those that write to a file of any name, which comes last."""


@pytest.fixture
def folder(gradlab, wines, tmp_path):
    """With data, a finished run, a checkpoint of another and weights, and what they are made of."""
    words = ("--epochs", "1", "--hidden", "4", "-q")
    assert gradlab("train", wines, *words).status == 0
    assert gradlab("export", "runs/wines-001", "w.safetensors").status == 0
    other = tmp_path / "other"
    other.mkdir()
    for name in ("config.json", "preprocess.json", CHECKPOINT):
        (other / name).write_bytes((tmp_path / "runs" / "wines-001" / name).read_bytes())
    return tmp_path


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def files_of(folder):
    return sorted(path.name for path in folder.iterdir())


def test_all_files_of_a_run_are_known(folder):
    assert set(files_of(folder / "runs" / "wines-001")) == set(FILES) - {STANDARD_INPUT}


@pytest.mark.parametrize("run", ["runs/wines-001", "other", "./runs/../runs/wines-001"])
@pytest.mark.parametrize("command", COMMANDS)
def test_files_of_a_run_stay(gradlab, folder, command, run):
    (folder / "link").symlink_to("runs/wines-001")
    before = contents(folder)
    for name in FILES:
        for place in (run, "link"):
            done = gradlab(*shlex.split(COMMANDS[command], posix=False), f"{place}/{name}")
            assert done.status == 2
            assert done.err.startswith("error: ")
            assert done.err.count("\n") == 1
            assert contents(folder) == before


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("predict runs/wines-001 wines.csv --out wines.csv", "data"),
        ("predict runs/wines-001 wines.csv --out ./wines.csv", "data"),
        ("predict runs/wines-001 wines.csv --out soft.csv", "data"),
        ("predict runs/wines-001 soft.csv --out wines.csv", "data"),
        ("predict runs/wines-001 wines.csv --out hard.csv", "data"),
        ("predict runs/wines-001 photos --out photos/a/1.png", "data"),
        (f"{SELECT.format('w.safetensors')} w.safetensors", "teacher"),
        (f"{SELECT.format('soft.safetensors')} w.safetensors", "teacher"),
        (f"{SELECT.format('w.safetensors')} soft.safetensors", "teacher"),
        (f"{SELECT.format('w.safetensors')} runs/../w.safetensors", "teacher"),
        (f"{SELECT.format('runs/wines-001')} runs/wines-001/model.safetensors", "teacher"),
        ("export runs/wines-001 runs/wines-001/model.safetensors", "run"),
    ],
)
def test_what_is_read_stays(gradlab, folder, words, kind):
    (folder / "soft.csv").symlink_to("wines.csv")
    (folder / "soft.safetensors").symlink_to("w.safetensors")
    (folder / "hard.csv").hardlink_to(folder / "wines.csv")
    (folder / "photos" / "a").mkdir(parents=True)
    (folder / "photos" / "a" / "1.png").write_bytes(b"pixels")
    before = contents(folder)
    done = gradlab(*shlex.split(words, posix=False))
    assert (done.status, done.out) == (2, "")
    assert f"is, or lies in, the {kind}: give another name" in done.err
    assert contents(folder) == before


def test_new_files_in_a_run_folder_are_welcome_and_may_be_replaced(gradlab, folder):
    new = {
        "predict": "p.csv",
        "export": "w.pt",
        "schedules plot": "s.svg",
        "select-weights": "s.pt",
    }
    before = contents(folder)
    for command, name in new.items():
        for _ in "twice":
            words = shlex.split(COMMANDS[command], posix=False)
            done = gradlab(*words, f"runs/wines-001/{name}")
            assert done.status == 0, done.err
        after = contents(folder)
        assert np.all([after[path] == data for path, data in before.items()])
        assert folder / "runs" / "wines-001" / name in after
