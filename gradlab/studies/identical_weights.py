"""Identical weights: units that start as copies of one another remain copies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gradlab.graph.op import Shape
from gradlab.init import Identical, Initializer, initialize, kaiming_normal
from gradlab.init.fan import Fans
from gradlab.nn import MLP, cross_entropy
from gradlab.optim import SGD
from gradlab.studies.figure import curves
from gradlab.studies.pixels import Rows, load
from gradlab.studies.statistics import Estimate, mean, paired
from gradlab.studies.study import Findings, Picture, Plan, Study, Table, Verdict, by_sign, studies
from gradlab.train import Trainer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROUNDING = 1e-4
"""Relative difference between two float32 networks that compute the same."""


@dataclass(frozen=True)
class SameRow(Initializer):
    """The same random row for each unit: alike are the weights that come in, not those going out.

    >>> w = SameRow()((3, 2), np.random.default_rng(0))
    >>> bool((w[0] == w[2]).all()), bool(w[0, 0] == w[0, 1])
    (True, False)
    """

    def __call__(
        self, shape: Shape, rng: np.random.Generator, layer_fans: Fans | None = None
    ) -> NDArray[Any]:
        """One row drawn by Kaiming's rule, for all units."""
        return np.tile(kaiming_normal()(shape, rng, layer_fans)[:1], (shape[0], 1))


@studies.register(
    "identical_weights",
    formula="w⁽ˡ⁾ᵢⱼ = c⁽ˡ⁾ at first ⇒ w⁽ˡ⁾ᵢ = w⁽ˡ⁾ₖ after every update",
    paper="Goodfellow, Bengio and Courville, Deep Learning, 2016, section 8.4",
)
@dataclass(frozen=True)
class IdenticalWeights(Study):
    """What a network learns whose layers start with identical weights."""

    width: int = 32
    hidden: int = 2
    lr: float = 0.1
    epochs: int = 60
    quick_epochs: int = 20

    title = "Identical weights keep units identical"
    claim = (
        "Hidden units that have the same activation, the same connections and the same initial "
        "weights are updated alike for ever, and so are redundant: a layer of them does no more "
        "than one unit."
    )
    criterion = (
        "for, if at every seed the units of each hidden layer are equal after training to the "
        "last bit, the network computes what one with a single unit in each hidden layer computes "
        f"(relative difference below {ROUNDING:g}, the rounding of float32), and the 95 % interval "
        "of the paired difference in training loss, identical weights minus Kaiming's, lies above "
        "0; against, if units come apart at any seed or the interval lies below 0."
    )

    def setup(self, plan: Plan) -> tuple[str, ...]:
        """What is done."""
        return (
            "Data: the 1,797 digits of 8 × 8 pixels that come with scikit-learn, 85 % of them to "
            "train on.",
            f"Network: {self.hidden} hidden layers of {self.width} tanh units, cross-entropy; tanh "
            "because a ReLU layer of identical weights is silent in one case of two.",
            f"Training: SGD, learning rate {self.lr:g}, batches of 32, {self._epochs(plan)} "
            "epochs.",
            "*identical*: every weight of a layer is one random number, so the units' weights "
            "coming in and going out are alike. *one unit*: the same with a single unit in each "
            "hidden layer. *same row*: each unit of a layer gets the same random row, so that only "
            "the weights coming in are alike. *Kaiming*: N(0, 2/fan_in). Biases start at 0.",
            f"{plan.seeds} seeds; a seed draws the same batches for all four.",
        )

    def run(self, plan: Plan) -> Findings:
        """Train the four networks for each seed, and look at their units."""
        rows = load("digits", plan)["train"]
        schemes: dict[str, tuple[int, Initializer]] = {
            "identical": (self.width, Identical()),
            "one unit": (1, Identical()),
            "same row": (self.width, SameRow()),
            "Kaiming": (self.width, kaiming_normal()),
        }
        losses: dict[str, list[list[float]]] = {name: [] for name in schemes}
        apart: dict[str, list[float]] = {name: [] for name in schemes}
        ranks: dict[str, list[int]] = {name: [] for name in schemes}
        beside_one: list[float] = []
        for seed in range(plan.seeds):
            for number, (name, (width, scheme)) in enumerate(schemes.items()):
                done = (seed * len(schemes) + number) / (plan.seeds * len(schemes))
                plan.progress(done, f"{name}, seed {seed}")
                model = MLP((64, *[width] * self.hidden, 10), "tanh")
                initialize(model, scheme, seed)
                losses[name].append(list(self._train(model, rows, seed, self._epochs(plan))))
                apart[name].append(largest_difference(model))
                ranks[name].append(int(np.linalg.matrix_rank(model[2].weight.numpy())))
                if name == "identical":
                    beside_one.append(_distance(model, collapsed(model), rows.x))
        final = {name: np.array(found)[:, -1] for name, found in losses.items()}
        return Findings(
            parts=(
                self._copies(apart["identical"]),
                self._one_unit(beside_one),
                self._harm(final["identical"], final["Kaiming"]),
            ),
            tables=(
                Table(
                    "After training",
                    ("weights at first", "training loss", "largest difference", "rank"),
                    tuple(
                        (name, mean(final[name]), _plain(apart[name]), _range(ranks[name]))
                        for name in schemes
                    ),
                ),
            ),
            pictures=(self._picture({name: np.array(found) for name, found in losses.items()}),),
            notes="*Largest difference*: between the weights coming into two units of one hidden "
            "layer, the mean over seeds. *Rank*: of the weights from the first hidden layer to the "
            "second. With the same row for each unit, copies come apart: the next layer's weights "
            "differ from copy to copy, so their gradients do.",
        )

    def _epochs(self, plan: Plan) -> int:
        return self.quick_epochs if plan.quick else self.epochs

    def _train(self, model: MLP, rows: Rows, seed: int, epochs: int) -> Iterator[float]:
        """The mean training loss of each epoch."""
        trainer = Trainer(model, *rows, cross_entropy, SGD(self.lr), seed=seed)
        for _ in range(epochs):
            yield trainer.advance().mean_loss

    def _copies(self, apart: list[float]) -> Verdict:
        largest = max(apart)
        return Verdict(
            "against" if largest else "for",
            f"After training, the largest difference between two units of a hidden layer is "
            f"{largest:g} over {len(apart)} seeds.",
        )

    def _one_unit(self, distances: list[float]) -> Verdict:
        largest = max(distances)
        return Verdict(
            "for" if largest < ROUNDING else "against",
            f"A network with one unit in each hidden layer gives the same outputs, to a relative "
            f"difference of {largest:.1g}.",
        )

    def _harm(self, identical: NDArray[Any], kaiming: NDArray[Any]) -> Verdict:
        comparison = paired(identical, kaiming)
        return Verdict(
            by_sign(comparison, claimed=1),
            f"The training loss stays at {mean(identical)}, against {mean(kaiming)} from Kaiming's "
            f"weights: a difference of {comparison}.",
        )

    def _picture(self, losses: dict[str, NDArray[Any]]) -> Picture:
        def draw(figure: Figure) -> None:
            axes = figure.subplots()
            epochs = 1 + np.arange(next(iter(losses.values())).shape[1])
            curves(axes, epochs, losses, log=True)
            axes.set(xlabel="epoch", ylabel="training loss")

        return Picture(
            "loss",
            "Training loss by epoch. Identical weights and a network of one unit per layer stay "
            "far above the same row for each unit and Kaiming's weights.",
            draw,
            (6.4, 3.4),
        )


