"""Factors of a derivative, and the paths that they make."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from gradlab.graph import Tensor, elementwise_shape, ones_like
from gradlab.graph.elementwise import numeric_shape
from gradlab.inspect.edges import Edge, Landmarks
from gradlab.inspect.formulas import product
from gradlab.inspect.names import SAME_NUMBERS, Names
from gradlab.inspect.values import brief

T = TypeVar("T")

SHOWN_LINKS = 8
"""Nodes or factors of a path that are shown; of a longer one, the first and last four."""


@dataclass(frozen=True, eq=False)
class Factor:
    """The derivative of one node by another that it was computed from, along one chain of edges.

    Attributes:
        edges: from ``start`` to ``end``; nodes in between have no name.
        passes_others: whether other paths may lead from ``start`` to ``end``.
        name: ``∂end/∂start``.
        text: the derivative as a formula in the nodes' names.
        value: the derivative: of ``start``'s shape if ``end`` is one number, element by element if
            the operations are elementwise; None for a Jacobian that is neither.
    """

    edges: tuple[Edge, ...]
    names: Names
    passes_others: bool

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
        """∂end/∂start; where other paths lead there too, it says that this is one edge of them."""
        ratio = self.names.ratio(self.end, self.start)
        if sum(x is self.start for x in self.end.inputs) > 1:
            return f"{ratio} by input {self.edges[-1].number + 1}"
        return f"{ratio} directly" if self.passes_others else ratio

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
        numbers, literal = brief(value), self.text.replace("−", "-")
        same = numbers == literal or numbers.startswith(f"{literal} everywhere")
        shown = numbers if same else f"{self.text} = {numbers}"
        return shown if value.size <= start.size else f"{shown}, summed to {start.shape}"


def _elementwise(x: Tensor) -> bool:
    rules = (elementwise_shape, numeric_shape)
    return x.op is not None and (x.op.infer in rules or x.op.name in SAME_NUMBERS)


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
        landmarks: Landmarks,
        names: Names,
    ) -> None:
        self.nodes = (wrt, *(edge.node for edge in edges))
        self.edges = edges
        self.contribution = contribution
        self._landmarks = landmarks
        self._names = names

    @cached_property
    def factors(self) -> tuple[Factor, ...]:
        """The derivatives whose product is this path's part of the gradient."""
        factors, chain = [], []
        for edge in self.edges:
            chain.append(edge)
            if id(edge.node) in self._landmarks.shown:
                passes_others = self._landmarks.passes_others(chain)
                factors.append(Factor(tuple(chain), self._names, passes_others))
                chain = []
        return tuple(factors)

    @cached_property
    def route(self) -> str:
        """``b → c → y``."""
        seen = [x for x in self.nodes if id(x) in self._landmarks.shown]
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
