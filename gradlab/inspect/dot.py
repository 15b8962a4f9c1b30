"""A drawing as Graphviz text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from gradlab.palette import BLUE, ORANGE, VERMILION

if TYPE_CHECKING:
    from gradlab.inspect.drawing import Drawing

BOXES = {
    "source": f'color="{ORANGE}" penwidth=2',
    "output": f'color="{BLUE}" penwidth=2',
    "side": 'style="rounded,dashed"',
    "node": "",
}
ARROWS = {"path": "", "dead": f'style=dotted color="{VERMILION}"', "side": "style=dashed"}


def dot(drawing: Drawing) -> str:
    """A digraph from top to bottom."""
    lines = [
        "digraph {",
        f"  label={_quoted(drawing.caption)} labelloc=b labeljust=l",
        '  graph [fontname="monospace"]',
        '  node [shape=box style=rounded fontname="monospace"]',
        '  edge [fontname="monospace"]',
    ]
    for i, box in enumerate(drawing.boxes):
        lines.append(f"  n{i} [label={_quoted([box.title, *box.lines])} {BOXES[box.kind]}]")
    for arrow in drawing.arrows:
        label = f"label={_quoted(arrow.label)} {ARROWS[arrow.kind]}"
        lines.append(f"  n{arrow.start} -> n{arrow.end} [{label}]")
    return "\n".join([*lines, "}", ""])


def _quoted(texts: Iterable[str]) -> str:
    """Lines as one string of Graphviz, where a backslash and a quote have a meaning."""
    escaped = (text.replace("\\", "\\\\").replace('"', '\\"') for text in texts)
    return '"' + "\\n".join(escaped) + '"'
