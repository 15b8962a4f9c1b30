"""A model in evaluation mode: its output and how good it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from gradlab.execute import compile
from gradlab.graph import Spec, Tensor, trace
from gradlab.graph.dtypes import Array
from gradlab.nn import Module

Loss = Callable[[Tensor, Any], Tensor]
Metric = Callable[[Array, Array], float]
ROWS = 4096
"""Rows that go through the model at once, at most."""
TENSOR_BYTES = 1 << 26
"""And no more than make the largest tensor of the model as large as this."""


@contextmanager
def in_mode(model: Module, training: bool) -> Iterator[None]:
    """The model in training or in evaluation mode inside the block, and as it was after it."""
    before = {module: module.training for module in model.named_modules().values()}
    model.train(training)
    try:
        yield
    finally:
        for module, mode in before.items():
            module.training = mode


class Evaluator:
    """Runs a model in evaluation mode over any number of rows; looking changes nothing in it.

    Args:
        model: any Module that takes rows and gives a tensor.
        executor: what runs it.

    >>> from gradlab import nn
    >>> model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
    >>> x = np.ones((5, 2), np.float32)
    >>> bool((Evaluator(model).predict(x) == model[0](x).numpy()).all())
    True
    """

    def __init__(self, model: Module, executor: str = "native") -> None:
        self.model = model
        self._forward = compile(model, executor)
        self._rows: dict[Any, int] = {}

    def predict(self, x: Array) -> Array:
        """The model's output, a row for each row of x."""
        before = {variable: variable.held for variable in self.model.named_variables().values()}
        with in_mode(self.model, training=False):
            rows = self._at_once(x)
            starts = range(0, max(len(x), 1), rows)
            parts = [self._forward(x[start : start + rows]).numpy() for start in starts]
        for variable, held in before.items():  # a model may draw random numbers here too
            variable.assign(held)
        return np.concatenate(parts)

    def _at_once(self, x: Array) -> int:
        """How many rows go through the model at once, by the largest tensor that a row makes."""
        kind = (x.shape[1:], x.dtype)
        if kind not in self._rows:
            graph = trace(self.model, Spec((1, *x.shape[1:]), x.dtype))
            largest = max((node.size * node.dtype.itemsize for node in graph.nodes), default=1)
            self._rows[kind] = max(1, TENSOR_BYTES // max(largest, 1))
        return min(self._rows[kind], ROWS)

    def scores(
        self, x: Array, y: Array, loss: Loss, metrics: Mapping[str, Metric] | None = None
    ) -> dict[str, float]:
        """Loss and metrics by name."""
        output = self.predict(x)
        with np.errstate(all="ignore"):  # a score that is not finite is seen as such
            found = {"loss": float(loss(Tensor(output), Tensor(y)))}
            return found | {
                name: float(metric(output, y)) for name, metric in (metrics or {}).items()
            }
