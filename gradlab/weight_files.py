"""Reading files of weights, whole arrays or parts of them: safetensors, and PyTorch's own."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from gradlab.errors import ArgumentError, DataError, DTypeError, require
from gradlab.graph.dtypes import Array, DType
from gradlab.graph.op import Shape

SAFETENSORS = (".safetensors",)
PYTORCH = (".pt", ".pth", ".bin", ".ckpt")
HOLDERS = ("state_dict", "model_state_dict", "model")
"""Where a checkpoint keeps the weights, beside epoch and optimizer: Lightning's name, that of
PyTorch's tutorials, and timm's and nanoGPT's."""
WRAPPERS = ("module.", "_orig_mod.")
"""What PyTorch puts before every name: DataParallel, and torch.compile."""
KINDS = {
    **{f"F{8 * n}": f"<f{n}" for n in (2, 4, 8)},
    **{f"I{8 * n}": f"<i{n}" for n in (1, 2, 4, 8)},
    **{f"U{8 * n}": f"<u{n}" for n in (1, 2, 4, 8)},
    "BF16": "<u2",  # which NumPy lacks: the leading half of a float32
    "BOOL": "?",
    "C64": "<c8",
}
"""NumPy's names of the dtypes of safetensors."""

Path_ = str | os.PathLike[str]
Indices = Sequence[Array]
"""Which elements of each axis."""


class Stored(Protocol):
    """An array that is read, whole or in part, when it is asked for."""

    @property
    def shape(self) -> Shape:
        """Shape of the whole."""

    def read(self, indices: Indices | None = None) -> Array:
        """The elements at these indices of each axis, or all."""


class Weights(Mapping[str, Array]):
    """The arrays of a file by name, each read when it is asked for; see ``open_weights``.

    Attributes:
        metadata: texts by name, that a safetensors file holds beside its arrays.
    """

    def __init__(self, stored: Mapping[str, Stored], metadata: Mapping[str, str]):
        self._stored = stored
        self.metadata = dict(metadata)

    def __getitem__(self, name: str) -> Array:
        return self._stored[name].read()

    def __iter__(self) -> Iterator[str]:
        return iter(self._stored)

    def __len__(self) -> int:
        return len(self._stored)

    def shape(self, name: str) -> Shape:
        """Shape of an array, which is not read for that."""
        return self._stored[name].shape

    def part(self, name: str, indices: Indices) -> Array:
        """The elements at these indices of each axis.

        Of a safetensors file nothing else is read than the memory pages on which they lie.
        """
        return self._stored[name].read(indices)

    def unwrapped(self) -> Weights:
        """The same without the prefixes that PyTorch puts before every name."""
        stored = self._stored
        for prefix in WRAPPERS * 2:  # in either order
            if all(name.startswith(prefix) for name in stored):
                stored = {name.removeprefix(prefix): held for name, held in stored.items()}
        return Weights(stored, self.metadata)


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
    return wrapped_weights(path).unwrapped()


def wrapped_weights(path: Path_) -> Weights:
    """The same by the names that the file has, prefixes and all."""
    file, form = Path(path), form_of(path)
    if not file.is_file():
        raise DataError(f"there is no file {file}")
    return _READERS[form](file)


def form_of(path: Path_) -> tuple[str, ...]:
    """The suffixes of this kind of weights file, SAFETENSORS or PYTORCH.

    Raises:
        ArgumentError: another suffix.
    """
    suffix = Path(path).suffix.lower()
    for form in _READERS:
        if suffix in form:
            return form
    known = ", ".join((*SAFETENSORS, *PYTORCH))
    raise ArgumentError(f"{path}: the name of a weights file ends with one of {known}")


def as_array(path: str, value: Any) -> Array:
    """An array of numbers, from an array or a tensor of any library; PyTorch's halves as float32.

    Raises:
        DTypeError: what came is no array of numbers.
    """
    try:
        # A parameter of PyTorch gives its numbers only without its history, and from the CPU.
        if hasattr(value, "detach"):
            value = value.detach().cpu()
            value = value.float() if str(value.dtype).endswith("float16") else value
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DTypeError(f"{path} does not convert to an array: {error}") from error
    if array.dtype.kind not in "fiub":
        raise DTypeError(f"{path} holds {array.dtype}, not numbers")
    return array


