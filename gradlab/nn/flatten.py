"""Flatten, from images to rows."""

from __future__ import annotations

import gradlab.graph as graph
from gradlab.errors import ShapeError
from gradlab.graph import Tensor, as_tensor
from gradlab.graph.tensor import Like
from gradlab.nn.module import Module


class Flatten(Module):
    """Each example as one row: shape (n, ...) becomes (n, product of the rest).

    Raises:
        ShapeError: a number, which has no axis of examples.

    >>> import numpy as np
    >>> Flatten()(np.zeros((5, 28, 28), np.float32)).shape
    (5, 784)
    """

    def forward(self, x: Like) -> Tensor:
        """(n, ...) to (n, product of the rest)."""
        x = as_tensor(x)
        if x.ndim == 0:
            raise ShapeError("Flatten takes inputs of shape (n, ...), got a number")
        return graph.flatten(x, 1)
