"""One random stream for each purpose and place, so that no draw ever moves another's."""

from __future__ import annotations

import operator
import zlib

import numpy as np

from gradlab.errors import ArgumentError


def seed_sequence(seed: int, purpose: str, *places: int | str) -> np.random.SeedSequence:
    """Seeds that depend on the seed, the purpose and the places alone.

    Args:
        seed: whole number from 0 up.
        purpose: four letters, such as "init" for weights or "shuf" for the order of rows.
        places: which of the purpose's streams it is: a path in a model, the number of an epoch.

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
    # Letters read as a number: far from the small keys that NumPy's spawn counts from 0.
    key = int.from_bytes(purpose.encode(), "big")
    below = (zlib.crc32(p.encode()) if isinstance(p, str) else p for p in places)
    return np.random.SeedSequence(entropy, spawn_key=(key, *below))


def stream(seed: int, purpose: str, *places: int | str) -> np.random.Generator:
    """Random generator of a purpose and a place; see ``seed_sequence``.

    >>> float(stream(0, "shuf", 3).random()) == float(stream(0, "shuf", 3).random())
    True
    """
    return np.random.default_rng(seed_sequence(seed, purpose, *places))
