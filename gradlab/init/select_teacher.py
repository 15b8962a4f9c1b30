"""Where weights are selected from: a module, a file, a PyTorch module, or arrays by name."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gradlab.errors import ArgumentError
from gradlab.graph.dtypes import Array
from gradlab.graph.op import Shape
from gradlab.init.select_attention import heads_of
from gradlab.nn import Module
from gradlab.weight_files import Indices, Weights, as_array, open_weights, part_of


@dataclass(frozen=True)
class Teacher:
    """Tensors of which parts can be had.

    Attributes:
        label: what it is, for reports and messages.
        shapes: of its tensors, by name.
        part: a function of a name and the indices of each axis, that gives those elements.
        modules: by path, if they are known.
    """

    label: str
    shapes: Mapping[str, Shape]
    part: Callable[[str, Indices], Array]
    modules: Mapping[str, Any]

    def heads(self, name: str) -> int | None:
        """The number of heads of the attention that has a tensor, if its modules are known."""
        return heads_of(self.modules, name)


def teacher_of(source: Any) -> Teacher:
    """The tensors of a module of gradlab or PyTorch, of a file, or of a mapping.

    Raises:
        ArgumentError: something else, or a name that is no weights file's.
        DataError: a file that is missing or damaged.

    >>> teacher_of({"weight": np.eye(3)}).shapes
    {'weight': (3, 3)}
    """
    if isinstance(source, str | os.PathLike):
        if Path(source).is_dir():
            raise ArgumentError(
                f"teacher {os.fspath(source)!r} is a folder: give the file of weights in it, such "
                "as model.safetensors"
            )
        return _of_weights(open_weights(source), os.fspath(source))
    if isinstance(source, Weights):
        return _of_weights(source, "a file of weights")
    label = type(source).__name__
    if isinstance(source, Module):
        arrays = {name: v.numpy() for v, names in source.state_paths().items() for name in names}
        return _of_arrays(arrays, label, source.named_modules())
    if callable(getattr(source, "state_dict", None)):
        return _of_arrays(source.state_dict(), label, dict(source.named_modules()))
    if isinstance(source, Mapping):
        return _of_arrays(source, "arrays", {})
    raise ArgumentError(
        "teacher must be a module, the name of a weights file, a PyTorch module, or arrays by "
        f"name, got {source!r}"
    )


def _of_weights(weights: Weights, label: str) -> Teacher:
    return Teacher(label, {name: weights.shape(name) for name in weights}, weights.part, {})


def _of_arrays(arrays: Mapping[str, Any], label: str, modules: Mapping[str, Any]) -> Teacher:
    def part(name: str, indices: Indices) -> Array:
        return part_of(as_array(name, arrays[name]), indices)

    return Teacher(label, {name: tuple(np.shape(x)) for name, x in arrays.items()}, part, modules)
