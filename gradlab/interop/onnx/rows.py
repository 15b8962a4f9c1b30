"""The ONNX nodes of each row of the table of operations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradlab.errors import ArgumentError
from gradlab.graph import Symbol
from gradlab.graph.dtypes import DType, whole_range
from gradlab.graph.indexing import TAKE, unpacked
from gradlab.graph.windows import positions
from gradlab.interop.onnx.builder import Builder, onnx_dtype
from gradlab.interop.picking import Picking, picking

Row = Callable[..., str]
"""``row(builder, node, *inputs, **params)`` adds ONNX nodes and gives the name of the output."""

FIRST, LAST = -(2**63), 2**63 - 1


def _op(kind: str) -> Row:
    return lambda b, node, *inputs: b.node(kind, *inputs)


def _number(node: Symbol, value: float) -> Any:
    """A number of the dtype of a node's first input."""
    return np.asarray(value, node.inputs[0].dtype)


# --- element by element ---------------------------------------------------------------------------


def _expm1(b: Builder, node: Symbol, x: str) -> str:
    """(eˣ + 1) tanh(x/2), which does not cancel near 0."""
    slope = b.node("Tanh", b.node("Mul", x, _number(node, 0.5)))
    return b.node("Mul", b.node("Add", b.node("Exp", x), _number(node, 1)), slope)


def _log1p(b: Builder, node: Symbol, x: str) -> str:
    """With u = 1 + x as it is rounded: x log u / (u − 1), or x itself where u is 1."""
    one = b.constant(_number(node, 1))
    u = b.node("Add", x, one)
    rounded = b.node("Sub", u, one)
    exact = b.node("Or", b.node("Equal", u, one), b.node("IsInf", u))
    safe = b.node("Where", exact, one, rounded)
    scaled = b.node("Div", b.node("Mul", b.node("Log", u), x), safe)
    return b.node("Where", exact, x, scaled)


def _logarithm(base: int) -> Row:
    return lambda b, node, x: b.node("Div", b.node("Log", x), _number(node, math.log(base)))


def _atan2(b: Builder, node: Symbol, y: str, x: str) -> str:
    """arctan |y/x|, and π minus that left of the y-axis, with the sign of y."""
    zero = b.constant(_number(node, 0))

    def negative(number: str) -> str:
        # The reciprocal says what sign a zero has.
        sign = b.node("Less", b.node("Reciprocal", number), zero)
        return b.node("Or", b.node("Less", number, zero), sign)

    high, wide = b.node("Abs", y), b.node("Abs", x)
    diagonal = b.node("Cast", b.node("Greater", high, zero), to=onnx_dtype(node.dtype))
    slope = b.node("Where", b.node("Equal", high, wide), diagonal, b.node("Div", high, wide))
    angle = b.node("Atan", slope)
    turned = b.node("Where", negative(x), b.node("Sub", _number(node, math.pi), angle), angle)
    return b.node("Where", negative(y), b.node("Neg", turned), turned)


def _not_equal(b: Builder, node: Symbol, x: str, y: str) -> str:
    return b.node("Not", b.node("Equal", x, y))


def _isfinite(b: Builder, node: Symbol, x: str) -> str:
    return b.node("Not", b.node("Or", b.node("IsNaN", x), b.node("IsInf", x)))


def _floor_divide(b: Builder, node: Symbol, x: str, y: str) -> str:
    if node.dtype.kind == "f":
        return b.node("Floor", b.node("Div", x, y))
    return b.node("Div", b.node("Sub", x, b.node("Mod", x, y)), y)  # ONNX rounds towards 0


def _remainder(b: Builder, node: Symbol, x: str, y: str) -> str:
    if node.dtype.kind == "f":
        return b.node("Sub", x, b.node("Mul", _floor_divide(b, node, x, y), y))
    return b.node("Mod", x, y)


def _logical(kind: str) -> Row:
    def row(b: Builder, node: Symbol, *inputs: str) -> str:
        flags = [
            name if x.dtype.kind == "b" else b.node("Cast", name, to=onnx_dtype(np.dtype(np.bool_)))
            for name, x in zip(inputs, node.inputs, strict=True)
        ]
        return b.node(kind, *flags)

    return row


