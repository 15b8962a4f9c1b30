"""Loop nests with as few axes as their layouts allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gradlab.execute.native.layout import Layout
from gradlab.graph.op import Shape


@dataclass(frozen=True)
class Loops:
    """Lengths of the loops, outermost first, and each layout's strides along them.

    ``unit`` outer positions belong to one position of the first axis longer than one: where an
    outer loop of several axes made into one is divided among threads, it is between these.
    """

    lengths: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]
    unit: int


def collapse(shape: Shape, layouts: Sequence[Layout]) -> Loops:
    """Axes that follow one another in every layout made into one; those of length 1 left out.

    >>> rows, column = Layout.contiguous((4, 2, 3)), Layout((4, 2, 3), (0, 3, 1))
    >>> collapse((4, 2, 3), [rows])
    Loops(lengths=(24,), strides=((1,),), unit=6)
    >>> collapse((4, 2, 3), [rows, column])
    Loops(lengths=(4, 6), strides=((6, 1), (0, 1)), unit=1)
    """
    axes = [i for i, n in enumerate(shape) if n != 1]
    merged: list[list[int]] = []
    for axis in axes:
        if merged and all(
            x.strides[merged[-1][-1]] == x.strides[axis] * shape[axis] for x in layouts
        ):
            merged[-1].append(axis)
        else:
            merged.append([axis])
    if not merged:
        return Loops((1,), tuple((0,) for _ in layouts), 1)
    lengths = []
    for group in merged:
        length = 1
        for axis in group:
            length *= shape[axis]
        lengths.append(length)
    first = shape[merged[0][0]]
    return Loops(
        tuple(lengths),
        tuple(tuple(x.strides[group[-1]] for group in merged) for x in layouts),
        max(lengths[0] // first, 1) if first else 1,
    )
