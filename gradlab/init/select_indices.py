"""Which of t layers, units or heads of a teacher make the s of a student."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from gradlab.graph.dtypes import Array
from gradlab.seeding import stream

Elements = Literal["uniform", "consecutive", "random"]
Layers = Literal["first", "last", "uniform"]
ELEMENTS, LAYERS = get_args(Elements), get_args(Layers)


def evenly(t: int, s: int) -> Array:
    """s of t numbers, evenly spaced: i·t/s if s divides t, else round(i·(t − 1)/(s − 1)).

    >>> evenly(6, 3), evenly(5, 3)
    (array([0, 2, 4]), array([0, 2, 4]))
    """
    if s == 0 or t % s == 0:
        return np.arange(s) * (t // max(s, 1))
    return np.linspace(0, t - 1, s).round().astype(int)


def chosen_elements(policy: Elements, t: int, s: int, seed: int) -> Array:
    """s of the t indices of an axis, in their order; the same for every axis of these sizes."""
    if policy == "random":
        return np.sort(stream(seed, "slct", t, s).choice(t, s, replace=False))
    return evenly(t, s) if policy == "uniform" else np.arange(s)


def chosen_layers(policy: Layers, t: int, s: int, first: bool, last: bool) -> list[int]:
    """s of t layers, in their order, s ≤ t.

    Args:
        policy: which.
        t, s: how many the teacher and the student have.
        first, last: whether the teacher's first and last are unlike those beside them, so that
            they stay at their ends.

    >>> chosen_layers("first", 6, 3, False, False), chosen_layers("first", 6, 3, True, True)
    ([0, 1, 2], [0, 1, 5])
    """
    before = int(first and s > 0)
    after = int(last and s > before)
    t, s = t - before - after, s - before - after
    middle = evenly(t, s) if policy == "uniform" else np.arange(s)
    if policy == "last":
        middle = middle + t - s
    end = before + t
    return [0] * before + [before + int(i) for i in middle] + [end] * after
