"""The machine at hand: its instructions, LLVM's passes for it, and loading of machine code."""

from __future__ import annotations

import ctypes
import functools
import os
import sys
from contextlib import suppress
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir

LINE = 64
"""Bytes of a cache line, on all machines that these are."""
RUN = ctypes.CFUNCTYPE(
    ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p
)


def host() -> llvm.TargetMachine:
    """The machine at hand, with all its vector instructions; an engine takes it for itself."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=1,  # the passes before it have done what matters
        jit=True,
    )


@functools.cache
def identity() -> str:
    """What machine code depends on beside the program: processor, instructions, LLVM."""
    features = llvm.get_host_cpu_features().flatten()
    parts = (
        sys.platform,
        llvm.get_host_cpu_name(),
        features,
        llvm.llvm_version_info,
    )
    return repr(parts)


@functools.cache
def vector_lanes() -> int:
    """float32 numbers in the machine's widest vectors."""
    features = llvm.get_host_cpu_features()
    return 16 if features.get("avx512f") else 8 if features.get("avx2") else 4


def optimized(
    module: ir.Module, machine: llvm.TargetMachine, unroll: bool = True
) -> llvm.ModuleRef:
    """The module after LLVM's passes, its loops as loops over vectors of that machine.

    ``unroll=False`` leaves loops rolled and straight code as it is: longer loops run as fast so,
    and are compiled in half the time.
    """
    module.triple = machine.triple
    module.data_layout = str(machine.target_data)
    parsed = llvm.parse_assembly(str(module))
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = True
    options.loop_unrolling = options.slp_vectorization = unroll
    passes = llvm.create_pass_builder(machine, options)
    passes.getModulePassManager().run(parsed, passes)
    return parsed


def give_memory_back() -> None:
    """Return to the system what LLVM has freed: tens of megabytes, which glibc would keep."""
    if sys.platform.startswith("linux"):
        with suppress(AttributeError):  # another C library
            ctypes.CDLL(None).malloc_trim(0)


class MachineCode:
    """Object code in memory, ready to be called."""

    def __init__(self, code: bytes) -> None:
        machine = host()
        _provide_symbols()
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self._engine.finalize_object()
        give_memory_back()
        self.run: Any = RUN(self._engine.get_function_address("run"))


@functools.cache
def _provide_symbols() -> None:
    """Functions that machine code calls by name."""
    library = ctypes.CDLL(None) if os.name == "posix" else ctypes.WinDLL("kernel32")  # type: ignore[attr-defined]
    name = "sched_yield" if os.name == "posix" else "SwitchToThread"
    address = ctypes.cast(getattr(library, name), ctypes.c_void_p).value
    llvm.add_symbol("gradlab_yield", address)
