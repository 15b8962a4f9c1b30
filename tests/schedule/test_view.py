"""Previews and pictures."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradlab.errors import ArgumentError, RunError
from gradlab.schedule import Constant, Cosine, Exponential, Linear, Step, plot, preview
from gradlab.schedule.view import spread


@pytest.mark.parametrize(("epochs", "n", "updates"), [(3, 7, 21), (0.1, 30, 3), (2.5, 3, 7)])
def test_preview_has_one_value_an_update(epochs, n, updates):
    values = preview(Exponential(0.5), epochs, n)
    assert values.shape == (updates,)
    assert values[0] == 1
    np.testing.assert_array_equal(values, [Exponential(0.5)(k / n) for k in range(updates)])


@pytest.mark.parametrize(("epochs", "n"), [(0, 1), (-1, 1), (np.nan, 1), (np.inf, 1), (3, 0)])
def test_preview_of_no_training_is_refused(epochs, n):
    with pytest.raises(ArgumentError, match="give"):
        preview(Cosine(3), epochs, n)


def test_png_is_a_picture_and_no_other_file_stays(tmp_path):
    path = plot({"cosine": Cosine(30), "step": 64 * Step(10)}, 30, tmp_path / "s.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [file.name for file in tmp_path.iterdir()] == ["s.png"]


def test_svg_names_every_curve_and_repeats_byte_for_byte(tmp_path):
    names = {f"curve $ {i} $ < {i + 1}": Linear(30, final=i / 20) for i in range(20)}
    first = plot(names, 30, str(tmp_path / "a.svg")).read_bytes()
    again = plot(names, 30, tmp_path / "b.svg").read_bytes()
    assert first == again
    texts = {element.text for element in ElementTree.fromstring(first).iter() if element.text}
    assert names.keys() <= texts


def test_a_schedule_at_zero_can_be_drawn(tmp_path):
    assert plot({"off": Constant(0)}, 1, tmp_path / "zero.png").stat().st_size


@pytest.mark.parametrize(
    ("schedules", "epochs", "name", "complaint"),
    [
        ({}, 30, "a.png", "schedules is empty"),
        ({"c": Cosine(3)}, 0, "a.png", "epochs is 0"),
        ({"c": Cosine(3)}, 30, "a.gif", "end it in .png or .svg"),
        ({"c": Cosine(3)}, 30, "no/a.png", "make the folder"),
    ],
)
def test_a_picture_that_cannot_be_is_refused(tmp_path, schedules, epochs, name, complaint):
    with pytest.raises(ArgumentError, match=complaint):
        plot(schedules, epochs, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_picture(tmp_path, monkeypatch):
    path = tmp_path / "s.svg"
    path.write_text("old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(RunError, match=r"cannot write .*s\.svg: disk full"):
        plot({"c": Cosine(3)}, 3, path)
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_labels_keep_apart_in_order_and_inside(heights):
    gap = 0.06
    moved = spread(np.array(heights), gap)
    assert moved.max() <= 1 + 1e-12
    assert moved.min() >= -1e-12
    assert (np.diff(np.sort(moved)) >= gap - 1e-12).all()
    assert (np.diff(moved[np.argsort(heights, kind="stable")]) > 0).all()


def test_labels_that_are_apart_stay():
    heights = np.array([0.9, 0.1, 0.5])
    np.testing.assert_allclose(spread(heights, 0.06), heights)


def test_importing_schedules_imports_nothing_heavy():
    code = (
        "import sys, gradlab.schedule;"
        "print([m for m in ('matplotlib', 'scipy', 'sklearn', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
