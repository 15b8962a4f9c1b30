"""Runs a Graph node by node with NumPy: the reference that other executors are tested against."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any

import numpy as np

from gradlab.errors import ShapeError
from gradlab.graph import Graph, Tensor, Variable
from gradlab.graph.dtypes import Array
from gradlab.graph.indexing import described_pick

Step = tuple[Callable[..., Any], tuple[int, ...], int, Mapping[str, Any], tuple[int, ...]]


class NumpyProgram:
    """A Graph made ready to run: each node a call, each value a numbered place.

    >>> from gradlab.graph import Spec, trace
    >>> program = NumpyProgram(trace(lambda x: x * 2 + 1, Spec((2,))))
    >>> program.run([np.ones(2, np.float32)], [])
    ([array([3., 3.], dtype=float32)], [])
    """

    def __init__(self, graph: Graph, gathered: int = 0, halt: int | None = None) -> None:
        self.graph = graph
        self.halt = halt
        self._values: list[Any] = []
        places: dict[int, int] = {}

        def place(x: Tensor, value: Any) -> int:
            if id(x) not in places:
                places[id(x)] = len(self._values)
                self._values.append(value)
            return places[id(x)]

        self._inputs = [place(x, None) for x in graph.inputs]
        self._captured = [place(x, None) for _, x in graph.captured]
        nodes = {id(x) for x in (*graph.nodes, *graph.inputs, *(x for _, x in graph.captured))}

        def operand(x: Tensor) -> int:
            return place(x, None if id(x) in nodes else x.value)

        calls = []
        for node in graph.nodes:
            assert node.op is not None
            inputs = tuple(operand(x) for x in node.inputs)
            calls.append((node.op.forward, inputs, place(node, None), node.params))
        self._outputs = [operand(x) for x in graph.outputs]
        self._assigned = [operand(x) for _, x in graph.assigned]
        self.steps = self._with_lifetimes(calls)

    def _with_lifetimes(self, calls: list[Any]) -> list[Step]:
        """Each call with the places that nothing reads after it, so that memory is given back."""
        made = {out for _, _, out, _ in calls}
        last: dict[int, int] = {}
        for i, (_, inputs, out, _) in enumerate(calls):
            last.update(dict.fromkeys((*inputs, out), i))
        kept = {*self._outputs, *self._assigned}
        free: list[list[int]] = [[] for _ in calls]
        for slot, i in last.items():
            if slot in made and slot not in kept:
                free[i].append(slot)
        return [(*call, tuple(slots)) for call, slots in zip(calls, free, strict=True)]

    def run(self, inputs: Sequence[Any], state: Sequence[Any]) -> tuple[list[Array], list[Array]]:
        """Outputs and new values of the assigned Variables, from inputs and captured values."""
        values = self.start(inputs, state)
        with np.errstate(all="ignore"):  # a result that is not finite is seen in what comes out
            for number, (forward, places, out, params, free) in enumerate(self.steps):
                try:
                    values[out] = forward(np, *[values[i] for i in places], **params)
                except IndexError as error:
                    fault = described_pick(self.graph.nodes[number])
                    raise ShapeError(f"{fault}: {error}") from None
                for slot in free:
                    values[slot] = None
        return (
            [np.asarray(values[i]) for i in self._outputs],
            [np.asarray(values[i]) for i in self._assigned],
        )

    def updates(
        self,
        data: Sequence[Array],
        rows: Array,
        inputs: Sequence[Array],
        state: Mapping[Variable, Array],
        given: Set[Variable] = frozenset(),
    ) -> tuple[list[Array], dict[Variable, Array]]:
        """One update for each row of row numbers: emitted values, and the new state.

        Args:
            data: arrays whose rows are gathered as the first inputs.
            rows: their numbers, of shape (updates, batch).
            inputs: numbers of each of the other inputs, one an update.
            state: the Variables' values.
            given: Variables whose arrays may be overwritten; here none is.
        """
        values = dict(state)
        emitted: list[list[Array]] = []
        for i, picked in enumerate(rows):
            taken = [array[picked] for array in data] + [numbers[i] for numbers in inputs]
            outputs, assigned = self.run(taken, [values[v] for v, _ in self.graph.captured])
            values |= zip((v for v, _ in self.graph.assigned), assigned, strict=True)
            emitted.append(outputs)
            if self.halt is not None and not outputs[self.halt]:
                break
        return (
            [
                np.array([outputs[i] for outputs in emitted], x.dtype).reshape(
                    len(emitted), *x.shape
                )
                for i, x in enumerate(self.graph.outputs)
            ],
            {v: values[v] for v, _ in self.graph.assigned},
        )

    def many(
        self,
        data: Sequence[Array],
        runs: Iterable[tuple[Array, Sequence[Array], Mapping[Variable, Array]]],
    ) -> list[tuple[list[Array], dict[Variable, Array]]]:
        """What ``updates`` gives for each of many runs, one after another."""
        return [self.updates(data, rows, inputs, state) for rows, inputs, state in runs]

    def start(self, inputs: Sequence[Any], state: Sequence[Any]) -> list[Any]:
        """The places with constants, inputs and captured values filled in."""
        values = list(self._values)
        for slot, value in zip(self._inputs, inputs, strict=True):
            values[slot] = value
        for slot, value in zip(self._captured, state, strict=True):
            values[slot] = value
        return values
