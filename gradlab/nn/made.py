"""First seeds of layers, until ``initialize`` and ``reseed`` give them seeds of yours."""

from __future__ import annotations

import itertools

import numpy as np

from gradlab.seeding import seed_sequence

_made = itertools.count()


def next_seed() -> np.random.SeedSequence:
    """The seed of the n-th layer made in this process, n = 0, 1, ..., so that no two are alike.

    >>> first, second = next_seed(), next_seed()
    >>> bool((first.generate_state(4) == second.generate_state(4)).any())
    False
    """
    return seed_sequence(0, "made", next(_made))
