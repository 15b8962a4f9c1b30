"""Folders of images, one folder for each class."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradlab.data.arrays import ArraySource, Examples
from gradlab.data.memory_map import LARGE, make_array
from gradlab.data.progress import Progress
from gradlab.data.source import datasets
from gradlab.data.splits import mixed
from gradlab.data.targets import Labels
from gradlab.errors import ArgumentError, DataError, require
from gradlab.seeding import stream

_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
_GREY = frozenset({"1", "L"})
_ROLES = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}


@dataclass(frozen=True)
class _Files:
    """Images of one split: their paths and the indices of their classes, None without classes."""

    paths: list[Path]
    y: NDArray[np.int64] | None


@datasets.register(
    "images",
    formula="x = bytes of shape (channels, height, width), one channel if all images are grey; "
    "classes are the names of the folders",
    paper="",
)
def images(
    folder: str | os.PathLike[str],
    size: int | Sequence[int] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
) -> ArraySource:
    """A folder of images, with a folder for each class.

    ``folder/cat/1.png``, or ``folder/train/cat/1.png`` with folders train, validation (or val) and
    test. ``size``, a number or (height, width), scales images and cuts off what reaches beyond it,
    the same on both sides; without one, all images must have the same size. Pixels of more than
    256 MiB are kept as a memory map in the data folder, mixed so that its stretches are splits.
    """
    return read_image_folder(Path(folder).expanduser(), size, data_dir)


def read_image_folder(
    folder: Path,
    size: int | Sequence[int] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
) -> ArraySource:
    """Read a folder of images, see `images`; without folders in it, the images have no classes.

    Raises:
        ArgumentError: a size that is no number of pixels.
        DataError: no images, one that is damaged, or images of several sizes.
        MissingExtraError: Pillow is not installed.
    """
    shape = _checked(size)
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder of images")
    inside = sorted(path for path in folder.iterdir() if path.is_dir())
    roles = {_ROLES[path.name]: path for path in inside if path.name in _ROLES}
    if "train" not in roles or len(roles) != len(inside):
        roles = {"train": folder}
    classes = tuple(p.name for p in sorted(roles["train"].iterdir()) if p.is_dir() and _listed(p))
    parts = {role: _files(path, classes) for role, path in roles.items()}
    paths = [path for files in parts.values() for path in files.paths]
    if not paths:
        raise DataError(f"{folder} has no images (.png, .jpg, ...), nor folders with images")
    channels, shape = _form(paths, shape)
    read = {
        role: _read(files, (channels, *shape), folder, data_dir) for role, files in parts.items()
    }
    return ArraySource(
        folder.resolve().name,
        "arrays",
        Labels("class", classes),
        read["train"],
        validation=read.get("validation"),
        test=read.get("test"),
    )


def _checked(size: int | Sequence[int] | None) -> tuple[int, ...] | None:
    """Height and width, if a size is given."""
    if size is None:
        return None
    shape = (size, size) if isinstance(size, int) else tuple(size)
    if len(shape) != 2 or not all(isinstance(n, int) and n > 0 for n in shape):
        raise ArgumentError(
            f"size must be pixels, as 32 or (24, 32) for (height, width), got {size!r}"
        )
    return shape


def _files(folder: Path, classes: tuple[str, ...]) -> _Files:
    """Images of a split, by class and name."""
    if not classes:
        return _Files(_listed(folder), None)
    paths: list[Path] = []
    y: list[int] = []
    for path in sorted(path for path in folder.iterdir() if path.is_dir()):
        found = _listed(path)
        if found and path.name not in classes:
            raise DataError(f"{path} is a class without images to train on")
        paths += found
        y += [classes.index(path.name)] * len(found) if found else []
    return _Files(paths, np.array(y, np.int64))


def _listed(folder: Path) -> list[Path]:
    """The image files that lie in a folder."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)


def _form(paths: list[Path], shape: tuple[int, ...] | None) -> tuple[int, tuple[int, ...]]:
    """Channels, height and width of all images, from the heads of their files."""
    pillow = require("PIL.Image", "images")
    grey, first = True, None
    with Progress("looking at images", len(paths)) as progress:
        for path in paths:
            with _opened(pillow, path) as image:
                grey = grey and image.mode in _GREY
                height, width = image.height, image.width
            if shape is None and first is not None and first != (height, width):
                raise DataError(
                    f"{path} has {height} × {width} pixels and {paths[0]} {first[0]} × {first[1]}; "
                    f"bring them to one size, as images(folder={str(paths[0].parent.parent)!r}, "
                    f"size={min(height, width)})"
                )
            first = first or (height, width)
            progress.advance(1)
    assert first is not None
    return 1 if grey else 3, shape or first


def _read(
    files: _Files, shape: tuple[int, ...], folder: Path, data_dir: str | os.PathLike[str] | None
) -> Examples:
    """Pixels of a split's images; a large one is mixed."""
    paths, y = files.paths, files.y
    if y is not None and len(paths) * int(np.prod(shape)) >= LARGE:
        order = mixed(y, stream(0, "imgs"))
        paths, y = [paths[i] for i in order], y[order]
    key = hashlib.sha256(repr((str(folder.resolve()), shape)).encode())
    for path in paths:
        about = path.stat()
        key.update(repr((str(path), about.st_size, about.st_mtime_ns)).encode())

    def fill(x: NDArray[Any]) -> None:
        with Progress("reading images", len(paths)) as progress:
            for row, path in zip(x, paths, strict=True):
                row[...] = _pixels(path, shape)
                progress.advance(1)

    x = make_array(key.hexdigest()[:32], (len(paths), *shape), np.uint8, fill, data_dir)
    return Examples(x, y)


def _pixels(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Pixels of one image, of shape (channels, height, width)."""
    pillow, scaling = require("PIL.Image", "images"), require("PIL.ImageOps", "images")
    channels, height, width = shape
    with _opened(pillow, path) as image:
        try:
            found = image.convert("L" if channels == 1 else "RGB")
        except (OSError, SyntaxError, ValueError) as error:
            raise DataError(f"{path} is damaged: {error}") from error
        if found.size != (width, height):
            found = scaling.fit(found, (width, height), pillow.Resampling.BILINEAR)
    return np.asarray(found).reshape(height, width, channels).transpose(2, 0, 1)


def _opened(pillow: Any, path: Path) -> Any:
    """An image of which the head is read."""
    try:
        return pillow.open(path)
    except (OSError, SyntaxError, ValueError, pillow.DecompressionBombError) as error:
        raise DataError(f"{path} is not an image, or is damaged: {error}") from error
