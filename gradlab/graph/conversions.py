"""How Tensors and Variables turn into Python's and NumPy's own values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

# Looked up when they are used, as in operators.py.
import gradlab.graph as graph
from gradlab.errors import TraceError
from gradlab.graph.dtypes import Array
from gradlab.graph.tree import map_leaves

# What an operator between an array and a tensor calls.
BY_OPERATOR = {
    np.add: "add",
    np.subtract: "subtract",
    np.multiply: "multiply",
    np.divide: "divide",
    np.floor_divide: "floor_divide",
    np.remainder: "remainder",
    np.power: "pow",
    np.matmul: "matmul",
    np.equal: "equal",
    np.not_equal: "not_equal",
    np.less: "less",
    np.less_equal: "less_equal",
    np.greater: "greater",
    np.greater_equal: "greater_equal",
    np.bitwise_and: "logical_and",
    np.bitwise_or: "logical_or",
}
# What asks for the shape alone, which a traced tensor has.
BY_SHAPE = (np.shape, np.ndim, np.size)
RENAMED = {
    "absolute": "abs",
    "arccos": "acos",
    "arcsin": "asin",
    "arctan": "atan",
    "concatenate": "concat",
    "transpose": "permute_dims",
}


class Conversions:
    """Numbers, arrays and NumPy's functions; each takes the value that is held now."""

    __slots__ = ()

    def numpy(self) -> Array:
        """The numbers, as a NumPy array that cannot be written to."""
        view = graph.as_tensor(self).value.view()
        view.flags.writeable = False
        return view

    def item(self) -> Any:
        """The only element, as a Python number."""
        return graph.as_tensor(self).value.item()

    def tolist(self) -> Any:
        """The elements, as Python numbers in nested lists."""
        return graph.as_tensor(self).value.tolist()

    def __bool__(self) -> bool:
        return bool(graph.as_tensor(self).value)

    def __float__(self) -> float:
        return float(graph.as_tensor(self).value)

    def __int__(self) -> int:
        return int(graph.as_tensor(self).value)

    def __index__(self) -> int:
        return graph.as_tensor(self).value.__index__()

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __dlpack__(self, *, copy: bool | None = None, **options: Any) -> Any:
        if copy is False:
            raise BufferError("a tensor never changes, so others get a copy of its numbers")
        return graph.as_tensor(self).value.copy().__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return graph.as_tensor(self).value.__dlpack_device__()

    # NumPy's operators are gradlab's; any other function of NumPy computes on the numbers.

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if method == "__call__" and not options and ufunc in BY_OPERATOR:
            return getattr(graph, BY_OPERATOR[ufunc])(*inputs)
        return _on_numbers(getattr(ufunc, method), ufunc.__name__, inputs, options)

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: Any, options: Any
    ) -> Any:
        return _on_numbers(function, function.__name__, args, options)


def _on_numbers(function: Callable[..., Any], name: str, args: Any, options: Any) -> Any:
    """A function of NumPy, applied to the numbers of tensors."""

    def numbers(x: Any) -> Any:
        if not isinstance(x, Conversions):
            return x
        found = graph.as_tensor(x)
        if function in BY_SHAPE:
            return np.broadcast_to(np.zeros((), found.dtype), found.shape)
        if isinstance(found, graph.Symbol):
            ours = RENAMED.get(name, name)
            hint = f"write gradlab.{ours}" if ours in graph.__all__ else "gradlab has no such op"
            raise TraceError(f"numpy.{name} needs numbers, and {found!r} has none yet: {hint}")
        return found.numpy()

    return function(*map_leaves(numbers, args), **map_leaves(numbers, options))
