"""Every function that NumPy has too: its values over dtypes and shapes, derivatives, executors."""

import pathlib

import numpy as np
import pytest

import gradlab as gl
from gradlab.errors import ArgumentError, DTypeError, ShapeError, TraceError
from gradlab.graph import __all__ as names_of_graph

DTYPES = ["float32", "float64", "int64", "int32", "uint8", "bool"]
V, W, EMPTY, NUMBER = (4,), (3,), (0,), ()
M, N, CUBE, NO_ROWS = (3, 4), (4, 3), (2, 3, 4), (0, 4)
UNARY = {
    **dict.fromkeys(["exp", "exp2", "expm1", "sin", "cos", "tan", "sinh", "cosh", "tanh"], (-2, 2)),
    **dict.fromkeys(["asinh", "arcsinh", "atan", "arctan", "sinc", "deg2rad", "rad2deg"], (-3, 3)),
    **dict.fromkeys(["log", "log2", "log10", "sqrt", "reciprocal"], (0.5, 4)),
    **dict.fromkeys(["asin", "arcsin", "acos", "arccos", "atanh", "arctanh"], (-0.8, 0.8)),
    **dict.fromkeys(["acosh", "arccosh"], (1.3, 4)),
    **dict.fromkeys(["abs", "negative", "square", "sign", "floor", "ceil", "trunc"], (-3, 3)),
    **dict.fromkeys(["round", "isnan", "isinf", "isfinite", "nan_to_num"], (-3, 3)),
    "log1p": (-0.5, 3),
    "logical_not": (-1, 1),
}
BINARY = {
    **dict.fromkeys(["add", "subtract", "multiply", "maximum", "minimum", "fmax", "fmin"], (-3, 3)),
    **dict.fromkeys(["hypot", "logaddexp", "logaddexp2", "divmod"], (0.3, 3)),
    **dict.fromkeys(["atan2", "arctan2", "divide", "floor_divide", "remainder", "pow"], (0.3, 3)),
    **dict.fromkeys(["equal", "not_equal", "less", "less_equal", "greater"], (-3, 3)),
    **dict.fromkeys(["greater_equal", "logical_and", "logical_or"], (-3, 3)),
}
REDUCING = ["sum", "mean", "var", "std", "prod", "max", "min", "any", "all"]
# For each way to use a function a call, and the shapes of its arrays.
CASES = {
    "append": [(lambda f, x, y: f(x, y), M, V), (lambda f, x, y: f(x, y, axis=1), M, (3, 1))],
    "argmax": [(lambda f, x: f(x), M), (lambda f, x: f(x, 1), M)],
    "argmin": [(lambda f, x: f(x), M), (lambda f, x: f(x, 0), M)],
    "argsort": [(lambda f, x: f(x, kind="stable") if f is np.argsort else f(x), M)],
    "array_split": [
        (lambda f, x: f(x, 3), (7, 2)),
        (lambda f, x: f(x, [1, 5], axis=1), M),
        (lambda f, x: f(x, 3), (2,)),
        (lambda f, x: f(x, [3, 1, 2]), V),
    ],
    "atleast_1d": [(lambda f, x: f(x), NUMBER), (lambda f, x, y: f(x, y), M, NUMBER)],
    "atleast_2d": [(lambda f, x: f(x), s) for s in (NUMBER, V, M, EMPTY)],
    "atleast_3d": [(lambda f, x: f(x), s) for s in (NUMBER, V, M, CUBE, EMPTY)],
    "broadcast_to": [(lambda f, x: f(x, (3, 4)), V)],
    "clip": [(lambda f, x: f(x, 0, 1), M), (lambda f, x: f(x, 1, None), V)],
    "column_stack": [
        (lambda f, *xs: f(xs), V, V),
        (lambda f, *xs: f(xs), V, (4, 2)),
        (lambda f, *xs: f(xs), NUMBER, NUMBER),
    ],
    "concat": [(lambda f, x, y: f([x, y], axis=1), M, (3, 1))],
    "cross": [
        (lambda f, x, y: f(x, y), W, W),
        (lambda f, x, y: f(x, y), (2, 1, 3), (4, 3)),
        (lambda f, x, y: f(x, y, axis=0), (3, 2), (3, 2)),
        (lambda f, x, y: f(x, y), (0, 3), W),
    ],
    "cumsum": [(lambda f, x: f(x, axis=1), CUBE), (lambda f, x: f(x, axis=0), NO_ROWS)],
    "diag": [
        *[(lambda f, x, k=k: f(x, k), V) for k in (0, 2, -1)],
        *[(lambda f, x, k=k: f(x, k), M) for k in (0, 2, -1, 7)],
        (lambda f, x: f(x), EMPTY),
    ],
    "diagflat": [(lambda f, x, k=k: f(x, k), s) for k in (0, 1) for s in (M, NUMBER)],
    "diagonal": [
        (lambda f, x: f(x), CUBE),
        (lambda f, x: f(x, 1, 1, 2), CUBE),
        (lambda f, x: f(x, -1, -1, 0), CUBE),
        (lambda f, x: f(x, 9), M),
        (lambda f, x: f(x), NO_ROWS),
    ],
    "diff": [
        (lambda f, x: f(x), M),
        (lambda f, x: f(x, 2, 0), N),
        (lambda f, x: f(x, 0), M),
        (lambda f, x: f(x, 9), V),
        (lambda f, x, y: f(x, axis=0, prepend=y, append=x), M, (1, 4)),
        (lambda f, x: f(x), EMPTY),
    ],
    "dot": [
        (lambda f, x, y: f(x, y), s, t)
        for s, t in [
            *[(NUMBER, M), (M, NUMBER), (V, V), (M, V), (W, M), (M, N), (CUBE, V), (CUBE, N)],
            *[(V, (2, 4, 3)), (M, (2, 4, 3)), (CUBE, (5, 4, 2)), (NO_ROWS, N), (EMPTY, EMPTY)],
        ]
    ],
    "dsplit": [(lambda f, x: f(x, 2), CUBE), (lambda f, x: f(x, [1]), CUBE)],
    "dstack": [(lambda f, *xs: f(xs), V, V), (lambda f, *xs: f(xs), M, (3, 4, 2))],
    "einsum": [(lambda f, x, y: f("ij,kj->ik", x, y), M, (2, 4))],
    "expand_dims": [(lambda f, x: f(x, (0, -1)), M)],
    "flip": [(lambda f, x: f(x), M), (lambda f, x: f(x, (0, 2)), CUBE)],
    "fliplr": [(lambda f, x: f(x), CUBE)],
    "flipud": [(lambda f, x: f(x), s) for s in (V, M)],
    "full": [(lambda f, x: f((3, 4), x), NUMBER)],
    "hsplit": [(lambda f, x: f(x, 2), V), (lambda f, x: f(x, [1, 3]), M)],
    "hstack": [
        (lambda f, *xs: f(xs), V, W),
        (lambda f, *xs: f(xs), M, (3, 1)),
        (lambda f, *xs: f(xs), NUMBER, V),
    ],
    "inner": [
        (lambda f, x, y: f(x, y), s, t)
        for s, t in [(V, V), (M, V), (M, (2, 4)), (CUBE, M), (NUMBER, M), (EMPTY, EMPTY)]
    ],
    "kron": [
        (lambda f, x, y: f(x, y), s, t)
        for s, t in [(V, W), (M, N), (M, V), (V, CUBE), (NUMBER, M), (M, EMPTY)]
    ],
    "linspace": [
        (lambda f, x, y: f(x, y, 5), NUMBER, NUMBER),
        (lambda f, x, y: f(x, y, 4, endpoint=False), V, NUMBER),
        (lambda f, x, y: f(x, y, 3, axis=-1), V, (2, 4)),
        (lambda f, x, y: f(x, y, 1), V, V),
        (lambda f, x, y: f(x, y, 0), V, V),
    ],
    "matmul": [(lambda f, x, y: f(x, y), CUBE, N)],
    "matrix_trace": [
        *[(lambda f, x, k=k: f(x, k), s) for k in (0, 1, -1) for s in (M, CUBE)],
        (lambda f, x: f(x, 0, -1, -2), CUBE),
        (lambda f, x: f(x), NO_ROWS),
    ],
    "matrix_transpose": [(lambda f, x: f(x), CUBE)],
    "moveaxis": [
        (lambda f, x: f(x, 0, -1), CUBE),
        (lambda f, x: f(x, [0, 2], [1, 0]), CUBE),
        (lambda f, x: f(x, (2, -3), (-1, 1)), CUBE),
    ],
    "nan_to_num": [(lambda f, x: f(x, nan=1.0, posinf=2.0), M)],
    "norm": [(lambda f, x: f(x), V), (lambda f, x: f(x, axis=1), M)],
    "ones_like": [(lambda f, x: f(x), M)],
    "outer": [(lambda f, x, y: f(x, y), s, t) for s, t in [(V, W), (M, NUMBER), (EMPTY, V)]],
    "pad": [(lambda f, x: f(x, ((1, 0), (0, 2))), M)],
    "permute_dims": [(lambda f, x: f(x, (2, 0, 1)), CUBE)],
    "ravel": [(lambda f, x: f(x), s) for s in (NUMBER, V, CUBE, NO_ROWS)],
    "repeat": [(lambda f, x: f(x, 2), M), (lambda f, x: f(x, [0, 2, 1], 0), M)],
    "reshape": [(lambda f, x: f(x, (2, -1)), M)],
    "roll": [(lambda f, x: f(x, 1, 1), M)],
    "rot90": [(lambda f, x, k=k: f(x, k), M) for k in range(-1, 5)]
    + [(lambda f, x: f(x, 1, (2, 0)), CUBE), (lambda f, x: f(x, 3, (-1, 1)), CUBE)],
    "round": [(lambda f, x: f(x, 1), M), (lambda f, x: f(x, decimals=2), V)],
    "select": [
        (lambda f, x, y: f([x > y, y > 1], [x, y * 2]), M, V),
        (lambda f, x, y: f([x > 1, x > 0], [x, y], y), V, NUMBER),
    ],
    "sort": [(lambda f, x: f(x), M), (lambda f, x: f(x, axis=0), M)],
    "squeeze": [(lambda f, x: f(x), (1, 3, 1)), (lambda f, x: f(x, 0), (1, 3, 1))],
    "stack": [(lambda f, x, y: f([x, y], axis=1), M, M)],
    "swapaxes": [(lambda f, x: f(x, 0, -1), CUBE), (lambda f, x: f(x, 1, 1), M)],
    "take": [(lambda f, x: f(x, [2, 0, 0], axis=1), M)],
    "take_along_axis": [(lambda f, x: f(x, np.array([[1], [0], [3]]), axis=1), M)],
    "tensordot": [
        (lambda f, x, y: f(x, y), CUBE, (3, 4, 2)),
        (lambda f, x, y: f(x, y, 1), CUBE, N),
        (lambda f, x, y: f(x, y, 0), V, W),
        (lambda f, x, y: f(x, y, (1, 0)), M, N),
        (lambda f, x, y: f(x, y, ([0, 1], [1, 0])), M, N),
        (lambda f, x, y: f(x, y, ((-1, 0), (0, 2))), CUBE, (4, 3, 2)),
        (lambda f, x, y: f(x, y, 1), NO_ROWS, N),
        (lambda f, x, y: f(x, y, 1), M, (4, 0)),
    ],
    "tile": [(lambda f, x: f(x, (2, 1, 3)), M)],
    "tril": [(lambda f, x: f(x, 1), M)],
    "triu": [(lambda f, x: f(x, 1), M)],
    "vsplit": [(lambda f, x: f(x, 2), N), (lambda f, x: f(x, [1]), M)],
    "vstack": [(lambda f, *xs: f(xs), V, V), (lambda f, *xs: f(xs), M, V)],
    "where": [(lambda f, x, y: f(x > y, x, y), M, V)],
    "zeros_like": [(lambda f, x: f(x), M)],
}
for name in UNARY:
    CASES.setdefault(name, []).extend([(lambda f, x: f(x), s) for s in (NUMBER, M, NO_ROWS)])
