"""Checks of graphs and plans: what is right passes, each thing that is wrong is named."""

import dataclasses

import numpy as np
import pytest

from gradlab.errors import CompilerError
from gradlab.execute.native.layout import Layout
from gradlab.execute.native.plan import Immediate, MatrixProduct, Nest, Operand, SpecialKernel
from gradlab.execute.native.verify import check_graph, check_plan
from gradlab.graph import Spec, Variable, cumsum, exp, trace
from tests.execute.native.plans import plan_of, training_step


def graph():
    v = Variable([1.0, 2.0], name="v")

    def function(x):
        y = exp(x) + v
        v.assign(y)
        return y * 2

    return trace(function, Spec((2,), name="x"))


def other_dtype(g):
    g.nodes[0].dtype = np.dtype("float64")
    return g


def other_shape(g):
    g.nodes[1].shape = (1, 2)
    return g


def out_of_order(g):
    return dataclasses.replace(g, nodes=g.nodes[::-1])


def of_nowhere(g):
    return dataclasses.replace(g, outputs=graph().outputs)


def assigned_otherwise(g):
    ((_, x),) = g.assigned
    return dataclasses.replace(g, assigned=((Variable([1.0]), x),), outputs=(x,))


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (other_dtype, r"%1 \(exp\) is float64\(2,\); of float32\(2,\) its rule infers float32"),
        (other_shape, r"%2 \(add\) is float32\(1, 2\)"),
        (out_of_order, r"%1 \(multiply\) comes before"),
        (of_nowhere, "an output comes before"),
        (assigned_otherwise, r"float32\(2,\) is assigned to a variable of float32\(1,\)"),
    ],
)
def test_graphs(wrong, text):
    check_graph(graph())
    with pytest.raises(CompilerError, match=text):
        check_graph(wrong(graph()))


def one(plan, kind):
    return next(kernel for kernel in plan.kernels if isinstance(kernel, kind))


def moved(operand, by=1):
    layout = operand.layout
    return Operand(operand.buffer, dataclasses.replace(layout, offset=layout.offset + by))


def beyond(plan):
    kernel = one(plan, MatrixProduct)
    kernel.x = moved(kernel.x)


def before_the_first(plan):
    kernel = one(plan, MatrixProduct)
    kernel.y = moved(kernel.y, -1)


def inner_length(plan):
    kernel = one(plan, MatrixProduct)
    layout = kernel.y.layout
    shape = (layout.shape[0] - 1, *layout.shape[1:])
    kernel.y = Operand(kernel.y.buffer, Layout(shape, layout.strides))


def dtype_of_a_step(plan):
    nest = one(plan, Nest)
    step = nest.steps[0]
    nest.steps[0] = dataclasses.replace(step, dtype=np.dtype("float64"))


def dtype_of_an_input(plan):
    nest = one(plan, Nest)
    step = nest.steps[0]
    number = Immediate(1, np.dtype("int64"))
    nest.steps[0] = dataclasses.replace(step, inputs=(number, *step.inputs[1:]))


def later_step(plan):
    nest = one(plan, Nest)
    step = nest.steps[0]
    nest.steps[0] = dataclasses.replace(step, inputs=(1, *step.inputs[1:]))


def kept_axis(plan):
    """A sum that keeps an axis, and puts all along it in one place."""
    nest = next(k for k in plan.kernels if isinstance(k, Nest) and k.reductions)
    nest.reductions[0] = dataclasses.replace(nest.reductions[0], axes=())


def code_for_other_layouts(plan):
    kernel = one(plan, SpecialKernel)
    layout = kernel.inputs[0].layout
    kernel.inputs = [Operand(kernel.inputs[0].buffer, Layout(layout.shape, layout.strides[::-1]))]


def never_written(plan):
    plan.kernels.remove(one(plan, MatrixProduct))


def short_loop(plan):
    kernel = one(plan, MatrixProduct)
    kernel.range = dataclasses.replace(kernel.range, parts=1, unit=1)


def beyond_the_arena(plan):
    plan.arena -= 64


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (beyond, "product.*: elements 1 to 12 of input0, which has 12"),
        (before_the_first, "product.*: elements -1 to"),
        (inner_length, r"\(3, 4\) times \(3, 3\) is not \(3, 3\)"),
        (dtype_of_a_step, "gives float32, not float64"),
        (dtype_of_an_input, "of float32 takes int64"),
        (later_step, "step 0 uses step 1"),
        (kept_axis, "sum over"),
        (code_for_other_layouts, "other layouts"),
        (never_written, "is read before it is written"),
        (short_loop, "does not cover its loop"),
        (beyond_the_arena, "bytes of arena"),
    ],
)
def test_plans(wrong, text):
    def function(x, y):
        z = exp(x @ y) * 2
        return cumsum(z, 0), (z + 1).sum(1)

    plan = plan_of(function, Spec((3, 4)), Spec((4, 3)))
    check_plan(plan)
    wrong(plan)
    with pytest.raises(CompilerError, match=text):
        check_plan(plan)


def test_a_training_s_plan_is_right_for_any_number_of_threads():
    step, specs, _ = training_step((300, 400, 10), batch=128)
    for threads in (1, 2, 3):
        check_plan(plan_of(step, *specs, threads=threads))
