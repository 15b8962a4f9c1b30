"""The reverse sweep: the chain rule, once, for every use that gradlab makes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gradlab.graph import Tensor, reshape, sum
from gradlab.graph.op import Shape

Edge = Callable[[Tensor, int, Tensor], None]


def reachable(nodes: Iterable[Tensor], sources: Iterable[Tensor]) -> set[int]:
    """Ids of the tensors through which a derivative flows from the sources.

    ``nodes`` come in the order in which they were recorded.
    """
    reached = {id(x) for x in sources}
    for node in nodes:
        assert node.op is not None
        for i, x in enumerate(node.inputs):
            if id(x) in reached and node.op.vjps[i] is not None:
                reached.add(id(node))
                break
    return reached


def sweep(
    nodes: list[Tensor],
    adjoints: dict[int, Tensor],
    reached: set[int],
    on_edge: Edge | None = None,
) -> dict[int, Tensor]:
    r"""Adjoints of every reached tensor, from those of the outputs.

    ∂L/∂x = seed(x) + Σ over the uses y of x of (∂y/∂x)ᵀ ∂L/∂y, walking the nodes in reverse.

    Args:
        nodes: recorded operations, each after those that it needs.
        adjoints: seeds by id of the tensor; this table is filled and returned. Tensors themselves
            hold no adjoint, so a sweep can be repeated.
        reached: ids of the tensors whose adjoints are wanted (see ``reachable``).
        on_edge: called with (node, input number, contribution) for each edge.
    """
    for node in reversed(nodes):
        if id(node) not in reached or id(node) not in adjoints:
            continue
        g = adjoints[id(node)]
        assert node.op is not None
        for i, x in enumerate(node.inputs):
            vjp = node.op.vjps[i] if id(x) in reached else None
            if vjp is None:
                continue
            contribution = vjp(g, node, *node.inputs, **node.params)
            if contribution is None:  # a checkpoint knows only now what its outputs depend on
                continue
            if contribution.shape != x.shape:
                contribution = sum_to(contribution, x.shape)
            if on_edge is not None:
                on_edge(node, i, contribution)
            earlier = adjoints.get(id(x))
            adjoints[id(x)] = contribution if earlier is None else earlier + contribution
    return adjoints


def sum_to(g: Tensor, shape: Shape) -> Tensor:
    """Undo a broadcast: sum over the axes along which ``shape`` was repeated.

    >>> import gradlab
    >>> sum_to(gradlab.tensor([[1.0, 2.0], [3.0, 4.0]]), (1, 2))
    tensor([[4., 6.]])
    """
    added = g.ndim - len(shape)
    repeated = [added + i for i, n in enumerate(shape) if n == 1 and g.shape[added + i] != 1]
    return reshape(sum(g, (*range(added), *repeated)), shape)