for name in BINARY:
    CASES[name] = [(lambda f, x, y: f(x, y), s, t) for s, t in [(M, V), (NUMBER, W), (EMPTY, (1,))]]
for name in REDUCING:
    CASES[name] = [(lambda f, x: f(x), M), (lambda f, x: f(x, axis=1, keepdims=True), CUBE)]
# Without a derivative, or with one of 0.
FLAT = {
    *("argmax", "argmin", "argsort", "any", "all", "divmod", "floor_divide", "ones_like"),
    *("zeros_like", "logical_not", "logical_and", "logical_or", "isnan", "isinf", "isfinite"),
    *("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"),
    *("sign", "floor", "ceil", "trunc", "round"),
}
FLOATS_ALONE = {"reciprocal", "round"}
"""NumPy makes whole quotients of whole numbers, and half floats of booleans."""
OTHERS = {
    *("OPS", "Graph", "Interval", "Kink", "Op", "RandomStream", "Spec", "Symbol", "Tensor"),
    *("Variable", "apply", "as_tensor", "astype", "arange", "broadcast_shapes", "conv"),
    *("conv_transpose", "default_dtype", "elementwise_shape", "elu", "erf", "erfc", "sech"),
    *("flatten", "gelu"),
    *("identity", "index", "index_add", "leaky_relu", "log_softmax", "logsumexp", "nonzero"),
    *("one_hot", "ones", "random_bits", "random_normal", "random_uniform", "relu"),
    *("set_default_dtype", "sigmoid", "silu", "softmax", "softplus", "split", "stop_gradient"),
    *("tensor", "trace", "windows", "zeros"),
}
"""What NumPy does not have, has in another sense, or makes from no array; tested elsewhere."""


