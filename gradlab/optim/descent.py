"""Gradient descent, with momentum and with Nesterov momentum: one learning rate for all weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from gradlab.errors import ArgumentError
from gradlab.optim.base import Optimizer, Slots, Values, X
from gradlab.optim.hyper import Hyper, hyper
from gradlab.optim.rows import optimizers


@optimizers.register("sgd", formula="θ ← θ − ηg", paper="Robbins and Monro, 1951")
@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent.

    θ ← θ − ηg

    with ``lr`` η >= 0. PyTorch, Keras and optax agree.

    Raises:
        ArgumentError: lr is out of its range.

    Source: Robbins and Monro, A Stochastic Approximation Method, 1951; Goodfellow et al., Deep
    Learning, 8.3.1.

    >>> from gradlab import Variable
    >>> w, optimizer = Variable([1.0, -2.0]), SGD(lr=0.25)
    >>> optimizer.minimize(lambda: (w * w).sum(), optimizer.init([w]))
    tensor(5.)
    >>> w
    Variable([ 0.5, -1. ])
    """

    lr: Hyper = field(default=0.01, metadata=hyper())

    def rule(self, θ: X, g: X, slots: Slots, h: Values, t: Any) -> tuple[X, Slots]:
        """The equations for one weight."""
        return θ - h["lr"] * g, slots


@dataclass(frozen=True)
class _WithVelocity(Optimizer):
    """What the two momentum methods share: hyperparameters, one slot, and two ways to write it."""

    lr: Hyper = field(default=0.01, metadata=hyper())
    momentum: Hyper = field(default=0.9, metadata=hyper(below=1))
    form: str = "lecture"

    slots: ClassVar[tuple[str, ...]] = ("v",)
    forms: ClassVar[tuple[str, ...]] = ("lecture", "torch")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.form not in self.forms:
            known = " or ".join(map(repr, self.forms))
            raise ArgumentError(f"{type(self).__name__}: form is {self.form!r}; give {known}")


@optimizers.register(
    "momentum",
    formula="v ← αv − ηg; θ ← θ + v",
    paper="Polyak, 1964; Sutskever et al., ICML 2013",
)
@dataclass(frozen=True)
class Momentum(_WithVelocity):
    """Gradient descent with momentum: the velocity is a running sum of past gradients.

    form="lecture"              form="torch"
    v ← αv − ηg                 v ← αv + g
    θ ← θ + v                   θ ← θ − ηv

    with ``lr`` η >= 0, ``momentum`` α in [0, 1) and v = 0 at first. Keras has the lecture's form,
    PyTorch and optax the other. With ``dampening`` d >= 0, g is multiplied by 1 − d in v, from the
    second update on, as in PyTorch. They agree while η is constant: the lecture's v
    is then −η times PyTorch's. When η drops, the lecture's velocity keeps the pace of the old
    learning rate and dies away with α; PyTorch's slows down at once.

    Raises:
        ArgumentError: an argument is out of its range, or form is neither of the two.

    Source: Polyak, Some Methods of Speeding up the Convergence of Iteration Methods, 1964;
    Sutskever et al., ICML 2013, section 2; Goodfellow et al., Deep Learning, 8.3.2.

    >>> from gradlab import Variable
    >>> w, optimizer = Variable([1.0]), Momentum(lr=0.25, momentum=0.5)
    >>> state = optimizer.init([w])
    >>> for _ in range(3):
    ...     loss = optimizer.minimize(lambda: (w * w).sum(), state)
    ...     print(w, state.slots[0]["v"])
    Variable([0.5]) Variable([-0.5], name='0.v')
    Variable([0.]) Variable([-0.5], name='0.v')
    Variable([-0.25]) Variable([-0.25], name='0.v')
    """

    dampening: Hyper | None = field(default=None, kw_only=True, metadata=hyper())

    def rule(self, θ: X, g: X, slots: Slots, h: Values, t: Any) -> tuple[X, Slots]:
        """The equations for one weight."""
        η, α, v = h["lr"], h["momentum"], slots["v"]
        if self.dampening is not None:
            g = (1 - h["dampening"] * (t > 1)) * g
        if self.form == "torch":
            v = α * v + g
            return θ - η * v, {"v": v}
        v = α * v - η * g
        return θ + v, {"v": v}


@optimizers.register(
    "nesterov",
    formula="g at θ̂ = θ + αv; v ← αv − ηg; θ ← θ + v",
    paper="Nesterov, 1983; Sutskever et al., ICML 2013",
)
@dataclass(frozen=True)
class Nesterov(_WithVelocity):
    """Nesterov momentum: the gradient is taken where the velocity is about to lead.

    form="lecture"              form="torch"
    θ̂ ← θ + αv
    g ← ∇L(θ̂)                   g ← ∇L(θ)
    v ← αv − ηg                 v ← αv + g
    θ ← θ + v                   θ ← θ − η(g + αv)

    form="keras"
    g ← ∇L(θ)
    v ← αv − ηg
    θ ← θ + αv − ηg

    with ``lr`` η >= 0, ``momentum`` α in [0, 1) and v = 0 at first. The loss that ``minimize``
    returns is the one at θ̂.

    PyTorch (``nesterov=True``), optax, Keras and scikit-learn (Keras's form) hold the interim point
    as their weight. Put φ = θ + αv in the lecture's form: while α is constant, φ ← φ + αv − ηg with
    g = ∇L(φ), which is Keras's rule; while η is constant too, its v is −η times PyTorch's, and φ is
    PyTorch's weight. So the forms run through the same φ, and the lecture's θ is one velocity
    behind it.

    Raises:
        ArgumentError: an argument is out of its range, or form is none of the three.

    Source: Nesterov, A Method of Solving a Convex Programming Problem with Convergence Rate
    O(1/k²), 1983; Sutskever et al., ICML 2013, section 2; Goodfellow et al., Deep Learning, 8.3.3.

    >>> from gradlab import Variable
    >>> w, optimizer = Variable([1.0]), Nesterov(lr=0.25, momentum=0.5)
    >>> state = optimizer.init([w])
    >>> for _ in range(2):
    ...     loss = optimizer.minimize(lambda: (w * w).sum(), state)
    ...     print(loss, w)
    tensor(1.) Variable([0.5])
    tensor(0.0625) Variable([0.125])
    """

    forms: ClassVar[tuple[str, ...]] = ("lecture", "torch", "keras")

    def interim(self, θ: X, slots: Slots, h: Values) -> X:
        """Where the gradient is evaluated, θ̂."""
        return θ + h["momentum"] * slots["v"] if self.form == "lecture" else θ

    def rule(self, θ: X, g: X, slots: Slots, h: Values, t: Any) -> tuple[X, Slots]:
        """The equations for one weight."""
        η, α, v = h["lr"], h["momentum"], slots["v"]
        if self.form == "torch":
            v = α * v + g
            return θ - η * (g + α * v), {"v": v}
        v = α * v - η * g
        return θ + (v if self.form == "lecture" else α * v - η * g), {"v": v}
