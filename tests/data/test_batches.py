import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradlab.data import batches
from gradlab.errors import ArgumentError


def each(*args, **options):
    """The batches one by one."""
    return [rows for matrix in batches(*args, **options) for rows in matrix]


@given(st.integers(1, 40), st.lists(st.integers(1, 5), min_size=1), st.booleans())
def test_batches_of_one_size_in_a_row_are_one_matrix(n, sizes, drop_last):
    upcoming = iter(sizes * n)
    found = batches(n, lambda t: next(upcoming), epoch=0, seed=0, drop_last=drop_last)
    widths = [matrix.shape[1] for matrix in found]
    assert all(a != b for a, b in itertools.pairwise(widths[:-1]))
    asked = itertools.islice(sizes * n, sum(map(len, found)))
    both = zip(itertools.chain(*found), asked, strict=True)
    full = [len(rows) == min(size, n) for rows, size in both]
    assert all(full if drop_last else full[:-1])


@st.composite
def rows_and_size(draw):
    n = draw(st.integers(1, 60))
    return n, draw(st.integers(1, n))


@given(rows_and_size(), st.integers(0, 5), st.integers(0, 2**64), st.booleans())
def test_an_epoch_holds_every_row_once(n_size, epoch, seed, shuffle):
    n, size = n_size
    found = each(n, size, epoch=epoch, seed=seed, shuffle=shuffle)
    np.testing.assert_array_equal(np.sort(np.concatenate(found)), np.arange(n))
    assert all(len(batch) == size for batch in found[:-1])
    assert all(batch.dtype == np.int64 for batch in found)
    whole = each(n, size, epoch=epoch, seed=seed, shuffle=shuffle, drop_last=True)
    assert len(whole) == n // size
    assert all((a == b).all() for a, b in zip(whole, found, strict=False))


@given(st.integers(8, 60), st.integers(0, 3), st.booleans())
def test_a_schedule_is_asked_at_the_start_of_each_batch(n, epoch, drop_last):
    asked = []

    def size(t):
        asked.append(t)
        return 1 + int(7 * (t - epoch))

    found = each(n, size, epoch=epoch, seed=0, drop_last=drop_last)
    starts = np.cumsum([0] + [len(batch) for batch in found])
    assert asked[: len(found)] == [epoch + start / n for start in starts[:-1]]
    demanded = [1 + int(7 * (t - epoch)) for t in asked]
    full = [len(b) == d for b, d in zip(found, demanded, strict=False)]
    assert all(full if drop_last else full[:-1])
    assert drop_last or starts[-1] == n


def test_order_depends_on_seed_and_epoch_alone():
    first = np.concatenate(each(50, 7, epoch=3, seed=1))
    np.testing.assert_array_equal(first, np.concatenate(each(50, 50, epoch=3, seed=1)))
    for epoch, seed in [(4, 1), (3, 2)]:
        assert (first != np.concatenate(each(50, 7, epoch=epoch, seed=seed))).any()


def test_without_shuffle_rows_come_in_order():
    np.testing.assert_array_equal(
        np.concatenate(each(5, 2, epoch=9, seed=1, shuffle=False)), np.arange(5)
    )


@pytest.mark.parametrize(
    ("size", "rounded"),
    [(3.49, 3), (3.5, 4), (4.5, 5), (np.float32(2.5), 3), (0, 1), (0.2, 1), (99, 10), (np.inf, 10)],
)
def test_what_a_schedule_gives_is_rounded_and_kept_within_the_data(size, rounded):
    assert len(each(10, lambda t: size, epoch=0, seed=0)[0]) == rounded


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"batch_size": 11}, "batch_size 11 is larger than the 10 training rows"),
        ({"batch_size": lambda t: 4 if t < 0.5 else -1}, "batch_size is -1 at t = 0.8 epochs"),
        ({"batch_size": lambda t: math.nan}, "batch_size is nan at t = 0 epochs; the schedule"),
        ({"batch_size": lambda t: "4"}, "batch_size is '4' at t = 0 epochs"),
        ({"batch_size": 0}, "batch_size must be 1 or more, got 0"),
        ({"batch_size": 2.5}, "batch_size must be a whole number, got 2.5"),
        ({"n": 0}, "n must be 1 row or more, got 0"),
        ({"epoch": -1}, "epoch must be 0 or more, got -1"),
        ({"seed": -1}, "seed must be a whole number from 0 up, got -1"),
        ({"seed": 0.5}, "seed must be a whole number from 0 up, got 0.5"),
    ],
)
def test_bad_arguments(arguments, text):
    with pytest.raises(ArgumentError, match=text):
        batches(**{"n": 10, "batch_size": 4, "epoch": 0, "seed": 0} | arguments)
