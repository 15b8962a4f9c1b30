"""PyTorch: eager, with fused optimizers, and compiled in three ways."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from benchmarks.peers.task import CORES, Candidate, Problem

FORMS = (
    "eager",
    "fused",
    "compile, fused optimizer",
    "compile, compiled optimizer",
    "compile, one graph",
)
Step = Callable[[torch.Tensor], torch.Tensor]


def candidates(problem: Problem, forms: Sequence[str] = FORMS) -> list[Candidate]:
    """Each form with one thread, and with all."""
    torch.compiler.reset()  # its limit of compilations counts those of earlier problems
    logging.getLogger("torch").setLevel(logging.ERROR)
    # A program compiled for one number of threads is another one, with weights of its own.
    return [
        _candidate(problem, form, threads)
        for form in forms
        for threads in dict.fromkeys((1, CORES))
    ]


def _candidate(problem: Problem, form: str, threads: int) -> Candidate:
    one_graph = form == "compile, one graph"
    step = _one_graph(problem) if one_graph else _module_and_optimizer(problem, form)
    rows = itertools.cycle(torch.from_numpy(problem.indices.astype(np.int64)).unbind())

    def run(updates: int) -> list[torch.Tensor]:
        return [step(next(rows)) for _ in range(updates)]

    def first(updates: int) -> list[float]:
        return [float(loss) for loss in run(updates)]

    name = f"PyTorch {form}, {threads} thread{'s' * (threads > 1)}"
    return Candidate(name, first, run, prepare=partial(torch.set_num_threads, threads))


def _module_and_optimizer(problem: Problem, form: str) -> Step:
    """A step as PyTorch's documentation has it."""
    task = problem.task
    activation = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU}[task.activation]
    modules: list[torch.nn.Module] = []
    for weight, bias in problem.layers:
        linear = torch.nn.Linear(weight.shape[1], weight.shape[0])
        linear.load_state_dict({"weight": torch.from_numpy(weight), "bias": torch.from_numpy(bias)})
        modules += [linear, activation()]
    model = torch.nn.Sequential(*modules[:-1])
    x, y = torch.from_numpy(problem.x), torch.from_numpy(problem.y)
    loss_of = functional.cross_entropy if task.classes else functional.mse_loss
    kind = {"SGD": torch.optim.SGD, "Adam": torch.optim.Adam}[task.optimizer]
    fused = True if "fused" in form else None
    optimizer = kind(model.parameters(), lr=task.rate, fused=fused)

    def forward(rows: torch.Tensor) -> torch.Tensor:
        return loss_of(model(x[rows]), y[rows])

    compiled = form.startswith("compile")
    forward = torch.compile(forward) if compiled else forward
    update = torch.compile(optimizer.step) if compiled and not fused else optimizer.step

    def step(rows: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        loss = forward(rows)
        loss.backward()
        update()
        return loss.detach()

    return step


def _one_graph(problem: Problem) -> Step:
    """Forward, backward and update as one compiled function of plain tensors."""
    task = problem.task
    activation = {"tanh": torch.tanh, "relu": torch.relu}[task.activation]
    loss_of = functional.cross_entropy if task.classes else functional.mse_loss
    x, y = torch.from_numpy(problem.x), torch.from_numpy(problem.y)
    θ = [torch.from_numpy(array).clone() for layer in problem.layers for array in layer]
    s, r = [torch.zeros_like(w) for w in θ], [torch.zeros_like(w) for w in θ]
    t = torch.zeros(())

    def forward(θ: list[torch.Tensor], rows: torch.Tensor) -> torch.Tensor:
        a = x[rows]
        for i in range(0, len(θ) - 2, 2):
            a = activation(functional.linear(a, θ[i], θ[i + 1]))
        return loss_of(functional.linear(a, θ[-2], θ[-1]), y[rows])

    def step(rows: torch.Tensor) -> torch.Tensor:
        gradients, loss = torch.func.grad_and_value(forward)(θ, rows)
        if task.optimizer == "SGD":
            for w, g in zip(θ, gradients, strict=True):
                w.sub_(task.rate * g)
            return loss
        t.add_(1)
        for w, g, m, v in zip(θ, gradients, s, r, strict=True):
            m.lerp_(g, 0.1)
            v.mul_(0.999).addcmul_(g, g, value=0.001)
            w.sub_(task.rate * (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)).sqrt() + 1e-8))
        return loss

    compiled: Any = torch.compile(step)
    return compiled
