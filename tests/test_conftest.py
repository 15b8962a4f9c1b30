"""What conftest.py promises: tests of any order, nothing left behind, no test skipped in CI."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DIRTY = """
import os, random, tempfile
import numpy as np
import pytest
import torch
import gradlab as gl
from gradlab import nn
from gradlab.nn.models import models

def state():
    drawn = (random.random(), np.random.random(), torch.rand(1).item())
    weights = nn.Linear(2, 2).weight.numpy().tobytes()
    return gl.default_dtype(), list(models), os.getcwd(), dict(os.environ), weights, drawn

SEEN = []

@pytest.mark.parametrize("time", range(2))
def test_dirt(time, tmp_path, monkeypatch):
    found = state()
    found[3].pop("PYTEST_CURRENT_TEST")
    SEEN.append(found)
    assert SEEN[0] == found
    gl.set_default_dtype("float64")
    models.register("mine", formula="x", paper="")(lambda inputs, outputs: None)
    os.chdir(tmp_path)
    os.environ["MINE"] = "1"
    os.environ.pop("HOME", None)
    tempfile.mkdtemp()

def test_skipped():
    pytest.skip("no extra")
"""


@pytest.mark.parametrize(("ci", "status"), [("1", 1), ("", 0)])
def test_each_test_starts_alike_and_the_run_leaves_nothing(ci, status, tmp_path):
    for folder in ("tests", "temporary", "home"):
        (tmp_path / folder).mkdir()
    (tmp_path / "tests" / "test_dirt.py").write_text(DIRTY)
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("GRADLAB", "PYTEST"))}
    own = {"CI": ci, "TMPDIR": str(tmp_path / "temporary"), "HOME": str(tmp_path / "home")}
    for place in ("MPLCONFIGDIR", "TORCHINDUCTOR_CACHE_DIR", "XDG_CACHE_HOME"):
        inherited.pop(place, None)
    words = ["-p", "conftest", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", "."]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, str(tmp_path / "tests")],
        cwd=ROOT,
        env=inherited | own | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert "2 passed, 1 skipped" in done.stdout, done.stdout
    assert ("1 skipped in CI: every extra must be installed" in done.stdout) == bool(ci)
    assert done.returncode == status
    assert not [*(tmp_path / "temporary").iterdir(), *(tmp_path / "home").iterdir()]
