"""JSON and arrays in files that are whole or not there."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gradlab.errors import RunError
from gradlab.files import replacing
from gradlab.graph.dtypes import Array


def write_json(path: Path, content: Any) -> None:
    """Write JSON, whole or not at all; infinities and NaN become null."""
    with replacing(path) as temporary:
        temporary.write_text(as_json(content))


def as_json(content: Any) -> str:
    """Text of a JSON file."""
    return json.dumps(plain(content), indent=1, allow_nan=False) + "\n"


def plain(content: Any) -> Any:
    """The same without what JSON does not know.

    >>> plain({"loss": (1.0, float("nan"))})
    {'loss': [1.0, None]}
    """
    if isinstance(content, Mapping):
        return {str(key): plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [plain(value) for value in content]
    if isinstance(content, float) and not np.isfinite(content):
        return None
    return content


def save_arrays(path: Path, arrays: Mapping[str, Array], about: Mapping[str, Any]) -> None:
    """Write arrays, some JSON about them and a checksum as one safetensors file.

    Raises:
        RunError: the file cannot be written; what was there before stays.
    """
    from safetensors.numpy import save

    # Not ascontiguousarray, which would give a scalar a dimension.
    kept = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    # One entry, because several are written in no fixed order, and the bytes are to be the same.
    metadata = {"gradlab": json.dumps({"crc32": _checksum(kept, about), "about": about})}
    with replacing(path) as temporary:
        temporary.write_bytes(save(kept, metadata=metadata))


def load_arrays(path: Path) -> tuple[dict[str, Array], dict[str, Any]]:
    """Read what ``save_arrays`` wrote.

    Raises:
        RunError: the file is missing or damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            names = list(file.keys())
            arrays = {name: file.get_tensor(name) for name in names}
        found = json.loads(metadata.get("gradlab", "{}"))
        if not isinstance(found, dict) or found.get("crc32") != _checksum(arrays, found["about"]):
            raise RunError(f"{path} is damaged: its checksum does not fit")
        return arrays, found["about"]
    except FileNotFoundError:
        raise RunError(f"there is no {path}") from None
    except (OSError, ValueError, LookupError, SafetensorError) as error:
        raise RunError(f"{path} is damaged: {error}") from error


def _checksum(arrays: Mapping[str, Array], about: Any) -> int:
    found = zlib.crc32(json.dumps(about).encode())
    for name in sorted(arrays):
        array = arrays[name]
        found = zlib.crc32(f"{name} {array.dtype} {array.shape}".encode(), found)
        found = zlib.crc32(array.tobytes(), found)
    return found
