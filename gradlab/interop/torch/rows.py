"""What PyTorch computes for each row of the table of operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradlab.errors import require
from gradlab.graph import OPS
from gradlab.graph.dtypes import DType, whole_range
from gradlab.graph.indexing import TAKE
from gradlab.interop.picking import picking

torch: Any = require("torch", "torch")
F: Any = torch.nn.functional

Function = Callable[..., Any]

WIDER = {"uint16": "int32", "uint32": "int64", "uint64": "int64"}
"""Whole numbers that PyTorch has but does not compute with."""


def torch_dtype(dtype: DType) -> Any:
    """PyTorch's dtype for one of NumPy's."""
    return getattr(torch, WIDER.get(dtype.name, dtype.name))


def to_tensor(array: Any) -> Any:
    """A PyTorch tensor with a copy of the numbers."""
    array = np.asarray(array)
    return torch.from_numpy(array.astype(WIDER.get(array.dtype.name, array.dtype)))


# --- indices --------------------------------------------------------------------------------------


def _index(x: Any, *arrays: Any, key: Any) -> Any:
    arrays = torch.broadcast_tensors(*[a.long() for a in arrays]) if arrays else ()
    steps = picking(key, x.ndim, arrays[0].ndim if arrays else 0)
    for axis, part in steps.slices.items():
        places = range(*slice(*part).indices(x.shape[axis]))
        if places.step < 0:  # which PyTorch's slices cannot
            x, places = x.flip(axis), _reversed(places, x.shape[axis])
        x = x[(slice(None),) * axis + (slice(places.start, max(places.stop, 0), places.step),)]
    if steps.picked:
        given = iter(arrays)
        x = x.permute(*steps.picked, *steps.kept)
        if arrays:
            # Numbers in the company of arrays are arrays of one element repeated.
            x = x[
                tuple(
                    next(given) if by == TAKE else torch.full_like(arrays[0], by) for by in steps.by
                )
            ]
        else:
            x = x[steps.by]
        x = x.permute(steps.order)
    for axis in steps.new:
        x = x.unsqueeze(axis)
    return x


def _reversed(places: range, length: int) -> range:
    """Where the places lie once the axis has been turned round."""
    return range(length - 1 - places.start, length - 1 - places.stop, -places.step)


def _index_add(x: Any, *arrays: Any, key: Any, shape: Any) -> Any:
    size = int(np.prod(shape, dtype=int))
    places = _index(torch.arange(size, device=x.device).reshape(shape), *arrays, key=key)
    added = x.broadcast_to(places.shape).reshape(-1)
    return x.new_zeros(size).index_add(0, places.reshape(-1), added).reshape(shape)


# --- convolutions and windows ---------------------------------------------------------------------


def _flat(pads: Any) -> list[int]:
    """(before, after) of each axis as ``F.pad`` takes them: the last axis first."""
    return [n for pair in reversed(pads) for n in pair]


def _conv(x: Any, w: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
    function = (F.conv1d, F.conv2d)[len(stride) - 1]
    if any(before != after for before, after in padding):
        x, padding = F.pad(x, _flat(padding)), ((0, 0),) * len(stride)
    return function(
        x,
        w,
        stride=stride,
        padding=[n for n, _ in padding],
        dilation=dilation,
        groups=groups,
    )


def _conv_input(
    y: Any, w: Any, lengths: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> Any:
    function = (F.conv_transpose1d, F.conv_transpose2d)[len(stride) - 1]
    whole = function(y, w, stride=stride, dilation=dilation, groups=groups)
    # Of the padded input: cut, or filled up with the zeros that no window reached.
    rest = zip(lengths, padding, whole.shape[2:], strict=True)
    return F.pad(whole, _flat([(-before, n + before - m) for n, (before, _), m in rest]))


def _conv_kernel(
    x: Any, y: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> Any:
    seen = _windows(F.pad(x, _flat(padding)), kernel, stride, dilation)
    n, rank = y.shape[0], len(kernel)
    seen = seen.reshape(n, groups, -1, int(np.prod(y.shape[2:])), int(np.prod(kernel)))
    y = y.reshape(n, groups, -1, seen.shape[3])
    w = torch.einsum("ngcpi,ngop->goci", seen, y)
    return w.reshape(-1, w.shape[2], *kernel[:rank])


def _windows(x: Any, size: Any, stride: Any, dilation: Any) -> Any:
    start = x.ndim - len(size)
    for axis, (k, s, d) in enumerate(zip(size, stride, dilation, strict=True), start):
        x = x.unfold(axis, d * (k - 1) + 1, s)[..., ::d]
    return x


def _fold(x: Any, lengths: Any, stride: Any, dilation: Any) -> Any:
    rank, size = len(lengths), int(np.prod(lengths))
    places = torch.arange(size, device=x.device).reshape(lengths)
    places = _windows(places, x.shape[-rank:], stride, dilation).reshape(-1)
    before = x.shape[: -2 * rank]
    added = x.reshape(int(np.prod(before, dtype=int)), places.numel())
    return x.new_zeros(added.shape[0], size).index_add(1, places, added).reshape(*before, *lengths)


# --- the others -----------------------------------------------------------------------------------


def _random(name: str) -> Function:
    """Random words and numbers come from gradlab's own row, so that they are the same bits."""

    def draw(key: Any, count: Any, **params: Any) -> Any:
        words = (np.asarray(word.cpu(), np.uint32) for word in (key, count))
        return to_tensor(OPS[name].forward(np, *words, **params)).to(key.device)

    return draw