def numpys(name):
    function = np
    for part in {"matrix_trace": "trace", "norm": "linalg.norm"}.get(name, name).split("."):
        function = getattr(function, part)
    return function


def arrays(name, shapes, dtype):
    """Numbers of a function's domain, rounded away from 0 for whole ones."""
    rng = np.random.default_rng(len(name))
    low, high = (UNARY | BINARY).get(name, (-3, 3))
    made = [rng.uniform(low, high, s) for s in shapes]
    if name in FLOATS_ALONE and np.dtype(dtype).kind != "f":
        dtype = "float32"
    if dtype == "bool":
        return [np.asarray(x > np.mean(x) if x.size > 1 else x > 0) for x in made]
    if np.dtype(dtype).kind in "iu":
        made = [np.ceil(np.abs(x)) if low >= 0 or dtype == "uint8" else np.round(x) for x in made]
    return [np.asarray(x, dtype) for x in made]


EVERY = [(name, i) for name in CASES for i in range(len(CASES[name]))]


def listed(results):
    return list(results) if isinstance(results, list | tuple) else [results]


def close(found, expected):
    """Equal but for rounding: 16 units of the last place of the largest number, or of 1."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    if expected.dtype.kind != "f" and found.dtype.kind != "f":
        np.testing.assert_array_equal(found, expected)
        return
    eps = 16 * max(np.finfo(x.dtype).eps for x in (found, expected) if x.dtype.kind == "f")
    largest = np.abs(expected[np.isfinite(expected)]).max(initial=1)
    np.testing.assert_allclose(found, expected, eps, eps * largest)


def theirs(name, i, dtype):
    """NumPy's results, or the error."""
    call, *shapes = CASES[name][i]
    with np.errstate(all="ignore"):
        try:
            return listed(call(numpys(name), *arrays(name, shapes, dtype)))
        except (TypeError, ValueError) as error:
            return error


