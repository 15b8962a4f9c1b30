"""Axes that nothing else in a model writes or reads, so that no part of them is a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gradlab.init.select_factors import Axis, whole
from gradlab.init.select_head import heads_among
from gradlab.nn import (
    GRU,
    LSTM,
    RNN,
    Conv1d,
    Conv2d,
    ConvTranspose1d,
    ConvTranspose2d,
    Embedding,
    Linear,
    Module,
    Norm,
)

RECURRENT = RNN | LSTM | GRU
LAYERS = Linear | Conv1d | Conv2d | ConvTranspose1d | ConvTranspose2d
INPUTS, OUTPUTS = "inputs of the model", "outputs of the model"
UNWRITTEN = "features that no other layer gives in this number"
UNREAD = "features that no other layer reads in this number"


def ends(
    model: Module, owners: Mapping[str, Module], axes: Mapping[str, tuple[Axis, ...]]
) -> dict[str, dict[int, Axis]]:
    """Those axes, as ones of which nothing can be left out.

    They are the inputs of the first layer, the outputs of the heads, and what is put together or
    taken apart between layers in a way that is not known, such as channels of several layers side
    by side: then there is no layer of the same size at the other end. Layers of a user's own kinds
    may write and read any of their axes.
    """
    heads = {f"{head}.weight" for head in heads_among(model)}
    weights = {
        path: _ways(owners[path], own)
        for path, own in axes.items()
        if len(own) > 1 and not isinstance(owners[path], Norm)
    }
    read, written = set[int](), set[int]()
    for path, (reads, writes) in weights.items():
        read |= {n for axis in reads for n in _sizes(axes[path][axis], owners[path], axis)}
        if path not in heads:
            written |= {n for axis in writes for n in _sizes(axes[path][axis], owners[path], axis)}
    for own in axes.values():
        image = {axis.factors[0].size for axis in own if axis.channels_of}
        read, written = read | image, written | image

    found: dict[str, dict[int, Axis]] = {}

    def keep(path: str, axis: int, name: str) -> None:
        if [factor.role for factor in axes[path][axis].factors] == ["units"]:
            found.setdefault(path, {})[axis] = whole(axes[path][axis].size, name)

    first = _first([path for path in weights if path not in heads], owners, axes)
    for path, (reads, writes) in weights.items():
        if not isinstance(owners[path], LAYERS | RECURRENT | Embedding):
            continue
        for axis in reads:
            if path == first or axes[path][axis].size not in written:
                keep(path, axis, INPUTS if path == first else UNWRITTEN)
        for axis in writes:
            if path in heads or axes[path][axis].size not in read:
                name = OUTPUTS if path in heads else UNREAD
                bias = f"{path.removesuffix('weight')}bias"
                keep(path, axis, name)
                if bias in axes:
                    keep(bias, 0, name)
    return found


def _ways(owner: Module, axes: tuple[Axis, ...]) -> tuple[list[int], list[int]]:
    """Axes of a weight that read, and that write."""
    if isinstance(owner, LAYERS):
        return ([0], [1]) if getattr(owner, "transposed", False) else ([1], [0])
    if isinstance(owner, RECURRENT):
        return [1], [0]
    if isinstance(owner, Embedding):
        return [], [1]
    every = list(range(len(axes)))
    return every, every


def _sizes(axis: Axis, owner: Module, number: int) -> Iterator[int]:
    """In which numbers an axis reads or writes."""
    if isinstance(owner, RECURRENT) and number == 0:
        yield from (owner.hidden_size, 2 * owner.hidden_size)
    elif len(axis.factors) == 1:
        yield axis.size * (getattr(owner, "groups", 1) if number == 1 else 1)


def _first(
    weights: list[str], owners: Mapping[str, Module], axes: Mapping[str, tuple[Axis, ...]]
) -> str | None:
    """The weight that reads what comes into the model, if that is plain."""
    for path in weights:
        attention = any(factor.role == "heads" for axis in axes[path] for factor in axis.factors)
        if isinstance(owners[path], LAYERS | RECURRENT):
            return None if attention else path
        # A module's own tensors of more axes are first tokens and the like.
        places = axes[path][-2].factors[0].name == "places"
        if attention or not (places or len(axes[path]) > 2):
            return None
    return None
