"""Which rows share a loop nest, which cost nothing, and which become one function."""

import re

import numpy as np
import pytest

import gradlab as gl
from gradlab import optim
from gradlab.execute.native import compiler, fuse
from gradlab.execute.native.emit.scalar import ELEMENTWISE
from gradlab.execute.native.emit.special import SPECIALS
from gradlab.execute.native.fuse import Fusion
from gradlab.execute.native.lower import lower
from gradlab.execute.native.plan import Nest
from gradlab.execute.simplify import simplify
from gradlab.graph import Spec
from tests.execute.native.plans import plan_of, titles, training_step
from tests.execute.native.random_graphs import Case

MATRIX = Spec((6, 5))
ADAM = ["add"] * 3 + ["divide"] + ["multiply"] * 5 + ["sqrt", "square", "subtract"]


def nests(plan):
    return [kernel for kernel in plan.kernels if isinstance(kernel, Nest)]


def updates(plan):
    """The nests that update one weight by Adam's rule, in whichever order of its rows."""
    return [kernel for kernel in nests(plan) if sorted(s.row for s in kernel.steps) == ADAM]


# --- what becomes one nest ----------------------------------------------------------------------


def test_a_chain_of_elementwise_rows_is_one_nest():
    plan = plan_of(lambda x, y: gl.tanh(gl.exp(x) * y + 1) / y - gl.sqrt(x), MATRIX, MATRIX)
    assert titles(plan) == ["exp multiply add tanh divide sqrt subtract"]
    assert plan.arena == 0
    assert [x.buffer.home for x in plan.kernels[0].writes()] == ["output"]


def test_rows_and_columns_are_read_where_they_are_needed():
    plan = plan_of(lambda x, row, column: (x + row) * column, MATRIX, Spec((5,)), Spec((6, 1)))
    assert titles(plan) == ["add multiply"]


def test_a_reduction_ends_the_nest_of_what_it_reduces():
    plan = plan_of(lambda x: gl.sum(x * x, 1), MATRIX)
    assert titles(plan) == ["multiply sum"]
    plan = plan_of(lambda x: (gl.sum(x * x), gl.max(x * x, 0), x * x), MATRIX)
    assert titles(plan) == ["multiply sum max"]


@pytest.mark.parametrize("axis", [0, 1])
def test_what_a_reduction_gives_is_read_in_a_later_nest(axis):
    def centred(x):
        return x - gl.sum(x, axis, keepdims=True)

    plan = plan_of(centred, MATRIX)
    assert titles(plan) == ["sum", "subtract"]
    plan = plan_of(lambda x: gl.sum(centred(x) * x), MATRIX)
    assert titles(plan) == ["sum", "subtract multiply sum"]


def test_nests_of_other_shapes_stay_apart():
    plan = plan_of(lambda x, y: (x * 2, y * 2), MATRIX, Spec((5, 6)))
    assert titles(plan) == ["multiply", "multiply"]


def test_nests_with_nothing_in_common_stay_apart():
    plan = plan_of(lambda x, y: (x * 2, y * 2), MATRIX, MATRIX)
    assert titles(plan) == ["multiply", "multiply"]


def test_what_is_begun_apart_and_meets_later_is_one_nest():
    plan = plan_of(lambda x, y: gl.exp(x) + gl.exp(y), MATRIX, MATRIX)
    assert titles(plan) == ["exp exp add"]


def test_nothing_moves_past_what_reads_it():
    """exp(x) has to be there for the product, whose result the last nest needs."""

    def function(x, y):
        e = gl.exp(x)
        return (e @ y) * e

    plan = plan_of(function, Spec((5, 5)), Spec((5, 5)))
    assert titles(plan) == ["exp", "product (tiled)", "multiply"]


def test_a_nest_is_no_longer_than_its_limit():
    def long(x):
        for i in range(3 * fuse.LONGEST):
            x = x + (i + 2)
        return x

    lengths = [len(kernel.steps) for kernel in nests(plan_of(long, MATRIX))]
    assert sum(lengths) == 3 * fuse.LONGEST
    assert max(lengths) <= fuse.LONGEST
    assert len(lengths) == 3


