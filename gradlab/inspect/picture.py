"""An explanation, and a traced or recorded computation, as drawings."""

from __future__ import annotations

import sys
from itertools import islice
from typing import TYPE_CHECKING

from gradlab.errors import ArgumentError
from gradlab.graph import Graph, Symbol, Tensor
from gradlab.inspect.drawing import Arrow, Box, Drawing
from gradlab.inspect.names import Named, Names, known_names, names_in
from gradlab.inspect.order import ancestors
from gradlab.inspect.report import headline
from gradlab.inspect.values import brief, counted

if TYPE_CHECKING:
    from gradlab.inspect.explanation import Explanation

CAPTION_PATHS = 4
ONE_LINE = 28


def picture(explanation: Explanation) -> Drawing:
    """Landmarks as boxes with value and adjoint, factors on the arrows.

    Named operands that lie on no path stand beside them, so that the formulas can be read.
    """
    names = explanation.names
    boxes: list[Box] = []
    places: dict[int, int] = {}

    def place(x: Tensor, *lines: str, kind: str) -> int:
        if id(x) not in places:
            places[id(x)] = len(boxes)
            boxes.append(Box(names.definition(x) if lines[1:] else names.title(x), lines, kind))
        return places[id(x)]

    kinds = {id(explanation.y): "output", id(explanation.wrt): "source"}
    for x in explanation.landmarks:
        kind = kinds.get(id(x), "node")
        place(x, f"value {brief(x)}", f"adjoint {brief(explanation.adjoint(x))}", kind=kind)
    arrows = []
    for factor in explanation.factors:
        end = places[id(factor.end)]
        part = factor.edges[0].contribution
        name = (
            (str(factor),) if len(str(factor)) <= ONE_LINE else (factor.name, f"= {factor.result}")
        )
        label = (*name, f"contributes {brief(part)}")
        style = "path" if part.numpy().any() else "dead"
        arrows.append(Arrow(places[id(factor.start)], end, label, style))
        for edge in factor.edges:
            for x in explanation.operands[id(edge.node)]:
                side = place(x, f"value {brief(x)}", kind="side")
                arrows.append(Arrow(side, end, (), "side"))
    caption = [headline(explanation)]
    if explanation.path_count > 1:
        listed = list(islice(explanation.paths(), CAPTION_PATHS))
        caption += [f"{path.route} contributes {brief(path.contribution)}" for path in listed]
        if explanation.path_count > len(listed):
            caption.append(f"… and {counted(explanation.path_count - len(listed))} more")
    return Drawing(boxes, list(dict.fromkeys(arrows)), caption)


def draw(what: Graph | Tensor, names: Named | None = None) -> Drawing:
    """Draw a traced graph, or the recorded operations that a tensor came from.

    Args:
        what: a ``Graph`` that ``trace`` made, or a tensor computed while a tape recorded.
        names: what to call tensors; otherwise as in ``explain``.

    Raises:
        ArgumentError: neither a graph nor a tensor.

    >>> from gradlab import Spec, trace
    >>> drawing = draw(trace(lambda x: x * 2 + 1, Spec((3,), name="x")))
    >>> [box.title for box in drawing.boxes]
    ['x', '%1 = x · 2', '%2 = %1 + 1']
    """
    if not isinstance(what, Graph | Tensor):
        raise ArgumentError(
            f"cannot draw a {type(what).__name__}; give a tensor, or a graph that trace made"
        )
    ends = what.outputs if isinstance(what, Graph) else (what,)
    assigned = what.assigned if isinstance(what, Graph) else ()
    order = ancestors(*ends, *(value for _, value in assigned))
    found = names_in(sys._getframe(1)) if names is None else {}
    known = known_names(order, names, found)
    if isinstance(what, Graph):
        own = {id(x): x.name or f"input{i}" for i, x in enumerate(what.inputs)}
        own |= {id(x): v.name or f"variable{i}" for i, (v, x) in enumerate(what.captured)}
        known = own | known
    operations = [x for x in order if x.op is not None]
    known = {id(x): f"%{i}" for i, x in enumerate(operations, 1)} | known
    texts = Names(order, known)
    drawn = [x for x in order if id(x) in known]
    places = {id(x): i for i, x in enumerate(drawn)}
    notes = {id(x): f"assigned to {variable.name or 'a variable'}" for variable, x in assigned}
    boxes = []
    for x in drawn:
        numbers = f"{x.dtype}{x.shape}" if isinstance(x, Symbol) else f"value {brief(x)}"
        lines = (numbers, notes[id(x)]) if id(x) in notes else (numbers,)
        kind = "output" if any(x is end for end in ends) else "node" if x.op else "source"
        boxes.append(Box(texts.definition(x), lines, kind))
    arrows = dict.fromkeys(
        Arrow(places[id(i)], places[id(x)]) for x in drawn for i in x.inputs if id(i) in places
    )
    return Drawing(boxes, list(arrows))
