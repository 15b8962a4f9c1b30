"""Live progress in a terminal, a notebook or a log file."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gradlab.train.callbacks import Callback

if TYPE_CHECKING:
    from gradlab.train.fit import Training
    from gradlab.train.trainer import Record

SHOWN = ("loss", "validation_loss", "validation_accuracy", "validation_r2", "lr")
LINE_SECONDS = 5.0
"""Where the screen cannot be redrawn, a line is printed this often, and at the end."""


class LiveProgress(Callback):
    """A bar with the latest measurements; plain lines where output is not a terminal."""

    def on_start(self, training: Training) -> None:
        """Open the display."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._console = Console(stderr=True)
        self._printed = time.monotonic()
        self._bar: Any = None
        if self._console.is_terminal or self._console.is_jupyter:
            self._bar = Progress(
                TextColumn("epoch {task.fields[epoch]:>3}/{task.fields[epochs]}"),
                BarColumn(bar_width=24),
                TextColumn("{task.fields[shown]}"),
                TimeRemainingColumn(),
                console=self._console,
            )
            done = len(training.history.rows)
            self._task = self._bar.add_task(
                "", total=training.epochs, completed=done, epoch=done, epochs=training.epochs,
                shown="",
            )  # fmt: skip
            self._bar.start()

    def on_advance(self, training: Training, record: Record) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.update(
                self._task,
                completed=training.trainer.epoch,
                epoch=len(training.history.rows) + 1,
                shown=_text(training.history.rows[-1])
                if training.history.rows
                else f"loss {record.mean_loss:.4f}",
            )

    def on_epoch(self, training: Training, row: Mapping[str, Any]) -> None:
        """Show the epoch's measurements."""
        if self._bar is not None:
            self._bar.update(
                self._task, completed=row["epoch"], epoch=row["epoch"], shown=_text(row)
            )
        elif self._due(training, row):
            self._printed = time.monotonic()
            self._console.print(
                f"epoch {row['epoch']:>3}/{training.epochs}  {_text(row)}", highlight=False
            )

    def _due(self, training: Training, row: Mapping[str, Any]) -> bool:
        """The first and the last epoch, and one every few seconds."""
        return (
            row["epoch"] in (1, training.epochs) or time.monotonic() - self._printed >= LINE_SECONDS
        )

    def on_end(self, training: Training) -> None:
        """Close the display."""
        if self._bar is not None:
            self._bar.stop()


def _text(row: Mapping[str, Any]) -> str:
    """The measurements that matter, short."""
    parts = []
    for name in SHOWN:
        if row.get(name) is not None:
            label = name.replace("validation_", "val ")
            value = f"{row[name]:.2e}" if name == "lr" else f"{row[name]:.4f}"
            parts.append(f"{label} {value}")
    return "  ".join(parts)
