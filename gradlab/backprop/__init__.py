"""Floor 2: backpropagation, one reverse sweep and the ways to ask it."""

from gradlab.backprop.check import check_grads
from gradlab.backprop.checkpoint import checkpoint
from gradlab.backprop.custom import custom_gradient
from gradlab.backprop.functional import (
    grad,
    hessian,
    hvp,
    jacfwd,
    jacobian,
    jvp,
    value_and_grad,
    vjp,
)
from gradlab.backprop.sweep import reachable, sum_to, sweep
from gradlab.backprop.tape import GradientTape

__all__ = [
    "GradientTape",
    "check_grads",
    "checkpoint",
    "custom_gradient",
    "grad",
    "hessian",
    "hvp",
    "jacfwd",
    "jacobian",
    "jvp",
    "reachable",
    "sum_to",
    "sweep",
    "value_and_grad",
    "vjp",
]
