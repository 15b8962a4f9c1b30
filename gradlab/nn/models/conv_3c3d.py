"""3c3d, DeepOBS's small network for CIFAR-10."""

from __future__ import annotations

from typing import ClassVar

from gradlab.errors import ArgumentError
from gradlab.graph.op import Shape
from gradlab.nn.activation import ReLU
from gradlab.nn.convolution import Conv2d
from gradlab.nn.flatten import Flatten
from gradlab.nn.linear import Linear
from gradlab.nn.models.registry import InitScheme, models
from gradlab.nn.models.shapes import lengths, same_max_pool, strided
from gradlab.nn.sequential import Sequential


@models.register(
    "3c3d",
    formula="conv5(64) pool3 conv3(96) pool3 conv3(128) pool3 dense(512) dense(256) dense",
    paper="Schneider et al., DeepOBS, ICLR 2019",
)
class Net3c3d(Sequential):
    """Three convolutions and three dense layers.

    The first two convolutions, of 5×5 and 3×3, have no padding, the third, of 3×3, keeps height
    and width; each has a ReLU and max pooling of 3×3 with stride 2 after it, padded as
    TensorFlow's "same". 895,210 parameters for images of (3, 32, 32) and 10 classes.

    Args:
        inputs: shape of an image, (channels, height, width), at least 9 high and wide.
        outputs: number of classes.

    Raises:
        ArgumentError: inputs of other axes, or too small.

    Source: Schneider et al., DeepOBS, ICLR 2019, problem cifar10_3c3d, with their layers' names and
    first values.

    >>> list(Net3c3d((3, 32, 32), 10).state_dict())[-2:]
    ['dense3.weight', 'dense3.bias']
    """

    init_scheme: ClassVar[InitScheme] = (
        "xavier_truncated_normal",
        {"dense*.weight": "xavier_uniform"},
    )

    def __init__(self, inputs: Shape, outputs: int) -> None:
        channels, height, width = lengths("3c3d", inputs, "channels", "height", "width")
        if min(height, width) < 9:
            raise ArgumentError(f"3c3d takes images of at least 9×9, got {height}×{width}")
        first = height - 4, width - 4
        height, width = strided(first, 2)
        second = height - 2, width - 2
        third = strided(second, 2)
        last = strided(third, 2)
        super().__init__(
            {
                "conv1": Conv2d(channels, 64, 5),
                "relu1": ReLU(),
                "maxpool1": same_max_pool(first, 3, 2),
                "conv2": Conv2d(64, 96, 3),
                "relu2": ReLU(),
                "maxpool2": same_max_pool(second, 3, 2),
                "conv3": Conv2d(96, 128, 3, padding="same"),
                "relu3": ReLU(),
                "maxpool3": same_max_pool(third, 3, 2),
                "flatten": Flatten(),
                "dense1": Linear(128 * last[0] * last[1], 512),
                "relu4": ReLU(),
                "dense2": Linear(512, 256),
                "relu5": ReLU(),
                "dense3": Linear(256, outputs),
            }
        )
