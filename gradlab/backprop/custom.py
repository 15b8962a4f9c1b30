"""Functions with a gradient of their own, in the place of that which the sweep would find."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from gradlab.backprop.calls import RESULT, TOKEN, Adjoints, result_of
from gradlab.errors import GradientError
from gradlab.graph import Op, Symbol, Tensor, Variable, as_tensor, identity, zeros_like
from gradlab.graph.op import PerInput
from gradlab.graph.protocols import described
from gradlab.graph.shaping import cast
from gradlab.graph.tensor import Params, active, apply
from gradlab.graph.trace import lists_as_arrays
from gradlab.graph.tree import beside, leaves, map_leaves, rebuild

F = TypeVar("F", bound=Callable[..., Any])

# In a graph both are ops, so that the rule holds where the graph is recorded by another tape. What
# they compute is nothing: executors get the value as it is.
CALL = dataclasses.replace(
    TOKEN,
    name="custom_gradient",
    composed=lambda *sources: as_tensor(np.int64(0)),
    formula="a call with a gradient of its own",
)
OUTPUT = dataclasses.replace(
    RESULT,
    name="custom_gradient_of",
    vjps=(None, RESULT.vjps[1]),
    composed=lambda x, token, number: identity(x),
)


def custom_gradient(function: F) -> F:
    r"""The first result of a function, with the gradient that its second result says.

    The function returns y = f(x) and the *pullback*, which takes the adjoint ȳ to x̄ = (∂f/∂x)ᵀ ȳ,
    or to what is to stand for it: a stable form, a straight-through estimate, a clipped or
    reversed gradient. The pullback is written with ops, so it can be differentiated again and
    compiled; for second derivatives it may use what the function has computed.

    Args:
        function: of tensors, Variables and other things, or nests of them. It returns (value,
            pullback). The value is a tensor or a nest of them; the pullback takes its adjoint, in
            the form of the value, and returns one gradient for each argument, as a tuple if there
            are several, in the form of the argument. None is for an argument without a gradient.
            Arguments given by name have none.

    Raises:
        GradientError: the function does not return such a pair, or the gradients do not fit the
            arguments; in the backward sweep, if the function takes a watched tensor or a Variable
            from the code around it, whose gradient the pullback does not say.

    >>> from gradlab.backprop import grad
    >>> from gradlab.graph import exp, log
    >>> @custom_gradient
    ... def log1pexp(x):
    ...     e = exp(x)
    ...     return log(1 + e), lambda g: g * (1 - 1 / (1 + e))
    >>> grad(log1pexp)(100.0).item()
    1.0

    Source: the convention of tf.custom_gradient; the adjoint of several values comes as one nest.
    """

    @functools.wraps(function, updated=())
    def with_gradient(*args: Any, **options: Any) -> Any:
        args = tuple(map_leaves(_read, lists_as_arrays(arg)) for arg in args)
        call = _Call(function, args, options)
        if active.trace is None and not active.tapes:
            return call.run(args)[0]
        return call.value()

    return with_gradient  # type: ignore[return-value]


def _read(x: Any) -> Any:
    return as_tensor(x) if isinstance(x, Variable) else x


def _is_source(x: Any) -> bool:
    return isinstance(x, Tensor) and x.dtype.kind == "f"


class _Call:
    """One call of a function with a gradient of its own.

    Attributes:
        sources: the floating tensors among its arguments.
    """

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...], options: Any) -> None:
        self.function = function
        self.name = getattr(function, "__name__", type(function).__name__)
        self.args, self.options = args, options
        self.sources = tuple(filter(_is_source, leaves(args)))

    def run(self, args: tuple[Any, ...]) -> tuple[Any, Callable[[Any], Any]]:
        """The value and the pullback."""
        pair = self.function(*args, **self.options)
        if not isinstance(pair, tuple) or len(pair) != 2 or not callable(pair[1]):
            raise GradientError(
                f"{self.name} has a custom gradient, so it returns (value, pullback), where the "
                f"pullback is a function of the adjoint: got a {type(pair).__name__}"
            )
        return map_leaves(as_tensor, pair[0]), pair[1]

    def value(self) -> Any:
        """What the function gives, as the result of a call whose adjoint the pullback says."""
        around = _Around(self.sources)
        active.tapes.append(around)
        try:
            nest, pullback = self.run(self.args)
            nest = map_leaves(identity, nest)  # one that comes from around the function is taken
        finally:
            active.tapes.remove(around)

        def adjoint(number: int, g: Adjoints, token: Tensor, *inputs: Tensor) -> Tensor | None:
            """The adjoint of a source; the first time of all of them."""
            if number >= len(self.sources):
                raise GradientError(
                    f"{self.name} has a custom gradient, which does not say that of "
                    f"{described(inputs[number])}: pass it as an argument, or take "
                    "gradlab.stop_gradient of it"
                )
            if g.of_sources is None:
                again = inputs[: len(self.sources)]
                same = all(a is b for a, b in zip(again, self.sources, strict=True))
                value, back = (nest, pullback) if same else self.run(self._of(again))
                g.of_sources = self._adjoints(value, back, g.of_outputs)
            return g.of_sources[number]

        row = dataclasses.replace(CALL, vjps=PerInput(adjoint))  # type: ignore[arg-type]
        token = apply(row, (*self.sources, *around.taken.values()))
        outputs = [
            result_of(x, token, number, OUTPUT) if x.dtype.kind == "f" else x
            for number, x in enumerate(leaves(nest))
        ]
        return rebuild(nest, iter(outputs))

    def _of(self, sources: tuple[Tensor, ...]) -> tuple[Any, ...]:
        """The arguments, with others in the place of the sources."""
        remaining = iter(sources)
        args: tuple[Any, ...] = map_leaves(
            lambda x: next(remaining) if _is_source(x) else x, self.args
        )
        return args

    def _adjoints(
        self, value: Any, pullback: Callable[[Any], Any], seeds: dict[int, Tensor]
    ) -> list[Tensor | None]:
        """What the pullback gives for each source; the adjoint of an unused output is zero."""
        parts = [
            seeds.get(number, zeros_like(y)) if y.dtype.kind == "f" else None
            for number, y in enumerate(leaves(value))
        ]
        found = pullback(rebuild(value, iter(parts)))
        if len(self.args) == 1:
            nested = isinstance(self.args[0], list | tuple)
            if not isinstance(found, tuple) or (nested and len(found) != 1):
                found = (found,)
        given = beside(self.args, found, f"gradients of {self.name}, arguments")
        adjoints: list[Tensor | None] = []
        for x, g in zip(leaves(self.args), given, strict=True):
            if _is_source(x):
                adjoints.append(None if g is None else cast(as_tensor(g), x.dtype))
                if g is not None and adjoints[-1].shape != x.shape:  # type: ignore[union-attr]
                    raise GradientError(
                        f"the pullback of {self.name} gives a gradient of shape "
                        f"{as_tensor(g).shape} for an argument of shape {x.shape}"
                    )
        return adjoints


class _Around:
    """A tape that notes what a function takes from the code around it and has a derivative by."""

    def __init__(self, sources: tuple[Tensor, ...]) -> None:
        self.known: dict[int, Tensor] = {id(x): x for x in sources}
        self.taken: dict[int, Tensor] = {}

    def record(self, node: Tensor, op: Op, inputs: tuple[Tensor, ...], params: Params) -> None:
        """Take note of inputs from outside."""
        for i, x in enumerate(inputs):
            if id(x) in self.known or x.dtype.kind != "f" or op.vjps[i] is None:
                continue
            if isinstance(x, Symbol) or x.watched:
                self.taken[id(x)] = x
        self.known[id(node)] = node

    def read(self, variable: Variable, tensor: Tensor) -> None:
        """Readings are seen when they are used."""

    def watches(self, x: Tensor) -> bool:
        """Nothing: it gives no gradients."""
        return False

    def flows(self, x: Tensor) -> bool:
        """Nowhere."""
        return False
