"""``gradlab list``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from gradlab.registry import Registry


class Kind(StrEnum):
    """What can be listed."""

    models = "models"
    optimizers = "optimizers"
    schedules = "schedules"
    initializers = "initializers"
    activations = "activations"
    losses = "losses"
    metrics = "metrics"
    augmentations = "augmentations"
    data = "data"


def registry(kind: Kind) -> Registry:
    """The rows of a kind."""
    from gradlab import data, init, nn, optim, schedule, train

    return {
        Kind.models: nn.models.models,
        Kind.optimizers: optim.optimizers,
        Kind.schedules: schedule.schedules,
        Kind.initializers: init.initializers,
        Kind.activations: nn.activations,
        Kind.losses: nn.losses,
        Kind.metrics: train.metrics,
        Kind.augmentations: train.augmentations,
        Kind.data: data.datasets,
    }[kind]


def list_rows(
    kind: Annotated[Kind, typer.Argument(help="What to list.", show_default=False)],
) -> None:
    """List what can be asked for by name, with formula, parameters and source.

    gradlab list optimizers
    """
    console = Console(highlight=False)
    for name, info in registry(kind).items():
        parameters = ", ".join(
            key if p.default is p.empty else f"{key}={p.default!r}"
            for key, p in info.parameters.items()
        )
        console.print(Text(name, style="bold"), Text(parameters, style="dim"))
        for line in (info.formula, info.summary, info.paper):
            if line:
                console.print(Padding(Text(line), (0, 0, 0, 4)))
