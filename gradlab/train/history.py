"""History: what a training measured, as a rule epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gradlab.errors import ArgumentError, one_of
from gradlab.files import replacing
from gradlab.graph.dtypes import Array
from gradlab.palette import BLUE, VERMILION
from gradlab.train.files import write_json

VALIDATION = "validation_"
COUNTERS = ("epoch", "update", "seconds")


class History(Mapping[str, Array]):
    """Measurements by name, one value for each epoch, or for each time that ``fit`` looked.

    >>> history = History([{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.0}])
    >>> history["loss"], len(history.rows), history.best("loss")
    (array([2., 1.]), 2, 1)
    >>> print(history.table())
    epoch  loss
        1     2
        2     1
    """

    def __init__(self, rows: list[dict[str, Any]] | None = None) -> None:
        self.rows: list[dict[str, Any]] = [dict(row) for row in rows or []]

    def append(self, row: Mapping[str, Any]) -> None:
        """Add an epoch's measurements."""
        self.rows.append(dict(row))

    def __getitem__(self, name: str) -> Array:
        if name not in self._names():
            raise KeyError(one_of("measurement", name, self._names()))
        return np.array([_number(row.get(name)) for row in self.rows])

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())

    def _names(self) -> list[str]:
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, History) and self.rows == other.rows

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"History({len(self.rows)} epochs: {', '.join(self._names())})"

    def best(self, name: str = "validation_loss", mode: str = "min") -> int | None:
        """Position of the best epoch by a measurement: the first at a tie, None if all are NaN.

        Args:
            name: which measurement.
            mode: "min" or "max".

        Raises:
            ArgumentError: another mode.
            KeyError: no such measurement.
        """
        if mode not in ("min", "max"):
            raise ArgumentError(f"mode is 'min' or 'max', got {mode!r}")
        values = self[name] if mode == "min" else -self[name]
        return None if np.isnan(values).all() else int(np.nanargmin(values))

    def table(self, every: int = 1) -> str:
        """All that changed as aligned text, every so many epochs and the last."""
        names = [name for name in self._names() if name == "epoch" or self._changes(name)]
        last = len(self.rows) - 1
        shown = [r for i, r in enumerate(self.rows) if i % every == 0 or i == last]
        cells = [names] + [[_text(row.get(name)) for name in names] for row in shown]
        widths = [max(len(row[i]) for row in cells) for i in range(len(names))]
        return "\n".join(
            "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
            for row in cells
        )

    def to_json(self, path: str | Path) -> None:
        """Write the rows as JSON."""
        write_json(Path(path), self.rows)

    def plot(self, path: str | Path, title: str = "") -> None:
        """Draw loss, scores and learning rate against the epochs, as PNG or SVG by the suffix.

        Raises:
            ArgumentError: there is nothing to draw, or another suffix.
            RunError: the file cannot be written.
        """
        # Figure and not pyplot: no window, no global state.
        from matplotlib import rc_context
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator

        path, panels = Path(path), self._panels()
        if path.suffix not in (".png", ".svg"):
            raise ArgumentError(f"path is {str(path)!r}; end it in .png or .svg")
        if not panels:
            raise ArgumentError("there is nothing to draw: no epoch, or no finite measurement")
        # Text stays text, and equal histories make equal files.
        with rc_context({"svg.fonttype": "none", "svg.hashsalt": "gradlab"}):
            figure = Figure(figsize=(4.2 * len(panels), 3.4), layout="constrained")
            drawn = figure.subplots(1, len(panels), squeeze=False)[0]
            for axes, (measured, names) in zip(drawn, panels.items(), strict=True):
                self._draw(axes, names)
                if measured == "loss" and self._spans_decades(names):
                    axes.set_yscale("log")
                title_of = measured if len(names) > 1 or measured == "lr" else names[0]
                axes.set_title({"lr": "learning rate"}.get(title_of, title_of.replace("_", " ")))
                axes.set_xlabel(self._time())
                axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
                if len(self.rows) == 1:
                    axes.set_xlim(0, 2 * self[self._time()][0])
                axes.grid(alpha=0.3)
            figure.suptitle(title, parse_math=False)
            with replacing(path) as temporary:
                metadata = {"Date": None} if path.suffix == ".svg" else None
                figure.savefig(temporary, dpi=120, metadata=metadata)

    def _draw(self, axes: Any, names: list[str]) -> None:
        """The curves of one panel: training, then validation."""
        for name in names:
            held_out = name.startswith(VALIDATION)
            axes.plot(
                self[self._time()],
                self[name],
                color=VERMILION if held_out else BLUE,
                linestyle="--" if held_out else "-",
                marker="o" if len(self.rows) == 1 else "",
                label="validation" if held_out else "training",
            )
        if len(names) > 1:
            axes.legend(frameon=False)

    def _time(self) -> str:
        """What the curves run over: epochs, or updates if a row stands within an epoch."""
        return "epoch" if all(float(e).is_integer() for e in self["epoch"]) else "update"

    def _spans_decades(self, names: list[str]) -> bool:
        """Whether measurements are positive and more than a power of ten apart."""
        values = np.concatenate([self[name] for name in names])
        values = values[np.isfinite(values)]
        return bool(values.max() > 10 * values.min() > 0)

    def _panels(self) -> dict[str, list[str]]:
        """What is drawn: training and validation of one measurement together."""
        panels: dict[str, list[str]] = {}
        for name in self._names():
            measured = name.removeprefix(VALIDATION)
            always = measured != name or name in ("loss", "lr")
            shown = always or (len(self.rows) > 1 and self._changes(name))
            if shown and name not in COUNTERS and np.isfinite(self[name]).any():
                panels.setdefault(measured, []).append(name)
        return panels

    def _changes(self, name: str) -> bool:
        """Whether a measurement differs from epoch to epoch; of one epoch, all count."""
        return len(self.rows) < 2 or len({row.get(name) for row in self.rows}) > 1


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
