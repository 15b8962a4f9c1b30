"""Where an update stopped being finite, in words that a user of the model knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from gradlab.execute import Loop, NumpyProgram
from gradlab.graph import Graph, Tensor, Variable
from gradlab.graph.dtypes import Array


def first_bad(
    loop: Loop, rows: Array, stepped: Array, variables: Mapping[str, Variable]
) -> str | None:
    """The first tensor of an update in parts that is not finite, in the first part that has one.

    Args:
        loop: over the parts.
        rows, stepped: what the loop takes for the parts.
        variables: all that the loop changes, by name, with the values before the update; they keep
            them.
    """
    values: dict[Variable, Array] = {}
    for part, numbers in zip(rows, stepped, strict=True):
        inputs = [array[part] for array in loop.data]
        inputs += [np.asarray(number) for number in numbers]
        found = first_nonfinite(loop.program.graph, inputs, part, variables, values)
        if found is not None:
            return found
        new, _ = loop.run_from(values, part[None], numbers[None])
        values |= new
    return None


def first_nonfinite(
    graph: Graph,
    inputs: Sequence[Array],
    rows: Array,
    variables: Mapping[str, Variable],
    values: Mapping[Variable, Array] = MappingProxyType({}),
) -> str | None:
    """The first tensor of an update, in order of computation, that holds a NaN or an infinity.

    Only tensors that have a name are told of: data, variables, outputs of modules, the loss,
    gradients, and what the variables become.

    Args:
        graph: of one update.
        inputs: its inputs; the first are the batch x and its targets y.
        rows: where the rows of the batch are in the data.
        variables: all that training changes, by name.
        values: values before the update of those that hold others.

    >>> from gradlab.graph import Spec, trace
    >>> w = Variable(2.0, name="w")
    >>> graph = trace(lambda x: ((w * x).named("output") ** 2).named("loss"), Spec((), name="x"))
    >>> first_nonfinite(graph, [np.float32(1e30)], np.array([0]), {"w": w})
    'loss'
    >>> first_nonfinite(graph, [np.float32("nan")], np.array([7]), {"w": w})
    'row 7 of x'
    """
    names = {v: v.name or "a Variable" for v, _ in (*graph.captured, *graph.assigned)}
    names |= {variable: name for name, variable in variables.items()}
    told: list[tuple[str, Tensor]] = [
        (f"{names[variable]} before the update", symbol) for variable, symbol in graph.captured
    ]
    told += [(node.name, node) for node in graph.nodes if node.name]
    told += [(f"{names[variable]} after the update", value) for variable, value in graph.assigned]

    program = NumpyProgram(replace(graph, outputs=tuple(x for _, x in told), assigned=()))
    for symbol, value in zip(graph.inputs, inputs, strict=True):
        bad = ~_finite(value)
        if bad.any():
            row = rows[np.argwhere(bad)[0, 0]] if bad.ndim else rows[0]
            return f"row {row} of {symbol.name}"
    state = [values.get(variable, variable.held.value) for variable, _ in graph.captured]
    results, _ = program.run(inputs, state)
    found = (name for (name, _), x in zip(told, results, strict=True) if not _finite(x).all())
    return next(found, None)


def _finite(value: Array) -> Array:
    """Which elements are finite."""
    array = np.asarray(value)
    return np.isfinite(array) if array.dtype.kind == "f" else np.ones(array.shape, bool)
