import numpy as np
import pytest

from gradlab.data import load
from gradlab.errors import DataError
from tests.data.samples import CIFAR10, cifar_files, tar

FILES = {1: cifar_files(1), 2: cifar_files(2)}
SETS = [
    pytest.param("cifar10", 1, "cifar-10-batches-bin", "cifar-10-binary.tar.gz", id="cifar10"),
    pytest.param("cifar100", 2, "cifar-100-binary", "cifar-100-binary.tar.gz", id="cifar100"),
]


@pytest.mark.parametrize("unpacked", [True, False])
@pytest.mark.parametrize(("name", "labels", "folder", "archive"), SETS)
def test_archive_and_folder(tmp_path, name, labels, folder, archive, unpacked):
    files = FILES[labels]
    if unpacked:
        (tmp_path / folder).mkdir()
        for file, data in files.items():
            (tmp_path / folder / file).write_bytes(data)
    else:
        (tmp_path / archive).write_bytes(tar(folder, dict(reversed(files.items()))))
    dataset = load(name, data_dir=tmp_path, validation=0)
    last = [file for file in files if file.endswith(".bin")][-1]
    records = np.frombuffer(files[last], np.uint8).reshape(-1, labels + 3072)
    np.testing.assert_array_equal(dataset.test.x.reshape(len(records), -1), records[:, labels:])
    np.testing.assert_array_equal(dataset.test.y, records[:, labels - 1])
    assert dataset.input_shape == (3, 32, 32)
    assert len(dataset.train) == {1: 100, 2: 200}[labels]
    first = np.frombuffer(files[{1: "data_batch_1.bin", 2: "train.bin"}[labels]], np.uint8)
    np.testing.assert_array_equal(dataset.train.x[0].ravel(), first[labels : labels + 3072])
    assert dataset.classes == (tuple(CIFAR10) if labels == 1 else dataset.classes)
    assert dataset.outputs == {1: 10, 2: 100}[labels]


def changed(**files):
    return {
        name: files.get(name.partition(".")[0], lambda data: data)(data)
        for name, data in FILES[1].items()
    }


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (changed(data_batch_3=lambda d: d[:-1]), r"data_batch_3\.bin is cut short or damaged"),
        (changed(test_batch=lambda d: b""), r"test_batch\.bin is cut short or damaged: 0 bytes"),
        (changed(data_batch_1=lambda d: b"\xff" + d[1:]), "label 255, and there are 10 classes"),
        (changed(batches=lambda d: b"\xff\xfe"), r"batches\.meta\.txt is damaged"),
        ({k: v for k, v in FILES[1].items() if "4" not in k}, r"has no data_batch_4\.bin"),
        ({}, r"has no data_batch_1\.bin"),
    ],
)
@pytest.mark.parametrize("unpacked", [True, False])
def test_files_that_are_damaged(tmp_path, files, message, unpacked):
    if unpacked:
        (tmp_path / "cifar-10-batches-bin").mkdir()
        for file, data in files.items():
            (tmp_path / "cifar-10-batches-bin" / file).write_bytes(data)
    else:
        (tmp_path / "cifar-10-binary.tar.gz").write_bytes(tar("cifar-10-batches-bin", files))
    with pytest.raises(DataError, match=message) as caught:
        load("cifar10", data_dir=tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


WHOLE = tar("cifar-10-batches-bin", FILES[1])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        WHOLE[: len(WHOLE) // 2],
        WHOLE[:5000] + b"\0" * 5000,
        WHOLE[:-20],
        WHOLE[:50_000] + bytes([WHOLE[50_000] ^ 1]) + WHOLE[50_001:],
    ],
    ids=["empty", "page", "half", "zeros", "end", "bit"],
)
def test_archives_that_are_damaged(tmp_path, data):
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(data)
    with pytest.raises(DataError, match=r"cifar-10-binary\.tar\.gz (is cut short|has no)"):
        load("cifar10", data_dir=tmp_path)
