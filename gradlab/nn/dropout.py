"""Dropout, which hides random units while training."""

from __future__ import annotations

from gradlab.graph import RandomStream, Tensor, astype, greater_equal
from gradlab.graph.elementwise import floating
from gradlab.graph.tensor import Like
from gradlab.nn.checks import within
from gradlab.nn.made import next_seed
from gradlab.nn.module import Module


class Dropout(Module):
    """Inverted dropout: in training each element is 0 with probability p, else divided by 1 − p.

    y = x · [u ≥ p] / (1 − p), u ~ U[0, 1), so that the mean of y is x; in evaluation y = x.

    Args:
        p: probability of 0, in [0, 1).

    No two layers share their masks. Which ones a new layer has depends on how many layers this
    process made before; ``Module.reseed`` on the model starts them from a seed of yours.

    Raises:
        ArgumentError: p outside [0, 1).

    Source: Srivastava et al., Dropout, JMLR 15, 2014, section 10 for the division in training.

    >>> layer = Dropout(0.5)
    >>> sorted(set(layer([1.0] * 100).numpy().tolist())), layer.eval()([1.0, 2.0])
    ([0.0, 2.0], tensor([1., 2.]))
    """

    def __init__(self, p: float = 0.5) -> None:
        self.p = within("Dropout", "p", p)
        self.stream = RandomStream(next_seed())

    def forward(self, x: Like) -> Tensor:
        """A tensor of the same shape."""
        x = floating(x)
        if not self.training or self.p == 0:
            return x
        kept = greater_equal(self.stream.uniform(x.shape, x.dtype), self.p)
        return x * (astype(kept, x.dtype) * (1 / (1 - self.p)))
