"""Curves over seeds, drawn so that they are read without a legend."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gradlab.files import replacing
from gradlab.palette import COLOURS, DASHES
from gradlab.schedule.view import spread
from gradlab.studies.statistics import bands
from gradlab.studies.study import Picture

GAP = 0.07
"""Height that a label takes, as a share of the axes."""


def curves(
    axes: Any,
    x: ArrayLike,
    values: Mapping[str, NDArray[Any]],
    *,
    log: bool = False,
    ylim: tuple[float, float] | None = None,
) -> None:
    """Draw the mean over seeds and its 95 % interval, each curve with its name at its end.

    Args:
        axes: of matplotlib; names stand to the right of it.
        x: of the points, such as epochs or layers.
        values: by name, of shape (seeds, points); all above 0 where ``log`` is set, which makes
            the axis logarithmic and the mean geometric.
        log: whether the values span decades.
        ylim: ends of the vertical axis; whatever is drawn later does not move them.
    """
    from matplotlib.ticker import MaxNLocator

    lines = {}
    for name, found in values.items():
        ends = bands(np.log(found) if log else found)
        lines[name] = [np.exp(end) if log else end for end in ends]
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.margins(x=0)
    if log:
        axes.set_yscale("log")
    colours = dict(zip(values, cycle(COLOURS), strict=False))
    for (name, (centre, low, high)), dash in zip(lines.items(), cycle(DASHES), strict=False):
        colour = colours[name]
        axes.plot(x, centre, color=colour, linestyle=dash, linewidth=1.8, clip_on=False)
        axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.set_ylim(ylim or axes.get_ylim())
    if log:
        _name_decades(axes)
    # Each name beside the end of its curve, with a hairline where another's name pushes it away.
    to_axes = axes.transData + axes.transAxes.inverted()
    last = float(np.asarray(x)[-1])
    heights = np.array([to_axes.transform((last, line[0][-1]))[1] for line in lines.values()])
    labels = spread(np.clip(heights, 0, 1), GAP)
    for name, height, label in zip(lines, heights, labels, strict=True):
        place = {"transform": axes.transAxes, "color": colours[name], "clip_on": False}
        axes.plot([1.0, 1.04], [height, label], linewidth=0.6, **place)
        axes.text(1.05, label, name, va="center", parse_math=False, **place)


def _name_decades(axes: Any) -> None:
    """Plain numbers along a logarithmic axis of few decades, where powers of ten are too rare."""
    from matplotlib.ticker import LogLocator, NullFormatter

    low, high = axes.get_ylim()
    if high > 1000 * low:
        axes.yaxis.set_minor_formatter(NullFormatter())
        return
    axes.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
    for part in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
        part(lambda value, _: f"{value:g}")


def write_picture(picture: Picture, path: Path) -> None:
    """Write a picture as SVG or PNG, by the suffix.

    Raises:
        RunError: the file cannot be written.
    """
    # Figure and not pyplot: no window, no global state.
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    # Text stays text, and equal findings make equal files.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "gradlab", "font.size": 9}):
        figure = Figure(figsize=picture.size, layout="constrained")
        picture.draw(figure)
        with replacing(path) as temporary:
            metadata = {"Date": None} if path.suffix == ".svg" else None
            figure.savefig(temporary, dpi=150, metadata=metadata)
