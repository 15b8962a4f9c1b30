"""How Tensors and Variables turn into Python's and NumPy's own values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

# Looked up when they are used, as in operators.py.
import gradlab.graph as graph
from gradlab.errors import GradientError
from gradlab.graph.dtypes import Array
from gradlab.graph.protocols import call_function, call_ufunc, described


class Conversions:
    """Numbers, arrays and NumPy's functions; each takes the value that is held now.

    What is asked for by name gives constants: ``numpy``, ``item``, ``tolist``, formats. So do
    ``bool``, ``int``, indices and arrays of whole numbers, whose derivative is zero wherever there
    is one. ``float`` and arrays of floats, which functions of other libraries ask for, raise a
    GradientError while a tape watches the tensor.
    """

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
        return float(_without_gradient(self, "float()"))

    def __int__(self) -> int:
        return int(graph.as_tensor(self).value)

    def __index__(self) -> int:
        return graph.as_tensor(self).value.__index__()

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        whole = dtype is not None and np.dtype(dtype).kind in "iub"
        x = self.numpy() if whole else _without_gradient(self, "a conversion to a NumPy array")
        return np.array(x, dtype=dtype, copy=copy)

    def __dlpack__(self, *, copy: bool | None = None, **options: Any) -> Any:
        if copy is False:
            raise BufferError("a tensor never changes, so others get a copy of its numbers")
        return graph.as_tensor(self).value.copy().__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return graph.as_tensor(self).value.__dlpack_device__()

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        return call_ufunc(ufunc, method, inputs, options)

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: Any, options: Any
    ) -> Any:
        return call_function(function, args, options)


def _without_gradient(x: Any, what: str) -> Array:
    """The numbers, for functions that know nothing of tensors.

    Raises:
        GradientError: a tape watches the tensor, and would not see what is done with the numbers.
    """
    tensor = graph.as_tensor(x)
    if tensor.watched:
        raise GradientError(
            f"{what} would lose the gradient of {described(tensor)}: call gradlab's functions, as "
            "gradlab.exp for math.exp; write .numpy(), .item() or gradlab.stop_gradient(x) if a "
            "constant is meant"
        )
    return tensor.numpy()
