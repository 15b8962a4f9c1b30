"""Where the time of a training step goes: its kernels by kind, of the best of several runs.

python -m benchmarks.profile
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from benchmarks.measure import table
from benchmarks.peers import on_gradlab
from benchmarks.peers.task import named, problem
from gradlab.execute.native import NativeProgram
from gradlab.execute.native.plan import Gather, Kernel, MatrixProduct, Nest

TASKS = {"64-64-10": 4000, "784-512-256-10": 60}
"""Updates of a run."""
RUNS = 8


def kind(kernel: Kernel) -> str:
    """What a kernel is there for."""
    if isinstance(kernel, MatrixProduct):
        return "matrix products"
    if isinstance(kernel, Gather):
        return "gathering the rows"
    if isinstance(kernel, Nest) and kernel.shape and "sqrt" in [s.row for s in kernel.steps]:
        return "Adam"
    return "activations, loss, their gradients"


def main() -> None:
    """Print the table of each task."""
    for name, updates in TASKS.items():
        work = problem(named(name))
        trainer = on_gradlab.trainer(work.task, work.x, work.y)
        loop = trainer.loop(work.task.batch)
        numbers = np.tile(list(trainer.optimizer.hyperparameters().values()), (updates, 1))
        rows = np.take(work.indices, np.arange(updates), axis=0, mode="wrap")
        graph, best = loop.program.graph, [float("inf")]
        for _ in range(RUNS):
            loop.program = timed = NativeProgram(graph, gathered=2, halt=1, timed=True)
            loop.run(rows, numbers)
            best = min(best, timed.kernel_seconds(), key=sum)
        times: Counter[str] = Counter()
        operations: Counter[str] = Counter()
        for kernel, seconds in zip(timed.plan.kernels, best, strict=True):
            times[kind(kernel)] += seconds
            operations[kind(kernel)] += kernel.flops
        found = [
            (what, f"{1e6 * seconds:.2f}", f"{operations[what] / seconds / 1e9:.0f}")
            for what, seconds in times.most_common()
        ]
        found.append(("all", f"{1e6 * sum(best):.2f}", ""))
        threads = f"{timed.plan.threads} thread{'s' * (timed.plan.threads > 1)}"
        print(table((f"{name}, {threads}", "µs", "operations/ns"), found), end="\n\n")


if __name__ == "__main__":
    main()
