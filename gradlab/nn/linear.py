"""Linear, the fully connected layer."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from gradlab.errors import ShapeError
from gradlab.graph import Tensor, Variable, as_tensor, matmul
from gradlab.graph.tensor import Like
from gradlab.nn.checks import floating_dtype, whole
from gradlab.nn.made import next_seed
from gradlab.nn.module import Module


class Linear(Module):
    """Fully connected layer.

    z = x Wᵀ + b, for inputs of shape (..., in_features).

    Args:
        in_features, out_features: how many numbers come in and go out, at least 1.
        bias: whether there is a b.
        dtype: of the parameters; the default dtype if not given.

    Attributes:
        weight: W, of shape (out_features, in_features), as in PyTorch.
        bias: b, of shape (out_features,), or None.

    W and b start as U(−1/√in_features, 1/√in_features), PyTorch's default. The draw depends on how
    many layers this process made before; ``gradlab.init.initialize`` draws by a seed of yours.

    Raises:
        ArgumentError: a number of features that is no whole number from 1 up.
        DTypeError: parameters that are no floats.
        ShapeError: inputs of another length.

    >>> layer = Linear(3, 2)
    >>> layer(np.ones((5, 3), np.float32)).shape, layer.weight.shape
    ((5, 2), (2, 3))
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        chosen = floating_dtype("Linear", dtype)
        self.in_features = whole("Linear", "in_features", in_features)
        self.out_features = whole("Linear", "out_features", out_features)
        rng = np.random.default_rng(next_seed())
        bound = 1 / math.sqrt(in_features)
        weight = rng.uniform(-bound, bound, (self.out_features, self.in_features))
        self.weight = Variable(weight, name="weight", dtype=chosen)
        self.bias = (
            Variable(rng.uniform(-bound, bound, self.out_features), name="bias", dtype=chosen)
            if bias
            else None
        )

    def forward(self, x: Like) -> Tensor:
        """Inputs of shape (..., in_features) to outputs of shape (..., out_features)."""
        x = as_tensor(x)
        if x.shape[-1:] != (self.in_features,):
            raise ShapeError(
                f"Linear({self.in_features}, {self.out_features}) takes inputs of shape "
                f"(..., {self.in_features}), got {x.shape}"
            )
        z = matmul(x, self.weight, transpose_y=True)
        return z if self.bias is None else z + self.bias
