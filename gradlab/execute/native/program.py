"""NativeProgram: a graph as machine code, and the memory that it runs in."""

from __future__ import annotations

import ctypes
import functools
import time
from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import nullcontext
from typing import Any

import numpy as np

from gradlab.errors import ShapeError
from gradlab.execute.native.assemble import constants, state_variables
from gradlab.execute.native.compiler import compiled, emit, make_plan
from gradlab.execute.native.explain import explain, memory
from gradlab.execute.native.guard import Guarded, address, aligned
from gradlab.execute.native.lower import lower
from gradlab.execute.native.machine import MachineCode
from gradlab.execute.native.plan import Plan, SpecialKernel
from gradlab.execute.native.product.blas import bind, single_threaded
from gradlab.execute.native.threads import each, thread_count, together
from gradlab.execute.native.verify import check_graph, checking
from gradlab.graph import Graph, Variable
from gradlab.graph.dtypes import Array


class NativeProgram:
    """A Graph as machine code for the machine at hand.

    Args:
        graph: what to compute.
        gathered: how many of the first inputs are a batch of rows of data.
        halt: number of an emitted boolean; a run ends after the first update at which it is False.
        threads: how many it may use; by default GRADLAB_THREADS, or else all cores. Small programs
            use one.
        timed: whether it takes the time of each kernel, which ``profile`` shows.
        guard: whether every access to memory is checked, so that a fault of the compiler is an
            error that names kernel, buffer and place, and touches nothing else; many times slower.
            By default as GRADLAB_GUARD says: "memory" for all programs.

    Raises:
        ArgumentError: an op of the user's own, which the compiler does not know.
        CompilerError: a fault of the compiler, where it is checked.

    >>> from gradlab.graph import Spec, trace
    >>> program = NativeProgram(trace(lambda x: x * 2 + 1, Spec((2,))))
    >>> program.run([np.ones(2, np.float32)], [])
    ([array([3., 3.], dtype=float32)], [])
    """

    def __init__(
        self,
        graph: Graph,
        gathered: int = 0,
        halt: int | None = None,
        *,
        threads: int | None = None,
        timed: bool = False,
        guard: bool | None = None,
    ) -> None:
        self.graph = graph
        self.gathered = gathered
        self.halt = halt
        self._lowered = lower(graph)
        self._guard = checking() == "memory" if guard is None else guard
        if self._guard or checking():
            check_graph(self._lowered)
        self._threads = thread_count() if threads is None else threads
        self._timed = timed
        self._made = compiled(self._lowered, gathered, halt, self._threads, timed, self._guard)
        if self._made.blas:
            bind()
        self._code = MachineCode(self._made.code)
        self._constants = [np.require(x.value, None, ["C", "A"]) for x in constants(self._lowered)]
        self.variables = state_variables(graph)
        self._arenas: list[Array] = []
        self._ticks = np.zeros(self._made.kernels, np.int64)
        self._seconds = 0.0
        self._updates = 0

    @functools.cached_property
    def plan(self) -> Plan:
        """Kernels and buffers."""
        return make_plan(self._lowered, self.gathered, self.halt, self._threads, self._guard)

    @property
    def ir(self) -> str:
        """LLVM's intermediate representation, before its passes."""
        return str(emit(self.plan, self._timed, self._guard))

    @property
    def memory(self) -> str:
        """Where every buffer lies, and when it is in use."""
        return memory(self.plan)

    def explain(self) -> str:
        """Its kernels: what each does, with operations, bytes and threads.

        >>> from gradlab.graph import Spec, trace
        >>> print(NativeProgram(trace(lambda x: (x * 2 + 1).sum(), Spec((2, 3)))).explain())
        kernel  does                      ops  bytes  threads  for
        0       multiply add sum [2, 3]    18     28  1
        1 kernel, 18 operations, 28 bytes moved, 0 bytes of arena, 1 thread, 0 waits
        """
        return explain(self.plan)

    def profile(self) -> str:
        """``explain`` with the time that each kernel took, of a program that was made timed.

        The times are the first thread's, waits for the others included.

        >>> from gradlab.graph import Spec, trace
        >>> program = NativeProgram(trace(lambda x: x * 2, Spec((2, 3))), timed=True)
        >>> _ = program.run([np.ones((2, 3), np.float32)], [])
        >>> "multiply [2, 3]" in program.profile()
        True
        """
        return explain(self.plan, self.kernel_seconds())

    def kernel_seconds(self) -> list[float]:
        """Seconds that each kernel took an update so far, of a program that was made timed."""
        whole = max(int(self._ticks.sum()), 1)
        seconds = self._seconds / max(self._updates, 1)
        return [seconds * ticks / whole for ticks in self._ticks.tolist()]

    def run(self, inputs: Sequence[Any], state: Sequence[Any]) -> tuple[list[Array], list[Array]]:
        """Outputs and new values of the assigned Variables, from inputs and captured values.

        Raises:
            ShapeError: an input or a value of another shape than the graph's; an index that is out
                of range.
        """
        symbols = [*self.graph.inputs, *(symbol for _, symbol in self.graph.captured)]
        for x, symbol in zip([*inputs, *state], symbols, strict=True):
            if np.shape(x) != symbol.shape:
                raise ShapeError(f"shape {np.shape(x)} given, {symbol.shape} expected")
        given = [
            np.require(x, symbol.dtype, ["C", "A"])
            for x, symbol in zip(inputs, self.graph.inputs, strict=True)
        ]
        held = {v: x for (v, _), x in zip(self.graph.captured, state, strict=True)}
        own = self._own(held)
        emitted, _ = self._call(1, [], None, given, own)
        return [x[0, ...] for x in emitted], [own[v] for v, _ in self.graph.assigned]

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
            data: arrays whose rows are gathered as the first inputs; each row is contiguous, but
                rows may lie anywhere, even overlap.
            rows: their numbers, int64 of shape (updates, batch).
            inputs: numbers of each of the other inputs, one an update, contiguous.
            state: the Variables' values.
            given: Variables whose arrays nobody else uses, so that the new state may take their
                place.
        """
        own = self._own(state, given)
        emitted, done = self._call(len(rows), data, rows, inputs, own)
        return [x[:done] for x in emitted], {v: own[v] for v, _ in self.graph.assigned}

    def many(
        self,
        data: Sequence[Array],
        runs: Iterable[tuple[Array, Sequence[Array], Mapping[Variable, Array]]],
    ) -> list[tuple[list[Array], dict[Variable, Array]]]:
        """What ``updates`` gives for each of many runs, on all cores; each run on one of them."""
        alone = self if self._made.threads == 1 else self._single
        return each(lambda run: alone.updates(data, *run), runs, thread_count())

    @functools.cached_property
    def _single(self) -> NativeProgram:
        """The same program for one thread."""
        options = {"timed": self._timed, "guard": self._guard}
        return NativeProgram(self.graph, self.gathered, self.halt, threads=1, **options)

    def _own(
        self, state: Mapping[Variable, Array], given: Set[Variable] = frozenset()
    ) -> dict[Variable, Array]:
        """Memory for every Variable; what is written is a copy, unless it is given away."""
        written = {variable for variable, _ in self.graph.assigned}
        own = {}
        for variable in self.variables:
            if variable in given and _fits(state[variable]):
                own[variable] = state[variable]
            elif variable in written:
                own[variable] = made = aligned(variable.shape, variable.dtype)
                if variable in state:
                    np.copyto(made, state[variable])
            else:
                own[variable] = np.require(state[variable], variable.dtype, ["C", "A"])
        return own

    def _call(
        self,
        count: int,
        data: Sequence[Array],
        rows: Array | None,
        inputs: Sequence[Array],
        own: Mapping[Variable, Array],
    ) -> tuple[list[Array], int]:
        """Run the machine code; the emitted values, and how many updates were done."""
        outputs = [np.empty((count, *x.shape), x.dtype) for x in self.graph.outputs]
        try:
            arena = self._arenas.pop()
        except IndexError:  # none is free: as many as calls at the same time
            arena = aligned((self._made.arena,), np.uint8)
        error, counter = np.zeros(max(self._made.kernels, 1), np.int32), np.zeros(1, np.int64)
        arrays = [arena, error, _NO_ROWS if rows is None else rows, self._ticks]
        steps = np.array([array.strides[0] for array in data], np.int64)
        arrays += [steps, *data, *inputs]
        arrays += [*(own[v] for v in self.variables), *outputs, *self._constants]
        guarded = Guarded(arrays, len(data)) if self._guard else None
        if guarded:
            arrays = [*guarded.arrays, guarded.report]
        bases = (ctypes.c_void_p * len(arrays))(*map(address, arrays))

        def work(thread: int) -> int:
            return int(self._code.run(count, thread, bases, address(counter)))

        with single_threaded() if self._made.blas else nullcontext():
            start = time.perf_counter()
            done = together(work, self._made.threads, abort=lambda: counter.fill(1 << 62))
            self._seconds += time.perf_counter() - start
            self._updates += done
        self._arenas.append(arena)
        if guarded:
            changed = [own[v] for v, _ in self.graph.assigned]
            guarded.finish(self.plan, [error, self._ticks, *changed, *outputs])
        if error.any():
            kernel = self.plan.kernels[int(error.argmax())]
            assert isinstance(kernel, SpecialKernel)
            raise ShapeError(kernel.fault)
        return outputs, done


def _fits(array: Array) -> bool:
    """Whether machine code can write to an array where it lies; moving it would fragment memory."""
    return array.flags.carray


_NO_ROWS = np.zeros(0, np.int64)
