import io
import sys
import types
from typing import NamedTuple

import numpy as np
import pytest

from gradlab.cli import main
from gradlab.train import History


class Result(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def gradlab(tmp_path, monkeypatch, capsys):
    """Run the command line in this process, in the test's folder, with texts for pictures."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(History, "plot", lambda history, path, title: path.write_text(title))

    def run(*words, stdin=b""):
        monkeypatch.setattr(sys, "argv", ["gradlab", *map(str, words)])
        monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO(stdin)))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return Result(ended.value.code or 0, *capsys.readouterr())

    return run


@pytest.fixture
def wines(tmp_path):
    """A CSV file of a classification."""
    rng = np.random.default_rng(1)
    lines = ["alcohol,ash,kind"]
    for kind in rng.integers(0, 2, 60):
        lines.append("{:.3f},{:.3f},{}".format(*rng.normal(size=2) + kind, "ab"[kind]))
    path = tmp_path / "wines.csv"
    path.write_text("\n".join(lines) + "\n")
    return path
