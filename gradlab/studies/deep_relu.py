"""Thirty ReLU layers: whose signals keep their size, and which network trains."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gradlab.init import Initializer, initialize, kaiming_normal, xavier_normal
from gradlab.nn import MLP, cross_entropy
from gradlab.optim import Chain, Momentum, WeightDecay
from gradlab.studies.figure import curves
from gradlab.studies.pixels import Rows, load
from gradlab.studies.signals import variances
from gradlab.studies.statistics import Estimate, geometric_mean, mean
from gradlab.studies.study import (
    Findings,
    Picture,
    Plan,
    Study,
    Table,
    Verdict,
    by_margin,
    studies,
)
from gradlab.train import Trainer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCHEMES: dict[str, Initializer] = {"Kaiming": kaiming_normal(), "Xavier": xavier_normal()}
FACTORS = {"Kaiming": 1.0, "Xavier": 0.5}
"""By which a variance changes from a layer to the next, says the theory."""
TOLERANCE = 0.1
GUESS = math.log(10)
"""Loss where ten classes are all held for equally likely."""
TRAINED, STALLED = GUESS / 2, 0.95 * GUESS
BATCH = 128
WINDOW = 50
"""Updates over whose losses a mean is taken, to see through the noise of batches."""

Curves = dict[str, NDArray[Any]]
"""By name of the initialization; of shape (seeds, layers) or (seeds, updates)."""


@studies.register(
    "deep_relu",
    formula="Var z⁽ˡ⁾ = ½ n Var w · Var z⁽ˡ⁻¹⁾, which is Var z⁽ˡ⁻¹⁾ for Var w = 2/n (Kaiming) and "
    "half of it for Var w = 1/n (Xavier, layers of equal width); adjoints alike",
    paper="He et al., Delving Deep into Rectifiers, ICCV 2015, section 2.2 and figure 3",
)
@dataclass(frozen=True)
class DeepReLU(Study):
    """Signals and gradients in thirty ReLU layers at initialization, and their training."""

    data: str = "mnist"
    depth: int = 30
    width: int = 128
    rates: tuple[float, ...] = (0.01, 0.001)
    epochs: int = 5
    quick_epochs: int = 2
    networks: int = 20
    rows: int = 500

    title = "Thirty ReLU layers under Kaiming and Xavier"
    claim = (
        "In a network of 30 ReLU layers, Kaiming's initialization keeps the variance of signals "
        "and gradients from layer to layer, and the network trains. Xavier's halves both in each "
        "layer, and training stalls."
    )
    criterion = (
        "at initialization, for, if the 95 % interval of the factor per layer lies within "
        f"{100 * TOLERANCE:g} % of 1 for Kaiming and of ½ for Xavier. In training, at the paper's "
        "first learning rate: Kaiming's trains, if the interval of its mean loss over the last "
        f"epoch lies below {TRAINED:.2f}, half of what guessing costs (ln 10 = {GUESS:.2f}); "
        f"Xavier's stalls, if its interval lies above {STALLED:.2f}, 95 % of that. A part is "
        "against where the interval lies wholly outside, and undecided where it crosses the line; "
        "the claim needs all parts. The lower learning rate is shown for comparison and decides "
        "nothing."
    )

    def prepare(self, plan: Plan) -> None:
        """Fetch the data."""
        load(self.data, plan)

    def setup(self, plan: Plan) -> tuple[str, ...]:
        """What is done, and what differs from the paper."""
        rates = " and ".join(f"{rate:g}" for rate in self._rates(plan))
        return (
            f"Network: {self.depth} fully connected layers, {self.depth - 1} of {self.width} ReLU "
            "units and one of 10 outputs. Weights from N(0, 2/fan_in) (Kaiming) or N(0, 2/(fan_in "
            "+ fan_out)) (Xavier), biases 0.",
            f"Signals: variance of each layer's z⁽ˡ⁾ and of its adjoint ∂loss/∂z⁽ˡ⁾ over units and "
            f"{self.rows} rows, in {self.networks} networks at initialization. The factor per "
            "layer is the geometric mean over the hidden layers of equal width, from the first "
            "to the last for signals and from the last to the first for adjoints.",
            f"Training: {self._epochs(plan)} epochs of MNIST's 60,000 training rows, pixels "
            "brought to mean 0 and variance 1; SGD with momentum 0.9, weight decay 0.0005, batches "
            f"of {BATCH}, learning rate {rates}; {plan.seeds} seeds, which draw the same batches "
            "for both.",
            "As in the paper: depth, batch size, momentum, weight decay, and the learning rate "
            "with which its trainings start (and, at full scale, its next one), constant here.",
            "Unlike the paper: fully connected layers in place of 27 convolutions and 3 fully "
            "connected ones, no dropout, MNIST in place of ImageNet, minutes in place of days.",
            "Width, length and rates were chosen in trials at widths 64 to 256 with seed 0, one "
            "of those below, where Xavier's networks stalled first and trained later.",
        )

    def run(self, plan: Plan) -> Findings:
        """Look at the signals, then train."""
        rows = load(self.data, plan)["train"]
        plan.progress(0.0, "signals at initialization")
        signals, adjoints = self._signals(rows)
        losses = self._trainings(plan, rows)
        epoch = -(-len(rows.x) // BATCH)
        forward, backward = factors(signals), factors(adjoints)
        decisive = losses[self.rates[0]]
        last = {name: mean(curve[:, -epoch:].mean(1)) for name, curve in decisive.items()}
        return Findings(
            parts=(
                *(as_in_theory("signals", name, found) for name, found in forward.items()),
                *(as_in_theory("gradients", name, found) for name, found in backward.items()),
                *outcomes(last, decisive),
            ),
            tables=(
                Table(
                    "Factor of the variance from layer to layer, at initialization",
                    ("weights", "theory", "signals", "gradients"),
                    tuple(
                        (name, f"{FACTORS[name]:g}", forward[name], backward[name])
                        for name in SCHEMES
                    ),
                ),
                Table(
                    "Training loss",
                    ("learning rate, weights", "first epoch", "last epoch", "updates at a guess"),
                    tuple(
                        (
                            f"{rate:g}, {name}",
                            mean(curve[:, :epoch].mean(1)),
                            mean(curve[:, -epoch:].mean(1)),
                            guessing(curve),
                        )
                        for rate, found in losses.items()
                        for name, curve in found.items()
                    ),
                ),
            ),
            pictures=(self._picture_of_signals(signals, adjoints), picture_of_losses(losses)),
            notes=f"*Updates at a guess*: until the mean loss of {WINDOW} updates first falls "
            f"below {STALLED:.2f}; the geometric mean over seeds.",
        )

    def _epochs(self, plan: Plan) -> int:
        return self.quick_epochs if plan.quick else self.epochs

    def _rates(self, plan: Plan) -> tuple[float, ...]:
        return self.rates[:1] if plan.quick else self.rates

    def _network(self, pixels: int, scheme: Initializer, seed: int) -> MLP:
        model = MLP((pixels, *[self.width] * (self.depth - 1), 10), "relu")
        initialize(model, scheme, seed)
        return model

    def _signals(self, rows: Rows) -> tuple[Curves, Curves]:
        """Variances of z and of its adjoint in the hidden layers, each in the order it travels."""
        x, y = rows.x[: self.rows], rows.y[: self.rows]
        found = {
            name: [
                variances(self._network(x.shape[1], scheme, seed), x, y)
                for seed in range(self.networks)
            ]
            for name, scheme in SCHEMES.items()
        }
        # The last layer is of another width.
        return (
            {name: np.array([z[:-1] for z, _ in pairs]) for name, pairs in found.items()},
            {name: np.array([g[-2::-1] for _, g in pairs]) for name, pairs in found.items()},
        )

    def _trainings(self, plan: Plan, rows: Rows) -> dict[float, Curves]:
        """Loss at each update, by learning rate."""
        runs = list(product(self._rates(plan), SCHEMES, range(plan.seeds)))
        losses = []
        for number, (rate, name, seed) in enumerate(runs):
            model = self._network(rows.x.shape[1], SCHEMES[name], seed)
            optimizer = Chain(WeightDecay(0.0005), Momentum(rate))
            trainer = Trainer(model, *rows, cross_entropy, optimizer, batch_size=BATCH, seed=seed)
            epochs = []
            for epoch in range(self._epochs(plan)):
                done = (number + epoch / self._epochs(plan)) / len(runs)
                plan.progress(done, f"{name}, learning rate {rate:g}, seed {seed}")
                epochs.append(trainer.advance().loss)
            losses.append(np.concatenate(epochs).astype(np.float64))
        shaped = np.array(losses).reshape(len(self._rates(plan)), len(SCHEMES), plan.seeds, -1)
        return {
            rate: dict(zip(SCHEMES, found, strict=True))
            for rate, found in zip(self._rates(plan), shaped, strict=True)
        }

    def _picture_of_signals(self, signals: Curves, adjoints: Curves) -> Picture:
        def draw(figure: Figure) -> None:
            left, right = figure.subplots(1, 2)
            passed = np.arange(self.depth - 1)
            for axes, found in ((left, signals), (right, adjoints)):
                curves(axes, passed, {k: v / v[:, :1] for k, v in found.items()}, log=True)
                for factor in FACTORS.values():
                    axes.plot(passed, factor**passed, color="0.5", linewidth=0.7, zorder=0)
            left.set(title="variance of signals", xlabel="layers after the first")
            right.set(title="variance of gradients", xlabel="layers before the last hidden one")
            left.set_ylabel("multiple of the first; thin lines: theory")

        return Picture(
            "signals",
            "Variance of signals and of gradients by layer, on a logarithmic axis. Kaiming's stay "
            "level; Xavier's fall along the thin line of the theory, by a half in each layer.",
            draw,
        )


def factors(found: Curves) -> dict[str, Estimate]:
    """Factor of a variance per layer on its way.

    >>> factors({"Kaiming": np.array([[4.0, 2.0, 1.0], [4.0, 2.1, 1.1]])})
    {'Kaiming': 0.51 [0.38, 0.69]}
    """
    return {
        name: geometric_mean((v[:, -1] / v[:, 0]) ** (1 / (v.shape[1] - 1)))
        for name, v in found.items()
    }


def as_in_theory(what: str, name: str, found: Estimate) -> Verdict:
    """Whether a factor per layer is what the theory says."""
    factor = FACTORS[name]
    return Verdict(
        by_margin(found, factor * (1 - TOLERANCE), factor * (1 + TOLERANCE)),
        f"The variance of {what} under {name} is multiplied by {found} a layer, in theory by "
        f"{factor:g}.",
    )


def outcomes(last: dict[str, Estimate], losses: Curves) -> tuple[Verdict, Verdict]:
    """Whether Kaiming's networks train and Xavier's stall, by their losses in the last epoch."""
    kaiming, xavier = last["Kaiming"], last["Xavier"]
    return (
        Verdict(
            by_margin(kaiming, 0, TRAINED),
            f"Kaiming's training loss is {kaiming} in the last epoch, having been no better than "
            f"a guess for {guessing(losses['Kaiming'])} updates.",
        ),
        Verdict(
            by_margin(xavier, STALLED, math.inf),
            f"Xavier's is {xavier}, having been no better than a guess for "
            f"{guessing(losses['Xavier'])} of {losses['Xavier'].shape[1]:,} updates.",
        ),
    )


def guessing(losses: NDArray[Any]) -> Estimate | str:
    """Updates until a mean of losses first falls below that of a guess, over seeds.

    >>> guessing(np.full((3, 200), GUESS))
    'all'
    """
    smooth = np.array([np.convolve(seed, np.full(WINDOW, 1 / WINDOW), "valid") for seed in losses])
    below = smooth < STALLED
    if below.any(axis=1).all():
        return geometric_mean(below.argmax(axis=1) + WINDOW)
    stuck = int((~below.any(axis=1)).sum())
    return "all" if stuck == len(losses) else f"all (at {stuck} of {len(losses)} seeds)"


def picture_of_losses(losses: dict[float, Curves]) -> Picture:
    """The training losses at each learning rate."""

    def draw(figure: Figure) -> None:
        for axes, (rate, found) in zip(
            np.ravel(figure.subplots(1, len(losses))), losses.items(), strict=True
        ):
            count = len(next(iter(found.values()))[0]) // WINDOW
            middles = WINDOW * (np.arange(count) + 0.5)
            blocks = {
                name: curve[:, : count * WINDOW].reshape(len(curve), count, WINDOW).mean(axis=2)
                for name, curve in found.items()
            }
            curves(axes, middles, blocks, ylim=(0, 1.15 * GUESS))
            axes.set(title=f"learning rate {rate:g}", xlabel="update")
            axes.axhline(GUESS, color="0.5", linewidth=0.7, zorder=0)
            axes.text(middles[0], 1.02 * GUESS, " a guess", color="0.35", fontsize="small")
        figure.axes[0].set_ylabel("training loss")

    return Picture(
        "losses",
        "Training loss by update at each learning rate; the thin line is the loss of a guess.",
        draw,
    )
