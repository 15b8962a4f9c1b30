"""History: what a training measured, epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gradlab.errors import ArgumentError, one_of
from gradlab.graph.dtypes import Array
from gradlab.train.files import replacing, write_json

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe & Ito's colours, which people with any colour vision can tell apart."""

VALIDATION = "validation_"
COUNTERS = ("epoch", "update", "seconds")


class History(Mapping[str, Array]):
    """Measurements by name, one value for each epoch.

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

    def __repr__(self) -> str:
        return f"History({len(self.rows)} epochs: {', '.join(self._names())})"

    def best(self, name: str = "validation_loss", mode: str = "min") -> int:
        """Position of the best epoch by a measurement (the first at a tie).

        Args:
            name: which measurement.
            mode: "min" or "max".

        Raises:
            ArgumentError: another mode, or a measurement that is NaN throughout.
        """
        if mode not in ("min", "max"):
            raise ArgumentError(f"mode is 'min' or 'max', got {mode!r}")
        values = self[name] if mode == "min" else -self[name]
        if np.isnan(values).all():
            raise ArgumentError(f"{name} is NaN in every epoch")
        return int(np.nanargmin(values))

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
            ArgumentError: there is nothing to draw.
        """
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator

        if not self.rows:
            raise ArgumentError("there is no epoch to draw")
        panels = self._panels()
        figure = Figure(figsize=(4.2 * len(panels), 3.4), layout="constrained")
        FigureCanvasAgg(figure)
        drawn = np.atleast_1d(figure.subplots(1, len(panels)))
        for axes, names in zip(drawn, panels, strict=True):
            for i, name in enumerate(names):
                axes.plot(
                    self["epoch"],
                    self[name],
                    color=PALETTE[i % len(PALETTE)],
                    linestyle=("-", "--")[i % 2],
                    marker="o" if len(self.rows) == 1 else "",
                    label=name.replace("_", " ") if name.startswith(VALIDATION) else "training",
                )
            if names[0] == "loss" and np.nanmin([self[name] for name in names]) > 0:
                axes.set_yscale("log")
            axes.set_xlabel("epoch")
            axes.set_title("learning rate" if names == ["lr"] else names[0].replace("_", " "))
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(alpha=0.3)
            if len(names) > 1:
                axes.legend(frameon=False)
        if title:
            figure.suptitle(title)
        with replacing(Path(path)) as temporary:
            figure.savefig(temporary, dpi=120)

    def _panels(self) -> list[list[str]]:
        """What is drawn, training and validation of one measurement together."""
        panels: dict[str, list[str]] = {}
        for name in self._names():
            measured = name.removeprefix(VALIDATION)
            shown = measured != name or name in ("loss", "lr") or self._changes(name)
            if shown and name not in COUNTERS and np.isfinite(self[name]).any():
                panels.setdefault(measured, []).append(name)
        return list(panels.values())

    def _changes(self, name: str) -> bool:
        """Whether a measurement differs from epoch to epoch; of one epoch, all count."""
        return len(self.rows) < 2 or len({row.get(name) for row in self.rows}) > 1


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
