"""``gradlab sample``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def sample(
    run: Annotated[Path, typer.Argument(help="Run folder of a text.", show_default=False)],
    length: Annotated[int, typer.Option(help="Characters to write.")] = 500,
    temperature: Annotated[
        float, typer.Option(help="Below 1 more certain, above 1 wilder; 0 takes the likeliest.")
    ] = 1.0,
    prompt: Annotated[
        str | None, typer.Option(help="What it goes on from.", show_default="a new line")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
) -> None:
    """Let a network that was trained on text write.

    gradlab sample runs/text-001 --length 300 --temperature 0.8 --prompt "ROMEO:"
    """
    from gradlab.train import sample as write

    text = write(run, length, temperature=temperature, prompt=prompt, seed=seed)
    typer.echo((prompt or "") + text)
