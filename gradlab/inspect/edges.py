"""Edges of a backward pass, and the landmarks between them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from gradlab.backprop.sweep import sweep
from gradlab.graph import Tensor
from gradlab.inspect.formulas import LONGEST
from gradlab.inspect.names import Names


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


class Landmarks:
    """The nodes of the paths that a reader must see, and the chains of edges between them.

    These are the named ones and those where paths part or join. Where a chain of others is so long
    that the product of its derivatives would be hard to read, some of them are shown too.

    Args:
        nodes, edges: of all paths.
        named: ids of the nodes that have a name.
        names: tells the derivative of each edge as text.

    Attributes:
        shown: their ids.
    """

    def __init__(
        self, nodes: Sequence[Tensor], edges: Sequence[Edge], named: set[int], names: Names
    ) -> None:
        self._outgoing: dict[int, list[Edge]] = defaultdict(list)
        self._arrivals: dict[int, int] = defaultdict(int)
        for edge in edges:
            self._outgoing[id(edge.source)].append(edge)
            self._arrivals[id(edge.node)] += 1
        self.shown = {
            id(x)
            for x in nodes
            if id(x) in named or len(self._outgoing[id(x)]) != 1 or self._arrivals[id(x)] != 1
        }
        for chain in self.chains(nodes):
            self.shown |= _cuts(chain, names)
        # A chain past other paths would read like the whole derivative: its last node is shown too.
        self.shown |= {id(c[-1].source) for c in self.chains(nodes) if self.passes_others(c)}

    def passes_others(self, chain: Sequence[Edge]) -> bool:
        """Whether a chain leaves where paths part and arrives where paths join."""
        start, end = chain[0].source, chain[-1].node
        return len(self._outgoing[id(start)]) > 1 and self._arrivals[id(end)] > 1

    def chains(self, nodes: Sequence[Tensor]) -> list[tuple[Edge, ...]]:
        """The edges from each shown node on to the next one."""
        found = []
        for start in nodes:
            for edge in self._outgoing[id(start)] if id(start) in self.shown else ():
                chain = [edge]
                while id(chain[-1].node) not in self.shown:
                    chain += self._outgoing[id(chain[-1].node)]  # it has one only
                found.append(tuple(chain))
        return found


def _cuts(chain: Sequence[Edge], names: Names) -> set[int]:
    """Ids of nodes on a chain between which the products of derivatives are short enough."""
    cuts, length = set(), 0
    for edge in chain:
        added = len(names.derivative(edge.node, edge.number)) + len(" · ")
        if length and length + added > LONGEST:
            cuts.add(id(edge.source))
            length = 0
        length += added
    return cuts
