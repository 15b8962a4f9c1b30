"""``explain``: every number of one derivative, path by path."""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property

from gradlab.backprop.sweep import reachable, sweep
from gradlab.errors import DTypeError, GradientError
from gradlab.graph import Symbol, Tensor, Variable, ones_like
from gradlab.inspect.drawing import Drawing, notebook, save
from gradlab.inspect.edges import Edge, Landmarks
from gradlab.inspect.names import Named, Names, known_names, names_in
from gradlab.inspect.order import ancestors
from gradlab.inspect.paths import Factor, Path
from gradlab.inspect.picture import picture
from gradlab.inspect.report import headline, report


def explain(y: Tensor, wrt: Tensor | Variable, names: Named | None = None) -> Explanation:
    """Take ∂y/∂wrt apart into the paths of the chain rule.

    ∂y/∂x = Σ over the paths x → ... → y of the product of local derivatives on the path

    Args:
        y: a tensor that a ``GradientTape`` recorded. If it has several elements, the derivative is
            that of their sum, as on the tape. A tape forgets what it recorded once it is asked for
            a gradient, unless it is persistent.
        wrt: a tensor that y was computed from, or a Variable whose present value was read.
        names: what to call tensors, ``{"c": c}``. Otherwise they are called by their own name,
            or by the variable of the caller that holds them, or by a short formula. What a module
            gives is named by its kind and path, such as "Linear:0"; in a model of a class of your
            own, call ``model.name_variables()`` first.

    Raises:
        GradientError: y was not recorded, or does not depend on wrt.
        DTypeError: y or wrt are whole numbers, which have no derivatives.

    >>> from gradlab import GradientTape, Variable
    >>> a, b = Variable([2.0]), Variable([1.0])
    >>> with GradientTape() as tape:
    ...     c = a + b
    ...     d = b + 1
    ...     y = c * d
    >>> print(explain(y, wrt=b))
    ∂y/∂b = 5, the sum over 2 paths from b to y
    ├─ b → c → y contributes 2
    │    ∂c/∂b = 1
    │    ∂y/∂c = d = 2
    ├─ b → d → y contributes 3
    │    ∂d/∂b = 1
    │    ∂y/∂d = c = 3
    └─ total 5
    <BLANKLINE>
    node       value  adjoint
    b          1      5
    c = a + b  3      2
    d = b + 1  2      3
    y = c · d  6      1

    Source: the chain rule on a computational graph, Goodfellow et al., Deep Learning, 2016, 6.5.
    """
    if isinstance(y, Symbol):
        raise GradientError(
            "y is a traced tensor without a value; explain what the uncompiled function computes "
            "under a GradientTape, or look at the graph with draw"
        )
    if not isinstance(y, Tensor) or y.op is None:
        raise GradientError(
            "y is not recorded: compute it from a Variable or a watched tensor inside 'with "
            "GradientTape() as tape:', and explain it before that tape is asked for a gradient"
        )
    if not isinstance(wrt, Tensor | Variable):
        raise GradientError(f"wrt is of type {type(wrt).__name__}; give a tensor or a Variable")
    for what, x in (("y", y), ("wrt", wrt)):
        if x.dtype.kind != "f":
            raise DTypeError(f"{what} is {x.dtype}, and only floats have derivatives; use astype")
    found = {} if names is not None else names_in(sys._getframe(1))
    return Explanation(y, wrt, names, found)


