"""The commands; each reads its words, calls the library and prints."""

from __future__ import annotations

import sys
from typing import Any

import typer
from rich.console import Console
from rich.text import Text

from gradlab.cli.exporting import export
from gradlab.cli.listing import list_rows
from gradlab.cli.prediction import predict
from gradlab.cli.sampling import sample
from gradlab.cli.schedules import schedules_app
from gradlab.cli.selecting import select_weights
from gradlab.cli.showing import show
from gradlab.cli.studies import studies_app
from gradlab.cli.training import train
from gradlab.errors import GradlabError

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130

USAGE_ERROR: Any = typer.BadParameter.__base__
"""What every wrong use of the command line is, wherever typer keeps it."""

app = typer.Typer(
    name="gradlab",
    help="A training laboratory for neural networks: train, look, compare.",
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(train)
app.command()(predict)
app.command()(sample)
app.command("list")(list_rows)
app.command()(show)
app.command()(export)
app.command("select-weights")(select_weights)
app.add_typer(schedules_app, name="schedules")
app.add_typer(studies_app, name="studies")


def main() -> None:
    """Run the command line; bad input ends with one clear line and exit status 2."""
    try:
        words = sys.argv[1:] or ["--help"]
        sys.exit(app(words, prog_name="gradlab", standalone_mode=False))
    except USAGE_ERROR as error:
        where = f"; see {error.ctx.command_path} --help" if error.ctx else ""
        fail(error.format_message().removesuffix(".") + where)
    except GradlabError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.strerror or error}" + (f": {error.filename}" if error.filename else ""))
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(EXIT_INTERRUPTED)


def fail(reason: str) -> None:
    """Say in one line what is wrong, and end."""
    line = Text.assemble(("error: ", "bold red"), " ".join(reason.split()))
    Console(stderr=True, soft_wrap=True, highlight=False).print(line)
    sys.exit(EXIT_BAD_INPUT)
