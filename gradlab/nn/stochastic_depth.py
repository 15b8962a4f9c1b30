"""Stochastic depth, which leaves out random branches of a residual network while training."""

from __future__ import annotations

from typing import Literal

from gradlab.errors import ArgumentError, ShapeError, one_of
from gradlab.graph import RandomStream, Tensor, astype, greater_equal
from gradlab.graph.elementwise import floating
from gradlab.graph.tensor import Like
from gradlab.nn.checks import within
from gradlab.nn.made import next_seed
from gradlab.nn.module import Module

Mode = Literal["row", "batch"]


class StochasticDepth(Module):
    """Stochastic depth: in training a branch is 0 with probability p, else divided by 1 − p.

    y = x · [u ≥ p] / (1 − p), with one u ~ U[0, 1) for each example ("row") or for all of them
    ("batch"), so that the mean of y is x; in evaluation y = x. It belongs at the end of a residual
    branch, ``x + depth(branch(x))``.

    Args:
        p: probability of 0, in [0, 1).
        mode: "row" or "batch".

    Random numbers are as in ``Dropout``: no two layers share theirs, and ``Module.reseed`` starts
    them from a seed of yours.

    Raises:
        ArgumentError: p outside [0, 1), or another mode.
        ShapeError: a number, which has no axis of examples.

    Source: Huang et al., Deep Networks with Stochastic Depth, ECCV 2016, section 3; as there is no
    dividing there, torchvision's ``StochasticDepth``.

    >>> layer = StochasticDepth(0.5)
    >>> sorted(set(layer([[1.0, 1.0]] * 50).numpy()[:, 0].tolist())), layer.eval()([1.0, 2.0])
    ([0.0, 2.0], tensor([1., 2.]))
    """

    def __init__(self, p: float, mode: Mode = "row") -> None:
        self.p = within("StochasticDepth", "p", p)
        if mode not in ("row", "batch"):
            raise ArgumentError(one_of("mode of StochasticDepth", str(mode), ("row", "batch")))
        self.mode = mode
        self.stream = RandomStream(next_seed())

    def forward(self, x: Like) -> Tensor:
        """A tensor of the same shape."""
        x = floating(x)
        if x.ndim == 0:
            raise ShapeError("StochasticDepth takes inputs of shape (n, ...), got a number")
        if not self.training or self.p == 0:
            return x
        rows = x.shape[0] if self.mode == "row" else 1
        u = self.stream.uniform((rows, *[1] * (x.ndim - 1)), x.dtype)
        return x * (astype(greater_equal(u, self.p), x.dtype) * (1 / (1 - self.p)))
