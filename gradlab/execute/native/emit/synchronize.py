"""The barrier at which threads wait for one another, spinning."""

from __future__ import annotations

import llvmlite.binding as llvm
from llvmlite import ir

from gradlab.execute.native.emit.element import I64, index

PATIENCE = 1 << 12
"""Turns of spinning after which a thread lets others have its core, in case there are fewer."""


def emit_barrier(module: ir.Module, threads: int) -> ir.Function:
    """``void(counter, rounds)``: returns once all threads have called it equally often.

    Each adds one to the shared counter, and waits until it has reached threads · rounds.
    """
    if "barrier" in module.globals:
        return module.get_global("barrier")
    pointer = I64.as_pointer()
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [pointer, pointer]), "barrier")
    function.linkage = "internal"
    function.attributes.add("noinline")
    counter, rounds = function.args
    entry, spin, tired, rest, leave = (
        function.append_basic_block(name) for name in ("entry", "spin", "tired", "rest", "leave")
    )
    b = ir.IRBuilder(entry)
    passed = b.add(b.load(rounds), index(1))
    b.store(passed, rounds)
    goal = b.mul(passed, index(threads))
    b.atomic_rmw("add", counter, index(1), "acq_rel")
    b.branch(spin)

    b.position_at_end(spin)
    turn = b.phi(I64)
    turn.add_incoming(index(0), entry)
    reached = b.load_atomic(counter, "acquire", align=8)
    here = b.icmp_signed(">=", reached, goal)
    more = b.add(turn, index(1))
    _pause(b)
    b.cbranch(here, leave, tired)

    b.position_at_end(tired)
    turn.add_incoming(more, tired)
    b.cbranch(b.icmp_signed("<", more, index(PATIENCE)), spin, rest)

    b.position_at_end(rest)
    kind = ir.FunctionType(ir.IntType(32), [])
    b.call(ir.Function(module, kind, "gradlab_yield"), [])
    turn.add_incoming(index(0), rest)
    b.branch(spin)

    b.position_at_end(leave)
    b.ret_void()
    return function


def _pause(b: ir.IRBuilder) -> None:
    """Tell the core that this is a spinning loop, where there is an instruction for it."""
    machine = llvm.get_process_triple().partition("-")[0]
    i32 = ir.IntType(32)
    if machine == "x86_64":
        kind = ir.FunctionType(ir.VoidType(), [])
        b.call(ir.Function(b.module, kind, "llvm.x86.sse2.pause"), [])
    elif machine in ("aarch64", "arm64"):
        kind = ir.FunctionType(ir.VoidType(), [i32])
        b.call(ir.Function(b.module, kind, "llvm.aarch64.hint"), [ir.Constant(i32, 1)])
