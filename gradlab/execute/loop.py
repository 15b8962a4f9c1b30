"""Loop: many updates of a step graph, over rows picked from data, without leaving the executor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradlab.execute.compiled import program
from gradlab.graph import Graph
from gradlab.graph.dtypes import Array


class Loop:
    """A step graph run again and again.

    Args:
        graph: its first inputs are *gathered* (a batch of rows of each array of ``data``), the
            others *stepped* (a number that may differ at each update). Its Variables are
            *carried* from update to update. Its outputs are *emitted*, one value an update.
        data: one array for each gathered input.
        executor: which executor runs it.
        halt: number of an emitted boolean; the run ends after the first update at which it is
            False. None: it never ends early.

    >>> from gradlab.graph import Spec, Variable, trace
    >>> w = Variable(0.0)
    >>> def step(x, rate):
    ...     w.assign(w + rate * x.sum())
    ...     return w
    >>> loop = Loop(trace(step, Spec((2,)), Spec(weak=True)), [np.arange(4, dtype=np.float32)])
    >>> [emitted.tolist() for emitted in loop.run(np.array([[0, 1], [2, 3]]), [[1.0], [10.0]])]
    [[1.0, 51.0]]
    """

    def __init__(
        self,
        graph: Graph,
        data: Sequence[Array],
        executor: str = "numpy",
        halt: int | None = None,
    ) -> None:
        self.program = program(graph, executor)
        self.data = [
            np.asarray(array).astype(symbol.dtype, casting="same_kind", copy=False)
            for array, symbol in zip(data, graph.inputs, strict=False)
        ]
        self.halt = halt

    def run(self, indices: Array, stepped: Sequence[Sequence[float]]) -> list[Array]:
        """Do one update for each row of ``indices``; the emitted values, one array an output.

        Args:
            indices: rows of the data for each update, of shape (updates, batch).
            stepped: the numbers for each update.
        """
        graph = self.program.graph
        kinds = [symbol.dtype for symbol in graph.inputs[len(self.data) :]]
        variables = {variable: variable.held.value for variable, _ in graph.captured}
        variables |= {variable: variable.held.value for variable, _ in graph.assigned}
        emitted: list[list[Array]] = []
        for rows, numbers in zip(indices, stepped, strict=True):
            inputs = [array[rows] for array in self.data]
            inputs += [np.asarray(n, kind) for n, kind in zip(numbers, kinds, strict=True)]
            state = [variables[variable] for variable, _ in graph.captured]
            outputs, assigned = self.program.run(inputs, state)
            for (variable, _), value in zip(graph.assigned, assigned, strict=True):
                variables[variable] = value
            emitted.append(outputs)
            if self.halt is not None and not outputs[self.halt]:
                break
        for variable, _ in graph.assigned:
            variable.assign(variables[variable])
        return [
            np.array([outputs[i] for outputs in emitted], x.dtype).reshape(len(emitted), *x.shape)
            for i, x in enumerate(graph.outputs)
        ]
