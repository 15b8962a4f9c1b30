"""2c2d, DeepOBS's small network for MNIST and Fashion-MNIST."""

from __future__ import annotations

from typing import ClassVar

from gradlab.graph.op import Shape
from gradlab.nn.activation import ReLU
from gradlab.nn.convolution import Conv2d
from gradlab.nn.flatten import Flatten
from gradlab.nn.linear import Linear
from gradlab.nn.models.registry import InitScheme, models
from gradlab.nn.models.shapes import lengths, same_max_pool, strided
from gradlab.nn.sequential import Sequential


@models.register(
    "2c2d",
    formula="conv5(32) pool2 conv5(64) pool2 dense(1024) dense",
    paper="Schneider et al., DeepOBS, ICLR 2019",
)
class Net2c2d(Sequential):
    """Two convolutions and two dense layers, like LeNet-5.

    Convolutions of 5×5 keep height and width; each has a ReLU and max pooling of 2×2 after it.
    3,274,634 parameters for images of (1, 28, 28) and 10 classes.

    Args:
        inputs: shape of an image, (channels, height, width).
        outputs: number of classes.

    Raises:
        ArgumentError: inputs of other axes.

    Source: Schneider et al., DeepOBS, ICLR 2019, problems mnist_2c2d and fmnist_2c2d, with their
    layers' names and first values; LeCun et al., Proc. IEEE 86, 1998, for LeNet-5.

    >>> list(Net2c2d((1, 28, 28), 10).state_dict())[:2]
    ['conv1.weight', 'conv1.bias']
    """

    init_scheme: ClassVar[InitScheme] = (
        "truncated_normal(std=0.05)",
        {"*.bias": "constant(value=0.05)"},
    )

    def __init__(self, inputs: Shape, outputs: int) -> None:
        channels, height, width = lengths("2c2d", inputs, "channels", "height", "width")
        whole = height, width
        half = strided(whole, 2)
        quarter = strided(half, 2)
        super().__init__(
            {
                "conv1": Conv2d(channels, 32, 5, padding="same"),
                "relu1": ReLU(),
                "max_pool1": same_max_pool(whole, 2, 2),
                "conv2": Conv2d(32, 64, 5, padding="same"),
                "relu2": ReLU(),
                "max_pool2": same_max_pool(half, 2, 2),
                "flatten": Flatten(),
                "dense1": Linear(64 * quarter[0] * quarter[1], 1024),
                "relu3": ReLU(),
                "dense2": Linear(1024, outputs),
            }
        )
