"""What the machine can do at most: products a second, and bytes to and from memory."""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import ThreadpoolController

PRODUCT = (256, 2048, 2048)
COPIED = 1 << 27
"""Bytes of each thread's array: far more than a cache holds."""


@functools.cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()


def blas_threads(count: int) -> None:
    """Let NumPy's and SciPy's BLAS use so many threads in a product."""
    _libraries().limit(limits=count, user_api="blas")


def products(threads: int) -> tuple[Callable[[int], None], float]:
    """Single-thread products, one on each thread at a time; and their operations."""
    n, k, m = PRODUCT
    rng = np.random.default_rng(0)
    inputs = [
        (rng.random((n, k), np.float32), rng.random((k, m), np.float32)) for _ in range(threads)
    ]
    outputs = [np.empty((n, m), np.float32) for _ in range(threads)]

    def run(times: int) -> None:
        def one(thread: int) -> None:
            for _ in range(times):
                np.matmul(*inputs[thread], out=outputs[thread])

        _together(one, threads)

    return run, 2.0 * n * k * m * threads


def copies(threads: int) -> tuple[Callable[[int], None], float]:
    """A copy of a large array on each thread at a time; and the bytes read and written."""
    sources = [np.ones(COPIED, np.uint8) for _ in range(threads)]
    targets = [np.zeros(COPIED, np.uint8) for _ in range(threads)]

    def run(times: int) -> None:
        def one(thread: int) -> None:
            for _ in range(times):
                np.copyto(targets[thread], sources[thread])

        _together(one, threads)

    return run, 2.0 * COPIED * threads


def _together(one: Callable[[int], None], threads: int) -> None:
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(one, range(threads)))
