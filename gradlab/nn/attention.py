"""Attention: weighted means of values, with weights from products of queries and keys."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

import gradlab.graph as graph
from gradlab.errors import ArgumentError, DTypeError, ShapeError
from gradlab.graph import Tensor, Variable, as_tensor, broadcast_shapes
from gradlab.graph.elementwise import floating, promote
from gradlab.graph.op import Shape
from gradlab.graph.tensor import Like
from gradlab.nn.checks import floating_dtype, whole
from gradlab.nn.dropout import Dropout
from gradlab.nn.linear import Linear
from gradlab.nn.made import next_seed
from gradlab.nn.module import Module


def attention(
    q: Like,
    k: Like,
    v: Like,
    mask: Like | None = None,
    causal: bool = False,
    dropout: Callable[[Tensor], Tensor] | None = None,
    scale: float | None = None,
) -> Tensor:
    """Scaled dot-product attention.

    y = softmax(q kᵀ · scale + M) v, where M is 0 where a query may look and −∞ elsewhere.

    Args:
        q: queries, of shape (..., L, d).
        k: keys, of shape (..., S, d).
        v: values, of shape (..., S, e); the output has shape (..., L, e).
        mask: broadcast to (..., L, S); booleans, True where a query may look, or floats M.
        causal: whether query i may look at keys 0 to i only.
        dropout: what is applied to the weights, such as an ``nn.Dropout``.
        scale: 1/√d if not given.

    A query that may look nowhere has the output 0.

    Raises:
        ShapeError: shapes that do not fit together.
        DTypeError: a mask of whole numbers.

    Source: Vaswani et al., Attention Is All You Need, NeurIPS 2017, equation 1; arguments and masks
    as in PyTorch's ``scaled_dot_product_attention``.

    >>> attention([[1.0]], [[1.0], [1.0]], [[2.0], [4.0]])
    tensor([[3.]])
    >>> attention([[1.0]], [[1.0], [1.0]], [[2.0], [4.0]], mask=[False, True])
    tensor([[4.]])
    """
    q, k = promote(floating(q), floating(k))
    q, v = promote(q, floating(v))
    k, v = promote(k, v)
    if min(q.ndim, k.ndim, v.ndim) < 2 or q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        raise ShapeError(
            "attention takes q of shape (..., L, d), k (..., S, d) and v (..., S, e), got "
            f"{q.shape}, {k.shape} and {v.shape}"
        )
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    scores = graph.matmul(q * scale, k, transpose_y=True)
    allowed = as_tensor(np.tri(*scores.shape[-2:], dtype=np.bool_)) if causal else None
    if mask is not None:
        mask = as_tensor(mask)
        _check_mask(mask, scores)
        looks = mask
        if mask.dtype.kind == "f":
            mask = graph.astype(mask, scores.dtype)  # where a low number may become −∞
            scores = scores + mask
            looks = graph.greater(mask, -math.inf)
        allowed = looks if allowed is None else graph.logical_and(looks, allowed)
    if allowed is not None:
        # Not −∞ but the lowest number, or the softmax would be NaN where nothing is allowed.
        scores = graph.where(allowed, scores, float(np.finfo(scores.dtype).min))
    weights = graph.softmax(scores)
    y = graph.matmul(weights if dropout is None else dropout(weights), v)
    if mask is None or allowed is None:
        return y
    return graph.where(graph.any(allowed, axis=-1, keepdims=True), y, 0.0)


def _check_mask(mask: Tensor, scores: Tensor) -> None:
    if mask.dtype.kind not in "bf":
        raise DTypeError(f"attention: mask must hold booleans or floats, got {mask.dtype}")
    try:
        fits = broadcast_shapes(mask.shape, scores.shape) == scores.shape
    except ShapeError:
        fits = False
    if not fits:
        raise ShapeError(
            f"attention: mask must broadcast to (..., L, S) = {scores.shape}, got {mask.shape}"
        )


class MultiheadAttention(Module):
    """Multi-head attention: several attentions side by side, each over a part of the features.

    y = concat(h₁, ..., h_H) Wᴼᵀ + bᴼ, where hᵢ is the attention of the i-th parts of the features
    of q W^Qᵀ + b^Q, k W^Kᵀ + b^K and v W^Vᵀ + b^V.

    Args:
        embed_dim: E, features of queries, keys, values and output.
        num_heads: H, of which E is a multiple.
        dropout: probability of dropping each weight, in [0, 1).
        bias: whether there are biases.
        batch_first: whether inputs have shape (n, length, E), else (length, n, E), which is
            PyTorch's default. Those of a single example, (length, E), are taken either way.
        dtype: of the parameters; the default dtype if not given.

    Attributes:
        in_proj_weight: W^Q, W^K and W^V below one another, of shape (3E, E).
        in_proj_bias: b^Q, b^K and b^V, of shape (3E,), zeros at first; or None.
        out_proj: the linear layer Wᴼ, bᴼ; its bias starts at zero.

    The weights start as PyTorch's: in_proj_weight by Xavier's uniform distribution, Wᴼ as in
    ``Linear``. Unlike PyTorch's, a call gives the output alone, without the weights.

    Raises:
        ArgumentError: sizes below 1, features that do not divide into heads, or dropout outside
            [0, 1).
        DTypeError: parameters that are no floats.
        ShapeError: inputs or masks of another shape.

    Source: Vaswani et al., Attention Is All You Need, NeurIPS 2017, section 3.2.2.

    >>> layer = MultiheadAttention(8, num_heads=2, batch_first=True)
    >>> layer(np.ones((3, 5, 8), np.float32), is_causal=True).shape
    (3, 5, 8)
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        batch_first: bool = False,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        chosen = floating_dtype("MultiheadAttention", dtype)
        size = self.embed_dim = whole("MultiheadAttention", "embed_dim", embed_dim)
        self.num_heads = whole("MultiheadAttention", "num_heads", num_heads)
        if size % self.num_heads:
            raise ArgumentError(
                f"MultiheadAttention: embed_dim must be a multiple of num_heads={num_heads}, "
                f"got {embed_dim}"
            )
        self.batch_first = batch_first
        bound = math.sqrt(6 / (size + 3 * size))
        weight = np.random.default_rng(next_seed()).uniform(-bound, bound, (3 * size, size))
        self.in_proj_weight = Variable(weight, name="in_proj_weight", dtype=chosen)
        self.in_proj_bias = (
            Variable(np.zeros(3 * size), name="in_proj_bias", dtype=chosen) if bias else None
        )
        self.out_proj = Linear(size, size, bias, chosen)
        if self.out_proj.bias is not None:
            self.out_proj.bias.assign(np.zeros(size, chosen))
        self.dropout = Dropout(dropout)

    def forward(
        self,
        query: Like,
        key: Like | None = None,
        value: Like | None = None,
        key_padding_mask: Like | None = None,
        attn_mask: Like | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        """Outputs of the shape of the queries.

        Args:
            query: of shape (n, L, E), (L, n, E) if not batch_first, or (L, E).
            key: of shape (n, S, E), (S, n, E) or (S, E); the queries if not given.
            value: of the shape of the keys; the keys if not given.
            key_padding_mask: booleans of shape (n, S) or (S,), True for a key to be *ignored*.
            attn_mask: of shape (L, S) or (n · num_heads, L, S); booleans, True where a query may
                *not* look (PyTorch's convention here, unlike in ``attention``), or floats to add.
            is_causal: whether query i may look at keys 0 to i only; no attn_mask is needed for it.
        """
        key = query if key is None else key
        value = key if value is None else value
        q = self._turned(query)
        k = q if key is query else self._turned(key)
        v = k if value is key else self._turned(value)
        if k.shape != v.shape or k.shape[0] != q.shape[0]:
            raise ShapeError(
                f"{self._label()}: keys and values must be as many as one another, for as many "
                f"examples as queries; as (n, length, features) they are {q.shape} (queries), "
                f"{k.shape} and {v.shape}"
            )
        mask = self._mask(key_padding_mask, attn_mask, (q.shape[0], q.shape[1], k.shape[1]))
        if v is k is q:
            q, k, v = self._heads(q, 0, 3)
        elif v is k:
            (q,), (k, v) = self._heads(q, 0, 1), self._heads(k, 1, 2)
        else:
            (q,), (k,), (v,) = self._heads(q, 0, 1), self._heads(k, 1, 1), self._heads(v, 2, 1)
        y = graph.permute_dims(attention(q, k, v, mask, is_causal, self.dropout), (0, 2, 1, 3))
        y = self.out_proj(graph.reshape(y, (*y.shape[:2], self.embed_dim)))
        if as_tensor(query).ndim == 2:
            return graph.squeeze(y, 0)
        return y if self.batch_first else graph.permute_dims(y, (1, 0, 2))

    def _label(self) -> str:
        return f"MultiheadAttention({self.embed_dim}, {self.num_heads})"

    def _turned(self, x: Like) -> Tensor:
        """Inputs as (n, length, E), whatever came."""
        x = floating(x)
        if x.ndim not in (2, 3) or x.shape[-1] != self.embed_dim:
            order = "n, length" if self.batch_first else "length, n"
            raise ShapeError(
                f"{self._label()} takes inputs of shape ({order}, {self.embed_dim}) or "
                f"(length, {self.embed_dim}), got {x.shape}"
            )
        if x.ndim == 2:
            return graph.expand_dims(x, 0)
        return x if self.batch_first else graph.permute_dims(x, (1, 0, 2))

    def _heads(self, x: Tensor, first: int, count: int) -> list[Tensor]:
        """So many projections of x by one product, each (n, heads, length, E / heads)."""
        rows = slice(first * self.embed_dim, (first + count) * self.embed_dim)
        z = graph.matmul(x, self.in_proj_weight[rows], transpose_y=True)
        z = z if self.in_proj_bias is None else z + self.in_proj_bias[rows]
        each = self.embed_dim // self.num_heads
        z = graph.reshape(z, (*x.shape[:2], count, self.num_heads, each))
        z = graph.permute_dims(z, (2, 0, 3, 1, 4))
        return [z[i] for i in range(count)]

    def _mask(self, padding: Like | None, mask: Like | None, sizes: Shape) -> Tensor | None:
        """Both masks as one for ``attention``, which says where to look instead of where not."""
        n, length, keys = sizes
        if padding is not None:
            padding = as_tensor(padding)
            if padding.dtype.kind != "b":
                raise DTypeError(
                    f"{self._label()}: key_padding_mask must hold booleans, got {padding.dtype}"
                )
            if padding.shape != (n, keys) and not (n == 1 and padding.shape == (keys,)):
                raise ShapeError(
                    f"{self._label()}: key_padding_mask must have shape ({n}, {keys}), "
                    f"got {padding.shape}"
                )
            padding = graph.reshape(padding, (n, 1, 1, keys))
        if mask is None:
            return None if padding is None else graph.logical_not(padding)
        mask = as_tensor(mask)
        if mask.dtype.kind not in "bf":
            raise DTypeError(
                f"{self._label()}: attn_mask must hold booleans or floats, got {mask.dtype}"
            )
        if mask.shape == (n * self.num_heads, length, keys):
            mask = graph.reshape(mask, (n, self.num_heads, length, keys))
        elif mask.shape != (length, keys):
            raise ShapeError(
                f"{self._label()}: attn_mask must have shape ({length}, {keys}) or "
                f"({n * self.num_heads}, {length}, {keys}), got {mask.shape}"
            )
        if mask.dtype.kind == "f":
            return mask if padding is None else graph.where(padding, -math.inf, mask)
        return graph.logical_not(mask if padding is None else graph.logical_or(mask, padding))
