"""Small datasets in the formats of the large ones."""

import gzip
import io
import struct
import tarfile

import numpy as np

RNG = np.random.default_rng(0)
CIFAR10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
CORPUS = "the quick brown fox jumps over the lazy dog; " * 60


def idx(array):
    """Bytes of an IDX file."""
    code = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}[array.dtype.str[1:]]
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


def images(n, *shape):
    return RNG.integers(0, 256, (n, *shape)).astype(np.uint8)


def write_mnist(folder, packed=True, rows=(40, 20), side=28):
    """Four files of MNIST's names; images and labels as they were written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for role, n in zip(("train", "t10k"), rows, strict=True):
        x, y = images(n, side, side), (np.arange(n) % 10).astype(np.uint8)
        for kind, array in (("images-idx3", x), ("labels-idx1", y)):
            name, data = f"{role}-{kind}-ubyte", idx(array)
            if packed:
                name, data = f"{name}.gz", gzip.compress(data)
            (folder / name).write_bytes(data)
        written[role] = x, y
    return written


def cifar_files(labels):
    """Names and bytes of the files of CIFAR-10 (one label a record) or CIFAR-100 (two)."""
    if labels == 1:
        names = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
        classes, meta = CIFAR10, "batches.meta.txt"
    else:
        names, classes = ["train.bin", "test.bin"], [f"thing_{i:02}" for i in range(100)]
        meta = "fine_label_names.txt"
    files = {meta: ("\n".join(classes) + "\n\n").encode()}
    for name in names:
        n = 200 if name == "train.bin" else 20
        records = images(n, labels + 3 * 32 * 32)
        records[:, labels - 1] = np.arange(n) % len(classes)
        files[name] = records.tobytes()
    return files


def tar(folder, files):
    """Bytes of an archive with files in a folder."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def write_images(folder, classes=("cat", "dog"), each=8, mode="RGB", size=(8, 6), suffix="png"):
    """A folder of images for each class; what was drawn, by path."""
    from PIL import Image

    drawn = {}
    width, height = size
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(each):
            pixels = images(height, width, 3) if mode == "RGB" else images(height, width)
            path = folder / name / f"{i}.{suffix}"
            Image.fromarray(pixels).save(path)
            drawn[path] = pixels
    return drawn


def write_all(folder):
    """Every registered dataset that is a file, where it is looked for."""
    write_mnist(folder / "mnist")
    write_mnist(folder / "fashion_mnist")
    (folder / "cifar-10-binary.tar.gz").write_bytes(tar("cifar-10-batches-bin", cifar_files(1)))
    (folder / "cifar-100-binary.tar.gz").write_bytes(tar("cifar-100-binary", cifar_files(2)))
    (folder / "tinyshakespeare.txt").write_text(CORPUS)
    (folder / "corpus.txt").write_text(CORPUS)
    write_images(folder / "photos")
