"""One ONNX graph for every batch size, from those of three batch sizes.

All that depends on the batch size n is a constant: shapes, counts, zeros of n rows, numbers of
rows. Each has a value at three sizes, and is computed from n if it is linear: a·n + b, with equal
steps from place to place along the axes that grow with n. Else the model treats examples in a way
that a graph of fixed shapes cannot express, and the error says so. What is the same at the three
sizes is taken to be so at all: a branch on n > 8 is not seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradlab.errors import ArgumentError
from gradlab.graph.dtypes import INT64, Array, DType
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
    shapes = [np.array(value.shape, np.int64) for value in values]
    growing = np.flatnonzero(shapes[0] != shapes[1]).tolist()
    firsts = [_at(value, growing) for value in values]
    result, expected = _linear(whole, firsts, count), firsts
    for axis in growing:
        steps = _steps(values, firsts, growing, axis)
        if steps is None:
            continue
        column = [-1 if other == axis else 1 for other in range(len(shapes[0]))]
        dtype = values[0].dtype
        places = [np.arange(shape[axis]).reshape(column).astype(dtype) for shape in shapes]
        expected = [e + p * s for e, p, s in zip(expected, places, steps, strict=True)]
        length = _linear(whole, [shape[axis] for shape in shapes], count)
        place = whole.node("Range", np.array(0), length, np.array(1))
        place = _cast(whole, whole.node("Reshape", place, whole.integers(column)), dtype)
        result = whole.node("Add", result, whole.node("Mul", place, _linear(whole, steps, count)))
    pairs = zip(expected, values, strict=True)
    if not all(_equal(np.broadcast_to(e, value.shape), value) for e, value in pairs):
        raise ArgumentError(f"a constant of the model depends on the batch size; {FIXED}")
    if growing:
        whole.node("Expand", result, _linear(whole, shapes, count))
    whole.nodes[-1].output[0] = name


def _at(value: Array, growing: list[int], axis: int | None = None) -> Array:
    """The first places along the axes that grow; the second ones along one of them."""
    parts = [slice(None)] * value.ndim
    for other in growing:
        parts[other] = slice(1, 2) if other == axis else slice(0, 1)
    return value[tuple(parts)]


def _steps(
    values: list[Array], firsts: list[Array], growing: list[int], axis: int
) -> list[Array] | None:
    """From place to place along an axis; None if there are none, as all places are alike."""
    seconds = [_at(value, growing, axis) for value in values]
    alike = all(_equal(a, b) for a, b in zip(firsts, seconds, strict=True))
    if alike or values[0].dtype.kind not in "if" or not all(second.size for second in seconds):
        return None
    with np.errstate(all="ignore"):
        return [b - a for a, b in zip(firsts, seconds, strict=True)]


def _linear(whole: Builder, values: list[Any], count: str) -> str:
    """The name of a·n + b, or of a constant."""
    if all(_equal(values[0], value) for value in values):
        return whole.constant(values[0])
    slope, offset = _line(values)
    n = _cast(whole, count, slope.dtype)
    return whole.node("Add", whole.node("Mul", n, slope), offset)


def _cast(whole: Builder, name: str, dtype: DType) -> str:
    return name if dtype == INT64 else whole.node("Cast", name, to=onnx_dtype(dtype))


def _line(values: list[Any]) -> tuple[Array, Array]:
    """a and b, of the values' dtype, so that these are a·n + b."""
    (n, m, _), dtype = SIZES, values[0].dtype
    if dtype.kind in "if":
        slope = ((values[1] - values[0]) / (m - n)).astype(dtype)
        offset = values[0] - slope * n
        if all(np.array_equal(slope * k + offset, v) for k, v in zip(SIZES, values, strict=True)):
            return slope, offset
    raise ArgumentError(f"a number of the model depends on the batch size; {FIXED}")
