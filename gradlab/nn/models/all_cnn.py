"""All-CNN-C, a network of convolutions alone."""

from __future__ import annotations

import itertools
from typing import ClassVar

import gradlab.graph as graph
from gradlab.errors import ArgumentError
from gradlab.graph import Tensor
from gradlab.graph.op import Shape
from gradlab.graph.tensor import Like
from gradlab.nn.activation import ReLU
from gradlab.nn.convolution import Conv2d
from gradlab.nn.dropout import Dropout
from gradlab.nn.models.registry import InitScheme, models
from gradlab.nn.models.shapes import lengths, same_sides, strided
from gradlab.nn.module import Module
from gradlab.nn.padding import ZeroPad2d
from gradlab.nn.sequential import Sequential


@models.register(
    "all_cnn_c",
    formula="conv3: 96 96 96/2 192 192 192/2 192; conv1: 192, outputs; mean over places",
    paper="Springenberg et al., ICLR workshop 2015",
)
class AllCNNC(Sequential):
    """All convolutional network C: strides instead of pooling, and no dense layer.

    Each of the nine convolutions has a ReLU after it, the last one too; the logits are the means
    over all places. Padding is TensorFlow's "same" but before the seventh convolution, which has
    none. 1,387,108 parameters for images of (3, 32, 32) and 100 classes.

    Args:
        inputs: shape of an image, (channels, height, width), at least 9 high and wide.
        outputs: number of classes.

    Raises:
        ArgumentError: inputs of other axes, or too small.

    Source: Springenberg et al., Striving for Simplicity: The All Convolutional Net, ICLR workshop
    2015, table 1, C; dropout of .2, .5 and .5, padding, layers' names and first values as in
    Schneider et al., DeepOBS, ICLR 2019, problem cifar100_allcnnc.

    >>> list(AllCNNC((3, 32, 32), 100).state_dict())[-2:]
    ['conv9.weight', 'conv9.bias']
    """

    init_scheme: ClassVar[InitScheme] = (
        "xavier_truncated_normal",
        {"*.bias": "constant(value=0.1)"},
    )

    def __init__(self, inputs: Shape, outputs: int) -> None:
        channels, height, width = lengths("AllCNNC", inputs, "channels", "height", "width")
        if min(height, width) < 9:
            raise ArgumentError(f"AllCNNC takes images of at least 9×9, got {height}×{width}")
        whole = height, width
        half = strided(whole, 2)
        shapes = itertools.pairwise((channels, *[96] * 3, *[192] * 5, outputs))
        parts: dict[str, Module] = {"dropout1": Dropout(0.2)}
        for i, (before, after) in enumerate(shapes, start=1):
            if i in (3, 6):
                size = whole if i == 3 else half
                parts[f"pad{i}"] = ZeroPad2d(same_sides(size, kernel=3, stride=2))
                conv = Conv2d(before, after, 3, stride=2)
            elif i == 7:
                conv = Conv2d(before, after, 3)
            else:
                conv = Conv2d(before, after, 3 if i < 8 else 1, padding="same")
            parts |= {f"conv{i}": conv, f"relu{i}": ReLU()}
            if i in (3, 6):
                parts[f"dropout{i // 3 + 1}"] = Dropout(0.5)
        super().__init__(parts)

    def forward(self, x: Like) -> Tensor:
        """Images (n, channels, height, width) to logits (n, outputs)."""
        return graph.mean(super().forward(x), axis=(2, 3))
