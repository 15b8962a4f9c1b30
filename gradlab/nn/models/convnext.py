"""ConvNeXt, a convolutional network with the habits of transformers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

import gradlab.graph as graph
from gradlab.errors import ArgumentError
from gradlab.graph import Tensor, Variable, default_dtype, gelu, permute_dims
from gradlab.graph.op import Shape
from gradlab.graph.tensor import Like
from gradlab.nn.checks import whole, within
from gradlab.nn.containers import ModuleList
from gradlab.nn.convolution import Conv2d
from gradlab.nn.linear import Linear
from gradlab.nn.models.registry import InitScheme, models
from gradlab.nn.models.shapes import lengths
from gradlab.nn.module import Module
from gradlab.nn.norm import LayerNorm
from gradlab.nn.sequential import Sequential
from gradlab.nn.stochastic_depth import StochasticDepth

EPS = 1e-6
"""ε of the normalizations, as in the source."""
LAST, FIRST = (0, 2, 3, 1), (0, 3, 1, 2)
"""Orders of axes that put the channels last, and back to their place."""


class ChannelNorm(LayerNorm):
    """Layer normalization over the channels of an image, at each place by itself."""

    def forward(self, x: Like) -> Tensor:
        """(n, channels, height, width) to the same shape."""
        return permute_dims(super().forward(permute_dims(x, LAST)), FIRST)


class Block(Module):
    """A depthwise convolution of 7×7 and an MLP over the channels, beside a shortcut.

    y = x + drop(γ · W₂ gelu(W₁ norm(conv(x))))

    Args:
        channels: that come in and go out.
        drop: probability of leaving the branch out for an example, in [0, 1).
        scale: first value of γ, one number for each channel.
    """

    def __init__(self, channels: int, drop: float, scale: float) -> None:
        self.dwconv = Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = LayerNorm(channels, EPS)
        self.pwconv1 = Linear(channels, 4 * channels)
        self.pwconv2 = Linear(4 * channels, channels)
        self.gamma = Variable(np.full(channels, scale), dtype=default_dtype())
        self.drop_path = StochasticDepth(drop)

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, height, width) to the same shape."""
        z = self.norm(permute_dims(self.dwconv(x), LAST))
        z = self.gamma * self.pwconv2(gelu(self.pwconv1(z)))
        y: Tensor = x + self.drop_path(permute_dims(z, FIRST))
        return y


@models.register(
    "convnext",
    formula="four stages of depthwise conv7 and MLP over channels, each at half the resolution",
    paper="Liu et al., CVPR 2022",
)
class ConvNeXt(Module):
    """Convolutional network of four stages, each with half the height and width of the one before.

    A convolution of patches, then in each stage blocks of a depthwise convolution of 7×7 and an MLP
    over the channels, with layer normalization, layer scale γ and stochastic depth; the mean over
    all places, normalized, and a dense layer. By default it is ConvNeXt-F, of 4,836,634 parameters
    for 10 classes and 5,217,784 for 1000, whatever the size of the images. ConvNeXt-T, with
    28,589,128 for 1000 classes, is ``widths=(96, 192, 384, 768), depths=(3, 3, 9, 3)``.

    Args:
        inputs: shape of an image, (channels, height, width), at least 8 · patch high and wide.
        outputs: number of classes.
        widths: channels of each stage.
        depths: blocks of each stage.
        patch: height and width of the patches.
        drop_path: probability of leaving out the last block's branch, in [0, 1); it grows evenly
            from 0 at the first block.
        layer_scale: first value of γ.

    Raises:
        ArgumentError: widths and depths that are not four of each, a number out of its range, or
            images that are too small.

    Source: Liu et al., A ConvNet for the 2020s, CVPR 2022, with its layers' names and first values;
    Wightman, timm, 2022, for the widths of ConvNeXt-F.

    >>> model = ConvNeXt((3, 32, 32), 10, widths=(8, 8, 8, 8), depths=(1, 1, 1, 1))
    >>> list(model.named_parameters())[4:6]
    ['downsample_layers.1.0.weight', 'downsample_layers.1.0.bias']
    """

    # The source's trunc_normal_ cuts at ±2, which is at 100 standard deviations.
    init_scheme: ClassVar[InitScheme] = ("normal(std=0.02)", {})

    def __init__(
        self,
        inputs: Shape,
        outputs: int,
        widths: Sequence[int] = (48, 96, 192, 384),
        depths: Sequence[int] = (2, 2, 6, 2),
        patch: int = 4,
        drop_path: float = 0.0,
        layer_scale: float = 1e-6,
    ) -> None:
        channels, rows, columns = lengths("ConvNeXt", inputs, "channels", "height", "width")
        for name, given in (("widths", widths), ("depths", depths)):
            if not isinstance(given, Sequence) or len(given) != 4:
                raise ArgumentError(f"ConvNeXt: {name} must be four whole numbers, got {given!r}")
            for number in given:
                whole("ConvNeXt", name, number)
        within("ConvNeXt", "drop_path", drop_path)
        if min(rows, columns) < 8 * whole("ConvNeXt", "patch", patch):
            raise ArgumentError(
                f"ConvNeXt with patch={patch} takes images of at least {8 * patch}×{8 * patch}, "
                f"got {rows}×{columns}"
            )
        stem = Sequential(Conv2d(channels, widths[0], patch, patch), ChannelNorm(widths[0], EPS))
        halvings = [
            Sequential(ChannelNorm(before, EPS), Conv2d(before, after, 2, stride=2))
            for before, after in itertools.pairwise(widths)
        ]
        self.downsample_layers = ModuleList([stem, *halvings])
        drops = iter(np.linspace(0, drop_path, sum(depths)).tolist())
        self.stages = ModuleList(
            Sequential(*[Block(width, next(drops), layer_scale) for _ in range(depth)])
            for width, depth in zip(widths, depths, strict=True)
        )
        self.norm = LayerNorm(widths[-1], EPS)
        self.head = Linear(widths[-1], outputs)
        self.name_variables()

    def forward(self, x: Like) -> Tensor:
        """Images (n, channels, height, width) to logits (n, outputs)."""
        for downsample, stage in zip(self.downsample_layers, self.stages, strict=True):
            x = stage(downsample(x))
        logits: Tensor = self.head(self.norm(graph.mean(x, axis=(2, 3))))
        return logits
