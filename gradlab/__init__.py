"""gradlab: a training laboratory for neural networks, open to the eye."""

from gradlab import data, init, nn, optim, schedule, train
from gradlab.backprop import (
    GradientTape,
    check_grads,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    value_and_grad,
    vjp,
)
from gradlab.execute import compile
from gradlab.graph import *  # noqa: F403
from gradlab.graph import __all__ as _graph
from gradlab.inspect import draw, explain
from gradlab.train import Trainer, fit

__all__ = [
    *_graph,
    "GradientTape",
    "Trainer",
    "check_grads",
    "compile",
    "data",
    "draw",
    "explain",
    "fit",
    "grad",
    "hessian",
    "hvp",
    "init",
    "jacobian",
    "jvp",
    "nn",
    "optim",
    "schedule",
    "train",
    "value_and_grad",
    "vjp",
]