def plain_array(path: str, value: Any) -> Array:
    """The same in the order and byte order that files have."""
    array = as_array(path, value)
    return np.asarray(array, array.dtype.newbyteorder("="), order="C")


def converted(path: str, array: Array, dtype: DType) -> Array:
    """A copy of the array in another dtype.

    Raises:
        DTypeError: the dtype does not hold its numbers.
    """
    if not np.can_cast(array.dtype, dtype, "same_kind"):
        raise DTypeError(f"{path} is {array.dtype} and cannot become {dtype}")
    with np.errstate(over="ignore"):
        result = array.astype(dtype)
    kept = np.isfinite(result) | ~np.isfinite(array) if dtype.kind == "f" else result == array
    if not kept.all():
        worst = array[~kept].flat[0]
        raise DTypeError(f"{path} holds {worst}, which is too large for {dtype}")
    return result


def part_of(array: Array, indices: Indices) -> Array:
    """The elements at these indices of each axis, as a view where they are evenly spaced.

    >>> part_of(np.arange(12).reshape(3, 4), [np.array([0, 2]), np.array([1, 3])])
    array([[ 1,  3],
           [ 9, 11]])
    """
    slices = [_slice(index) for index in indices]
    if None in slices:
        picked: Array = array[np.ix_(*indices)]
        return picked
    return array[tuple(slices)]


def _slice(index: Array) -> slice | None:
    """The slice of evenly spaced indices."""
    if index.size == 0:
        return slice(0)
    steps = np.diff(index)
    step = int(steps[0]) if steps.size else 1
    return slice(int(index[0]), int(index[-1]) + 1, step) if (steps == step).all() else None


# --- safetensors ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Mapped:
    """An array within the data of a safetensors file, which are mapped into memory."""

    name: str
    file: Path
    data: Array
    kind: str
    shape: Shape

    def read(self, indices: Indices | None = None) -> Array:
        if self.kind not in KINDS:
            raise DTypeError(
                f"{self.name} in {self.file} holds {self.kind}, which NumPy does not have"
            )
        array: Array = self.data.view(KINDS[self.kind]).reshape(self.shape)
        array = np.array(array if indices is None else part_of(array, indices))
        if self.kind == "BF16":
            return (array.astype(np.uint32) << 16).view(np.float32)
        return array.astype(np.float32) if array.dtype == np.float16 else array


def _safetensors(path: Path) -> Weights:
    from safetensors import SafetensorError, safe_open

    try:
        opened: Any = safe_open(path, framework="numpy")  # which checks all that the header says
        metadata = opened.metadata() or {}
        with path.open("rb") as file:
            start = 8 + int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(start - 8))
    except (SafetensorError, OSError, ValueError) as error:
        raise DataError(
            f"{path} is no safetensors file, or was cut off ({error}); get it again"
        ) from error
    empty = path.stat().st_size == start
    data = np.zeros(0, np.uint8) if empty else np.memmap(path, np.uint8, "r", start)
    stored = {}
    for name in opened.keys():  # noqa: SIM118, it is no mapping
        about = header[name]
        place = slice(*about["data_offsets"])
        stored[name] = _Mapped(name, path, data[place], about["dtype"], tuple(about["shape"]))
    return Weights(stored, metadata)


# --- PyTorch --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Loaded:
    """A tensor of a PyTorch file, in memory."""

    name: str
    tensor: Any

    @property
    def shape(self) -> Shape:
        return tuple(self.tensor.shape)

    def read(self, indices: Indices | None = None) -> Array:
        array = plain_array(self.name, self.tensor)
        return array if indices is None else part_of(array, indices)


def _pytorch(path: Path) -> Weights:
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
    return Weights({name: _Loaded(name, tensor) for name, tensor in state.items()}, {})


def _held(found: Any) -> list[Any]:
    return [found[key] for key in HOLDERS if key in found] if isinstance(found, Mapping) else []


def _is_state(found: Any, tensor: type) -> bool:
    return (
        isinstance(found, Mapping)
        and bool(found)
        and all(isinstance(name, str) and isinstance(x, tensor) for name, x in found.items())
    )


_READERS = {SAFETENSORS: _safetensors, PYTORCH: _pytorch}
