import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from gradlab.data import load
from gradlab.errors import ArgumentError, DataError

X = np.random.default_rng(0).normal(3, 2, (60, 4))
Y = np.arange(60) % 3


@given(st.integers(0, 2**32), st.sampled_from([0, 0.15, 0.4]), st.sampled_from([0.1, 0.3]))
def test_only_training_rows_are_learnt_from(seed, validation, test):
    dataset = load((X, Y), seed=seed, validation=validation, test=test, dtype="float64")
    raw = load(
        (X, Y), seed=seed, validation=validation, test=test, dtype="float64", standardize=False
    )
    scaler = StandardScaler().fit(raw.train.x)
    np.testing.assert_allclose(dataset.train.x, scaler.transform(raw.train.x), atol=1e-12)
    np.testing.assert_allclose(dataset.test.x, scaler.transform(raw.test.x), atol=1e-12)
    assert (dataset.validation is None) == (validation == 0)
    parts = [s for s in (raw.train, raw.validation, raw.test) if s is not None]
    joined = np.concatenate([np.column_stack([s.x, s.y]) for s in parts])
    expected = np.column_stack([X, Y])
    np.testing.assert_array_equal(joined[joined[:, 0].argsort()], expected[X[:, 0].argsort()])


def test_what_is_held_out_cannot_change_what_is_learnt():
    raw = load((X, Y), standardize=False, dtype="float64")
    held_out = np.isin(X[:, 0], np.concatenate([raw.validation.x, raw.test.x])[:, 0])
    shifted = X + 1000 * held_out[:, None]
    assert load((X, Y)).preprocess == load((shifted, Y)).preprocess
    assert load((X, Y)).preprocess != load((X + 1000 * ~held_out[:, None], Y)).preprocess


def test_test_rows_do_not_depend_on_validation():
    one, other = (load((X, Y), validation=v, standardize=False).test.x for v in (0, 0.4))
    np.testing.assert_array_equal(one, other)


def test_a_dataset_tells_what_it_is():
    dataset = load((X, Y), validation=0)
    assert (dataset.name, dataset.task, dataset.classes) == ("arrays", "classification", (0, 1, 2))
    assert (dataset.features, dataset.outputs) == (4, 3)
    assert dataset.feature_names == ("x1", "x2", "x3", "x4")
    assert dataset.describe() == (
        "arrays: classification, 51 train, 9 test rows, 4 features, 3 classes (0, 1, 2)"
    )
    assert dataset.train.x.dtype == np.float32
    assert dataset.train.y.dtype == np.int64


def test_regression_with_several_targets():
    targets = np.column_stack([X[:, 0] * 100, X[:, 1] + 7])
    dataset = load((X, targets))
    assert (dataset.task, dataset.outputs, dataset.target_names) == ("regression", 2, ("y1", "y2"))
    assert dataset.classes == ()
    assert dataset.train.y.dtype == np.float32
    np.testing.assert_allclose(dataset.train.y.mean(axis=0), 0, atol=1e-6)
    raw = load((X, targets), standardize=False)
    np.testing.assert_allclose(dataset.preprocess.decode(dataset.test.y), raw.test.y, rtol=1e-4)


@pytest.mark.parametrize(
    ("y", "task"),
    [
        (np.arange(60) % 20, "classification"),
        (np.arange(60) % 21, "regression"),
        ((np.arange(60) % 3).astype(float), "classification"),
        (np.arange(60) % 3 + 0.5, "regression"),
        (np.array(["a", "b"] * 30), "classification"),
        (np.arange(60) % 2 == 0, "classification"),
        (np.column_stack([Y, Y]), "regression"),
    ],
)
def test_the_task_is_inferred(y, task):
    assert load((X, y), test=0, validation=0).task == task


def test_a_small_count_is_a_quantity():
    assert load((X[:10], np.arange(10))).task == "regression"


def test_labels_stay_what_they_were():
    for labels, expected in [
        (np.array([-1.0, 1.0] * 30), (-1, 1)),
        (np.array(["no", "yes"] * 30), ("no", "yes")),
        (np.array([10**17, 10**17 + 1] * 30), (10**17, 10**17 + 1)),
    ]:
        dataset = load((X, labels))
        assert dataset.classes == expected
        assert set(dataset.preprocess.decode(dataset.train.y).tolist()) == set(expected)


def test_another_target_and_numbers_as_categories(tmp_path):
    lines = [f"{i % 3},{'hot' if i % 2 else 'cold'},{i / 7}" for i in range(40)]
    path = tmp_path / "t.csv"
    path.write_text("zone,weather,price\n" + "\n".join(lines))
    assert load(path).task == "regression"
    assert load(path).feature_names == ("zone", "weather=cold", "weather=hot")
    dataset = load(path, target="weather", categorical="zone")
    assert dataset.classes == ("cold", "hot")
    assert dataset.feature_names == ("zone=0", "zone=1", "zone=2", "price")
    several = load(path, target=("price", "zone"))
    assert several.target_names == ("price", "zone")


def gap(value):
    y = Y.astype(float)
    y[[7, 11]] = value
    return y


ODD = X.copy()
ODD[[4, 9], 2] = np.inf
RARE = np.array(["common", "usual"] * 29 + ["common", "rare"])


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ((X, Y), {"target": "z"}, "unknown column 'z'"),
        ((X, Y), {"categorical": ["z"]}, "unknown column 'z'"),
        ((X, Y), {"categorical": "y"}, "column 'y' is the target"),
        ((X, gap(np.nan)), {}, r"target 'y' is missing in 2 rows \(first: data row 8\)"),
        ((X, gap(np.inf)), {}, r"column 'y' is infinite in 2 rows \(first: data row 8\)"),
        ((ODD, Y), {}, r"column 'x3' is infinite in 2 rows \(first: data row 5\)"),
        ((X, np.zeros(60)), {}, r"target 'y' has one class only \(0\)"),
        (
            (X, np.arange(60)),
            {"task": "classification"},
            r"as many classes as rows \(60\); .*--task regression",
        ),
        ((X, X[:, 0].astype(str)), {}, "as many classes as rows.*name another target column"),
        (
            (X, RARE),
            {"validation": 0.5, "test": 0.4},
            "class 'rare' has 1 of 60 rows.*none is left",
        ),
        ((X, RARE), {"task": "regression"}, "'y' must hold numbers, got 'common' in data row 1"),
        ((X[:2], X[:2, 0]), {}, "2 rows are too few"),
        ((X[:0], Y[:0]), {}, "there are no rows"),
        ((X[:, :0], Y), {}, "there is no feature beside the target y"),
        ((X * 1e300, Y), {"standardize": False}, "column 'x1' has a value too large for float32"),
        (X, {}, "there is no target"),
    ],
)
def test_data_that_cannot_be_trained_on(source, options, message):
    with pytest.raises(DataError, match=message) as caught:
        load(source, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "clustering"}, "task must be one of classification, regression"),
        ({"target": ["x1", "y"], "task": "classification"}, "takes one target, got x1, y"),
        ({"dtype": "float16"}, "dtype must be float32 or float64"),
        ({"test": 1.0}, "sum below 1"),
        ({"seed": -3}, "seed must be a whole number"),
    ],
)
def test_arguments_out_of_range(options, message):
    with pytest.raises(ArgumentError, match=message):
        load((X, Y), **options)


def test_heavy_packages_wait_until_they_are_needed():
    code = (
        "import sys, gradlab.data; gradlab.data.load('moons');"
        "print({'sklearn', 'pandas', 'pyarrow', 'scipy'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
