"""Which elements of a teacher's tensor make a student's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from gradlab.errors import ShapeError
from gradlab.graph.dtypes import Array
from gradlab.graph.op import Shape
from gradlab.init.select_factors import Axis, Factor
from gradlab.init.select_indices import Elements, chosen_elements

SHOWN_HEADS = 8


@dataclass(frozen=True)
class Part:
    """A part of a teacher's tensor.

    Attributes:
        tensor, shape: of the student.
        source, source_shape: of the teacher.
        indices: of each axis.
        texts: how they were chosen.
    """

    tensor: str
    shape: Shape
    source: str
    source_shape: Shape
    indices: tuple[Array, ...]
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Cut:
    """How a part is cut out of a teacher's tensor.

    Attributes:
        tensor, shape: of the student.
        source, source_shape: of the teacher.
        heads: of the teacher's attention, if known.
        policy, seed: how elements are chosen.
        sources: shapes of the teacher's tensors by the student's names, for flattened axes.
    """

    tensor: str
    shape: Shape
    source: str
    source_shape: Shape
    heads: int | None
    policy: Elements
    seed: int
    sources: Mapping[str, Shape]

    def part(self, axes: Sequence[Axis]) -> Part:
        """The part.

        Args:
            axes: of the student's tensor.

        Raises:
            ShapeError: the teacher's tensor has no such part.
        """
        if len(self.source_shape) != len(axes):
            self._fail(f"one has {len(axes)} axes, the other {len(self.source_shape)}")
        found = [self._axis(axis, i) for i, axis in enumerate(axes)]
        return Part(
            self.tensor,
            self.shape,
            self.source,
            self.source_shape,
            tuple(index for index, _ in found),
            tuple(text for _, text in found if text),
        )

    def _axis(self, axis: Axis, number: int) -> tuple[Array, str]:
        """Indices of one axis, and how they were chosen."""
        if self.source_shape[number] < axis.size:
            self._fail(f"the teacher is smaller in axis {number}")
        flat, texts = np.zeros(1, int), []
        for factor, t in zip(axis.factors, self._sizes(axis, number), strict=True):
            index, text = self._factor(factor, t, number)
            flat = np.add.outer(flat * t, index).reshape(-1)
            texts.append(text)
        return flat, " · ".join(filter(None, texts))

    def _sizes(self, axis: Axis, number: int) -> list[int]:
        """How many the teacher has of each factor."""
        t = self.source_shape[number]
        if len(axis.factors) == 1:
            return [t]
        sizes = {factor.role: factor.size for factor in axis.factors}
        names = {factor.role: factor.name for factor in axis.factors}
        whole = sizes.get("whole", 1)
        rest, odd = divmod(t, whole)
        if odd:
            self._fail(f"axis {number} of the teacher is no multiple of {whole} {names['whole']}")
        if axis.channels_of is not None and axis.channels_of[0] in self.sources:
            weight, at = axis.channels_of
            channels = self.sources[weight][at]
            if channels != rest:
                self._fail(
                    f"axis {number} is {whole} places of {sizes['units']} channels, and the "
                    f"teacher has {t / channels:g} places of {channels}"
                )
        heads = 1
        if "heads" in sizes:
            heads = self.heads or rest // sizes["units"]
            each = f"{heads} heads" if self.heads else f"heads of {sizes['units']}"
            if rest % (heads if self.heads else sizes["units"]):
                self._fail(
                    f"axis {number} of the teacher, of {rest} features, does not divide into "
                    + each,
                    "say how many heads the teacher has (teacher_heads=...)",
                )
        known = {"whole": whole, "heads": heads, "units": rest // heads}
        return [known[factor.role] for factor in axis.factors]

    def _factor(self, factor: Factor, t: int, number: int) -> tuple[Array, str]:
        s = factor.size
        if t < s:
            self._fail(f"axis {number} has {s} {factor.name} in the student, {t} in the teacher")
        if factor.role == "whole" and t != s:
            self._fail(
                f"axis {number} is {factor.name}, which must be as many: {s} in the student, {t} "
                "in the teacher"
            )
        if t == s:
            text = f"all {s} heads" if factor.role == "heads" else f"all {s}"
            return np.arange(s), "" if factor.name == "kernel" else text
        if factor.role == "places":
            return np.arange(s), f"first {s} of {t}"
        index = chosen_elements(self.policy, t, s, self.seed)
        if factor.role == "heads":
            more = ", ..." if s > SHOWN_HEADS else ""
            return index, f"heads {', '.join(map(str, index[:SHOWN_HEADS]))}{more} of {t}"
        word = "first" if self.policy == "consecutive" else self.policy
        return index, f"{word} {s} of {t}"

    def _fail(self, why: str, instead: str = "") -> NoReturn:
        raise ShapeError(
            f"{self.tensor} of shape {self.shape} cannot be selected from the teacher's "
            f"{self.source} of shape {self.source_shape}: {why}; "
            + (instead or f"leave it out (skip=[{self.tensor!r}]), or take another teacher")
        )


def check_orientation(sources: Iterable[str], shapes: Mapping[str, Shape]) -> None:
    """An error if weights are (in, out), as in Hugging Face's GPT-2.

    Biases tell; of a square weight those of layers of the same name.

    Args:
        sources: names of the tensors that are wanted.
        shapes: of all of the teacher's tensors.
    """
    layers = {
        name: f".{name}".split(".")[-2]
        for name, shape in shapes.items()
        if name.endswith("weight") and len(shape) == 2
    }
    turned = {
        layer
        for name, layer in layers.items()
        if shapes[name][0] != shapes[name][1]
        and shapes.get(f"{name.removesuffix('weight')}bias") == shapes[name][1:]
    }
    for name in sources:
        rows, columns = shapes[name] if name in layers else (0, 0)
        bias = shapes.get(f"{name.removesuffix('weight')}bias")
        if layers.get(name) in turned and (rows == columns or bias == (columns,)):
            raise ShapeError(
                f"the teacher's {name} of shape {shapes[name]} looks transposed, as in Hugging "
                "Face's GPT-2: give arrays by name, with every weight of "
                f"{', '.join(sorted(turned))} turned, the square ones too"
            )
