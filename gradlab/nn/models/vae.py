"""A variational autoencoder of images, and its loss."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

import gradlab.graph as graph
from gradlab.errors import ArgumentError, ShapeError
from gradlab.graph import RandomStream, Tensor, as_tensor, exp, leaky_relu, relu
from gradlab.graph.op import Shape
from gradlab.graph.tensor import Like
from gradlab.nn.checks import whole
from gradlab.nn.convolution import Conv2d, ConvTranspose2d
from gradlab.nn.dropout import Dropout
from gradlab.nn.linear import Linear
from gradlab.nn.loss import Reduction, reduced
from gradlab.nn.loss_registry import losses
from gradlab.nn.made import next_seed
from gradlab.nn.models.registry import InitScheme, models
from gradlab.nn.models.shapes import lengths
from gradlab.nn.module import Module

SLOPE = 0.3
"""Of the leaky ReLUs below 0."""


@models.register(
    "vae",
    formula="encoder: conv4(64)/2 conv4(64)/2 conv4(64) dense; decoder: dense conv4ᵀ(64) × 3 dense",
    paper="Schneider et al., DeepOBS, ICLR 2019",
)
class VAE(Module):
    """Variational autoencoder with convolutions.

    The encoder maps an image x to a mean μ and a logarithm s of standard deviations, the decoder a
    draw z = μ + eˢ ε, ε ~ N(0, I), to an image x̂ with pixels in [0, 1]. 10,151,489 parameters for
    images of (1, 28, 28) and 8 latent numbers.

    One tensor holds all that the loss needs: x̂ as a row, then μ, then s. So it trains as any
    other model does, with the images as targets: ``loss(model(x), x)`` by ``vae_loss``.

    Args:
        inputs: shape of an image, (channels, height, width), height and width multiples of 4.
        latent: how many numbers z has.

    Noise is drawn in training and in evaluation, from a stream of its own (see ``Dropout``).

    Raises:
        ArgumentError: inputs of other axes or sizes, or latent below 1.

    Source: Kingma and Welling, Auto-Encoding Variational Bayes, ICLR 2014; layers, their names and
    first values as in Schneider et al., DeepOBS, ICLR 2019, problems mnist_vae and fmnist_vae.

    >>> x = np.zeros((2, 1, 28, 28), np.float32)
    >>> model = VAE((1, 28, 28))
    >>> model(x).shape, vae_loss(model(x), x).shape
    ((2, 800), ())
    """

    init_scheme: ClassVar[InitScheme] = ("xavier_uniform", {})

    def __init__(self, inputs: Shape, latent: int = 8) -> None:
        channels, height, width = lengths("VAE", inputs, "channels", "height", "width")
        if height % 4 or width % 4:
            raise ArgumentError(
                f"VAE takes images whose height and width are multiples of 4, got {height}×{width}"
            )
        self.inputs = (channels, height, width)
        self.latent = whole("VAE", "latent", latent)
        self.stream = RandomStream(next_seed())
        self.conv1 = Conv2d(channels, 64, 4, stride=2, padding=1)
        self.dropout1 = Dropout(0.2)
        self.conv2 = Conv2d(64, 64, 4, stride=2, padding=1)
        self.dropout2 = Dropout(0.2)
        self.conv3 = Conv2d(64, 64, 4, padding="same")
        self.dropout3 = Dropout(0.2)
        self.dense1 = Linear(64 * (height // 4) * (width // 4), self.latent)
        self.dense2 = Linear(64 * (height // 4) * (width // 4), self.latent)
        self.dense3 = Linear(self.latent, 24)
        self.dense4 = Linear(24, (height // 4) * (width // 4))
        self.deconv1 = ConvTranspose2d(1, 64, 4, stride=2, padding=1)
        self.dropout4 = Dropout(0.2)
        self.deconv2 = ConvTranspose2d(64, 64, 4, padding=1)
        self.dropout5 = Dropout(0.2)
        self.deconv3 = ConvTranspose2d(64, 64, 4, padding=1)
        self.dense5 = Linear(64 * (height // 2) * (width // 2), channels * height * width)
        self.name_variables()

    def encode(self, x: Like) -> tuple[Tensor, Tensor]:
        """Images (n, channels, height, width) to μ and s, both (n, latent)."""
        x = self.dropout1(leaky_relu(self.conv1(x), SLOPE))
        x = self.dropout2(leaky_relu(self.conv2(x), SLOPE))
        x = self.dropout3(leaky_relu(self.conv3(x), SLOPE))
        x = graph.flatten(x, 1)
        return self.dense1(x), 0.5 * self.dense2(x)

    def decode(self, z: Like) -> Tensor:
        """Latent numbers (n, latent) to images (n, channels, height, width) in [0, 1]."""
        _, height, width = self.inputs
        x = leaky_relu(self.dense4(leaky_relu(self.dense3(z), SLOPE)), SLOPE)
        x = graph.reshape(x, (-1, 1, height // 4, width // 4))
        x = self.dropout4(relu(self.deconv1(x)))
        # Kernels of 4×4 keep the size only with one zero before and two after.
        x = self.dropout5(relu(self.deconv2(x)[:, :, :-1, :-1]))
        x = relu(self.deconv3(x)[:, :, :-1, :-1])
        x = graph.sigmoid(self.dense5(graph.flatten(x, 1)))
        return graph.reshape(x, (-1, *self.inputs))

    def forward(self, x: Like) -> Tensor:
        """x̂, μ and s side by side, (n, channels · height · width + 2 latent)."""
        mean, log_std = self.encode(x)
        z = mean + exp(log_std) * self.stream.normal(mean.shape, mean.dtype)
        return graph.concat([graph.flatten(self.decode(z), 1), mean, log_std], axis=1)


def vae_loss(output: Like, target: Like, reduction: Reduction = "mean") -> Tensor:
    """Loss of a variational autoencoder: squared error and divergence from the prior.

    Σ (x̂ − x)² − ½ Σ (1 + 2s − μ² − e²ˢ), the second being KL(N(μ, e²ˢ) ‖ N(0, I))

    Args:
        output: what ``VAE`` gives: x̂, μ and s side by side.
        target: images x in [0, 1] of shape (n, ...), or bytes, which are divided by 255.
        reduction: over the n examples.

    Raises:
        ShapeError: numbers that do not fit together.
        ArgumentError: unknown reduction.

    Source: Kingma and Welling, Auto-Encoding Variational Bayes, ICLR 2014, appendix B; the squared
    error as in Schneider et al., DeepOBS, ICLR 2019.

    >>> vae_loss([[0.5, 1.0, 0.0]], [[0.0]])
    tensor(0.75)
    """
    output, target = as_tensor(output), as_tensor(target)
    pixels = math.prod(target.shape[1:])
    latent, odd = divmod(math.prod(output.shape[1:]) - pixels, 2)
    if output.ndim != 2 or target.shape[:1] != output.shape[:1] or latent < 1 or odd:
        raise ShapeError(
            "vae_loss takes outputs of shape (n, pixels + 2 · latent) and n images, got "
            f"{output.shape} and {target.shape}"
        )
    if target.dtype == np.uint8:
        target = graph.astype(target, output.dtype) / 255
    image, mean, log_std = graph.split(output, (pixels, latent, latent), axis=1)
    error = graph.sum(graph.square(image - graph.flatten(target, 1)), axis=1)
    inner = 1 + 2 * log_std - graph.square(mean) - exp(2 * log_std)
    return reduced(error - 0.5 * graph.sum(inner, axis=1), reduction)


@losses.register(
    "vae",
    formula="Σ (x̂ − x)² − ½ Σ (1 + 2s − μ² − e²ˢ)",
    paper="Kingma and Welling, ICLR 2014",
)
@dataclass(frozen=True)
class VAELoss:
    """Squared error and divergence from the prior, for a ``VAE``; see ``vae_loss``.

    >>> losses.build("vae")([[0.5, 1.0, 0.0]], [[0.0]])
    tensor(0.75)
    """

    reduction: Reduction = "mean"

    def __call__(self, output: Like, target: Like) -> Tensor:
        """The loss, reduced."""
        return vae_loss(output, target, self.reduction)
