"""All functions of NumPy, called with tensors: a right gradient, or an error, and never a part.

Each is called in every way of a list that NumPy itself takes for arrays, with each of its options.
"""

import inspect
import math
import warnings

import numpy as np
import pytest

import gradlab as gl
from gradlab.errors import DTypeError, GradientError, GradlabError, ShapeError, TraceError

START = np.random.default_rng(0).uniform(0.2, 0.8, (3, 3)) + np.diag([1.0, 2.0, 3.0])
OTHER = START.T + 0.3
MASK = np.array([[True, False, True], [False, True, True], [True, True, False]])
PLACES = np.array([2, 1, 1])
for constant in (START, OTHER, MASK, PLACES):
    constant.flags.writeable = False  # some functions write to their arguments
CALLS = {
    "f(x)": lambda x: (x,),
    "f(x/4)": lambda x: (x / 4,),
    "f(x+1)": lambda x: (x + 1,),
    "f(row)": lambda x: (x[0],),
    "f(x, y)": lambda x: (x, x + 0.5),
    "f(rows)": lambda x: (x[0], x[1]),
    "f(x, row)": lambda x: (x, x[0]),
    "f(x, array)": lambda x: (x, OTHER),
    "f(array, x)": lambda x: (OTHER, x),
    "f(x, 1)": lambda x: (x, 1),
    "f(1.5, x)": lambda x: (1.5, x),
    "f(x, 0.5)": lambda x: (x, 0.5),
    "f(x, 3)": lambda x: (x, 3),
    "f(x, (9,))": lambda x: (x, (9,)),
    "f(x, (2, 3, 3))": lambda x: (x, (2, 3, 3)),
    "f(x, ((1, 0), (0, 2)))": lambda x: (x, ((1, 0), (0, 2))),
    "f(x, 0, 1)": lambda x: (x, 0, 1),
    "f(x, 0, 5.0)": lambda x: (x, 0.5, 2.0),
    "f(x, [1, 2])": lambda x: (x, [1, 2]),
    "f(x, places)": lambda x: (x, PLACES),
    "f(x, places 2)": lambda x: (x, PLACES[:, None]),
    "f(x, places, axis)": lambda x: (x, PLACES, 0),
    "f(x, 1, x)": lambda x: (x, 1, x[0]),
    "f([x, y])": lambda x: ([x, x * 2],),
    "f([row, y])": lambda x: ([x[0], np.ones(3)],),
    "f([[x, y]])": lambda x: ([[x, np.ones((3, 3))], [x, x]],),
    "f([x], [y])": lambda x: ([MASK, ~MASK], [x, x * 2]),
    "f(mask, x)": lambda x: (MASK, x),
    "f(row mask, x)": lambda x: (MASK[0], x),
    "f(x, mask, y)": lambda x: (x, MASK, x * 2),
    "f(mask, x, y)": lambda x: (MASK, x, x * 2),
    "f(x>1, x, 0)": lambda x: (x > 1, x, 0.0),
    "f(x, x, array)": lambda x: (x, np.array([0.0, 2.0, 5.0]), x[0]),
    "f(places, [rows])": lambda x: (PLACES, [x[0], x[1], x[2]]),
    "f(ij->i, x)": lambda x: ("ij,jk->ik", x, START),
    "f(x, axes)": lambda x: (x, [0, 1], x[0], [1], [0]),
    "f(g, 0, x)": lambda x: (lambda row: row * 2, 0, x),
    "f(g, x, [0])": lambda x: (np.sum, x, [0]),
    "f(x, [..], [..])": lambda x: (x, [x > 1, x <= 1], [lambda v: v * 2, lambda v: v]),
    "f(out, x)": lambda x: (np.zeros((3, 3)), x),
    "f(out, mask, x)": lambda x: (np.zeros((3, 3)), MASK, x),
}
OPTIONS = [
    {},
    *({"axis": axis} for axis in (0, -1, None, (0, 1))),
    {"axis": 0, "keepdims": True},
    *({name: True} for name in ("keepdims", "returned", "full", "density", "rowvar", "copy")),
    *({"dtype": dtype} for dtype in (np.float64, "float32", np.int64)),
    *({"where": where} for where in (True, MASK)),
    *({"order": order} for order in ("C", "F", "A")),
    {"out": None},
    {"initial": 2.0},
    {"initial": 2.0, "where": MASK},
    {"k": 1},
    {"n": 2},
    {"offset": 1},
    {"decimals": 1},
    {"ddof": 1},
    {"correction": 1},
    {"min": 0.5},
    {"max": 0.5, "min": None},
    {"mode": "wrap"},
    {"mode": "edge"},
    {"constant_values": 2.0},
    {"kind": "stable"},
    {"stable": True},
    {"side": "right"},
    {"weights": START[0]},
    {"axes": (1, 0)},
    {"axes": 1},
    {"ord": 1},
    {"ord": 2},
    {"ord": math.inf},
    {"ord": "fro"},
    {"ord": "nuc"},
    {"optimize": True},
    {"casting": "unsafe"},
    {"subok": False},
    {"shape": (2,)},
]
# What NumPy computes is a matter of chance, or of files.
LEFT_OUT = {"empty_like", "save", "savetxt", "savez", "savez_compressed"}
# Calls with texts and functions among the arguments are of one function each.
ONLY = {
    "f(ij->i, x)": "einsum",
    "f(g, 0, x)": "apply_along_axis",
    "f(g, x, [0])": "apply_over_axes",
    "f(x, [..], [..])": "piecewise",
}
# Calls that gradlab refuses with a tape or without: indices of floats, triangles of vectors, the
# cross product of vectors of 2.
REFUSED = {"take": DTypeError, "tril": ShapeError, "triu": ShapeError, "cross": ShapeError}
# Ways in which a function is called that a universal function has too.
METHODS = {
    "reduce": lambda f: lambda *args, **options: f.reduce(*args, **options),
    "accumulate": lambda f: lambda *args, **options: f.accumulate(*args, **options),
    "outer": lambda f: lambda *args, **options: f.outer(*args, **options),
}


