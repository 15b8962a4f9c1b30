"""A small GPT: a causal transformer."""

from __future__ import annotations

import math

from gradlab.errors import ArgumentError, ShapeError
from gradlab.graph import Tensor, as_tensor
from gradlab.graph.op import Shape
from gradlab.graph.tensor import Like
from gradlab.nn.activation import GELU
from gradlab.nn.checks import whole
from gradlab.nn.containers import ModuleDict, ModuleList
from gradlab.nn.dropout import Dropout
from gradlab.nn.embedding import Embedding
from gradlab.nn.linear import Linear
from gradlab.nn.models.registry import InitScheme, models
from gradlab.nn.models.self_attention import self_attention
from gradlab.nn.models.shapes import lengths
from gradlab.nn.module import Module
from gradlab.nn.norm import LayerNorm
from gradlab.nn.sequential import Sequential


class CausalSelfAttention(Module):
    """Attention of each place to itself and those before it; one product for all of q, k and v."""

    def __init__(self, width: int, heads: int, dropout: float, bias: bool) -> None:
        self.heads = heads
        self.c_attn = Linear(width, 3 * width, bias)
        self.c_proj = Linear(width, width, bias)
        self.attn_dropout = Dropout(dropout)
        self.resid_dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(n, t, width) to the same shape."""
        y = self_attention(self.c_attn(x), self.heads, causal=True, dropout=self.attn_dropout)
        z: Tensor = self.resid_dropout(self.c_proj(y))
        return z


class Block(Module):
    """A layer of the transformer, with the normalizations before attention and MLP.

    a = x + attn(ln₁(x)); y = a + mlp(ln₂(a))
    """

    def __init__(self, width: int, heads: int, dropout: float, bias: bool) -> None:
        self.ln_1 = LayerNorm(width, bias=bias)
        self.attn = CausalSelfAttention(width, heads, dropout, bias)
        self.ln_2 = LayerNorm(width, bias=bias)
        self.mlp = Sequential(
            {
                "c_fc": Linear(width, 4 * width, bias),
                "gelu": GELU(),
                "c_proj": Linear(4 * width, width, bias),
                "dropout": Dropout(dropout),
            }
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, t, width) to the same shape."""
        x = x + self.attn(self.ln_1(x))
        y: Tensor = x + self.mlp(self.ln_2(x))
        return y


@models.register(
    "gpt",
    formula="embeddings of tokens and places, blocks of causal attention and MLP, dense",
    paper="Radford et al., GPT-2, 2019",
)
class GPT(Module):
    """Predicts the next token at each place of a sequence.

    Embeddings of tokens and places, blocks (layer normalization before attention and MLP), a last
    normalization, and logits by the token embedding once more (one matrix, two uses). 804,096
    parameters for 65 characters and sequences of 64; with ``layers=12, heads=12, width=768,
    bias=True``, 1024 places and 50,257 tokens it is GPT-2 with its 124,439,808.

    Args:
        inputs: (block,), the length of the longest sequence.
        outputs: size of the vocabulary.
        layers: how many blocks.
        heads: of each attention; width is a multiple.
        width: of the embeddings.
        dropout: probability of dropping an embedded number, an attention weight, and an output of
            attention or MLP, in [0, 1).
        bias: whether dense layers and normalizations have biases.

    Raises:
        ArgumentError: a size below 1, a width that does not divide into heads, or dropout outside
            [0, 1).
        ShapeError: sequences that are empty or too long.

    Source: Radford et al., Language Models are Unsupervised Multitask Learners, 2019; defaults,
    names and first values as in Karpathy, nanoGPT, 2022 (its setting for a CPU).

    >>> model = GPT((64,), 65, layers=1, heads=2, width=16)
    >>> model([[1, 2, 3]]).shape, list(model.state_dict())[2:4]
    ((1, 3, 65), ['transformer.h.0.ln_1.weight', 'transformer.h.0.attn.c_attn.weight'])
    """

    def __init__(
        self,
        inputs: Shape,
        outputs: int,
        layers: int = 4,
        heads: int = 4,
        width: int = 128,
        dropout: float = 0.0,
        bias: bool = False,
    ) -> None:
        (self.block,) = lengths("GPT", inputs, "block")
        self.layers = whole("GPT", "layers", layers)
        if whole("GPT", "width", width) % whole("GPT", "heads", heads):
            raise ArgumentError(f"GPT: width must be a multiple of heads={heads}, got {width!r}")
        blocks = [Block(width, heads, dropout, bias) for _ in range(self.layers)]
        self.transformer = ModuleDict(
            {
                "wte": Embedding(outputs, width),
                "wpe": Embedding(self.block, width),
                "drop": Dropout(dropout),
                "h": ModuleList(blocks),
                "ln_f": LayerNorm(width, bias=bias),
            }
        )
        self.lm_head = Linear(width, outputs, bias=False)
        self.transformer["wte"].weight = self.lm_head.weight
        self.name_variables()

    @property
    def init_scheme(self) -> InitScheme:
        """Normal; what is added to the residual stream 2 · layers times is smaller by its root."""
        scaled = f"normal(std={0.02 / math.sqrt(2 * self.layers)})"
        return "normal(std=0.02)", {"*.c_proj.weight": scaled}

    def forward(self, tokens: Like) -> Tensor:
        """Numbers of tokens (n, t) to logits (n, t, outputs), 1 ≤ t ≤ block."""
        tokens = as_tensor(tokens)
        if tokens.ndim != 2 or not 1 <= tokens.shape[1] <= self.block:
            raise ShapeError(
                f"GPT takes numbers of shape (n, t), t from 1 to {self.block}, got {tokens.shape}"
            )
        parts = self.transformer
        x = parts["drop"](parts["wte"](tokens) + parts["wpe"].weight[: tokens.shape[1]])
        for block in parts["h"]:
            x = block(x)
        logits: Tensor = self.lm_head(parts["ln_f"](x))
        return logits
