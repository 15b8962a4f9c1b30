"""Zeros around images."""

from __future__ import annotations

import gradlab.graph as graph
from gradlab.errors import ShapeError
from gradlab.graph import Tensor, as_tensor
from gradlab.graph.tensor import Like
from gradlab.graph.windows import sizes
from gradlab.nn.module import Module


class ZeroPad2d(Module):
    """Images with zeros around them.

    Args:
        padding: how many on each side, or (left, right, top, bottom), as in PyTorch.

    Raises:
        ArgumentError: something else.
        ShapeError: inputs that have no height and width.

    >>> ZeroPad2d((0, 1, 0, 0))([[[1.0, 2.0]]]).numpy().tolist()
    [[[1.0, 2.0, 0.0]]]
    """

    def __init__(self, padding: int | tuple[int, int, int, int]) -> None:
        self.padding = sizes("ZeroPad2d: padding", padding, 4, least=0)

    def forward(self, x: Like) -> Tensor:
        """(..., height, width) to (..., top + height + bottom, left + width + right)."""
        x = as_tensor(x)
        if x.ndim < 2:
            raise ShapeError(f"ZeroPad2d takes inputs of shape (..., height, width), got {x.shape}")
        left, right, top, bottom = self.padding
        return graph.pad(x, ((0, 0),) * (x.ndim - 2) + ((top, bottom), (left, right)))