def functions():
    """All public functions of NumPy that look at their arguments' class, by name."""
    spaces = {"": np, "linalg.": np.linalg, "fft.": np.fft}
    for prefix, space in spaces.items():
        for name in sorted(dir(space)):
            function = getattr(space, name)
            if name.startswith("_") or name in LEFT_OUT:
                continue
            if isinstance(function, np.ufunc):
                yield name, function
                for method, make in METHODS.items():
                    if function.nin == 2:
                        yield f"{name}.{method}", make(function)
            elif hasattr(function, "_implementation"):
                yield prefix + name, function


FUNCTIONS = dict(functions())


def parameters(name, function):
    if name.endswith(".reduce"):
        return {"axis", "keepdims", "dtype", "where", "out", "initial"}
    if isinstance(function, np.ufunc) or name.split(".")[-1] in METHODS:
        return {"axis", "keepdims", "dtype", "out", "order", "casting"}
    return set(inspect.signature(function).parameters)


def parts(result):
    """The arrays in what a function returns."""
    if isinstance(result, dict):
        return [part for value in result.values() for part in parts(value)]
    if isinstance(result, list | tuple):
        return [part for value in result for part in parts(value)]
    return [result]


def of_arrays(function, call, options):
    """What NumPy gives, or None if the call makes no sense to it."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            result = function(*call(START.copy()), **options)
    except Exception:
        return None
    return [np.asarray(part) for part in parts(result)]


def numbers(result):
    return [x.numpy() if isinstance(x, gl.Tensor) else np.asarray(x) for x in parts(result)]


def same(found, expected, what):
    assert len(found) == len(expected), what
    for a, b in zip(found, expected, strict=True):
        if b.dtype.kind in "fiub":
            tolerance = 1e-5 if np.float32 in (a.dtype, b.dtype) else 1e-9
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance, err_msg=what)


def differences(function, call, options, v, u):
    """The derivative along v of the results, weighted by u, by a central difference."""
    step, slope = 1e-6, 0.0
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        up, down = (parts(function(*call(START + s * v), **options)) for s in (step, -step))
        for w, a, b in zip(u, map(np.asarray, up), map(np.asarray, down), strict=True):
            if a.dtype.kind == "f":
                slope += float(np.sum(w * (a - b))) / (2 * step)
    return slope


def is_constant(part):
    """Whether a part of a result has numbers that no tape has seen."""
    return (
        isinstance(part, float | np.ndarray | np.generic) and np.asarray(part).dtype.kind in "fcO"
    )


def attempt(function, *args, **options):
    """What a function returns, and what it raises."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return function(*args, **options), None
        except (GradlabError, ValueError) as error:
            return None, error