def largest_difference(model: MLP) -> float:
    """Between the weights coming into two units of one hidden layer.

    >>> model = MLP((3, 4, 4, 2))
    >>> initialize(model, Identical())
    >>> largest_difference(model)
    0.0
    """
    hidden = [model[number].weight.numpy() for number in range(0, len(model) - 1, 2)]
    return max(float(np.ptp(weights, axis=0).max()) for weights in hidden)


def collapsed(model: MLP) -> MLP:
    """The network of one unit per hidden layer that computes the same, where units are copies.

    A unit that is one of n copies passes on n times what the copy does: w = Σⱼ wⱼ.
    """
    single = MLP((model[0].in_features, *[1] * (len(model) // 2), model[-1].out_features), "tanh")
    for number in range(0, len(model), 2):
        many, one = model[number], single[number]
        weight = many.weight.numpy()
        if number:
            weight = weight.sum(axis=1, keepdims=True)
        one.weight.assign(weight[: one.out_features])
        one.bias.assign(many.bias.numpy()[: one.out_features])
    return single


def _distance(model: MLP, other: MLP, x: NDArray[Any]) -> float:
    """Largest difference between the outputs of two networks, relative to the largest output."""
    outputs = model(x).numpy()
    return float(np.abs(outputs - other(x).numpy()).max() / np.abs(outputs).max())


def _plain(values: list[float]) -> Estimate | str:
    """A mean with its interval; where all values are zero, just that."""
    return mean(values) if any(values) else "0, exactly"


def _range(values: list[int]) -> str:
    return str(values[0]) if len(set(values)) == 1 else f"{min(values)} to {max(values)}"
