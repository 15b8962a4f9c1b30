"""Attention of a sequence to itself, from queries, keys and values side by side."""

from __future__ import annotations

import gradlab.graph as graph
from gradlab.graph import Tensor
from gradlab.nn.attention import attention
from gradlab.nn.dropout import Dropout


def self_attention(
    qkv: Tensor, heads: int, causal: bool = False, dropout: Dropout | None = None
) -> Tensor:
    """Attention in each head, and the outputs of all heads side by side again.

    Args:
        qkv: queries, keys and values of all heads, of shape (n, t, 3 · width).
        heads: of which width is a multiple.
        causal: whether place i may look at places 0 to i only.
        dropout: what is applied to the weights.

    >>> self_attention(graph.ones((2, 5, 24)), heads=2).shape
    (2, 5, 8)
    """
    n, t, features = qkv.shape
    width = features // 3
    split = graph.reshape(qkv, (n, t, 3, heads, width // heads))
    q, k, v = (graph.permute_dims(split[:, :, i], (0, 2, 1, 3)) for i in range(3))
    y = attention(q, k, v, causal=causal, dropout=dropout)
    return graph.reshape(graph.permute_dims(y, (0, 2, 1, 3)), (n, t, width))
