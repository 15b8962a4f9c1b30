"""Weight selection: a small network whose first weights are some of a trained larger one's.

What its studies share: teacher, students, and what is told of them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from gradlab.nn import Module
from gradlab.studies.outcomes import picture, table, verdict
from gradlab.studies.starts import Start, inconsistent, kaiming, normal, selected
from gradlab.studies.study import Findings, Plan, Study, Table
from gradlab.studies.trials import TRIAL, WEIGHT_DECAY, Bench, Outcome, Scores, Task

PAPER = "Xu et al., Initializing Models with Larger Ones, ICLR 2024"
FORMULA = (
    "θ_student = θ_teacher[I, J], rows I and columns J of the tensor of the same name, the same "
    "wherever the same features pass"
)
SELECTED, KAIMING, NORMAL = "selected", "Kaiming", "N(0, 0.02²)"
RANDOM: dict[str, Start] = {KAIMING: kaiming, NORMAL: normal}
LONGER = (2, 4)
"""Multiples of the students' updates that random weights get besides, at full scale."""
NOTES = "*Updates to ..."
WAYS = (
    "Other ways to select: the last blocks of the teacher, or evenly spread ones; the first "
    "elements, or random ones; random ones drawn anew for each tensor, so that they do not fit "
    "together (*inconsistent*)."
)
TEACHING = 0.2
"""Share of the time that the teacher takes, more or less."""


