"""A run that is killed, however often and whenever, goes on to the bits of one that was not."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gradlab.train import Callback, Experiment

OPERATIONS = [
    (Path, "write_bytes"),
    (Path, "write_text"),
    (Path, "replace"),
    (Path, "rename"),
    (Path, "mkdir"),
    (Path, "unlink"),
    (os, "fsync"),
    (shutil, "rmtree"),
]


def left(folder):
    """What a finished run leaves, without how long it took."""
    history = json.loads((folder / "history.json").read_text())
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    for row in history + log:
        assert row.pop("seconds") >= 0
    assert log == history
    names = ("model.safetensors", "result.json", "curves.png", "curves.svg")
    return history, {name: (folder / name).read_bytes() for name in names}


class Killed(BaseException):
    """The end of a simulated process."""


class Mortal:
    """Lets the process die before, inside or after one of its operations on files, by number.

    Once dead, no operation does anything: what tidies up after an error has no effect either.
    """

    def __init__(self, patch, dies_at):
        self.count, self.dies_at, self.dead = 0, dies_at, False
        for owner, name in OPERATIONS:
            patch.setattr(owner, name, self.guarded(getattr(owner, name)))

    def guarded(self, operation):
        def call(*args, **options):
            self.step()
            if operation.__name__.startswith("write"):
                path, content, *rest = args
                operation(path, content[: len(content) // 2], *rest, **options)
                self.step()
            result = operation(*args, **options)
            self.step()
            return result

        return call

    def step(self):
        self.count += 1
        self.dead = self.dead or self.count == self.dies_at
        if self.dead:
            raise Killed


def test_killed_at_any_operation_on_files(wines, tmp_path, config, monkeypatch):
    settings = config(wines, epochs=2, patience=2, optimizer="momentum", hidden=(4,))
    whole = Experiment.create(settings, tmp_path / "whole")
    whole.train(progress=False)
    expected = left(whole.folder.path)
    moments = 0
    died = True
    while died:
        moments += 1
        runs = tmp_path / str(moments)
        with monkeypatch.context() as patch:
            mortal = Mortal(patch, dies_at=moments)
            with contextlib.suppress(Killed):
                Experiment.create(settings, runs).train(progress=False)
            died = mortal.dead
        begun = list(runs.glob("wines-*")) if runs.exists() else []
        if not begun:  # no half-made folder, so it can only be trained anew
            assert moments < 20
            continue
        experiment = Experiment.open(begun[0])
        if not experiment.folder.finished:
            experiment.train(progress=False)
        assert left(begun[0]) == expected
    assert moments > 60


def test_killed_inside_a_line_of_the_log(wines, tmp_path, config):
    settings = config(wines, epochs=3, hidden=(4,))
    whole, killed = (Experiment.create(settings, tmp_path / name) for name in ("whole", "killed"))
    whole.train(progress=False)

    class Dies(Callback):
        def on_epoch(self, training, row):
            if row["epoch"] == 2:
                with (killed.folder.path / "log.jsonl").open("a") as log:
                    log.write('{"epoch": 2, "upd')
                raise Killed

    with pytest.raises(Killed):
        killed.train(progress=False, callbacks=[Dies()])
    Experiment.open(killed.folder.path).train(progress=False)
    assert left(killed.folder.path) == left(whole.folder.path)


SETTINGS = {
    "hidden": "24",
    "dropout": "0.2",
    "optimizer": "adam",
    "lr": "0.01",
    "batch-size": "4",
    "epochs": "60",
    "patience": "25",
    "validation": "0.3",
}


def start(folder, *words):
    return subprocess.Popen(
        [sys.executable, "-m", "gradlab", "train", "-q", *words],
        cwd=folder,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def begin(folder, wines):
    words = [word for name, value in SETTINGS.items() for word in (f"--{name}", value)]
    return start(folder, str(wines), *words)


@pytest.mark.parametrize("seed", [0, 1])
def test_killed_at_random_moments(seed, wines, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    began = time.monotonic()
    process = begin(whole, wines)
    assert process.wait() == 0, process.stdout.read()
    process.stdout.close()
    seconds = time.monotonic() - began

    rng = random.Random(seed)
    run = killed / "runs" / "wines-001"
    finishing = 0
    for kill in range(4):
        process = start(killed, "--resume", str(run)) if run.exists() else begin(killed, wines)
        if kill < 3:
            time.sleep(rng.uniform(0.2, 0.8) * seconds)
        else:  # while it finishes: some of what it leaves is there, the result is not
            file = rng.choice(["model.safetensors", "history.json", "curves.png"])
            while process.poll() is None and not (run / file).exists():
                time.sleep(0.001)
            finishing += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    process = start(killed, "--resume", str(run)) if run.exists() else begin(killed, wines)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert finishing
    assert left(run) == left(whole / "runs" / "wines-001")
    assert not [p for p in run.iterdir() if p.name.startswith(".")]
