"""What models take: checks of ``inputs``, and TensorFlow's padding."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gradlab.errors import ArgumentError
from gradlab.graph.op import Shape
from gradlab.graph.windows import same_padding
from gradlab.nn.module import Module
from gradlab.nn.padding import ZeroPad2d
from gradlab.nn.pooling import MaxPool2d
from gradlab.nn.sequential import Sequential


def lengths(model: str, inputs: Shape, *names: str) -> tuple[int, ...]:
    """The lengths of the axes of an example, which have these names; without names, of any axes.

    Raises:
        ArgumentError: other axes, or a length below 1.

    >>> lengths("ResNet", (3, 32, 32), "channels", "height", "width")
    (3, 32, 32)
    """
    wanted = ", ".join(names or ["..."]) + ("," if len(names) == 1 else "")
    several = isinstance(inputs, Sequence)
    whole = several and all(isinstance(n, int | np.integer) and n >= 1 for n in inputs)
    if not whole or (names and len(inputs) != len(names)):
        raise ArgumentError(f"{model} takes inputs of shape ({wanted}), got {inputs!r}")
    return tuple(int(n) for n in inputs)


def same_sides(size: tuple[int, int], kernel: int, stride: int) -> tuple[int, int, int, int]:
    """TensorFlow's padding "same" of an image: (left, right, top, bottom).

    >>> same_sides((32, 32), kernel=3, stride=2)
    (0, 1, 0, 1)
    """
    height, width = size
    return *same_padding(width, kernel, stride), *same_padding(height, kernel, stride)


def same_max_pool(size: tuple[int, int], kernel: int, stride: int) -> Module:
    """Max pooling of what a ReLU gave, with TensorFlow's padding "same".

    Nothing below 0 comes in, so zeros around it change no maximum.
    """
    padding, pool = same_sides(size, kernel, stride), MaxPool2d(kernel, stride)
    return Sequential(ZeroPad2d(padding), pool) if any(padding) else pool


def strided(size: tuple[int, int], stride: int) -> tuple[int, int]:
    """Height and width after padding "same" and a stride."""
    height, width = size
    return math.ceil(height / stride), math.ceil(width / stride)
