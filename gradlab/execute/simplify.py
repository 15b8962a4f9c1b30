"""The same computation with fewer operations: what executors run."""

from __future__ import annotations

import dataclasses
from typing import Any

from gradlab.graph import Graph, Symbol, Tensor
from gradlab.graph.op import OPS

COPIES = ("identity", "stop_gradient", "checkpointed")
"""Rows that matter to gradients only: their output is their first input."""


def simplify(graph: Graph) -> Graph:
    """Compute equal things once, and leave copies out; every result keeps its bits.

    Two nodes are equal if they apply the same row with the same parameters to equal inputs. Random
    numbers are no exception: they are functions of key and counter.

    >>> from gradlab.graph import Spec, exp, stop_gradient, trace
    >>> print(simplify(trace(lambda x: exp(x) + stop_gradient(exp(x)), Spec((2,), name="x"))))
    in   x: float32(2)
    %1 = exp(x): float32(2)
    %2 = add(%1, %1): float32(2)
    out  %2
    """
    standing: dict[int, Tensor] = {}
    known: dict[Any, Tensor] = {}

    def stand_in(x: Tensor) -> Tensor:
        """What stands for a tensor in the new graph."""
        if id(x) not in standing:
            standing[id(x)] = known.setdefault(_number(x), x) if _is_number(x) else x
        return standing[id(x)]

    nodes: list[Symbol] = []
    for node in graph.nodes:
        assert node.op is not None
        inputs = tuple(stand_in(x) for x in node.inputs)
        if node.op.name in COPIES and node.weak == inputs[0].weak:
            standing[id(node)] = inputs[0]
            continue
        key: Any = id(node)
        if OPS.get(node.op.name) is node.op:  # the parameters of a user's row may be anything
            params = tuple(sorted(node.params.items()))
            key = (node.op.name, tuple(id(x) for x in inputs), params, node.weak)
        if key not in known:
            fresh = Symbol(
                node.recording,
                node.shape,
                node.dtype,
                node.op,
                inputs,
                node.params,
                node.weak,
                node.name,
            )
            known[key] = fresh
            nodes.append(fresh)
        standing[id(node)] = known[key]
    return dataclasses.replace(
        graph,
        nodes=tuple(nodes),
        outputs=tuple(stand_in(x) for x in graph.outputs),
        assigned=tuple((variable, stand_in(x)) for variable, x in graph.assigned),
    )


def _is_number(x: Tensor) -> bool:
    return not isinstance(x, Symbol) and x.size == 1


def _number(x: Tensor) -> Any:
    """Equal for constants of the same bits."""
    return "number", x.value.tobytes(), x.dtype, x.shape, x.weak
