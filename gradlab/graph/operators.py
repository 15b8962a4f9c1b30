"""What Python's operators mean between tensors, variables and numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

# The functions are looked up when an operator is used, not here: they need Tensor, which needs
# this class.
import gradlab.graph as graph
from gradlab.errors import ShapeError
from gradlab.graph.conversions import Conversions

if TYPE_CHECKING:
    from gradlab.graph.tensor import Like, Tensor

Axis = int | tuple[int, ...] | None


class Operators(Conversions):
    """Operators and methods of Tensor and Variable; each names the function it stands for."""

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def shape(self) -> tuple[int, ...]:
            """Lengths of the axes."""

        def read(self) -> Tensor:
            """The value now."""

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        size = 1
        for length in self.shape:
            size *= length
        return size

    def __add__(self, other: Like) -> Tensor:
        return graph.add(self, other)

    def __radd__(self, other: Like) -> Tensor:
        return graph.add(other, self)

    def __sub__(self, other: Like) -> Tensor:
        return graph.subtract(self, other)

    def __rsub__(self, other: Like) -> Tensor:
        return graph.subtract(other, self)

    def __mul__(self, other: Like) -> Tensor:
        return graph.multiply(self, other)

    def __rmul__(self, other: Like) -> Tensor:
        return graph.multiply(other, self)

    def __truediv__(self, other: Like) -> Tensor:
        return graph.divide(self, other)

    def __rtruediv__(self, other: Like) -> Tensor:
        return graph.divide(other, self)

    def __floordiv__(self, other: Like) -> Tensor:
        return graph.floor_divide(self, other)

    def __rfloordiv__(self, other: Like) -> Tensor:
        return graph.floor_divide(other, self)

    def __mod__(self, other: Like) -> Tensor:
        return graph.remainder(self, other)

    def __rmod__(self, other: Like) -> Tensor:
        return graph.remainder(other, self)

    def __divmod__(self, other: Like) -> tuple[Tensor, Tensor]:
        return graph.divmod(self, other)

    def __rdivmod__(self, other: Like) -> tuple[Tensor, Tensor]:
        return graph.divmod(other, self)

    def __pow__(self, other: Like) -> Tensor:
        return graph.pow(self, other)

    def __rpow__(self, other: Like) -> Tensor:
        return graph.pow(other, self)

    def __matmul__(self, other: Like) -> Tensor:
        return graph.matmul(self, other)

    def __rmatmul__(self, other: Like) -> Tensor:
        return graph.matmul(other, self)

    def __neg__(self) -> Tensor:
        return graph.negative(self)

    def __pos__(self) -> Tensor:
        return graph.as_tensor(self)

    def __abs__(self) -> Tensor:
        return graph.abs(self)

    def __round__(self, decimals: int | None = None) -> Tensor:
        return graph.round(self, decimals or 0)

    def __eq__(self, other: Like) -> Tensor:  # type: ignore[override]
        return NotImplemented if other is None else graph.equal(self, other)

    def __ne__(self, other: Like) -> Tensor:  # type: ignore[override]
        return NotImplemented if other is None else graph.not_equal(self, other)

    def __lt__(self, other: Like) -> Tensor:
        return graph.less(self, other)

    def __le__(self, other: Like) -> Tensor:
        return graph.less_equal(self, other)

    def __gt__(self, other: Like) -> Tensor:
        return graph.greater(self, other)

    def __ge__(self, other: Like) -> Tensor:
        return graph.greater_equal(self, other)

    # Equality is elementwise, so identity is what dictionaries go by.
    __hash__ = object.__hash__

    def __and__(self, other: Like) -> Tensor:
        return graph.logical_and(self, other)

    def __or__(self, other: Like) -> Tensor:
        return graph.logical_or(self, other)

    def __invert__(self) -> Tensor:
        return graph.logical_not(self)

    def __getitem__(self, key: Any) -> Tensor:
        return graph.index(self, key)

    def __len__(self) -> int:
        if not self.shape:
            raise ShapeError("a tensor of shape () has no length; use .item() for its number")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    @property
    def T(self) -> Tensor:  # noqa: N802
        """All axes in reverse order."""
        return graph.permute_dims(self, tuple(reversed(range(self.ndim))))

    @property
    def mT(self) -> Tensor:  # noqa: N802
        """The last two axes exchanged."""
        return graph.matrix_transpose(self)

    def astype(self, dtype: npt.DTypeLike) -> Tensor:
        """See ``gradlab.astype``."""
        return graph.astype(self, dtype)

    def reshape(self, *shape: int) -> Tensor:
        """See ``gradlab.reshape``."""
        return graph.reshape(self, shape)

    def sum(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """See ``gradlab.sum``."""
        return graph.sum(self, axis, keepdims)

    def mean(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """See ``gradlab.mean``."""
        return graph.mean(self, axis, keepdims)

    def max(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """See ``gradlab.max``."""
        return graph.max(self, axis, keepdims)

    def min(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """See ``gradlab.min``."""
        return graph.min(self, axis, keepdims)

    def prod(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """See ``gradlab.prod``."""
        return graph.prod(self, axis, keepdims)

    def var(self, axis: Axis = None, keepdims: bool = False, correction: float = 0.0) -> Tensor:
        """See ``gradlab.var``."""
        return graph.var(self, axis, keepdims, correction)

    def std(self, axis: Axis = None, keepdims: bool = False, correction: float = 0.0) -> Tensor:
        """See ``gradlab.std``."""
        return graph.std(self, axis, keepdims, correction)

    def any(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """See ``gradlab.any``."""
        return graph.any(self, axis, keepdims)

    def all(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """See ``gradlab.all``."""
        return graph.all(self, axis, keepdims)

    def norm(self, axis: Axis = None, keepdims: bool = False, ord: float = 2) -> Tensor:
        """See ``gradlab.norm``."""
        return graph.norm(self, axis, keepdims, ord)

    def argmax(self, axis: int | None = None) -> Tensor:
        """See ``gradlab.argmax``."""
        return graph.argmax(self, axis)

    def argmin(self, axis: int | None = None) -> Tensor:
        """See ``gradlab.argmin``."""
        return graph.argmin(self, axis)

    def argsort(self, axis: int = -1) -> Tensor:
        """See ``gradlab.argsort``."""
        return graph.argsort(self, axis)

    def sort(self, axis: int = -1) -> Tensor:
        """See ``gradlab.sort``; a new tensor, as a tensor never changes."""
        return graph.sort(self, axis)

    def cumsum(self, axis: int | None = None) -> Tensor:
        """See ``gradlab.cumsum``; without an axis of all elements in their order, as in NumPy."""
        return graph.cumsum(graph.ravel(self) if axis is None else self, axis or 0)

    def take(self, indices: Like, axis: int | None = None) -> Tensor:
        """See ``gradlab.take``; without an axis of all elements in their order, as in NumPy."""
        return graph.take(graph.ravel(self) if axis is None else self, indices, axis or 0)

    def clip(self, min: Like | None = None, max: Like | None = None) -> Tensor:
        """See ``gradlab.clip``."""
        return graph.clip(self, min, max)

    def round(self, decimals: int = 0) -> Tensor:
        """See ``gradlab.round``."""
        return graph.round(self, decimals)

    def nonzero(self) -> tuple[Tensor, ...]:
        """See ``gradlab.nonzero``."""
        return graph.nonzero(self)

    def dot(self, other: Like) -> Tensor:
        """See ``gradlab.dot``."""
        return graph.dot(self, other)

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
        """See ``gradlab.diagonal``."""
        return graph.diagonal(self, offset, axis1, axis2)

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
        """See ``gradlab.matrix_trace``."""
        return graph.matrix_trace(self, offset, axis1, axis2)

    def transpose(self, *axes: Any) -> Tensor:
        """Axes in another order, by default reversed, as in NumPy; see ``gradlab.permute_dims``."""
        if not axes or axes == (None,):
            return self.T
        return graph.permute_dims(self, axes[0] if isinstance(axes[0], tuple | list) else axes)

    def swapaxes(self, axis1: int, axis2: int) -> Tensor:
        """See ``gradlab.swapaxes``."""
        return graph.swapaxes(self, axis1, axis2)

    def repeat(self, repeats: int | Sequence[int], axis: int | None = None) -> Tensor:
        """See ``gradlab.repeat``."""
        return graph.repeat(self, repeats, axis)

    def ravel(self) -> Tensor:
        """See ``gradlab.ravel``."""
        return graph.ravel(self)

    def squeeze(self, axis: Axis = None) -> Tensor:
        """See ``gradlab.squeeze``."""
        return graph.squeeze(self, axis)

    def flatten(self, start: int = 0) -> Tensor:
        """See ``gradlab.flatten``."""
        return graph.flatten(self, start)
