"""Sums in blocks, so that rounding errors do not grow with the number of terms.

A sum runs along some loops in a register, in the lanes of a vector, and adds up in memory along the
loops outside of these. Where either takes more terms than a block, one of the loops is cut into
pieces, and the sum of a piece is added to a total in double precision (the error of a plain sum of
n terms grows with n, of a sum of blocks with the length of a block: Higham, The Accuracy of
Floating Point Summation, 1993, section 3).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gradlab.execute.native.collapse import Loops
from gradlab.execute.native.plan import Nest

IN_VECTORS = 1024
"""Terms that a register takes before they go to its total: 64 for each of 16 lanes."""
IN_MEMORY = 64
"""Terms that one element in memory, or a register without lanes, takes before."""


@dataclass(frozen=True)
class LoopCut:
    """Where a sum is cut into blocks: at which loop, after how many of its positions."""

    depth: int
    every: int


@dataclass(frozen=True)
class SumBlocks:
    """The cuts of one reduction: of what runs in a register, and of what adds up in memory.

    ``inner``: the loops from there on accumulate in a register.
    """

    inner: int
    register: LoopCut | None = None
    memory: LoopCut | None = None


def sum_blocks(nest: Nest, loops: Loops, strides: Sequence[Sequence[int]]) -> list[SumBlocks]:
    """The cuts of each reduction of a nest.

    Args:
        nest: whose reductions.
        loops: of the nest.
        strides: of each reduction's target along these loops.
    """
    depth = len(loops.lengths)
    lanes = all(abs(s[-1]) <= 1 for s in loops.strides)
    found = []
    for r, own in zip(nest.reductions, strides, strict=True):
        # The innermost loops that are all reduced accumulate in a register.
        inner = depth
        while inner and own[inner - 1] == 0:
            inner -= 1
        if r.row != "sum" or r.target.dtype.kind != "f":
            found.append(SumBlocks(inner))
            continue
        most = IN_VECTORS if lanes else IN_MEMORY
        outside = [i for i in range(inner) if own[i] == 0]
        found.append(
            SumBlocks(
                inner,
                _cut(loops.lengths, range(inner, depth), most, most),
                _cut(loops.lengths, outside, IN_MEMORY, 2 * IN_MEMORY),
            )
        )
    return found


def _cut(lengths: Sequence[int], along: Sequence[int], most: int, limit: int) -> LoopCut | None:
    """The innermost loop at which there are more terms than go into a block, if there are."""
    if math.prod(lengths[i] for i in along) <= limit:
        return None
    terms = 1
    for i in reversed(along):
        if terms * lengths[i] > most:
            return LoopCut(i, max(most // terms, 1))
        terms *= lengths[i]
    raise AssertionError("more terms than there are in all loops")


def cuts(blocks: Sequence[SumBlocks]) -> Mapping[int, int]:
    """After how many positions each loop is cut, by its depth."""
    every: dict[int, int] = {}
    for block in blocks:
        for cut in (block.register, block.memory):
            if cut is not None:
                every[cut.depth] = min(cut.every, every.get(cut.depth, cut.every))
    return every
