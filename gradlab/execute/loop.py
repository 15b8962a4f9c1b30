"""Loop: many updates of a step graph, over rows picked from data, without leaving the executor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from gradlab.errors import ShapeError
from gradlab.execute.compiled import Run, program
from gradlab.graph import Graph, Tensor, Variable
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
        executor: str = "native",
        halt: int | None = None,
    ) -> None:
        self.program = program(graph, executor, len(data), halt)
        self.data = [
            np.require(np.asarray(array).astype(x.dtype, casting="same_kind"), None, ["C", "A"])
            for array, x in zip(data, graph.inputs, strict=False)
        ]

    def run(self, indices: ArrayLike, stepped: Sequence[Sequence[float]] | Array) -> list[Array]:
        """Do one update for each row of ``indices``; the emitted values, one array an output.

        Args:
            indices: rows of the data for each update, of shape (updates, batch).
            stepped: the numbers for each update, of shape (updates, stepped inputs).

        Raises:
            ShapeError: a row that the data do not have, or numbers for another count of updates.
        """
        graph = self.program.graph
        rows = self._rows(indices)
        inputs = self._numbers(stepped, len(rows))
        variables = dict.fromkeys(v for v, _ in (*graph.captured, *graph.assigned))
        state = {variable: variable.held.value for variable in variables}
        emitted, new = self.program.updates(self.data, rows, inputs, state)
        for variable, value in new.items():
            variable.assign(Tensor(value))
        return emitted

    def run_many(
        self,
        states: Iterable[Mapping[Variable, ArrayLike]],
        indices: Iterable[ArrayLike],
        stepped: Iterable[Sequence[Sequence[float]] | Array],
    ) -> list[tuple[dict[Variable, Array], list[Array]]]:
        """Run many models of one shape, as many at a time as there are cores; each by itself.

        One compiled program serves all, whatever their rates, schedules, seeds and slots. The
        Variables keep what they hold. A model whose run halts does not touch the others.

        Args:
            states: for each model the value of every Variable of the graph that it has its own of;
                what the Variables hold serves for the others.
            indices, stepped: for each model as in ``run``. All three may be generators, which are
                asked for a model once a core is free for it.

        Returns:
            For each model the new values of the Variables, and the emitted values.

        Raises:
            ShapeError: as in ``run``; or a state of another shape.

        >>> from gradlab.graph import Spec, Variable, trace
        >>> w = Variable(0.0)
        >>> def step(x, rate):
        ...     w.assign(w + rate * x.sum())
        ...     return w
        >>> loop = Loop(trace(step, Spec((2,)), Spec(weak=True)), [np.arange(4, dtype=np.float32)])
        >>> models = loop.run_many([{w: 0.0}, {w: 10.0}], [[[0, 1]], [[2, 3]]], [[[1.0]], [[2.0]]])
        >>> [state[w].item() for state, _ in models]
        [1.0, 20.0]
        """
        graph = self.program.graph
        held = {v: v.held.value for v, _ in (*graph.captured, *graph.assigned)}

        def runs() -> Iterator[Run]:
            for state, rows, numbers in zip(states, indices, stepped, strict=True):
                checked = self._rows(rows)
                yield checked, self._numbers(numbers, len(checked)), held | _checked(state)

        found = self.program.many(self.data, runs())
        return [(new, emitted) for emitted, new in found]

    def _rows(self, indices: ArrayLike) -> Array:
        """Numbers of rows, none negative, all there."""
        rows = np.asarray(indices)
        count = min((len(array) for array in self.data), default=0)
        if rows.size == 0:
            return rows.astype(np.int64)
        low, high = int(rows.min()), int(rows.max())
        if self.data and not -count <= low <= high < count:
            raise ShapeError(f"rows {low} to {high} are asked of data with {count} rows")
        return np.require(rows % count if low < 0 and count else rows, np.int64, ["C", "A"])

    def _numbers(self, stepped: Sequence[Sequence[float]] | Array, updates: int) -> list[Array]:
        """For each stepped input its numbers, one for each update."""
        symbols = self.program.graph.inputs[len(self.data) :]
        numbers = np.asarray(stepped, np.float64)
        if updates == 0 or not symbols:
            numbers = np.zeros((updates, len(symbols)))
        if numbers.shape != (updates, len(symbols)):
            raise ShapeError(
                f"stepped has shape {numbers.shape}; give {len(symbols)} numbers for each of the "
                f"{updates} updates"
            )
        return [np.ascontiguousarray(numbers[:, i], x.dtype) for i, x in enumerate(symbols)]


def _checked(state: Mapping[Variable, ArrayLike]) -> dict[Variable, Array]:
    """Values as arrays of their Variables' dtype and shape."""
    found = {variable: np.asarray(value, variable.dtype) for variable, value in state.items()}
    for variable, value in found.items():
        if value.shape != variable.shape:
            name = variable.name or "a variable"
            raise ShapeError(
                f"{name} has shape {variable.shape}, its value in a state {value.shape}"
            )
    return found
