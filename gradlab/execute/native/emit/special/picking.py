"""What a key of an index picks, as sums of strides: NumPy's rules for slices and index arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gradlab.execute.native.layout import Layout
from gradlab.graph.indexing import ADD_AXIS, DOTS, TAKE, Key, unpacked
from gradlab.graph.op import Shape
from gradlab.graph.tensor import broadcast_shapes


@dataclass(frozen=True)
class Take:
    """An axis whose positions an index array gives."""

    length: int
    """Of the axis."""
    stride: int
    """Of the axis."""
    layout: Layout
    """Of the index array, as if it had all axes of the result."""


@dataclass(frozen=True)
class Picking:
    """Element i of the result lies at layout(i) + Σ position · stride over the taken axes."""

    layout: Layout
    """Of the result; the axes of the index arrays have stride 0."""
    takes: tuple[Take, ...]
    ready: int
    """As many leading axes of the result tell the positions along all taken axes."""
    sources: tuple[int | None, ...]
    """Which axis of the indexed tensor each axis of the result runs along."""

    @staticmethod
    def of(key: Key, x: Layout, arrays: Sequence[Layout]) -> Picking:
        """What a key picks of a tensor."""
        view = x.indexed(unpacked(key, (slice(None),) * len(arrays)))
        sources, taken = _axes(key, len(x.shape))
        kept = [a for a in range(len(view.shape)) if a not in taken]
        common = broadcast_shapes(*(array.shape for array in arrays)) if arrays else ()
        front = _front(key)

        def woven(values: Sequence[Any], picked: Sequence[Any]) -> tuple[Any, ...]:
            own = [values[a] for a in kept]
            return (*own[:front], *picked, *own[front:])

        shape: Shape = woven(view.shape, common)
        nothing = [0] * len(view.shape)
        takes = []
        for a, array in zip(taken, arrays, strict=True):
            wide = array.broadcast(common)
            layout = Layout(shape, woven(nothing, wide.strides), wide.offset)
            takes.append(Take(view.shape[a], view.strides[a], layout))
        return Picking(
            Layout(shape, woven(view.strides, [0] * len(common)), view.offset),
            tuple(takes),
            front + len(common) if arrays else 0,
            woven(sources, [None] * len(common)),
        )


def _axes(key: Key, ndim: int) -> tuple[list[int | None], list[int]]:
    """For each axis of the view the tensor's axis, and which of the view's axes are taken."""
    sources: list[int | None] = []
    taken = []
    following = 0
    for k in key:
        if k == DOTS:
            continue
        if k == TAKE:
            taken.append(len(sources))
        if not isinstance(k, int):
            sources.append(None if k == ADD_AXIS else following)
        following += k != ADD_AXIS
    return [*sources, *range(following, ndim)], taken


def _front(key: Key) -> int:
    """Axes of the result before those of the index arrays.

    They stand where the arrays and numbers of the key stand if these are neighbours, else first.
    """
    chosen = [i for i, k in enumerate(key) if k == TAKE or isinstance(k, int)]
    if not chosen or chosen[-1] - chosen[0] >= len(chosen):
        return 0
    return sum(isinstance(k, tuple) or k == ADD_AXIS for k in key[: chosen[0]])
