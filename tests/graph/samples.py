"""Valid random inputs and parameters for every row of the table of operations.

    sample = draw(OPS["matmul"], np.random.default_rng(0), np.float32)
    apply(OPS["matmul"], tuple(map(as_tensor, sample.inputs)), sample.params)

Elementwise rows are drawn from their domain, over shapes that broadcast; the others from a sampler
of their own. Lengths of 0 and 1 and arrays without axes come up throughout. Points stay away from
kinks, so that finite differences make sense.
"""

import math
from typing import Any, NamedTuple

import numpy as np

import gradlab as gl
from gradlab.graph import OPS, Op, Spec, Symbol, trace

FLOATS = (np.float32, np.float64)
KINK_DISTANCE = 0.05


class Sample(NamedTuple):
    inputs: tuple[np.ndarray, ...]
    params: dict[str, Any]


def draw(op: Op, rng: np.random.Generator, dtype: Any) -> Sample:
    """Inputs of a floating dtype (where the row takes floats) and parameters for one row."""
    if op.domain:
        return elementwise(op, rng, dtype)
    return SAMPLERS[op.name](rng, dtype)


# --- shapes and numbers -----------------------------------------------------------------------


def shape(rng, ndim=None, low=0, high=4):
    """Mostly short axes, now and then an empty one."""
    ndim = int(rng.integers(0, 4)) if ndim is None else ndim
    lengths = rng.integers(1, high + 1, ndim)
    if low == 0 and ndim and rng.random() < 0.1:
        lengths[rng.integers(ndim)] = 0
    return tuple(int(n) for n in lengths)


def broadcasting(rng, full):
    """A shape that broadcasts to the full one: some axes of length one, some left out."""
    kept = [1 if rng.random() < 0.25 else n for n in full]
    return tuple(kept[int(rng.integers(0, len(full) + 1)) if rng.random() < 0.3 else 0 :])


def normal(rng, size, dtype):
    return np.asarray(rng.standard_normal(size), dtype)


def axes(rng, size, nonempty):
    """One or more of the axes, in ascending order; asked for, only such as have elements."""
    fitting = [a for a, n in enumerate(size) if n or not nonempty]
    count = int(rng.integers(1, len(fitting) + 1))
    return tuple(sorted(int(a) for a in rng.choice(fitting, count, replace=False)))


def elementwise(op, rng, dtype):
    full = shape(rng)
    shapes = [broadcasting(rng, full) for _ in op.domain]
    inputs = []
    for place, (domain, size) in enumerate(zip(op.domain, shapes, strict=True)):
        x = rng.uniform(domain.low, domain.high, size)
        if len(op.domain) == 1:
            for kink in op.kinks:
                near = np.abs(x - kink.at[0]) < KINK_DISTANCE
                x = np.where(near, kink.at[0] + 2 * KINK_DISTANCE, x)
        boolean = op.name.startswith("logical") or (op.name == "where" and place == 0)
        inputs.append(rng.random(size) < 0.5 if boolean else np.asarray(x, dtype))
    if op.name.endswith("equal") and rng.random() < 0.5:  # real numbers seldom are
        inputs = [np.round(x) for x in inputs]
    return Sample(tuple(np.asarray(x) for x in inputs), {})


def extremes(op, dtype):
    """Every combination of the extreme values in a row's domain, one array an input."""
    grid = np.meshgrid(*[np.array(d.extremes, np.float64) for d in op.domain], indexing="ij")
    with np.errstate(over="ignore"):
        return tuple(x.ravel().astype(dtype) for x in grid)


def key(rng, size):
    """What may stand in square brackets behind an array of that shape."""
    used = int(rng.integers(0, len(size) + 1))
    dots = rng.random() < 0.5
    place = int(rng.integers(0, used + 1)) if dots else used
    picked = shape(rng, int(rng.integers(0, 3)), high=3)  # index arrays must broadcast together
    parts = []
    for number in range(used):
        if dots and number == place:
            parts.append(...)
        if rng.random() < 0.2:
            parts.append(None)
        axis = number if number < place else number + len(size) - used
        parts.append(_key_part(rng, size[axis], picked))
    if dots and place == used:
        parts.append(...)
    if rng.random() < 0.2:
        parts.append(None)
    return tuple(parts)


def _key_part(rng, length, picked):
    kind = rng.choice(["integer", "slice", "array"]) if length else "slice"
    if kind == "integer":
        return int(rng.integers(-length, length))
    if kind == "array":
        return np.asarray(rng.integers(-length, length, broadcasting(rng, picked)))
    bounds = [int(b) if rng.random() < 0.7 else None for b in rng.integers(-5, 6, 2)]
    step = int(rng.choice([-3, -2, -1, 1, 2, 3])) if rng.random() < 0.5 else None
    return slice(*bounds, step)


