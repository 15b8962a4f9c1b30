"""One ONNX graph for every batch size, from those of three batch sizes.

All that depends on the batch size n is a constant: shapes, counts, zeros of n rows. Each has a
value at three sizes, and is a·n + b, or rows that are all alike; then it is computed from n. Else
the model treats examples in a way that a graph of fixed shapes cannot express, and the error says
so. What is the same at the three sizes is taken to be so at all: a branch on n > 8 is not seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradlab.errors import ArgumentError
from gradlab.graph.dtypes import INT64, Array
from gradlab.interop.onnx.builder import Builder, onnx_dtype

SIZES = (59, 62, 67)
"""Batch sizes that no other length is likely to have, odd and even."""

FIXED = "export it for one batch size: batch=..."


def merged(graphs: Sequence[Builder], source: str) -> Builder:
    """The graph that is each of the graphs at its batch size.

    Args:
        graphs: of the batch sizes ``SIZES``.
        source: name of the input whose first length is the batch size.

    Raises:
        ArgumentError: the graphs differ in more than sizes.
    """
    first = graphs[0]
    known = {node.SerializeToString(deterministic=True) for node in first.nodes}
    kinds = {
        node.op_type
        for graph in graphs
        for node in graph.nodes
        if node.SerializeToString(deterministic=True) not in known
    }
    if kinds or any(len(g.nodes) != len(first.nodes) for g in graphs):
        why = f" (in {', '.join(sorted(kinds))})" if kinds else ""
        raise ArgumentError(f"the model's operations depend on the batch size{why}; {FIXED}")
    shapes = {node.input[1] for node in first.nodes if node.op_type == "Reshape"}
    whole = Builder("batch_")
    count = whole.node("Gather", whole.node("Shape", source, end=1), whole.integers(0))
    for name in first.constants:
        values = [graph.constants[name] for graph in graphs]
        if all(_equal(values[0], value) for value in values[1:]):
            whole.constants[name] = values[0]
        elif name in shapes and (values[0] != values[1]).sum() == 1:
            whole.constants[name] = np.where(values[0] != values[1], -1, values[0])
        else:
            _computed(whole, name, values, count)
    needed = len(whole.nodes) > 2  # more than what finds the batch size
    whole.nodes = [*(whole.nodes if needed else ()), *first.nodes]
    return whole


def _equal(a: Array, b: Array) -> bool:
    return a.shape == b.shape and a.tobytes() == b.tobytes()


def _computed(whole: Builder, name: str, values: list[Array], count: str) -> None:
    """Add nodes that compute a constant from the batch size."""
    if values[0].shape == values[1].shape:
        slope, offset = _line(values)
        n = count if slope.dtype == INT64 else _cast(whole, count, slope)
        whole.node("Add", whole.node("Mul", n, slope), offset)
    else:
        once = values[0]
        for axis, (length, other) in enumerate(zip(once.shape, values[1].shape, strict=True)):
            if length != other:
                once = once[(slice(None),) * axis + (slice(0, 1),)]
        if not all(_equal(np.broadcast_to(once, value.shape), value) for value in values):
            raise ArgumentError(f"a constant of the model depends on the batch size; {FIXED}")
        slope, offset = _line([np.array(value.shape, np.int64) for value in values])
        shape = whole.node("Add", whole.node("Mul", count, slope), offset)
        whole.node("Expand", once, shape)
    whole.nodes[-1].output[0] = name


def _cast(whole: Builder, count: str, like: Array) -> str:
    return whole.node("Cast", count, to=onnx_dtype(like.dtype))


def _line(values: list[Any]) -> tuple[Array, Array]:
    """a and b, of the values' dtype, so that these are a·n + b."""
    (n, m, _), dtype = SIZES, values[0].dtype
    if dtype.kind in "if":
        slope = ((values[1] - values[0]) / (m - n)).astype(dtype)
        offset = values[0] - slope * n
        if all(np.array_equal(slope * k + offset, v) for k, v in zip(SIZES, values, strict=True)):
            return slope, offset
    raise ArgumentError(f"a number of the model depends on the batch size; {FIXED}")
