"""From a graph to machine code: lower, plan, divide, place, emit, optimize; or from the disk."""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir

from gradlab.execute.native.assemble import assemble
from gradlab.execute.native.cache import DiskCache, cache_folder, version
from gradlab.execute.native.emit.nest import nest_scratch_bytes
from gradlab.execute.native.emit.program import emit_program
from gradlab.execute.native.emit.special import SPECIALS
from gradlab.execute.native.fuse import is_arange
from gradlab.execute.native.machine import LINE, host, identity, optimized, vector_lanes
from gradlab.execute.native.memory import place
from gradlab.execute.native.partition import divide
from gradlab.execute.native.plan import Buffer, Kernel, MatrixProduct, Nest, Plan, SpecialKernel
from gradlab.execute.native.product.blas import library
from gradlab.execute.native.product.choice import method
from gradlab.execute.native.product.emit import scratch_bytes
from gradlab.execute.native.schedule import schedule
from gradlab.execute.native.verify import check_plan, checking
from gradlab.graph import Graph, Tensor
from gradlab.graph.tensor import Symbol

TINY = 100_000
"""Operations of an update up to which all kernels become one function."""
WORTH_SHARING = 25_000_000
"""Operations of an update from which several threads are faster than one."""
BYTE = np.dtype(np.uint8)
ZONE = 4 * LINE
"""Bytes around each buffer of a guarded program that nothing may touch."""


def make_plan(
    graph: Graph, gathered: int, halt: int | None, threads: int, guarded: bool = False
) -> Plan:
    """The kernels of a lowered graph, divided among threads, and the places of its buffers.

    A guarded program's buffers have red zones around them, and BLAS, whose accesses nothing can
    check, has no part in it.

    Raises:
        ArgumentError: an op that the native executor does not know.
        CompilerError: a plan that is wrong, where plans are checked.
    """
    plan = assemble(graph, gathered, halt)
    if work(plan) >= WORTH_SHARING:
        plan.threads = threads
    for kernel in plan.kernels:
        if isinstance(kernel, MatrixProduct):
            kernel.method = "tiled" if guarded else method(kernel.product)
        _provide_scratch(kernel, plan)
    divide(plan)
    schedule(plan)
    place(plan, ZONE if guarded else 0)
    if guarded or checking():
        check_plan(plan)
    return plan


def work(plan: Plan) -> int:
    """Operations of one update."""
    return sum(kernel.flops for kernel in plan.kernels)


def _is_tiny(plan: Plan) -> bool:
    return work(plan) <= TINY


def _provide_scratch(kernel: Kernel, plan: Plan) -> None:
    """Memory in which a kernel takes notes, for each thread its own."""
    if isinstance(kernel, MatrixProduct):
        size = scratch_bytes(kernel.product, kernel.method)
    elif isinstance(kernel, Nest):
        size = nest_scratch_bytes(kernel)
    elif isinstance(kernel, SpecialKernel):
        size = SPECIALS[kernel.call.name].scratch_bytes(kernel.call)
    else:
        return
    if size:
        kernel.scratch = Buffer("arena", len(plan.buffers), BYTE, size, copies=plan.threads)
        plan.buffers.append(kernel.scratch)


def emit(plan: Plan, timed: bool = False, guarded: bool = False) -> ir.Module:
    """The LLVM IR of a plan."""
    return emit_program(plan, vector_lanes(), _is_tiny(plan), timed, guarded)


@dataclass(frozen=True)
class Compiled:
    """Machine code, and what its caller provides.

    Attributes:
        arena: bytes of memory for what is computed on the way.
        threads: how many threads call it at the same time.
        blas: whether it calls BLAS.
        kernels: how many there are.
        code: the object code.
    """

    arena: int
    threads: int
    blas: bool
    kernels: int
    code: bytes

    def pack(self) -> bytes:
        """As bytes for the disk."""
        head = json.dumps([self.arena, self.threads, self.blas, self.kernels])
        return head.encode() + b"\n" + self.code

    @staticmethod
    def unpack(payload: bytes) -> Compiled:
        """What ``pack`` gave, again."""
        head, _, code = payload.partition(b"\n")
        arena, threads, blas, kernels = json.loads(head)
        return Compiled(arena, threads, blas, kernels, code)


def compiled(
    graph: Graph,
    gathered: int,
    halt: int | None,
    threads: int,
    timed: bool,
    guarded: bool = False,
) -> Compiled:
    """Machine code of a graph, from the disk if it is there.

    Args:
        graph: lowered.
        gathered: how many of the first inputs are a batch of rows of data.
        halt: number of the emitted boolean that ends a run of updates once it is False.
        threads: how many it may use.
        timed: whether it takes the time of each kernel.
        guarded: whether it checks the bounds of every access.

    Raises:
        ArgumentError: an op that the native executor does not know.
        CompilerError: a plan that is wrong, where plans are checked.
    """
    cache = DiskCache(cache_folder())
    key = content(graph, gathered, halt, threads, timed, guarded)
    payload = cache.get(key)
    if payload is not None:
        return Compiled.unpack(payload)
    machine = host()
    with _no_collection():
        plan = make_plan(graph, gathered, halt, threads, guarded)
        module = optimized(emit(plan, timed, guarded), machine, unroll=_is_tiny(plan))
    code = machine.emit_object(module)
    blas = any(k.method == "blas" for k in plan.kernels if isinstance(k, MatrixProduct))
    made = Compiled(plan.arena, plan.threads, blas, len(plan.kernels), code)
    cache.put(key, made.pack())
    return made


@contextmanager
def _no_collection() -> Iterator[None]:
    """Python's cyclic garbage collector rests: all that is made here stays for a while.

    To look through it again and again would take as long as making it.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def content(
    graph: Graph,
    gathered: int,
    halt: int | None,
    threads: int,
    timed: bool,
    guarded: bool = False,
) -> str:
    """A digest of all that machine code depends on."""
    numbers: dict[int, int] = {}
    lines: list[Any] = [
        version(),
        identity(),
        library() is not None,
        threads,
        gathered,
        halt,
        timed,
        guarded,
    ]

    def name(x: Tensor) -> Any:
        if id(x) in numbers:
            return numbers[id(x)]
        numbers[id(x)] = len(numbers)
        first = (numbers[id(x)], x.shape, str(x.dtype))
        # Of constants only single numbers are part of the code, and that others count rows.
        if isinstance(x, Symbol):
            return first
        return (*first, x.value.tobytes() if x.size == 1 else is_arange(x))

    for symbol in (*graph.inputs, *(x for _, x in graph.captured)):
        lines.append(name(symbol))
    for node in graph.nodes:
        assert node.op is not None
        given = [name(x) for x in node.inputs]
        params = sorted((k, str(v)) for k, v in node.params.items())
        lines.append((node.op.name, given, params, name(node)))
    variables = {variable: i for i, (variable, _) in enumerate(graph.captured)}
    for variable, x in graph.assigned:
        lines.append((variables.setdefault(variable, len(variables)), name(x)))
    lines.append([name(x) for x in graph.outputs])
    return hashlib.sha256("\n".join(map(repr, lines)).encode()).hexdigest()
