"""Every row of the table in machine code, beside NumPy: dtypes, shapes, layouts, extreme values.

Many samples are compiled as one program, since compiling is what takes the time. Bounds: bounds.py.
"""

import numpy as np
import pytest

from gradlab.execute import program
from gradlab.graph import OPS, Spec, apply, as_tensor, astype, trace
from tests.execute.native.bounds import assert_close
from tests.graph.samples import FLOATS, ROWS, draw, extremes, shape

EXECUTOR = "native"
SAMPLES = {"index": 40, "index_add": 40}
"""Drawn for each floating dtype; for other rows 12."""

WHOLE = ("int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8")
ORDERED = ("equal", "greater", "greater_equal", "less", "less_equal", "not_equal")
TRUTHS = ("logical_and", "logical_or", "logical_not")
ARITHMETIC = ("add", "multiply", "square")
DIFFERENCES = ("negative", "sign", "subtract")
QUOTIENTS = ("floor_divide", "remainder")
EITHER = ("abs", "maximum", "minimum", "where")
OF_WHOLE = {*ORDERED, *TRUTHS, *ARITHMETIC, *DIFFERENCES, *QUOTIENTS, *EITHER, "pow"}
"""Elementwise rows that the public functions apply to whole numbers."""
OF_BOOLEANS = {*ORDERED, *TRUTHS, *ARITHMETIC, *EITHER}
MOVES = {
    *("broadcast_to", "concat", "identity", "index", "permute_dims", "reshape", "stop_gradient"),
    *("max", "min", "argmax", "argmin", "argsort", "astype_integer"),
}
"""Rows of any dtype that are drawn by a sampler of their own."""


# --- layouts ------------------------------------------------------------------------------------


def _fortran(x, rng):
    return np.asfortranarray(x)


def _permuted(x, rng):
    order = rng.permutation(x.ndim)
    return np.ascontiguousarray(x.transpose(order)).transpose(np.argsort(order))


def _strided(x, rng):
    steps = rng.integers(1, 4, x.ndim)
    wide = np.zeros([n * int(k) for n, k in zip(x.shape, steps, strict=True)], x.dtype)
    view = wide[tuple(slice(None, None, int(k)) for k in steps)]
    view[...] = x
    return view


def _backwards(x, rng):
    back = tuple(slice(None, None, -1 if rng.random() < 0.7 else 1) for _ in range(x.ndim))
    return np.ascontiguousarray(x[back])[back]


def _shifted(x, rng):
    """Somewhere in a buffer, and not where an element of its size may lie."""
    place = int(rng.integers(1, 16))
    buffer = np.zeros(x.nbytes + place, np.uint8)
    view = buffer[place:].view(x.dtype).reshape(x.shape)
    view[...] = x
    return view


def _repeated(x, rng):
    """One row for all: an axis without a stride, where the row is the same."""
    if x.shape[0] < 2:
        return x
    return np.broadcast_to(x[:1], x.shape)


def _read_only(x, rng):
    x = x.copy()
    x.flags.writeable = False
    return x


LAYOUTS = (_fortran, _permuted, _strided, _backwards, _shifted, _repeated, _read_only)


def laid_out(x, rng, index=False):
    """The same array in another place of memory; of index arrays no row may be changed."""
    layout = LAYOUTS[rng.integers(len(LAYOUTS))] if x.ndim else _shifted
    return x if index and layout is _repeated else layout(x, rng)


# --- many samples in one program ----------------------------------------------------------------


