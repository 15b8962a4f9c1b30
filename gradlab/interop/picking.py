"""A key of the rows ``index`` and ``index_add`` as steps that other libraries know too."""

from __future__ import annotations

from dataclasses import dataclass

from gradlab.graph.indexing import ADD_AXIS, DOTS, Key

Slice = tuple[int | None, int | None, int | None]


@dataclass(frozen=True)
class Picking:
    """What indexing does to an array, in this order.

    Attributes:
        slices: (start, stop, step) by axis, of the axes that are cut.
        picked: axes of which elements are picked.
        by: for each of them a number, or the position of its index array.
        order: the axes (of the picked elements, then those not picked), permuted.
        new: where axes of length one are put into the result.
    """

    slices: dict[int, Slice]
    picked: tuple[int, ...]
    by: tuple[int | str, ...]
    kept: tuple[int, ...]
    order: tuple[int, ...]
    new: tuple[int, ...]


def picking(key: Key, ndim: int, picks: int) -> Picking:
    """The steps of a key.

    Args:
        key: as the rows have it, see ``gradlab.graph.indexing``.
        ndim: number of axes of what is indexed.
        picks: number of axes of the index arrays, broadcast against one another.

    >>> picking(("array", (0, 2, None), 1), 4, 2)
    Picking(slices={1: (0, 2, None)}, picked=(0, 2), by=('array', 1), kept=(1, 3), \
order=(0, 1, 2, 3), new=())
    """
    slices: dict[int, Slice] = {}
    picked: list[tuple[int, int | str]] = []
    kept: list[int] = []
    layout: list[str] = []  # "picked", "kept", "new" or "dots", in the order of the key
    axis = 0
    for part in key:
        if part in (ADD_AXIS, DOTS):
            layout.append("new" if part == ADD_AXIS else "dots")
            continue
        if isinstance(part, tuple):
            if part != (None, None, None):
                slices[axis] = part
            kept.append(axis)
        else:
            picked.append((axis, part))
        layout.append("kept" if isinstance(part, tuple) else "picked")
        axis += 1
    kept += range(axis, ndim)
    # NumPy puts the axes of picked elements where they were picked from if that is one place,
    # else in front; without an index array they have no axes, and stand nowhere.
    first = layout.index("picked") if picked else 0
    together = layout[first : first + len(picked)] == ["picked"] * len(picked)
    before = layout[: first if together else 0]
    place = before.count("kept")
    order = (*range(picks, picks + place), *range(picks), *range(picks + place, picks + len(kept)))
    new, at = [], 0
    for number, part in enumerate(layout):
        if number == len(before):
            at += picks
        if part == "new":
            new.append(at)
        at += part in ("kept", "new")
    return Picking(
        slices,
        tuple(axis for axis, _ in picked),
        tuple(by for _, by in picked),
        tuple(kept),
        order,
        tuple(new),
    )