def check_call(name, function, call, options, expected, what):
    """Whether the call is a right gradient or an error, and of one type with and without a tape."""
    x, single = gl.tensor(START), options.get("dtype") == "float32"
    plain, error = attempt(lambda x: function(*call(x), **options), x)
    if isinstance(error, REFUSED.get(name, ())):
        return
    if error is not None:  # NumPy may not write to what the tensor holds
        assert "read-only" in str(error) or "output array" in str(error), f"{what}: {error!r}"
        return
    same(numbers(plain), expected, what)
    with gl.GradientTape() as tape:
        tape.watch(x)
        found, error = attempt(lambda x: function(*call(x), **options), x)
    if error is not None:
        assert isinstance(error, GradientError), f"{what}: {error!r}"
        assert "gradlab" in str(error), what
        assert "\n" not in str(error), what
        return
    assert found is not None, what  # it may have written the numbers somewhere
    same(numbers(found), expected, what)
    pairs = list(zip(parts(found), parts(plain), strict=True))
    assert all(isinstance(a, gl.Tensor) == isinstance(b, gl.Tensor) for a, b in pairs), what
    v = np.random.default_rng(1).standard_normal(START.shape)
    u = [np.random.default_rng(2).standard_normal(a.shape) for a in expected]
    if any(is_constant(part) for part in parts(found)):  # of which nothing depends on x
        assert differences(function, call, options, v, u) == 0, f"{what}: a gradient is lost"
        return
    outputs = [(a, w) for a, w in zip(parts(found), u, strict=True) if isinstance(a, gl.Tensor)]
    outputs = [(a, w) for a, w in outputs if a.dtype.kind == "f"]
    targets, weights = [a for a, _ in outputs], [w for _, w in outputs]
    with np.errstate(all="ignore"):
        slope = tape.gradient(targets, x, weights, unconnected="zero").numpy()
        fast = float((slope * v).sum())
    slow = differences(
        function, call, {**options, "dtype": np.float64} if single else options, v, u
    )
    if math.isnan(slow):  # a zero divisor
        return
    tolerance = 1e-4 if single else 1e-6
    assert fast == pytest.approx(slow, rel=tolerance, abs=tolerance), what


def check_trace(function, call, options, expected, what):
    """Whether a trace records the call, or says that it needs numbers."""
    x = gl.tensor(START)
    graph, error = attempt(gl.trace, lambda x: parts(function(*call(x), **options)), x)
    if error is not None:
        assert isinstance(error, TraceError | DTypeError | ShapeError), f"{what}: {error!r}"
        assert "\n" not in str(error), what
        return
    found, error = attempt(graph.replay, START)
    assert error is None, what
    same(numbers(found), expected, what)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_of_numpy_has_its_gradient_or_an_error(name):
    function = FUNCTIONS[name]
    known = parameters(name, function)
    for way, call in CALLS.items():
        for options in OPTIONS:
            if not options.keys() <= known or ONLY.get(way, name) != name:
                continue
            expected = of_arrays(function, call, options)
            if expected is not None and all(x.dtype.kind != "c" for x in expected):
                what = f"{name} as {way} with {options}"
                check_call(name, function, call, options, expected, what)
                check_trace(function, call, options, expected, what)


# --- what is said, and what stays ---------------------------------------------------------------


def watched(value):
    """A tape, and a tensor that it watches."""
    tape, x = gl.GradientTape(persistent=True), gl.tensor(np.array(value), name="x")
    tape.watch(x)
    return tape, x


