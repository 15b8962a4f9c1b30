"""Weight selection on images: vision transformers and MNIST."""

from __future__ import annotations

from dataclasses import dataclass

from gradlab.studies.pixels import Rows, load
from gradlab.studies.study import Plan, studies
from gradlab.studies.trials import Task
from gradlab.studies.weight_selection import FORMULA, KAIMING, PAPER, WeightSelection

IMAGE = (1, 28, 28)


@studies.register("weight_selection_mnist", formula=FORMULA, paper=PAPER)
@dataclass(frozen=True)
class WeightSelectionMNIST(WeightSelection):
    """Small vision transformers that start from a larger one's weights."""

    teacher: str = "vit(patch=7, layers=4, heads=4, width=64)"
    student: str = "vit(patch=7, layers=2, heads=2, width=32)"
    teacher_from: str = KAIMING
    teacher_lr: float = 0.01
    updates: tuple[int, int] = (1200, 400)
    quick: tuple[int, int] = (600, 300)
    batch_size: int = 128

    title = "A small vision transformer from a larger one's weights"
    rows = (
        "Data: MNIST, pixels brought to mean 0 and variance 1. Of its 60,000 training images, "
        "51,000 are trained on and 9,000 choose learning rates; its 10,000 test images are held "
        "out."
    )

    def task(self, plan: Plan) -> Task:
        """Images of shape (1, 28, 28) and digits."""
        splits = {
            role: Rows(x.reshape(-1, *IMAGE), y)
            for role, (x, y) in load("mnist", plan, validation=0.15).items()
        }
        return Task(splits["train"], splits["validation"], splits["test"], IMAGE, 10)
