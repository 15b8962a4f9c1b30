"""Edges of a backward pass, factors of a derivative, and the paths that they make."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from gradlab.backprop.sweep import sweep
from gradlab.graph import Tensor, elementwise_shape, ones_like
from gradlab.inspect.formulas import product
from gradlab.inspect.names import SAME_NUMBERS, Names
from gradlab.inspect.values import brief

T = TypeVar("T")

SHOWN_LINKS = 8
"""Nodes or factors of a path that are shown; of a longer one, the first and last four."""


@dataclass(frozen=True, eq=False, slots=True)
class Edge:
    """One use of a node by an operation, and what it adds to that node's adjoint."""

    node: Tensor
    number: int
    contribution: Tensor

    @property
    def source(self) -> Tensor:
        """The input of ``node`` at this place."""
        return self.node.inputs[self.number]

    def pull(self, g: Tensor) -> Tensor:
        """An adjoint of the node carried back over this edge alone, gᵀ · ∂node/∂source."""
        found: dict[int, Tensor] = {}

        def keep(node: Tensor, number: int, contribution: Tensor) -> None:
            found[number] = contribution

        sweep([self.node], {id(self.node): g}, {id(self.node), id(self.source)}, keep)
        return found[self.number]


@dataclass(frozen=True, eq=False)
class Factor:
    """The derivative of one node by another that it was computed from, along one chain of edges.

    Attributes:
        edges: from ``start`` to ``end``; nodes in between have no name.
        name: ``∂end/∂start``.
        text: the derivative as a formula in the nodes' names.
        value: the derivative: of ``start``'s shape if ``end`` is one number, element by element if
            the operations are elementwise; None for a Jacobian that is neither.
    """

    edges: tuple[Edge, ...]
    names: Names

    @property
    def start(self) -> Tensor:
        """The node to differentiate by."""
        return self.edges[0].source

    @property
    def end(self) -> Tensor:
        """The node that is differentiated."""
        return self.edges[-1].node

    @cached_property
    def name(self) -> str:
        """∂end/∂start, with the number of the input if it is used twice."""
        ratio = self.names.ratio(self.end, self.start)
        uses = sum(x is self.start for x in self.end.inputs)
        twice = len(self.edges) == 1 and uses > 1
        return f"{ratio} by input {self.edges[0].number + 1}" if twice else ratio

    @cached_property
    def text(self) -> str:
        """The product of the local derivatives, as text."""
        texts = [self.names.derivative(e.node, e.number) for e in reversed(self.edges)]
        proper = [text for text in texts if text]
        if proper:
            return product(proper)
        ops = [edge.node.op.name for edge in reversed(self.edges) if edge.node.op]
        return ", ".join(ops) if len(ops) <= 3 else f"{len(ops)} moves"

    @cached_property
    def value(self) -> Tensor | None:
        """The derivative as numbers, where it is no larger than what it relates."""
        g = ones_like(self.end)
        if self.end.size == 1:
            for edge in reversed(self.edges):
                g = edge.pull(g)
            return g
        if not all(_elementwise(edge.node) for edge in self.edges):
            return None
        for edge in reversed(self.edges):
            node = edge.node
            assert node.op is not None
            vjp = node.op.vjps[edge.number]
            assert vjp is not None
            g = vjp(g, node, *node.inputs, **node.params)  # a broadcast is not summed up here
        return g

    def __str__(self) -> str:
        """``∂c/∂b = text = value``."""
        return f"{self.name} = {self.result}"

    @cached_property
    def result(self) -> str:
        """Text and value."""
        value, start, end = self.value, self.start, self.end
        if value is None:
            return f"{self.text}, adjoint {end.shape} → {start.shape}"
        same = self.text.replace("−", "-") == brief(value)
        shown = self.text if same else f"{self.text} = {brief(value)}"
        return shown if value.size <= start.size else f"{shown}, summed to {start.shape}"


