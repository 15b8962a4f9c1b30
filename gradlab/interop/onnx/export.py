"""``to_onnx``: a model as a file that ONNX runtimes, browsers and phones run."""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gradlab.errors import ArgumentError, ShapeError, require
from gradlab.execute.native.lower import written_out
from gradlab.execute.simplify import simplify
from gradlab.files import replacing
from gradlab.graph import OPS, Graph, Spec, Symbol, Tensor, Variable, default_dtype, trace
from gradlab.interop.onnx.batch import FIXED, SIZES, merged
from gradlab.interop.onnx.builder import Builder, onnx_dtype
from gradlab.interop.onnx.rows import ROWS
from gradlab.nn import Module
from gradlab.nn.module import in_mode

onnx: Any = require("onnx", "onnx")

OPSET = 20
IR_VERSION = 10
"""As old as the opset allows, so that older runtimes read the file."""


def to_onnx(
    model: Module,
    path: str | os.PathLike[str],
    *examples: Any,
    batch: int | None = None,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write what a model computes in evaluation as an ONNX file, for any batch size.

    Its operations are recorded at three batch sizes; all other lengths are those of the examples.
    Random numbers, if it draws any in evaluation, are ONNX's, and others at each run.
    Names of weights are the model's (but for one that is called as an input or output), those of
    inputs the arguments' of its ``forward``; outputs are "output", or "output_0", "output_1", ...

    Args:
        model: any module.
        path: the file, which is replaced as a whole.
        examples: an input for each argument: an array, a ``Spec``, or a shape such as
            (1, 28, 28), for floats of the default dtype. The first axis is that of the batch.
        batch: a batch size to fix, for a model that treats the batch as more than so many examples.
        metadata: texts to put into the file.

    Raises:
        ArgumentError: no gradlab module, no example, a batch size below 1, an operation without
            ONNX nodes, a model that changes its Variables in evaluation, or one that needs a fixed
            batch size.
        RunError: the file cannot be written; what was there before stays.
        MissingExtraError: onnx is not installed.

    >>> import tempfile
    >>> from gradlab import nn
    >>> path = Path(tempfile.mkdtemp()) / "model.onnx"
    >>> to_onnx(nn.MLP((4, 8, 3)), path, (1, 4))
    >>> [node.op_type for node in onnx.load(path).graph.node]
    ['Transpose', 'MatMul', 'Add', 'Relu', 'Transpose', 'MatMul', 'Add', 'Identity']
    """
    if not isinstance(model, Module):
        raise ArgumentError(f"to_onnx takes a module of gradlab, got {type(model)}")
    if batch is not None and batch < 1:
        raise ArgumentError(f"batch is 1 or more, got {batch}")
    if not examples:
        raise ArgumentError("to_onnx needs an example input, or its shape, for each argument")
    specs = [_spec(example) for example in examples]
    names = _names(model, len(specs))
    paths = {variable: path for path, variable in model.named_variables().items()}
    if batch is None:
        written = [_Written(_record_free(model, specs, n), names, paths) for n in SIZES]
        builder = merged([each.builder for each in written], names[0])
    else:
        written = [_Written(_record(model, specs, batch), names, paths)]
        builder = written[0].builder
    graph = onnx.helper.make_graph(
        builder.nodes,
        type(model).__name__,
        _infos(names, [each.graph.inputs for each in written]),
        _infos(written[0].outputs, [each.graph.outputs for each in written]),
        [onnx.numpy_helper.from_array(array, name) for name, array in builder.used().items()],
    )
    made = onnx.helper.make_model(
        graph,
        producer_name="gradlab",
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    onnx.helper.set_model_props(made, dict(metadata or {}))
    onnx.checker.check_model(made, full_check=True)
    with replacing(Path(path)) as temporary:
        onnx.save(made, temporary)


def _spec(example: Any) -> Spec:
    shaped = isinstance(example, tuple) and all(isinstance(n, int) for n in example)
    spec = Spec(example, default_dtype()) if shaped else Spec.of(example)
    if not spec.shape:
        raise ArgumentError(f"an example needs an axis of the batch, got {example!r}")
    return spec


def _names(model: Module, count: int) -> list[str]:
    """The first arguments of ``forward``."""
    parameters = inspect.signature(model.forward).parameters.values()
    known = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    return [*known, *(f"input_{i}" for i in range(len(known), count))][:count]


def _record_free(model: Module, specs: Sequence[Spec], batch: int) -> Graph:
    """The same at one of several batch sizes, which the model may not take."""
    try:
        return _record(model, specs, batch)
    except ShapeError as error:
        raise ArgumentError(
            f"the model does not take a batch of {batch} rows ({error}); {FIXED}"
        ) from error


def _record(model: Module, specs: Sequence[Spec], batch: int) -> Graph:
    """What the model does in evaluation."""
    with in_mode(model, training=False):
        graph = trace(model, *[Spec((batch, *spec.shape[1:]), spec.dtype) for spec in specs])
    counters = {stream.count for stream in model.named_streams().values()}
    for variable, _ in graph.assigned:
        if variable not in counters:
            name = variable.name or "a Variable"
            raise ArgumentError(f"the model changes {name} in evaluation, which ONNX cannot")
    return simplify(written_out(dataclasses.replace(graph, assigned=()), ROWS))


class _Written:
    """A graph as ONNX nodes.

    Attributes:
        graph: what was written.
        builder: the nodes and constants.
        outputs: names of the outputs.
    """

    def __init__(self, graph: Graph, names: Sequence[str], paths: Mapping[Variable, str]) -> None:
        self.graph = graph
        self.builder = b = Builder()
        count = len(graph.outputs)
        self.outputs = [f"output_{i}" for i in range(count)] if count > 1 else ["output"]
        self._known = {id(x): name for x, name in zip(graph.inputs, names, strict=True)}
        for variable, x in graph.captured:
            path = paths.get(variable)
            free = path not in (*names, *self.outputs)
            self._known[id(x)] = b.constant(variable.held.value, path if free else None)
        pools = _pools(graph)
        for node in graph.nodes:
            if id(node) in pools:
                name = self._pooled(node, pools[id(node)])
            elif any(node is pool for pool in pools.values()):
                continue  # part of its pooling
            else:
                name = self._row(node)
            self._known[id(node)] = name
        for output, name in zip(graph.outputs, self.outputs, strict=True):
            b.node("Identity", self._name(output))
            b.nodes[-1].output[0] = name

    def _name(self, x: Tensor) -> str:
        if id(x) not in self._known:
            self._known[id(x)] = self.builder.constant(x.value)
        return self._known[id(x)]

    def _row(self, node: Symbol) -> str:
        assert node.op is not None
        if OPS.get(node.op.name, node.op) is not node.op or node.op.name not in ROWS:
            raise ArgumentError(
                f"no ONNX nodes are known for the op {node.op.name!r}: give an Op of yours "
                "composed=..., or add them to gradlab.interop.onnx.ROWS by a new name"
            )
        inputs = [self._name(x) for x in node.inputs]
        return ROWS[node.op.name](self.builder, node, *inputs, **node.params)

    def _pooled(self, node: Symbol, windows: Symbol) -> str:
        """A maximum or a sum over windows as one pooling."""
        assert node.op is not None
        x, params = self._name(windows.inputs[0]), windows.params
        settings = {"kernel_shape": params["size"], "strides": params["stride"]}
        if node.op.name == "max":
            return self.builder.node("MaxPool", x, dilations=params["dilation"], **settings)
        mean = self.builder.node("AveragePool", x, **settings)
        count = np.asarray(np.prod(params["size"]), node.dtype)
        return self.builder.node("Mul", mean, count)


def _pools(graph: Graph) -> dict[int, Symbol]:
    """Windows by the id of the maximum or sum over them, where nothing else takes them."""
    taken: dict[int, list[Symbol]] = {}
    for node in graph.nodes:
        for x in node.inputs:
            taken.setdefault(id(x), []).append(node)
    ends = {id(x) for x in graph.outputs}
    found = {}
    for windows in graph.nodes:
        assert windows.op is not None
        if windows.op.name != "windows" or id(windows) in ends or windows.dtype.kind != "f":
            continue
        size, users = windows.params["size"], taken[id(windows)]
        within = tuple(range(windows.ndim - len(size), windows.ndim))
        whole = len(users) == 1 and users[0].params.get("axis") == within
        if not whole or users[0].params["keepdims"] or windows.inputs[0].ndim != len(size) + 2:
            continue
        name = users[0].op.name if users[0].op else ""
        plain = set(windows.params["dilation"]) == {1}
        if name == "max" or (name == "sum" and plain):
            found[id(users[0])] = windows
    return found


def _infos(names: Sequence[str], tensors: Sequence[Sequence[Tensor]]) -> list[Any]:
    """Dtypes and shapes of inputs or outputs; lengths that differ are named."""
    infos = []
    for i, name in enumerate(names):
        shapes = [part[i].shape for part in tensors]
        lengths: list[int | str] = []
        for axis, length in enumerate(shapes[0]):
            seen = tuple(shape[axis] for shape in shapes)
            fixed = len(set(seen)) == 1
            lengths.append(length if fixed else "batch" if seen == SIZES else f"{name}_{axis}")
        kind = onnx_dtype(tensors[0][i].dtype)
        infos.append(onnx.helper.make_tensor_value_info(name, kind, lengths))
    return infos
