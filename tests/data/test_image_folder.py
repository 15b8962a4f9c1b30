import numpy as np
import pytest

from gradlab import data
from gradlab.data import load, memory_map
from gradlab.errors import ArgumentError, DataError
from tests.data.samples import write_images

pytest.importorskip("PIL")


def source(folder, **options):
    return data.read({"name": "images", "folder": str(folder)} | options)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_pixels_and_classes(tmp_path, mode):
    drawn = write_images(tmp_path / "photos", mode=mode)
    found = source(tmp_path / "photos")
    assert found.name == "photos"
    assert found.labels.classes == ("cat", "dog")
    assert found.train.x.shape == (16, 3 if mode == "RGB" else 1, 6, 8)
    for row, label, (path, pixels) in zip(*found.train, sorted(drawn.items()), strict=True):
        np.testing.assert_array_equal(row.transpose(1, 2, 0), pixels.reshape(6, 8, -1))
        assert found.labels.classes[label] == path.parent.name
    dataset = load(tmp_path / "photos", validation=0.25, test=0.25)
    assert [len(split) for split in dataset.splits] == [8, 4, 4]
    assert dataset.describe().endswith("3 × 6 × 8 features, 2 classes (cat, dog)") or mode == "L"


def test_grey_only_where_all_are(tmp_path):
    write_images(tmp_path, classes=("cat",), mode="L")
    write_images(tmp_path, classes=("dog",), mode="RGB")
    assert source(tmp_path).train.x.shape == (16, 3, 6, 8)


def test_published_splits(tmp_path):
    for role, each in {"train": 6, "val": 3, "test": 2}.items():
        write_images(tmp_path / role, each=each)
    dataset = load(tmp_path, validation=0.5)
    assert [len(split) for split in dataset.splits] == [12, 6, 4]
    write_images(tmp_path / "test", classes=("fox",))
    with pytest.raises(DataError, match=r"fox is a class without images to train on"):
        load(tmp_path)


def test_classes_may_bear_the_names_of_splits(tmp_path):
    write_images(tmp_path, classes=("train", "ship"))
    assert source(tmp_path).labels.classes == ("ship", "train")


def test_images_without_classes_are_for_prediction(tmp_path):
    write_images(tmp_path, classes=("new",))
    found = source(tmp_path / "new")
    assert found.train.x.shape == (8, 3, 6, 8)
    assert found.train.y is None
    with pytest.raises(DataError, match=r"new has no targets: .* names of their folders"):
        load(tmp_path / "new")


def test_one_size_or_a_size(tmp_path):
    write_images(tmp_path / "photos", classes=("cat",))
    write_images(tmp_path / "photos", classes=("dog",), size=(6, 6))
    with pytest.raises(DataError, match=r"dog/0\.png has 6 × 6 pixels and .*cat/0\.png 6 × 8; .*6"):
        source(tmp_path / "photos")
    assert source(tmp_path / "photos", size=5).train.x.shape == (16, 3, 5, 5)
    assert source(tmp_path / "photos", size=(4, 6)).train.x.shape == (16, 3, 4, 6)
    for size in (0, (1, 2, 3), (2.5, 2), -1):
        with pytest.raises(ArgumentError, match="size must be pixels"):
            source(tmp_path / "photos", size=size)


def test_scaling_cuts_off_both_sides_alike(tmp_path):
    from PIL import Image

    pixels = np.zeros((4, 8, 3), np.uint8)
    pixels[:, 2:6] = 200  # the middle
    (tmp_path / "a").mkdir()
    Image.fromarray(pixels).save(tmp_path / "a" / "wide.png")
    np.testing.assert_array_equal(source(tmp_path, size=4).train.x, 200)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not an image, or is damaged"),
        (b"GIF89a", "is not an image, or is damaged"),
        (None, r"is damaged: .*truncated"),
    ],
)
def test_damaged_images(tmp_path, content, message):
    drawn = write_images(tmp_path, size=(40, 40))
    path = sorted(drawn)[3]
    path.write_bytes(path.read_bytes()[:-1500] if content is None else content)
    with pytest.raises(DataError, match=message) as caught:
        source(tmp_path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_folders_without_images(tmp_path):
    with pytest.raises(DataError, match="has no images"):
        source(tmp_path)
    with pytest.raises(DataError, match="nowhere is no folder"):
        source(tmp_path / "nowhere")


def test_large_ones_are_a_memory_map_in_mixed_order(tmp_path, monkeypatch):
    monkeypatch.setattr(memory_map, "LARGE", 1000)
    monkeypatch.setattr("gradlab.data.image_folder.LARGE", 1000)
    drawn = write_images(tmp_path / "photos", each=10)
    dataset = load(tmp_path / "photos", validation=0.2, test=0.2, data_dir=tmp_path / "kept")
    (file,) = (tmp_path / "kept" / "arrays").iterdir()
    for split, count in zip(dataset.splits, (12, 4, 4), strict=True):
        assert isinstance(split.x, np.memmap)
        assert np.bincount(split.y).tolist() == [count // 2] * 2
    rows = {(x.tobytes(), y) for split in dataset.splits for x, y in zip(split.x, split.y)}  # noqa: B905
    written = {
        (pixels.transpose(2, 0, 1).tobytes(), int(path.parent.name == "dog"))
        for path, pixels in drawn.items()
    }
    assert rows == written
    before = file.stat().st_mtime_ns
    assert load(tmp_path / "photos", data_dir=tmp_path / "kept").digest()
    assert file.stat().st_mtime_ns == before
    file.write_bytes(b"not an array")
    with pytest.raises(DataError, match=r"cannot use .*npy .*remove it"):
        load(tmp_path / "photos", data_dir=tmp_path / "kept")
