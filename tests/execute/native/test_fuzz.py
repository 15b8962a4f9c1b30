"""Random graphs of hundreds of nodes over all rows, in machine code and with NumPy.

Rounding grows along a graph without bound, so two comparisons are made that are sound:

- *Local*: every node is an output, and each is compared with NumPy's result from the very numbers
  that the program found for its inputs, within the bound of that one row (bounds.py).
- *Exact*: graphs of small whole numbers, of which every sum is exact in any order and every other
  function is rounded to whole numbers, far from the middle between two. However rows are fused,
  whatever is kept, the numbers are equal.
"""

import numpy as np
import pytest

from gradlab.execute import program
from gradlab.graph import OPS, Symbol
from tests.execute.native.bounds import assert_close
from tests.execute.native.random_graphs import Case

EXECUTOR = "native"
LOCAL, EXACT = range(5), range(100, 106)


def listing(seed, graph):
    return f"seed {seed}, {len(graph.nodes)} nodes\n{graph}"


@pytest.mark.parametrize("seed", LOCAL)
def test_every_node_is_right_for_its_inputs(seed):
    case = Case(seed, exact=False)
    graph = case.revealed()
    ready = program(graph, EXECUTOR)
    outputs, assigned = ready.run(case.inputs, case.state)
    found = {id(x): y for x, y in zip(graph.nodes, outputs, strict=True)}
    found |= {id(x): y for x, y in zip(graph.inputs, case.inputs, strict=True)}
    found |= {id(x): y for (_, x), y in zip(graph.captured, case.state, strict=True)}

    def value(x):
        return found[id(x)] if isinstance(x, Symbol) else x.value

    for number, node in enumerate(graph.nodes, start=1):
        given = [value(x) for x in node.inputs]
        with np.errstate(all="ignore"):
            expected = np.asarray(node.op.forward(np, *given, **node.params))
        try:
            assert_close(node.op.name, found[id(node)], expected, given, node.params)
        except AssertionError as error:
            raise AssertionError(f"%{number}: {error}; {listing(seed, graph)}") from None
    for (variable, x), new in zip(graph.assigned, assigned, strict=True):
        np.testing.assert_array_equal(new, value(x), err_msg=str(variable), strict=True)
    again, _ = ready.run(case.inputs, case.state)
    for x, y in zip(outputs, again, strict=True):
        assert x.tobytes() == y.tobytes(), listing(seed, graph)


@pytest.mark.parametrize("seed", EXACT)
def test_whole_numbers_are_equal_however_rows_are_fused(seed):
    case = Case(seed, exact=True)
    ready, reference = program(case.graph, EXECUTOR), program(case.graph, "numpy")
    expected = reference.run(case.inputs, case.state)
    for _ in range(2):  # nothing is left over from one run to the next
        for kind, xs, ys in zip(("output", "assigned"), ready.run(case.inputs, case.state),
                                expected, strict=True):  # fmt: skip
            for i, (x, y) in enumerate(zip(xs, ys, strict=True)):
                note = f"{kind} {i}; {listing(seed, case.graph)}"
                np.testing.assert_array_equal(x, y, err_msg=note, strict=True)


def test_what_is_given_and_what_is_kept_are_apart():
    """Results are no views of the program's memory, nor of what it was given."""
    case = Case(7, exact=True)
    ready = program(case.graph, EXECUTOR)
    outputs, assigned = ready.run(case.inputs, case.state)
    copies = [x.copy() for x in (*outputs, *assigned)]
    other = [np.zeros_like(x) for x in case.inputs], [np.zeros_like(x) for x in case.state]
    given = [x.copy() for x in (*case.inputs, *case.state)]
    ready.run(*other)
    for x, y in zip((*outputs, *assigned), copies, strict=True):
        np.testing.assert_array_equal(x, y)
    for x, y in zip((*case.inputs, *case.state), given, strict=True):
        np.testing.assert_array_equal(x, y)


def test_the_graphs_hold_every_row():
    graphs = [Case(seed, exact=False).graph for seed in LOCAL]
    graphs += [Case(seed, exact=True).graph for seed in EXACT]
    assert set(OPS) == {node.op.name for graph in graphs for node in graph.nodes}
    assert min(len(graph.nodes) for graph in graphs) > 200
