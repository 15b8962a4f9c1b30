import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from gradlab.data import Preprocess, Table
from gradlab.errors import ArgumentError, DataError

numbers = st.floats(-1e6, 1e6).map(lambda value: round(value, 3))


@st.composite
def tables(draw):
    """A table with two columns of numbers, two of text and a target of either kind."""
    n = draw(st.integers(4, 30))
    column = hnp.arrays(np.float64, n, elements=numbers | st.just(np.nan))
    words = st.lists(st.sampled_from(["a", "b", "c", None]), min_size=n, max_size=n)
    number = {name: draw(column) for name in ("u", "v")}
    for values in number.values():
        values[0] = 1.5
    text = {name: np.array(["z", *draw(words)[1:]], dtype=object) for name in ("p", "q")}
    task = draw(st.sampled_from(["classification", "regression"]))
    y = (
        np.arange(n) % 3
        if task == "classification"
        else draw(hnp.arrays(float, n, elements=numbers))
    )
    return Table(number | text | {"y": y}), task


@given(tables())
def test_numbers_agree_with_scikit_learn(drawn):
    table, task = drawn
    x = np.column_stack([table["u"], table["v"]])
    filled = SimpleImputer().fit_transform(x)
    # Filling with the mean leaves the mean, but not the deviation of the values that were there.
    expected = StandardScaler().fit(x).transform(filled)
    preprocess = Preprocess.learn(table, ("y",), task=task, dtype="float64")
    np.testing.assert_allclose(preprocess.apply(table)[:, :2], expected, rtol=1e-6, atol=1e-8)


@given(tables(), tables())
def test_categories_agree_with_scikit_learn(train, later):
    def columns(table):
        return np.array([["?" if v is None else v for v in table[name]] for name in ("p", "q")]).T

    order = [[*sorted(set(c) - {"?"}), *(["?"] if "?" in c else [])] for c in columns(train[0]).T]
    encoder = OneHotEncoder(categories=order, handle_unknown="ignore", sparse_output=False)
    expected = encoder.fit(columns(train[0])).transform(columns(later[0]))
    preprocess = Preprocess.learn(train[0], ("y",), task=train[1])
    np.testing.assert_array_equal(preprocess.apply(later[0])[:, 2:], expected)


@given(tables(), tables(), st.booleans(), st.sampled_from(["float32", "float64"]))
def test_json_round_trip_gives_the_same_numbers(train, later, standardize, dtype):
    one = Preprocess.learn(train[0], ("y",), task=train[1], standardize=standardize, dtype=dtype)
    two = Preprocess.from_json(json.loads(json.dumps(one.to_json())))
    assert one == two
    np.testing.assert_array_equal(one.apply(later[0]), two.apply(later[0]))
    np.testing.assert_array_equal(one.encode(train[0]), two.encode(train[0]))
    assert two.apply(later[0]).dtype == dtype


@given(tables())
def test_targets_come_back(drawn):
    table, task = drawn
    preprocess = Preprocess.learn(table, ("y",), task=task, dtype="float64")
    y = preprocess.encode(table)
    assert y.dtype == (np.int64 if task == "classification" else np.float64)
    np.testing.assert_allclose(preprocess.decode(y).ravel(), table["y"], rtol=1e-9, atol=1e-6)


def learnt(**columns):
    return Preprocess.learn(Table(columns | {"y": ["a", "b", "a"]}), ("y",), task="classification")


@pytest.mark.parametrize("value", [0.0, 0.1, -3.7e12, 1e-300])
@pytest.mark.parametrize("n", [3, 100_003])
def test_a_constant_column_becomes_zero(value, n):
    table = Table({"x": np.full(n, value), "y": np.arange(n) % 2})
    x = Preprocess.learn(table, ("y",), task="classification").apply(table)
    np.testing.assert_allclose(x, 0, atol=abs(value) * 1e-15)


@pytest.mark.parametrize("unit", [1e-200, 1e200])
def test_the_unit_of_a_column_does_not_matter(unit):
    x = np.array([1.0, 2.0, 4.0])
    one, other = (learnt(x=x * u).apply(Table({"x": x * u})) for u in (1.0, unit))
    np.testing.assert_allclose(one, other, rtol=1e-6)


