"""Penalties on the size of the parameters, to be added to a loss."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable

import gradlab.graph as graph
from gradlab.errors import ArgumentError
from gradlab.graph import Tensor
from gradlab.graph.tensor import Like


def l1_penalty(parameters: Iterable[Like]) -> Tensor:
    """Sum of absolute values, Σ|θ|; the subgradient at 0 is 0.

    Raises:
        ArgumentError: no parameters.

    >>> l1_penalty([[1.0, -2.0], [3.0]])
    tensor(6.)
    """
    return _total("l1_penalty", [graph.sum(graph.abs(p)) for p in parameters])


def l2_penalty(parameters: Iterable[Like]) -> Tensor:
    """Half the sum of squares, ½Σθ²; its gradient is θ.

    Raises:
        ArgumentError: no parameters.

    >>> l2_penalty([[1.0, -2.0], [3.0]])
    tensor(7.)
    """
    return 0.5 * _total("l2_penalty", [graph.sum(graph.square(p)) for p in parameters])


def _total(penalty: str, parts: list[Tensor]) -> Tensor:
    if not parts:
        raise ArgumentError(f"{penalty} needs at least one parameter: pass model.parameters()")
    return functools.reduce(operator.add, parts)
