"""``gradlab schedules``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gradlab.cli.target import check_target

schedules_app = typer.Typer(help="Look at schedules before training with them.")


@schedules_app.callback()
def schedules() -> None:
    """Look at schedules before training with them."""


@schedules_app.command()
def plot(
    names: Annotated[
        list[str],
        typer.Argument(help="Schedules, as name or name(key=value).", show_default=False),
    ],
    epochs: Annotated[float, typer.Option(help="Length of the training.")] = 30,
    out: Annotated[Path, typer.Option(help="PNG or SVG file to write.")] = Path("schedules.png"),
) -> None:
    """Draw schedules side by side.

    gradlab schedules plot cosine "step(every=10)" "warmup(over=3, then='cosine')"
    """
    from gradlab.schedule import build, plot

    check_target("out", out)
    path = plot({name: build(name, epochs=epochs) for name in names}, epochs, out)
    typer.echo(f"drawn: {path}")
