"""What the axes of a model's tensors consist of: units, heads, gates, places, kernels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from gradlab.graph.op import Shape
from gradlab.init.select_attention import attention_axes
from gradlab.init.select_ends import ends
from gradlab.init.select_factors import Axis, Factor, image, units, whole
from gradlab.nn import (
    GRU,
    LSTM,
    RNN,
    ConvTranspose1d,
    ConvTranspose2d,
    Embedding,
    Linear,
    Module,
    Norm,
)

PLACES = re.compile(
    r"(\w*_)?(w?pos|wpe|places?|positions?|positional)(_?(emb|embed|enc)\w*|_?table)?"
)
"""Names of embeddings of places."""
Axes = tuple[Axis, ...]


def axes_of(model: Module) -> dict[str, Axes]:
    """The axes of every parameter and buffer of a model, by its first path.

    >>> from gradlab.nn.models import ViT
    >>> axes_of(ViT((3, 8, 8), 10, heads=2, width=16))["blocks.0.attn.qkv.bias"][0].factors
    (Factor(role='whole', size=3, name='projections'), Factor(role='heads', size=2, name='heads'), \
Factor(role='units', size=8, name='units of a head'))
    """
    modules = model.named_modules()
    shapes = {named[0]: variable.shape for variable, named in model.state_paths().items()}
    owners = {path: _owner(path, modules) for path in shapes}
    found = {path: tuple(_axes(path, owners[path], shape)) for path, shape in shapes.items()}
    for special in (
        _flattened(owners, found),
        _unflattened(owners, found),
        attention_axes(modules, shapes),
    ):
        _put(found, special)
    _put(found, ends(model, owners, found))
    return found


def _put(found: dict[str, Axes], special: Mapping[str, Mapping[int, Axis]]) -> None:
    for path, changed in special.items():
        found[path] = tuple(changed.get(i, axis) for i, axis in enumerate(found[path]))


def _owner(path: str, modules: Mapping[str, Module]) -> Module:
    while path not in modules:
        path = path.rpartition(".")[0]
    return modules[path]


def _axes(path: str, owner: Module, shape: Shape) -> Iterable[Axis]:
    """Axes by the layer that has the tensor."""
    name = path.rpartition(".")[2]
    plain = [units(size) for size in shape]
    if isinstance(owner, RNN | LSTM | GRU):
        gates = Factor("whole", owner.gates, "gates")
        plain[0] = Axis((gates, Factor("units", owner.hidden_size)))
        if name.startswith("weight_ih") and "_l0" not in name and owner.bidirectional:
            plain[1] = _both_ways(owner.hidden_size)
    elif _of_places(path, owner) and len(shape) > 1:
        # A text may be shorter; of a grid, the first places are no smaller grid.
        grid = len(shape) > 2
        plain[-2] = Axis((Factor("whole" if grid else "places", shape[-2], "places"),))
    elif isinstance(owner, Embedding):
        plain[0] = whole(shape[0], "rows of the vocabulary")
    elif name == "weight" and len(shape) > 2:
        plain[2:] = [whole(size, "kernel") for size in shape[2:]]
        if getattr(owner, "groups", 1) > 1:
            plain[1] = whole(shape[1], "channels of a group")
            if shape[1] > 1 or shape[0] != owner.groups:  # type: ignore[attr-defined]
                plain[0] = whole(shape[0], "channels of a grouped convolution")
    return plain


def _of_places(path: str, owner: Module) -> bool:
    """Whether a tensor is an embedding of places: of an Embedding, or a module's own."""
    layer, _, name = path.rpartition(".")
    if isinstance(owner, Embedding):
        return any(PLACES.fullmatch(part) for part in layer.split("."))
    return PLACES.fullmatch(name) is not None


def _both_ways(hidden: int) -> Axis:
    return Axis((Factor("whole", 2, "directions"), Factor("units", hidden)))


def _flattened(
    owners: Mapping[str, Module], axes: Mapping[str, Axes]
) -> dict[str, dict[int, Axis]]:
    """What reads a convolution's flattened output, or both directions of a recurrent layer."""
    found: dict[str, dict[int, Axis]] = {}
    before: Axis | None = None  # what the last layer gives
    reader: Axes | None = None  # of the image, after which others may read the same
    for path, own in axes.items():
        owner = owners[path]
        if isinstance(owner, Linear if len(own) == 2 else Norm) and 0 < len(own) < 3:
            at = len(own) - 1
            size = own[at].size
            same = reader is None or (reader[1].size == size != reader[0].size)
            read = _read(size, before) if before is not None and same else None
            if read is not None:
                found[path] = {at: read}
            if isinstance(owner, Linear):
                reader = own if read is not None and read.channels_of else None
                before = before if reader else None
        elif len(own) > 1 and not isinstance(owner, Norm | Linear):
            before, reader = _given(path, owner, own), None
    return found


def _given(path: str, owner: Module, axes: Axes) -> Axis | None:
    """What a layer gives to the next, where that may be flattened together with something else."""
    if isinstance(owner, RNN | LSTM | GRU) and owner.bidirectional:
        return _both_ways(owner.hidden_size)
    if len(axes) > 2 and axes[2].factors[0].name == "kernel":
        axis = 1 if getattr(owner, "transposed", False) else 0
        return Axis(axes[axis].factors, (path, axis))
    return None


def _read(size: int, before: Axis) -> Axis | None:
    """An axis that reads what came before, if that was flattened."""
    if before.channels_of is None:
        return before if size == before.size else None
    places, rest = divmod(size, before.size)
    return None if rest or places < 2 else image(before.size, places, before.channels_of)


def _unflattened(
    owners: Mapping[str, Module], axes: Mapping[str, Axes]
) -> dict[str, dict[int, Axis]]:
    """What makes the image that a transposed convolution reads, where that is a linear layer."""
    found: dict[str, dict[int, Axis]] = {}
    since: list[str] = []  # tensors from the last linear layer on, and of normalizations behind it
    for path, own in axes.items():
        owner = owners[path]
        if isinstance(owner, ConvTranspose1d | ConvTranspose2d) and len(own) > 1 and since:
            size, channels = axes[since[0]][0].size, own[0].size
            places, rest = divmod(size, channels)
            if not rest and places > 1:
                made = image(channels, places, (path, 0))
                found |= {p: {0: made} for p in since if axes[p] and axes[p][0].size == size}
        if len(own) > 1:
            since = [path] if isinstance(owner, Linear) else []
        elif since:
            since.append(path)
    return found
