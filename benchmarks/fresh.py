"""What can be seen in a fresh process alone: the first update's time, and the memory it takes.

``measure`` starts such a process; it prints what it found as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path


def measure(what: str, name: str, environment: Mapping[str, str] | None = None) -> dict[str, float]:
    """What a fresh process finds for the task of this name."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.fresh", what, name],
        env=os.environ | (environment or {}),
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def first(name: str) -> dict[str, float]:
    """Seconds to import, to make a Trainer, and for its first update."""
    start = time.perf_counter()
    import gradlab.execute.native
    import gradlab.train  # noqa: F401

    imported = time.perf_counter()
    from benchmarks.peers import on_gradlab, task

    problem = task.problem(task.named(name))
    ready = time.perf_counter()
    trainer = on_gradlab.trainer(problem.task, problem.x, problem.y)
    made = time.perf_counter()
    trainer.advance(1)
    done = time.perf_counter()
    return {"imports": imported - start, "trainer": made - ready, "update": done - made}


def memory(name: str) -> dict[str, float]:
    """Bytes by which the process grew at most while a Loop trained."""
    return {"growth": _growth(name, by_trainer=False)}


def trainer_memory(name: str) -> dict[str, float]:
    """The same of a Trainer, which keeps the state before each stretch, to be able to go back."""
    return {"growth": _growth(name, by_trainer=True)}


def _growth(name: str, by_trainer: bool) -> int:
    """The libraries, the compiler and the data are there already."""
    from benchmarks.peers import on_gradlab, task

    small = task.problem(task.named("64-64-10"))
    on_gradlab.updates(small.task, small.x, small.y, small.indices)(1)
    problem = task.problem(task.named(name))
    x, y, chosen, rows = problem.x, problem.y, problem.task, problem.indices
    del problem  # its own copy of the weights
    before = _status("VmRSS")
    if by_trainer:
        run = on_gradlab.trainer(chosen, x, y).advance
    else:
        run = on_gradlab.updates(chosen, x, y, rows)
    for _ in range(3):
        run(2)
    return _status("VmHWM") - before


def _status(field: str) -> int:
    """Bytes that Linux counts for this process; VmHWM is the most of VmRSS so far."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return 1024 * int(line.split()[1])
    raise KeyError(field)


if __name__ == "__main__":
    found = {"first": first, "memory": memory, "trainer_memory": trainer_memory}
    print(json.dumps(found[sys.argv[1]](sys.argv[2])))