class Explanation:
    """The backward pass from ``y`` to ``wrt``, kept edge by edge (what ``explain`` returns).

    Printing it gives text, a notebook shows a drawing.

    Attributes:
        y, wrt: the two tensors; of a Variable, the tensor that it held.
        nodes: the tensors on the paths from wrt to y, in order of computation.
        edges: uses of these tensors on the paths, from wrt on, with what each contributes.
        gradient: ∂y/∂wrt.
    """

    def __init__(
        self, y: Tensor, wrt: Tensor | Variable, names: Named | None, found: Named
    ) -> None:
        self.y = y
        self.wrt = wrt.held if isinstance(wrt, Variable) else wrt
        self._order = ancestors(y)
        self._known = known_names(self._order, names, found)
        operations = [x for x in self._order if x.op is not None]
        incoming: dict[int, list[Edge]] = defaultdict(list)
        self._adjoints = sweep(
            operations,
            {id(y): ones_like(y)},
            reachable(operations, [self.wrt]),
            lambda node, number, part: incoming[id(node)].append(Edge(node, number, part)),
        )
        if id(self.wrt) not in self._adjoints:
            raise GradientError(_why_not(self._order, wrt, self.wrt))
        self.nodes = tuple(x for x in self._order if id(x) in self._adjoints)
        self.edges = tuple(edge for x in self.nodes for edge in incoming[id(x)])
        self._incoming = incoming
        self.gradient = self._adjoints[id(self.wrt)]

    # --- the numbers ---------------------------------------------------------------------------

    def adjoint(self, x: Tensor | Variable) -> Tensor:
        """∂y/∂x of a node between wrt and y: the seed plus the sum over the edges out of it.

        Raises:
            GradientError: x lies on no path from wrt to y.
        """
        node = x.held if isinstance(x, Variable) else x
        if id(node) not in self._adjoints:
            raise GradientError(f"{x!r} lies on no path from wrt to y")
        return self._adjoints[id(node)]

    @cached_property
    def operands(self) -> dict[int, list[Tensor]]:
        """Named tensors off the paths that each node uses, by id of the node."""
        return {
            id(node): [
                x for x in node.inputs if id(x) in self._known and id(x) not in self._adjoints
            ]
            for node in self.nodes
        }

    @cached_property
    def path_count(self) -> int:
        """How many paths lead from wrt to y, counted without listing them."""
        counts: dict[int, int] = defaultdict(int, {id(self.wrt): 1})
        for edge in self.edges:
            counts[id(edge.node)] += counts[id(edge.source)]
        return counts[id(self.y)]

    def paths(self) -> Iterator[Path]:
        """The paths, one at a time; their contributions add up to the gradient."""
        incoming = self._incoming
        seed = self._adjoints[id(self.y)]
        if self.y is self.wrt:
            yield Path(self.wrt, (), seed, self._map, self.names)
        # Every edge here leads on to wrt, so the walk meets no dead end. Paths that end alike share
        # the adjoints down to where they part.
        route: list[Edge] = []
        carried = [seed]
        pending = [iter(incoming[id(self.y)])]
        while pending:
            edge = next(pending[-1], None)
            if edge is None:
                pending.pop()
                carried.pop()
                if route:
                    route.pop()
                continue
            # Where no other path has joined, the sweep has done this step already.
            whole = carried[-1] is self._adjoints[id(edge.node)]
            adjoint = edge.contribution if whole else edge.pull(carried[-1])
            if edge.source is self.wrt:
                yield Path(self.wrt, (edge, *reversed(route)), adjoint, self._map, self.names)
            else:
                route.append(edge)
                carried.append(adjoint)
                pending.append(iter(incoming[id(edge.source)]))

    # --- the words -----------------------------------------------------------------------------

    @cached_property
    def names(self) -> Names:
        """Names and formulas of the nodes."""
        return Names(self._order, {id(self.wrt): "wrt"} | self._known)

    @cached_property
    def _map(self) -> Landmarks:
        named = {*self._known, id(self.wrt), id(self.y)}
        return Landmarks(self.nodes, self.edges, named, self.names)

    @cached_property
    def landmarks(self) -> tuple[Tensor, ...]:
        """The nodes that a reader sees: those with a name, where paths part or join, and a few."""
        return tuple(x for x in self.nodes if id(x) in self._map.shown)

    @cached_property
    def factors(self) -> tuple[Factor, ...]:
        """The derivatives between landmarks, of which each path takes some."""
        chains = self._map.chains(self.nodes)
        return tuple(Factor(c, self.names, self._map.passes_others(c)) for c in chains)

    def __str__(self) -> str:
        """The paths with their factors, then the landmarks with values and adjoints."""
        return report(self)

    def __repr__(self) -> str:
        return f"<explanation {headline(self)}>"

    # --- the drawing ---------------------------------------------------------------------------

    def drawing(self) -> Drawing:
        """The landmarks as boxes, and the factors on the arrows between them."""
        return picture(self)

    def to_dot(self) -> str:
        """Graphviz text of the drawing."""
        return self.drawing().to_dot()

    def to_svg(self) -> str:
        """The drawing as SVG.

        Raises:
            ArgumentError: more nodes than a drawing can show.
        """
        return self.drawing().to_svg()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a .svg, .dot or .txt file.

        Raises:
            ArgumentError: another suffix, no such folder, or more nodes than an SVG can show.
            RunError: the file cannot be written.
        """
        save(path, {".svg": self.to_svg, ".dot": self.to_dot, ".txt": lambda: f"{self}\n"})

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """What a notebook shows: the drawing if it fits, else the text."""
        return notebook(self.drawing(), str(self))


def _why_not(order: list[Tensor], wrt: Tensor | Variable, held: Tensor) -> str:
    """Why there is no derivative."""
    name = wrt.name or "wrt"
    replaced = isinstance(wrt, Variable) and all(x is not held for x in order)
    if replaced and wrt.name and any(x.op is None and x.name == wrt.name for x in order):
        return (
            f"y was computed from an earlier value of {name}: explain it before {name} is assigned"
        )
    reached = {id(held)}
    for x in order:
        if any(id(i) in reached for i in x.inputs):
            reached.add(id(x))
            assert x.op is not None
            if any(id(i) in reached and x.op.vjps[n] is None for n, i in enumerate(x.inputs)):
                return f"y depends on {name} only through {x.op.name}, which has no derivative"
    return (
        f"y does not depend on {name}: it was not used, or before the tape recorded; compute all "
        f"of y from {name} inside 'with GradientTape() as tape:'"
    )
