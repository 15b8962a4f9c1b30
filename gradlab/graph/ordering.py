"""The row that says when, not what: a value that is to be used only after others are there."""

from __future__ import annotations

from typing import Any

from gradlab.graph.op import VJP, Op, declare
from gradlab.graph.tensor import Symbol, Tensor, apply


class _FirstOnly:
    """The VJPs of a row whose value is its first input, whatever the others are."""

    def __getitem__(self, index: int) -> VJP | None:
        return None if index else _unchanged


def _unchanged(g: Tensor, y: Tensor, *inputs: Tensor, **params: Any) -> Tensor:
    return g


AFTER = declare(
    Op(
        "after",
        forward=lambda xp, x, *awaited: x,
        infer=lambda x, *awaited: (x.shape, x.dtype),
        vjps=_FirstOnly(),
        formula="x, once the others are there",
    )
)


def after(x: Tensor, *awaited: Tensor) -> Tensor:
    """The same value, for what is to be computed only after other tensors are.

    In a trace it is another node than x: no executor takes what is computed from it for the same
    computation from x, nor does it begin with that before the others are there. Eager code runs in
    the order in which it is written, so there it is x itself.

    >>> from gradlab.graph import Spec, trace
    >>> print(trace(lambda x, y: after(x, y) * 2, Spec((2,), name="x"), Spec((), name="y")))
    in   x: float32(2)
    in   y: float32()
    %1 = after(x, y): float32(2)
    %2 = multiply(%1, 2.0): float32(2)
    out  %2
    """
    if not isinstance(x, Symbol):
        return x
    late = apply(AFTER, (x, *(other for other in awaited if isinstance(other, Symbol))))
    late.weak = x.weak
    return late


def origin(x: Tensor) -> Tensor:
    """What was put off, if x is put off: the same value, as it was before ``after``."""
    while x.op is AFTER:
        x = x.inputs[0]
    return x
