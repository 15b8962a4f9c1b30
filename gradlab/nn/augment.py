"""Pixels as floats, and random changes of images while training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gradlab.errors import ArgumentError, DTypeError, ShapeError
from gradlab.graph import (
    RandomStream,
    Tensor,
    Variable,
    as_tensor,
    astype,
    flip,
    less,
    pad,
    reshape,
    where,
)
from gradlab.graph.dtypes import FLOAT32, INT64
from gradlab.graph.tensor import Like
from gradlab.nn.checks import floating_dtype, whole
from gradlab.nn.made import next_seed
from gradlab.nn.module import Module


class Pixels(Module):
    """Pixels from bytes to floats, standardized by channel.

    y = (x/255 − mean) / std.

    Args:
        mean, std: of x/255, one number for each channel, or one for all; std above 0.
        dtype: of the floats; the default dtype for None.

    Both are buffers, so that a stored model knows what it was trained with.

    Raises:
        ArgumentError: std of 0 or less, or not as many numbers as in mean.
        DTypeError: what is to become floats is not bytes.
        ShapeError: images of another number of channels.

    >>> layer = Pixels(mean=[0.5], std=[0.25])
    >>> layer(np.array([[[[0, 255]]]], np.uint8))
    tensor([[[[-2.,  2.]]]])
    """

    def __init__(
        self,
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        if len(mean) != len(std) or not len(mean) or not all(s > 0 for s in std):
            raise ArgumentError(
                f"Pixels: mean and std must hold a number for each channel, those of std above 0; "
                f"got {mean!r} and {std!r}"
            )
        chosen = floating_dtype("Pixels", dtype)
        self.mean = Variable(np.array(mean, chosen), trainable=False)
        self.std = Variable(np.array(std, chosen), trainable=False)

    def forward(self, x: Like) -> Tensor:
        """Floats of the same shape, (n, channels, ...)."""
        x = as_tensor(x)
        if x.dtype != np.uint8:
            raise DTypeError(f"Pixels takes bytes (uint8), got {x.dtype}")
        if x.ndim < 2 or self.mean.size not in (1, x.shape[1]):
            raise ShapeError(
                f"Pixels takes images of {self.mean.size} channels, (n, channels, ...), got shape "
                f"{x.shape}"
            )
        shape = (-1, *[1] * (x.ndim - 2))
        scale = reshape(1 / (255 * self.std), shape)
        shift = reshape(self.mean / self.std, shape)
        return astype(x, self.mean.dtype) * scale - shift


class RandomCrop(Module):
    """A part of each image, from a random place while training.

    y[i, :, a, b] = x[i, :, rᵢ + a, cᵢ + b], where r and c are uniform over all places at which the
    part lies within the image and its border; in evaluation it is the middle of the image.

    Args:
        size: height and width of the part, or one number for both.
        padding: width of a border of zeros that is put around the image before; in evaluation it is
            left out.

    Random numbers are as in ``Dropout``: no two layers share theirs, and ``Module.reseed`` starts
    them from a seed of yours. Zeros are black before `Pixels`, so it belongs before that.

    Raises:
        ArgumentError: a size or padding that is no number of pixels.
        ShapeError: images that are smaller than the part.

    Source: Krizhevsky, Sutskever & Hinton, ImageNet Classification with Deep Convolutional Neural
    Networks, 2012, section 4.1; with a border of 4, He et al., Deep Residual Learning, 2016, 4.2.

    >>> layer = RandomCrop(2, padding=1)
    >>> x = np.arange(1, 10, dtype=np.uint8).reshape(1, 1, 3, 3)
    >>> layer(x).shape, layer.eval()(x)
    ((1, 1, 2, 2), tensor([[[[1, 2],
              [4, 5]]]], dtype=uint8))
    """

    def __init__(self, size: int | Sequence[int], padding: int = 0) -> None:
        shape = tuple(size) if isinstance(size, Sequence) else (size, size)
        if len(shape) != 2:
            raise ArgumentError(
                f"RandomCrop: size must be one number or (height, width), got {size!r}"
            )
        self.size = tuple(whole("RandomCrop", "size", n) for n in shape)
        self.padding = whole("RandomCrop", "padding", padding, least=0)
        self.stream = RandomStream(next_seed())

    def forward(self, x: Like) -> Tensor:
        """Images of shape (n, channels, *size), of the same dtype."""
        x = as_tensor(x)
        border = self.padding if self.training else 0
        rest = [n + 2 * border - m for n, m in zip(x.shape[2:], self.size, strict=False)]
        if x.ndim != 4 or min(rest) < 0:
            raise ShapeError(
                f"RandomCrop takes images, (n, channels, height, width), of {self.size} pixels "
                f"or more with a border of {border}, got shape {x.shape}"
            )
        if not self.training:
            top, left = (n // 2 for n in rest)
            return x[:, :, top : top + self.size[0], left : left + self.size[1]]
        count, channels = x.shape[:2]
        rows, columns = (reshape(_places(self.stream, count, n + 1), (-1, 1, 1, 1)) for n in rest)
        padded = pad(x, ((0, 0), (0, 0), (border, border), (border, border)))
        return padded[
            np.arange(count)[:, None, None, None],
            np.arange(channels)[:, None, None],
            rows + np.arange(self.size[0])[:, None],
            columns + np.arange(self.size[1]),
        ]


class RandomFlip(Module):
    """Images mirrored left to right, each with probability p while training.

    Args:
        p: probability, in [0, 1].

    Random numbers are as in ``Dropout``: no two layers share theirs, and ``Module.reseed`` starts
    them from a seed of yours.

    Raises:
        ArgumentError: p outside [0, 1].
        ShapeError: no images of shape (n, channels, height, width).

    Source: Krizhevsky, Sutskever & Hinton, 2012, section 4.1.

    >>> layer = RandomFlip(p=1)
    >>> x = np.array([[[[1, 2, 3]]]], np.uint8)
    >>> layer(x).numpy().tolist(), layer.eval()(x).numpy().tolist()
    ([[[[3, 2, 1]]]], [[[[1, 2, 3]]]])
    """

    def __init__(self, p: float = 0.5) -> None:
        if not 0 <= p <= 1:
            raise ArgumentError(f"RandomFlip: p must be in [0, 1], got {p!r}")
        self.p = p
        self.stream = RandomStream(next_seed())

    def forward(self, x: Like) -> Tensor:
        """Images of the same shape and dtype."""
        x = as_tensor(x)
        if x.ndim != 4:
            raise ShapeError(
                f"RandomFlip takes images, (n, channels, height, width), got shape {x.shape}"
            )
        if not self.training:
            return x
        mirrored = less(self.stream.uniform((x.shape[0], 1, 1, 1), FLOAT32), self.p)
        return where(mirrored, flip(x, axis=-1), x)


def _places(stream: RandomStream, count: int, choices: int) -> Tensor:
    """So many whole numbers, uniform in [0, choices)."""
    # The largest u is 1 − 2⁻²⁴, and u · choices is rounded to a number below choices.
    return astype(stream.uniform((count,), FLOAT32) * choices, INT64)