def ours(name, i, inputs):
    call, *_ = CASES[name][i]
    return [gl.as_tensor(x) for x in listed(call(getattr(gl, name), *map(gl.as_tensor, inputs)))]


def test_every_function_is_in_the_table():
    assert set(CASES) | OTHERS == set(names_of_graph)
    assert not set(CASES) & OTHERS


def test_every_function_is_in_the_docs():
    text = (pathlib.Path(__file__).parents[2] / "docs" / "graph.md").read_text("utf-8")
    names = [name for name in CASES if f"`{name}`" not in text]
    assert not names


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted(CASES))
def test_values_as_numpy(name, dtype):
    for i, (_, *shapes) in enumerate(CASES[name]):
        expected, inputs = theirs(name, i, dtype), arrays(name, shapes, dtype)
        try:
            with np.errstate(all="ignore"):
                found = ours(name, i, inputs)
        except DTypeError:
            assert dtype == "bool"  # signs, differences, quotients: see test_dtypes
            continue
        assert not isinstance(expected, Exception), expected
        assert len(found) == len(expected)
        for x, y in zip(found, map(np.asarray, expected), strict=True):
            close(x, y)
            if dtype.startswith("float") or y.dtype == bool:
                assert x.dtype == y.dtype
            elif dtype != "bool":  # whole numbers: the default float, or whole ones as they were
                floats = y.dtype.kind == "f" or name == "pow"
                assert x.dtype in (("float32",) if floats else (dtype, "int64"))


def fitting(dtype, all_cases):
    """Cases that a dtype has, for one function that is compiled once, and its arrays."""
    taken, inputs = [], []
    for name, i in EVERY:
        if i and not all_cases:
            continue
        one = arrays(name, CASES[name][i][1:], dtype)
        with np.errstate(all="ignore"):
            try:
                ours(name, i, one)
            except DTypeError:
                continue
        taken.append((name, i))
        inputs.append(one)
    return taken, inputs


@pytest.mark.parametrize(
    ("dtype", "executor"),
    [
        *((dtype, "numpy") for dtype in DTYPES),
        *((d, "native") for d in ("float32", "int32", "bool")),
    ],
)
def test_compiled_values_are_the_eager_ones(dtype, executor):
    # The native executor takes a while to compile: all cases in one dtype.
    taken, inputs = fitting(dtype, executor == "numpy" or dtype == "float32")

    def function(inputs):
        return [ours(name, i, xs) for (name, i), xs in zip(taken, inputs, strict=True)]

    with np.errstate(all="ignore"):
        eager, compiled = function(inputs), gl.compile(function, executor=executor)(inputs)
    for (name, i), found, expected in zip(taken, compiled, eager, strict=True):
        for x, y in zip(found, expected, strict=True):
            assert x.dtype == y.dtype, (name, i)
            close(x, y)


