"""Weight selection on text: small GPTs and Shakespeare's plays."""

from __future__ import annotations

from dataclasses import dataclass

from gradlab.data import load
from gradlab.studies.pixels import Rows
from gradlab.studies.study import Plan, studies
from gradlab.studies.trials import Task
from gradlab.studies.weight_selection import FORMULA, NORMAL, PAPER, WeightSelection


@studies.register("weight_selection_text", formula=FORMULA, paper=PAPER)
@dataclass(frozen=True)
class WeightSelectionText(WeightSelection):
    """Small GPTs that start from a larger one's weights."""

    teacher: str = "gpt(layers=4, heads=4, width=128)"
    student: str = "gpt(layers=2, heads=2, width=64)"
    teacher_from: str = NORMAL
    teacher_lr: float = 0.003
    updates: tuple[int, int] = (1500, 600)
    quick: tuple[int, int] = (600, 300)
    batch_size: int = 12
    block: int = 64

    title = "A small GPT from a larger one's weights"
    rows = (
        "Data: tiny-shakespeare, characters, in windows of 64. The first nine tenths of the text "
        "are trained on, the next twentieth chooses learning rates, the last is held out."
    )

    def task(self, plan: Plan) -> Task:
        """Windows of text, and the same one character later."""
        text = load({"name": "tiny_shakespeare", "block": self.block}, data_dir=plan.data_dir)
        assert text.validation is not None
        x, y = text.validation.x, text.validation.y
        half = len(x) // 2
        return Task(
            Rows(text.train.x, text.train.y),
            Rows(x[:half], y[:half]),
            Rows(x[half:], y[half:]),
            (self.block,),
            text.outputs,
        )
