"""Files of weights, to and from PyTorch and Hugging Face: safetensors, and PyTorch's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gradlab.errors import ArgumentError, require
from gradlab.files import replacing
from gradlab.nn import Module
from gradlab.weight_files import (
    PYTORCH,
    Path_,
    Weights,
    form_of,
    open_weights,
    plain_array,
    wrapped_weights,
)

__all__ = ["Unmatched", "Weights", "load_weights", "open_weights", "save_weights"]

METADATA = {"format": "pt"}
"""Hugging Face's libraries load no file without it."""


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
    target, form = Path(path), form_of(path)
    state = source.state_dict() if isinstance(source, Module) else source
    if not isinstance(state, Mapping):
        raise ArgumentError(f"a module or arrays by name can be saved, got {type(source)}")
    for text in (*state, *(metadata or {}), *(metadata or {}).values()):
        if not isinstance(text, str):
            raise ArgumentError(f"names of arrays, and metadata, must be texts, got {text!r}")
    arrays = {name: plain_array(name, value) for name, value in state.items()}
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
    weights = wrapped_weights(path)
    paths = model.state_paths()
    known = {name for named in paths.values() for name in named}
    if known.isdisjoint(weights):  # else "module." may be the name of a part of the model
        weights = weights.unwrapped()
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


def _some(names: Mapping[str, Any]) -> str:
    first = list(names)[:3]
    return ", ".join(first) + (", ..." if len(names) > len(first) else "") or "no arrays"