def test_the_examples_of_a_lost_gradient():
    slope = gl.grad(lambda x: (x * x + np.sin(x)).sum())([1.0, 2.0])
    np.testing.assert_allclose(slope, [2.540302, 3.5838532], rtol=1e-6)
    w = gl.Variable([0.5, -0.5])
    optimizer = gl.optim.SGD(0.1)
    costs = np.array([1.0, 2.0], np.float32)
    optimizer.minimize(lambda: np.sum(np.exp(w) * costs), optimizer.init([w]))
    np.testing.assert_allclose(w, [0.5 - 0.1 * np.exp(0.5), -0.5 - 0.2 * np.exp(-0.5)], rtol=1e-6)
    compiled = gl.compile(gl.grad(lambda x: np.mean(np.tanh(x) ** 2, axis=0)))
    slope = np.tanh([0.5, 1]) / np.cosh([0.5, 1]) ** 2
    np.testing.assert_allclose(compiled([0.5, 1.0]), slope, rtol=8 * np.finfo(np.float32).eps)


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (np.cbrt, "numpy.cbrt would lose the gradient of 'x': gradlab has no such function"),
        (np.logaddexp.reduce, r"numpy.logaddexp.reduce .* gradlab has no such function"),
        (np.linalg.inv, r"numpy.linalg.inv would lose .* gradlab has no such function"),
        (lambda x: np.sum(x, where=x > 0), r"numpy.sum .* does not take where= there"),
        (lambda x: np.exp(x, out=np.zeros((2, 2))), r"numpy.exp .* does not take out= there"),
        (lambda x: np.pad(x, 1, mode="edge"), r"numpy.pad .* does not take mode='edge' there"),
        (lambda x: np.multiply(x, 2, casting="safe"), "does not take casting= there"),
        (lambda x: np.multiply(x, 1j, subok=False), "does not take complex128 there"),
        (lambda x: np.copyto(np.zeros((2, 2)), x), "numpy.copyto would lose the gradient"),
        (lambda x: np.add.at(np.zeros(2), [0], x[0, 0]), "numpy.add.at would lose the gradient"),
        (lambda x: np.asarray(x), "a conversion to a NumPy array would lose the gradient of 'x'"),
        (lambda x: np.array([x, x]), "conversion to a NumPy array"),
        (lambda x: np.zeros(4).reshape(2, 2).__setitem__(0, x[0]), "conversion to a NumPy array"),
        (lambda x: float(x[0, 0]), r"float\(\) would lose the gradient of a tensor of shape \(\)"),
        (lambda x: math.exp(x[0, 0]), "gradlab.exp for math.exp; write .numpy"),
        (lambda x: math.fsum(x[0]), r"float\(\) would lose"),
        (lambda x: complex(x[0, 0]), r"float\(\) would lose"),
        (lambda x: np.ones(2).__iadd__(x[0]), r"numpy.add .* does not take out= there"),
    ],
)
def test_what_would_lose_a_gradient_says_what_to_write(function, hint):
    tape, x = watched([[0.5, 0.1], [0.2, 0.5]])
    with tape:
        for target in (x, gl.Variable(x, name="x")):
            with pytest.raises(GradientError, match=hint) as caught:
                function(target)
            assert "\n" not in str(caught.value)
            assert "stop_gradient(x) if a constant is meant" in str(caught.value)
            function(gl.stop_gradient(target))  # which no gradient flows through
            function(gl.stop_gradient(target) * 2 + x.numpy())
    function(x)  # the tape has stopped
    with tape, tape.stop_recording():
        function(x)
    with tape:
        function(gl.tensor(x.numpy()))  # of which the tape knows nothing
    with pytest.raises(TraceError) as caught:
        gl.trace(function, x)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["erf", "expm1", "log1p", "expit", "j0", "gammaln", "xlogy"])
