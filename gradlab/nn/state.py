"""Arrays of a saved state, checked before any of them is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gradlab.errors import ArgumentError, ShapeError
from gradlab.graph import Variable
from gradlab.graph.dtypes import Array
from gradlab.weight_files import as_array, converted

SHOWN = 5
"""Names that an error lists before it counts the rest."""


def fitted(
    state: Mapping[str, Any], paths: Mapping[Variable, Sequence[str]], owner: str
) -> dict[Variable, Array]:
    """The array for each Variable, in its dtype.

    Args:
        state: arrays or tensors by path.
        paths: the paths of each Variable, of which one or more may be in the state.
        owner: whose state it is to be, for messages.

    Raises:
        ArgumentError: a name is missing or unexpected, or two names of one Variable differ.
        ShapeError: an array has another shape than the Variable.
        DTypeError: what came is no array, or does not fit into the Variable's dtype.
    """
    given = {v: [path for path in named if path in state] for v, named in paths.items()}
    known = {path for named in paths.values() for path in named}
    missing = [named[0] for v, named in paths.items() if not given[v]]
    unexpected = [path for path in state if path not in known]
    if missing or unexpected:
        parts = [("missing", missing), ("unexpected", unexpected)]
        text = "; ".join(f"{what}: {_listed(names)}" for what, names in parts if names)
        raise ArgumentError(f"the state does not fit this {owner}: {text}")
    arrays = {path: as_array(path, state[path]) for named in given.values() for path in named}
    wrong = [
        f"{path} has shape {arrays[path].shape} instead of {variable.shape}"
        for variable, named in given.items()
        for path in named
        if arrays[path].shape != variable.shape
    ]
    if wrong:
        raise ShapeError(f"the state does not fit this {owner}: {_listed(wrong)}")
    for first, *others in given.values():
        for other in others:
            if not np.array_equal(arrays[first], arrays[other], equal_nan=True):
                raise ArgumentError(f"{first} and {other} are one Variable here, but differ")
    return {v: converted(named[0], arrays[named[0]], v.dtype) for v, named in given.items()}


def _listed(names: list[str]) -> str:
    rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + rest
