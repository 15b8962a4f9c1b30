"""Schedules from text and tables, where the parts of a schedule may be text too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from numbers import Real
from typing import Any

from gradlab.errors import ArgumentError
from gradlab.schedule.base import Schedule
from gradlab.schedule.batch import Reciprocal
from gradlab.schedule.compose import Sequence, Warmup, turns
from gradlab.schedule.rows import schedules

Spec = str | Mapping[str, Any] | Schedule


def build(spec: Spec, epochs: float | None = None) -> Schedule:
    """Make a schedule from text, a table, or a schedule (which comes back as it is).

    ``epochs`` is the length of the training: it is the horizon T of each schedule that has one
    and does not name it. Schedules inside ``warmup``, ``sequence`` and ``reciprocal`` are
    specs too, and their horizon is the part of the training that is theirs.

    Raises:
        ArgumentError: text that cannot be read, an unknown name, or an argument out of range.

    >>> build("cosine", epochs=30)
    Cosine(epochs=30, final=0.0)
    >>> build("warmup(over=3, then='linear')", epochs=30)
    Warmup(over=3, then=Linear(epochs=27, final=0.0), start=0.0)
    """
    if isinstance(spec, Schedule):
        return spec
    if not isinstance(spec, str | Mapping):
        raise ArgumentError(f"schedule is {spec!r}; give text, a table or a Schedule")
    context = {} if epochs is None else {"epochs": epochs}
    schedule: Schedule = schedules.build(spec, **context)
    return schedule


@schedules.register(
    "warmup",
    formula="(s + (1−s)·t/w) · f(0) until w, then f(t − w)",
    paper="Goyal et al., Accurate, Large Minibatch SGD, 2017, section 2.2",
)
def warmup(
    over: float, then: Spec = "constant", start: float = 0.0, epochs: float | None = None
) -> Schedule:
    """A linear ramp, then another schedule over the rest of the training's epochs.

    >>> warmup(over=3, then="cosine", epochs=30)
    Warmup(over=3, then=Cosine(epochs=27, final=0.0), start=0.0)
    """
    ramp = Warmup(over, start=start)
    return Warmup(ramp.over, build(then, _rest("warmup", epochs, ramp.over)), ramp.start)


@schedules.register(
    "sequence",
    formula="fᵢ(t − mᵢ) for mᵢ ≤ t < mᵢ₊₁",
    paper="Xing et al., A Walk with SGD, 2018 (trapezoid)",
)
def sequence(
    schedules: Iterable[Spec], milestones: Iterable[float], epochs: float | None = None
) -> Schedule:
    """Schedules one after another, the last over the rest of the training's epochs.

    >>> sequence(["constant", "linear"], milestones=[20], epochs=30)
    Sequence(schedules=(Constant(value=1.0), Linear(epochs=10, final=0.0)), milestones=(20,))
    """
    if not isinstance(schedules, list | tuple):
        raise ArgumentError(f"sequence: schedules is {schedules!r}; give a list of schedules")
    ends = turns(len(schedules), milestones)
    begins = (0, *ends)
    lengths: list[float | None] = [end - begin for begin, end in pairwise(begins)]
    lengths.append(_rest("sequence", epochs, begins[-1]))
    return Sequence(tuple(map(build, schedules, lengths)), ends)


@schedules.register(
    "reciprocal", formula="min(1 / f(t), L)", paper="Smith et al., ICLR 2018, section 5"
)
def reciprocal(schedule: Spec, limit: float | None = None, epochs: float | None = None) -> Schedule:
    """The batch's growth that stands in for a learning rate's decay.

    >>> reciprocal("cosine", limit=16, epochs=30)
    Reciprocal(schedule=Cosine(epochs=30, final=0.0), limit=16)
    """
    return Reciprocal(build(schedule, epochs), limit)


def _rest(name: str, epochs: float | None, begin: float) -> float | None:
    """Epochs of the training that are left for a part that begins late."""
    if epochs is None:
        return None
    if not (isinstance(epochs, Real) and epochs > begin):
        raise ArgumentError(
            f"{name}: its last part begins at epoch {begin:g}; give more epochs than that, "
            f"not {epochs!r}, or begin it earlier"
        )
    return epochs - begin
