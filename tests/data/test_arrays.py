import dataclasses
import hashlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gradlab import data
from gradlab.data import ArrayPreprocess, ArraySource, Examples, Labels, Split, load
from gradlab.data.array_preprocess import pixel_moments
from gradlab.errors import ArgumentError, DataError
from tests.data.samples import images, write_mnist

X = images(60, 3, 5, 4)
Y = np.arange(60) % 3


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((6, 5, 4), (6, 1, 5, 4)),
        ((6, 3, 5, 4), (6, 3, 5, 4)),
        ((6, 5, 4, 3), (6, 3, 5, 4)),
        ((6, 5, 4, 1), (6, 1, 5, 4)),
        ((6, 3, 4, 3), (6, 3, 4, 3)),
        ((6, 2, 5, 4, 3), (6, 2, 5, 4, 3)),
    ],
)
def test_images_get_their_channels_first(shape, expected):
    x = images(*shape)
    found = data.read((x, [0, 1] * 3)).train.x
    assert found.shape == expected
    if shape == (6, 5, 4, 3):
        np.testing.assert_array_equal(found, x.transpose(0, 3, 1, 2))
    floats = data.read((x.astype(np.float32), [0, 1] * 3)).train.x
    assert floats.shape == shape  # no images, or images as a model takes them


@pytest.mark.parametrize("labels", [Y, Y[:, None], np.array(["a", "b", "c"])[Y], Y + 0.0])
def test_a_pair_of_images_and_labels(labels):
    dataset = load((X, labels), validation=0.2, test=0.1)
    assert [len(split) for split in dataset.splits] == [42, 12, 6]
    assert all(split.x.dtype == np.uint8 for split in dataset.splits)
    assert all(np.bincount(split.y).tolist() == [len(split) // 3] * 3 for split in dataset.splits)
    np.testing.assert_array_equal(dataset.preprocess.decode(np.arange(3)), np.unique(labels))
    assert dataset.describe() == (
        "arrays: classification, 42 train, 12 validation, 6 test rows, 3 × 5 × 4 features, "
        f"3 classes ({', '.join(map(str, dataset.classes))})"
    )
    rows = {x.tobytes(): y for x, y in zip(X, Y, strict=True)}
    for split in dataset.splits:
        assert [rows[x.tobytes()] for x in split.x] == split.y.tolist()


def test_a_published_test_split_stays(tmp_path):
    np.savez(tmp_path / "t.npz", x_train=X, y_train=Y, x_test=X[:9], y_test=Y[:9])
    dataset = load(tmp_path / "t.npz", validation=0.1, test=0.5)
    assert dataset.name == "t"
    assert [len(split) for split in dataset.splits] == [54, 6, 9]
    np.testing.assert_array_equal(dataset.test.x, X[:9])
    again = load(tmp_path / "t.npz", validation=0.1, seed=1)
    assert (again.validation.x != dataset.validation.x).any()
    assert again.digest() != dataset.digest() == load(tmp_path / "t.npz", validation=0.1).digest()


def test_tables_with_published_splits_are_arrays_too(tmp_path):
    rows = np.zeros((6, 4), np.float32)
    np.savez(tmp_path / "t.npz", x_train=rows, y_train=[0, 1] * 3, x_test=rows, y_test=[0, 1] * 3)
    assert load(tmp_path / "t.npz", validation=0).input_shape == (4,)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"x_train": X, "y_train": Y}, "t.npz has x_train and lacks x_test, y_test"),
        ({"x": X, "y": Y[:5]}, r"y must have shape \(60,\) to fit x, got \(5,\)"),
        ({"x": X, "y": np.zeros((60, 2))}, r"y must have shape \(60,\)"),
        ({"x": X, "y": np.arange(60) / 7}, "60 different values in 60 rows"),
        ({"x": X.astype("S1"), "y": Y}, "x must hold numbers"),
        ({"x": X}, "t has no targets: of arrays they are an array y"),
        ({"x": X, "y": Y * 0}, "1 classes; classification needs two"),
        ({"x": X[:3], "y": [0, 0, 1]}, "3 rows are too few"),
        ({"x": X, "y": [0] + [1] * 59}, "class 0 of t has no row left for training"),
    ],
)
def test_arrays_that_cannot_be_trained_on(tmp_path, found, message):
    np.savez(tmp_path / "t.npz", **found)
    with pytest.raises(DataError, match=message) as caught:
        load(tmp_path / "t.npz", validation=0.15, test=0.4)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "options", [{"target": "y"}, {"categorical": "x1"}, {"task": "regression"}], ids=str
)
def test_options_of_tables(options):
    with pytest.raises(ArgumentError, match="are for tables; arrays has its classes"):
        load((X, Y), **options)


def test_nothing_is_copied_but_rows_that_are_drawn(tmp_path):
    write_mnist(tmp_path)
    source = data.read("mnist", data_dir=tmp_path)
    all_rows = load(source, validation=0)
    assert all_rows.train.x is source.train.x
    drawn = load(source, validation=0.1)
    assert drawn.test.x is source.test.x
    assert drawn.train.x.dtype == np.uint8


@pytest.fixture
def memory_map(tmp_path):
    np.save(tmp_path / "x.npy", X)
    return np.load(tmp_path / "x.npy", mmap_mode="r")


