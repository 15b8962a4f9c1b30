"""Where the elements of a tensor lie in its buffer: what views change, and nothing else."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from gradlab.graph.op import Shape
from gradlab.graph.windows import positions

_BYTE = np.zeros(1, np.int8)


@dataclass(frozen=True)
class Layout:
    """Element (i, j, ...) of a tensor lies at place offset + i·strides[0] + j·strides[1] + ...

    All counted in elements. NumPy's own rules say what becomes of it under a view: they are asked
    with an array of that layout whose numbers nobody reads.

    >>> Layout.contiguous((2, 3)).apply(lambda x: x.T[1:])
    Layout(shape=(2, 2), strides=(1, 3), offset=1)
    """

    shape: Shape
    strides: tuple[int, ...]
    offset: int = 0

    @staticmethod
    def contiguous(shape: Shape) -> Layout:
        """Row by row, without gaps."""
        strides = [1] * len(shape)
        for i in reversed(range(len(shape) - 1)):
            strides[i] = strides[i + 1] * max(shape[i + 1], 1)
        return Layout(tuple(shape), tuple(strides))

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    def apply(self, view: Any) -> Layout | None:
        """The layout of ``view(x)`` for an x of this layout; None if that cannot be a view."""
        model = as_strided(_BYTE, self.shape, self.strides, writeable=False)
        try:
            found = view(model)
        except ValueError:  # a reshape that would have to copy
            return None
        moved = found.__array_interface__["data"][0] - model.__array_interface__["data"][0]
        return Layout(found.shape, found.strides, self.offset + moved)

    def indexed(self, key: tuple[Any, ...]) -> Layout:
        """The layout of ``x[key]``, for a key of whole numbers, slices, None and one ellipsis."""
        # With an ellipsis, an index of whole numbers gives an array without axes, no number.
        whole = key if any(k is ... for k in key) else (*key, ...)
        found = self.apply(lambda x: x[whole])
        assert found is not None
        return found

    def windows(
        self, size: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
    ) -> Layout:
        """The layout of the windows that slide over the last axes.

        >>> Layout.contiguous((5,)).windows((3,), (2,), (1,))
        Layout(shape=(2, 3), strides=(2, 1), offset=0)
        """
        rank = len(size)
        lengths, steps = self.shape[-rank:], self.strides[-rank:]
        along = zip(lengths, size, stride, dilation, strict=True)
        counts = tuple(positions(*each) for each in along)
        apart = tuple(step * s for step, s in zip(steps, stride, strict=True))
        within = tuple(step * d for step, d in zip(steps, dilation, strict=True))
        shape = (*self.shape[:-rank], *counts, *size)
        return Layout(shape, (*self.strides[:-rank], *apart, *within), self.offset)

    def broadcast(self, shape: Shape) -> Layout:
        """With axes repeated to a larger shape."""
        found = self.apply(lambda x: np.broadcast_to(x, shape))
        assert found is not None
        return found
