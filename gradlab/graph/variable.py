"""Variable: a named cell whose tensor can be replaced."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from gradlab.errors import ArgumentError, DTypeError, ShapeError
from gradlab.graph.dtypes import DType
from gradlab.graph.elementwise import fits_dtype
from gradlab.graph.op import Shape
from gradlab.graph.operators import Operators
from gradlab.graph.tensor import Like, Tensor, active, as_tensor, tensor

changing = threading.RLock()
"""Held while Variables change together, and by who reads them together: it gets all or none."""


def _not_in_place(symbol: str) -> Callable[[Variable, Like], NoReturn]:
    def refuse(self: Variable, other: Like) -> NoReturn:
        name = self.name if self.name and self.name.isidentifier() else "w"
        raise ArgumentError(
            f"{name} {symbol}= ... would put a tensor in the place of the Variable: "
            f"write {name}.assign({name} {symbol} ...)"
        )

    return refuse


def _assignable(value: Tensor, dtype: DType) -> bool:
    """Whether a Variable's dtype can hold a value of another dtype; floats may lose digits."""
    if dtype.kind == "f":
        return True
    if value.weak and value.dtype.kind in "iu" and dtype.kind in "iu":
        return fits_dtype(value, dtype)
    return np.can_cast(value.dtype, dtype, "safe")


class Variable(Operators):
    """A cell that holds a tensor: a parameter, an optimizer slot, a statistic or a counter.

    Args:
        value: first value; a list or a number becomes the default dtype (float32).
        trainable: whether tapes watch it when it is read, and optimizers update it.
        name: what drawings, checkpoints and messages call it.
        weak: whether it counts as a Python number, which takes the dtype of what it meets.

    >>> w = Variable([1.0, 2.0], name="w")
    >>> w.assign(w * 2)
    >>> w
    Variable([2., 4.], name='w')
    """

    __slots__ = ("_tensor", "name", "trainable")

    def __init__(
        self,
        value: Like,
        *,
        trainable: bool = True,
        name: str | None = None,
        dtype: npt.DTypeLike | None = None,
        weak: bool = False,
    ) -> None:
        self.trainable = trainable
        self.name = name
        # A fresh leaf: what it begins with may carry the history of a tape.
        start = np.array(value) if weak else tensor(value, dtype).value.copy()
        self._tensor = Tensor(start, weak, name)
        if active.trace is not None:
            active.trace.created.add(self)

    @property
    def shape(self) -> Shape:
        """Shape of the value; it never changes."""
        return self._tensor.shape

    @property
    def dtype(self) -> DType:
        """Dtype of the value; it never changes."""
        return self._tensor.dtype

    @property
    def weak(self) -> bool:
        """Whether it takes the dtype of what it meets."""
        return self._tensor.weak

    @property
    def held(self) -> Tensor:
        """The tensor held now, whatever is being recorded."""
        return self._tensor

    def read(self) -> Tensor:
        """The tensor held now; tapes and traces take note of the reading."""
        trace = active.trace
        current = self._tensor if trace is None else trace.read(self)
        for tape in active.tapes:
            tape.read(self, current)
        return current

    def assign(self, value: Like) -> None:
        """Replace the value; no gradient flows through the replacement.

        Raises:
            ShapeError: the new value has another shape.
            DTypeError: the new value is of a higher kind (a float for an integer variable), or of a
                wider dtype of whole numbers, unless it is a Python number that fits.
        """
        new, held = as_tensor(value), self._tensor
        if new.shape != held.shape:
            raise ShapeError(
                f"cannot assign shape {new.shape} to variable {self.name or ''} "
                f"of shape {self.shape}"
            )
        if new.dtype != held.dtype and not _assignable(new, held.dtype):
            raise DTypeError(
                f"cannot assign {new.dtype} to variable {self.name or ''} of dtype {self.dtype}; "
                "convert it with astype"
            )
        if active.trace is not None:
            active.trace.assign(self, new)
            return
        # A fresh leaf: the tensor assigned may carry the history of a tape.
        self._tensor = Tensor(new.value.astype(held.dtype, copy=False), held.weak, self.name)

    # w += x would leave w another thing than the Variable: a tensor.
    __iadd__ = _not_in_place("+")
    __isub__ = _not_in_place("-")
    __imul__ = _not_in_place("*")
    __itruediv__ = _not_in_place("/")
    __ifloordiv__ = _not_in_place("//")
    __imod__ = _not_in_place("%")
    __ipow__ = _not_in_place("**")
    __imatmul__ = _not_in_place("@")
    __iand__ = _not_in_place("&")
    __ior__ = _not_in_place("|")

    def __repr__(self) -> str:
        text = np.array2string(self._tensor.value, separator=", ", prefix="Variable(")
        name = f", name={self.name!r}" if self.name else ""
        return f"Variable({text}{name})"
