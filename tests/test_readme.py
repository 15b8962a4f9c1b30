"""Every command that the README shows does what it shows there."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(r"```console\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
GRADLAB = [block for block in BLOCKS if block.startswith("$ gradlab")]


def commands(block):
    """Pairs of a command and the output shown below it."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def masked(text):
    """Without digits: results differ in the last places between machines."""
    return re.sub(r"\d+([.,]\d+)*", "#", text).strip()


def shares(text):
    """The percentages in it, each with that of one row of those that it counts."""
    rows = dict(re.findall(r"\b(\d+) (train|validation|test)\b", text))
    counts = {name: int(number) for number, name in rows.items()}
    found = []
    for line in text.splitlines():
        (name, *_) = line.split() or [""]
        count = counts.get(name) or int((re.match(r"(\d+) rows", line) or [0, 1])[1])
        found += [(float(share), 100 / count) for share in re.findall(r"([\d.]+) %", line)]
    return found


def test_there_is_something_to_test():
    assert len(GRADLAB) >= 2


@pytest.mark.parametrize("block", GRADLAB)
def test_commands_print_what_the_readme_shows(block, tmp_path):
    for command, output in commands(block):
        words = [sys.executable, "-m", "gradlab", *shlex.split(command)[1:]]
        run = subprocess.run(
            words,
            cwd=tmp_path,
            env=os.environ | {"COLUMNS": "200"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stdout
        assert masked(run.stdout) == masked(output), command
        # One row more or less, as rounding on another machine may have it.
        for (share, _), (shown, row) in zip(shares(run.stdout), shares(output), strict=True):
            assert share == pytest.approx(shown, abs=row + 0.01), command


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"^\$ make (\w+)", "\n".join(BLOCKS), re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
