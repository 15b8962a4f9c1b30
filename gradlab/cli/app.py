"""The commands; each reads its words, calls the library and prints."""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from gradlab.cli.listing import list_rows
from gradlab.cli.prediction import predict
from gradlab.cli.schedules import schedules_app
from gradlab.cli.showing import show
from gradlab.cli.training import train
from gradlab.errors import GradlabError

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="gradlab",
    help="A training laboratory for neural networks: train, look, compare.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(train)
app.command()(predict)
app.command("list")(list_rows)
app.command()(show)
app.add_typer(schedules_app, name="schedules")


def main() -> None:
    """Run the command line; bad input ends with one clear line and exit status 2."""
    try:
        app()
    except GradlabError as error:
        Console(stderr=True, soft_wrap=True).print(
            f"[bold red]error:[/] {_escaped(error)}", highlight=False
        )
        sys.exit(EXIT_BAD_INPUT)
    except KeyboardInterrupt:
        Console(stderr=True).print("stopped")
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:  # whoever read our output has seen enough
        sys.stderr.close()


def _escaped(error: GradlabError) -> str:
    from rich.markup import escape

    return escape(str(error))