def _astype(b: Builder, node: Symbol, x: str, dtype: DType) -> str:
    source = node.inputs[0].dtype
    if source.kind != "f" or dtype.kind not in "iu":
        return b.node("Cast", x, to=onnx_dtype(dtype))
    low, high, above = whole_range(dtype)  # ONNX leaves open what a float out of range becomes
    below = b.node("Less", x, np.array(low, source))
    over = b.node("GreaterOrEqual", x, np.array(above, source))
    outside = b.node("Or", b.node("Or", below, over), b.node("IsNaN", x))
    inside = b.node("Where", outside, np.zeros((), source), x)
    whole = b.node("Cast", inside, to=onnx_dtype(dtype))
    whole = b.node("Where", below, np.array(low, dtype), whole)
    return b.node("Where", over, np.array(high, dtype), whole)


# --- reductions and products ----------------------------------------------------------------------


def _reduction(kind: str) -> Row:
    def row(b: Builder, node: Symbol, x: str, axis: Any, keepdims: bool) -> str:
        return b.node(kind, x, b.integers(axis), keepdims=int(keepdims))

    return row


def _position(kind: str) -> Row:
    return lambda b, node, x, axis: b.node(kind, x, axis=axis, keepdims=0)


def _argsort(b: Builder, node: Symbol, x: str, axis: int) -> str:
    length = b.integers([node.shape[axis]])
    name = b.node("TopK", x, length, axis=axis, largest=0, sorted=1) + "_order"
    b.nodes[-1].output.append(name)
    return name


def _cumsum(b: Builder, node: Symbol, x: str, axis: int) -> str:
    return b.node("CumSum", x, b.integers(axis))


def _product(tx: bool, ty: bool) -> Row:
    def turned(b: Builder, name: str, ndim: int) -> str:
        return b.node("Transpose", name, perm=[*range(ndim - 2), ndim - 1, ndim - 2])

    def row(b: Builder, node: Symbol, x: str, y: str) -> str:
        left = turned(b, x, node.inputs[0].ndim) if tx else x
        return b.node("MatMul", left, turned(b, y, node.inputs[1].ndim) if ty else y)

    return row


# --- shapes ---------------------------------------------------------------------------------------


def _reshape(b: Builder, node: Symbol, x: str, shape: Any) -> str:
    return b.node("Reshape", x, b.integers(shape), allowzero=1 if 0 in shape else None)


def _broadcast_to(b: Builder, node: Symbol, x: str, shape: Any) -> str:
    # 1 keeps a length as it is, whatever the batch size.
    own = (*[1] * (len(shape) - node.inputs[0].ndim), *node.inputs[0].shape)
    return b.node("Expand", x, b.integers([1 if n == m else n for n, m in zip(shape, own)]))  # noqa: B905


def _index(b: Builder, node: Symbol, x: str, *arrays: str, key: Any) -> str:
    inputs = node.inputs[1:]
    common = np.broadcast_shapes(*[a.shape for a in inputs])
    source = node.inputs[0]
    steps = picking(key, source.ndim, len(common) if arrays else 0)
    if steps.slices:
        x = _sliced(b, steps, x)
    if not arrays:
        for axis, number in sorted(zip(steps.picked, steps.by, strict=True), reverse=True):
            x = b.node("Gather", x, b.integers(number), axis=axis)
    elif len(steps.picked) == 1:
        (axis,) = steps.picked
        x = b.node("Gather", x, arrays[0], axis=axis)
        place = sum(other < axis for other in steps.kept)
        count = len(common)
        now = [*range(count, count + place), *range(count), *range(count + place, len(steps.order))]
        x = _permuted(b, x, [now.index(axis) for axis in steps.order])
    else:
        x = _permuted(b, x, [*steps.picked, *steps.kept])
        x = b.node("GatherND", x, _together(b, node, steps, arrays, common))
        x = _permuted(b, x, list(steps.order))
    return b.node("Unsqueeze", x, b.integers(steps.new)) if steps.new else x


