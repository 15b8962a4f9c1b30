"""Which nodes of a graph become one loop nest, and where every tensor lies."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gradlab.errors import ArgumentError
from gradlab.execute.native.layout import Layout
from gradlab.graph import Graph, Tensor
from gradlab.graph.indexing import TAKE, unpacked
from gradlab.graph.op import OPS, Op, Shape
from gradlab.graph.tensor import Symbol

REDUCTIONS = ("sum", "max", "min")
LONGEST = 128
"""Nodes of a nest; LLVM takes ever longer over longer bodies, and registers are few."""
PRODUCTS = ("matmul", "matmul_nt", "matmul_tn", "matmul_tt")


@dataclass(eq=False)
class Group:
    """Nodes that become one kernel.

    Attributes:
        kind: "nest", "product" or "special".
        shape: of a nest, the positions at which its nodes are computed.
        nodes: in order.
        touches: ids of the tensors that it reads and of its own nodes.
    """

    kind: str
    shape: Shape
    nodes: list[Symbol] = field(default_factory=list)
    touches: set[int] = field(default_factory=set)

    def akin(self, other: Group) -> bool:
        """Whether both may become one nest: over one shape, with a tensor in common.

        Without one there is nothing to gain, and equal updates of many weights stay equal kernels.
        """
        alike = self.kind == other.kind == "nest" and self.shape == other.shape
        if len(self.nodes) + max(len(other.nodes), 1) > LONGEST:
            return False
        return alike and not self.touches.isdisjoint(other.touches)


class Fusion:
    """Nodes in groups, in an order in which the groups can run.

    Attributes:
        groups: see there.
        group_of: number of the group that computes a node, by id; other tensors are not in it.
        root: of a view, the tensor whose memory it shows, by id; of others, themselves.
        layout: of every tensor within its root's memory, by id.
        kept: ids of the nodes that must be in memory.
        awaited: of a view that is put off, what must be there before it is read, by id.
    """

    def __init__(self, graph: Graph, scalars: frozenset[str], specials: frozenset[str]) -> None:
        self.groups: list[Group] = []
        self.group_of: dict[int, int] = {}
        self.root: dict[int, Tensor] = {}
        self.layout: dict[int, Layout] = {}
        self.kept: set[int] = set()
        self.awaited: dict[int, list[Tensor]] = {}
        self._scalars = scalars
        self._specials = specials
        self._recorded = {id(node): number for number, node in enumerate(graph.nodes)}
        for symbol in (*graph.inputs, *(x for _, x in graph.captured)):
            self._own(symbol)
        for node in graph.nodes:
            self._add(node)
        self._merge()
        self._keep()
        for x in (*graph.outputs, *(x for _, x in graph.assigned)):
            if not isinstance(x, Symbol):
                self._own(x)
            self.kept.add(id(self.root[id(x)]))

    def _own(self, x: Tensor) -> None:
        """Give a tensor memory of its own, row by row."""
        if id(x) not in self.root:
            self.root[id(x)] = x
            self.layout[id(x)] = Layout.contiguous(x.shape)

    def _add(self, node: Symbol) -> None:
        assert node.op is not None
        name = _native_name(node.op)
        for x in node.inputs:
            if not isinstance(x, Symbol):
                self._own(x)
        view = self._view(node, name)
        if view is not None:
            source = self.root[id(node.inputs[0])]
            self.root[id(node)], self.layout[id(node)] = source, view
            self.kept.add(id(source))
            self.awaited[id(node)] = self._waits(node)
            if name == "after":
                self.awaited[id(node)] += [self.root[id(x)] for x in node.inputs[1:]]
            return
        self._own(node)
        if name in PRODUCTS or name in self._specials:
            self.groups.append(Group("product" if name in PRODUCTS else "special", node.shape))
            self._append(len(self.groups) - 1, node)
        elif name in self._scalars:
            self._join(node, node.shape)
        elif name in REDUCTIONS or name == "reshape":
            self._join(node, node.inputs[0].shape)  # a reshape that is no view copies
        else:
            raise _unknown(node.op)

    def _view(self, node: Symbol, name: str) -> Layout | None:
        """The node's layout in its input's memory, if it is only another look at it."""
        if not node.inputs or id(node.inputs[0]) not in self.layout:
            return None
        layout, params = self.layout[id(node.inputs[0])], node.params
        if name == "after":
            return layout
        if name == "reshape":
            return layout.apply(lambda x: x.reshape(params["shape"], copy=False))
        if name == "permute_dims":
            return layout.apply(lambda x: x.transpose(params["axes"]))
        if name == "broadcast_to":
            return layout.broadcast(params["shape"])
        if name == "windows":
            return layout.windows(**params)
        if name == "index" and TAKE not in params["key"]:
            return layout.indexed(unpacked(params["key"], ()))
        return None

    def _join(self, node: Symbol, shape: Shape) -> None:
        """Put a node into the first nest where all it needs is at hand, or into a new one."""
        earliest = 0
        for root, x in self._given(node):
            made = self.group_of.get(id(root), -1)
            earliest = max(earliest, made if self._at_hand(x, made, shape) else made + 1)
        for awaited in self._waits(node):
            earliest = max(earliest, self.group_of.get(id(awaited), -1) + 1)
        fresh = Group("nest", shape)
        self._note(fresh, node)
        for number in range(earliest, len(self.groups)):
            if self.groups[number].akin(fresh):
                self._append(number, node)
                return
        self.groups.append(fresh)
        self._append(len(self.groups) - 1, node)

    def _given(self, node: Symbol) -> list[tuple[Tensor, Tensor]]:
        """The tensors in memory that a node reads, each with its root before it."""
        given = (x for x in node.inputs if not is_immediate(x))
        return [(self.root[id(x)], x) for x in given]

    def _waits(self, node: Symbol) -> list[Tensor]:
        """What must be there before a node's inputs are read."""
        return [awaited for x in node.inputs for awaited in self.awaited.get(id(x), ())]

    def waits(self, group: Group) -> set[int]:
        """Numbers of the groups that a group comes after though it need not read their results."""
        awaited = {id(x) for node in group.nodes for x in self._waits(node)}
        return {self.group_of[x] for x in awaited if x in self.group_of}

    def reads(self, group: Group) -> list[tuple[Tensor, Tensor]]:
        """The tensors in memory that a group's nodes read, each with its root before it."""
        return [pair for node in group.nodes for pair in self._given(node)]

    def _at_hand(self, x: Tensor, made: int, shape: Shape) -> bool:
        """Whether within that group, at each position, the value of x is in a register."""
        if made < 0 or self.root[id(x)] is not x:
            return False
        group = self.groups[made]
        assert isinstance(x, Symbol)
        assert x.op is not None
        elementwise = x.op.name in self._scalars
        return group.kind == "nest" and group.shape == shape == x.shape and elementwise

    def _append(self, number: int, node: Symbol) -> None:
        group = self.groups[number]
        group.nodes.append(node)
        self.group_of[id(node)] = number
        self._note(group, node)

    def _note(self, group: Group, node: Symbol) -> None:
        """What a group touches through a node; single numbers count among single numbers only."""
        group.touches.add(id(node))
        roots = (root for root, _ in self._given(node))
        group.touches |= {id(root) for root in roots if root.size > 1 or group.shape == ()}

    def _merge(self) -> None:
        """Put nests off to later ones that go on with them, where nothing between needs them.

        Moments of a weight, for example, are begun apart and meet in its update.
        """
        readers: list[set[int]] = [set() for _ in self.groups]
        in_memory: list[set[int]] = [set() for _ in self.groups]
        """Groups that read a group's results, and those of them that need them in memory."""
        for number, group in enumerate(self.groups):
            for node in group.nodes:
                for root, x in self._given(node):
                    made = self.group_of.get(id(root), number)
                    if made != number:
                        readers[made].add(number)
                        if not self._at_hand(x, made, group.shape):
                            in_memory[made].add(number)
            for made in self.waits(group):
                readers[made].add(number)
                in_memory[made].add(number)
        gone: set[int] = set()
        alike: dict[Shape, list[int]] = {}
        """Earlier groups by shape: no others are akin."""
        for late, group in enumerate(self.groups):
            earlier = alike.setdefault(group.shape, [])
            for early in reversed(earlier):
                if early in gone or not group.akin(self.groups[early]):
                    continue
                between = any(early < reader < late for reader in readers[early])
                if between or late in in_memory[early]:
                    continue
                group.nodes[:0] = self.groups[early].nodes
                group.touches |= self.groups[early].touches
                readers[late] |= readers[early] - {late}
                in_memory[late] |= in_memory[early]
                for sets in (readers, in_memory):
                    for found in sets:
                        if early in found:
                            found.discard(early)
                            found.add(late)
                gone.add(early)
            earlier.append(late)
        self.groups = [g for number, g in enumerate(self.groups) if number not in gone]
        for number, group in enumerate(self.groups):
            # As recorded, so that equal computations are equal kernels.
            group.nodes.sort(key=lambda node: self._recorded[id(node)])
            self.group_of |= dict.fromkeys(map(id, group.nodes), number)

    def _keep(self) -> None:
        """Find what must be in memory: all that is read otherwise than in a register."""
        for number, group in enumerate(self.groups):
            for node in group.nodes:
                for root, x in self._given(node):
                    made = self.group_of.get(id(root), -1)
                    if made != number or not self._at_hand(x, number, group.shape):
                        self.kept.add(id(root))


def is_immediate(x: Tensor) -> bool:
    """Whether a tensor is a number known now, which becomes part of the code."""
    return not isinstance(x, Symbol) and x.size == 1


def is_arange(x: Tensor) -> bool:
    """Whether a tensor is known to count its rows: 0, 1, 2, ..."""
    if isinstance(x, Symbol) or x.ndim == 0:
        return False
    return bool(x.size == len(x.value) and (x.value.ravel() == np.arange(x.size)).all())


def _native_name(op: Op) -> str:
    """The name of a built-in row.

    Raises:
        ArgumentError: a user's row.
    """
    if OPS.get(op.name) is not op:
        raise _unknown(op)
    return op.name


def _unknown(op: Op) -> ArgumentError:
    return ArgumentError(
        f"the native executor has no rule for the op {op.name!r}: give the Op composed=..., a "
        'function of gradlab\'s own ops, or run it with executor="numpy"'
    )
