"""Compiled programs, each made once for all estimators of one shape.

Weights, rates, the strength of the penalty and the seeds are what a program is run with, so a
search over them compiles nothing anew. Candidates of other layers, another batch size or another
optimizer are other programs.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

import gradlab.graph as graph
from gradlab.backprop import GradientTape
from gradlab.execute import Loop, program
from gradlab.graph import Graph, Spec, Tensor, trace
from gradlab.graph.dtypes import Array
from gradlab.optim import Optimizer
from gradlab.optim.hyper import Hyperparameters
from gradlab.sklearn.network import OUTPUTS, Network

KEPT = 32
"""How many are kept; the one longest unused goes first."""


class Slot:
    """A place for what is made once; others who want it wait."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.held: Any = None


class Programs:
    """What is made once, by what it depends on, for all threads of a process.

    Attributes:
        made: how many were made so far.
    """

    def __init__(self) -> None:
        self.made = 0
        self.forget()
        if hasattr(os, "register_at_fork"):  # where locks may be held by threads that are not there
            os.register_at_fork(after_in_child=self.forget)

    def forget(self) -> None:
        """Begin without any."""
        self._slots: OrderedDict[Hashable, Slot] = OrderedDict()
        self._lock = threading.Lock()

    def get(
        self, key: Hashable, make: Callable[[], Any], graph: Callable[[Any], Graph] | None = None
    ) -> Any:
        """What belongs to a key, made if it is not there, or if its ``graph`` holds no more."""
        with self._lock:
            slot = self._slots.setdefault(key, Slot())
            self._slots.move_to_end(key)
            if len(self._slots) > KEPT:
                self._slots.popitem(last=False)
        with slot.lock:
            if slot.held is None or (graph is not None and not graph(slot.held).holds()):
                slot.held = make()
                self.made += 1
            return slot.held


programs = Programs()
_steps = Programs()


def room(rows: int) -> int:
    """Rows of a program for so many: the next of eight sizes from one power of two to the next.

    So that numbers of rows that differ a little share a program, in which some rows do not count.

    >>> [room(n) for n in (7, 16, 17, 150, 1000)]
    [7, 16, 18, 160, 1024]
    """
    step = max(1, 1 << (rows - 1).bit_length() >> 4)
    return -(-rows // step) * step


class Updates:
    """The updates of a network by an optimizer, over batches of any size.

    Attributes:
        model, state: whose Variables the loops' states are of.
        variables: all of these by name.
    """

    def __init__(self, network: Network, optimizer: Optimizer) -> None:
        self.network = network
        self.optimizer = optimizer
        self.model = network.model()
        self.state = optimizer.init(self.model)
        self.variables = self.model.named_variables() | self.state.named_variables()
        # They are placeholders: a run gets weights of its own, and slots begin with one number.
        for variable in self.variables.values():
            value = variable.numpy()
            variable.assign(Tensor(np.broadcast_to(value.flat[0], value.shape)))

    def loop(self, rows: int) -> Loop:
        """Updates over batches of so many rows.

        It gathers x, y and the rows' weights, of shapes (n, in), (n, ...) and (n,). Stepped are the
        hyperparameters, the strength of the penalty, and how many rows of the batch count: the
        others fill up an epoch's last batch. Emitted is the loss as scikit-learn shows it.
        """
        found: Loop = programs.get(
            (self, rows), lambda: self._compiled(rows), lambda loop: loop.program.graph
        )
        return found

    def _compiled(self, rows: int) -> Loop:
        names = self.optimizer.names()

        def step(x: Tensor, y: Tensor, w: Tensor, *numbers: Tensor) -> Tensor:
            *values, alpha, counted = numbers
            w = w * graph.less(np.arange(rows), counted)
            shown: list[Tensor] = []

            def objective() -> Tensor:
                loss, seen = self.network.losses(self.model, x, y, w, alpha)
                shown.append(seen)
                return loss

            hyper = dict(zip(names, values, strict=True))
            self.optimizer.minimize(objective, self.state, hyper)
            return shown[0]

        columns = _columns(self.network)
        specs = [Spec((rows, *shape), dtype, name=n) for n, shape, dtype in columns]
        numbers = [Spec((), np.float64, weak=True, name=n) for n in (*names, "alpha", "counted")]
        nothing = [np.empty((0, *shape), dtype) for _, shape, dtype in columns]
        return Loop(trace(step, *specs, *numbers), nothing)


def updates(network: Network, optimizer: Optimizer) -> Updates:
    """The updates of a network by an optimizer, whatever its hyperparameters' values."""
    key = (network, form(optimizer))
    found: Updates = _steps.get(key, lambda: Updates(network, optimizer))
    return found


def _columns(network: Network) -> list[tuple[str, tuple[int, ...], Any]]:
    """Name, shape of a row, and dtype of what is gathered."""
    dtype = np.dtype(network.dtype)
    y = ((), np.int64) if OUTPUTS[network.output].numbers else ((network.sizes[-1],), dtype)
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
        self.graph = trace(function, *specs, Spec((), np.float64, weak=True, name="alpha"))
        self._program = program(self.graph)
        places = {variable: place for place, variable in enumerate(weights)}
        self._places = [places[variable] for variable, _ in self.graph.captured]

    def __call__(
        self, x: Array, y: Array, w: Array, alpha: float, weights: Sequence[Array]
    ) -> tuple[float, float, list[Array]]:
        """For rows, their weights, the strength of the penalty, and weight and bias of layers."""
        state = [weights[place] for place in self._places]
        (loss, shown, *gradients), _ = self._program.run([x, y, w, alpha], state)
        return float(loss), float(shown), gradients


def objective(network: Network, rows: int) -> Objective:
    """The objective of a network over so many rows."""
    found: Objective = programs.get(
        (network, rows), lambda: Objective(network, rows), lambda found: found.graph
    )
    return found


def form(optimizer: Any) -> Hashable:
    """What of an optimizer is fixed in a program: its class, and all but the hyperparameters.

    What a class of one's own reads besides is not known, so it is known by the object.

    >>> from gradlab.optim import Adam, Momentum
    >>> form(Adam(lr=0.1)) == form(Adam(lr=0.2))
    True
    >>> form(Momentum()) == form(Momentum(form="torch"))
    False
    """
    if isinstance(optimizer, tuple):
        return tuple(map(form, optimizer))
    if not isinstance(optimizer, Hyperparameters):
        return type(optimizer), optimizer
    if not type(optimizer).__module__.startswith("gradlab."):
        return id(optimizer)  # ``Updates`` holds it, so no other gets this number
    declared: Any = fields(optimizer)  # type: ignore[arg-type]
    own = [f.name for f in declared if "range" not in f.metadata]
    return type(optimizer), *((name, form(getattr(optimizer, name))) for name in own)