def check(samples, rng):
    """Compile all samples, rows by name with inputs and parameters, as one program and compare."""
    inputs, plans = [], []
    for name, arrays, params in samples:
        places = []
        for number, x in enumerate(arrays):
            # Beside the first, an input is now and then a constant of the program.
            if number and rng.random() < 0.2:
                places.append(as_tensor(x))
            else:
                places.append(len(inputs))
                index = name.startswith("index") and number
                inputs.append(x if rng.random() < 0.4 else laid_out(x, rng, index))
        plans.append((name, places, params))

    def all_of_them(*symbols):
        return [
            apply(OPS[name], tuple(symbols[p] if isinstance(p, int) else p for p in places), params)
            for name, places, params in plans
        ]

    graph = trace(all_of_them, *[Spec(x.shape, x.dtype) for x in inputs])
    found, _ = program(graph, EXECUTOR).run(inputs, [])
    before = [x.copy() for x in inputs]
    for number, (name, places, params) in enumerate(plans):
        given = [inputs[p] if isinstance(p, int) else p.value for p in places]
        with np.errstate(all="ignore"):
            expected = np.asarray(OPS[name].forward(np, *given, **params))
        assert_close(name, found[number], expected, given, params, f" (sample {number})")
    for x, y in zip(inputs, before, strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("name", ROWS)
def test_floats(name):
    rng = np.random.default_rng(ROWS.index(name))
    drawn = [(name, *draw(OPS[name], rng, d)) for d in FLOATS for _ in range(SAMPLES.get(name, 12))]
    check(drawn, rng)


def test_slices_of_longer_axes():
    rng = np.random.default_rng(8)
    x = rng.normal(size=(13, 17)).astype(np.float32)
    samples = []
    for _ in range(20):
        bounds = [None if rng.random() < 0.2 else int(b) for b in rng.integers(-20, 21, 4)]
        steps = [int(step) for step in rng.choice([-7, -3, -1, 1, 2, 3, 5], 2)]
        picked = tuple((*bounds[2 * i : 2 * i + 2], steps[i]) for i in range(2))
        samples.append(("index", (x,), {"key": picked}))
        values = x[tuple(slice(*part) for part in picked)]
        samples.append(("index_add", (values,), {"key": picked, "shape": x.shape}))
    check(samples, rng)


@pytest.mark.parametrize("name", [name for name in ROWS if OPS[name].domain])
def test_extreme_values(name):
    """NaN, infinities, zeros of both signs, subnormal and largest numbers, in all combinations."""
    rng = np.random.default_rng(0)
    op = OPS[name]
    samples = []
    for dtype in FLOATS:
        info = np.finfo(dtype)
        points = [0, 1, 2.5, info.max, info.tiny, info.smallest_subnormal, 7 * info.tiny / 16]
        points = np.array([*points, np.inf, np.nan, np.pi, 3e-5], dtype)
        points = np.concatenate([points, -points])
        inside = [points[~(np.abs(points) > 1)] if name in ("acos", "asin") else points]
        grid = np.meshgrid(*inside * len(op.domain), indexing="ij")
        for arrays in (extremes(op, dtype), tuple(x.ravel() for x in grid)):
            if name == "where":
                arrays = (arrays[0] > 0, *arrays[1:])
            samples.append((name, tuple(np.resize(x, x.size + 3) for x in arrays), {}))
    check(samples, rng)


def whole(name, dtype, rng):
    """A sample of an elementwise row for whole numbers, the extremes of the dtype among them."""
    size = shape(rng, low=0, high=6)
    if dtype == "bool":
        arrays = [rng.random(size) < 0.5 for _ in OPS[name].domain]
    elif name == "pow":
        arrays = [rng.integers(0, 5, size).astype(dtype) for _ in OPS[name].domain]
    else:
        info = np.iinfo(dtype)
        edges = np.array([info.min, info.max, 0, 1, info.max - 1, info.max // 2], dtype)
        small = rng.integers(-5 if info.min else 0, 6, (len(OPS[name].domain), *size)).astype(dtype)
        arrays = [np.where(rng.random(size) < 0.3, rng.choice(edges, size), x) for x in small]
        if info.min and len(arrays) == 2:
            arrays = [np.append(arrays[0], edges[:1]), np.append(arrays[1], np.array(-1, dtype))]
    if name == "where":
        arrays[0] = rng.random(np.shape(arrays[1])) < 0.5
    return name, tuple(map(np.asarray, arrays)), {}


@pytest.mark.parametrize("dtype", [*WHOLE, "bool"])
def test_whole_numbers_and_booleans(dtype):
    """Sums that wrap around, quotients by 0 and of the smallest number by −1 among them."""
    rng = np.random.default_rng(1)
    names = OF_BOOLEANS if dtype == "bool" else OF_WHOLE
    if dtype.startswith("u"):
        names = names - {"negative"}
    check([whole(name, dtype, rng) for name in sorted(names) for _ in range(4)], rng)


@pytest.mark.parametrize("dtype", [*WHOLE, "bool"])
def test_rows_that_move_or_compare_numbers_of_any_dtype(dtype):
    rng = np.random.default_rng(2)
    samples = []
    for name in sorted(MOVES):
        for _ in range(4):
            (first, *rest), params = draw(OPS[name], rng, np.float64)
            arrays = [first, *rest] if name == "concat" else [first]
            numbers = [astype(np.round(3 * x), dtype).numpy() for x in arrays]
            samples.append((name, (*numbers, *([] if name == "concat" else rest)), params))
    check(samples, rng)


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8"])
def test_sums_of_whole_numbers_are_exact(dtype):
    rng = np.random.default_rng(3)
    samples = []
    # sums are of int64, which is what the public functions make of whole numbers
    for name in ("matmul", "matmul_tn", "index_add", *("sum", "cumsum") * (dtype == "int64")):
        for _ in range(6):
            inputs, params = draw(OPS[name], rng, np.float64)
            count = 2 if name.startswith("matmul") else 1
            numbers = [np.round(30 * np.abs(x)).astype(dtype) for x in inputs[:count]]
            samples.append((name, (*numbers, *inputs[count:]), params))
    check(samples, rng)


CASTS = ("bool", *WHOLE, "float32", "float64")


@pytest.mark.parametrize("source", CASTS)
def test_every_dtype_as_every_other(source):
    rng = np.random.default_rng(4)
    numbers = rng.integers(0, 100, (3, 5)) / (1 if source in WHOLE else 7)
    samples = []
    for target in CASTS:
        x = numbers.astype(source)
        if source.startswith("int") or (source[0] == "f" and target[0] != "u"):
            x = x - np.asarray(50, source)
        if source in WHOLE and target in (*WHOLE, "float32", "float64"):  # those wrap around
            x[0] = np.iinfo(source).max
            x[1] = np.iinfo(source).min
        name = "astype" if source[0] == target[0] == "f" else "astype_integer"
        samples.append((name, (x,), {"dtype": np.dtype(target)}))
        if source[0] == "f" and target[0] in "fb":
            extreme = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-38, 1e38, 1e-40], source)
            if source == "float64":  # too large and too small for the other
                extreme = extreme**3
            samples.append((name, (extreme,), {"dtype": np.dtype(target)}))
    check(samples, rng)


@pytest.mark.parametrize("dtype", FLOATS)
def test_reductions_of_extreme_values(dtype):
    rng = np.random.default_rng(5)
    info = np.finfo(dtype)
    values = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, info.max / 9, info.tiny, 1.0], dtype)
    samples = []
    for name in ("sum", "max", "min", "logsumexp"):
        for axis in ((0,), (1,), (0, 1)):
            for likely in (0.01, 0.1, 0.5):
                x = rng.normal(size=(19, 23)).astype(dtype)
                x = np.where(rng.random(x.shape) < likely, rng.choice(values, x.shape), x)
                samples.append((name, (x,), {"axis": axis, "keepdims": False}))
    for name in ("argmax", "argmin", "argsort", "cumsum", "log_softmax"):
        for axis in (0, 1):
            x = np.where(rng.random((19, 23)) < 0.1, rng.choice(values, (19, 23)), 2.0)
            samples.append((name, (x.astype(dtype),), {"axis": axis}))
    infinite = np.full((2, 3), -np.inf, dtype)
    samples.append(("logsumexp", (infinite,), {"axis": (1,), "keepdims": False}))
    samples.append(("log_softmax", (infinite,), {"axis": 1}))
    check(samples, rng)