def _reduction(function: Function) -> Function:
    return lambda x, axis, keepdims: function(x, dim=axis, keepdim=keepdims)


def _product(tx: bool, ty: bool) -> Function:
    return lambda x, y: torch.matmul(x.mT if tx else x, y.mT if ty else y)


def _astype(x: Any, dtype: DType) -> Any:
    target = torch_dtype(dtype)
    if not x.is_floating_point() or dtype.kind not in "iu":
        return x.to(target)
    low, high, above = whole_range(dtype)  # PyTorch leaves open what a float out of range becomes
    wide = torch.iinfo(target)
    below, over = x < low, x >= above
    whole = torch.where(below | over | x.isnan(), 0, x).to(target)
    whole = torch.where(below, torch.tensor(max(low, wide.min), dtype=target), whole)
    return torch.where(over, torch.tensor(min(high, wide.max), dtype=target), whole)


ROWS: dict[str, Function] = {
    "abs": torch.abs,
    "acos": torch.acos,
    "acosh": torch.acosh,
    "add": torch.add,
    "after": lambda x, *awaited: x,
    "argmax": lambda x, axis: torch.argmax(x, dim=axis),
    "argmin": lambda x, axis: torch.argmin(x, dim=axis),
    "argsort": lambda x, axis: torch.argsort(x, dim=axis, stable=True),
    "asin": torch.asin,
    "asinh": torch.asinh,
    "astype": _astype,
    "astype_integer": _astype,
    "atan": torch.atan,
    "atan2": torch.atan2,
    "atanh": torch.atanh,
    "broadcast_to": lambda x, shape: torch.broadcast_to(x, shape),
    "checkpointed": lambda x, token, number: x,
    "concat": lambda *xs, axis: torch.cat(xs, dim=axis),
    "conv": _conv,
    "conv_input": _conv_input,
    "conv_kernel": _conv_kernel,
    "cos": torch.cos,
    "cosh": torch.cosh,
    "cumsum": lambda x, axis: torch.cumsum(x, dim=axis, dtype=x.dtype),
    "divide": torch.divide,
    "equal": torch.eq,
    "erf": torch.erf,
    "exp": torch.exp,
    "expm1": torch.expm1,
    "floor": torch.floor,
    "floor_divide": torch.floor_divide,
    "fold": _fold,
    "greater": torch.gt,
    "greater_equal": torch.ge,
    "identity": lambda x: x,
    "index": _index,
    "index_add": _index_add,
    "isfinite": torch.isfinite,
    "less": torch.lt,
    "less_equal": torch.le,
    "log": torch.log,
    "log10": torch.log10,
    "log1p": torch.log1p,
    "log2": torch.log2,
    "log_softmax": lambda x, axis: torch.log_softmax(x, dim=axis),
    "logical_and": torch.logical_and,
    "logical_not": torch.logical_not,
    "logical_or": torch.logical_or,
    "logsumexp": _reduction(torch.logsumexp),
    "matmul": _product(False, False),
    "matmul_nt": _product(False, True),
    "matmul_tn": _product(True, False),
    "matmul_tt": _product(True, True),
    "max": _reduction(torch.amax),
    "maximum": torch.maximum,
    "min": _reduction(torch.amin),
    "minimum": torch.minimum,
    "multiply": torch.multiply,
    "negative": torch.negative,
    "not_equal": torch.ne,
    "permute_dims": lambda x, axes: x.permute(axes),
    "pow": torch.pow,
    "random_bits": _random("random_bits"),
    "random_uniform": _random("random_uniform"),
    "relu": torch.relu,
    "remainder": torch.remainder,
    "reshape": lambda x, shape: x.reshape(shape),
    "round": torch.round,
    "sigmoid": torch.sigmoid,
    "sign": torch.sign,
    "sin": torch.sin,
    "sinh": torch.sinh,
    "softplus": lambda x: torch.logaddexp(x, torch.zeros_like(x)),
    "sqrt": torch.sqrt,
    "square": torch.square,
    "stop_gradient": lambda x: x.detach(),
    "subtract": torch.subtract,
    "sum": lambda x, axis, keepdims: torch.sum(x, dim=axis, keepdim=keepdims, dtype=x.dtype),
    "tan": torch.tan,
    "tanh": torch.tanh,
    "where": torch.where,
    "windows": _windows,
}
"""PyTorch's function for each row, by the row's name; add those of rows of your own."""