def test_without_standardize_numbers_stay_and_missing_takes_the_mean():
    table = Table({"x": [1.0, None, 4.0], "y": [10.0, 20.0, 40.0]})
    preprocess = Preprocess.learn(table, ("y",), task="regression", standardize=False)
    assert preprocess.apply(table).tolist() == [[1.0], [2.5], [4.0]]
    assert preprocess.encode(table).tolist() == [[10.0], [20.0], [40.0]]


def test_a_divisor_takes_the_place_of_standardization():
    table = Table({"pixel": [0, 8, 16], "y": [0, 1, 0]})
    preprocess = Preprocess.learn(table, ("y",), task="classification", divisor=16.0)
    assert preprocess.apply(table).tolist() == [[0.0], [0.5], [1.0]]


def test_numbers_can_be_categories_whatever_they_are_read_as():
    table = Table({"zone": [3, 1, 3], "y": ["a", "b", "a"]})
    preprocess = Preprocess.learn(table, ("y",), task="classification", categorical=["zone"])
    assert preprocess.feature_names == ("zone=1", "zone=3")
    for zone in ([1.0, 3.0], ["1", "3"], ["1.0", "3.0"], ["1", 3]):
        assert preprocess.apply(Table({"zone": zone})).tolist() == [[1, 0], [0, 1]]


def test_labels_meet_whatever_they_are_read_as():
    preprocess = learnt(x=[1, 2, 3])
    assert preprocess.encode(Table({"y": ["b", "a"]})).tolist() == [1, 0]
    mixed = Table({"x": [1, 2, 3], "y": ["1", "x", "1"]})
    preprocess = Preprocess.learn(mixed, ("y",), task="classification")
    assert preprocess.encode(Table({"y": [1.0, 1.0]})).tolist() == [0, 0]


def test_columns_are_taken_by_name():
    preprocess = learnt(u=[1.0, 2.0, 3.0], v=[4.0, 4.0, 7.0])
    one = preprocess.apply(Table({"u": [3], "v": [7], "y": ["?"]}))
    other = preprocess.apply(Table({"v": [7], "id": ["k"], "u": [3]}))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({"u": [1]}, "column 'v' is missing: training had it; found: u"),
        ({"u": [1, 1], "v": ["NA", "low"]}, "'v' must hold numbers, got 'low' in data row 2"),
        ({"u": [1, np.inf, 2, -np.inf], "v": [0] * 4}, "'u' is infinite in 2 rows .*data row 2"),
        ({"u": [1e300], "v": [0]}, "column 'u' has a value too large for float32"),
    ],
)
def test_what_cannot_be_predicted_for(columns, text):
    with pytest.raises(DataError, match=text):
        learnt(u=[1.0, 2.0, 3.0], v=[4.0, 4.0, 7.0]).apply(Table(columns))


def test_unknown_and_absent_targets():
    preprocess = learnt(u=[1.0, 2.0, 3.0])
    with pytest.raises(DataError, match=r"unknown class 'c' in 1 row \(first: data row 2\)"):
        preprocess.encode(Table({"y": ["a", "c"]}))
    with pytest.raises(DataError, match="unknown column 'y'"):
        preprocess.encode(Table({"u": [1]}))


def test_what_cannot_be_learnt():
    with pytest.raises(DataError, match="column 'x' is missing in every training row"):
        learnt(x=[np.nan] * 3)
    with pytest.raises(DataError, match="column 'x' is too large to standardize"):
        learnt(x=[-1.7e308, 1.7e308, 1.7e308])
    names = [f"name {i}" for i in range(30)]
    table = Table({"name": names, "y": np.arange(30) % 2})
    with pytest.raises(DataError, match=r"'name' has 30 different texts in 30 .*'name 0'"):
        Preprocess.learn(table, ("y",), task="classification")
    named = Preprocess.learn(table, ("y",), task="classification", categorical=["name"])
    assert len(named.feature_names) == 30
    with pytest.raises(ArgumentError, match="dtype must be float32 or float64, got 'int8'"):
        Preprocess.learn(table, ("y",), task="classification", dtype="int8")


@pytest.mark.parametrize("spoil", [lambda d: d.pop("columns"), lambda d: d["target"].pop("name")])
def test_json_of_something_else(spoil):
    data = learnt(x=[1, 2, 3]).to_json()
    spoil(data)
    with pytest.raises(DataError, match="no preprocessing that gradlab wrote"):
        Preprocess.from_json(data)
