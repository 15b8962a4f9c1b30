"""``gradlab show``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def show(
    run: Annotated[Path, typer.Argument(help="A run folder.", show_default=False)],
) -> None:
    """Show a run: its settings, its history and how good it became.

    gradlab show runs/digits-001
    """
    from gradlab.train import Config, RunFolder
    from gradlab.train.run import CONFIG, RESULT

    console = Console(highlight=False, soft_wrap=True)
    folder = RunFolder(run)
    config = Config.of(folder.read(CONFIG)["settings"])
    for name, value in vars(config).items():
        if value not in (None, ()):
            console.print(f"{name:>14}  {value}", markup=False)
    history, finished = folder.history()
    console.print()
    if history.rows:
        console.print(history.table(every=max(1, len(history.rows) // 15)), markup=False)
    if not finished:
        console.print(f"\nnot finished: go on with gradlab train --resume {run}", markup=False)
        return
    console.print()
    for role, scores in folder.read(RESULT)["scores"].items():
        shown = ", ".join(f"{name} {value:.4f}" for name, value in scores.items())
        console.print(f"{role:>14}  {shown}")
    console.print(f"{'curves':>14}  {run / 'curves.png'}", markup=False)
