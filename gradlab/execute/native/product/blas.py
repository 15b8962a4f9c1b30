"""The BLAS that NumPy or SciPy brings along: where its products are, and its threads."""

from __future__ import annotations

import ctypes
import functools
import importlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numpy as np

SYMBOLS = {"float32": "gradlab_sgemm", "float64": "gradlab_dgemm"}
"""What machine code calls Fortran's ``sgemm`` and ``dgemm``."""

Undo = Callable[[], object]


@dataclass(frozen=True)
class Library:
    """A library's products: addresses by dtype, and how to make it keep to one thread."""

    gemm: dict[str, int]
    limit: Callable[[], Undo]
    """Sets one thread and gives what sets the former number again."""


@functools.cache
def library() -> Library | None:
    """NumPy's own OpenBLAS, or else SciPy's BLAS; None if neither can be called."""
    return _numpy() or _scipy()


@functools.cache
def bind() -> bool:
    """Let machine code call BLAS by `SYMBOLS`; False if there is none."""
    found = library()
    if found is None:
        return False
    for dtype, symbol in SYMBOLS.items():
        llvm.add_symbol(symbol, found.gemm[dtype])
    return True


_lock = threading.Lock()
_inside = 0
_undo: Undo | None = None


def _forget() -> None:
    """In a forked process nobody is inside such a block."""
    global _lock, _inside, _undo
    _lock, _inside, _undo = threading.Lock(), 0, None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@contextmanager
def single_threaded() -> Iterator[None]:
    """BLAS keeps to the thread that calls it, until the last such block of any thread ends.

    The number of threads is the whole process's, so blocks that overlap in time share it.
    """
    global _inside, _undo
    with _lock:
        if _inside == 0 and (found := library()):
            _undo = found.limit()
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0 and _undo:
                _undo()
                _undo = None


def _numpy() -> Library | None:
    """The OpenBLAS within NumPy's wheels, whose integers have 64 bits."""
    root = Path(np.__file__).parent
    for path in (*root.glob("../numpy.libs/*openblas64_*"), *root.glob(".dylibs/*openblas64_*")):
        opened = ctypes.CDLL(str(path))
        for prefix in ("scipy_", ""):
            with_threads = (f"{prefix}openblas_{verb}_num_threads64_" for verb in ("get", "set"))
            products = (f"{prefix}{letter}gemm_64_" for letter in "sd")
            try:
                get, put = (getattr(opened, name) for name in with_threads)
                addresses = [_address(getattr(opened, name)) for name in products]
            except AttributeError:
                continue
            return Library(dict(zip(SYMBOLS, addresses, strict=True)), _limit(get, put))
    return None


def _limit(get: Callable[[], int], put: Callable[[int], None]) -> Callable[[], Undo]:
    def limit() -> Undo:
        before = get()
        put(1)
        return lambda: put(before)

    return limit


def _address(function: Any) -> int:
    address = ctypes.cast(function, ctypes.c_void_p).value
    assert address is not None
    return address


def _scipy() -> Library | None:
    """The BLAS that SciPy was built with, whichever it is, through its Cython interface."""
    from threadpoolctl import threadpool_limits

    capsules = getattr(importlib.import_module("scipy.linalg.cython_blas"), "__pyx_capi__", {})
    if not {"sgemm", "dgemm"} <= set(capsules):
        return None
    name, pointer = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
    name.restype, name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    found = {
        dtype: pointer(capsules[gemm], name(capsules[gemm]))
        for dtype, gemm in zip(SYMBOLS, ("sgemm", "dgemm"), strict=True)
    }
    return Library(found, lambda: threadpool_limits(1, "blas").restore_original_limits)
