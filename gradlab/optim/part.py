"""Part: a batch in parts, whose gradients add up until the last part makes the update."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gradlab.graph import Tensor, Variable, as_tensor, where


@dataclass(frozen=True, eq=False)
class Part:
    """One part of a batch that is too large for memory as a whole.

    g ← Σ over the parts of share · (gradient of the part's mean loss)

    ``Optimizer.minimize`` computes the update in every part, and keeps it in the last one alone:
    so one program serves all parts, and a batch may have any number of them.

    Attributes:
        sums: a Variable for each weight, of zeros before the first part and after the last; see
            ``State.sums``.
        share: part of the batch's rows that is in it, in (0, 1].
        last: whether it is the last part; in a trace a scalar tensor.

    >>> from gradlab.optim import SGD
    >>> w, optimizer = Variable([1.0]), SGD(0.5)
    >>> state = optimizer.init([w])
    >>> sums = state.sums()
    >>> for x, last in ((1.0, False), (3.0, True)):
    ...     loss = optimizer.minimize(lambda: (w * x).sum(), state, part=Part(sums, 0.5, last))
    ...     print(w.numpy(), sums[0].numpy())
    [1.] [0.5]
    [0.] [0.]
    """

    sums: list[Variable]
    share: float
    last: Any

    def added(self, gradients: list[Tensor]) -> list[Tensor]:
        """The gradients so far, those of this part included."""
        pairs = zip(self.sums, gradients, strict=True)
        return [total.read() + self.share * g for total, g in pairs]

    def keep(self, gradients: list[Tensor]) -> None:
        """Hold on to the gradients so far for the next part, or to zeros after the last."""
        for total, g in zip(self.sums, gradients, strict=True):
            total.assign(self.chosen(0.0, g))

    def chosen(self, new: Any, old: Any) -> Tensor:
        """What a value becomes: the new one in the last part, else the old one."""
        return where(self.last, as_tensor(new), as_tensor(old))
