"""Residual networks for images of CIFAR's size."""

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


class BasicBlock(Module):
    """Two convolutions of 3×3 beside a shortcut.

    y = relu(s(x) + bn₂(conv₂(relu(bn₁(conv₁(x))))))

    The shortcut s has no parameters (option A of the source): with a stride it takes each second
    row and column, and new channels are 0.

    Args:
        before, after: channels that come in and go out.
        stride: of the first convolution.

    >>> BasicBlock(16, 32, stride=2)(graph.zeros((2, 16, 8, 8))).shape
    (2, 32, 4, 4)
    """

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        self.stride = stride
        self.conv1 = Conv2d(before, after, 3, stride, padding=1, bias=False)
        self.bn1 = BatchNorm2d(after)
        self.conv2 = Conv2d(after, after, 3, padding=1, bias=False)
        self.bn2 = BatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        """(n, before, height, width) to (n, after, height / stride, width / stride)."""
        y: Tensor = self.bn2(self.conv2(relu(self.bn1(self.conv1(x)))))
        shortcut = x[:, :, :: self.stride, :: self.stride] if self.stride > 1 else x
        new = y.shape[1] - x.shape[1]
        if new:
            shortcut = graph.pad(shortcut, ((0, 0), (0, new), (0, 0), (0, 0)))
        return relu(shortcut + y)


@models.register(
    "resnet",
    formula="conv3(16), 3 × n blocks of 16, 32 and 64 channels, mean over places, dense; 6n + 2",
    paper="He et al., CVPR 2016",
)
class ResNet(Module):
    """Residual network of 6n + 2 layers with weights.

    A convolution of 16 channels, then three times n blocks of 16, 32 and 64 channels, of which the
    last two times begin with stride 2, the mean over all places, and a dense layer. Shortcuts are
    of option A, without parameters. For images of (3, 32, 32) and 10 classes 269,722 parameters
    with 20 layers, 464,154 with 32, 658,586 with 44, 853,018 with 56 and 1,727,962 with 110.

    Args:
        inputs: shape of an image, (channels, height, width).
        outputs: number of classes.
        depth: 6n + 2: 8, 14, 20, ...

    Raises:
        ArgumentError: another depth, or inputs of other axes.

    Source: He et al., Deep Residual Learning for Image Recognition, CVPR 2016, section 4.2; first
    values of He et al., ICCV 2015. The layers' names are torchvision's.

    >>> list(ResNet((3, 32, 32), 10, depth=8).named_parameters())[3:5]
    ['layer1.0.conv1.weight', 'layer1.0.bn1.weight']
    """

    init_scheme: ClassVar[InitScheme] = ("kaiming_normal", {})

    def __init__(self, inputs: Shape, outputs: int, depth: int = 20) -> None:
        channels, _, _ = lengths("ResNet", inputs, "channels", "height", "width")
        if whole("ResNet", "depth", depth) < 8 or depth % 6 != 2:
            raise ArgumentError(f"ResNet: depth must be 6n + 2 (8, 14, 20, ...), got {depth!r}")
        self.conv1 = Conv2d(channels, 16, 3, padding=1, bias=False)
        self.bn1 = BatchNorm2d(16)
        n = depth // 6
        self.layer1 = Sequential(*[BasicBlock(16, 16) for _ in range(n)])
        self.layer2 = Sequential(BasicBlock(16, 32, 2), *[BasicBlock(32, 32) for _ in range(n - 1)])
        self.layer3 = Sequential(BasicBlock(32, 64, 2), *[BasicBlock(64, 64) for _ in range(n - 1)])
        self.fc = Linear(64, outputs)
        self.name_variables()

    def forward(self, x: Like) -> Tensor:
        """Images (n, channels, height, width) to logits (n, outputs)."""
        x = relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: Tensor = self.fc(graph.mean(x, axis=(2, 3)))
        return logits
