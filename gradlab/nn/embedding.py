"""Embedding, a table of vectors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

import gradlab.graph as graph
from gradlab.errors import ArgumentError, DTypeError
from gradlab.graph import Symbol, Tensor, Variable, as_tensor
from gradlab.graph.tensor import Like
from gradlab.nn.checks import floating_dtype, whole
from gradlab.nn.made import next_seed
from gradlab.nn.module import Module


class Embedding(Module):
    """Embedding: row i of a table of vectors for each whole number i.

    y = W[i], for numbers of any shape (...): the output has shape (..., embedding_dim).

    Args:
        num_embeddings: how many vectors there are; numbers are in [0, num_embeddings).
        embedding_dim: length of each.
        padding_idx: the number of a vector that starts at 0 and gets no gradient, for places that
            hold nothing; counted from the end if negative.
        dtype: of the parameter; the default dtype if not given.

    Attributes:
        weight: W, of shape (num_embeddings, embedding_dim), as in PyTorch.

    W starts as N(0, 1), PyTorch's default. The draw depends on how many layers this process made
    before; ``gradlab.init.initialize`` draws by a seed of yours.

    Raises:
        ArgumentError: sizes below 1, a padding_idx that is no row, or a number out of range (in a
            compiled function this is a ShapeError of the program).
        DTypeError: numbers that are not whole, or parameters that are no floats.

    Source: Bengio et al., A Neural Probabilistic Language Model, JMLR 3, 2003, section 2.

    >>> layer = Embedding(10, 4, padding_idx=0)
    >>> layer([[1, 2, 0]]).shape, layer([0])
    ((1, 3, 4), tensor([[0., 0., 0., 0.]]))
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        chosen = floating_dtype("Embedding", dtype)
        self.num_embeddings = whole("Embedding", "num_embeddings", num_embeddings)
        self.embedding_dim = whole("Embedding", "embedding_dim", embedding_dim)
        rng = np.random.default_rng(next_seed())
        weight = rng.standard_normal((self.num_embeddings, self.embedding_dim))
        self.padding_idx = None
        if padding_idx is not None:
            known = range(-self.num_embeddings, self.num_embeddings)
            if not isinstance(padding_idx, int | np.integer) or padding_idx not in known:
                raise ArgumentError(
                    f"Embedding: padding_idx must be from {-self.num_embeddings} to "
                    f"{self.num_embeddings - 1}, got {padding_idx!r}"
                )
            self.padding_idx = int(padding_idx) % self.num_embeddings
            weight[self.padding_idx] = 0
        self.weight = Variable(weight, name="weight", dtype=chosen)

    def forward(self, indices: Like) -> Tensor:
        """Whole numbers of shape (...) to vectors, of shape (..., embedding_dim)."""
        indices = self._checked(as_tensor(indices))
        rows = graph.take(self.weight, indices)
        if self.padding_idx is None:
            return rows
        padding = graph.expand_dims(graph.equal(indices, self.padding_idx), -1)
        return graph.where(padding, graph.stop_gradient(rows), rows)

    def _checked(self, indices: Tensor) -> Tensor:
        """The numbers, if they are in range; in a trace, so that those below 0 will fail too."""
        if indices.dtype.kind not in "iu":
            raise DTypeError(
                f"Embedding takes whole numbers, got {indices.dtype}; use astype('int64')"
            )
        if isinstance(indices, Symbol):
            indices = graph.astype(indices, "int64")
            return graph.where(graph.less(indices, 0), self.num_embeddings, indices)
        if indices.size:
            low, high = indices.value.min(), indices.value.max()
            if low < 0 or high >= self.num_embeddings:
                raise ArgumentError(
                    f"Embedding: numbers must be from 0 to {self.num_embeddings - 1}, got "
                    f"{low} to {high}"
                )
        return indices