# --- rows whose inputs need structure ---------------------------------------------------------


def _any_shape(rng, dtype):
    return Sample((normal(rng, shape(rng), dtype),), {})


def _after(rng, dtype):
    return Sample(tuple(normal(rng, shape(rng), dtype) for _ in range(rng.integers(1, 4))), {})


def _checkpointed(rng, dtype):
    return Sample((normal(rng, shape(rng), dtype), np.zeros((), np.int64)), {"number": 0})


INFINITE = (np.inf, -np.inf, np.nan)


def _astype(rng, dtype):
    return Sample((normal(rng, shape(rng), dtype),), {"dtype": np.dtype(FLOATS[rng.integers(2)])})


def _astype_integer(rng, dtype):
    target = rng.choice(["int64", "int32", "uint8", "bool", str(np.dtype(dtype))])
    size = shape(rng)
    if target == np.dtype(dtype):
        return Sample((rng.integers(0, 5, size),), {"dtype": np.dtype(target)})
    extremes = [0.0, -0.5, 1.7, 255.9, 2.0**31, -(2.0**31), 2.0**63, 1e30, -1e30, *INFINITE]
    return Sample((rng.choice(extremes, size).astype(dtype),), {"dtype": np.dtype(target)})


def _with_axes(rng, dtype, nonempty):
    # At most one length is 0, so that of two axes one has elements.
    x = normal(rng, shape(rng, int(rng.integers(1 + nonempty, 4))), dtype)
    return x, axes(rng, x.shape, nonempty)


def _reduction(rng, dtype, nonempty=False):
    x, chosen = _with_axes(rng, dtype, nonempty)
    return Sample((x,), {"axis": chosen, "keepdims": bool(rng.integers(2))})


def _nonempty_reduction(rng, dtype):
    return _reduction(rng, dtype, nonempty=True)


def _along_axis(rng, dtype, nonempty=False):
    x, chosen = _with_axes(rng, dtype, nonempty)
    return Sample((x,), {"axis": chosen[0]})


def _along_nonempty_axis(rng, dtype):
    return _along_axis(rng, dtype, nonempty=True)


def _reshape(rng, dtype):
    x = normal(rng, shape(rng), dtype)
    lengths = [n for n in x.shape for n in ((n, 1) if rng.random() < 0.3 else (n,))]
    if rng.random() < 0.5:
        lengths = [math.prod(lengths)]
    return Sample((x,), {"shape": tuple(lengths)})


def _permute_dims(rng, dtype):
    x = normal(rng, shape(rng), dtype)
    return Sample((x,), {"axes": tuple(int(a) for a in rng.permutation(x.ndim))})


def _broadcast_to(rng, dtype):
    full = shape(rng)
    return Sample((normal(rng, broadcasting(rng, full), dtype),), {"shape": full})


def _concat(rng, dtype):
    full = list(shape(rng, int(rng.integers(1, 4))))
    axis = int(rng.integers(len(full)))
    parts = []
    for _ in range(int(rng.integers(1, 4))):
        full[axis] = int(rng.integers(0, 4))
        parts.append(normal(rng, tuple(full), dtype))
    return Sample(tuple(parts), {"axis": axis})


def _matmul(rng, dtype):
    rows, inner, columns = shape(rng, 3)
    batch = shape(rng, int(rng.integers(0, 3)), high=3)
    x = normal(rng, (*broadcasting(rng, batch), rows, inner), dtype)
    y = normal(rng, (*broadcasting(rng, batch), inner, columns), dtype)
    return Sample((x, y), {})


def _transposed(sample, *which):
    """Matrices that the row transposes back."""
    turned = (np.swapaxes(x, -1, -2) if i in which else x for i, x in enumerate(sample.inputs))
    return Sample(tuple(turned), sample.params)


def _recorded(name, function, x):
    """The row as it was applied inside a function of one array."""
    graph = trace(function, Spec(x.shape, x.dtype))
    (node,) = [node for node in graph.nodes if node.op.name == name]
    inputs = tuple(x if isinstance(part, Symbol) else part.value for part in node.inputs)
    return Sample(inputs, dict(node.params))


def _index(rng, dtype):
    x = normal(rng, shape(rng), dtype)
    picked = key(rng, x.shape)
    return _recorded("index", lambda x: gl.index(x, picked), x)


