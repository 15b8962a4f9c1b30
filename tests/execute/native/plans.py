"""Graphs and their plans, for tests of what the compiler decides before there is code."""

import numpy as np

import gradlab as gl
from gradlab import nn, optim
from gradlab.execute.native import compiler
from gradlab.execute.native.assemble import assemble
from gradlab.execute.native.lower import lower
from gradlab.execute.native.partition import divide
from gradlab.execute.simplify import simplify
from gradlab.graph import Spec, trace


def lowered(function, *specs):
    """The graph that a program of that function has."""
    return lower(simplify(trace(function, *specs)))


def plan_of(function, *specs, threads=1):
    """Its plan."""
    return compiler.make_plan(lowered(function, *specs), 0, None, threads)


def titles(plan):
    """What the kernels do, without their shapes."""
    return [kernel.title.partition(" [")[0] for kernel in plan.kernels]


def training_step(widths, batch=32, optimizer=None, activation="relu"):
    """A classifier's update, its specs, and the model: cross-entropy, Adam by default."""
    model = nn.MLP(widths, activation)
    gl.init.initialize(model, "kaiming_normal", seed=0)
    optimizer = optimizer or optim.Adam(0.01)
    slots = optimizer.init(model)

    def step(x, y, lr):
        hyper = optimizer.hyperparameters(0) | {"lr": lr}
        loss = optimizer.minimize(lambda: nn.cross_entropy(model(x), y), slots, hyper)
        return loss, gl.isfinite(loss)

    specs = (Spec((batch, widths[0])), Spec((batch,), np.int64), Spec((), np.float64, weak=True))
    return step, specs, model


def staged(graph, threads):
    """The plan of a lowered graph, however small, before its kernels are put into order."""
    plan = assemble(graph)
    plan.threads = threads
    for kernel in plan.kernels:
        compiler._provide_scratch(kernel, plan)
    divide(plan)
    return plan
