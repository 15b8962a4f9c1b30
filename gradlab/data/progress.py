"""A bar on the terminal for what takes more than a second."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Self

PATIENCE = 1.0
"""Seconds without a bar."""


class Progress:
    """Counts what is done of a total; on a terminal it shows a bar, from the first second on.

    >>> with Progress("reading", total=2) as progress:
    ...     progress.advance(2)
    """

    def __init__(self, label: str, total: int | None, *, bytes: bool = False) -> None:  # noqa: A002
        self._label, self._total, self._bytes = label, total, bytes
        self._start = time.monotonic()
        self._done = 0
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Self:
        return self

    def advance(self, count: int) -> None:
        """So much more is done."""
        self._done += count
        if self._bar is None and time.monotonic() - self._start >= PATIENCE:
            self._bar = _bar(self._bytes)
            self._task = self._bar.add_task(self._label, total=self._total)
            self._bar.start()
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()


def _bar(bytes: bool) -> Any:  # noqa: A002
    """The parts of the bar, in order; nothing where the screen cannot be redrawn."""
    from rich import progress
    from rich.console import Console

    counted = (
        (progress.DownloadColumn(), progress.TransferSpeedColumn())
        if bytes
        else (progress.MofNCompleteColumn(),)
    )
    console = Console(stderr=True)
    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(bar_width=24),
        *counted,
        progress.TimeRemainingColumn(compact=True),
        console=console,
        disable=not console.is_terminal or console.is_dumb_terminal,
        transient=True,
    )
