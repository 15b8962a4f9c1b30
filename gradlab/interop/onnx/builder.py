"""Builder, ONNX nodes and constants in the making."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradlab.errors import require
from gradlab.graph.dtypes import Array, DType

onnx: Any = require("onnx", "onnx")


class Builder:
    """The nodes of one graph, and the constants that they take.

    Args:
        prefix: what their names begin with.

    Attributes:
        nodes: ONNX nodes, each of one output.
        constants: arrays by name.
    """

    def __init__(self, prefix: str = "") -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, Array] = {}
        self._prefix = prefix
        self._made = 0

    def node(self, kind: str, *inputs: str | Array, **attributes: Any) -> str:
        """Add a node; returns the name of its output.

        Args:
            kind: the operator of ONNX.
            inputs: names, or arrays, which become constants.
            attributes: the operator's; those that are None are left out.
        """
        names = [x if isinstance(x, str) else self.constant(x) for x in inputs]
        output = self._name(kind.lower())
        given = {key: value for key, value in attributes.items() if value is not None}
        self.nodes.append(onnx.helper.make_node(kind, names, [output], name=output, **given))
        return output

    def constant(self, array: Any, name: str | None = None) -> str:
        """Add a constant; returns its name."""
        chosen = name or self._name("constant")
        self.constants[chosen] = np.asarray(array)
        return chosen

    def integers(self, numbers: Any) -> str:
        """Add a constant of whole numbers: a shape, axes, bounds."""
        return self.constant(np.asarray(numbers, np.int64))

    def used(self) -> dict[str, Array]:
        """The constants that a node takes."""
        taken = {name for node in self.nodes for name in node.input}
        return {name: array for name, array in self.constants.items() if name in taken}

    def _name(self, kind: str) -> str:
        self._made += 1
        return f"/{self._prefix}{kind}_{self._made}"  # with "/", it is no weight's name


def onnx_dtype(dtype: DType) -> int:
    """ONNX's number of a dtype."""
    found: int = onnx.helper.np_dtype_to_tensor_dtype(dtype)
    return found
