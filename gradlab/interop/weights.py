"""Files of weights, to and from PyTorch and Hugging Face: safetensors, and PyTorch's own."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gradlab.errors import ArgumentError, DataError, DTypeError, require
from gradlab.files import replacing
from gradlab.graph.dtypes import Array
from gradlab.nn import Module
from gradlab.nn.state import as_array

SAFETENSORS = (".safetensors",)
PYTORCH = (".pt", ".pth", ".bin", ".ckpt")
HOLDERS = ("state_dict", "model_state_dict", "model")
"""Where a checkpoint keeps the weights, beside epoch and optimizer: Lightning's name, that of
PyTorch's tutorials, and timm's and nanoGPT's."""
WRAPPERS = ("module.", "_orig_mod.")
"""What PyTorch puts before every name: DataParallel, and torch.compile."""
METADATA = {"format": "pt"}
"""Hugging Face's libraries load no file without it."""

Path_ = str | os.PathLike[str]


class Weights(Mapping[str, Array]):
    """The arrays of a file by name, each read when it is asked for; see ``open_weights``.

    Attributes:
        metadata: texts by name, that a safetensors file holds beside its arrays.
    """

    def __init__(self, readers: Mapping[str, Callable[[], Array]], metadata: Mapping[str, str]):
        self._readers = readers
        self.metadata = dict(metadata)

    def __getitem__(self, name: str) -> Array:
        return self._readers[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._readers)

    def __len__(self) -> int:
        return len(self._readers)


class Unmatched(NamedTuple):
    """Names that ``load_weights`` passed over: of the model only, and of the file only."""

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]


def save_weights(
    source: Module | Mapping[str, Any], path: Path_, metadata: Mapping[str, str] | None = None
) -> None:
    """Write the parameters and buffers of a model, or arrays by name, as PyTorch names them.

    Args:
        source: a module, or arrays or tensors by name.
        path: ends with .safetensors, or with .pt, .pth or .bin for a ``state_dict`` that
            ``torch.load`` reads (extra "torch"). The file is replaced as a whole.
        metadata: texts to put beside the arrays in a safetensors file.

    Raises:
        ArgumentError: another suffix, something else than a module or a mapping, names that are no
            texts, or metadata that is none or for which a file has no place.
        DTypeError: something that is no array of numbers.
        RunError: the file cannot be written; what was there before stays.

    >>> import tempfile
    >>> from gradlab import nn
    >>> path = Path(tempfile.mkdtemp()) / "line.safetensors"
    >>> save_weights(nn.Linear(3, 1), path)
    >>> {name: array.shape for name, array in open_weights(path).items()}
    {'bias': (1,), 'weight': (1, 3)}
    """
    target, form = Path(path), _form(path)
    state = source.state_dict() if isinstance(source, Module) else source
    if not isinstance(state, Mapping):
        raise ArgumentError(f"a module or arrays by name can be saved, got {type(source)}")
    for text in (*state, *(metadata or {}), *(metadata or {}).values()):
        if not isinstance(text, str):
            raise ArgumentError(f"names of arrays, and metadata, must be texts, got {text!r}")
    arrays = {name: _array(name, value) for name, value in state.items()}
    if form is PYTORCH:
        if metadata:
            raise ArgumentError(f"{target.name} has no place for metadata; write .safetensors")
        torch: Any = require("torch", "torch")
        with replacing(target) as temporary, temporary.open("wb") as file:
            torch.save({name: torch.tensor(x) for name, x in arrays.items()}, file)
        return
    from safetensors.numpy import save

    with replacing(target) as temporary:
        temporary.write_bytes(save(arrays, {**METADATA, **(metadata or {})}))


def open_weights(path: Path_) -> Weights:
    """The arrays of a weights file by name.

    Of a safetensors file each array is read when it is asked for; a PyTorch file is read at once,
    and never runs code that it holds (``weights_only``). Of a checkpoint, the weights are found
    under "state_dict", "model_state_dict" or "model". The prefixes "module." and "_orig_mod.",
    if all names have them, are left out. bfloat16 and float16 come as float32, without loss.

    Args:
        path: ends with .safetensors, or with .pt, .pth, .bin or .ckpt (extra "torch").

    Raises:
        ArgumentError: another suffix.
        DataError: the file is missing, truncated, or another kind of file than its name says.
        MissingExtraError: PyTorch is not installed.
    """
    readers, metadata = _stored(path)
    return Weights(_unwrapped(readers), metadata)


