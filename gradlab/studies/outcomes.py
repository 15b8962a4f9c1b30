"""What is told of trainings from different first weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from gradlab.studies.figure import curves
from gradlab.studies.statistics import Estimate, mean, paired
from gradlab.studies.study import Picture, Table, Verdict, by_sign
from gradlab.studies.trials import Outcome, Scores, looks

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def verdict(found: Mapping[str, Outcome], chosen: str, other: str) -> Verdict:
    """For, if the chosen first weights end at a lower held-out loss than the others."""
    a, b = found[chosen], found[other]
    comparison = paired(a.last, b.last)
    return Verdict(
        by_sign(comparison, claimed=-1),
        f"After {a.updates:,} updates the held-out loss is {mean(a.last)} from {chosen} weights, "
        f"{mean(b.last)} from {other}: a difference of {comparison}.",
    )


def table(
    title: str, rows: Iterable[tuple[str, Outcome]], chosen: Outcome, name: str, other: Outcome
) -> Table:
    """Where trainings end beside the chosen one, and when they come to where another one ends."""
    return Table(
        title,
        (
            "first weights",
            "learning rate",
            "loss",
            "accuracy, %",
            "loss minus that of selected",
            f"updates to {name}'s loss",
        ),
        tuple(
            (
                label,
                f"{outcome.rate:g}",
                mean(outcome.last),
                outcome.accuracy,
                "" if outcome is chosen else repr(paired(outcome.last, chosen.last)),
                reached(outcome, other.last),
            )
            for label, outcome in rows
        ),
    )


def reached(outcome: Outcome, goals: Scores) -> Estimate | str:
    """Updates after which the loss of each seed is as low as its goal, read off the curve.

    >>> curve = np.stack([np.linspace(2.0, 1.0, len(looks(800))), np.ones(len(looks(800)))], axis=1)
    >>> both = Outcome(0.1, 800, np.stack([curve, curve]))
    >>> reached(both, np.array([1.0, 1.0])), reached(both, np.array([1.5, 0.5]))
    ('800', 'more (at 1 of 2 seeds)')
    """
    lowest = np.minimum.accumulate(outcome.losses, axis=1)
    never = int((lowest[:, -1] > goals).sum())
    if never:
        return "more" if never == len(goals) else f"more (at {never} of {len(goals)} seeds)"
    at = looks(outcome.updates)
    times = [float(np.interp(-goal, -low, at)) for low, goal in zip(lowest, goals, strict=True)]
    return mean(times) if len(set(times)) > 1 else f"{times[0]:,.0f}"


def picture(name: str, found: Mapping[str, Outcome]) -> Picture:
    """Held-out loss and accuracy by update."""
    updates = looks(next(iter(found.values())).updates)
    losses = {label: outcome.losses for label, outcome in found.items()}
    accuracies = {label: 100 * outcome.scores[:, :, 1] for label, outcome in found.items()}
    all_losses = np.concatenate(list(losses.values()))

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        curves(left, updates, losses, log=bool(all_losses.max() > 10 * all_losses.min()))
        curves(right, updates, accuracies)
        left.set(xlabel="update", ylabel="held-out loss")
        right.set(xlabel="update", ylabel="held-out accuracy, %")

    alt = f"Held-out loss and accuracy by update; first weights: {', '.join(found)}."
    return Picture(name, alt, draw)
