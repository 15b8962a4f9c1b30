"""Which rows train, which validate and which test."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradlab.errors import ArgumentError, DataError
from gradlab.seeding import stream


class Rows(NamedTuple):
    """Row indices of each split, ascending."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


def split_rows(strata: NDArray[np.int64], *, validation: float, test: float, seed: int) -> Rows:
    """Divide rows at random, with each stratum in proportion (to one row) in every split.

    Rows of stratum c, in random order, take the places (i + ½) / n_c; sorted by place, the
    first round(test·n) rows test, the next round(validation·n) validate and the others train.
    So the test rows do not depend on ``validation``.

    Raises:
        ArgumentError: fractions below 0 or that leave nothing to train on.
        DataError: too few rows for a split that was asked for.

    >>> split_rows(np.array([0, 0, 0, 0, 1, 1, 1, 1]), validation=0.25, test=0.25, seed=0)
    Rows(train=array([...]), validation=array([...]), test=array([...]))
    """
    tests, validations = split_sizes(len(strata), validation, test)
    order = mixed(strata, stream(seed, "spli"))
    test_rows, validation_rows, train_rows = np.split(order, [tests, tests + validations])
    return Rows(np.sort(train_rows), np.sort(validation_rows), np.sort(test_rows))


def split_sizes(n: int, validation: float, test: float) -> tuple[int, int]:
    """Return how many of n rows test, and how many validate.

    Raises:
        ArgumentError: fractions below 0 or that leave nothing to train on.
        DataError: too few rows for a split that was asked for.

    >>> split_sizes(10, validation=0.1, test=0.25)
    (3, 1)
    """
    if not (validation >= 0 and test >= 0 and validation + test < 1):
        raise ArgumentError(
            "validation and test must be fractions from 0 up with a sum below 1, "
            f"got {validation!r} and {test!r}"
        )
    tests, validations = (int(np.floor(f * n + 0.5)) for f in (test, validation))
    empty = (test > 0 and not tests) or (validation > 0 and not validations)
    if empty or tests + validations >= n:
        raise DataError(
            f"{n} rows are too few for validation={validation:g} and test={test:g}; "
            "give more rows, or set them to 0"
        )
    return tests, validations


def mixed(strata: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Rows in random order, so that each stretch of it has every stratum in proportion.

    >>> strata = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    >>> strata[mixed(strata, np.random.default_rng(0))].reshape(4, 2).sum(axis=1)
    array([1, 1, 1, 1])
    """
    shuffled = rng.permutation(len(strata))
    place = np.empty(len(strata))
    for stratum in np.unique(strata):
        members = strata[shuffled] == stratum
        count = members.sum()
        place[members] = (np.arange(count) + 0.5) / count
    # Stable, so that equal places keep their random order.
    order: NDArray[np.int64] = shuffled[np.argsort(place, kind="stable")]
    return order
