"""Rows that are made of simpler ones, written out, so that the compiler need not know them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Container

import numpy as np

from gradlab.execute.native.fuse import is_arange
from gradlab.execute.native.verify import check_rewritten
from gradlab.execute.simplify import simplify
from gradlab.graph import (
    Graph,
    Tensor,
    apply,
    equal,
    exp,
    isfinite,
    less,
    log,
    max,
    permute_dims,
    reshape,
    sum,
    where,
)
from gradlab.graph.indexing import INDEX_ADD, TAKE
from gradlab.graph.op import OPS, Op, Shape
from gradlab.graph.tensor import Symbol, active
from gradlab.graph.trace import Spec, Trace
from gradlab.graph.windows import FOLD, Sizes


def _log_softmax(x: Tensor, axis: int) -> Tensor:
    shifted = x - max(x, axis, keepdims=True)
    return shifted - log(sum(exp(shifted), axis, keepdims=True))


def _logsumexp(x: Tensor, axis: tuple[int, ...], keepdims: bool) -> Tensor:
    top = max(x, axis, keepdims=True)
    # An infinite maximum is the answer by itself, and ∞ − ∞ would be NaN.
    shift = where(isfinite(top), top, 0.0)
    f = log(sum(exp(x - shift), axis, keepdims=True)) + shift
    if keepdims:
        return f
    return reshape(f, [n for i, n in enumerate(x.shape) if i not in axis])


def _index_add(x: Tensor, *arrays: Tensor, key: tuple[object, ...], shape: Shape) -> Tensor:
    """One element added to each row: 0 in all columns but the one of the row's number.

    It does not see a number out of range, so there must be an ``index`` of the same numbers too.
    """
    alike = len({x.shape, *(a.shape for a in arrays)}) == 1
    matrix = key == (TAKE, TAKE) and len(shape) == 2
    if not (matrix and alike and x.size == shape[0] and is_arange(arrays[0])):
        return apply(INDEX_ADD, (x, *arrays), {"key": key, "shape": shape})
    x, columns = (reshape(tensor, (shape[0], 1)) for tensor in (x, arrays[1]))
    columns = where(less(columns, 0), columns + shape[1], columns)
    return where(equal(columns, np.arange(shape[1])), x, np.zeros((), x.dtype))


def _fold(x: Tensor, lengths: Sizes, stride: Sizes, dilation: Sizes) -> Tensor:
    """Windows that lie side by side and leave nothing out are the tensor itself, in pieces."""
    rank = len(lengths)
    lead, counts, size = x.shape[: -2 * rank], x.shape[-2 * rank : -rank], x.shape[-rank:]
    along = zip(lengths, counts, size, stride, dilation, strict=True)
    if not all(s == k and n == p * k and (d == 1 or k == 1) for n, p, k, s, d in along):
        return apply(FOLD, (x,), {"lengths": lengths, "stride": stride, "dilation": dilation})
    pairs = [axis for i in range(rank) for axis in (len(lead) + i, len(lead) + rank + i)]
    return reshape(permute_dims(x, [*range(len(lead)), *pairs]), (*lead, *lengths))


Rule = Callable[..., Tensor]
WRITTEN_OUT: dict[str, Rule] = {
    "fold": _fold,
    "log_softmax": _log_softmax,
    "logsumexp": _logsumexp,
    "index_add": _index_add,
}


def lower(graph: Graph) -> Graph:
    """The same computation in primitive rows.

    >>> from gradlab.graph import trace, log_softmax
    >>> print(lower(trace(log_softmax, Spec((2,), name="x"))))
    in   x: float32(2)
    %1 = max(x, axis=(0,), keepdims=True): float32(1)
    %2 = subtract(x, %1): float32(2)
    %3 = exp(%2): float32(2)
    %4 = sum(%3, axis=(0,), keepdims=True): float32(1)
    %5 = log(%4): float32(1)
    %6 = subtract(%2, %5): float32(2)
    out  %6
    """
    return _written(written_out(graph), _built_in)


def written_out(graph: Graph, known: Container[str] = ()) -> Graph:
    """The same computation, with a user's rows in the ops that they are composed of, if they say.

    Args:
        known: names of rows of the user's own that are to stay.
    """

    def rule_of(op: Op) -> Rule | None:
        stays = OPS.get(op.name) is op or (op.name in known and op.name not in OPS)
        return None if stays else op.composed

    while any(node.op and rule_of(node.op) for node in graph.nodes):
        graph = _written(graph, rule_of)  # a row may consist of others of the user's
    return graph


def _built_in(op: Op) -> Rule | None:
    return WRITTEN_OUT.get(op.name) if OPS.get(op.name) is op else None


def _written(graph: Graph, rule_of: Callable[[Op], Rule | None]) -> Graph:
    """The graph with each row that has a rule written out by it."""
    if not any(node.op and rule_of(node.op) for node in graph.nodes):
        return graph
    recording, outer = Trace(), active.trace
    picked = {
        _picks(node, node.inputs[0].shape)
        for node in graph.nodes
        if node.op and node.op.name == "index"
    }
    new: dict[int, Tensor] = {}

    def fresh(symbol: Symbol) -> Symbol:
        spec = Spec(symbol.shape, symbol.dtype, symbol.weak, symbol.name)
        new[id(symbol)] = made = recording.input(spec)
        return made

    inputs = tuple(fresh(symbol) for symbol in graph.inputs)
    captured = tuple((variable, fresh(symbol)) for variable, symbol in graph.captured)
    active.trace = recording
    try:
        for node in graph.nodes:
            assert node.op is not None
            given = tuple(new.get(id(x), x) for x in node.inputs)
            rule = rule_of(node.op)
            if node.op.name == "index_add" and _picks(node, node.params["shape"]) not in picked:
                rule = None
            made = rule(*given, **node.params) if rule else apply(node.op, given, node.params)
            check_rewritten(node, made)
            made.weak = node.weak
            new[id(node)] = made
    finally:
        active.trace = outer
    return simplify(
        dataclasses.replace(
            graph,
            nodes=tuple(recording.nodes),
            inputs=inputs,
            captured=captured,
            outputs=tuple(new.get(id(x), x) for x in graph.outputs),
            assigned=tuple((variable, new.get(id(x), x)) for variable, x in graph.assigned),
        )
    )


def _picks(node: Symbol, shape: Shape) -> tuple[object, ...]:
    """What a node picks: of a shape, by a key, with the arrays that follow its first input."""
    return shape, node.params["key"], tuple(id(x) for x in node.inputs[1:])
