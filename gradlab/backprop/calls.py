"""A call as one node: a token that is made from what goes in, and outputs that are made from it.

The adjoint of the token is that of all outputs together, so that a rule for the call is asked once.
"""

from __future__ import annotations

import numpy as np

from gradlab.graph import Op, Tensor, apply
from gradlab.graph.op import declare


class Adjoints(Tensor):
    """The adjoint of a token: those of the outputs by their numbers.

    Attributes:
        of_outputs: these.
        of_sources: what follows from them for each source, once it is known.
    """

    def __init__(self, of_outputs: dict[int, Tensor]) -> None:
        super().__init__(np.zeros((), np.int64))
        self.of_outputs = of_outputs
        self.of_sources: list[Tensor | None] | None = None

    def __add__(self, other: object) -> Tensor:
        """Those of other outputs put in."""
        assert isinstance(other, Adjoints)
        return Adjoints(self.of_outputs | other.of_outputs)


TOKEN = Op(
    "checkpoint",
    forward=lambda xp, *sources: xp.zeros((), dtype=xp.int64),
    infer=lambda *sources: ((), np.dtype(np.int64)),
    vjps=(),
    formula="a call whose insides are not kept",
)
RESULT = declare(
    Op(
        "checkpointed",
        forward=lambda xp, x, token, number: x,
        infer=lambda x, token, number: (x.shape, x.dtype),
        # The tapes that were on know only the token. One on which a trace is replayed knows x.
        vjps=(
            lambda g, y, x, token, number: g,
            lambda g, y, x, token, number: Adjoints({number: g}),
        ),
        formula="x",
    )
)


def result_of(x: Tensor, token: Tensor, number: int, op: Op = RESULT) -> Tensor:
    """An output as what came out of a call."""
    made = apply(op, (x, token), {"number": number})
    made.weak = x.weak
    return made
