"""Optimizer: what each one is, and the driver that all of them share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self, TypeVar, cast

import numpy as np

from gradlab.backprop import GradientTape
from gradlab.errors import ArgumentError, GradientError, ShapeError, TraceError
from gradlab.graph import Symbol, Tensor, Variable, as_tensor, clip
from gradlab.graph.operators import Operators
from gradlab.graph.tensor import active
from gradlab.graph.trace import guard
from gradlab.optim.hyper import Hyper, Hyperparameters
from gradlab.optim.part import Part
from gradlab.optim.state import State, Weights, named

P = TypeVar("P")
X = Any
"""A tensor of gradlab, eager or traced, or of PyTorch: a rule uses operators only."""
Slots = dict[str, X]
Values = Mapping[str, Any]
"""Values of the hyperparameters by name: Python floats, or scalars of a trace."""


@dataclass(frozen=True)
class Optimizer(Hyperparameters, ABC):
    """How weights follow from weights and gradients: a frozen value without state.

    A new optimizer is a frozen dataclass that declares its hyperparameters with ``hyper`` (one of
    them ``lr``), names its ``slots`` and writes its equations as ``rule``:

    >>> from dataclasses import field
    >>> from gradlab.optim import Hyper, hyper
    >>> @dataclass(frozen=True)
    ... class SignDescent(Optimizer):
    ...     lr: Hyper = field(default=0.01, metadata=hyper())
    ...
    ...     def rule(self, θ, g, slots, h, t):
    ...         return θ - h["lr"] * g / abs(g), slots
    >>> w = Variable([3.0, -4.0])
    >>> optimizer = SignDescent(lr=0.5)
    >>> state = optimizer.init([w])
    >>> optimizer.minimize(lambda: (w * w).sum(), state)
    tensor(25.)
    >>> w
    Variable([ 2.5, -3.5])

    With ``maximize=True``, which every optimizer takes, the loss goes up: g is the gradient times
    −1, also for weight decay and clipping, as in PyTorch.
    """

    maximize: bool = field(default=False, kw_only=True)

    slots: ClassVar[tuple[str, ...]] = ()
    """Names of what is remembered for each weight."""

    @abstractmethod
    def rule(self, θ: X, g: X, slots: Slots, h: Values, t: Any) -> tuple[X, Slots]:
        """New value and new slots of one weight: the equations, with operators only.

        Args:
            θ: the weight.
            g: gradient of the loss by it, taken at ``interim``.
            slots: what is remembered for it, by name.
            h: values of the hyperparameters, by name.
            t: number of this update, counted from 1.
        """

    def initial(self, slot: str) -> float:
        """The number that fills a slot before the first update."""
        return 0.0

    def interim(self, θ: X, slots: Slots, h: Values) -> X:
        """Where the gradient is evaluated, θ̂: at the weight itself unless a class says more."""
        return θ

    def update(
        self, weights: list[X], gradients: list[X], slots: list[Slots], h: Values, t: Any
    ) -> tuple[list[X], list[Slots]]:
        """New weights and slots of the whole model.

        ``t`` is a list where weights differ in it.
        """
        return self._step(weights, self._down(gradients), slots, h, t)

    # What `minimize` does with all weights at once: other than here where an optimizer is made of
    # others, as Chain and Groups are.

    def _of(self, names: list[str], whole: bool = False) -> Optimizer:
        """The optimizer for weights of these names, of a ``whole`` model or of a part of it."""
        return self

    def _initial(self, count: int) -> list[dict[str, float]]:
        """For each of so many weights its slots, and what fills them before the first update."""
        return [{slot: self.initial(slot) for slot in self.slots}] * count

    def _interim(self, weights: list[X], slots: list[Slots], h: Values) -> list[X]:
        """Where the gradients are evaluated."""
        return [self.interim(θ, s, h) for θ, s in zip(weights, slots, strict=True)]

    def _down(self, gradients: list[X]) -> list[X]:
        """The gradients of what is minimized."""
        return [-g for g in gradients] if self.maximize else gradients

    def _step(
        self, weights: list[X], gradients: list[X], slots: list[Slots], h: Values, t: Any
    ) -> tuple[list[X], list[Slots]]:
        """New weights and slots: the rule for each weight."""
        times = t if isinstance(t, list) else [t] * len(weights)
        parts = zip(weights, gradients, slots, times, strict=True)
        results = [self.rule(θ, g, s, h, t) for θ, g, s, t in parts]
        return [θ for θ, _ in results], [s for _, s in results]

    def with_lr(self, change: Callable[[Hyper], Hyper]) -> Self:
        """The same optimizer with another learning rate, which ``change`` makes of the one it has.

        >>> from gradlab.optim import Adam, Chain, ClipNorm
        >>> Chain(ClipNorm(1.0), Adam(0.5)).with_lr(lambda lr: lr / 2).hyperparameters(0)["lr"]
        0.25
        """
        optimizer: Any = self
        return cast("Self", replace(optimizer, lr=change(optimizer.lr)))

    def init(self, weights: Weights, whole: bool = True) -> State:
        """State before the first update; Variables that are not trainable are left out.

        Args:
            weights: a model, or Variables by name or in a list.
            whole: whether these are all of a model, so that each pattern of ``Groups`` matches one.

        Raises:
            ArgumentError: not floating Variables, one twice, or none to train; or a pattern of
                ``Groups`` that matches none of them, or one of them that none matches.
        """
        trained = named(weights)
        initial = self._of(list(trained), whole)._initial(len(trained))

        def slot(of: str, w: Variable, name: str, value: float) -> Variable:
            return Variable(np.full(w.shape, value, w.dtype), trainable=False, name=f"{of}.{name}")

        slots = [
            {name: slot(of, w, name, value) for name, value in numbers.items()}
            for (of, w), numbers in zip(trained.items(), initial, strict=True)
        ]
        count = Variable(0, trainable=False, name="count", weak=True)
        return State(list(trained), list(trained.values()), slots, count)

    def minimize(
        self,
        loss_fn: Callable[[], Any],
        state: State,
        hyper: Values | None = None,
        epoch: float = 0.0,
        part: Part | None = None,
        on_unused: Callable[[list[str]], None] | None = None,
    ) -> Tensor:
        """Do one update of the weights; the loss where its gradient was taken.

        It runs eagerly, in a trace and in a compiled function. There, pass the hyperparameters
        as an argument, so that they are no constants of the program. A weight that is not trainable
        any more is left out: neither it nor its slots nor its count of updates move, weight decay
        included. Once it is trainable again, it goes on from there, as in PyTorch.

        Args:
            loss_fn: gives the loss, a scalar, from the present weights.
            state: made by ``init``; its weights, slots and count are assigned.
            hyper: values of all hyperparameters, instead of those at ``epoch``.
            epoch: epochs done, at which schedules are evaluated.
            part: which part of a batch the loss is of; by default it is of the whole batch.
            on_unused: called with the names of weights that the loss does not depend on, which are
                left out too; without it they are an error.

        Raises:
            GradientError: the loss does not depend on one of the weights, or on none of them.
            ShapeError: the loss is not a scalar.
            ArgumentError: a name is missing in ``hyper``, a schedule leaves its range, the state
                is of another optimizer, or none of its weights is trainable.
            TraceError: ``epoch`` is traced. After any error the weights are as they were.

        >>> import gradlab
        >>> from gradlab.optim import SGD
        >>> w, optimizer = Variable([1.0]), SGD(lr=lambda t: 0.25 / (1 + t))
        >>> state = optimizer.init([w])
        >>> step = gradlab.compile(lambda h: optimizer.minimize(lambda: (w * w).sum(), state, h))
        >>> for epoch in range(3):
        ...     print(step(optimizer.hyperparameters(epoch)))
        tensor(1.)
        tensor(0.25)
        tensor(0.140625)
        """
        if isinstance(epoch, Symbol):
            raise TraceError("epoch is traced; pass hyper=optimizer.hyperparameters(epoch) instead")
        initial = self._of(state.names)._initial(len(state.names))
        for present, needed in zip(state.slots, initial, strict=True):
            if present.keys() != needed.keys():
                has, needs = (", ".join(names) or "none" for names in (present, needed))
                raise ArgumentError(
                    f"state is of another optimizer: its slots are {has}, those of "
                    f"{type(self).__name__} {needs}; make it with this optimizer's init"
                )
        h = self._complete(hyper, epoch)
        places = [i for i, w in enumerate(state.weights) if w.trainable]
        if not places:
            raise ArgumentError("none of the weights is trainable: set trainable = True on some")
        weights = before = [state.weights[i] for i in places]
        θ = values = [w.read() for w in weights]
        slots: list[Slots] = [{k: v.read() for k, v in state.slots[i].items()} for i in places]
        optimizer = self._of(_at(places, state.names))
        try:
            for w, x, moved in zip(weights, θ, optimizer._interim(θ, slots, h), strict=True):
                if moved is not x:
                    w.assign(moved)
            with GradientTape() as tape:
                loss = as_tensor(loss_fn())
            if loss.shape:
                raise ShapeError(f"the loss has shape {loss.shape}; reduce it with gradlab.mean")
            gradients = tape.gradient(
                loss, weights, unconnected="raise" if on_unused is None else "none"
            )
            used = [n for n, g in enumerate(gradients) if g is not None]
            if len(used) < len(places):
                if not used:
                    raise GradientError("the loss depends on none of the weights")
                assert on_unused is not None
                on_unused([state.names[i] for n, i in enumerate(places) if n not in used])
                _assign(weights, θ)
                weights, θ, gradients = _at(used, weights), _at(used, θ), _at(used, gradients)
                slots, places = _at(used, slots), _at(used, places)
                optimizer = self._of(_at(places, state.names))
            if len(places) < len(state.weights):
                state.leave_out(set(range(len(state.weights))).difference(places))
                if part is not None:
                    part = replace(part, sums=_at(places, part.sums))
            if part is not None:
                gradients = part.added(gradients)
            counts = [state.count_of(w) for w in weights]
            times = {count: _next(count) for count in {state.count: 0, **dict.fromkeys(counts)}}
            t: Any = [times[count] for count in counts] if state.counts else times[state.count]
            if active.trace is None and not active.tapes:
                # Nothing is recorded, and on plain arrays a rule costs a third.
                arrays = [{k: x.value for k, x in s.items()} for s in slots]
                new, after = optimizer.update(_values(θ), _values(gradients), arrays, h, t)
            else:
                guard(lambda: [(w.trainable, id(state.count_of(w))) for w in state.weights])
                new, after = optimizer.update(θ, gradients, slots, h, t)
        except BaseException:
            _assign(before, values)
            raise
        if part is not None:
            part.keep(gradients)
            new = [part.chosen(x, y) for x, y in zip(new, θ, strict=True)]
            pairs = zip(after, slots, strict=True)
            after = [{k: part.chosen(x[k], y[k]) for k in y} for x, y in pairs]
            times = {count: part.chosen(t, count.read()) for count, t in times.items()}
        _assign(weights, new)
        for i, results in zip(places, after, strict=True):
            variables = state.slots[i]
            _assign(list(variables.values()), [results[name] for name in variables])
        for count, t in times.items():
            count.assign(t)
        return loss

    def _complete(self, hyper: Values | None, epoch: float) -> Values:
        """The given values of the hyperparameters, if none is missing, or those at the epoch."""
        if hyper is None:
            return self.hyperparameters(epoch)
        missing = [name for name in self.names() if name not in hyper]
        if missing:
            raise ArgumentError(
                f"hyper lacks {', '.join(missing)}; start from optimizer.hyperparameters(epoch)"
            )
        return hyper


def clipped(x: X, low: X, high: X) -> X:
    """x within [low, high]: by gradlab's function, or by the method of PyTorch and NumPy."""
    return clip(x, low, high) if isinstance(x, Operators) else x.clip(low, high)


def _at(numbers: list[int], parts: list[P]) -> list[P]:
    return [parts[n] for n in numbers]


def _next(count: Variable) -> Any:
    """The number of the next update: outside a trace a Python number, of which powers are cheap."""
    t = count + 1
    return t if isinstance(t, Symbol) else t.item()


def _values(tensors: list[Tensor]) -> list[X]:
    return [x.value for x in tensors]


def _assign(variables: list[Variable], values: list[X]) -> None:
    for variable, value in zip(variables, values, strict=True):
        # A rule's results are new arrays, so they need no copy.
        variable.assign(value if isinstance(value, Tensor) else Tensor(np.asarray(value)))
