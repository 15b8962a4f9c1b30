"""Wide residual networks."""

from __future__ import annotations

from typing import ClassVar

import gradlab.graph as graph
from gradlab.errors import ArgumentError
from gradlab.graph import Tensor, relu
from gradlab.graph.op import Shape
from gradlab.graph.tensor import Like
from gradlab.nn.batch_norm import BatchNorm2d
from gradlab.nn.checks import whole
from gradlab.nn.convolution import Conv2d
from gradlab.nn.linear import Linear
from gradlab.nn.models.registry import InitScheme, models
from gradlab.nn.models.shapes import lengths
from gradlab.nn.module import Module
from gradlab.nn.sequential import Sequential


class WideBlock(Module):
    """Two convolutions of 3×3, each after batch normalization and ReLU, beside a shortcut.

    a = relu(bn₁(x)); y = s + conv₂(relu(bn₂(conv₁(a)))), where s = x, or a convolution of 1×1 of a
    where the number of channels changes.

    Args:
        before, after: channels that come in and go out.
        stride: of the first convolution and the shortcut's.

    >>> WideBlock(16, 64, stride=2)(graph.zeros((2, 16, 8, 8))).shape
    (2, 64, 4, 4)
    """

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        self.bn1 = BatchNorm2d(before)
        self.conv1 = Conv2d(before, after, 3, stride, padding=1, bias=False)
        self.bn2 = BatchNorm2d(after)
        self.conv2 = Conv2d(after, after, 3, padding=1, bias=False)
        self.shortcut = Conv2d(before, after, 1, stride, bias=False) if before != after else None

    def forward(self, x: Tensor) -> Tensor:
        """(n, before, height, width) to (n, after, height / stride, width / stride)."""
        activated = relu(self.bn1(x))
        y: Tensor = self.conv2(relu(self.bn2(self.conv1(activated))))
        return y + (x if self.shortcut is None else self.shortcut(activated))


@models.register(
    "wide_resnet",
    formula="conv3(16), 3 × n blocks of 16k, 32k and 64k channels, mean over places, dense; 6n + 4",
    paper="Zagoruyko and Komodakis, BMVC 2016",
)
class WideResNet(Module):
    """Wide residual network WRN-d-k: d = 6n + 4 layers, k times as wide as the narrow one.

    A convolution of 16 channels, then three times n blocks of 16k, 32k and 64k channels, of which
    the last two times begin with stride 2, batch normalization, ReLU, the mean over all places, and
    a dense layer. WRN-16-4 has 2,748,890 parameters for images of (3, 32, 32) and 10 classes,
    WRN-40-4 8,949,210.

    Args:
        inputs: shape of an image, (channels, height, width).
        outputs: number of classes.
        depth: 6n + 4: 10, 16, 22, ...
        width: k, at least 1.

    Raises:
        ArgumentError: another depth or width, or inputs of other axes.

    Source: Zagoruyko and Komodakis, Wide Residual Networks, BMVC 2016, table 1 and their first
    values. Schneider et al., DeepOBS, ICLR 2019, problem svhn_wrn164, has the same layers, started
    by "xavier_uniform", but with TensorFlow's padding, which lies one pixel apart at the strides.

    >>> list(WideResNet((3, 32, 32), 10, depth=10).named_parameters())[1:4]
    ['layer1.0.bn1.weight', 'layer1.0.bn1.bias', 'layer1.0.conv1.weight']
    """

    init_scheme: ClassVar[InitScheme] = (
        "kaiming_normal(mode='fan_out')",
        {"fc.weight": "torch_default"},
    )

    def __init__(self, inputs: Shape, outputs: int, depth: int = 16, width: int = 4) -> None:
        channels, _, _ = lengths("WideResNet", inputs, "channels", "height", "width")
        if whole("WideResNet", "depth", depth) < 10 or depth % 6 != 4:
            raise ArgumentError(
                f"WideResNet: depth must be 6n + 4 (10, 16, 22, ...), got {depth!r}"
            )
        k, n = whole("WideResNet", "width", width), depth // 6
        self.conv1 = Conv2d(channels, 16, 3, padding=1, bias=False)
        self.layer1 = _group(16, 16 * k, 1, n)
        self.layer2 = _group(16 * k, 32 * k, 2, n)
        self.layer3 = _group(32 * k, 64 * k, 2, n)
        self.bn = BatchNorm2d(64 * k)
        self.fc = Linear(64 * k, outputs)
        self.name_variables()

    def forward(self, x: Like) -> Tensor:
        """Images (n, channels, height, width) to logits (n, outputs)."""
        x = self.layer3(self.layer2(self.layer1(self.conv1(x))))
        logits: Tensor = self.fc(graph.mean(relu(self.bn(x)), axis=(2, 3)))
        return logits


def _group(before: int, after: int, stride: int, blocks: int) -> Sequential:
    """Blocks of one width; the first changes it, and has the stride."""
    others = [WideBlock(after, after) for _ in range(blocks - 1)]
    return Sequential(WideBlock(before, after, stride), *others)
