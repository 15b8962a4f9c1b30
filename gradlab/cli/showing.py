"""``gradlab show``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gradlab.cli.report import report

MOST_EPOCHS = 15
"""Lines of the history that are shown, evenly spread."""


def show(
    run: Annotated[Path, typer.Argument(help="A run folder.", show_default=False)],
) -> None:
    """Show a run: its settings, its history and how good it became.

    gradlab show runs/digits-001
    """
    from gradlab.train import RunFolder

    console = Console(highlight=False, soft_wrap=True)
    folder = RunFolder(run)
    config, _ = folder.config()
    for name, value in vars(config).items():
        if value not in (None, ()):
            text = ",".join(map(str, value)) if isinstance(value, tuple) else value
            console.print(f"{name:>14}  {text}", markup=False)
    console.print()
    history = folder.history()
    if history.rows:
        every = max(1, -(-len(history.rows) // MOST_EPOCHS))
        console.print(history.table(every), markup=False)
        console.print()
    if folder.finished:
        report(folder.outcome(), run)
    else:
        unit, planned = ("update", config.updates) if config.updates else ("epoch", config.epochs)
        done = history.rows[-1][unit] if history.rows else 0
        console.print(
            f"{done:g} of {planned} {unit}s done; go on with: gradlab train --resume {run}",
            markup=False,
        )
