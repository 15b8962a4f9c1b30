from dataclasses import dataclass

import numpy as np
import pytest

from gradlab.studies import Findings, Picture, Plan, Study, Table, Verdict, mean, studies
from gradlab.studies.figure import curves


@dataclass(frozen=True)
class Coin(Study):
    """Tosses a coin."""

    title = "Coins"
    claim = "A coin shows heads half of the time."
    criterion = "for, if the interval holds 0.5."

    def setup(self, plan):
        return ("A coin.", f"{plan.seeds} seeds.")

    def run(self, plan):
        plan.progress(0.5, "tossing")
        tosses = np.array([np.random.default_rng(s).random(50) < 0.5 for s in range(plan.seeds)])
        share = mean(tosses.mean(axis=1))
        running = np.cumsum(tosses, axis=1) / np.arange(1, 51)

        def draw(figure):
            axes = figure.subplots()
            curves(axes, np.arange(50), {"heads": running, "tails": 1 - running})

        return Findings(
            (Verdict("undecided", f"Heads in {share} of the tosses."),),
            (Table("Tosses", ("side", "share"), (("heads", share),)),),
            (Picture("share", "Share of heads.", draw),),
        )


@pytest.fixture
def coin():
    """A study that takes no time, among the others for the length of a test."""
    studies.register("coin", formula="p = ½", paper="Bernoulli, 1713")(Coin)
    yield "coin"
    del studies._rows["coin"]


@pytest.fixture
def quick():
    return Plan(quick=True, seeds=2)
