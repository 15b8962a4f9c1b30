"""What came of a training, as text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from gradlab.train import Outcome


def report(outcome: Outcome, folder: Path) -> None:
    """Print what came of a training."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(outcome.dataset, markup=False)
    whole = all(float(epoch or 0).is_integer() for epoch in (outcome.epochs, outcome.best_epoch))
    unit, done, best = (
        ("epoch", outcome.epochs, outcome.best_epoch)
        if whole
        else ("update", outcome.updates, outcome.best_update)
    )
    kept = f", weights of {unit} {best} kept" if best else ""
    console.print(f"{outcome.parameters:,} parameters, {done} {unit}{'s' * (done > 1)}{kept}")
    for role, scores in outcome.scores.items():
        style = "bold" if role == "test" else None
        console.print(f"{role:>10}  {shown(scores)}", style=style, markup=False)
    console.print(f"run folder {folder}", markup=False)


def shown(scores: Mapping[str, float | None]) -> str:
    """Scores by name, in one line."""
    return ", ".join(f"{name} {_value(name, value)}" for name, value in scores.items())


def _value(name: str, value: float | None) -> str:
    if value is None:
        return "not finite"
    return f"{100 * value:.2f} %" if name == "accuracy" else f"{value:.4f}"
