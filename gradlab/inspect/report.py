"""An explanation as text for the terminal."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from gradlab.inspect.values import brief, counted

if TYPE_CHECKING:
    from gradlab.inspect.explanation import Explanation

PATHS = 10
NODES = 16


def report(explanation: Explanation) -> str:
    """The paths with their factors, then the landmarks with values and adjoints."""
    lines = [headline(explanation)]
    listed = list(islice(explanation.paths(), PATHS))
    for path in listed:
        first, *rest = path.lines()
        lines += [f"├─ {first}", *(f"│  {line}" for line in rest)]
    if explanation.path_count > len(listed):
        lines.append(f"├─ … and {counted(explanation.path_count - len(listed))} more")
    lines += [f"└─ total {brief(explanation.gradient)}", "", *_table(explanation)]
    return "\n".join(lines)


def headline(explanation: Explanation) -> str:
    """The derivative, its value and the number of paths."""
    names, y, count = explanation.names, explanation.y, explanation.path_count
    over = f"the sum over {counted(count)} paths" if count > 1 else "along the one path"
    summed = f" (y of shape {y.shape} counts as its sum)" if y.size != 1 else ""
    return (
        f"{names.ratio(y, explanation.wrt)} = {brief(explanation.gradient)}{summed}, {over} "
        f"from {names.title(explanation.wrt)} to {names.title(y)}"
    )


def _table(explanation: Explanation) -> list[str]:
    """A row for each landmark; of many, for the first and the last."""
    landmarks = explanation.landmarks
    half = NODES // 2
    rows = [("node", "value", "adjoint")] + [
        (explanation.names.definition(x), brief(x), brief(explanation.adjoint(x)))
        for x in (landmarks if len(landmarks) <= NODES else landmarks[:half] + landmarks[-half:])
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    if len(landmarks) > NODES:
        lines.insert(1 + half, f"… {len(landmarks) - NODES:,} more nodes …")
    return lines
