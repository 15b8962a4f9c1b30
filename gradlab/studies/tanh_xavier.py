"""Tanh layers from Xavier's weights, and from U(±1/√n), the usual ones before."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gradlab.init import Initializer, VarianceScaling, initialize, xavier_uniform
from gradlab.nn import MLP, cross_entropy
from gradlab.optim import SGD
from gradlab.studies.figure import curves
from gradlab.studies.pixels import Rows, load
from gradlab.studies.signals import variances
from gradlab.studies.statistics import Estimate, geometric_mean, mean, paired
from gradlab.studies.study import Findings, Picture, Plan, Study, Table, Verdict, by_sign, studies
from gradlab.train import Trainer, accuracy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

XAVIER, USUAL = "Xavier", "U(±1/√n)"
SCHEMES: dict[str, Initializer] = {
    XAVIER: xavier_uniform(),
    USUAL: VarianceScaling(1 / 3, "fan_in", "uniform"),
}
BATCH = 10

Curves = dict[str, NDArray[Any]]
"""By name of the initialization; of shape (seeds, layers) or (seeds, epochs)."""


@studies.register(
    "tanh_xavier",
    formula="Var w = 2/(nₗ + nₗ₊₁) keeps Var z⁽ˡ⁾ and Var ∂loss/∂z⁽ˡ⁾ about even; U(±1/√n), for "
    "which n Var w = ⅓, leaves a third of them in each layer",
    paper="Glorot and Bengio, Understanding the Difficulty of Training Deep Feedforward Neural "
    "Networks, AISTATS 2010, section 4, figures 6 and 7, and table 1",
)
@dataclass(frozen=True)
class TanhXavier(Study):
    """Variances in five tanh layers at initialization, and what comes of their training."""

    data: str = "mnist"
    width: int = 256
    quick_width: int = 128
    hidden: int = 5
    rates: tuple[float, ...] = (0.003, 0.01, 0.03, 0.1)
    epochs: int = 10
    quick_epochs: int = 3
    rows: int = 300

    title = "Tanh layers under Xavier and U(±1/√n)"
    claim = (
        "In a network of five tanh layers, Xavier's initialization keeps the variance of signals "
        "and of gradients more alike from layer to layer than U(±1/√n) does, and training from it "
        "ends at a lower loss and a lower error."
    )
    criterion = (
        "for, if the 95 % intervals of four paired differences, Xavier's minus that of U(±1/√n), "
        "lie below 0: |log(Var z⁽ᴴ⁾/Var z⁽¹⁾)| of the signals and |log(Var ∂z⁽¹⁾/Var ∂z⁽ᴴ⁾)| of "
        "the gradients between the first and the last hidden layer, at initialization; the mean "
        "training loss over the last epoch; the error on the test rows after it. A part is against "
        "where the interval lies above 0, and undecided where it holds 0; the claim needs all four."
    )

    def prepare(self, plan: Plan) -> None:
        """Fetch the data."""
        load(self.data, plan)

    def setup(self, plan: Plan) -> tuple[str, ...]:
        """What is done, and what differs from the paper."""
        rates = ", ".join(f"{rate:g}" for rate in self.rates)
        return (
            f"Network: {self.hidden} hidden layers of {self._width(plan)} tanh units, 10 outputs, "
            "cross-entropy. Weights from U(±√6/√(fan_in + fan_out)) (Xavier) or U(±1/√fan_in), "
            "biases 0.",
            "Variances: of each hidden layer's z⁽ˡ⁾ and of its adjoint ∂loss/∂z⁽ˡ⁾, over units "
            f"and {self.rows} rows, in the networks that are then trained.",
            f"Training: {self._epochs(plan)} epochs of 50,000 of MNIST's training rows, pixels "
            f"brought to mean 0 and variance 1; SGD, batches of {BATCH}, no momentum. Each "
            f"initialization has its own learning rate, the one of {rates} with the lowest loss on "
            f"10,000 validation rows in a training with one more seed. {plan.seeds} seeds, which "
            "draw the same batches for both.",
            "The 10,000 test rows are looked at once, after the last epoch.",
            "As in the paper: depth, activation, plain SGD with batches of 10, learning rates "
            "chosen by validation for each.",
            f"Unlike the paper: {self._width(plan)} units a layer in place of 1,000, "
            f"{self._epochs(plan) * 50_000 // BATCH:,} updates in place of up to 5 million, MNIST "
            "alone of its four sets of images.",
            "Width, length and rates were chosen in trials with a seed that is not among these.",
        )

    def run(self, plan: Plan) -> Findings:
        """Choose learning rates, look at the variances, then train."""
        rows = load(self.data, plan, validation=1 / 6)
        rates = self._chosen(plan, rows)
        signals: dict[str, list[NDArray[Any]]] = {name: [] for name in SCHEMES}
        adjoints: dict[str, list[NDArray[Any]]] = {name: [] for name in SCHEMES}
        losses: dict[str, list[list[float]]] = {name: [] for name in SCHEMES}
        errors: dict[str, list[float]] = {name: [] for name in SCHEMES}
        for number, (seed, name) in enumerate(product(range(plan.seeds), SCHEMES)):
            tried = len(self.rates) * len(SCHEMES)
            done = (tried + number) / (tried + plan.seeds * len(SCHEMES))
            plan.progress(done, f"{name}, seed {seed}")
            model = self._network(plan, rows["train"], name, seed)
            z, g = variances(model, *(part[: self.rows] for part in rows["train"]))
            signals[name].append(z[:-1])
            adjoints[name].append(g[-2::-1])  # in the order of their way, from the last layer
            trainer = self._trainer(model, rows["train"], seed, rates[name])
            losses[name].append(self._train(plan, trainer))
            scores = trainer.evaluate(*rows["test"], {"accuracy": accuracy})
            errors[name].append(100 * (1 - scores["accuracy"]))
        return self._findings(
            rates,
            {name: np.array(found) for name, found in signals.items()},
            {name: np.array(found) for name, found in adjoints.items()},
            {name: np.array(found) for name, found in losses.items()},
            errors,
        )

    def _chosen(self, plan: Plan, rows: dict[str, Rows]) -> dict[str, float]:
        """The learning rate of each initialization, by its loss on the validation rows."""
        found: dict[str, dict[float, float]] = {name: {} for name in SCHEMES}
        for number, (name, rate) in enumerate(product(SCHEMES, self.rates)):
            done = number / (len(SCHEMES) * (len(self.rates) + plan.seeds))
            plan.progress(done, f"{name}, trying learning rate {rate:g}")
            model = self._network(plan, rows["train"], name, plan.seeds)
            trainer = self._trainer(model, rows["train"], plan.seeds, rate)
            self._train(plan, trainer)
            found[name][rate] = trainer.evaluate(*rows["validation"])["loss"]
        return {name: min(tried, key=tried.__getitem__) for name, tried in found.items()}

    def _width(self, plan: Plan) -> int:
        return self.quick_width if plan.quick else self.width

    def _epochs(self, plan: Plan) -> int:
        return self.quick_epochs if plan.quick else self.epochs

    def _network(self, plan: Plan, rows: Rows, name: str, seed: int) -> MLP:
        model = MLP((rows.x.shape[1], *[self._width(plan)] * self.hidden, 10), "tanh")
        initialize(model, SCHEMES[name], seed)
        return model

    def _trainer(self, model: MLP, rows: Rows, seed: int, rate: float) -> Trainer:
        return Trainer(model, *rows, cross_entropy, SGD(rate), batch_size=BATCH, seed=seed)

    def _train(self, plan: Plan, trainer: Trainer) -> list[float]:
        """The mean training loss of each epoch."""
        return [trainer.advance().mean_loss for _ in range(self._epochs(plan))]

    def _findings(
        self,
        rates: dict[str, float],
        signals: Curves,
        adjoints: Curves,
        losses: Curves,
        errors: dict[str, list[float]],
    ) -> Findings:
        last = {name: found[:, -1] for name, found in losses.items()}
        return Findings(
            parts=(
                evenness("signals", signals),
                evenness("gradients", adjoints),
                lower("training loss in the last epoch", last),
                lower("test error in %", errors),
            ),
            tables=(
                Table(
                    "Factor of the variance from layer to layer, at initialization",
                    ("weights", "signals", "gradients"),
                    tuple(
                        (name, factor(signals[name]), factor(adjoints[name])) for name in SCHEMES
                    ),
                ),
                Table(
                    "After training",
                    ("weights", "learning rate", "training loss", "test error, %"),
                    tuple(
                        (name, f"{rates[name]:g}", mean(last[name]), mean(errors[name]))
                        for name in SCHEMES
                    ),
                ),
            ),
            pictures=(
                self._picture_of_variances(signals, adjoints),
                picture_of_losses(losses),
            ),
        )

    def _picture_of_variances(self, signals: Curves, adjoints: Curves) -> Picture:
        def draw(figure: Figure) -> None:
            left, right = figure.subplots(1, 2)
            layers = 1 + np.arange(self.hidden)
            curves(left, layers, signals, log=True)
            curves(right, layers, {k: v[:, ::-1] for k, v in adjoints.items()}, log=True)
            left.set(title="variance of signals", xlabel="hidden layer", xticks=layers)
            right.set(title="variance of gradients", xlabel="hidden layer", xticks=layers)

        return Picture(
            "variances",
            "Variance of signals and of gradients in each hidden layer at initialization, on a "
            "logarithmic axis. From U(±1/√n) signals fade from layer to layer, and gradients on "
            "their way back; Xavier's change less.",
            draw,
        )


def factor(found: NDArray[Any]) -> Estimate:
    """Factor of a variance per layer on its way."""
    return geometric_mean((found[:, -1] / found[:, 0]) ** (1 / (found.shape[1] - 1)))


def evenness(what: str, found: Curves) -> Verdict:
    """Whether a variance changes less under Xavier, between the ends of its way."""
    change = {name: np.abs(np.log(v[:, -1] / v[:, 0])) for name, v in found.items()}
    comparison = paired(change[XAVIER], change[USUAL])
    total = {name: geometric_mean(v[:, -1] / v[:, 0]) for name, v in found.items()}
    return Verdict(
        by_sign(comparison, claimed=-1),
        f"From end to end the variance of {what} is multiplied by {total[XAVIER]} under Xavier and "
        f"by {total[USUAL]} under {USUAL}: |log| differs by {comparison}.",
    )


def lower(what: str, found: Curves | dict[str, list[float]]) -> Verdict:
    """Whether a number is lower after Xavier's initialization."""
    comparison = paired(found[XAVIER], found[USUAL])
    return Verdict(
        by_sign(comparison, claimed=-1),
        f"The {what} is {mean(found[XAVIER])} under Xavier and {mean(found[USUAL])} under {USUAL}: "
        f"a difference of {comparison}.",
    )


def picture_of_losses(losses: Curves) -> Picture:
    """The training losses by epoch."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        epochs = 1 + np.arange(next(iter(losses.values())).shape[1])
        curves(axes, epochs, losses, log=True)
        axes.set(xlabel="epoch", ylabel="training loss")

    return Picture("losses", "Training loss by epoch for both initializations.", draw, (6.4, 3.4))