@pytest.mark.parametrize("name", sorted(set(CASES) - {"full"}))  # np.full asks no tensor
def test_numpys_function_of_a_tensor_is_the_one_here(name):
    for i, (call, *shapes) in enumerate(CASES[name]):
        inputs = [gl.tensor(x) for x in arrays(name, shapes, "float32")]
        found, expected = listed(call(numpys(name), *inputs)), ours(name, i, inputs)
        for x, y in zip(found, expected, strict=True):
            assert isinstance(x, gl.Tensor)
            np.testing.assert_array_equal(x, y, strict=True)


SMOOTH = [(name, i) for name, i in EVERY if name not in FLAT]


def total(name, i, inputs):
    """A number that depends on all results, on each in its way."""
    parts = [gl.ravel(x) for x in ours(name, i, inputs)]
    return sum((x * np.cos(np.arange(x.size) + 1.0)).sum() for x in parts)


@pytest.mark.parametrize("name", sorted({name for name, _ in SMOOTH}))
def test_derivatives_to_second_order(name):
    for i, (_, *shapes) in enumerate(CASES[name]):
        inputs = arrays(name, shapes, "float64")
        gl.check_grads(lambda *xs, i=i: total(name, i, xs), inputs)


@pytest.mark.parametrize("executor", ["numpy", "native"])
def test_compiled_gradients_are_the_eager_ones(executor):
    inputs = [arrays(name, CASES[name][i][1:], "float64") for name, i in SMOOTH]

    def function(inputs):
        return [
            gl.grad(lambda *xs, c=case: total(*c, xs), tuple(range(len(xs))))(*xs)
            for case, xs in zip(SMOOTH, inputs, strict=True)
        ]

    eager, compiled = function(inputs), gl.compile(function, executor=executor)(inputs)
    for case, found, expected in zip(SMOOTH, compiled, eager, strict=True):
        for x, y in zip(found, expected, strict=True):
            assert x.shape == y.shape, case
            close(x, y)


# --- extremes and kinks -------------------------------------------------------------------------

INF, NAN = np.inf, np.nan
SPECIAL = np.array([-INF, -3e38, -2.0, -1e-40, -0.0, 0.0, 1e-40, 1.0, 3e38, INF, NAN])
EXECUTORS = [None, "numpy", "native"]


def run(function, executor):
    return function if executor is None else gl.compile(function, executor=executor)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "name", ["hypot", "logaddexp", "logaddexp2", "atan2", "fmax", "fmin", "nan_to_num", "exp2"]
)
def test_values_at_the_extremes(name, dtype, executor):
    x, y = (part.ravel().astype(dtype) for part in np.meshgrid(SPECIAL, SPECIAL))
    inputs = (x, y) if name in BINARY else (x,)
    with np.errstate(all="ignore"):
        expected = getattr(np, name)(*inputs)
        found = run(getattr(gl, name), executor)(*inputs)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, 4 * np.finfo(dtype).eps)
    if name == "atan2":
        plain = ~np.isnan(expected)
        signs = (np.signbit(angles)[plain] for angles in (found.numpy(), expected))
        np.testing.assert_array_equal(*signs)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_lengths_that_squares_would_lose(dtype, executor):
    info = np.finfo(dtype)
    top = info.max / 2
    sides = np.array([3, 3e-30, 3e30, top * 0.6, 3 * info.smallest_subnormal, 5], dtype)
    other = np.array([4, 4e-30, 4e30, top * 0.8, 4 * info.smallest_subnormal, 12], dtype)
    longest = np.array([5, 5e-30, 5e30, top, 5 * info.smallest_subnormal, 13], dtype)
    found = run(gl.hypot, executor)(sides, other)
    np.testing.assert_allclose(found, longest, 2 * info.eps)
    np.testing.assert_array_equal(found.numpy()[[0, 4, 5]], longest[[0, 4, 5]])
    slopes = run(gl.grad(lambda x, y: gl.hypot(x, y).sum(), (0, 1)), executor)(sides, other)
    np.testing.assert_allclose(slopes[0][:5], [0.6] * 5, 4 * info.eps)
    np.testing.assert_allclose(slopes[1][:5], [0.8] * 5, 4 * info.eps)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_logarithms_and_powers_are_exact_at_powers(dtype, executor):
    info = np.finfo(dtype)
    exponents = np.arange(info.minexp - info.nmant, info.maxexp).astype(dtype)
    powers = np.ldexp(np.ones(1, dtype), exponents.astype(int))
    np.testing.assert_array_equal(run(gl.log2, executor)(powers), exponents)
    np.testing.assert_array_equal(run(gl.exp2, executor)(exponents), powers)
    if executor == "native" or dtype == "float64":  # NumPy's log10(100) is 2.0000002 in float32
        tens = np.arange(0, 11 if dtype == "float32" else 23)  # those that the dtype holds
        found = run(gl.log10, executor)((10.0**tens).astype(dtype))
        np.testing.assert_array_equal(found, tens)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_angles_have_derivatives_on_the_axes_and_none_at_the_origin(executor):
    y = np.array([0.0, -0.0, 0.0, 2.0, -2.0, 0.0, -0.0, 3e200, 1e-200])
    x = np.array([2.0, 2.0, -2.0, 0.0, -0.0, 0.0, -0.0, 4e200, 0.0])
    by_y, by_x = run(gl.grad(lambda y, x: gl.atan2(y, x).sum(), (0, 1)), executor)(y, x)
    np.testing.assert_allclose(by_y, [0.5, 0.5, -0.5, 0, 0, 0, 0, 1.6e-201, 0], 1e-14)
    np.testing.assert_allclose(by_x, [0, 0, 0, -0.5, 0.5, 0, 0, -1.2e-201, -1e200], 1e-14)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("name", ["asinh", "acosh"])
