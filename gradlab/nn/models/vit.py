"""A vision transformer."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

import gradlab.graph as graph
from gradlab.errors import ArgumentError, ShapeError
from gradlab.graph import Tensor, Variable, as_tensor, default_dtype
from gradlab.graph.op import Shape
from gradlab.graph.tensor import Like
from gradlab.nn.activation import GELU
from gradlab.nn.checks import whole
from gradlab.nn.convolution import Conv2d
from gradlab.nn.dropout import Dropout
from gradlab.nn.linear import Linear
from gradlab.nn.made import next_seed
from gradlab.nn.models.registry import InitScheme, models
from gradlab.nn.models.self_attention import self_attention
from gradlab.nn.models.shapes import lengths
from gradlab.nn.module import Module
from gradlab.nn.norm import LayerNorm
from gradlab.nn.sequential import Sequential

EPS = 1e-6
"""ε of the normalizations, as in the source."""


class PatchEmbedding(Module):
    """Patches of an image as a sequence of vectors, by a convolution with as large a stride."""

    def __init__(self, channels: int, width: int, patch: int) -> None:
        self.proj = Conv2d(channels, width, patch, stride=patch)

    def forward(self, x: Like) -> Tensor:
        """(n, channels, height, width) to (n, patches, features)."""
        z: Tensor = self.proj(x)
        return graph.permute_dims(graph.flatten(z, 2), (0, 2, 1))


class Attention(Module):
    """Attention of each place to all; one product for all of q, k and v."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        self.heads = heads
        self.qkv = Linear(width, 3 * width)
        self.proj = Linear(width, width)
        self.proj_drop = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(n, t, width) to the same shape."""
        z: Tensor = self.proj_drop(self.proj(self_attention(self.qkv(x), self.heads)))
        return z


class Block(Module):
    """A layer of the transformer, with the normalizations before attention and MLP.

    a = x + attn(norm₁(x)); y = a + mlp(norm₂(a))
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        self.norm1 = LayerNorm(width, EPS)
        self.attn = Attention(width, heads, dropout)
        self.norm2 = LayerNorm(width, EPS)
        self.mlp = Sequential(
            {
                "fc1": Linear(width, 4 * width),
                "act": GELU(),
                "drop1": Dropout(dropout),
                "fc2": Linear(4 * width, width),
                "drop2": Dropout(dropout),
            }
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, t, width) to the same shape."""
        x = x + self.attn(self.norm1(x))
        y: Tensor = x + self.mlp(self.norm2(x))
        return y


@models.register(
    "vit",
    formula="patches as tokens and a class token, blocks of attention and MLP, dense",
    paper="Dosovitskiy et al., ICLR 2021",
)
class ViT(Module):
    """Vision transformer: an image is a sequence of patches, with a class token before them.

    A convolution makes a vector of each patch; places have learned embeddings; the logits come
    from the class token alone. 2,693,578 parameters for images of (3, 32, 32) and 10 classes. With
    ``patch=16, layers=12`` and images of 224×224 in 1000 classes it is ViT-Ti, with 5,717,416.

    Args:
        inputs: shape of an image, (channels, height, width), multiples of patch.
        outputs: number of classes.
        patch: height and width of a patch.
        layers: how many blocks.
        heads: of each attention; width is a multiple.
        width: of the tokens.
        dropout: probability of dropping an embedded number, and each number after a dense layer of
            a block (but q, k and v), in [0, 1).

    Raises:
        ArgumentError: a size below 1, an image that does not divide into patches, a width that does
            not divide into heads, or dropout outside [0, 1).
        ShapeError: images of another shape.

    Source: Dosovitskiy et al., An Image is Worth 16x16 Words, ICLR 2021, section 3.1; first values
    and widths of ViT-Ti of Touvron et al., DeiT, ICML 2021. The layers' names are timm's.

    >>> model = ViT((3, 8, 8), 10, patch=4, layers=1, heads=2, width=16)
    >>> list(model.state_dict())[:4]
    ['cls_token', 'pos_embed', 'patch_embed.proj.weight', 'patch_embed.proj.bias']
    """

    # The source's trunc_normal_ cuts at ±2, which is at 100 standard deviations.
    init_scheme: ClassVar[InitScheme] = (
        "normal(std=0.02)",
        {"patch_embed.proj.*": "torch_default"},
    )

    def __init__(
        self,
        inputs: Shape,
        outputs: int,
        patch: int = 4,
        layers: int = 6,
        heads: int = 3,
        width: int = 192,
        dropout: float = 0.0,
    ) -> None:
        self.inputs = lengths("ViT", inputs, "channels", "height", "width")
        channels, rows, columns = self.inputs
        if rows % whole("ViT", "patch", patch) or columns % patch:
            raise ArgumentError(
                f"ViT: height and width must be multiples of patch={patch}, got {rows}×{columns}"
            )
        if whole("ViT", "width", width) % whole("ViT", "heads", heads):
            raise ArgumentError(f"ViT: width must be a multiple of heads={heads}, got {width!r}")
        places = 1 + (rows // patch) * (columns // patch)
        rng, dtype = np.random.default_rng(next_seed()), default_dtype()
        self.cls_token = Variable(0.02 * rng.standard_normal((1, 1, width)), dtype=dtype)
        self.pos_embed = Variable(0.02 * rng.standard_normal((1, places, width)), dtype=dtype)
        self.patch_embed = PatchEmbedding(channels, width, patch)
        self.pos_drop = Dropout(dropout)
        count = whole("ViT", "layers", layers)
        self.blocks = Sequential(*[Block(width, heads, dropout) for _ in range(count)])
        self.norm = LayerNorm(width, EPS)
        self.head = Linear(width, outputs)
        self.name_variables()

    def forward(self, x: Like) -> Tensor:
        """Images (n, channels, height, width) to logits (n, outputs)."""
        x = as_tensor(x)
        if x.shape[1:] != self.inputs:
            shown = ", ".join(map(str, self.inputs))
            raise ShapeError(f"ViT takes images of shape (n, {shown}), got {x.shape}")
        patches: Tensor = self.patch_embed(x)
        first = graph.broadcast_to(self.cls_token, (patches.shape[0], 1, patches.shape[2]))
        x = self.pos_drop(graph.concat([first, patches], axis=1) + self.pos_embed)
        x = self.blocks(x)[:, 0]
        logits: Tensor = self.head(self.norm(x))
        return logits
