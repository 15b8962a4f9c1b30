"""Worker threads that run one program together."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

from gradlab.errors import ArgumentError

X = TypeVar("X")
Y = TypeVar("Y")


def thread_count() -> int:
    """How many threads programs may use: GRADLAB_THREADS, or else the cores of this process.

    Without it, no more than OMP_NUM_THREADS: joblib, for one, sets that in its workers, so that
    all of them together use each core once.

    Raises:
        ArgumentError: GRADLAB_THREADS is no whole number from 1.

    >>> thread_count() >= 1
    True
    """
    asked = os.environ.get("GRADLAB_THREADS", "")
    if asked:
        if not asked.isdecimal() or int(asked) < 1:
            raise ArgumentError(f"GRADLAB_THREADS={asked!r}: give a whole number from 1")
        return int(asked)
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not every system can say which cores a process may use
        cores = os.cpu_count() or 1
    most = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return min(cores, int(most)) if most.isdecimal() and int(most) else cores


_lock = threading.Lock()
_pools: dict[int, ThreadPoolExecutor] = {}


def _forget() -> None:
    """In a forked process there are neither the pools' threads nor whoever held the lock."""
    global _lock
    _lock = threading.Lock()
    _pools.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def together(
    work: Callable[[int], int], threads: int, abort: Callable[[], object] = lambda: None
) -> int:
    """Call ``work(thread)`` for 0, 1, ... at the same time, 0 in this thread; what 0 returns.

    One team at a time: threads that wait for each other at barriers must all be running. If they
    cannot all be started, ``abort`` must let the others pass.

    >>> together(lambda thread: thread + 5, 2)
    5
    """
    if threads == 1:
        return work(0)
    with _lock:
        pool = _pool(threads - 1)
        others: list[Future[int]] = []
        try:
            for thread in range(1, threads):
                others.append(pool.submit(work, thread))
            result = work(0)
        except BaseException:
            abort()
            raise
        finally:
            wait(others)
        for other in others:
            other.result()  # raises what was raised there
    return result


def each(work: Callable[[X], Y], items: Iterable[X], threads: int) -> list[Y]:
    """``work(item)`` for each, as many at a time as there are threads; the first error is raised.

    >>> each(lambda x: x + 1, range(3), threads=2)
    [1, 2, 3]
    """
    results: list[Y] = []
    busy: deque[Future[Y]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="gradlab") as pool:
        for item in items:
            busy.append(pool.submit(work, item))
            if len(busy) > 2 * threads:  # items that wait hold memory
                results.append(busy.popleft().result())
        return results + [done.result() for done in busy]


def _pool(workers: int) -> ThreadPoolExecutor:
    """Threads that stay ready."""
    if workers not in _pools:
        _pools.clear()
        _pools[workers] = ThreadPoolExecutor(workers, thread_name_prefix="gradlab")
    return _pools[workers]
