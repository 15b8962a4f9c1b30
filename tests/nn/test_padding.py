"""Zeros around images, as PyTorch puts them."""

import numpy as np
import pytest

from gradlab import nn
from gradlab.errors import ArgumentError, ShapeError


@pytest.mark.parametrize("padding", [2, np.int64(1), (0, 1, 2, 3), (0, 0, 0, 0)])
def test_against_torch(padding):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    assert nn.ZeroPad2d(padding).padding == tuple(np.broadcast_to(padding, 4))
    np.testing.assert_array_equal(
        nn.ZeroPad2d(padding)(x), torch.nn.ZeroPad2d(padding)(torch.tensor(x))
    )


@pytest.mark.parametrize("padding", [-1, 2.5, "same", (1, 2), (0, 0, 0, -1), (0, 0, 0, 0.5)])
def test_what_cannot_be(padding):
    with pytest.raises(
        ArgumentError, match="padding must be a whole number from 0 up, or 4 of them"
    ):
        nn.ZeroPad2d(padding)
    with pytest.raises(ShapeError, match=r"takes inputs of shape \(..., height, width\)"):
        nn.ZeroPad2d(1)([1.0])
