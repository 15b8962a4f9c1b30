"""Whole numbers: no Python integer wraps unseen, and every executor computes as eager code does."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradlab as gl
from gradlab.errors import DTypeError, TraceError
from gradlab.graph.dtypes import fits
from gradlab.graph.tree import leaves

DTYPES = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"]
PAIRS = list(itertools.product(DTYPES, DTYPES))
EXECUTORS = ["numpy", "native"]
COMPARISONS = {
    "equal": gl.equal,
    "not_equal": gl.not_equal,
    "less": gl.less,
    "less_equal": gl.less_equal,
    "greater": gl.greater,
    "greater_equal": gl.greater_equal,
}
ARITHMETIC = {
    "add": gl.add,
    "subtract": gl.subtract,
    "multiply": gl.multiply,
    "floor_divide": gl.floor_divide,
    "remainder": gl.remainder,
    "divide": gl.divide,
    "pow": gl.pow,
    "maximum": gl.maximum,
    "minimum": gl.minimum,
    "clip": lambda x, number: gl.clip(x, number, None),
    "where": lambda x, number: gl.where(gl.greater(x, 1), x, number),
    "concat": lambda x, number: gl.concat([x, gl.reshape(number, (1,))]),
}
NUMBERS = [0, 2, -1, 127, 128, -128, -129, 255, 300, -300, 65536, 2**31, -(2**31) - 1, 2**40]


def some(dtype):
    """The ends of a dtype, and what lies between."""
    bounds = np.iinfo(dtype)
    return np.array([bounds.min, 0, 1, 7, 100, bounds.max], dtype)


def assert_same(found, expected):
    """Equal whole numbers; floats may differ by the rounding of a division or a power."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.dtype == expected.dtype
    if expected.dtype.kind == "f":
        np.testing.assert_array_max_ulp(found, expected, 2)
    else:
        np.testing.assert_array_equal(found, expected)


def every(functions):
    """One function that does all of them, so that they share a program."""
    return lambda *arguments: [function(*arguments) for function in functions.values()]


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # division by zero
def test_a_python_integer_counts_in_compiled_functions_as_in_eager_code(dtype, executor):
    """As an argument, on either side, and computed from arguments."""
    functions = every(COMPARISONS | ARITHMETIC)

    def function(x, number):
        return (
            functions(x, number),
            functions(x, number * 2),
            gl.subtract(number, x),
            gl.equal(number, x),
        )

    x = some(dtype)
    compiled = gl.compile(function, executor=executor)
    for number in NUMBERS:
        for found, expected in zip(
            leaves(compiled(x, number)), leaves(function(x, number)), strict=True
        ):
            assert_same(found, expected)


