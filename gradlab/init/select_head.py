"""Which layers of a model are its heads."""

from __future__ import annotations

from gradlab.init.select_attention import attention_axes
from gradlab.nn import Embedding, Module, ModuleDict, ModuleList, Norm, Sequential

NAMES = {"head", "heads", "fc", "classifier", "lm_head"}


def heads_among(model: Module) -> tuple[str, ...]:
    """Paths of the layers that make a model's outputs.

    They are the layers named head, heads, fc, classifier or lm_head, also several side by side in a
    ModuleDict or ModuleList of that name; and the layer of the last weight with two or more axes,
    if it lies in nothing but Sequentials within the model, or in something of such a name, and does
    not make what one of the others reads. The last layer of a block, and one that shares its weight
    with an embedding, is none.

    >>> from gradlab.nn import MLP
    >>> from gradlab.nn.models import GPT, ResNet
    >>> heads_among(MLP((4, 8, 8, 3))), heads_among(GPT((8,), 5))
    (('4',), ())
    >>> heads_among(ResNet((3, 8, 8), 10, depth=8))
    ('fc',)
    """
    modules = model.named_modules()
    weights = {
        _above(paths[0]): (variable.shape, paths)
        for variable, paths in model.state_paths().items()
        if variable.ndim > 1 and not isinstance(modules.get(_above(paths[0])), Norm)
    }
    attention = attention_axes(modules, {p[0]: v.shape for v, p in model.state_paths().items()})
    layers = [
        layer
        for layer, (_, paths) in weights.items()
        if layer in modules
        and layer
        and attention.keys().isdisjoint(paths)
        and not any(isinstance(modules.get(_above(path)), Embedding) for path in paths)
    ]
    found = [layer for layer in layers if _named(layer, modules)]
    last = next(reversed(weights), None)
    if last in layers and last not in found:
        parts = last.split(".")
        between = [".".join(parts[:i]) for i in range(1, len(parts))]
        plain = all(isinstance(modules.get(path), Sequential) for path in between)
        feeds = any(weights[layer][0][1] == weights[last][0][0] for layer in found)
        if (plain or not NAMES.isdisjoint(parts)) and not feeds:
            found.append(last)
    return tuple(found)


def _named(layer: str, modules: dict[str, Module]) -> bool:
    name, _, below = layer.partition(".")
    parallel = isinstance(modules.get(name), ModuleDict | ModuleList) and "." not in below
    return name in NAMES and (not below or parallel)


def _above(path: str) -> str:
    return path.rpartition(".")[0]
