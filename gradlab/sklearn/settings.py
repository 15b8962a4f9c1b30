"""What an estimator's settings may be."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np

from gradlab.errors import ArgumentError, one_of
from gradlab.sklearn.network import activation as build_activation

CHOICES = {
    "solver": ("lbfgs", "sgd", "adam"),
    "learning_rate": ("constant", "invscaling", "adaptive"),
}
WHOLE_FROM_1 = ("max_iter", "max_fun")
FLAGS = ("shuffle", "warm_start", "nesterovs_momentum", "early_stopping")
NUMBERS: dict[str, tuple[str, Callable[[float], bool]]] = {
    "alpha": ("from 0 up", lambda x: 0 <= x < math.inf),
    "learning_rate_init": ("above 0", lambda x: 0 < x < math.inf),
    "power_t": ("from 0 up", lambda x: 0 <= x < math.inf),
    "tol": ("from 0 up", lambda x: 0 <= x < math.inf),
    "momentum": ("from 0 to below 1", lambda x: 0 <= x < 1),
    "validation_fraction": ("from 0 to below 1", lambda x: 0 <= x < 1),
    "beta_1": ("from 0 to below 1", lambda x: 0 <= x < 1),
    "beta_2": ("from 0 to below 1", lambda x: 0 <= x < 1),
    "epsilon": ("above 0", lambda x: 0 < x < math.inf),
}


def check(settings: Any) -> None:
    """Check the settings of an estimator.

    Raises:
        ArgumentError: one is out of its range; the text names it.
    """
    for name, known in CHOICES.items():
        if getattr(settings, name) not in known:
            raise ArgumentError(one_of(name, str(getattr(settings, name)), known))
    for name in WHOLE_FROM_1:
        if not is_whole(getattr(settings, name)):
            _fail(settings, name, "a whole number from 1 up")
    for name in FLAGS:
        if not isinstance(getattr(settings, name), bool | np.bool_):
            _fail(settings, name, "True or False")
    for name, (text, fits) in NUMBERS.items():
        value = getattr(settings, name)
        if not isinstance(value, Real) or not fits(float(value)):
            _fail(settings, name, f"a number {text}")
    if not isinstance(settings.verbose, Integral | np.bool_):
        _fail(settings, "verbose", "True or False")
    patience = settings.n_iter_no_change
    if not is_whole(patience) and patience != math.inf:
        _fail(settings, "n_iter_no_change", "a whole number from 1 up, or infinity")
    size = settings.batch_size
    schedule = callable(size) and not isinstance(size, type)
    if not (size == "auto" if isinstance(size, str) else is_whole(size) or schedule):
        _fail(settings, "batch_size", "'auto', a whole number from 1 up, or a schedule of these")
    if settings.solver == "lbfgs":
        for name in ("optimizer", "schedule", "dropout"):
            if getattr(settings, name) not in (None, 0):
                raise ArgumentError(f"solver 'lbfgs' takes no {name}; leave one of the two out")


def hidden_sizes(settings: Any) -> tuple[int, ...]:
    """The hidden layers.

    Raises:
        ArgumentError: not whole numbers from 1 up.
    """
    given = settings.hidden_layer_sizes
    many = isinstance(given, Iterable) and not isinstance(given, str)
    sizes = tuple(given) if many else (given,)
    if not all(map(is_whole, sizes)):
        _fail(settings, "hidden_layer_sizes", "whole numbers from 1 up, one for each hidden layer")
    return tuple(map(int, sizes))


def for_each_layer(settings: Any, name: str, layers: int) -> tuple[Any, ...]:
    """A setting of each hidden layer: one for all, or one each.

    Raises:
        ArgumentError: as many as there are not layers, or an unknown activation.
    """
    given = getattr(settings, name)
    if isinstance(given, str | Mapping) or not isinstance(given, Iterable):
        given = (given,) * layers
    chosen = tuple(given)
    if len(chosen) != layers:
        raise ArgumentError(f"{name} has {len(chosen)} entries for {layers} hidden layers")
    for each in chosen:
        if name == "activation":
            if not isinstance(each, str):
                _fail(settings, name, "a name, or a list of one for each hidden layer")
            build_activation(each)
        elif not isinstance(each, Real) or not 0 <= float(each) < 1:
            _fail(settings, name, "a number from 0 to below 1, or one for each hidden layer")
    return chosen


def is_whole(value: Any) -> bool:
    """Whether it is a whole number from 1 up."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1


def _fail(settings: Any, name: str, wanted: str) -> None:
    raise ArgumentError(f"{name} is {getattr(settings, name)!r}; give {wanted}")
