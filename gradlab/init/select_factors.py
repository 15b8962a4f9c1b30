"""What an axis of a tensor consists of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Factor:
    """A part of an axis; a flattened axis has several, the first varying slowest.

    Attributes:
        role: "units" and "heads" are chosen by the policy, of "places" the first are taken, and of
            what is "whole" the teacher has to have as many.
        size: how many the student has.
        name: of what they are, for messages.
    """

    role: Literal["units", "heads", "places", "whole"]
    size: int
    name: str = "units"


@dataclass(frozen=True)
class Axis:
    """An axis of a tensor.

    Attributes:
        factors: what it consists of.
        channels_of: if it is a flattened image, the weight and the axis that has its channels.
    """

    factors: tuple[Factor, ...]
    channels_of: tuple[str, int] | None = None

    @property
    def size(self) -> int:
        """Its length."""
        return math.prod(factor.size for factor in self.factors)


def units(size: int) -> Axis:
    """An axis of units, features or channels, which needs nothing special."""
    return Axis((Factor("units", size),))


def whole(size: int, name: str) -> Axis:
    """An axis of which nothing can be left out."""
    return Axis((Factor("whole", size, name),))


def image(channels: int, places: int, channels_of: tuple[str, int]) -> Axis:
    """An axis of a flattened image, whose channels come first."""
    parts = Factor("units", channels), Factor("whole", places, "places of an image")
    return Axis(parts, channels_of)
