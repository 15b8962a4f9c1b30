"""In which dtype operands meet, and that a trace knows it as eager code does."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradlab as gl
from gradlab.errors import DTypeError
from gradlab.graph.dtypes import check_dtype, result_dtype

NUMBERS = {bool: True, int: 3, float: 0.5}
ARRAYS = ["bool", "int32", "int64", "float32", "float64"]
KINDS = [*NUMBERS, *ARRAYS]
PAIRS = list(itertools.product(KINDS, KINDS))
# A Python number takes the dtype of an array of its kind or higher, else it lifts the array.
ORDER = {bool: 0, "bool": 0, int: 1, "int32": 1, "int64": 1, float: 2, "float32": 2, "float64": 2}
LIFTED = {int: "int64", float: "float32"}


def operand(kind):
    """Eager code sees a Python number or an array; the last axis tells operands apart."""
    return NUMBERS[kind] if kind in NUMBERS else np.array([1, 0, 1], kind)


def met(a, b):
    """The rule, written once more as a table of cases."""
    if a in NUMBERS and b in NUMBERS:
        higher = a if ORDER[a] >= ORDER[b] else b
        return np.asarray(NUMBERS[higher]).dtype
    if a in NUMBERS or b in NUMBERS:
        number, array = (a, b) if a in NUMBERS else (b, a)
        return np.dtype(array if ORDER[array] >= ORDER[number] else LIFTED[number])
    if ORDER[a] != ORDER[b]:
        return np.dtype(a if ORDER[a] > ORDER[b] else b)
    return np.dtype(max(a, b))  # int32 < int64 and float32 < float64, also as text


FUNCTIONS = {
    "add": gl.add,
    "multiply": gl.multiply,
    "maximum": gl.maximum,
    "where": lambda x, y: gl.where([True, False, True], x, y),
    "concat": lambda x, y: gl.concat([gl.reshape(x, (-1,)), gl.reshape(y, (-1,))]),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_operands_meet_by_the_rule(name, a, b):
    eager = FUNCTIONS[name](operand(a), operand(b))
    assert eager.dtype == met(a, b)
    assert eager.weak == (a in NUMBERS and b in NUMBERS)
    (symbol,) = gl.trace(FUNCTIONS[name], operand(a), operand(b)).outputs
    assert (symbol.shape, symbol.dtype, symbol.weak) == (eager.shape, eager.dtype, eager.weak)


@pytest.mark.parametrize("function", [gl.divide, gl.pow])
@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_quotients_and_powers_are_floats(function, a, b):
    weak = a in NUMBERS and b in NUMBERS
    least = "float64" if weak else "float32"
    expected = met(a, b) if met(a, b).kind == "f" else np.dtype(least)
    if function is gl.pow and b is int:  # its sign is known, and that it is whole
        expected = met(a, b)
    (symbol,) = gl.trace(function, operand(a), operand(b)).outputs
    assert (symbol.dtype, symbol.weak) == (expected, weak)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = function(operand(a), operand(b))
    assert (found.dtype, found.weak) == (expected, weak)


def test_powers_of_whole_numbers():
    x = np.array([-3, 0, 2], np.int32)
    for exponent in (0, 2, 3):
        found = gl.pow(x, exponent)
        np.testing.assert_array_equal(found, x**exponent, strict=True)
        traced = gl.compile(lambda x, p=exponent: x**p)(x)
        np.testing.assert_array_equal(traced, found, strict=True)
        assert gl.pow(x, np.int64(exponent)).dtype.kind == "i"
    for exponent in (-1, 2.0, 3.0, np.array(2)):
        assert gl.pow(np.array([1, 2]), exponent).dtype == np.float32
    np.testing.assert_array_equal(gl.pow([True, False], 2), [1, 0])


def test_a_python_number_that_does_not_fit_is_no_smaller_one():
    x = np.array([200, 0], np.uint8)
    np.testing.assert_array_equal(gl.less(x, 300), [True, True])
    np.testing.assert_array_equal(gl.greater(x, -1), [True, True])
    np.testing.assert_array_equal(gl.greater(np.uint64([2**63]), -1), [True])
    np.testing.assert_array_equal(gl.add(300, x), np.array([500, 300]), strict=True)
    assert gl.add(x, 55).dtype == np.uint8


BOOLEAN = np.array([True, False])


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x: -x,
        lambda x: x - x,
        lambda x: x - True,
        lambda x: gl.sign(x),
        lambda x: x % x,
        lambda x: x // True,
    ],
)
def test_booleans_have_no_sign(wrong):
    for attempt in (lambda: wrong(gl.tensor(BOOLEAN)), lambda: gl.trace(wrong, BOOLEAN)):
        with pytest.raises(DTypeError, match="astype"):
            attempt()


@pytest.mark.parametrize(
    "function", [gl.square, gl.abs, gl.floor, lambda x: x + x, lambda x: x * x]
)
def test_booleans_stay_booleans(function):
    np.testing.assert_array_equal(function(gl.tensor(BOOLEAN)), BOOLEAN, strict=True)
    assert gl.trace(function, BOOLEAN).outputs[0].dtype == np.bool_


@pytest.mark.parametrize("dtype", ["float16", "longdouble"])
def test_floats_of_other_widths_are_refused(dtype):
    for attempt in (
        lambda: gl.tensor(np.ones(2, dtype)),
        lambda: gl.exp(np.ones(2, dtype)),
        lambda: gl.astype([1.0], dtype),
        lambda: gl.trace(gl.exp, gl.Spec((2,), dtype)),
        lambda: gl.set_default_dtype(dtype),
    ):
        with pytest.raises(DTypeError, match="float32 and float64"):
            attempt()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "function",
    [
        *[gl.exp, gl.sigmoid, gl.elu, gl.gelu, gl.silu, gl.leaky_relu, gl.softplus, gl.erf],
        *[gl.mean, gl.var, gl.norm, gl.logsumexp, lambda x: gl.softmax(gl.reshape(x, (-1,)))],
    ],
)
def test_functions_of_floats_take_anything(function, kind):
    x = operand(kind)
    found = function(x)
    expected = "float64" if kind in NUMBERS or kind == "float64" else "float32"
    assert (found.dtype, found.weak) == (np.dtype(expected), kind in NUMBERS)
    (symbol,) = gl.trace(function, x).outputs
    assert (symbol.dtype, symbol.weak) == (found.dtype, found.weak)


@pytest.mark.parametrize("kind", ["bool", "uint8", "int32", "uint32", "int64"])
@pytest.mark.parametrize("function", [gl.sum, gl.prod, gl.cumsum])
def test_whole_numbers_are_added_and_multiplied_as_int64(function, kind):
    x = np.array([1, 1, 1], kind)
    found = function(x)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, getattr(np, function.__name__)(x))
    (symbol,) = gl.trace(function, x).outputs
    assert symbol.dtype == np.int64


def test_a_python_number_keeps_its_digits_in_float64():
    x = gl.tensor([1.0], "float64")
    for quotient in (x / 3, x * gl.divide(1, 3), x * (gl.as_tensor(1) / 3), x / gl.as_tensor(3.0)):
        np.testing.assert_array_equal(quotient, [1 / 3], strict=True)
    np.testing.assert_array_equal(x * gl.sqrt(2), [math.sqrt(2)], strict=True)
    np.testing.assert_array_equal(x * gl.exp(1), [math.e], strict=True)
    np.testing.assert_array_equal(x * gl.stack([0.1, 1]).sum(), [1.1], strict=True)
    compiled = gl.compile(lambda x, n: x / n)
    np.testing.assert_array_equal(compiled(x, 3), [1 / 3], strict=True)


def test_a_python_number_stays_weak_on_its_way():
    x = gl.tensor([1.0])
    rate = gl.as_tensor(2)  # an integer on its way to becoming a float
    weak = [
        rate * 0.5,
        rate / 3,
        gl.sqrt(rate),
        rate - True,
        gl.where(True, rate, 0.5),
        -rate,
        rate[None],
    ]
    assert all(number.weak for number in weak)
    assert {(number * x).dtype for number in weak} == {np.dtype(np.float32)}


def test_asking_for_a_dtype_is_a_decision():
    half = gl.astype(0.5, "float64")
    assert not half.weak
    assert (gl.tensor([1.0]) * half).dtype == np.float64


def test_derivatives_reach_a_python_number():
    """Its cast to the dtype that it meets is part of the graph."""
    x = gl.tensor([1.0, 2.0])
    g = gl.grad(lambda rate: (rate * x).sum())(3.0)
    assert float(g) == 3.0
    rate = gl.Variable(2.0, weak=True)
    with gl.GradientTape() as tape:
        y = (rate * x).sum()
    assert y.dtype == np.float32
    assert tape.gradient(y, rate).item() == 3.0


@settings(max_examples=50)
@given(st.sampled_from(ARRAYS), st.booleans(), st.sampled_from(ARRAYS), st.booleans())
def test_the_order_of_operands_does_not_matter(a, weak_a, b, weak_b):
    a, b = np.dtype(a), np.dtype(b)
    assert result_dtype(a, weak_a, b, weak_b) == result_dtype(b, weak_b, a, weak_a)


def test_the_default_dtype():
    try:
        gl.set_default_dtype("float64")
        assert gl.tensor([0.5]).dtype == np.float64
        assert (gl.tensor([1]) * 0.5).dtype == np.float64
        assert gl.one_hot([0], 2).dtype == np.float64
        assert gl.exp(np.array([1])).dtype == np.float64
    finally:
        gl.set_default_dtype("float32")
    assert gl.default_dtype() == np.float32
    with pytest.raises(DTypeError, match="floating"):
        gl.set_default_dtype("int64")


def test_dtypes_that_are_not_numbers():
    with pytest.raises(DTypeError, match="complex"):
        check_dtype("complex64")
    with pytest.raises(DTypeError, match="real numbers"):
        gl.tensor(["a"])


@pytest.mark.parametrize("dtype", [">i8", ">f4", ">u2"])
def test_arrays_of_another_byte_order_keep_their_numbers(dtype):
    x = np.array([1, 2, 300], dtype)
    tensor = gl.tensor(x)
    assert tensor.dtype.isnative
    np.testing.assert_array_equal(tensor, [1, 2, 300])
    np.testing.assert_array_equal(gl.compile(lambda x: x + 1)(x), [2, 3, 301])