def test_slopes_of_large_numbers(name, executor):
    x = np.float32([1e10, 1e30, 3e38])
    slope = run(gl.grad(lambda x: getattr(gl, name)(x).sum()), executor)(x)
    np.testing.assert_allclose(slope, 1 / x.astype(float), 1e-6)


def hessian(function, *point):
    """Second derivatives of a function of numbers, at a point of float64."""
    point = np.array(point, float)
    return np.asarray(gl.hessian(lambda z: function(*[z[i] for i in range(len(point))]))(point))


def test_second_derivatives_where_branches_meet():
    np.testing.assert_allclose(hessian(gl.sinc, 0.0), [[-(np.pi**2) / 3]], 1e-14)
    np.testing.assert_allclose(hessian(gl.asinh, 0.0), [[0]])
    third = gl.grad(gl.grad(gl.grad(gl.asinh)))
    np.testing.assert_allclose(third(gl.tensor(0.0, "float64")), -1)
    np.testing.assert_allclose(hessian(gl.logaddexp, 3, 3), [[0.25, -0.25], [-0.25, 0.25]])
    k = np.log(2) / 4
    np.testing.assert_allclose(hessian(gl.logaddexp2, 3, 3), [[k, -k], [-k, k]])
    np.testing.assert_allclose(hessian(gl.atan2, 0, -2), [[0, -0.25], [-0.25, 0]], atol=1e-16)
    np.testing.assert_allclose(hessian(gl.hypot, 0, 2), [[0.5, 0], [0, 0]], atol=1e-16)


def test_sinc_and_its_slope_are_precise_on_both_sides_of_the_series():
    mp = pytest.importorskip("mpmath")
    x = np.concatenate(
        [np.geomspace(1e-9, 0.3, 40), [0.24999, 0.25, 0.25001, 0.7, 1.0, 8.0, 100.5]]
    )
    x = np.concatenate([-x, x])
    with mp.workdps(40):
        values = [float(mp.sincpi(mp.mpf(v))) for v in x]
        slopes = [float(mp.diff(mp.sincpi, mp.mpf(v))) for v in x]
    np.testing.assert_allclose(gl.sinc(x), values, 4e-16, 1e-17)
    np.testing.assert_allclose(gl.grad(lambda x: gl.sinc(x).sum())(x), slopes, 4e-15, 1e-16)
    np.testing.assert_array_equal(gl.sinc(np.float32([0.0, 1.0, 7.0])), np.float32([1, 0, 0]))


@pytest.mark.parametrize("executor", EXECUTORS)
def test_slopes_beside_nan_and_at_ties(executor):
    x, y = np.array([1.0, NAN, 2.0, 3.0, NAN]), np.array([NAN, 1.0, 2.0, 1.0, NAN])
    for function, slopes in ((gl.fmax, [1, 0, 0.5, 1]), (gl.fmin, [1, 0, 0.5, 0])):
        by_x, by_y = run(gl.grad(lambda x, y, f=function: f(x, y).sum(), (0, 1)), executor)(x, y)
        np.testing.assert_array_equal(by_x[:4], slopes)
        np.testing.assert_array_equal(by_y[:4], 1 - np.array(slopes))
    ends = np.array([1.0, NAN, INF, -INF])
    slope = run(gl.grad(lambda x: gl.nan_to_num(x).sum()), executor)(ends)
    np.testing.assert_array_equal(slope, [1, 0, 0, 0])