@pytest.mark.parametrize("name", COMPARISONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_comparisons_with_python_integers_are_exact(dtype, name):
    x = some(dtype)
    for number in (*NUMBERS, 2**63 - 1, 2**63, 2**64 - 1, -(2**63)):
        expected = [getattr(np, name)(int(element), number) for element in x]
        np.testing.assert_array_equal(COMPARISONS[name](x, number), expected)


WRAPPING = ["add", "subtract", "multiply", "floor_divide", "remainder", "maximum", "minimum"]


@pytest.mark.parametrize("executor", ["eager", *EXECUTORS])
@pytest.mark.parametrize(("a", "b"), PAIRS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's, where a division overflows
def test_arrays_are_compared_exactly_and_meet_as_in_numpy(a, b, executor):
    functions = COMPARISONS | {name: ARITHMETIC[name] for name in WRAPPING}
    function = every(functions)
    if executor != "eager":
        function = gl.compile(function, executor=executor)
    x, y = some(a)[:, None], some(b)
    for name, found in zip(functions, function(x, y), strict=True):
        if name in COMPARISONS:
            expected = getattr(np, name)(x.astype(object), y.astype(object)).astype(bool)
            np.testing.assert_array_equal(found, expected, err_msg=name)
        else:
            assert_same(found, getattr(np, name)(x, y))


def test_recordings_are_shared_by_the_numbers_that_fit_alike():
    compiled = gl.compile(gl.add)
    x = np.array([1], np.uint8)
    for number in (0, 5, 255, -1, 300, 7, 256):
        compiled(x, number)
    assert "2 programs" in repr(compiled)
    wide = gl.compile(gl.add)
    for number in (0, 300, -1, 2**40):
        wide(np.array([1]), number)
    assert "1 program " in repr(wide)


def test_a_graph_is_replayed_with_numbers_that_fit_alike_only():
    graph = gl.trace(lambda x, number: x + number, np.zeros(2, np.uint8), 3)
    np.testing.assert_array_equal(graph.replay(np.uint8([1, 2]), 4), np.uint8([5, 6]), strict=True)
    with pytest.raises(TraceError, match="traced to fit uint8"):
        graph.replay(np.uint8([1, 2]), 300)


def test_a_number_that_is_not_known_while_tracing_is_refused():
    small, count = np.zeros(2, np.uint8), gl.Variable(3, weak=True)
    with pytest.raises(TraceError, match=r"astype\(\.\.\., 'uint8'\)"):
        gl.trace(lambda x, n: x + n, small, gl.Spec((), "int64", weak=True))
    with pytest.raises(TraceError, match=r"astype\(\.\.\., 'uint8'\)"):
        gl.trace(lambda x: x + count, small)


def test_integers_of_more_than_64_bits_are_refused():
    for number in (2**64, -(2**63) - 1):
        with pytest.raises(DTypeError, match="64 bits"):
            gl.add(np.array([1]), number)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_variable_takes_what_it_can_hold(dtype):
    bounds = np.iinfo(dtype)
    variable = gl.Variable(np.zeros((), dtype))
    for number in (bounds.min, bounds.max):
        variable.assign(int(number))
        assert variable.item() == number
    for number in (int(bounds.min) - 1, int(bounds.max) + 1):
        if -(2**63) <= number < 2**64:
            with pytest.raises(DTypeError, match="astype"):
                variable.assign(number)
    for other in DTYPES:
        if np.can_cast(other, dtype):
            variable.assign(np.ones((), other))
        else:
            for attempt in (
                lambda other=other: variable.assign(np.ones((), other)),
                lambda other=other: gl.compile(variable.assign)(np.ones((), other)),
            ):
                with pytest.raises(DTypeError, match="astype"):
                    attempt()


@settings(max_examples=200)
@given(
    st.sampled_from(DTYPES),
    st.sampled_from(["float32", "float64"]),
    st.lists(st.floats(width=32), min_size=1, max_size=20),
)
def test_floats_become_the_nearest_whole_numbers_in_range(dtype, source, numbers):
    numbers += [np.nan, np.inf, -np.inf, *map(float, some(dtype)), 2.0**63, 2.0**64]
    x = np.array(numbers, source)
    bounds = np.iinfo(dtype)
    bounds = SimpleNamespace(min=int(bounds.min), max=int(bounds.max))

    def nearest(number):
        if np.isnan(number):
            return 0
        return (
            bounds.min
            if number < bounds.min
            else bounds.max
            if number > bounds.max
            else int(number)
        )

    expected = [nearest(number) for number in x.tolist()]
    eager = gl.astype(x, dtype)
    np.testing.assert_array_equal(eager, np.array(expected, dtype), strict=True)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("source", ["float32", "float64"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_floats_become_whole_numbers_alike_on_every_executor(dtype, source, executor):
    edges = [float(edge) for edge in some(dtype)] + [2.0**63, 2.0**64, -(2.0**63), 1e30, -1e30]
    around = [np.nextafter(np.array(edges, source), way) for way in (-np.inf, np.inf)]
    x = np.concatenate([np.array([np.nan, np.inf, -np.inf, -0.5, 255.9], source), edges, *around])
    x = x.astype(source)
    compiled = gl.compile(lambda x: gl.astype(x, dtype), executor=executor)
    np.testing.assert_array_equal(compiled(x), gl.astype(x, dtype), strict=True)


@given(st.integers(-(2**63), 2**64 - 1), st.sampled_from(DTYPES))
def test_whether_a_number_fits(number, dtype):
    bounds = np.iinfo(dtype)
    assert fits(np.asarray(number), np.dtype(dtype)) == (bounds.min <= number <= bounds.max)
