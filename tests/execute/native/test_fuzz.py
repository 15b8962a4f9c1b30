"""Random graphs of hundreds of nodes over all rows, in guarded machine code and with NumPy.

How they are compared is said in tests/execute/random_programs.py, which runs any number of them.
"""

import numpy as np
import pytest

from gradlab.execute import program
from gradlab.graph import OPS
from tests.execute import random_programs
from tests.execute.native.random_graphs import Case

LOCAL, EXACT, SMALL = range(13, 17), range(100, 106), range(30)
LONG, CHUNK = 10_000, 250


@pytest.fixture(autouse=True)
def guard(monkeypatch):
    monkeypatch.setenv("GRADLAB_GUARD", "memory")


@pytest.mark.parametrize("seed", LOCAL)
def test_every_node_is_right_for_its_inputs(seed):
    case = Case(seed, exact=False)
    random_programs.check_each_node(case.graph, case.inputs, case.state, f"seed {seed}")


@pytest.mark.parametrize("seed", EXACT)
def test_whole_numbers_are_equal_however_rows_are_fused(seed):
    case = Case(seed, exact=True)
    random_programs.check_results(case.graph, case.inputs, case.state, f"seed {seed}")


@pytest.mark.parametrize("seed", SMALL)
def test_small_programs(seed):
    random_programs.check_seed(seed)


@pytest.mark.long
@pytest.mark.parametrize("first", range(0, LONG, CHUNK))
def test_many_programs(first, monkeypatch):
    monkeypatch.setenv("GRADLAB_CACHE", "off")
    assert random_programs.main(CHUNK, first) == 0


def test_what_is_given_and_what_is_kept_are_apart():
    """Results are no views of the program's memory, nor of what it was given."""
    case = Case(7, exact=True)
    ready = program(case.graph, "native")
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
    assert min(len(graph.nodes) for graph in graphs) > 150
    graphs += [random_programs.small_case(seed).graph for seed in SMALL]
    assert set(OPS) == {node.op.name for graph in graphs for node in graph.nodes}