@pytest.mark.parametrize("executor", EXECUTORS)
def test_infinities_leave_the_slopes_finite(executor):
    x, y = np.array([INF, 1.0, -INF, -INF, INF]), np.array([1.0, -INF, -INF, INF, INF])
    for function in (gl.logaddexp, gl.logaddexp2, gl.hypot):
        slope = run(gl.grad(lambda x, y, f=function: f(x, y).sum(), (0, 1)), executor)
        with np.errstate(invalid="ignore"):  # of the sum
            slopes = slope(x, y)
        assert all(np.isfinite(g).all() for g in map(np.asarray, slopes))


# --- what else they take and refuse ---------------------------------------------------------------


def test_python_numbers_stay_weak():
    for found in (gl.hypot(3, 4), gl.logaddexp(0, 1), gl.sinc(0.5), gl.atan2(1, 2), gl.log2(8)):
        assert found.weak
        assert (found * gl.tensor([1.0])).dtype == np.float32
    assert (gl.tensor([1.0], "float64") * gl.log2(3)).item() == np.log2(3)
    assert gl.linspace(0, 1, 3).dtype == np.float32
    assert not gl.linspace(0, 1, 3).weak
    assert gl.linspace(0, 1, 3, dtype="float64").dtype == np.float64
    np.testing.assert_array_equal(gl.linspace(0, 1, 11, dtype="float64"), np.linspace(0, 1, 11))
    whole = gl.linspace(-2, 2, 7, dtype="int64")
    np.testing.assert_array_equal(whole, np.linspace(-2, 2, 7, dtype=np.int64), strict=True)


def test_numpys_names_are_the_same_functions():
    for name, ours in {"arctan2": gl.atan2, "arcsinh": gl.asinh, "arccos": gl.acos}.items():
        assert getattr(gl, name) is ours


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        (lambda x: gl.tensordot(x, x, 1), ShapeError, r"axes \[1\] and \(2, 3\)"),
        (lambda x: gl.tensordot(x, x, 3), ShapeError, "out of range"),
        (lambda x: gl.dot(x, x), ShapeError, "must equal"),
        (lambda x: gl.cross(x[:, :2], x[:, :2]), ShapeError, "vectors of 3"),
        (lambda x: gl.diag(x[None]), ShapeError, "a vector or a matrix"),
        (lambda x: gl.diagonal(x[0]), ShapeError, "at least 2 axes"),
        (lambda x: gl.diagonal(x, 0, 1, 1), ShapeError, "each once"),
        (lambda x: gl.moveaxis(x, (0, 1), 0), ShapeError, "each once"),
        (lambda x: gl.swapaxes(x, 0, 2), ShapeError, "out of range"),
        (lambda x: gl.rot90(x, 1, (0, 0)), ShapeError, "twice"),
        (lambda x: gl.array_split(x, 0), ShapeError, "1 or more"),
        (lambda x: gl.vsplit(x, 3), ShapeError, "equal parts"),
        (lambda x: gl.dsplit(x, 1), ShapeError, "at least 3 axes"),
        (lambda x: gl.hstack([]), ShapeError, "nothing to join"),
        (lambda x: gl.diff(x, -1), ArgumentError, "0 or more"),
        (lambda x: gl.linspace(x, 1, -1), ArgumentError, "0 or more"),
        (lambda x: gl.select([x > 0], [x, x]), ArgumentError, "1 conditions and 2 choices"),
        (lambda x: gl.where(x > 0, x), ArgumentError, "both x and y"),
        (lambda x: gl.round(x.astype("int64"), -1), ArgumentError, "takes floats"),
    ],
)
def test_one_clear_line_eager_and_traced(wrong, error, says):
    for attempt in (
        lambda: wrong(gl.tensor(np.ones((2, 3)))),
        lambda: gl.trace(wrong, gl.Spec((2, 3))),
    ):
        with pytest.raises(error, match=says) as caught:
            attempt()
        assert "\n" not in str(caught.value)


# --- methods and operators ------------------------------------------------------------------------

