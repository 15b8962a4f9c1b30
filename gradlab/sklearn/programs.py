"""Compiled programs, each made once for all estimators of one shape.

Weights, rates, the strength of the penalty and the seeds are what a program is run with, so a
search over them compiles nothing anew. Candidates of other layers, another batch size or another
optimizer are other programs.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

import gradlab.graph as graph
from gradlab.backprop import GradientTape
from gradlab.execute import Loop, program
from gradlab.graph import Spec, Tensor, trace
from gradlab.graph.dtypes import Array
from gradlab.optim import Optimizer
from gradlab.optim.hyper import Hyperparameters
from gradlab.sklearn.network import Network

KEPT = 64
"""How many are kept; the one longest unused goes first."""


class Programs:
    """What is made once, by what it depends on, for all threads of a process.

    Attributes:
        made: how many were made so far.
    """

    def __init__(self) -> None:
        self.made = 0
        self._known: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What belongs to a key, made if it is not there."""
        with self._lock:
            if key not in self._known:
                self._known[key] = make()
                self.made += 1
                if len(self._known) > KEPT:
                    self._known.popitem(last=False)
            self._known.move_to_end(key)
            return self._known[key]


programs = Programs()
_steps = Programs()


class Updates:
    """The updates of a network by an optimizer, over batches of any size.

    Attributes:
        model, state: whose Variables the loops' states are of; they keep their first values.
        variables: all of these by name.
    """

    def __init__(self, network: Network, optimizer: Optimizer) -> None:
        self.network = network
        self.optimizer = optimizer
        self.model = network.model()
        self.state = optimizer.init(self.model)
        self.variables = self.model.named_variables() | self.state.named_variables()

    def loop(self, rows: int) -> Loop:
        """Updates over batches of so many rows.

        It gathers x, y and the rows' weights, of shapes (n, in), (n, ...) and (n,). Stepped are the
        hyperparameters, the strength of the penalty, and how many rows of the batch count: the
        others fill up an epoch's last batch. Emitted are the loss and whether it is finite.
        """
        found: Loop = programs.get((self, rows), lambda: self._compiled(rows))
        return found

    def _compiled(self, rows: int) -> Loop:
        names = self.optimizer.names()

        def step(x: Tensor, y: Tensor, w: Tensor, *numbers: Tensor) -> tuple[Tensor, Tensor]:
            *values, alpha, counted = numbers
            w = w * graph.less(np.arange(rows), counted)
            shown: list[Tensor] = []

            def objective() -> Tensor:
                loss, seen = self.network.losses(self.model, x, y, w, alpha)
                shown.append(seen)
                return loss

            hyper = dict(zip(names, values, strict=True))
            self.optimizer.minimize(objective, self.state, hyper)
            return shown[0], graph.isfinite(shown[0])

        columns = _columns(self.network)
        specs = [Spec((rows, *shape), dtype, name=n) for n, shape, dtype in columns]
        numbers = [Spec((), np.float64, weak=True, name=n) for n in (*names, "alpha", "counted")]
        nothing = [np.empty((0, *shape), dtype) for _, shape, dtype in columns]
        return Loop(trace(step, *specs, *numbers), nothing, halt=1)


def updates(network: Network, optimizer: Optimizer) -> Updates:
    """The updates of a network by an optimizer, whatever its hyperparameters' values."""
    key = (network, form(optimizer))
    found: Updates = _steps.get(key, lambda: Updates(network, optimizer))
    return found


def _columns(network: Network) -> list[tuple[str, tuple[int, ...], Any]]:
    """Name, shape of a row, and dtype of what is gathered."""
    dtype = np.dtype(network.dtype)
    y = ((), np.int64) if network.output == "softmax" else ((network.sizes[-1],), dtype)
    return [("x", (network.sizes[0],), dtype), ("y", *y), ("weight", (), dtype)]


class Objective:
    """Objective, shown loss and gradients over so many rows at once.

    >>> network = Network((2, 1), (), (), "identity", "float64")
    >>> x, y, ones = np.ones((3, 2)), np.full((3, 1), 4.0), np.ones(3)
    >>> objective(network, 3)(x, y, ones, 0.0, [np.ones((1, 2)), np.zeros(1)])
    (2.0, 2.0, [array([[-2., -2.]]), array([-2.])])
    """

    def __init__(self, network: Network, rows: int) -> None:
        model = network.model().eval()
        weights = model.parameters()

        def function(x: Tensor, y: Tensor, w: Tensor, alpha: Tensor) -> list[Tensor]:
            with GradientTape() as tape:
                loss, shown = network.losses(model, x, y, w, alpha)
            return [loss, shown, *tape.gradient(loss, weights)]

        specs = [Spec((rows, *shape), dtype, name=n) for n, shape, dtype in _columns(network)]
        recorded = trace(function, *specs, Spec((), np.float64, weak=True, name="alpha"))
        self._program = program(recorded)
        places = {variable: place for place, variable in enumerate(weights)}
        self._places = [places[variable] for variable, _ in recorded.captured]

    def __call__(
        self, x: Array, y: Array, w: Array, alpha: float, weights: Sequence[Array]
    ) -> tuple[float, float, list[Array]]:
        """For rows, their weights, the strength of the penalty, and weight and bias of layers."""
        state = [weights[place] for place in self._places]
        (loss, shown, *gradients), _ = self._program.run([x, y, w, alpha], state)
        return float(loss), float(shown), gradients


def objective(network: Network, rows: int) -> Objective:
    """The objective of a network over so many rows."""
    found: Objective = programs.get((network, rows), lambda: Objective(network, rows))
    return found


def form(optimizer: Any) -> Hashable:
    """What of an optimizer is fixed in a program: its class, and all but the hyperparameters.

    >>> from gradlab.optim import Adam, Momentum
    >>> form(Adam(lr=0.1)) == form(Adam(lr=0.2))
    True
    >>> form(Momentum()) == form(Momentum(form="torch"))
    False
    """
    if isinstance(optimizer, tuple):
        return tuple(map(form, optimizer))
    if not isinstance(optimizer, Hyperparameters):
        fixed: Hashable = optimizer
        return fixed
    declared: Any = fields(optimizer)  # type: ignore[arg-type]
    own = [f.name for f in declared if "range" not in f.metadata]
    return type(optimizer), *((name, form(getattr(optimizer, name))) for name in own)
