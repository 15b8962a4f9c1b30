"""Which layer of a model is its head."""

from __future__ import annotations

from gradlab.init.select_axes import axes_of
from gradlab.nn import Embedding, Module, Norm, Sequential

NAMES = {"head", "heads", "fc", "classifier", "lm_head"}


def head_of(model: Module) -> str | None:
    """Path of the layer that makes a model's outputs, or None.

    It is the layer of the last weight with two or more axes, if it lies in nothing but Sequentials
    within the model, or in something named head, heads, fc, classifier or lm_head. The last layer
    of a block, and one that shares its weight with an embedding, is none.

    >>> from gradlab.nn import MLP
    >>> from gradlab.nn.models import GPT, ResNet
    >>> head_of(MLP((4, 8, 8, 3))), head_of(ResNet((3, 8, 8), 10, depth=8)), head_of(GPT((8,), 5))
    ('4', 'fc', None)
    """
    modules = model.named_modules()
    weights = [
        (variable, paths)
        for variable, paths in model.state_paths().items()
        if variable.ndim > 1 and not isinstance(modules.get(_above(paths[0])), Norm)
    ]
    if not weights:
        return None
    _, paths = weights[-1]
    layer = _above(paths[0])
    if any(isinstance(modules.get(_above(path)), Embedding) for path in paths):
        return None
    heads = [axis for axis in axes_of(model)[paths[0]] if axis.factors[0].name == "heads"]
    parts = layer.split(".")
    between = [".".join(parts[:i]) for i in range(1, len(parts))]
    plain = all(isinstance(modules.get(path), Sequential) for path in between)
    named = not NAMES.isdisjoint(parts)
    return layer if layer in modules and layer and not heads and (plain or named) else None


def _above(path: str) -> str:
    return path.rpartition(".")[0]
