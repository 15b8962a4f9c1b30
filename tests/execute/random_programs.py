"""Random programs in guarded machine code beside NumPy.

    python -m tests.execute.random_programs 10000          # seeds 0 to 9999
    python -m tests.execute.random_programs 1000 5000      # seeds 5000 to 5999

Rounding grows along a graph without bound, so two comparisons are made that are sound:

- *Local*: every node is an output, and each is compared with NumPy's result from the very numbers
  that the program found for its inputs, within the bound of that one row (bounds.py).
- *Exact*: graphs of small whole numbers, of which every sum is exact in any order and every other
  function is rounded to whole numbers, far from the middle between two. However rows are fused,
  whatever is kept, the numbers are equal.
"""

import os
import sys
import traceback
from unittest import mock

import numpy as np

from gradlab.execute import program
from gradlab.execute.native import compiler
from gradlab.graph import Graph, Symbol
from tests.execute.native.bounds import assert_close
from tests.execute.native.random_graphs import Case

EXECUTOR = "native"


def revealed(graph):
    """The same graph with every node as an output."""
    g = graph
    return Graph(g.nodes, g.inputs, g.nodes, g.captured, g.assigned, list(g.nodes), g.guards)


def check_each_node(graph, inputs, state, note=""):
    """Compare every node with NumPy's result for its inputs; and a second run with the first."""
    graph = revealed(graph)
    ready = program(graph, EXECUTOR)
    outputs, assigned = ready.run(inputs, state)
    found = {id(x): y for x, y in zip(graph.nodes, outputs, strict=True)}
    found |= {id(x): y for x, y in zip(graph.inputs, inputs, strict=True)}
    found |= {id(x): y for (_, x), y in zip(graph.captured, state, strict=True)}

    def value(x):
        return found[id(x)] if isinstance(x, Symbol) else x.value

    for number, node in enumerate(graph.nodes, start=1):
        given = [value(x) for x in node.inputs]
        with np.errstate(all="ignore"):
            expected = np.asarray(node.op.forward(np, *given, **node.params))
        try:
            assert_close(node.op.name, found[id(node)], expected, given, node.params)
        except AssertionError as error:
            raise AssertionError(f"%{number}: {error}; {note}\n{graph}") from None
    for (variable, x), new in zip(graph.assigned, assigned, strict=True):
        np.testing.assert_array_equal(new, value(x), err_msg=str(variable), strict=True)
    again, _ = ready.run(inputs, state)
    for x, y in zip(outputs, again, strict=True):
        assert x.tobytes() == y.tobytes(), f"{note}\n{graph}"


def check_results(graph, inputs, state, note=""):
    """Compare results with NumPy's, which are equal; twice, so that nothing is left over."""
    ready, reference = program(graph, EXECUTOR), program(graph, "numpy")
    expected = reference.run(inputs, state)
    for _ in range(2):
        for kind, xs, ys in zip(("output", "assigned"), ready.run(inputs, state),
                                expected, strict=True):  # fmt: skip
            for i, (x, y) in enumerate(zip(xs, ys, strict=True)):
                text = f"{kind} {i}; {note}\n{graph}"
                np.testing.assert_array_equal(x, y, err_msg=text, strict=True)


def small_case(seed):
    """A program of 5 to 44 nodes: local for even seeds, exact for odd ones."""
    return Case(seed, exact=bool(seed % 2), nodes=5 + seed // 2 % 40)


def check_seed(seed):
    """Check a small program; three threads share the work of one in five."""
    case = small_case(seed)
    check = check_results if case.exact else check_each_node
    shared = seed % 5 == 4
    with (
        mock.patch.object(compiler, "WORTH_SHARING", 0 if shared else compiler.WORTH_SHARING),
        mock.patch.dict(os.environ, GRADLAB_THREADS="3" if shared else "1"),
    ):
        check(case.graph, case.inputs, case.state, f"seed {seed}")


def main(count, first=0):
    """Check so many seeds; the number of those that failed."""
    failed = 0
    for seed in range(first, first + count):
        try:
            check_seed(seed)
        except Exception:
            failed += 1
            print(f"seed {seed} failed", flush=True)
            traceback.print_exc()
        if (seed - first) % 100 == 99:
            print(f"{seed - first + 1} programs, {failed} failed", flush=True)
    print(f"{count} programs, {failed} failed", flush=True)
    return failed


if __name__ == "__main__":
    os.environ["GRADLAB_GUARD"] = "memory"
    os.environ["GRADLAB_CACHE"] = "off"  # each is compiled once
    sys.exit(main(*map(int, sys.argv[1:])) > 0)