def _sliced(b: Builder, steps: Picking, x: str) -> str:
    """Slices, of which ONNX counts the bounds as Python does, whatever the length.

    It does so for steps ahead; of those that go back, the same part is cut out first.
    """
    ahead, back = [], []
    for axis, (start, stop, step) in steps.slices.items():
        if step is None or step > 0:
            ahead.append((start or 0, LAST if stop is None else stop, axis, step or 1))
            continue
        low = 0 if stop is None else LAST if stop == -1 else stop + 1
        ahead.append((low, LAST if start in (None, -1) else start + 1, axis, 1))
        back.append((LAST, FIRST, axis, step))
    for bounds in filter(None, (ahead, back)):
        x = b.node("Slice", x, *[b.integers(column) for column in zip(*bounds, strict=True)])
    return x


def _permuted(b: Builder, x: str, order: list[int]) -> str:
    return x if order == sorted(order) else b.node("Transpose", x, perm=order)


def _together(
    b: Builder, node: Symbol, steps: Picking, arrays: tuple[str, ...], common: Any
) -> str:
    """Index arrays side by side along a new last axis, as GatherND takes them."""
    given = iter(zip(arrays, node.inputs[1:], strict=True))
    parts = []
    for by in steps.by:
        if by != TAKE:
            parts.append(b.constant(np.full((*common, 1), by, np.int64)))
            continue
        name, array = next(given)
        if array.dtype != np.int64:
            name = b.node("Cast", name, to=onnx_dtype(np.dtype(np.int64)))
        if array.shape != common:
            own = (*[1] * (len(common) - array.ndim), *array.shape)
            target = [1 if n == m else n for n, m in zip(common, own, strict=True)]
            name = b.node("Expand", name, b.integers(target))
        parts.append(b.node("Unsqueeze", name, b.integers([-1])))
    return b.node("Concat", *parts, axis=-1)


def _index_add(b: Builder, node: Symbol, x: str, *arrays: str, key: Any, shape: Any) -> str:
    source = node.inputs[0]
    spans = [range(*slice(*part).indices(n)) for part, n in zip(key, shape, strict=False)
             if isinstance(part, tuple)]  # fmt: skip
    padding = len(spans) == len(key) == len(shape) and all(span.step == 1 for span in spans)
    if padding and tuple(map(len, spans)) == source.shape:
        before = [span.start for span in spans]
        after = [n - a - len(span) for n, a, span in zip(shape, before, spans, strict=True)]
        return b.node("Pad", x, b.integers(before + after), _number(node, 0))
    if any(isinstance(a, Symbol) for a in node.inputs[1:]):
        raise ArgumentError(
            "ONNX export adds at places known beforehand only, not at computed ones"
        )
    size = math.prod(shape)
    picked = unpacked(key, tuple(a.value for a in node.inputs[1:]))
    places = np.arange(size).reshape(shape)[picked]
    added = b.node("Expand", x, b.integers(places.shape))
    flat, where = (
        b.node("Reshape", name, b.integers([-1])) for name in (added, b.integers(places))
    )
    zeros = b.constant(np.zeros(size, node.dtype))
    summed = b.node("ScatterElements", zeros, where, flat, axis=0, reduction="add")
    return b.node("Reshape", summed, b.integers(shape))


# --- convolutions and windows ---------------------------------------------------------------------


def _conv(b: Builder, node: Symbol, x: str, w: str, **params: Any) -> str:
    return b.node("Conv", x, w, **_steps(params))


def _conv_input(b: Builder, node: Symbol, y: str, w: str, lengths: Any, **params: Any) -> str:
    """The transposed convolution, to one of the lengths that the convolution maps to y's."""
    kernel = node.inputs[1].shape[2:]
    along = zip(lengths, node.inputs[0].shape[2:], kernel, params["stride"], params["padding"],
                params["dilation"], strict=True)  # fmt: skip
    rest = [n + sum(p) - ((m - 1) * s + d * (k - 1) + 1) for n, m, k, s, p, d in along]
    return b.node("ConvTranspose", y, w, output_padding=rest, **_steps(params))


def _steps(params: dict[str, Any]) -> dict[str, Any]:
    pads = params["padding"]
    return {
        "strides": params["stride"],
        "pads": [before for before, _ in pads] + [after for _, after in pads],
        "dilations": params["dilation"],
        "group": params["groups"],
    }


