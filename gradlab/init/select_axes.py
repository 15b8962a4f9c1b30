"""What the axes of a model's tensors consist of: units, heads, gates, places, kernels."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gradlab.graph.op import Shape
from gradlab.nn import GRU, LSTM, RNN, Embedding, Linear, Module, Norm

FUSED = "in_proj|c_attn|qkv"
INTO = re.compile(
    rf"(?P<scope>.*\.)?(?:to_)?(?:(?P<fused>{FUSED})|w?[qkv]|query|key|value)(?:_proj)?"
    r"[._](?:weight|bias)"
)
"""Names of what makes queries, keys and values of an attention."""
OUT_OF = re.compile(r"(?:(?:o|c|out)_)?proj|(?:to_)?out(?:\.0)?|w?o")
"""Names of the layer that reads the heads of an attention."""
HEADS = ("num_heads", "heads", "n_heads", "n_head", "nhead", "num_attention_heads")
"""Attributes by which modules say their number of heads."""
PLACES = re.compile(r"(.*[._])?(w?pos\w*|wpe|places?)([._].*)?")
"""Names of embeddings of places."""


@dataclass(frozen=True)
class Factor:
    """A part of an axis; a flattened axis has several, the first varying slowest.

    Attributes:
        role: "units" and "heads" are chosen by the policy, of "places" the first are taken, and of
            what is "whole" the teacher has to have as many.
        size: how many the student has.
        name: of what they are, for messages.
    """

    role: Literal["units", "heads", "places", "whole"]
    size: int
    name: str = "units"


@dataclass(frozen=True)
class Axis:
    """An axis of a tensor.

    Attributes:
        factors: what it consists of.
        channels_of: if it is a flattened image, the weight and the axis that made its channels.
    """

    factors: tuple[Factor, ...]
    channels_of: tuple[str, int] | None = None

    @property
    def size(self) -> int:
        """Its length."""
        return math.prod(factor.size for factor in self.factors)


def units(size: int) -> Axis:
    """An axis of units, features or channels, which needs nothing special."""
    return Axis((Factor("units", size),))


def whole(size: int, name: str) -> Axis:
    """An axis of which nothing can be left out."""
    return Axis((Factor("whole", size, name),))


def axes_of(model: Module) -> dict[str, tuple[Axis, ...]]:
    """The axes of every parameter and buffer of a model, by its first path.

    >>> from gradlab.nn.models import ViT
    >>> axes_of(ViT((3, 8, 8), 10, heads=2, width=16))["blocks.0.attn.qkv.bias"][0].factors
    (Factor(role='whole', size=3, name='projections'), Factor(role='heads', size=2, name='heads'), \
Factor(role='units', size=8, name='units of a head'))
    """
    modules = model.named_modules()
    shapes = {named[0]: variable.shape for variable, named in model.state_paths().items()}
    special = _of_attention(modules, shapes)
    before: Axis | None = None  # what the last layer gives, if that may be flattened
    found = {}
    for path, shape in shapes.items():
        owner = _owner(path, modules)
        axes = list(_axes(path, owner, shape))
        reads = {Linear: 1, Norm: 0}
        for kind, axis in reads.items():
            if isinstance(owner, kind) and before is not None and len(shape) == axis + 1:
                axes[axis] = _flattened(shape[axis], before) or axes[axis]
        for axis, special_axis in special.get(path, {}).items():
            axes[axis] = special_axis
        found[path] = tuple(axes)
        # Several layers may read the same flattened image.
        reads_image = isinstance(owner, Linear) and len(shape) > 1 and axes[1].channels_of
        if len(shape) > 1 and not isinstance(owner, Norm | Embedding) and not reads_image:
            before = _given(path, owner, found[path])
    return found


def heads_of(modules: Mapping[str, Any], path: str) -> int | None:
    """The number of heads that the nearest module above a tensor says, of any library."""
    while path:
        path = path.rpartition(".")[0]
        for name in HEADS:
            found = getattr(modules.get(path), name, None)
            if isinstance(found, int):
                return found
    return None


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
    elif PLACES.fullmatch(path) and len(shape) > 1:
        plain[-2] = Axis((Factor("places", shape[-2], "places"),))
    elif isinstance(owner, Embedding):
        plain[0] = whole(shape[0], "rows of the vocabulary")
    elif name == "weight" and len(shape) > 2:
        plain[2:] = [whole(size, "kernel") for size in shape[2:]]
        if getattr(owner, "groups", 1) > 1:
            plain[1] = whole(shape[1], "channels of a group")
            if shape[1] > 1 or shape[0] != owner.groups:  # type: ignore[attr-defined]
                plain[0] = whole(shape[0], "channels of a grouped convolution")
    return plain


def _both_ways(hidden: int) -> Axis:
    return Axis((Factor("whole", 2, "directions"), Factor("units", hidden)))


def _given(path: str, owner: Module, axes: tuple[Axis, ...]) -> Axis | None:
    """What a layer gives to the next, where that may be flattened together with something else."""
    if isinstance(owner, RNN | LSTM | GRU) and owner.bidirectional:
        return _both_ways(owner.hidden_size)
    if len(axes) > 2 and axes[2].factors[0].name == "kernel":
        axis = 1 if getattr(owner, "transposed", False) else 0
        return Axis(axes[axis].factors, (path, axis))
    return None


def _flattened(size: int, before: Axis) -> Axis | None:
    """An axis that reads what came before, if that was flattened."""
    if before.channels_of is None:
        return before if size == before.size else None
    places, rest = divmod(size, before.size)
    if rest or places < 2:
        return None
    return Axis(
        (Factor("units", before.size), Factor("whole", places, "places of an image")),
        before.channels_of,
    )


def _of_attention(
    modules: Mapping[str, Module], shapes: Mapping[str, Shape]
) -> dict[str, dict[int, Axis]]:
    """Axes of heads, which are kept together: (path, axis) of what writes and reads them."""
    found: dict[str, dict[int, Axis]] = {}
    inner: dict[str, tuple[Factor, ...]] = {}
    for path, shape in shapes.items():
        into = INTO.fullmatch(path)
        if into is None:
            continue
        parts = 3 if into["fused"] else 1
        heads = heads_of(modules, path) or 1
        each, rest = divmod(shape[0], parts * heads)
        if rest == 0:
            factors = (Factor("heads", heads, "heads"), Factor("units", each, "units of a head"))
            inner[into["scope"] or ""] = factors
            first = (Factor("whole", parts, "projections"),) if parts > 1 else ()
            found[path] = {0: Axis((*first, *factors))}
    for path, shape in shapes.items():
        scope = next((s for s in inner if path.startswith(s)), None)
        if scope is None or path in found or not path.endswith(".weight") or len(shape) < 2:
            continue
        reads = Axis(inner[scope])
        layer = path.removeprefix(scope).removesuffix(".weight")
        if OUT_OF.fullmatch(layer) and shape[1] == reads.size:
            found[path] = {1: reads}
    return found
