"""Clipping and weight decay: separate values that combine with any optimizer in a Chain."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gradlab.optim.base import Values, X, clipped
from gradlab.optim.hyper import Hyper, Hyperparameters, Range, hyper


@dataclass(frozen=True)
class Transform(Hyperparameters):
    """What is done to the gradients before an optimizer's rule, or to the weights after it."""

    def on_gradients(self, weights: list[X], gradients: list[X], h: Values) -> list[X]:
        """The gradients that the rule gets; ``weights`` are where they were evaluated."""
        return gradients

    def on_weights(self, old: list[X], new: list[X], h: Values) -> list[X]:
        """The weights after the update, from those before it and those that the rule gave."""
        return new


@dataclass(frozen=True)
class ClipNorm(Transform):
    """Shrink all gradients together to a given norm, if theirs is larger.

    g ← g · c / max(c, ‖g‖ + ε),  ‖g‖² = Σ over the elements of all gradients of g²

    with ``max_norm`` c > 0 (the hyperparameter ``clip_norm``) and ``eps`` ε >= 0. The direction of
    the whole gradient stays. optax has ε = 0; PyTorch's ``clip_grad_norm_`` has ε = 1e-6.

    A norm beyond the range of the gradients' dtype is clipped like any other. If an element is
    infinite, it becomes NaN and the finite ones 0; if one is NaN, all become NaN: either way
    training stops there.

    Raises:
        ArgumentError: an argument is out of its range.

    Source: Pascanu, Mikolov and Bengio, On the Difficulty of Training RNNs, ICML 2013, algorithm 1.

    >>> from gradlab import tensor
    >>> gradients = [tensor([30.0]), tensor([40.0])]
    >>> ClipNorm(5.0).on_gradients([], gradients, {"clip_norm": 5.0})
    [tensor([3.]), tensor([4.])]
    """

    max_norm: Hyper = field(metadata=hyper(name="clip_norm", positive=True))
    eps: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "eps", Range("eps").check("ClipNorm: eps", self.eps))

    def on_gradients(self, weights: list[X], gradients: list[X], h: Values) -> list[X]:
        """The gradients that the rule gets."""
        c = h["clip_norm"]
        # Gradients too large to be squared are scaled down first; s is 1 for all others.
        size = sum(abs(g).max() for g in gradients if 0 not in g.shape)
        exponent = int(np.finfo(f"f{size.dtype.itemsize}").maxexp)
        limit, largest = 2.0 ** (exponent * 3 // 8), 2.0 ** (exponent - 1)
        s = limit / clipped(size, limit, largest)
        norm = sum(((s * g) ** 2).sum() for g in gradients) ** 0.5
        if self.eps:
            norm = norm + self.eps * s
        # Divided by the maximum, a gradient of zeros needs no case of its own.
        factor = c / clipped(norm, c * s, None)
        # Not the products s * g above: a program would keep these in memory for both.
        return [factor * (g * s) for g in gradients]


@dataclass(frozen=True)
class ClipValue(Transform):
    """Clip each element of the gradients.

    g ← min(c, max(−c, g))

    with ``limit`` c > 0 (the hyperparameter ``clip_value``), as PyTorch's ``clip_grad_value_``.

    Raises:
        ArgumentError: limit is out of its range.

    Source: Mikolov, Statistical Language Models Based on Neural Networks, 2012.

    >>> from gradlab import tensor
    >>> ClipValue(1.0).on_gradients([], [tensor([-3.0, 0.5])], {"clip_value": 1.0})
    [tensor([-1. , 0.5])]
    """

    limit: Hyper = field(metadata=hyper(name="clip_value", positive=True))

    def on_gradients(self, weights: list[X], gradients: list[X], h: Values) -> list[X]:
        """The gradients that the rule gets."""
        c = h["clip_value"]
        return [clipped(g, -c, c) for g in gradients]


@dataclass(frozen=True)
class _Decay(Transform):
    """What both kinds of weight decay share: a rate, and whether biases decay."""

    rate: Hyper = field(metadata=hyper(name="weight_decay"))
    biases: bool = True

    def decays(self, weight: X) -> bool:
        """Whether a weight decays: each does, or those of two axes or more."""
        return self.biases or weight.ndim > 1


@dataclass(frozen=True)
class WeightDecay(_Decay):
    """Weight decay in the gradient, the L2 penalty ½λ‖θ‖².

    g ← g + λθ̂

    with ``rate`` λ >= 0 (the hyperparameter ``weight_decay``), and θ̂ where the gradient was taken.
    It is ``weight_decay`` of PyTorch's SGD, Adagrad, RMSprop and Adam. ``biases=False`` leaves out
    weights of fewer than two axes, which are biases and the gains of normalizations.

    Raises:
        ArgumentError: an argument is out of its range.

    Source: Krogh and Hertz, A Simple Weight Decay Can Improve Generalization, NeurIPS 1991.

    >>> from gradlab import tensor
    >>> g, θ = tensor([1.0, 1.0]), tensor([2.0, -2.0])
    >>> WeightDecay(0.5).on_gradients([θ], [g], {"weight_decay": 0.5})
    [tensor([2., 0.])]
    """

    def on_gradients(self, weights: list[X], gradients: list[X], h: Values) -> list[X]:
        """The gradients that the rule gets."""
        λ = h["weight_decay"]
        pairs = zip(weights, gradients, strict=True)
        return [g + λ * θ if self.decays(θ) else g for θ, g in pairs]


@dataclass(frozen=True)
class DecoupledDecay(_Decay):
    """Weight decay beside the optimizer's rule, which does not see it.

    θ ← rule(θ, g) − ηλθ

    with ``rate`` λ >= 0 (the hyperparameter ``weight_decay``), the optimizer's ``lr`` η, and the
    weight before the update on the right. ``biases=False`` leaves out weights of fewer than two
    axes, which are biases and the gains of normalizations.

    Raises:
        ArgumentError: an argument is out of its range.

    Source: Loshchilov and Hutter, Decoupled Weight Decay Regularization, ICLR 2019.

    >>> from gradlab import tensor
    >>> old, new = tensor([2.0, -2.0]), tensor([1.0, -1.0])
    >>> DecoupledDecay(0.5).on_weights([old], [new], {"lr": 0.25, "weight_decay": 0.5})
    [tensor([ 0.75, -0.75])]
    """

    def on_weights(self, old: list[X], new: list[X], h: Values) -> list[X]:
        """The weights after the update."""
        ηλ = h["lr"] * h["weight_decay"]
        pairs = zip(old, new, strict=True)
        return [after - ηλ * before if self.decays(before) else after for before, after in pairs]
