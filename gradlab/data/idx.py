"""IDX files, the format of MNIST and its kin."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradlab.errors import DataError

_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: "i2", 0x0C: "i4", 0x0D: "f4", 0x0E: "f8"}


def read_idx(path: str | Path) -> NDArray[Any]:
    """Read the array of an IDX file, plain or packed by gzip (seen from its bytes).

    Two bytes 0, the type of an element, the number of axes, the length of each axis as a big-endian
    32-bit number, then the elements, big-endian, the last axis fastest.

    Raises:
        DataError: the file cannot be read, is no IDX file, is cut short or damaged.

    Source: LeCun, Cortes & Burges, The MNIST Database of Handwritten Digits, 1998.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except EOFError:
            raise DataError(f"{path} is cut short: the packed data have no end") from None
        except (OSError, zlib.error) as error:
            raise DataError(f"{path} is damaged: {error}") from error
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _TYPES:
        raise DataError(
            f"{path} is not an IDX file: it starts with {data[:4].hex(' ') or 'nothing'}"
        )
    header = 4 + 4 * data[3]
    if len(data) < header:
        raise DataError(f"{path} is cut short: {len(data)} of {header} bytes of its header")
    shape = tuple(np.frombuffer(data, ">u4", data[3], 4).tolist())
    dtype = np.dtype(_TYPES[data[2]])
    size = header + math.prod(shape) * dtype.itemsize
    if len(data) != size:
        fault = "is cut short" if len(data) < size else "is damaged"
        raise DataError(
            f"{path} {fault}: {len(data):,} bytes where shape {shape} of {dtype} takes {size:,}"
        )
    found = np.frombuffer(data, dtype.newbyteorder(">"), offset=header).reshape(shape)
    return found.astype(dtype, copy=False)
