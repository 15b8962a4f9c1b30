"""Schedules to look at: their values at each update, and their curves."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from gradlab.errors import ArgumentError
from gradlab.files import replacing
from gradlab.palette import COLOURS, DASHES
from gradlab.schedule.base import Floats, Schedule, whole


def preview(schedule: Schedule, epochs: float, updates_per_epoch: int) -> Floats:
    """Values at every update of a training, in order: schedule(k / n) for k = 0, 1, ...

    ``epochs`` > 0, of which the whole updates count; ``updates_per_epoch`` n >= 1.

    Raises:
        ArgumentError: epochs or updates_per_epoch is out of range.

    >>> from gradlab.schedule import Linear
    >>> preview(Linear(epochs=2), epochs=2, updates_per_epoch=2)
    array([1.  , 0.75, 0.5 , 0.25])
    """
    _check_epochs(epochs)
    if updates_per_epoch < 1:
        raise ArgumentError(f"updates_per_epoch is {updates_per_epoch!r}; give 1 or more")
    updates = int(whole(np.asarray(epochs * updates_per_epoch)))
    return schedule(np.arange(updates) / updates_per_epoch)


def plot(schedules: Mapping[str, Schedule], epochs: float, path: str | os.PathLike[str]) -> Path:
    """Draw named schedules from t = 0 to ``epochs`` into a PNG or SVG file, and return its path.

    Each curve has a colour and a dash of its own, and its name at its end.

    Raises:
        ArgumentError: no schedules, epochs not above 0, another suffix, or no such folder.
        RunError: the file cannot be written.

    >>> from tempfile import TemporaryDirectory
    >>> from gradlab.schedule import Cosine, Linear
    >>> with TemporaryDirectory() as folder:
    ...     plot({"cosine": Cosine(30), "linear": Linear(30)}, 30, f"{folder}/two.svg").name
    'two.svg'
    """
    path = Path(path)
    if not schedules:
        raise ArgumentError("schedules is empty; give at least one name and schedule")
    _check_epochs(epochs)
    if path.suffix not in (".png", ".svg"):
        raise ArgumentError(f"path is {str(path)!r}; end it in .png or .svg")
    if not path.parent.is_dir():
        raise ArgumentError(f"path is {str(path)!r}; make the folder {str(path.parent)!r} first")
    picture = _draw(schedules, epochs, path.suffix[1:])
    with replacing(path) as temporary:
        temporary.write_bytes(picture)
    return path


def _draw(schedules: Mapping[str, Schedule], epochs: float, suffix: str) -> bytes:
    """The picture's bytes."""
    # Figure and not pyplot: no window, no global state.
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    # Text stays text, and equal schedules make equal files.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "gradlab"}):
        figure = Figure(figsize=(7, 4), layout="constrained")
        axes = figure.subplots()
        axes.spines[["top", "right"]].set_visible(False)
        axes.set(xlabel="epoch", ylabel="value", xlim=(0, epochs))
        t = np.linspace(0, epochs, 2001)
        curves = [schedule(t) for schedule in schedules.values()]
        top = max(curve.max() for curve in curves) or 1.0
        axes.set_ylim(0, top)
        ends = np.array([curve[-1] for curve in curves]) / top
        styles = zip(cycle(COLOURS), cycle(DASHES), strict=False)
        for name, curve, end, label, (colour, dash) in zip(
            schedules, curves, ends, spread(ends, gap=0.06), styles, strict=False
        ):
            line: dict[str, Any] = {
                "color": colour,
                "linestyle": dash,
                "linewidth": 1.8,
                "clip_on": False,
            }
            axes.plot(t, curve, **line)
            # The name stands beside a sample of the line, and a hairline leads to the curve's end.
            beside = {**line, "transform": axes.transAxes}
            axes.plot([1.05, 1.14], [label, label], **beside)
            axes.plot([1, 1.05], [end, label], **beside | {"linestyle": "-", "linewidth": 0.6})
            axes.text(1.16, label, name, transform=axes.transAxes, va="center", parse_math=False)
        picture = io.BytesIO()
        figure.savefig(
            picture, format=suffix, dpi=150, metadata={"Date": None} if suffix == "svg" else None
        )
    return picture.getvalue()


def spread(heights: Floats, gap: float) -> Floats:
    """Heights of labels in [0, 1], moved so that neighbours are at least the gap apart.

    >>> spread(np.array([0.5, 0.0, 0.02, 1.0, 1.0]), gap=0.25)
    array([0.5 , 0.  , 0.25, 0.75, 1.  ])
    """
    order = np.argsort(heights, kind="stable")
    rungs = gap * np.arange(len(heights))
    # Less its rung, a height may not be below the one before it; the last may not be above 1.
    apart = np.maximum.accumulate(heights[order] - rungs)
    moved = np.empty_like(heights)
    moved[order] = np.minimum(apart, 1 - rungs[-1]) + rungs
    return moved


def _check_epochs(epochs: float) -> None:
    """Refuse a training of no length."""
    if not 0 < epochs < float("inf"):
        raise ArgumentError(f"epochs is {epochs!r}; give a finite number above 0")
