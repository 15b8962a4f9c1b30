"""What an estimator's settings say about the way down: the optimizer, its schedule, batch sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gradlab.errors import ArgumentError
from gradlab.optim import Adam, Momentum, Nesterov, Optimizer, optimizers
from gradlab.optim.base import Slots, Values, X
from gradlab.schedule import build


@dataclass(frozen=True)
class EarlyEpsilonAdam(Adam):
    """Adam as scikit-learn has it: ε is added before the correction of bias.

    θ ← θ − η √(1 − β₂ᵗ) / (1 − β₁ᵗ) · s / (ε + √r)

    Source: Kingma and Ba, Adam, ICLR 2015, end of section 2, where this ε is written ε̂.

    >>> EarlyEpsilonAdam().hyperparameters(0)
    {'lr': 0.001, 'beta1': 0.9, 'beta2': 0.999, 'eps': 1e-08}
    """

    def rule(self, θ: X, g: X, slots: Slots, h: Values, t: Any) -> tuple[X, Slots]:
        """The equations for one weight: Adam's, with ε as it is after the correction."""
        later = h["eps"] / (1 - h["beta2"] ** t) ** 0.5
        return super().rule(θ, g, slots, {**h, "eps": later}, t)


def make_optimizer(settings: Any) -> Optimizer:
    """The optimizer of an estimator: its own, or that of its solver, with its rate scheduled.

    Raises:
        ArgumentError: an unknown optimizer or schedule, or settings out of range.
    """
    chosen = settings.optimizer
    if isinstance(chosen, str):
        chosen = optimizers.build(chosen)
    if chosen is None and settings.solver == "adam":
        chosen = EarlyEpsilonAdam(
            settings.learning_rate_init, settings.beta_1, settings.beta_2, settings.epsilon
        )
    elif chosen is None:
        lr, momentum = settings.learning_rate_init, settings.momentum
        nesterov = settings.nesterovs_momentum
        chosen = Nesterov(lr, momentum, form="keras") if nesterov else Momentum(lr, momentum)
    if not isinstance(chosen, Optimizer):
        raise ArgumentError(
            f"optimizer is {chosen!r}; give one of gradlab.optim, or a text such as 'adamw(lr=0.1)'"
        )
    if settings.schedule is None:
        return chosen
    schedule = settings.schedule
    if isinstance(schedule, str):
        schedule = build(schedule, epochs=settings.max_iter)
    if not callable(schedule) or isinstance(schedule, type):
        raise ArgumentError(
            f"schedule is {schedule!r}; give one of gradlab.schedule, or a text such as 'cosine'"
        )
    return chosen.with_lr(
        lambda base: lambda t: (base(t) if callable(base) else base) * schedule(t)
    )
