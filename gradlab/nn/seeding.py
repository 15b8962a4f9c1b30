"""One seed for each purpose and each place in a model, so that no draw moves another's."""

from __future__ import annotations

import operator
import zlib

import numpy as np

from gradlab.errors import ArgumentError


def seed_sequence(seed: int, purpose: str, path: str) -> np.random.SeedSequence:
    """Seeds that depend on the seed, the purpose and the path alone, not on other paths.

    Raises:
        ArgumentError: a seed that is not a whole number from 0 up.

    >>> first, again = (seed_sequence(0, "init", "0.weight") for _ in range(2))
    >>> bool((first.generate_state(4) == again.generate_state(4)).all())
    True
    """
    try:
        entropy = operator.index(seed)
    except TypeError:
        entropy = -1
    if entropy < 0:
        raise ArgumentError(f"seed must be a whole number from 0 up, got {seed!r}")
    # The purpose's letters read as a number: far from the small keys that others count from 0.
    key = (int.from_bytes(purpose.encode(), "big"), zlib.crc32(path.encode()))
    return np.random.SeedSequence(entropy, spawn_key=key)
