"""A thousand small networks on scikit-learn's digits, each with its own rate and seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.peers.task import Array, Layers, indices, layers_of, network

Train = Callable[[], Array]
"""Trains every network from its start; the losses, a row for each network."""


@dataclass(frozen=True)
class Sweep:
    """Networks of one shape: data that they share, and each one's weights, batches and rate."""

    sizes: tuple[int, ...]
    batch: int
    epochs: int
    x: Array
    y: Array
    layers: list[Layers]
    indices: Array
    rates: list[float]


def digits(models: int = 1000, epochs: int = 20) -> Sweep:
    """64-64-10 networks, batches of 32, Adam rates from 1e-4 to 1e-2."""
    from sklearn.datasets import load_digits

    sizes, batch = (64, 64, 10), 32
    data = load_digits()
    rows = len(data.target) // batch * batch  # every batch is full, in every library
    updates = epochs * rows // batch
    return Sweep(
        sizes,
        batch,
        epochs,
        (data.data[:rows] / 16).astype(np.float32),
        data.target[:rows],
        [layers_of(network(sizes, "relu", seed)) for seed in range(models)],
        np.stack([indices(rows, batch, updates, seed) for seed in range(models)]),
        [float(10**power) for power in np.random.default_rng(0).uniform(-4, -2, models)],
    )
