"""The computation behind a tensor, in order."""

from __future__ import annotations

from gradlab.graph import Tensor


def ancestors(*ends: Tensor) -> list[Tensor]:
    """These tensors and all that they were computed from, each after those that it needs.

    >>> from gradlab import GradientTape, tensor
    >>> x = tensor(2.0, name="x")
    >>> with GradientTape() as tape:
    ...     tape.watch(x)
    ...     y = x * x
    >>> [node is x for node in ancestors(y)]
    [True, False]
    """
    order: list[Tensor] = []
    seen: set[int] = set()
    pending = [(x, False) for x in reversed(ends)]
    while pending:
        x, inputs_done = pending.pop()
        if inputs_done:
            order.append(x)
        elif id(x) not in seen:
            seen.add(id(x))
            pending.append((x, True))
            pending += [(i, False) for i in reversed(x.inputs)]
    return order