def test_memory_maps_stay_on_the_disk(memory_map):
    dataset = load((memory_map, Y), validation=0.2, test=0.1)
    for split in dataset.splits:
        assert isinstance(split.x, np.memmap)
        assert np.shares_memory(split.x, memory_map)
    np.testing.assert_array_equal(dataset.test.x, X[54:])
    np.testing.assert_array_equal(dataset.validation.x, X[42:54])
    in_memory = [Split(np.array(s.x), s.y, s.role) for s in dataset.splits]
    assert dataset.digest() == data.Dataset("x", *in_memory, dataset.preprocess).digest()
    with pytest.raises(DataError, match=r"no row left for training; .*shuffle the rows"):
        load((memory_map, np.sort(Y)), test=0.4)


def test_maps_of_images_need_their_channels_first(tmp_path):
    np.save(tmp_path / "x.npy", X.transpose(0, 2, 3, 1))
    with pytest.raises(DataError, match=r"channels first, got \(60, 5, 4, 3\)"):
        load((np.load(tmp_path / "x.npy", mmap_mode="r"), Y))


def test_the_digest_of_tables_is_as_before():
    dataset = load("iris")
    digest = hashlib.sha256()
    for split in dataset.splits:
        digest.update(split.x.tobytes() + split.y.tobytes())
    assert dataset.digest() == digest.hexdigest()


@given(arrays(np.uint8, st.tuples(*[st.integers(1, 5)] * 4)))
def test_moments_of_pixels(x):
    mean, std = pixel_moments(x)
    np.testing.assert_allclose(mean, (x / 255).mean(axis=(0, 2, 3)), atol=1e-12)
    expected = (x / 255).std(axis=(0, 2, 3))
    np.testing.assert_allclose(std, np.where(expected > 1e-12, expected, 1), atol=1e-7)


def test_moments_are_learnt_from_the_training_rows_alone():
    dataset = load((X, Y), validation=0.3)
    assert dataset.preprocess.mean == pixel_moments(dataset.train.x)[0]
    raw = load((X, Y), standardize=False).preprocess
    assert (raw.mean, raw.std) == ((0.0,) * 3, (1.0,) * 3)
    assert load((X / 255, Y)).preprocess.mean == ()


def test_json_holds_the_preprocessing():
    for source in [(X, np.array(["a", "b", "c"])[Y]), (X / 255, Y), "iris"]:
        preprocess = load(source).preprocess
        text = json.dumps(preprocess.to_json())
        assert data.restore_preprocess(json.loads(text)) == preprocess
    for broken in ({"kind": "arrays"}, {"kind": "arrays", "shape": 3}, {}):
        with pytest.raises(DataError, match="no preprocessing that gradlab wrote"):
            data.restore_preprocess(broken)


def test_examples_for_prediction(tmp_path):
    names = np.array(["ape", "bee", "cat"])
    preprocess = load((X, names[Y])).preprocess
    x, y = preprocess.prepare(data.read(X))
    np.testing.assert_array_equal(x, X)
    assert y is None
    # Another file may lack classes, which have other indices there.
    x, y = preprocess.prepare(data.read((X[:2], ["cat", "bee"])))
    assert y.tolist() == [2, 1]
    with pytest.raises(DataError, match="arrays has the class 'dog', which training did not have"):
        preprocess.prepare(data.read((X[:2], ["cat", "dog"])))
    with pytest.raises(DataError, match=r"had arrays of 3 × 5 × 4 uint8, .* has .*3 × 4 × 5 uint8"):
        preprocess.prepare(data.read(X.reshape(60, 3, 4, 5)))
    with pytest.raises(DataError, match="float64"):
        preprocess.prepare(data.read(X / 255))
    with pytest.raises(DataError, match="and iris is a table"):
        preprocess.prepare(data.read("iris"))
    write_mnist(tmp_path)
    mnist = data.read("mnist", data_dir=tmp_path)
    x, y = load(mnist).preprocess.prepare(mnist)
    assert x is mnist.test.x
    np.testing.assert_array_equal(y, mnist.test.y)


def test_tables_for_prediction():
    preprocess = load("iris").preprocess
    source = data.read("iris")
    x, y = preprocess.prepare(source)
    np.testing.assert_array_equal(x, preprocess.apply(source.table))
    np.testing.assert_array_equal(y, preprocess.encode(source.table))
    columns = {name: source.table[name] for name in source.table.names if name != "species"}
    unlabelled = dataclasses.replace(source, table=data.Table(columns))
    assert preprocess.prepare(unlabelled)[1] is None
    with pytest.raises(DataError, match="training had a table, and arrays has arrays"):
        preprocess.prepare(data.read(X))


def test_a_split_may_have_any_number_of_axes():
    assert len(Split(X, Y, "train")) == 60
    assert len(Split(X, np.zeros((60, 4)), "test")) == 60
    for x, y in [(X[:5], Y), (Y, Y), (X, X)]:
        with pytest.raises(DataError, match=r"x of shape \(n, ...\) and y"):
            Split(x, y, "train")


def test_a_dataset_of_ones_own():
    labels = Labels("colour", ("white", "black"))
    source = ArraySource("dots", "arrays", labels, Examples(X[:20], np.arange(20) % 2))
    dataset = load(source, validation=0.2, test=0.2)
    assert dataset.classes == ("white", "black")
    assert isinstance(dataset.preprocess, ArrayPreprocess)
