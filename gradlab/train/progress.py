"""Live progress in a terminal, a notebook or a log file."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from gradlab.train.callbacks import Callback

if TYPE_CHECKING:
    from gradlab.train.record import Record
    from gradlab.train.training import Training

LINE_SECONDS = 5.0
"""Where the screen cannot be redrawn, a line is printed this often, and at the end."""


class LiveProgress(Callback):
    """A bar with the latest measurements; plain lines where output is not a terminal."""

    def __getstate__(self) -> dict[str, Any]:
        return {}  # the display is opened anew where it starts

    def on_start(self, training: Training) -> None:
        """Open the display."""
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._bar: Any = None
        self._unprinted = ""
        self._printed = -LINE_SECONDS
        if _redraws(self._console):
            self._bar = _bar(self._console)
            unit, _, total = training.progress
            self._task = self._bar.add_task(
                "", total=total, unit=unit, done=0, shown="starting", planned=total
            )
            self._show(training)
            self._bar.start()

    def on_advance(self, training: Training, record: Record) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._show(training)

    def on_epoch(self, training: Training, row: Mapping[str, Any]) -> None:
        """Show the epoch's measurements."""
        if self._bar is not None:
            self._show(training)
            return
        unit, done, total = training.progress
        width = len(str(total))
        self._unprinted = f"{unit} {done:>{width}.6g}/{total}  {_text(row)}"
        if time.monotonic() - self._printed >= LINE_SECONDS:
            self._print()

    def on_end(self, training: Training) -> None:
        """Close the display, after the last epoch's measurements."""
        if self._bar is not None:
            self._bar.stop()
        elif self._unprinted:
            self._print()

    def _show(self, training: Training) -> None:
        rows = training.history.rows
        _, done, _ = training.progress
        self._bar.update(
            self._task,
            completed=done,
            done=int(done),
            **({"shown": _text(rows[-1])} if rows else {}),
        )

    def _print(self) -> None:
        self._console.print(self._unprinted, markup=False)
        self._unprinted, self._printed = "", time.monotonic()


@contextmanager
def waiting(what: str, shown: bool = True) -> Iterator[None]:
    """A line that moves while something takes its time, where the screen can be redrawn."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    with console.status(what) if shown and _redraws(console) else nullcontext():
        yield


def _redraws(console: Any) -> bool:
    """Whether what was printed can be replaced: in a notebook that takes the extra ``notebook``."""
    if console.is_jupyter:
        return find_spec("ipywidgets") is not None
    return bool(console.is_terminal and not console.is_dumb_terminal)


def _bar(console: Any) -> Any:
    """The parts of the bar, in order."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.fields[unit]} {task.fields[done]}/{task.fields[planned]}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[shown]}"),
        TimeRemainingColumn(compact=True),
        console=console,
    )


def _text(row: Mapping[str, Any]) -> str:
    """The measurements that matter, short."""
    parts = [f"loss {row['loss']:.4f}"]
    for name, value in row.items():
        if name.startswith("validation_"):
            label = name.removeprefix("validation_").replace("loss", "val")
            parts.append(f"{label} {value:.4f}")
    return "  ".join(parts)
