"""A run folder: whole files or none, and a clear word about damage."""

import contextlib
import json
import os
import re

import numpy as np
import pytest

from gradlab.errors import RunError
from gradlab.files import replacing
from gradlab.train import Experiment, RunFolder
from gradlab.train.files import load_arrays, save_arrays, write_json


def test_folders_are_numbered(tmp_path):
    (tmp_path / "iris-007").mkdir()
    (tmp_path / "iris-old").mkdir()
    (tmp_path / "other-100").mkdir()
    names = [RunFolder.create(tmp_path, "iris", {}).path.name for _ in range(2)]
    assert names == ["iris-008", "iris-009"]
    assert RunFolder.create(tmp_path, "a[b]*", {}).path.name == "a[b]*-001"


def test_another_process_may_take_the_number(tmp_path, monkeypatch):
    rename = type(tmp_path).rename

    def late(self, path):
        monkeypatch.undo()
        path.mkdir()
        (path / "config.json").write_text("theirs")
        return rename(self, path)

    monkeypatch.setattr(type(tmp_path), "rename", late)
    folder = RunFolder.create(tmp_path, "iris", {"config.json": {}})
    assert folder.path.name == "iris-002"
    assert (tmp_path / "iris-001" / "config.json").read_text() == "theirs"


def test_a_folder_that_cannot_be_made_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"cannot make a run folder .*; choose another --out"):
        RunFolder.create(tmp_path / "file", "iris", {})
    with pytest.raises(RunError, match="cannot make a run folder"):
        RunFolder.create(tmp_path, "iris", {"a.json": {}, "no/b.json": {}})
    assert os.listdir(tmp_path) == ["file"]


def test_a_file_is_whole_or_as_it_was(tmp_path):
    path = tmp_path / "note.txt"
    for text in ("old", "new"):
        with replacing(path) as temporary:
            temporary.write_text(text)
    with contextlib.suppress(ZeroDivisionError), replacing(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["note.txt"]
    with pytest.raises(RunError, match=r"cannot write .*: No such file"):
        write_json(tmp_path / "x" / "y", {})


def test_arrays_go_there_and_back(tmp_path):
    path = tmp_path / "a.safetensors"
    arrays = {
        "scalar": np.asarray(3),
        "turned": np.arange(6.0).reshape(2, 3).T,
        "half": np.ones(2, np.float16),
        "words": np.array([1, 2], np.uint32),
        "empty": np.zeros((0, 2), np.float32),
    }
    save_arrays(path, arrays, {"epoch": 1, "loss": [0.1, float("nan")]})
    found, about = load_arrays(path)
    for name, array in arrays.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found[name], array)
    assert about["loss"][0] == 0.1
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask


@pytest.fixture
def interrupted(wines, train):
    """A run that was cut off after its last epoch, and the bytes of its checkpoint."""
    experiment, _ = train(wines)
    (experiment.folder.path / "result.json").unlink()
    path = experiment.folder.path / "checkpoint.safetensors"
    return experiment.folder.path, path, path.read_bytes()


def resume(folder):
    return Experiment.open(folder).train(progress=False)


@pytest.mark.parametrize("share", np.linspace(0, 0.999, 12))
def test_a_cut_off_checkpoint_is_told_of(interrupted, share):
    folder, path, data = interrupted
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(RunError, match=r"checkpoint\.safetensors is damaged"):
        resume(folder)


def test_a_changed_byte_is_told_of(interrupted):
    folder, path, data = interrupted
    places = np.random.default_rng(0).integers(0, len(data), 40)
    for place in [*places, 0, 7, 8, len(data) - 1]:
        changed = bytearray(data)
        changed[place] ^= 0x15
        path.write_bytes(changed)
        with pytest.raises(RunError, match=r"checkpoint\.safetensors is damaged"):
            resume(folder)
    path.write_bytes(data)
    resume(folder)


def test_a_checkpoint_of_another_version(interrupted):
    folder, path, _ = interrupted
    arrays, about = load_arrays(path)
    save_arrays(path, arrays, about | {"format": 99})
    with pytest.raises(RunError, match="has format 99, this gradlab reads 1"):
        resume(folder)


def test_a_missing_checkpoint_begins_anew(interrupted):
    folder, path, data = interrupted
    path.unlink()
    resume(folder)
    assert load_arrays(path)[0].keys() == load_arrays_of(data, folder)


def load_arrays_of(data, folder):
    (folder / "copy").write_bytes(data)
    return load_arrays(folder / "copy")[0].keys()


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("config.json", "{", r"config\.json is damaged"),
        ("config.json", "[]", r"config\.json is damaged"),
        ("config.json", '{"settings": {"data": "x"}}', r"config\.json is damaged"),
        ("config.json", '{"settings": {"lr": 0}}', r"config\.json is damaged"),
        ("config.json", None, r"is not a run folder: it has no config\.json"),
    ],
)
def test_a_damaged_folder(interrupted, name, content, text):
    folder, _, _ = interrupted
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(content)
    with pytest.raises(RunError, match=text):
        resume(folder)


def test_what_is_not_a_run_folder(tmp_path):
    with pytest.raises(RunError, match="there is no such folder"):
        resume(tmp_path / "no")
    with pytest.raises(RunError, match=r"it has no config\.json"):
        resume(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="there is no such folder"):
        resume(tmp_path / "file")


def test_the_outcome_is_kept(wines, train):
    experiment, outcome = train(wines)
    assert experiment.folder.outcome() == outcome
    (experiment.folder.path / "result.json").write_text('{"epochs": 1}')
    with pytest.raises(RunError, match=r"result\.json is damaged"):
        experiment.folder.outcome()


def test_files_are_plain_json(wines, train):
    experiment, _ = train(wines)
    for path in experiment.folder.path.glob("*.json*"):
        lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
        for line in lines:
            json.loads(line, parse_constant=pytest.fail)
    assert not [p for p in experiment.folder.path.iterdir() if re.search("tmp", p.name)]
