"""Study: a claim from the literature, put to the test by training networks here."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from gradlab.errors import ArgumentError
from gradlab.registry import Info, Registry
from gradlab.studies.statistics import Comparison, Estimate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

studies = Registry("study")

Answer = Literal["for", "against", "undecided"]


def unseen(share: float, doing: str) -> None:
    """Progress that nobody looks at."""


@dataclass(frozen=True)
class Plan:
    """How much is done, and who hears of it.

    Attributes:
        quick: a smaller version, for a first look; pages are written at full scale.
        seeds: how often all that is random is drawn anew, with the seeds 0, 1, ...; at least 2.
        data_dir: folder of datasets; see ``gradlab.data.data_folder``.
        progress: called with the share that is done, in [0, 1], and what is being done.

    Raises:
        ArgumentError: fewer than two seeds, of which there is no interval.
    """

    quick: bool = False
    seeds: int = 5
    data_dir: str | os.PathLike[str] | None = None
    progress: Callable[[float, str], None] = unseen

    def __post_init__(self) -> None:
        if self.seeds < 2:
            raise ArgumentError(f"seeds is {self.seeds}; an interval needs at least 2")


@dataclass(frozen=True)
class Verdict:
    """What the numbers say of a claim, or of a part of it, in a sentence with the statistics."""

    answer: Answer
    sentence: str

    @staticmethod
    def of(parts: Sequence[Verdict]) -> Verdict:
        """On a claim of several parts: for, if all are; against, if any is.

        >>> Verdict.of([Verdict("for", "It grows."), Verdict("undecided", "Or not.")]).answer
        'undecided'
        """
        answers = [part.answer for part in parts]
        answer: Answer = "undecided"
        if "against" in answers:
            answer = "against"
        elif all(found == "for" for found in answers):
            answer = "for"
        return Verdict(answer, " ".join(part.sentence for part in parts))


def by_sign(comparison: Comparison, claimed: Literal[1, -1]) -> Answer:
    """Whether a paired difference has the claimed sign: "undecided" if its interval holds 0.

    >>> by_sign(Comparison(Estimate(-2.0, -3.0, -1.0), 0.01), claimed=-1)
    'for'
    """
    low, high = comparison.difference.low, comparison.difference.high
    if low <= 0 <= high:
        return "undecided"
    return "for" if (low > 0) == (claimed > 0) else "against"


def by_margin(estimate: Estimate, low: float, high: float) -> Answer:
    """Whether a number lies within a margin: "undecided" if its interval crosses an end of it.

    >>> by_margin(Estimate(1.02, 0.97, 1.07), 0.9, 1.1), by_margin(Estimate(2.0, 1.9, 2.1), 0, 1)
    ('for', 'against')
    """
    if estimate.within(low, high):
        return "for"
    return "against" if estimate.high < low or estimate.low > high else "undecided"


@dataclass(frozen=True)
class Table:
    """Numbers with their intervals; each row starts with what it is about."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | Estimate, ...], ...]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ArgumentError(
                    f"{self.title}: {len(row)} cells in {len(self.columns)} columns"
                )


@dataclass(frozen=True)
class Picture:
    """A figure: ``draw`` gets an empty matplotlib Figure; ``alt`` says what there is to see."""

    name: str
    alt: str
    draw: Callable[[Figure], None]
    size: tuple[float, float] = (8.0, 3.6)


@dataclass(frozen=True)
class Findings:
    """What came out: a verdict on each part of the claim, tables and figures."""

    parts: tuple[Verdict, ...]
    tables: tuple[Table, ...]
    pictures: tuple[Picture, ...]
    notes: str = ""

    @property
    def verdict(self) -> Verdict:
        """On the whole claim."""
        return Verdict.of(self.parts)


class Study(ABC):
    """A claim and how it is put to the test; subclasses are frozen dataclasses, one to a file.

    The row in ``studies`` adds name, formula and source.

    Attributes:
        title: of the page.
        claim: what the source says, in a sentence or two.
        criterion: what decides, set before the numbers are known.
    """

    title: ClassVar[str]
    claim: ClassVar[str]
    criterion: ClassVar[str]

    def prepare(self, plan: Plan) -> None:  # noqa: B027 - most data ship with the library
        """Fetch what is needed, so that missing data are known of before anything is trained."""

    @abstractmethod
    def setup(self, plan: Plan) -> tuple[str, ...]:
        """What is done, a point each, and what differs from the source."""

    @abstractmethod
    def run(self, plan: Plan) -> Findings:
        """Do it: the same seeds give the same numbers."""


@dataclass(frozen=True)
class Report:
    """A study that was carried out."""

    row: Info
    study: Study
    plan: Plan
    findings: Findings


def carry_out(name: str, plan: Plan | None = None) -> Report:
    """Carry out a study by its name.

    Raises:
        ArgumentError: no such study.
        DataError: data that cannot be had.
    """
    row, plan = studies[name], plan or Plan()
    study = row.factory()
    return Report(row, study, plan, study.run(plan))
