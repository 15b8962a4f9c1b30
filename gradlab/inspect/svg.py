"""A drawing as SVG, laid out here and readable on light and dark grounds."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import pairwise
from string import Template
from typing import TYPE_CHECKING

from gradlab.inspect.layout import Link, Point, layout
from gradlab.palette import BLUE, ORANGE, SKY, VERMILION

if TYPE_CHECKING:
    from gradlab.inspect.drawing import Box, Drawing

LETTER = 7.3  # width of a letter of the 12 pixel monospaced font
LINE = 16.0
PADDING = 10.0
MARGIN = 20.0
SIDE_WEIGHT = 0.05  # operands beside the paths must not bend them

# The ground is drawn too, so that the text stands out on any page.
STYLE = Template(
    """
.gl-ground{fill:#fff} .gl-text{fill:#1a1a1a} .gl-soft{fill:#595959}
.gl-box{fill:#f6f6f6;stroke:#737373;stroke-width:1.2}
.gl-source{stroke:$orange;stroke-width:2.5} .gl-output{stroke:$blue;stroke-width:2.5}
.gl-side{stroke-dasharray:4 3} .gl-line{fill:none;stroke:#595959;stroke-width:1.6}
.gl-line-side{stroke-width:1;stroke-dasharray:4 3}
.gl-line-dead{stroke:$vermilion;stroke-dasharray:1.5 3}
.gl-tip{fill:#595959}
@media (prefers-color-scheme:dark){
.gl-ground{fill:#17181c} .gl-text{fill:#f0f0f0} .gl-soft{fill:#b5b5b5}
.gl-box{fill:#26272d;stroke:#8c8c8c} .gl-source{stroke:$orange} .gl-output{stroke:$sky}
.gl-line{stroke:#b5b5b5} .gl-line-dead{stroke:#E8743B} .gl-tip{fill:#b5b5b5}}
""".strip()
).substitute(orange=ORANGE, blue=BLUE, vermilion=VERMILION, sky=SKY)
FONT = 'font-family="ui-monospace,Menlo,Consolas,\'DejaVu Sans Mono\',monospace" font-size="12"'


def svg(drawing: Drawing) -> str:
    """The drawing from top to bottom, the caption below it."""
    boxes, arrows = drawing.boxes, drawing.arrows
    sizes = [_size([box.title, *box.lines]) for box in boxes]
    links: list[Link] = []
    kinds: list[str] = []
    labels: list[tuple[int, Sequence[str]]] = []
    tips: list[bool] = []
    for arrow in arrows:
        stops = [arrow.start, arrow.end]
        if arrow.label:  # a label is an item of the layout, so that nothing can lie over it
            stops.insert(1, len(sizes))
            labels.append((len(sizes), arrow.label))
            sizes.append(_size(arrow.label, padding=4.0))
        weight = SIDE_WEIGHT if arrow.kind == "side" else 1.0
        links += [(start, end, weight) for start, end in pairwise(stops)]
        kinds += [arrow.kind] * (len(stops) - 1)
        tips += [False] * (len(stops) - 2) + [True]
    placed = layout(sizes, links)
    width = max([placed.size[0], *(len(line) * LETTER for line in drawing.caption)])
    height = placed.size[1] + (len(drawing.caption) * LINE + 14 if drawing.caption else 0)
    shift = (width - placed.size[0]) / 2
    view = f"{-MARGIN:.0f} {-MARGIN:.0f} {width + 2 * MARGIN:.0f} {height + 2 * MARGIN:.0f}"
    title = escape(drawing.caption[0] if drawing.caption else "computation graph")
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{view}" role="img" {FONT} '
        f'width="{width + 2 * MARGIN:.0f}" height="{height + 2 * MARGIN:.0f}">',
        f"<title>{title}</title>",
        f"<desc>{escape(chr(10).join(drawing.caption))}</desc>",
        f"<style>{STYLE}</style>",
        f'<rect class="gl-ground" x="{-MARGIN}" y="{-MARGIN}" rx="8" '
        f'width="{width + 2 * MARGIN:.1f}" height="{height + 2 * MARGIN:.1f}"/>',
        f'<g transform="translate({shift:.1f} 0)">',
    ]
    for points, kind, tip in zip(placed.links, kinds, tips, strict=True):
        parts.append(_line(points, kind, tip))
    for i, box in enumerate(boxes):
        parts.append(_box(box, placed.centres[i], sizes[i]))
    for i, lines in labels:
        parts.append(_text(lines, placed.centres[i]))
    parts.append("</g>")
    for i, line in enumerate(drawing.caption):
        y = placed.size[1] + 14 + LINE * (i + 0.75)
        parts.append(f'<text class="gl-text" x="0" y="{y:.1f}">{escape(line)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _size(lines: Sequence[str], padding: float = PADDING) -> tuple[float, float]:
    return max(map(len, lines)) * LETTER + 2 * padding, len(lines) * LINE + padding


def _box(box: Box, centre: Point, size: tuple[float, float]) -> str:
    (x, y), (width, height) = centre, size
    return (
        f'<rect class="gl-box gl-{box.kind}" x="{x - width / 2:.1f}" y="{y - height / 2:.1f}" '
        f'width="{width:.1f}" height="{height:.1f}" rx="6"/>'
        + _text([box.title, *box.lines], centre, bold=True)
    )


def _text(lines: Sequence[str], centre: Point, bold: bool = False) -> str:
    """Centred lines, the first of them stronger."""
    top = centre[1] - len(lines) * LINE / 2 + LINE * 0.75
    spans = []
    for i, line in enumerate(lines):
        style = f'class="{"gl-soft" if i else "gl-text"}"'
        weight = ' font-weight="bold"' if bold and not i else ""
        spans.append(
            f'<text {style}{weight} text-anchor="middle" x="{centre[0]:.1f}" '
            f'y="{top + i * LINE:.1f}">{escape(line)}</text>'
        )
    return "".join(spans)


def _line(points: Sequence[Point], kind: str, tip: bool) -> str:
    """A smooth line, upright at each of its points, with an arrowhead where it ends."""
    path = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for (x1, y1), (x2, y2) in pairwise(points):
        middle = (y1 + y2) / 2
        path.append(f"C{x1:.1f} {middle:.1f} {x2:.1f} {middle:.1f} {x2:.1f} {y2:.1f}")
    line = f'<path class="gl-line gl-line-{kind}" d="{"".join(path)}"/>'
    if not tip:
        return line
    x, y = points[-1]
    return line + f'<path class="gl-tip" d="M{x:.1f} {y:.1f}l-4.5 -8h9z"/>'
