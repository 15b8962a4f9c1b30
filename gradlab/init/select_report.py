"""What was selected from where, as a table."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gradlab.graph.op import Shape


@dataclass(frozen=True)
class Selected:
    """A tensor that was selected.

    Attributes:
        tensor, shape: of the student.
        source, source_shape: of the teacher.
        axes: how each axis was chosen, such as "uniform 192 of 384".
    """

    tensor: str
    shape: Shape
    source: str
    source_shape: Shape
    axes: tuple[str, ...]


@dataclass(frozen=True)
class Left:
    """A tensor of the student that was left to another scheme, and why."""

    tensor: str
    shape: Shape
    reason: str


@dataclass(frozen=True)
class SelectionReport:
    """What was selected from where; its text is a table.

    Attributes:
        teacher: what it is.
        layers, elements: the policies.
        notes: which layers they gave, where the teacher has more than the student, and the like.
        selected, left: the tensors of the student.
    """

    teacher: str
    layers: str
    elements: str
    notes: tuple[str, ...]
    selected: tuple[Selected, ...]
    left: tuple[Left, ...]

    def to_json(self) -> dict[str, Any]:
        """The same as dictionaries, lists, texts and numbers."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        numbers, rest = (
            sum(math.prod(row.shape) for row in rows) for rows in (self.selected, self.left)
        )
        lines = [
            f"{len(self.selected)} of {len(self.selected) + len(self.left)} tensors, "
            f"{numbers:,} of {numbers + rest:,} numbers, selected from {self.teacher}: "
            f"layers {self.layers}, elements {self.elements}"
        ]
        lines += self.notes
        cells = [("student", "shape", "teacher", "shape", "selected")]
        cells += [
            (row.tensor, _size(row.shape), row.source, _size(row.source_shape), ", ".join(row.axes))
            for row in self.selected
        ]
        cells += [(row.tensor, _size(row.shape), "-", "", row.reason) for row in self.left]
        return "\n".join([*lines, "", *_aligned(cells)])


def _size(shape: Shape) -> str:
    return "×".join(map(str, shape)) or "1"


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