@pytest.mark.parametrize("dtype", FLOATS)
def test_products_of_larger_matrices(dtype):
    """Past the edges of every tile, batched, broadcast and transposed; NaN stays where it acts."""
    rng = np.random.default_rng(6)
    samples = []
    shapes = [(1, 70, 1), (65, 1, 33), (17, 130, 9), (64, 64, 64), (3, 0, 5), (100, 37, 129)]
    for m, k, n in shapes:
        for name, tx, ty in [("matmul", 0, 0), ("matmul_nt", 0, 1), ("matmul_tn", 1, 0)]:
            x, y = rng.normal(size=(m, k)), rng.normal(size=(k, n))
            if k and m > 20:
                x[3], y[:, n // 2] = np.nan, np.inf
            turned = (x.T if tx else x, y.T if ty else y)
            samples.append((name, tuple(a.astype(dtype) for a in turned), {}))
    x, y = rng.normal(size=(3, 1, 20, 30)), rng.normal(size=(4, 30, 10))
    samples.append(("matmul", (x.astype(dtype), y.astype(dtype)), {}))
    check(samples, rng)


@pytest.mark.parametrize("dtype", FLOATS)
def test_longer_arrays(dtype):
    """Long enough for vectors, remainders of vectors, several threads and blocks of sums."""
    rng = np.random.default_rng(7)
    samples = []
    for size in ((1000,), (4099,), (3, 1031), (517, 7), (1, 260, 33)):
        x, y = (rng.normal(size=size).astype(dtype) for _ in range(2))
        samples += [("add", (x, y), {}), ("tanh", (x,), {}), ("multiply", (x, y[..., :1]), {})]
        every = tuple(range(x.ndim))
        for axis in {every, every[:1], every[-1:]}:
            samples += [(n, (x,), {"axis": axis, "keepdims": True}) for n in ("sum", "max")]
        samples += [(n, (x,), {"axis": x.ndim - 1}) for n in ("cumsum", "argmin", "log_softmax")]
        samples.append(("permute_dims", (x,), {"axes": every[::-1]}))
    check(samples, rng)


def test_a_bound_can_be_exceeded():
    """The comparison itself: one unit too many in an exact row, nine in a function, is an error."""
    x = np.ones(3, np.float32)
    with pytest.raises(AssertionError, match="add"):
        assert_close("add", np.nextafter(x, 2), x, [x, x], {})
    y = np.exp(x)
    assert_close("exp", y + 8 * np.spacing(y), y, [x], {})
    with pytest.raises(AssertionError, match="exp"):
        assert_close("exp", y + 9 * np.spacing(y), y, [x], {})
    params = {"axis": (0,), "keepdims": False}
    with pytest.raises(AssertionError, match="sum"):
        assert_close("sum", np.float32(3.00001), np.asarray(np.float32(3)), [x], params)
    with pytest.raises(AssertionError, match="negative"):
        assert_close("negative", np.array([np.nan]), np.array([np.inf]), [np.array([0.0])], {})
