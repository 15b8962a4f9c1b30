"""A model in evaluation mode: its output and how good it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gradlab.execute import compile
from gradlab.execute.compiled import Recordings
from gradlab.graph import Graph, Spec, Tensor, trace
from gradlab.graph.dtypes import Array
from gradlab.graph.trace import dry_run
from gradlab.graph.tree import leaves, map_leaves, rebuild
from gradlab.graph.variable import changing
from gradlab.nn import Module
from gradlab.nn.module import in_mode

Loss = Callable[[Any, Any], Tensor]
Metric = Callable[[Any, Array], float]
KINDS = 64
"""Kinds of inputs of which it is known how many rows go through the model at once."""
ROWS = 4096
"""Rows that go through the model at once, at most."""
TENSOR_BYTES = 1 << 26
"""And no more than make the largest tensor of the model as large as this."""


class Evaluator:
    """Runs a model in evaluation mode over any number of rows; looking changes nothing in it.

    It computes from the values that the model's Variables have when it begins, so it may run beside
    a training, and in several threads.

    Args:
        model: any Module that takes rows and gives a tensor or a nest of tensors.
        executor: what runs it.

    >>> from gradlab import nn
    >>> model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
    >>> x = np.ones((5, 2), np.float32)
    >>> bool((Evaluator(model).predict(x) == model[0](x).numpy()).all())
    True
    """

    def __init__(self, model: Module, executor: str = "native") -> None:
        self.model = model
        self.executor = executor
        self._forward = compile(model, executor)
        self._rows: dict[Any, Recordings[int]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_rows": {}}

    def predict(self, x: Array) -> Any:
        """The model's output, a row for each row of x; of several outputs a nest of arrays."""
        with changing:
            variables = self.model.named_variables().values()
            values = {variable: variable.held.value for variable in variables}
        parts = []
        with in_mode(self.model, training=False):
            rows = self._at_once(x)
            for start in range(0, max(len(x), 1), rows):
                part, new = self._forward.run_from(values, x[start : start + rows])
                values |= new  # a model may draw random numbers here too
                parts.append(part)
        columns = zip(*[leaves(part) for part in parts], strict=True)
        joined = (_joined([np.asarray(x) for x in column]) for column in columns)
        return rebuild(parts[0], joined)

    def _at_once(self, x: Array) -> int:
        """How many rows go through the model at once, by the largest tensor that they make."""
        count = max(1, min(len(x), ROWS))
        kind = (count, x.shape[1:], x.dtype)
        if kind not in self._rows and len(self._rows) == KINDS:
            self._rows.clear()
        known = self._rows.setdefault(kind, Recordings())

        def rows(graph: Graph) -> int:
            if any(output.shape[:1] != (count,) for output in graph.outputs):
                return max(1, len(x))  # an output of all rows together
            largest = max((node.size * node.dtype.itemsize for node in graph.nodes), default=1)
            return min(max(1, TENSOR_BYTES * count // max(largest, 1)), ROWS)

        return known.get(lambda: trace(self.model, Spec((count, *x.shape[1:]), x.dtype)), rows)

    def scores(
        self, x: Array, y: Array, loss: Loss, metrics: Mapping[str, Metric] | None = None
    ) -> dict[str, float]:
        """Loss and metrics by name, each of all rows at once."""
        output = self.predict(x)
        with np.errstate(all="ignore"):  # a score that is not finite is seen as such
            found = {"loss": float(dry_run(loss, map_leaves(Tensor, output), Tensor(y)))}
            return found | {
                name: float(metric(output, y)) for name, metric in (metrics or {}).items()
            }


def _joined(parts: list[Array]) -> Array:
    """Rows of all parts in an array of its own; what has no rows came in one part."""
    return np.concatenate(parts) if parts[0].ndim else parts[0].copy()
