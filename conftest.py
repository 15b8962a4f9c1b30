"""What all tests share, doctests of the package and of the docs too."""

import copy
import importlib
import itertools
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

import gradlab as gl
from gradlab.nn import made

# What tests and the libraries they use write goes to one folder, which is gone after the run:
# compiled programs, which serve all processes of the run and no other run; temporary files, caches.
FOLDER = None
if "GRADLAB_TESTS" not in os.environ:
    FOLDER = os.environ["GRADLAB_TESTS"] = tempfile.mkdtemp(prefix="gradlab-tests-")
    PLACES = (
        "GRADLAB_CACHE",
        "HYPOTHESIS_STORAGE_DIRECTORY",
        "MPLCONFIGDIR",
        "TMPDIR",
        "TORCHINDUCTOR_CACHE_DIR",
        "XDG_CACHE_HOME",
    )
    for name in PLACES:
        os.environ[name] = str(Path(FOLDER) / name.lower())
        Path(os.environ[name]).mkdir()
    tempfile.tempdir = None  # it looks at TMPDIR again

# Every graph and plan that is compiled is checked (gradlab/execute/native/verify.py).
os.environ.setdefault("GRADLAB_GUARD", "plans")

# The same examples at every run, so that a failure is a change in the code.
settings.register_profile("gradlab", derandomize=True, deadline=None, database=None)
settings.load_profile("gradlab")

REGISTRIES = {
    "gradlab.data.source": "datasets",
    "gradlab.init.base": "initializers",
    "gradlab.nn.activation": "activations",
    "gradlab.nn.loss_registry": "losses",
    "gradlab.nn.models.registry": "models",
    "gradlab.optim.rows": "optimizers",
    "gradlab.schedule.rows": "schedules",
    "gradlab.studies.study": "studies",
    "gradlab.train.images": "augmentations",
    "gradlab.train.metrics": "metrics",
}


@pytest.fixture(autouse=True)
def clean_process(monkeypatch):
    """Every test starts alike, whatever ran before it, and leaves the process as it was."""
    # Layers draw their first weights by how many of them this process has made.
    monkeypatch.setattr(made, "_made", itertools.count())
    random.seed(0)
    np.random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)
    registries = [getattr(importlib.import_module(m), name) for m, name in REGISTRIES.items()]
    rows = [copy.copy(vars(registry)["_rows"]) for registry in registries]
    aliases = [copy.copy(vars(registry)["_aliases"]) for registry in registries]
    dtype, environment, folder = gl.default_dtype(), dict(os.environ), Path.cwd()
    yield
    for registry, own, names in zip(registries, rows, aliases, strict=True):
        vars(registry).update(_rows=own, _aliases=names)
    gl.set_default_dtype(dtype)
    os.chdir(folder)
    for name in set(os.environ) - set(environment):
        del os.environ[name]
    os.environ.update(environment)


@pytest.fixture(scope="session")
def published():
    """A folder with published datasets: $GRADLAB_DATA, or shared/data beside this checkout.

    Tests that ask for it are marked long, so that `make test` runs the same tests everywhere.
    """

    def folder(*files):
        beside = Path(__file__).parents[1] / "shared" / "data"
        found = Path(os.environ.get("GRADLAB_DATA") or beside)
        absent = [file for file in files if not (found / file).exists()]
        if absent:
            pytest.skip(f"no copy of {', '.join(absent)}; name its folder in GRADLAB_DATA")
        return found

    return folder


def pytest_configure(config):
    """In random order too, every test has the random numbers that ``clean_process`` starts."""
    if hasattr(config.option, "randomly_reset_seed"):
        config.option.randomly_reset_seed = False


def pytest_terminal_summary(terminalreporter, exitstatus, config):
    """In CI every extra is installed, so a test that was skipped is a failure of the set-up."""
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped and os.environ.get("CI"):
        terminalreporter.write_line(f"{len(skipped)} skipped in CI: every extra must be installed")
        terminalreporter._session.exitstatus = 1


def pytest_unconfigure(config):
    """The process that made the folder takes it away."""
    if FOLDER is not None:
        shutil.rmtree(FOLDER, ignore_errors=True)
