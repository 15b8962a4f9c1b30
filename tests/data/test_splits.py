import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gradlab.data import Split, for_tuning, require_role, split_rows
from gradlab.errors import ArgumentError, DataError

fractions = st.floats(0.05, 0.45)
strata = st.lists(st.integers(0, 3), min_size=20, max_size=120).map(np.array)
seeds = st.integers(0, 2**32)


@given(strata, fractions, fractions, seeds)
def test_splits_are_disjoint_and_cover(strata, validation, test, seed):
    rows = split_rows(strata, validation=validation, test=test, seed=seed)
    np.testing.assert_array_equal(np.sort(np.concatenate(rows)), np.arange(len(strata)))
    assert abs(len(rows.test) - test * len(strata)) <= 0.5
    assert abs(len(rows.validation) - validation * len(strata)) <= 0.5


@given(strata, fractions, fractions, st.sampled_from([0.0, 0.1, 0.3]), seeds)
def test_test_rows_do_not_depend_on_validation(strata, test, one, other, seed):
    rows = [split_rows(strata, validation=v, test=test, seed=seed).test for v in (one, other)]
    np.testing.assert_array_equal(*rows)


@given(strata, fractions, fractions, seeds)
def test_every_stratum_is_in_proportion(strata, validation, test, seed):
    rows = split_rows(strata, validation=validation, test=test, seed=seed)
    for part in rows:
        for stratum in np.unique(strata):
            expected = (strata == stratum).mean() * len(part)
            # Both ends of a part can be off by half a row, and by ties of the other strata.
            assert abs((strata[part] == stratum).sum() - expected) <= 2


@given(seeds, seeds)
def test_the_seed_decides(one, other):
    assume(one != other)
    same = np.zeros(100, dtype=np.int64)
    a, b, c = (split_rows(same, validation=0.2, test=0.2, seed=s) for s in (one, one, other))
    np.testing.assert_array_equal(a.test, b.test)
    assert not np.array_equal(a.test, c.test)


def test_rows_are_drawn_evenly():
    chosen = np.zeros(10)
    for seed in range(400):
        rows = split_rows(np.arange(10) % 2, validation=0.1, test=0.2, seed=seed)
        chosen[rows.test] += 1
    # 80 expected each; the standard deviation is 8.
    assert abs(chosen - 80).max() < 40


def test_without_validation_and_test_all_rows_train():
    rows = split_rows(np.zeros(3, dtype=np.int64), validation=0, test=0, seed=0)
    assert [len(part) for part in rows] == [3, 0, 0]


@pytest.mark.parametrize(("validation", "test"), [(-0.1, 0.1), (0.5, 0.5), (0.1, 1.0), (0, np.nan)])
def test_impossible_fractions(validation, test):
    with pytest.raises(ArgumentError, match="fractions from 0 up with a sum below 1"):
        split_rows(np.zeros(100, dtype=np.int64), validation=validation, test=test, seed=0)


def test_too_few_rows():
    with pytest.raises(DataError, match=r"3 rows are too few for validation=0.15 and test=0.15"):
        split_rows(np.zeros(3, dtype=np.int64), validation=0.15, test=0.15, seed=0)


def split(role):
    return Split(np.zeros((3, 2)), np.zeros(3, dtype=np.int64), role)


def test_tuning_may_not_see_the_test_split():
    train, validation = split("train"), split("validation")
    assert for_tuning(train) is train
    assert for_tuning(validation) is validation
    with pytest.raises(DataError, match="got the test split"):
        for_tuning(split("test"))
    with pytest.raises(DataError, match="there is none"):
        for_tuning(None)
    with pytest.raises(DataError, match="may see a test split only, got the train split"):
        require_role(train, "test")


def test_a_split_checks_itself():
    with pytest.raises(ArgumentError, match="role must be one of train, validation, test"):
        split("holdout")
    with pytest.raises(DataError, match=r"got \(3, 2\) and \(4,\)"):
        Split(np.zeros((3, 2)), np.zeros(4), "train")
