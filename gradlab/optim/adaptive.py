"""Optimizers with a learning rate of its own for each element of the weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from gradlab.optim.base import Optimizer, Slots, Values, X, clipped
from gradlab.optim.hyper import Hyper, Range, hyper
from gradlab.optim.rows import optimizers


@optimizers.register(
    "adagrad",
    formula="s ← s + g²; θ ← θ − η g / (ε + √s)",
    paper="Duchi et al., JMLR 2011",
)
@dataclass(frozen=True)
class AdaGrad(Optimizer):
    """Adaptive subgradients: elements with large gradients so far take smaller steps.

    s ← s + g ⊙ g
    θ ← θ − η / (ε + √s) ⊙ g

    with ``lr`` η >= 0, ``eps`` ε >= 0 outside the root, and s = ``initial_accumulator`` >= 0 at
    first. s counts the present gradient already, as in the paper. PyTorch has the same rule and
    the same defaults. Keras and optax put ε = 1e-7 under the root and start from s = 0.1, which is
    AdaGrad(initial_accumulator=0.1 + 1e-7, eps=0). With ``lr_decay`` d >= 0, η is divided by
    1 + (t − 1)·d at the t-th update, as in PyTorch.

    Raises:
        ArgumentError: an argument is out of its range.

    Source: Duchi, Hazan and Singer, Adaptive Subgradient Methods, JMLR 12, 2011; Goodfellow et
    al., Deep Learning, 8.5.1.

    >>> from gradlab import Variable
    >>> w, optimizer = Variable([3.0, -0.01]), AdaGrad(lr=0.5)
    >>> loss = optimizer.minimize(lambda: (w * w).sum(), optimizer.init([w]))
    >>> w
    Variable([2.5 , 0.49])
    """

    lr: Hyper = field(default=0.01, metadata=hyper())
    eps: Hyper = field(default=1e-10, metadata=hyper())
    initial_accumulator: float = 0.0
    lr_decay: Hyper | None = field(default=None, kw_only=True, metadata=hyper())

    slots: ClassVar[tuple[str, ...]] = ("s",)

    def __post_init__(self) -> None:
        super().__post_init__()
        name = "initial_accumulator"
        number = Range(name).check(f"AdaGrad: {name}", self.initial_accumulator)
        object.__setattr__(self, name, number)

    def initial(self, slot: str) -> float:
        """The number that fills a slot before the first update."""
        return self.initial_accumulator

    def rule(self, θ: X, g: X, slots: Slots, h: Values, t: Any) -> tuple[X, Slots]:
        """The equations for one weight."""
        s, η = slots["s"] + g**2, h["lr"]
        if self.lr_decay is not None:
            η = η / (1 + (t - 1) * h["lr_decay"])
        return θ - η * g / (h["eps"] + s**0.5), {"s": s}


@optimizers.register(
    "rmsprop",
    formula="r ← ρr + (1 − ρ)g²; θ ← θ − η g / √(ε + r)",
    paper="Tieleman and Hinton, COURSERA lecture 6.5, 2012",
)
@dataclass(frozen=True)
class RMSProp(Optimizer):
    """AdaGrad that forgets: the sum of squared gradients becomes a running average.

    r ← ρr + (1 − ρ) g ⊙ g
    θ ← θ − η / √(ε + r) ⊙ g            eps_inside=True
    θ ← θ − η / (ε + √r) ⊙ g            eps_inside=False

    With ``centered`` the average a of the gradients is taken off: the root is of r − a ⊙ a,
    a ← ρa + (1 − ρ) g, which is never below 0 here. With ``momentum`` α in [0, 1) the step is
    θ ← θ − ηv, where v ← αv + g / root. Both are PyTorch's.

    with ``lr`` η >= 0, ``rho`` ρ in [0, 1), ``eps`` ε >= 0 and r = 0 at first. The rule and ε are
    those of Deep Learning, η and ρ those of Hinton's lecture. Keras and optax have ε inside too,
    1e-7 and 1e-8. PyTorch has it outside: RMSProp(lr=0.01, rho=0.99, eps=1e-8, eps_inside=False)
    is its default.

    Raises:
        ArgumentError: an argument is out of its range.

    Source: Tieleman and Hinton, Neural Networks for Machine Learning, lecture 6.5, 2012; Goodfellow
    et al., Deep Learning, algorithm 8.5.

    >>> from gradlab import Variable
    >>> w, optimizer = Variable([3.0, -4.0]), RMSProp(lr=0.5, rho=0.75)
    >>> loss = optimizer.minimize(lambda: (w * w).sum(), optimizer.init([w]))
    >>> w
    Variable([ 2., -3.])
    """

    lr: Hyper = field(default=0.001, metadata=hyper())
    rho: Hyper = field(default=0.9, metadata=hyper(below=1))
    eps: Hyper = field(default=1e-6, metadata=hyper())
    eps_inside: bool = True
    centered: bool = field(default=False, kw_only=True)
    momentum: Hyper | None = field(default=None, kw_only=True, metadata=hyper(below=1))

    @property
    def slots(self) -> tuple[str, ...]:  # type: ignore[override]
        """Names of what is remembered for each weight."""
        return ("r", *["a"] * self.centered, *["v"] * (self.momentum is not None))

    def rule(self, θ: X, g: X, slots: Slots, h: Values, t: Any) -> tuple[X, Slots]:
        """The equations for one weight."""
        ρ, ε = h["rho"], h["eps"]
        new = {"r": ρ * slots["r"] + (1 - ρ) * g**2}
        square = new["r"]
        if self.centered:
            new["a"] = ρ * slots["a"] + (1 - ρ) * g
            square = clipped(square - new["a"] ** 2, 0.0, None)
        root = (ε + square) ** 0.5 if self.eps_inside else ε + square**0.5
        if self.momentum is None:
            return θ - h["lr"] * g / root, new
        new["v"] = h["momentum"] * slots["v"] + g / root
        return θ - h["lr"] * new["v"], new


@optimizers.register(
    "adam",
    formula="s ← β₁s + (1 − β₁)g; r ← β₂r + (1 − β₂)g²; θ ← θ − η ŝ / (ε + √r̂)",
    paper="Kingma and Ba, ICLR 2015",
)
@dataclass(frozen=True)
class Adam(Optimizer):
    """Adaptive moments: momentum, and a step size for each element, both corrected for their start.

    s ← β₁s + (1 − β₁) g                first moment
    r ← β₂r + (1 − β₂) g ⊙ g            second moment
    ŝ ← s / (1 − β₁ᵗ)
    r̂ ← r / (1 − β₂ᵗ)
    θ ← θ − η ŝ / (ε + √r̂)

    with ``lr`` η >= 0, ``beta1`` β₁ and ``beta2`` β₂ in [0, 1) (ρ₁ and ρ₂ in the lecture), ``eps``
    ε >= 0 outside the root of the corrected moment, s = r = 0 at first, and t = 1 at the first
    update. PyTorch and optax have the same rule; the defaults are PyTorch's. Keras adds its
    ε = 1e-7 to √r, before the correction, which is this rule with ε / √(1 − β₂ᵗ) at the t-th
    update. With ``amsgrad`` r̂ is the largest of those so far, before the correction, as in PyTorch
    and in Reddi et al., On the Convergence of Adam and Beyond, ICLR 2018.

    Raises:
        ArgumentError: an argument is out of its range.

    Source: Kingma and Ba, Adam: A Method for Stochastic Optimization, ICLR 2015, algorithm 1;
    Goodfellow et al., Deep Learning, algorithm 8.7.

    >>> from gradlab import Variable
    >>> w, optimizer = Variable([3.0, -4.0]), Adam(lr=0.5)
    >>> loss = optimizer.minimize(lambda: (w * w).sum(), optimizer.init([w]))
    >>> w
    Variable([ 2.5, -3.5])
    """

    lr: Hyper = field(default=0.001, metadata=hyper())
    beta1: Hyper = field(default=0.9, metadata=hyper(below=1))
    beta2: Hyper = field(default=0.999, metadata=hyper(below=1))
    eps: Hyper = field(default=1e-8, metadata=hyper())
    amsgrad: bool = field(default=False, kw_only=True)

    @property
    def slots(self) -> tuple[str, ...]:  # type: ignore[override]
        """Names of what is remembered for each weight."""
        return ("s", "r", *["largest"] * self.amsgrad)

    def rule(self, θ: X, g: X, slots: Slots, h: Values, t: Any) -> tuple[X, Slots]:
        """The equations for one weight."""
        β1, β2 = h["beta1"], h["beta2"]
        s = β1 * slots["s"] + (1 - β1) * g
        r = β2 * slots["r"] + (1 - β2) * g**2
        new = {"s": s, "r": r}
        if self.amsgrad:
            r = new["largest"] = clipped(r, slots["largest"], None)
        # The corrections are numbers: taken into η and ε, they cost no pass over the weights.
        root = (1 - β2**t) ** 0.5
        η, ε = h["lr"] * root / (1 - β1**t), h["eps"] * root
        return θ - η * s / (ε + r**0.5), new


@optimizers.register(
    "adamw",
    formula="Adam, and θ ← θ − ηλθ beside it",
    paper="Loshchilov and Hutter, ICLR 2019",
)
@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with weight decay beside it, not in the gradient.

    θ ← θ − η ŝ / (ε + √r̂) − ηλθ

    with Adam's equations for ŝ and r̂, and ``weight_decay`` λ >= 0. As in PyTorch, optax and Keras,
    λ is multiplied by the whole learning rate η and the default is PyTorch's. The paper multiplies
    it by the schedule's factor alone: its λ is λ here times the base learning rate.
    ``biases=False`` leaves out weights of fewer than two axes, which are biases and the gains of
    normalizations: matrices alone decay then. ``Chain(DecoupledDecay(λ), Adam())`` is the same.

    Raises:
        ArgumentError: an argument is out of its range.

    Source: Loshchilov and Hutter, Decoupled Weight Decay Regularization, ICLR 2019, algorithm 2.

    >>> AdamW(lr=0.1).hyperparameters(0)
    {'lr': 0.1, 'beta1': 0.9, 'beta2': 0.999, 'eps': 1e-08, 'weight_decay': 0.01}
    """

    weight_decay: Hyper = field(default=0.01, metadata=hyper())
    biases: bool = True

    def rule(self, θ: X, g: X, slots: Slots, h: Values, t: Any) -> tuple[X, Slots]:
        """The equations for one weight."""
        new, slots = super().rule(θ, g, slots, h, t)
        if not self.biases and θ.ndim < 2:
            return new, slots
        return new - h["lr"] * h["weight_decay"] * θ, slots
