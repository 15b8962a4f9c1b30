"""gradlab: a training laboratory for neural networks, open to the eye."""

import importlib
from typing import TYPE_CHECKING, Any

from gradlab import init, nn, optim, schedule
from gradlab.backprop import (
    GradientTape,
    check_grads,
    checkpoint,
    custom_gradient,
    grad,
    hessian,
    hvp,
    jacfwd,
    jacobian,
    jvp,
    value_and_grad,
    vjp,
)
from gradlab.execute import compile
from gradlab.graph import *  # noqa: F403
from gradlab.graph import __all__ as _graph

if TYPE_CHECKING:
    from gradlab import data, inspect, interop, sklearn, train
    from gradlab.inspect import draw, explain
    from gradlab.train import Trainer, fit  # type: ignore[no-redef]  # the package has a module fit

# Imported when first asked for, so that `import gradlab` stays quick.
_LATER = {
    "Trainer": "gradlab.train",
    "data": "gradlab.data",
    "draw": "gradlab.inspect",
    "explain": "gradlab.inspect",
    "fit": "gradlab.train",
    "inspect": "gradlab.inspect",
    "interop": "gradlab.interop",
    "sklearn": "gradlab.sklearn",
    "train": "gradlab.train",
}


def __getattr__(name: str) -> Any:
    """A package or function of the upper floors."""
    if name not in _LATER:
        raise AttributeError(f"module 'gradlab' has no attribute {name!r}")
    module = importlib.import_module(_LATER[name])
    return module if _LATER[name] == f"gradlab.{name}" else getattr(module, name)


__all__ = [
    *_graph,
    "GradientTape",
    "Trainer",
    "check_grads",
    "checkpoint",
    "compile",
    "custom_gradient",
    "data",
    "draw",
    "explain",
    "fit",
    "grad",
    "hessian",
    "hvp",
    "init",
    "inspect",
    "interop",
    "jacfwd",
    "jacobian",
    "jvp",
    "nn",
    "optim",
    "schedule",
    "sklearn",
    "train",
    "value_and_grad",
    "vjp",
]
