"""Streams: one for each seed, purpose and place, and the same ones in every version."""

import itertools

import numpy as np
import pytest

from gradlab.errors import ArgumentError
from gradlab.seeding import seed_sequence, stream


def test_every_seed_purpose_and_place_has_a_stream_of_its_own():
    places = [(), (0,), (1,), ("0.weight",), ("0.bias",), (0, 0)]
    drawn = {
        stream(seed, purpose, *place).bytes(16)
        for seed, purpose, place in itertools.product((0, 1, 2**70), ("init", "shuf"), places)
    }
    assert len(drawn) == 3 * 2 * len(places)


def test_streams_are_what_numpy_makes_of_the_documented_key():
    key = (int.from_bytes(b"shuf", "big"), 3)
    expected = np.random.default_rng(np.random.SeedSequence(7, spawn_key=key)).permutation(9)
    np.testing.assert_array_equal(stream(7, "shuf", 3).permutation(9), expected)


@pytest.mark.parametrize("seed", [-1, 0.5, None, "0"])
def test_a_seed_is_a_whole_number_from_0_up(seed):
    with pytest.raises(ArgumentError, match="seed must be a whole number from 0 up"):
        seed_sequence(seed, "init")