def test_functions_of_scipy(name):
    """Those that gradlab has are recorded; the others say that the gradient would be lost."""
    special = pytest.importorskip("scipy.special")
    function = getattr(special, name)
    call = (lambda x: function(x, x)) if name == "xlogy" else function
    x = np.array([0.3, 0.6])
    if name in ("erf", "expm1", "log1p", "expit"):
        gl.check_grads(call, [x])
    else:
        with pytest.raises(GradientError, match=f"numpy.{name} would lose the gradient"):
            gl.grad(lambda x: gl.sum(call(x)))(x)
        np.testing.assert_array_equal(call(gl.tensor(x)), call(x))
    with pytest.raises(GradientError, match="would lose the gradient"):
        gl.grad(lambda x: special.logsumexp(x))(x)


def test_what_is_asked_for_by_name_is_a_constant():
    tape, x = watched([0.5, 0.5])
    with tape:
        assert x.numpy()[0] == x[0].item() == x.tolist()[0] == 0.5
        assert f"{x[0]:.1f} {x[0]}" == "0.5 tensor(0.5, dtype=float64)"
        assert "0.5" in repr(x)
        # their derivative is zero wherever there is one
        assert (bool(x[0]), int(x[0]), round(2.0) if x[0] > 0.1 else 0) == (True, 0, 2)
        assert (np.shape(x), np.ndim(x), np.size(x)) == ((2,), 1, 2)
        assert np.array_equal(x, [0.5, 0.5])
        assert np.allclose(x, 0.5)
        assert np.searchsorted([0.1, 0.4, 0.9], x).tolist() == [2, 2]
        assert [10, 20][np.argmax(x)] == 10
        assert np.result_type(x) == np.float64
        assert np.from_dlpack(x)[0] == 0.5
        assert np.array2string(x.numpy()) == np.array_str(x)
        whole = gl.astype(x * 4, "int64")
        assert float(whole[0]) == np.asarray(whole)[0] == 2
        assert np.asarray(x * 4, int).tolist() == np.int64(x * 4).tolist() == [2, 2]


def test_one_rule_for_what_comes_back():
    """A tensor where gradlab has the function, with its options; else what NumPy gives."""
    data = np.array([[0.5, 2.0], [3.0, 4.0]])
    for make in (gl.tensor, gl.Variable):
        x = make(data)
        for function in (np.exp, np.sum, np.add.reduce, np.linalg.norm, np.transpose, np.copy):
            assert isinstance(function(x), gl.Tensor)
            np.testing.assert_allclose(function(x), function(data), rtol=1e-14)
        for function in (
            np.cbrt,
            np.linalg.inv,
            lambda x: np.sum(x, where=data > 1),
            lambda x: np.pad(x, 1, mode="edge"),
            lambda x: np.where(x > 2, "high", "low"),
            lambda x: np.multiply(x, np.float16(2), casting="same_kind"),
        ):
            assert isinstance(function(x), np.ndarray | np.generic)
            np.testing.assert_array_equal(function(x), function(data))
        for result in (np.float32(2) * x, data * x, data @ x, 2 * x, data < x):
            assert isinstance(result, gl.Tensor)
        total = data.copy()
        total += x
        assert type(total) is np.ndarray
        np.testing.assert_array_equal(total, 2 * data)
        with pytest.raises(ValueError, match="read-only"):
            np.add(data, data, out=x)
    assert np.sum(gl.tensor([1.0, 2.0]), dtype="float64").dtype == np.float64
    assert np.stack([gl.tensor([1, 2])], dtype="float32").dtype == np.float32
    assert np.zeros_like(gl.tensor([1.0]), dtype=int).tolist() == [0]
    assert np.astype(gl.tensor([1.5]), np.int64).tolist() == [1]
    same([np.einsum(data, [0, 1], x, [1, 2], [0, 2]).numpy()], [data @ data], "einsum")


def test_a_checkpointed_function_that_leaves_the_graph_is_refused():
    def leaves_it(x):
        return gl.tensor(np.asarray(x * 2)) * x

    with pytest.raises(GradientError, match="would lose the gradient"):
        gl.grad(lambda x: gl.checkpoint(leaves_it)(x).sum())([1.0, 2.0])
