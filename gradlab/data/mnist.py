"""MNIST and Fashion-MNIST: four IDX files each."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradlab.data.arrays import ArraySource, Examples
from gradlab.data.download import Remote, data_folder, fetch
from gradlab.data.idx import read_idx
from gradlab.data.source import datasets
from gradlab.data.targets import Labels
from gradlab.errors import DataError

_TRAIN = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
_TEST = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")

_MNIST_HOMES = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
_MNIST_CHECKSUMS = {
    _TRAIN[0]: "sha256:440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    _TRAIN[1]: "sha256:3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    _TEST[0]: "sha256:8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    _TEST[1]: "sha256:f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
_FASHION_HOMES = (
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
)
# As its authors publish them: MD5, which tells of accidents, though not of forgery.
_FASHION_CHECKSUMS = {
    _TRAIN[0]: "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    _TRAIN[1]: "md5:25c81989df183df01b3e8a0aad5dffbe",
    _TEST[0]: "md5:bef4ecab320f06d8554ea6380940ec79",
    _TEST[1]: "md5:bb300cfdad3c16e7a12a480ee83cd310",
}
_FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


@datasets.register(
    "mnist",
    formula="60,000 + 10,000 images of 1 × 28 × 28 bytes; classes 0 to 9",
    paper="LeCun, Bottou, Bengio & Haffner, Gradient-Based Learning Applied to Document "
    "Recognition, 1998",
)
def mnist(data_dir: str | os.PathLike[str] | None = None) -> ArraySource:
    """Handwritten digits of American high-school students and census clerks."""
    remotes = _remotes("mnist", _MNIST_HOMES, _MNIST_CHECKSUMS)
    labels = Labels("digit", tuple(range(10)))
    return _idx_source("mnist", remotes, ("mnist", "MNIST/raw", "."), labels, data_dir)


@datasets.register(
    "fashion_mnist",
    formula="60,000 + 10,000 images of 1 × 28 × 28 bytes; 10 kinds of clothing",
    paper="Xiao, Rasul & Vollgraf, Fashion-MNIST, arXiv:1708.07747, 2017",
)
def fashion_mnist(data_dir: str | os.PathLike[str] | None = None) -> ArraySource:
    """Pieces of clothing, in MNIST's form and names of files."""
    remotes = _remotes("fashion_mnist", _FASHION_HOMES, _FASHION_CHECKSUMS)
    labels = Labels("clothing", _FASHION_CLASSES)
    # Not the data folder itself: files of these names there are MNIST's.
    folders = ("fashion_mnist", "fashion-mnist", "FashionMNIST/raw")
    return _idx_source("fashion_mnist", remotes, folders, labels, data_dir)


def _remotes(
    folder: str, homes: tuple[str, ...], checksums: Mapping[str, str]
) -> dict[str, Remote]:
    """The four files, by their names without .gz."""
    return {
        name: Remote(f"{folder}/{name}.gz", tuple(f"{home}{name}.gz" for home in homes), checksum)
        for name, checksum in checksums.items()
    }


def _idx_source(
    name: str,
    remotes: Mapping[str, Remote],
    folders: tuple[str, ...],
    labels: Labels,
    data_dir: str | os.PathLike[str] | None,
) -> ArraySource:
    """Images and labels from local copies in one of the folders, or from the net."""
    root = data_folder(data_dir)

    def find(file: str) -> Path:
        copies = [root / folder / f"{file}{end}" for folder in folders for end in ("", ".gz")]
        return next((copy for copy in copies if copy.is_file()), None) or fetch(
            remotes[file], data_dir
        )

    train, test = (
        _examples(find(images), find(classes), len(labels.classes))
        for images, classes in (_TRAIN, _TEST)
    )
    return ArraySource(name, "arrays", labels, train, test=test)


def _examples(images: Path, classes: Path, count: int) -> Examples:
    """One split: images of shape (n, 1, height, width) and class indices."""
    x: NDArray[Any] = read_idx(images)
    y = read_idx(classes)
    if x.ndim != 3 or x.dtype != np.uint8:
        raise DataError(f"{images} must hold images of bytes, (n, height, width), got {x.shape}")
    if y.shape != x.shape[:1]:
        raise DataError(f"{classes} has labels of shape {y.shape} for {len(x)} images")
    if y.size and not 0 <= y.min() <= y.max() < count:
        raise DataError(f"{classes} has the label {y.max()}; they must be 0 to {count - 1}")
    return Examples(x[:, None], y.astype(np.int64))