def _elementwise(x: Tensor) -> bool:
    return x.op is not None and (x.op.infer is elementwise_shape or x.op.name in SAME_NUMBERS)


class Path:
    """One way from ``wrt`` to ``y``, and its part of the gradient.

    Attributes:
        edges, nodes: all of them, from ``wrt`` on.
        factors: local derivatives from ``wrt`` on; edges that meet at nodes without a name are
            one factor.
        contribution: the seed carried back over the edges of this path alone.
        route: ``b → c → y``.
    """

    def __init__(
        self,
        wrt: Tensor,
        edges: tuple[Edge, ...],
        contribution: Tensor,
        shown: set[int],
        names: Names,
    ) -> None:
        self.nodes = (wrt, *(edge.node for edge in edges))
        self.edges = edges
        self.contribution = contribution
        self._shown = shown
        self._names = names

    @cached_property
    def factors(self) -> tuple[Factor, ...]:
        """The derivatives whose product is this path's part of the gradient."""
        factors, chain = [], []
        for edge in self.edges:
            chain.append(edge)
            if id(edge.node) in self._shown:
                factors.append(Factor(tuple(chain), self._names))
                chain = []
        return tuple(factors)

    @cached_property
    def route(self) -> str:
        """``b → c → y``."""
        seen = [x for x in self.nodes if id(x) in self._shown]
        return " → ".join(_shortened(seen, self._names.title, "… {} more …"))

    def __str__(self) -> str:
        """The route, what it contributes, and a line for each factor."""
        return "\n".join(self.lines())

    def __repr__(self) -> str:
        return f"<path {self.route}>"

    def lines(self) -> list[str]:
        """The text, line by line."""
        factors = _shortened(self.factors, str, "… {} more factors …")
        return [
            f"{self.route} contributes {brief(self.contribution)}",
            *(f"  {factor}" for factor in factors),
        ]


def _shortened(items: Sequence[T], text: Callable[[T], str], gap: str) -> list[str]:
    """Items as text; of many, the first and the last, with a gap between them."""
    if len(items) <= SHOWN_LINKS:
        return list(map(text, items))
    half = SHOWN_LINKS // 2
    left_out = gap.format(f"{len(items) - 2 * half:,}")
    return [*map(text, items[:half]), left_out, *map(text, items[-half:])]


def chains(
    starts: Iterable[Tensor], outgoing: Mapping[int, Sequence[Edge]], shown: set[int]
) -> list[tuple[Edge, ...]]:
    """The chains of edges between the shown nodes."""
    found = []
    for start in starts:
        for edge in outgoing.get(id(start), ()):
            chain = [edge]
            while id(chain[-1].node) not in shown:
                chain.extend(outgoing[id(chain[-1].node)])  # it has one only
            found.append(tuple(chain))
    return found


def readable(
    nodes: Sequence[Tensor], edges: Sequence[Edge], named: set[int]
) -> tuple[set[int], dict[int, list[Edge]]]:
    """Ids of the nodes that a reader must see, and the edges that go out from each node.

    These are the named ones and those where paths join or part. Two chains between the same nodes
    would read alike, so the last node in between is shown too.
    """
    outgoing: dict[int, list[Edge]] = defaultdict(list)
    incoming: dict[int, int] = defaultdict(int)
    for edge in edges:
        outgoing[id(edge.source)].append(edge)
        incoming[id(edge.node)] += 1
    shown = {
        id(x)
        for x in nodes
        if id(x) in named or len(outgoing.get(id(x), ())) != 1 or incoming[id(x)] != 1
    }
    side_by_side: dict[tuple[int, int], list[tuple[Edge, ...]]] = defaultdict(list)
    for chain in chains([x for x in nodes if id(x) in shown], outgoing, shown):
        side_by_side[id(chain[0].source), id(chain[-1].node)].append(chain)
    for group in side_by_side.values():
        if len(group) > 1:
            shown |= {id(chain[-1].source) for chain in group}
    return shown, outgoing