def load_weights(model: Module, path: Path_, strict: bool = True) -> Unmatched:
    """Replace the parameters and buffers of a model by those of a file.

    Args:
        model: a module with the names and shapes of the file's arrays.
        path: as for ``open_weights``.
        strict: whether all names must match; else those that do are loaded, and the others
            returned.

    If anything does not fit, nothing is loaded. A Variable that is shared may come under any of
    its names.

    Raises:
        ArgumentError: a name is missing or unexpected, or, if not strict, none matches.
        ShapeError: an array has another shape than the model's.
        DTypeError: numbers that the model's dtype does not hold.
        DataError: the file cannot be read; see ``open_weights``.
    """
    readers, metadata = _stored(path)
    paths = model.state_paths()
    known = {name for named in paths.values() for name in named}
    if known.isdisjoint(readers):  # else "module." may be the name of a part of the model
        readers = _unwrapped(readers)
    weights = Weights(readers, metadata)
    if strict:
        model.load_state_dict(weights)
        return Unmatched((), ())
    own = model.state_dict()
    if known.isdisjoint(weights):
        raise ArgumentError(
            f"no name in {path} is one of the model's: the file has {_some(weights)}, the model "
            f"{_some(own)}"
        )
    missing = tuple(named[0] for named in paths.values() if not any(n in weights for n in named))
    found = {name: weights[name] for name in weights if name in known}
    model.load_state_dict({name: own[name] for name in missing} | found)
    return Unmatched(missing, tuple(name for name in weights if name not in known))


# --- files ----------------------------------------------------------------------------------------

Readers = dict[str, Callable[[], Array]]
Stored = tuple[Readers, Mapping[str, str]]


def _stored(path: Path_) -> Stored:
    """What reads each array of a file, by the name it has there, and the metadata."""
    file, form = Path(path), _form(path)
    if not file.is_file():
        raise DataError(f"there is no file {file}")
    return _READERS[form](file)


def _unwrapped(readers: Readers) -> Readers:
    for prefix in WRAPPERS * 2:  # in either order
        if all(name.startswith(prefix) for name in readers):
            readers = {name.removeprefix(prefix): read for name, read in readers.items()}
    return readers


def _safetensors(path: Path) -> Stored:
    from safetensors import SafetensorError, safe_open

    try:
        file: Any = safe_open(path, framework="numpy")
        names, metadata = list(file.keys()), file.metadata() or {}
    except (SafetensorError, OSError, ValueError) as error:
        raise DataError(
            f"{path} is no safetensors file, or was cut off ({error}); get it again"
        ) from error
    return {name: partial(_from_safetensors, file, path, name) for name in names}, metadata


def _from_safetensors(file: Any, path: Path, name: str) -> Array:
    kind = file.get_slice(name).get_dtype()
    if kind == "BF16":  # which NumPy lacks: the leading half of a float32
        leading = _words(path, name).astype(np.uint32) << 16
        return leading.view(np.float32).reshape(file.get_slice(name).get_shape())
    try:
        array: Array = file.get_tensor(name)
    except (TypeError, AttributeError) as error:
        raise DTypeError(f"{name} in {path} holds {kind}, which NumPy does not have") from error
    return array.astype(np.float32) if array.dtype == np.float16 else array


def _words(path: Path, name: str) -> Array:
    """An array as words of two bytes, read by the layout in safetensors' README."""
    import json

    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        first, last = json.loads(file.read(length))[name]["data_offsets"]
        file.seek(8 + length + first)
        return np.frombuffer(file.read(last - first), "<u2")


def _pytorch(path: Path) -> Stored:
    from pickle import UnpicklingError

    torch: Any = require("torch", "torch")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of strange files, about which the errors below speak
            found = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise DataError(
            f"{path} is damaged, or holds other objects than tensors, which gradlab does not run: "
            "where it was made, save model.state_dict()"
        ) from error
    except Exception as error:  # of any kind, as a damaged pickle raises them
        reason = str(error).partition("\n")[0]
        raise DataError(f"{path} is no PyTorch file, or was cut off ({reason})") from error
    state = next((s for s in (found, *_held(found)) if _is_state(s, torch.Tensor)), None)
    if state is None:
        raise DataError(
            f"{path} holds no tensors by name, nor under {', '.join(HOLDERS)}: save "
            "model.state_dict()"
        )
    return {name: partial(_array, name, tensor) for name, tensor in state.items()}, {}


def _held(found: Any) -> list[Any]:
    return [found[key] for key in HOLDERS if key in found] if isinstance(found, Mapping) else []


def _is_state(found: Any, tensor: type) -> bool:
    return (
        isinstance(found, Mapping)
        and bool(found)
        and all(isinstance(name, str) and isinstance(x, tensor) for name, x in found.items())
    )


_READERS = {SAFETENSORS: _safetensors, PYTORCH: _pytorch}


def _form(path: Path_) -> tuple[str, ...]:
    suffix = Path(path).suffix.lower()
    for form in _READERS:
        if suffix in form:
            return form
    known = ", ".join((*SAFETENSORS, *PYTORCH))
    raise ArgumentError(f"{path}: the name of a weights file ends with one of {known}")


def _array(name: str, value: Any) -> Array:
    """An array of numbers as files have them, from an array or a tensor of any library."""
    array = as_array(name, value)
    return np.asarray(array, array.dtype.newbyteorder("="), order="C")


def _some(names: Mapping[str, Any]) -> str:
    first = list(names)[:3]
    return ", ".join(first) + (", ..." if len(names) > len(first) else "") or "no arrays"