def test_merging_keeps_to_the_limit():
    def function(x):
        parts = []
        for i in range(4):
            part = gl.exp(x + (i + 1)) @ np.eye(5, dtype=np.float32)
            for k in range(fuse.LONGEST // 2 - 4):
                part = part + (k + 2)
            parts.append(part)
        return parts[0] + parts[1] + parts[2] + parts[3]

    assert max(len(k.steps) for k in nests(plan_of(function, MATRIX))) <= fuse.LONGEST


# --- views --------------------------------------------------------------------------------------

VIEWS = {
    "reshape": lambda x: gl.reshape(x, (5, 2, 3)),
    "permute_dims": lambda x: gl.permute_dims(x, (1, 0)),
    "broadcast_to": lambda x: gl.broadcast_to(x, (2, 6, 5)),
    "slice": lambda x: x[1:5:2, ::-1],
    "element": lambda x: x[3, -1],
    "flip": lambda x: gl.flip(x, 0),
    "new axis": lambda x: x[:, None],
    "chain": lambda x: gl.reshape(gl.permute_dims(x[:, :1], (1, 0)), (3, 2)),
}


@pytest.mark.parametrize("name", sorted(VIEWS))
def test_a_view_costs_nothing(name):
    plan = plan_of(lambda x: gl.exp(VIEWS[name](x)), MATRIX)
    assert titles(plan) == ["exp"]
    assert plan.arena == 0


@pytest.mark.parametrize("name", sorted(VIEWS))
def test_a_view_of_what_is_computed_costs_no_copy_either(name):
    plan = plan_of(lambda x: gl.exp(VIEWS[name](gl.sin(x))), MATRIX)
    assert titles(plan) == ["sin", "exp"]


def test_a_view_that_goes_out_is_copied_once():
    assert titles(plan_of(lambda x: x.T, MATRIX)) == ["identity"]


def test_a_reshape_that_is_no_view_copies():
    plan = plan_of(lambda x: gl.exp(gl.reshape(x.T, (30,))), MATRIX)
    assert titles(plan) == ["identity", "exp"]
    (copy, _) = plan.kernels
    assert copy.writes()[0].buffer.home == "arena"


def test_transposed_factors_are_read_as_they_lie():
    def layer(x, w):
        return x @ w.T, x.T @ x

    assert titles(plan_of(layer, Spec((4, 5)), Spec((3, 5)))) == ["product (tiled)"] * 2


# --- training -----------------------------------------------------------------------------------


def test_an_update_of_adam_is_one_nest_of_each_weight():
    step, specs, model = training_step((20, 16, 12, 10))
    found = updates(plan_of(step, *specs))
    assert sorted(kernel.shape for kernel in found) == sorted(w.shape for w in model.parameters())


def test_equal_updates_share_one_function():
    step, specs, _ = training_step((16, 16, 16, 16, 16, 16))
    plan = plan_of(step, *specs)
    assert len(updates(plan)) == 10
    text = str(compiler.emit(plan))
    called = re.findall(r"call void @\"(nest\.[0-9a-f]+)\"", text)
    defined = re.findall(r"^define internal void @\"(nest\.[0-9a-f]+)\"", text, re.MULTILINE)
    assert len(called) == len(nests(plan))
    assert sorted(set(called)) == sorted(defined)
    # All weights and all biases: the length of the outermost loop is no part of a function.
    assert called.count(max(set(called), key=called.count)) == 10


def test_code_grows_with_distinct_kernels_not_with_layers():
    def functions(depth):
        step, specs, _ = training_step((16,) * depth)
        text = str(compiler.emit(plan_of(step, *specs)))
        return len(re.findall(r"^define internal", text, re.MULTILINE))

    assert functions(9) == functions(5)


def test_slots_are_updated_where_they_lie():
    step, specs, _ = training_step((20, 16, 10))
    plan = plan_of(step, *specs)
    assert len(updates(plan)) == 4
    for kernel in updates(plan):
        homes = [x.buffer.home for x in kernel.writes()]
        assert homes == ["state"] * 3
        assert {x.buffer for x in kernel.writes()} <= {x.buffer for x in kernel.reads()}
    assert "identity" not in titles(plan)


@pytest.mark.parametrize("name", sorted(optim.optimizers))
def test_no_optimizer_copies_weights_or_slots(name):
    step, specs, model = training_step((12, 8, 10), optimizer=optim.optimizers.build(name))
    plan = plan_of(step, *specs)
    copied = [k for k in plan.kernels if k.label == "copy" and k.shape == (8, 12)]
    assert not copied
    parameters = len(model.parameters())
    found = {k for k in nests(plan) for x in k.writes() if x.buffer.home == "state" and k.shape}
    assert len(found) <= 2 * parameters  # one, and one more where a step looks ahead


# --- any graph ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(200, 206))
def test_groups_hold_every_node_once_in_an_order_that_can_run(seed):
    graph = lower(simplify(Case(seed, exact=False).graph))
    fusion = Fusion(graph, ELEMENTWISE, frozenset(SPECIALS))
    inside = [node for group in fusion.groups for node in group.nodes]
    computed = [node for node in graph.nodes if fusion.root[id(node)] is node]
    assert sorted(map(id, inside)) == sorted(map(id, computed))
    position = {id(node): i for i, node in enumerate(inside)}
    for node in inside:
        assert id(node) in map(id, fusion.groups[fusion.group_of[id(node)]].nodes)
        for x in node.inputs:
            root = fusion.root.get(id(x))
            if root is not None and id(root) in position:
                assert position[id(root)] < position[id(node)]
                apart = fusion.group_of[id(root)] != fusion.group_of[id(node)]
                assert not apart or id(root) in fusion.kept
    for group in fusion.groups:
        assert len(group.nodes) <= fuse.LONGEST
        assert group.kind == "nest" or len(group.nodes) == 1


@pytest.mark.parametrize("seed", range(200, 203))
def test_within_a_nest_only_elements_of_the_same_place_meet(seed):
    """What a nest computes and reads at once is elementwise and of the nest's own shape."""
    fusion = Fusion(
        lower(simplify(Case(seed, exact=False).graph)), ELEMENTWISE, frozenset(SPECIALS)
    )
    for number, group in enumerate(fusion.groups):
        for node in group.nodes if group.kind == "nest" else []:
            for x in node.inputs:
                if fusion.group_of.get(id(x)) == number:
                    assert x.op.name in ELEMENTWISE
                    assert x.shape == group.shape
