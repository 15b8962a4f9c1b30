"""Loop: many updates of a step graph, over rows picked from data, without leaving the executor."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest

import numpy as np
from numpy.typing import ArrayLike

from gradlab.errors import ArgumentError, DTypeError, ShapeError
from gradlab.execute.compiled import Run, program
from gradlab.graph import Graph, Tensor, Variable
from gradlab.graph.dtypes import Array, DType
from gradlab.graph.variable import changing

LARGE = 1 << 20
"""Bytes from which on a Variable's array is worth not copying."""


class Loop:
    """A step graph run again and again.

    Args:
        graph: its first inputs are *gathered* (a batch of rows of each array of ``data``), the
            others *stepped* (a number that may differ at each update). Its Variables are
            *carried* from update to update. Its outputs are *emitted*, one value an update.
        data: one array for each gathered input. Arrays whose rows are contiguous are never copied:
            memory maps and windows that overlap stay what they are.
        executor: which executor runs it.
        halt: number of an emitted boolean; the run ends after the first update at which it is
            False. None: it never ends early.

    Raises:
        ShapeError: data whose rows do not fit the graph's inputs, or stepped inputs that are no
            single numbers.
        DTypeError: data of another kind than an input, floats for whole numbers.

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
        self._gathered = graph.inputs[: len(data)]
        if len(self._gathered) < len(data):
            raise ShapeError(
                f"{len(data)} arrays of data for a graph with {len(graph.inputs)} inputs"
            )
        self._check_rows(data)
        batches = {symbol.shape[0] for symbol in self._gathered}
        if len(batches) > 1:
            raise ShapeError(f"the gathered inputs have batches of {sorted(batches)} rows")
        for symbol in graph.inputs[len(data) :]:
            if symbol.shape:
                raise ShapeError(f"a stepped input is a single number, not of shape {symbol.shape}")
        self.batch = batches.pop() if batches else None
        self.program = program(graph, executor, len(data), halt)
        self.data = self._as_read(data)

    def run(self, indices: ArrayLike, stepped: Sequence[Sequence[float]] | Array) -> list[Array]:
        """Do one update for each row of ``indices``; the emitted values, one array an output.

        Large arrays that only their Variables hold are updated where they lie, without a copy; if
        the run fails, these are filled with NaN.

        Args:
            indices: rows of the data for each update, of shape (updates, batch).
            stepped: the numbers for each update, of shape (updates, stepped inputs).

        Raises:
            ShapeError: a row that the data do not have, rows of another batch size, or numbers for
                another count of updates.
            DTypeError: indices that are no whole numbers.
        """
        graph = self.program.graph
        rows = self._rows(indices)
        inputs = self._numbers(stepped, len(rows))
        given = {v for v, _ in graph.assigned if v.held.value.nbytes >= LARGE and _is_alone(v)}
        state = self._held()
        try:
            emitted, new = self.program.updates(self.data, rows, inputs, state, given)
        except ShapeError:
            for variable in given:  # half done, they must not pass for results
                state[variable].fill(np.nan if variable.dtype.kind == "f" else 0)
            raise
        with changing:
            for variable, value in new.items():
                variable.assign(Tensor(value))
        return emitted

    def run_from(
        self,
        state: Mapping[Variable, ArrayLike],
        indices: ArrayLike,
        stepped: Sequence[Sequence[float]] | Array,
    ) -> tuple[dict[Variable, Array], list[Array]]:
        """Do what ``run`` does from other values than the Variables hold, which they keep.

        So one loop serves many models, also from several Python threads at a time.

        Args:
            state: values of Variables; what the others hold serves for them.
            indices, stepped: as in ``run``.

        Returns:
            The new values of the Variables, and the emitted values.

        Raises:
            ShapeError, DTypeError: as in ``run``; or a value of another shape.
            ArgumentError: a value of a Variable that the graph has not.
        """
        held = self._held()
        rows = self._rows(indices)
        inputs = self._numbers(stepped, len(rows))
        started = held | _checked(state, held)
        emitted, new = self.program.updates(self.data, rows, inputs, started)
        return new, emitted

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
            ShapeError, DTypeError: as in ``run``; or a state of another shape.
            ArgumentError: not as many of each; a state of a Variable that the graph has not.

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
        held = self._held()

        def runs() -> Iterator[Run]:
            for model in zip_longest(states, indices, stepped):
                if any(part is None for part in model):
                    raise ArgumentError("states, indices and stepped must be for as many models")
                state, rows, numbers = model
                checked = self._rows(rows)
                yield checked, self._numbers(numbers, len(checked)), held | _checked(state, held)

        found = self.program.many(self.data, runs())
        return [(new, emitted) for emitted, new in found]

    def over(self, data: Sequence[Array]) -> Loop:
        """The same program over other data of the same kinds.

        Raises:
            ShapeError, DTypeError: as when a loop is made.
        """
        if len(data) != len(self.data):
            raise ShapeError(f"{len(data)} arrays of data for a loop over {len(self.data)}")
        self._check_rows(data)
        other = copy.copy(self)
        other.data = self._as_read(data)
        return other

    def _held(self) -> dict[Variable, Array]:
        """What the Variables of the graph hold."""
        graph = self.program.graph
        with changing:
            return {v: v.held.value for v, _ in (*graph.captured, *graph.assigned)}

    def _check_rows(self, data: Sequence[Array]) -> None:
        for number, (array, symbol) in enumerate(zip(data, self._gathered, strict=True)):
            if not symbol.shape or np.shape(array)[1:] != symbol.shape[1:] or not np.ndim(array):
                raise ShapeError(
                    f"data[{number}] has shape {np.shape(array)}; the graph takes batches of shape "
                    f"{symbol.shape}, so its rows must have shape {symbol.shape[1:]}"
                )

    def _as_read(self, data: Sequence[Array]) -> list[Array]:
        """Data as executors read them."""
        return [
            _as(f"data[{number}]", np.asarray(array), x.dtype)
            for number, (array, x) in enumerate(zip(data, self._gathered, strict=True))
        ]

    def _rows(self, indices: ArrayLike) -> Array:
        """Numbers of rows, none negative, all there."""
        rows = np.asarray(indices)
        if rows.ndim != 2 or (self.batch is not None and rows.shape[1] != self.batch):
            wanted = "(updates, batch)" if self.batch is None else f"(updates, {self.batch})"
            raise ShapeError(f"indices have shape {rows.shape}; give a matrix of shape {wanted}")
        if rows.size == 0 or not self.data:
            return np.zeros(rows.shape, np.int64)
        if rows.dtype.kind not in "iu":
            raise DTypeError(f"indices must be whole numbers, not {rows.dtype}")
        count = min(len(array) for array in self.data)
        low, high = int(rows.min()), int(rows.max())
        if not -count <= low <= high < count:
            raise ShapeError(f"rows {low} to {high} are asked of data with {count} rows")
        rows = np.require(rows, np.int64, ["C", "A"])
        return rows % count if low < 0 else rows

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
        whole = numbers[:, [x.dtype.kind != "f" for x in symbols]]
        if (whole != np.floor(whole)).any():
            raise DTypeError("stepped has fractions for an input of whole numbers")
        return [np.ascontiguousarray(numbers[:, i], x.dtype) for i, x in enumerate(symbols)]


def _as(name: str, array: Array, dtype: DType) -> Array:
    """An array as executors read it: contiguous rows, of the dtype if that is no lesser kind."""
    if not np.can_cast(array.dtype, dtype, "same_kind"):
        raise DTypeError(f"{name} has dtype {array.dtype}; the graph takes {dtype}")
    array = array.astype(dtype, copy=False)
    rows = array[:1].flags
    return array if rows.c_contiguous and rows.aligned else np.require(array, None, ["C", "A"])


def _checked(
    state: Mapping[Variable, ArrayLike], known: Mapping[Variable, Array]
) -> dict[Variable, Array]:
    """Values as arrays of their Variables' dtype and shape."""
    found = {}
    for variable, value in state.items():
        name = variable.name or "a variable"
        if variable not in known:
            raise ArgumentError(f"a state has a value for {name}, which the graph does not use")
        found[variable] = np.asarray(value, variable.dtype)
        if found[variable].shape != variable.shape:
            raise ShapeError(
                f"a state has shape {found[variable].shape} for {name}, which is {variable.shape}"
            )
    return found


def _is_alone(variable: Variable) -> bool:
    """Whether nobody but the Variable holds its array, or another look at the same memory."""
    tensor, array, memory = _references(variable)
    return (tensor, array) == _ALONE[:2] and memory in (0, _ALONE[2])


def _references(variable: Variable) -> tuple[int, int, int]:
    """How often its tensor, its array, and the memory that is part of (0: none) are referred to."""
    tensor = variable.held
    array = tensor.value
    memory = 0 if array.base is None else sys.getrefcount(array.base)
    return sys.getrefcount(tensor), sys.getrefcount(array), memory


def _view() -> Variable:
    made = Variable(0.0)
    made.assign(Tensor(np.empty(8, np.uint8)[:4].view(np.float32).reshape(())))
    return made


_ALONE = _references(_view())
"""Of a Variable whose array is part of memory that nothing else uses."""