def _index_add(rng, dtype):
    target = shape(rng)
    picked = key(rng, target)
    values = normal(rng, broadcasting(rng, np.empty(target)[picked].shape), dtype)
    return _recorded("index_add", lambda v: gl.index_add(target, picked, v), values)


def _words(rng):
    return (rng.integers(2**32, size=2, dtype=np.uint32), rng.integers(2**32, dtype=np.uint32))


def _random_bits(rng, dtype):
    key, count = _words(rng)
    return Sample((key, np.asarray(count)), {"shape": shape(rng)})


def _random_uniform(rng, dtype):
    inputs, params = _random_bits(rng, dtype)
    return Sample(inputs, params | {"dtype": np.dtype(dtype)})


def _windows(rng, dtype):
    rank = int(rng.integers(1, 3))
    params = {name: _numbers(rng, rank, 1, 2) for name in ("stride", "dilation")}
    size = _numbers(rng, rank, 1, 3)
    lengths = _long_enough(rng, size, params["dilation"])
    return Sample((normal(rng, (*shape(rng, 1), *lengths), dtype),), {"size": size} | params)


def _fold(rng, dtype):
    sample = _windows(rng, dtype)
    rank = len(sample.params["size"])
    made = gl.windows(sample.inputs[0], **sample.params)
    params = {"lengths": sample.inputs[0].shape[-rank:]}
    params |= {name: sample.params[name] for name in ("stride", "dilation")}
    return Sample((normal(rng, made.shape, dtype),), params)


def _numbers(rng, count, low, high):
    return tuple(int(n) for n in rng.integers(low, high + 1, count))


def _long_enough(rng, size, dilation):
    """Lengths that hold a window or a few."""
    extra = rng.integers(0, 4, len(size))
    return tuple(int(d * (k - 1) + 1 + e) for k, d, e in zip(size, dilation, extra, strict=True))


def _convolution(rng, dtype):
    """Shapes of x, w and y that fit together, and the parameters of their rows."""
    rank, groups = int(rng.integers(1, 3)), int(rng.integers(1, 3))
    params = {name: _numbers(rng, rank, 1, 2) for name in ("stride", "dilation")}
    kernel = _numbers(rng, rank, 1, 3)
    lengths = _long_enough(rng, kernel, params["dilation"])
    padding = tuple(_numbers(rng, 2, 0, 2) for _ in range(rank))
    params |= {"padding": padding, "groups": groups}
    n, c, o = _numbers(rng, 3, 1, 3)
    x, w = (n, groups * c, *lengths), (groups * o, c, *kernel)
    y = gl.conv(np.zeros(x), np.zeros(w), **params).shape
    return x, w, y, params


def _conv(rng, dtype):
    x, w, _, params = _convolution(rng, dtype)
    return Sample((normal(rng, x, dtype), normal(rng, w, dtype)), params)


def _conv_input(rng, dtype):
    x, w, y, params = _convolution(rng, dtype)
    return Sample((normal(rng, y, dtype), normal(rng, w, dtype)), params | {"lengths": x[2:]})


def _conv_kernel(rng, dtype):
    x, w, y, params = _convolution(rng, dtype)
    return Sample((normal(rng, x, dtype), normal(rng, y, dtype)), params | {"kernel": w[2:]})


SAMPLERS = {
    "after": _after,
    "argmax": _along_nonempty_axis,
    "argmin": _along_nonempty_axis,
    "argsort": _along_axis,
    "astype": _astype,
    "astype_integer": _astype_integer,
    "broadcast_to": _broadcast_to,
    "checkpointed": _checkpointed,
    "concat": _concat,
    "conv": _conv,
    "conv_input": _conv_input,
    "conv_kernel": _conv_kernel,
    "cumsum": _along_axis,
    "fold": _fold,
    "identity": _any_shape,
    "index": _index,
    "index_add": _index_add,
    "log_softmax": _along_nonempty_axis,
    "logsumexp": _nonempty_reduction,
    "matmul": _matmul,
    "matmul_nt": lambda rng, dtype: _transposed(_matmul(rng, dtype), 1),
    "matmul_tn": lambda rng, dtype: _transposed(_matmul(rng, dtype), 0),
    "matmul_tt": lambda rng, dtype: _transposed(_matmul(rng, dtype), 0, 1),
    "max": _nonempty_reduction,
    "min": _nonempty_reduction,
    "permute_dims": _permute_dims,
    "random_bits": _random_bits,
    "random_uniform": _random_uniform,
    "reshape": _reshape,
    "stop_gradient": _any_shape,
    "sum": _reduction,
    "windows": _windows,
}
ROWS = sorted(OPS)
"""Names of all rows, for pytest.mark.parametrize."""
