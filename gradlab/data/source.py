"""What a reader or a registered dataset hands over, before it is split and scaled."""

from __future__ import annotations

from dataclasses import dataclass

from gradlab.data.table import Table
from gradlab.registry import Registry

datasets = Registry("dataset")


@dataclass(frozen=True, eq=False)
class Source:
    """A table, and what is known about it; arrays come in an `ArraySource` instead.

    ``target`` names the columns to predict (empty where there are none), ``task`` is
    ``"classification"``, ``"regression"`` or None (inferred from the target). Where the range
    of the features is known, ``divisor`` brings them to [0, 1] in place of standardization.
    """

    name: str
    table: Table
    target: tuple[str, ...]
    task: str | None = None
    divisor: float | None = None
