"""``gradlab studies``."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table as Grid
from rich.text import Text

from gradlab.errors import ArgumentError

if TYPE_CHECKING:
    from gradlab.studies import Report

studies_app = typer.Typer(help="Put claims about training to the test.")
STYLES = {"for": "bold green", "against": "bold red", "undecided": "bold yellow"}
LINE_SECONDS = 10.0
"""Where the screen cannot be redrawn, a line is printed this often."""


@studies_app.callback()
def studies() -> None:
    """Put claims about training to the test."""


@studies_app.command("list")
def list_studies() -> None:
    """List the studies, with claim and source.

    gradlab studies list
    """
    from gradlab.studies import studies

    console = Console(highlight=False)
    for name, row in studies.items():
        console.print(Text(name, style="bold"))
        for line in (row.factory().claim, row.paper):
            console.print(Padding(Text(line), (0, 0, 0, 4)))


@studies_app.command()
def run(
    names: Annotated[
        list[str] | None, typer.Argument(help="Studies; all of them if none is named.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A smaller version, for a first look.")
    ] = False,
    seeds: Annotated[int, typer.Option(help="How often each training is repeated.")] = 5,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder to write pages and figures into.", show_default="none"),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Folder of datasets.", show_default="$GRADLAB_DATA, or the user's cache"),
    ] = None,
) -> None:
    """Carry out studies, and print each verdict with its statistics.

    gradlab studies run --quick
    gradlab studies run deep_relu --out pages
    """
    from gradlab.studies import Plan, carry_out, studies, write_index, write_page

    chosen = list(dict.fromkeys(names or studies))
    # What is wrong is told before anything is trained.
    plan = Plan(quick, seeds, data_dir)
    prepared = [studies[name].factory() for name in chosen]
    if out is not None:
        _check_folder(out)
    for study in prepared:
        study.prepare(plan)
    console = Console(highlight=False)
    reports = []
    for name in chosen:
        start = time.perf_counter()
        with progress_of(name) as progress:
            report = carry_out(name, replace(plan, progress=progress))
        reports.append(report)
        print_report(report, console)
        if out is not None:
            console.print(f"page {write_page(report, out)}", markup=False, soft_wrap=True)
        console.print(f"{time.perf_counter() - start:.0f} s\n", style="dim")
    if out is not None:
        console.print(f"index {write_index(out)}\n", markup=False, soft_wrap=True)
    if len(reports) > 1:
        width = max(len(report.row.name) for report in reports)
        for report in reports:
            answer = report.findings.verdict.answer
            console.print(Text(f"{report.row.name:<{width}} "), Text(answer, STYLES[answer]))


def print_report(report: Report, console: Console) -> None:
    """Print a verdict, the statistics of each part of it, and the tables."""
    verdict = report.findings.verdict
    console.print(
        Text(f"{report.row.name}: "), Text(verdict.answer, STYLES[verdict.answer]), sep=""
    )
    console.print(Padding(Text(report.study.claim, style="dim"), (0, 0, 0, 4)))
    for part in report.findings.parts:
        console.print(Padding(Text(f"{part.answer}: {part.sentence}"), (0, 0, 0, 4)))
    for table in report.findings.tables:
        grid = Grid(title=table.title, title_justify="left", box=None, title_style="italic")
        for number, column in enumerate(table.columns):
            grid.add_column(column, justify="right" if number else "left")
        for row in table.rows:
            grid.add_row(*map(str, row))
        console.print(Padding(grid, (0, 0, 0, 4)))


@contextmanager
def progress_of(name: str) -> Iterator[Callable[[float, str], None]]:
    """A bar; a line now and then where the screen cannot be redrawn."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if not console.is_terminal or console.is_dumb_terminal:
        last = time.monotonic()

        def say(share: float, doing: str) -> None:
            nonlocal last
            if time.monotonic() - last >= LINE_SECONDS:
                last = time.monotonic()
                console.print(f"{name} {share:4.0%}  {doing}", markup=False)

        yield say
        return
    columns = (
        TextColumn(name),
        BarColumn(bar_width=24),
        TextColumn("{task.description}", markup=False),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=1.0)
        yield lambda share, doing: bar.update(task, completed=share, description=doing)


def _check_folder(out: Path) -> None:
    """Make the folder, so that no training is in vain."""
    if out.exists() and not out.is_dir():
        raise ArgumentError(f"--out is {str(out)!r}, a file; name a folder")
    out.mkdir(parents=True, exist_ok=True)
    if not os.access(out, os.W_OK):
        raise ArgumentError(f"--out is {str(out)!r}, where nothing can be written; name another")