def _windows(b: Builder, node: Symbol, x: str, size: Any, stride: Any, dilation: Any) -> str:
    """Picked axis by axis; a maximum or a sum over windows is a pooling (see ``pooling``)."""
    shape, rank = node.inputs[0].shape, len(size)
    start = len(shape) - rank
    for i in reversed(range(rank)):
        count = positions(shape[start + i], size[i], stride[i], dilation[i])
        places = np.arange(count)[:, None] * stride[i] + np.arange(size[i]) * dilation[i]
        x = b.node("Gather", x, b.integers(places), axis=start + i)
    pairs = range(start, start + 2 * rank)
    return _permuted(b, x, [*range(start), *pairs[::2], *pairs[1::2]])


def _random_uniform(b: Builder, node: Symbol, key: str, draw: str, shape: Any, dtype: DType) -> str:
    """ONNX's own random numbers: key and counter would need arithmetic that it has not."""
    like = b.node("Expand", np.zeros((), dtype), b.integers(shape))
    return b.node("RandomUniformLike", like)


ROWS: dict[str, Row] = {
    "abs": _op("Abs"),
    "acos": _op("Acos"),
    "acosh": _op("Acosh"),
    "add": _op("Add"),
    "argmax": _position("ArgMax"),
    "argmin": _position("ArgMin"),
    "argsort": _argsort,
    "asin": _op("Asin"),
    "asinh": _op("Asinh"),
    "astype": _astype,
    "astype_integer": _astype,
    "atan": _op("Atan"),
    "atan2": _atan2,
    "atanh": _op("Atanh"),
    "broadcast_to": _broadcast_to,
    "concat": lambda b, node, *xs, axis: b.node("Concat", *xs, axis=axis),
    "conv": _conv,
    "conv_input": _conv_input,
    "cos": _op("Cos"),
    "cosh": _op("Cosh"),
    "cumsum": _cumsum,
    "divide": _op("Div"),
    "equal": _op("Equal"),
    "erf": _op("Erf"),
    "exp": _op("Exp"),
    "expm1": _expm1,
    "floor": _op("Floor"),
    "floor_divide": _floor_divide,
    "greater": _op("Greater"),
    "greater_equal": _op("GreaterOrEqual"),
    "identity": _op("Identity"),
    "index": _index,
    "index_add": _index_add,
    "isfinite": _isfinite,
    "less": _op("Less"),
    "less_equal": _op("LessOrEqual"),
    "log": _op("Log"),
    "log10": _logarithm(10),
    "log1p": _log1p,
    "log2": _logarithm(2),
    "log_softmax": lambda b, node, x, axis: b.node("LogSoftmax", x, axis=axis),
    "logical_and": _logical("And"),
    "logical_not": _logical("Not"),
    "logical_or": _logical("Or"),
    "logsumexp": _reduction("ReduceLogSumExp"),
    "matmul": _product(False, False),
    "matmul_nt": _product(False, True),
    "matmul_tn": _product(True, False),
    "matmul_tt": _product(True, True),
    "max": _reduction("ReduceMax"),
    "maximum": _op("Max"),
    "min": _reduction("ReduceMin"),
    "minimum": _op("Min"),
    "multiply": _op("Mul"),
    "negative": _op("Neg"),
    "not_equal": _not_equal,
    "permute_dims": lambda b, node, x, axes: b.node("Transpose", x, perm=axes),
    "pow": _op("Pow"),
    "random_uniform": _random_uniform,
    "relu": _op("Relu"),
    "remainder": _remainder,
    "reshape": _reshape,
    "round": _op("Round"),
    "sigmoid": _op("Sigmoid"),
    "sign": _op("Sign"),
    "sin": _op("Sin"),
    "sinh": _op("Sinh"),
    "softplus": _op("Softplus"),
    "sqrt": _op("Sqrt"),
    "square": lambda b, node, x: b.node("Mul", x, x),
    "stop_gradient": _op("Identity"),
    "subtract": _op("Sub"),
    "sum": _reduction("ReduceSum"),
    "tan": _op("Tan"),
    "tanh": _op("Tanh"),
    "where": _op("Where"),
    "windows": _windows,
}
"""ONNX nodes for each row, by the row's name; add those of rows of your own.

Rows that only gradients and training have are not among them: after, checkpointed, conv_kernel,
fold, random_bits.
"""
