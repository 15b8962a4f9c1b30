import gzip
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from gradlab.data import load, read_idx
from gradlab.errors import DataError
from tests.data.samples import idx, write_mnist

types = st.sampled_from(["u1", "i1", "i2", "i4", "f4", "f8"]).map(np.dtype)


@given(types.flatmap(lambda t: arrays(t, array_shapes(min_dims=1, max_side=5))), st.booleans())
def test_what_was_written_is_read(tmp_path_factory, array, packed):
    path = tmp_path_factory.getbasetemp() / "array.idx"
    path.write_bytes(gzip.compress(idx(array)) if packed else idx(array))
    found = read_idx(path)
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


WHOLE = idx(np.arange(60, dtype=np.uint8).reshape(5, 4, 3))
PACKED = gzip.compress(WHOLE, mtime=0)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is not an IDX file: it starts with nothing"),
        (b"PK\3\4 zip", "is not an IDX file: it starts with 50 4b 03 04"),
        (b"\0\0\7\1\0\0\0\0", "is not an IDX file"),
        (WHOLE[:9], "cut short: 9 of 16 bytes of its header"),
        (WHOLE[:-1], r"cut short: 75 bytes where shape \(5, 4, 3\) of uint8 takes 76"),
        (WHOLE + b"\0", "damaged: 77 bytes"),
        (b"\0\0\x0e\4" + b"\xff" * 40, "cut short: 44 bytes where"),
        (PACKED[:-20], "cut short: the packed data have no end"),
        (PACKED[:-8] + b"\0" * 8, "damaged: CRC check failed"),
        (PACKED[:10] + b"\7" * 40, "damaged: .*invalid block type"),
    ],
)
def test_files_that_are_cut_short_or_damaged(tmp_path, data, message):
    path = tmp_path / "array.idx"
    path.write_bytes(data)
    with pytest.raises(DataError, match=message) as caught:
        read_idx(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_no_file(tmp_path):
    with pytest.raises(DataError, match=r"cannot read .*nowhere: No such file"):
        read_idx(tmp_path / "nowhere")


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("mnist", "."),
        ("mnist", "mnist"),
        ("mnist", "MNIST/raw"),
        ("fashion_mnist", "fashion_mnist"),
        ("fashion_mnist", "FashionMNIST/raw"),
    ],
)
def test_local_copies(tmp_path, name, folder, packed):
    written = write_mnist(tmp_path / folder, packed)
    dataset = load(name, data_dir=tmp_path, validation=0.25)
    assert dataset.input_shape == (1, 28, 28)
    assert dataset.outputs == 10
    assert dataset.train.x.dtype == np.uint8
    x, y = written["t10k"]
    np.testing.assert_array_equal(dataset.test.x[:, 0], x)
    np.testing.assert_array_equal(dataset.test.y, y)
    assert (len(dataset.train), len(dataset.validation)) == (30, 10)
    assert dataset.preprocess.decode([1])[0] == {"mnist": 1, "fashion_mnist": "Trouser"}[name]


def test_the_environment_names_a_folder_too(tmp_path, monkeypatch):
    write_mnist(tmp_path)
    monkeypatch.setenv("GRADLAB_DATA", str(tmp_path))
    assert len(load("mnist").test) == 20


@pytest.mark.parametrize(
    ("file", "array", "message"),
    [
        ("train-images-idx3-ubyte", np.zeros((40, 28), np.uint8), "must hold images of bytes"),
        ("train-images-idx3-ubyte", np.zeros((40, 2, 2), np.int32), "must hold images of bytes"),
        ("train-labels-idx1-ubyte", np.zeros(39, np.uint8), r"shape \(39,\) for 40 images"),
        ("train-labels-idx1-ubyte", np.full(40, 10, np.uint8), "has the label 10; .* 0 to 9"),
    ],
)
def test_files_that_do_not_fit(tmp_path, file, array, message):
    write_mnist(tmp_path, packed=False)
    (tmp_path / file).write_bytes(idx(array))
    with pytest.raises(DataError, match=f"{file} .*{message}"):
        load("mnist", data_dir=tmp_path)


@pytest.mark.long
def test_mnist_as_published(published):
    folder = published("mnist")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = load("mnist", data_dir=folder, validation=0)
    assert dataset.train.x.shape == (60_000, 1, 28, 28)
    assert dataset.test.x.shape == (10_000, 1, 28, 28)
    np.testing.assert_array_equal(dataset.train.y[:5], [5, 0, 4, 1, 9])
    # The mean and deviation that everybody uses.
    np.testing.assert_allclose(dataset.preprocess.mean, 0.1307, atol=5e-5)
    np.testing.assert_allclose(dataset.preprocess.std, 0.3081, atol=5e-5)