@dataclass(frozen=True)
class WeightSelection(Study):
    """A student that starts from a teacher's weights, beside students that start from random ones.

    Attributes:
        teacher, student: models by name.
        teacher_from: which of the random initializations the teacher starts from.
        teacher_lr: its learning rate.
        updates: of the teacher and of a student, at full scale,
        quick: and at quick scale.
        batch_size: of all trainings.
        rates: of the students, among which each initialization takes its best; at quick scale all
            but the last.
        rows: says what the data are.
    """

    teacher: str
    student: str
    teacher_from: str
    teacher_lr: float
    updates: tuple[int, int]
    quick: tuple[int, int]
    batch_size: int
    rates: tuple[float, ...] = (0.003, 0.01, 0.03, 0.1)

    rows: ClassVar[str]
    claim = (
        "A small network whose first weights are selected from a larger trained one of its family "
        "becomes better than from random first weights, in trainings of the same length."
    )
    criterion = (
        "for, if beside either random initialization the 95 % interval of the paired difference "
        "in held-out loss after the last update, selected weights minus random ones, lies below 0, "
        "each with the learning rate that is best for it; against, if one of the two lies above 0."
    )

    @abstractmethod
    def task(self, plan: Plan) -> Task:
        """The data."""

    def prepare(self, plan: Plan) -> None:
        """Fetch the data."""
        self.task(plan)

    def setup(self, plan: Plan) -> tuple[str, ...]:
        """What is done, and what differs from the paper."""
        teaching, updates = self._updates(plan)
        rates = ", ".join(f"{rate:g}" for rate in self._rates(plan))
        return (
            self.rows,
            f"Teacher: `{self.teacher}`, trained for {teaching:,} updates at a learning rate of "
            f"{self.teacher_lr:g} from {self.teacher_from} weights, on the rows that the students "
            "train on too. There is one; its training is not counted among a student's updates.",
            f"Student: `{self.student}`, trained for {updates:,} updates.",
            f"*{SELECTED}*: the teacher's first blocks, and of their elements evenly spread ones, "
            "the same wherever the same features pass; attention heads stay whole. What is not "
            f"selected, such as the layer that makes a classifier's outputs, is as in {NORMAL}.",
            f"*{KAIMING}*: N(0, 2/fan_in). *{NORMAL}*: what the architecture's source starts from, "
            "with this variance for most weights.",
            *([] if plan.quick else [WAYS]),
            f"Training: cross-entropy, AdamW with weight decay {WEIGHT_DECAY:g}, gradients clipped "
            f"at norm 1, batches of {self.batch_size}; the learning rate warms up over a tenth of "
            f"the updates, then falls to 0 by a cosine. Each initialization takes from {rates} the "
            "rate with which one training of another seed ended best, by rows that are neither "
            "trained on nor held out.",
            f"{plan.seeds} seeds: each draws random weights and the order of batches, which is the "
            "same for all initializations. Intervals cover these draws, not the teacher's.",
            "Sizes, lengths and the range of learning rates were settled in trial runs of one "
            "seed each (an early one of seed 0), before the criterion was written down.",
            "Unlike the paper: small networks, minutes in place of days, a teacher that learned "
            "from the students' own rows, and attention heads that are kept whole.",
        )

    def run(self, plan: Plan) -> Findings:
        """Train the teacher, then students from each initialization."""
        task = self.task(plan)
        teaching, updates = self._updates(plan)
        plan.progress(0.0, "teacher")
        teacher, taught = Bench(task, self.teacher, self.batch_size).train(
            RANDOM[self.teacher_from], task.held_out, [teaching], self.teacher_lr, TRIAL
        )
        bench = Bench(task, self.student, self.batch_size)
        starts = {SELECTED: selected(teacher)} | RANDOM
        policies = {} if plan.quick else by_policy(teacher)
        longer = () if plan.quick else LONGER
        names = [name for name in (*starts, *policies) for _ in ("choose", "compare")]
        parts = parts_of(plan, [*names, *(f"{times} × longer" for times in longer)])
        found = {}
        for name, start in (starts | policies).items():
            rate = bench.choose(start, self._rates(plan), updates, next(parts))
            found[name] = bench.compare(start, rate, updates, next(parts))
        best = min(RANDOM, key=lambda name: found[name].last.mean())
        more = {
            f"{best}, {times} × the updates": bench.compare(
                RANDOM[best], found[best].rate, times * updates, next(parts)
            )
            for times in longer
        }
        main = {name: found[name] for name in starts}

        def ends(title: str, rows: Mapping[str, Outcome]) -> Table:
            return table(title, rows.items(), found[SELECTED], KAIMING, found[KAIMING])

        tables = [ends(f"Held out, after {updates:,} updates", main)]
        pictures = [picture("curves", main)]
        if policies:
            ways = {name: found[name] for name in (SELECTED, *policies)}
            tables.append(ends("The same, by what is selected", ways))
            pictures.append(picture("policies", ways))
        if more:
            tables.append(ends("The same, after longer trainings from random weights", more))
        return Findings(
            parts=tuple(verdict(main, SELECTED, name) for name in RANDOM),
            tables=tuple(tables),
            pictures=tuple(pictures),
            notes=self._notes(taught),
        )

    def _notes(self, taught: Scores) -> str:
        loss, accuracy = taught[-1]
        return (
            f"The teacher's held-out loss is {loss:.3f}, its accuracy {accuracy:.1%}. *Updates to "
            f"{KAIMING}'s loss*: after which the loss is first as low as where training from "
            f"{KAIMING}'s weights ends with the same seed, read off curves between looks; the "
            "learning rate is scheduled for all updates."
        )

    def _updates(self, plan: Plan) -> tuple[int, int]:
        return self.quick if plan.quick else self.updates

    def _rates(self, plan: Plan) -> tuple[float, ...]:
        return self.rates[:-1] if plan.quick else self.rates


def by_policy(teacher: Module) -> dict[str, Start]:
    """Other ways to select."""
    return {
        "last blocks": selected(teacher, layers="last"),
        "spread blocks": selected(teacher, layers="uniform"),
        "first elements": selected(teacher, elements="consecutive"),
        "random": selected(teacher, elements="random"),
        "inconsistent": inconsistent(teacher),
    }


def parts_of(plan: Plan, names: Sequence[str]) -> Iterator[Plan]:
    """The plan for each part of the students' trainings; each tells its own progress."""
    for part, name in enumerate(names):

        def tell(share: float, doing: str, part: int = part, name: str = name) -> None:
            done = (part + share) / len(names)
            plan.progress(TEACHING + (1 - TEACHING) * done, f"{name}, {doing}")

        yield replace(plan, progress=tell)
