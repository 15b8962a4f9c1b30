"""The op row: everything that gradlab knows about one operation, declared once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from gradlab.errors import ArgumentError
from gradlab.graph.dtypes import DType

if TYPE_CHECKING:
    from gradlab.graph.tensor import Tensor

Shape = tuple[int, ...]
Forward = Callable[..., Any]
Infer = Callable[..., tuple[Shape, DType]]
VJP = Callable[..., "Tensor"]


class Rules(Protocol):
    """The VJP of each input, by position; None where there is no derivative."""

    def __getitem__(self, index: int, /) -> VJP | None: ...


@dataclass(frozen=True)
class Kink:
    """A point without a derivative, and the subgradient chosen there.

    ``gradient`` is the gradient of the sum of the output with respect to each input.
    """

    at: tuple[Any, ...]
    gradient: tuple[Any, ...]


@dataclass(frozen=True)
class Interval:
    """Where tests draw an input from, and the extreme values that they add."""

    low: float = -3.0
    high: float = 3.0
    extremes: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class Op:
    """One row of the table of operations.

    Attributes:
        name: unique name, as it shows in drawings and listings.
        forward: ``forward(xp, *arrays, **params)`` over an array namespace (NumPy, jax.numpy).
        infer: ``infer(*tensors, **params)`` gives shape and dtype of the output, from the
            shapes and dtypes of the inputs alone.
        vjps: for each input, ``vjp(g, y, *inputs, **params)`` gives its adjoint from the output's
            adjoint g and the output y, written with ops so that it can be differentiated again. It
            may leave a broadcast undone: the sweep sums the adjoint to the input's shape.
            None: no derivative with respect to that input.
        formula: the operation as text, in x, y, z for the inputs.
        derivatives: the local derivative by each input as text, with f for the output; "" for
            operations that move numbers without changing them.
        kinks: points without a derivative, with the subgradient chosen there.
        domain: where tests draw each input from, away from kinks; empty for ops whose inputs need
            structure.
        composed: ``composed(*tensors, **params)`` gives the same by other ops, for an executor that
            has no rule for this one; None if there is no need.

    >>> import gradlab
    >>> from gradlab.graph import Op, apply, as_tensor, elementwise_shape
    >>> cube = Op(
    ...     "cube_example",
    ...     forward=lambda xp, x: x * x * x,
    ...     infer=elementwise_shape,
    ...     vjps=(lambda g, y, x: g * 3 * x * x,),
    ...     formula="x³",
    ...     derivatives=("3x²",),
    ... )
    >>> gradlab.grad(lambda x: apply(cube, (as_tensor(x),)))(2.0).numpy()
    array(12.)
    """

    name: str
    forward: Forward
    infer: Infer
    vjps: Rules
    formula: str
    derivatives: tuple[str, ...] = ()
    kinks: tuple[Kink, ...] = ()
    domain: tuple[Interval, ...] = ()
    composed: Callable[..., Tensor] | None = None

    def __repr__(self) -> str:
        return f"<op {self.name}: {self.formula}>"


OPS: dict[str, Op] = {}
"""Every built-in row, by name."""


def declare(op: Op) -> Op:
    """Add a built-in row to the table."""
    if op.name in OPS:
        raise ArgumentError(f"an op named {op.name!r} is declared already")
    OPS[op.name] = op
    return op


class PerInput:
    """VJPs of an op with any number of inputs: one rule that is told which input it is for."""

    def __init__(self, rule: Callable[..., Tensor]) -> None:
        self.rule = rule

    def __getitem__(self, index: int) -> VJP:
        return lambda *args, **params: self.rule(index, *args, **params)
