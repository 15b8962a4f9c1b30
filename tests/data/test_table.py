import datetime
from decimal import Decimal

import numpy as np
import pytest

from gradlab.data import Table
from gradlab.errors import DataError


@pytest.mark.parametrize("word", ["", " ", "NA", "na", "NaN", "nan", "null", "NULL", "?", " ? "])
def test_words_for_missing(word):
    assert Table({"c": ["red", word]})["c"].tolist() == ["red", None]


def test_numbers_keep_their_dtype():
    for dtype in (np.int64, np.uint8, np.float32, np.float64):
        column = np.array([1, 2], dtype)
        assert Table({"x": column})["x"] is column


def test_objects_become_numbers_or_text():
    table = Table(
        {
            "number": [1, None, Decimal("2.5")],
            "empty": [None, None, None],
            "truth": [True, False, True],
            "objects": [True, None, False],
            "mixed": np.array([1, "a", None], dtype=object),
        }
    )
    np.testing.assert_array_equal(table["number"], [1, np.nan, 2.5])
    np.testing.assert_array_equal(table["empty"], [np.nan] * 3)
    assert table["truth"].tolist() == ["True", "False", "True"]
    assert table["objects"].tolist() == ["True", None, "False"]
    assert table["mixed"].tolist() == ["1", "a", None]


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({"a": [1, 2], "b": [1]}, "one length, got a with 2 rows and b with 1 rows"),
        ({"a": [[1, 2]]}, r"'a' must hold one value a row, got shape \(1, 2\)"),
        ({"a": np.array([1j])}, "'a' must hold numbers or text, got complex128"),
        ({"a": np.array(["2020-01-01"], "M8[D]")}, r"got datetime64\[D\]; convert it first"),
        ({"a": [datetime.date(2020, 1, 1)]}, "got date; convert it first"),
    ],
)
def test_what_is_no_table(columns, text):
    with pytest.raises(DataError, match=text):
        Table(columns)
