"""One random stream for each purpose, so that a draw for one never moves the draws of another."""

from __future__ import annotations

import operator

import numpy as np

from gradlab.errors import ArgumentError

# Four letters each, read as a number: far from the small keys that other packages count from 0.
SPLIT = int.from_bytes(b"spli", "big")
SHUFFLE = int.from_bytes(b"shuf", "big")
TOY = int.from_bytes(b"toys", "big")


def stream(seed: int, *key: int) -> np.random.Generator:
    """Random generator that depends on the seed and the key alone.

    Raises:
        ArgumentError: a seed that is not a whole number from 0 up.

    >>> float(stream(0, SPLIT).random()) == float(stream(0, SPLIT).random())
    True
    """
    try:
        entropy = operator.index(seed)
    except TypeError:
        entropy = -1
    if entropy < 0:
        raise ArgumentError(f"seed must be a whole number from 0 up, got {seed!r}")
    return np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=key))