METHODS = {
    "all": [(), (0,)],
    "any": [(), (1,)],
    "argmax": [(), (1,)],
    "argmin": [(), (0,)],
    "argsort": [(), (0,)],
    "astype": [("float64",)],
    "clip": [(0.0, 1.0), (None, 0.5)],
    "cumsum": [(), (0,), (-1,)],
    "diagonal": [(), (1,), (0, 1, 0)],
    "dot": [(np.arange(8.0, dtype="float32").reshape(4, 2),)],
    "flatten": [()],
    "max": [(), (0,)],
    "mean": [(), (1,)],
    "min": [(), ((0, 1),)],
    "nonzero": [()],
    "prod": [(), (1,)],
    "ravel": [()],
    "repeat": [(2,), (3, 1)],
    "reshape": [(4, 3), ((2, -1),), (-1,)],
    "round": [(), (1,)],
    "squeeze": [()],
    "std": [(), (0,)],
    "sum": [(), (-1,)],
    "swapaxes": [(0, 1)],
    "take": [([5, 0],), ([2, 0], 1)],
    "trace": [(), (-1,)],
    "transpose": [(), (1, 0), ((0, 1),)],
    "var": [(), (1,)],
}
TABLE = np.float32([[0.5, -1.5, 2.25, 0.0], [3.0, 0.0, -0.25, 1.0], [-2.0, 4.0, 0.75, -3.5]])


@pytest.mark.parametrize("kind", [gl.tensor, gl.Variable], ids=["Tensor", "Variable"])
@pytest.mark.parametrize("method", METHODS)
def test_methods_as_those_of_arrays(method, kind):
    for arguments in METHODS[method]:
        expected = getattr(TABLE, method)(*arguments)
        found = getattr(kind(TABLE), method)(*arguments)
        for x, y in zip(listed(found), map(np.asarray, listed(expected)), strict=True):
            assert isinstance(x, gl.Tensor)
            assert x.dtype == y.dtype
            close(x, y)
        if method != "nonzero":
            compiled = gl.compile(lambda x, a=arguments: getattr(x, method)(*a), executor="numpy")
            close(compiled(TABLE), expected)


def test_sorting_gives_a_new_tensor():
    x = gl.tensor(TABLE)
    np.testing.assert_array_equal(x.sort(0), np.sort(TABLE, 0))
    np.testing.assert_array_equal(x, TABLE)
    assert x.norm(1).shape == (3,)


def test_pythons_functions():
    x = gl.tensor([7.25, -7.5])
    for found, expected in zip(divmod(x, 2), np.divmod(x.numpy(), 2), strict=True):
        np.testing.assert_array_equal(found, expected)
    for found, expected in zip(divmod(9, x), np.divmod(9, x.numpy()), strict=True):
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(round(x), np.round(x.numpy()))
    np.testing.assert_array_equal(round(x, 1), np.round(x.numpy(), 1))
    np.testing.assert_array_equal(round(gl.Variable([2.5])), [2])


# --- masks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("executor", EXECUTORS)
def test_masks_pick_and_their_adjoints_return(executor):
    x = np.arange(24.0).reshape(2, 3, 4)
    rows, plane = np.array([True, False, True]), x[0] % 3 == 0
    keys = [
        x % 5 == 1,
        np.array([False, True]),
        (slice(None), rows),
        (..., np.array([False] * 4)),
        (0, plane),
        (slice(1), plane),
        (None, np.array([True, False]), slice(1, None), [0, 2]),
        (np.array([True, True]), [0, 2]),
        (slice(None), rows.tolist(), ..., -1),
    ]
    for key in keys:
        expected = x[key]
        found = run(lambda x, key=key: gl.index(x, key) * 2, executor)(x)
        np.testing.assert_array_equal(found, 2 * expected, strict=True)
        weights = np.arange(expected.size).reshape(expected.shape) + 1.0
        slope = gl.grad(lambda x, key=key, w=weights: (gl.index(x, key) * w).sum())
        back = np.zeros_like(x)
        back[key] = weights
        np.testing.assert_array_equal(run(slope, executor)(x), back)


def test_a_mask_of_the_values_themselves():
    x = np.array([-1.0, 2.0, 3.0])
    np.testing.assert_array_equal(gl.grad(lambda x: (x[x > 0] ** 2).sum())(x), [0, 4, 6])
    np.testing.assert_array_equal(
        gl.hessian(lambda x: (x[x > 0] ** 2).sum())(x), np.diag([0, 2, 2])
    )
    places = gl.where(gl.tensor(x) > 0)
    np.testing.assert_array_equal(places[0], [1, 2], strict=True)


@pytest.mark.parametrize(
    "wrong", [lambda x: x[x > 0], lambda x: gl.where(x > 0), lambda x: (x > 0).nonzero()]
)
def test_a_traced_mask_says_what_to_write(wrong):
    with pytest.raises(TraceError, match=r"write gradlab\.where\(condition, a, b\)"):
        gl.compile(wrong)(np.ones(3))
