"""Elementwise functions in machine code, beside NumPy in a wider format and mpmath."""

import re

import llvmlite.binding as llvm
import numpy as np
import pytest
from llvmlite import ir

from benchmarks.accuracy import (
    EIGHTY_BITS,
    EXACT,
    NUMPY,
    TRANSCENDENTAL,
    points,
    true,
    ulps,
)
from gradlab.errors import ArgumentError, DTypeError, ShapeError
from gradlab.execute.native.machine import optimized
from gradlab.execute.native.math import FUNCTIONS, ArrayFunction, function
from gradlab.execute.native.math.arrays import loop
from gradlab.execute.native.math.catalogue import BINARY

DTYPES = ("float32", "float64")

MAX_ULP = dict.fromkeys(TRANSCENDENTAL, 2.0) | {"asin": 2.1, "atan2": 2.2, "tan": 3.6}
MAX_ULP |= {"sech": 2.3, "erfc": 5.0}
"""Largest error allowed, in units of the last place of the true result."""

_compiled = {}


def compiled(name, dtype):
    """The function over arrays, compiled once for all tests."""
    if (name, dtype) not in _compiled:
        _compiled[name, dtype] = ArrayFunction(name, dtype)
    return _compiled[name, dtype]


# --- accuracy -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TRANSCENDENTAL)
def test_float32_beside_float64(name):
    arguments = points(name, np.float32, 2**19)
    error = ulps(compiled(name, "float32")(*arguments), true(name, np.float64, *arguments))
    worst = np.argmax(error)
    assert error[worst] <= MAX_ULP[name], [x[worst] for x in arguments]


@pytest.mark.skipif(not EIGHTY_BITS, reason="long double is no wider than double here")
@pytest.mark.parametrize("name", [name for name in TRANSCENDENTAL if not name.startswith("erf")])
def test_float64_beside_long_double(name):
    arguments = points(name, np.float64, 2**16)
    error = ulps(compiled(name, "float64")(*arguments), true(name, np.longdouble, *arguments))
    worst = np.argmax(error)
    assert error[worst] <= MAX_ULP[name], [x[worst] for x in arguments]


RANGES = {"erf": (-6, 6), "erfc": (-6, 27), "sech": (-700, 700)}
RANGES |= {"exp": (-745, 709), "asin": (-1, 1), "acos": (-1, 1), "log": (0, 9)}
RANGES |= {"acosh": (50, 1000), "atanh": (-1, 1), "log2": (0, 9), "log10": (0, 9)}
RANGES |= {"expm1": (-40, 709), "sinh": (-710, 710), "cosh": (-710, 710), "log1p": (-1, 9)}


@pytest.mark.parametrize("name", TRANSCENDENTAL)
def test_float64_beside_mpmath(name):
    mp = pytest.importorskip("mpmath")
    exact = {"sigmoid": lambda x: 1 / (1 + mp.exp(-x)), "softplus": lambda x: mp.log1p(mp.exp(x))}
    exact |= {"pow": mp.power, "log2": lambda x: mp.log(x, 2)}
    of = exact.get(name) or getattr(mp, name)
    rng = np.random.default_rng(0)
    low, high = RANGES.get(name, (-20, 20))
    x = rng.uniform(low, high, 500)
    x = np.concatenate([x, x / 50, np.exp(rng.uniform(-40, 0, 100)) * high])
    x = np.maximum(x, 1) if name == "acosh" else x
    second = rng.uniform(-15, 15, x.size)
    arguments = {"pow": (np.abs(x), second), "atan2": (x, second)}.get(name, (x,))
    found = compiled(name, "float64")(*arguments)
    with mp.workdps(50):
        for *point, value in zip(*arguments, found, strict=True):
            result = of(*map(mp.mpf, point))
            unit = mp.ldexp(1, max(mp.frexp(result)[1] - 1, -1022) - 52)
            assert abs(mp.mpf(value) - result) <= MAX_ULP[name] * unit, point


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", EXACT)
def test_exact_functions_are_numpys(name, dtype):
    arguments = points(name, np.dtype(dtype).type, 2**12)
    with np.errstate(all="ignore"):
        expected = NUMPY[name](*arguments)
    found = compiled(name, dtype)(*arguments)
    np.testing.assert_array_equal(found, expected)
    zero = expected == 0
    if name not in BINARY:  # which zero is the larger one, NumPy leaves open
        np.testing.assert_array_equal(np.signbit(found[zero]), np.signbit(expected[zero]))


# --- special values -----------------------------------------------------------------------------


def special_values(dtype):
    info = np.finfo(dtype)
    sizes = [0, info.smallest_subnormal, info.tiny, 1e-30, 0.5, 1, 1.5, 2, 3, 1e30, info.max]
    sizes = np.array([*sizes, np.inf], dtype)
    return np.concatenate([sizes, -sizes, np.array([np.nan], dtype)])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", TRANSCENDENTAL)
def test_nan_infinity_and_zero_are_numpys(name, dtype):
    x = special_values(dtype)
    arguments = np.meshgrid(x, x) if name in BINARY else (x,)
    found = compiled(name, dtype)(*arguments)
    expected = true(name, dtype, *arguments)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    plain = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(found)[plain], np.signbit(expected)[plain])
    for value in (np.inf, 0):
        same = np.abs(expected) == value
        np.testing.assert_array_equal(np.abs(found) == value, same)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "name", ["expm1", "log1p", "sin", "tan", "sinh", "tanh", "asin", "atan", "asinh"]
)
def test_the_identity_near_zero(name, dtype):
    x = special_values(dtype)
    x = x[np.abs(x) < np.finfo(dtype).tiny * 2]
    np.testing.assert_array_equal(compiled(name, dtype)(x), x)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
@pytest.mark.parametrize("count", [1, 2, 3, 5, 16, 21, 40])
def test_a_large_angle_among_small_ones(name, dtype, count):
    x = np.linspace(-2, 2, count, dtype=dtype)
    x[count // 2] = 3e30
    wide = np.longdouble if EIGHTY_BITS else np.float64
    assert ulps(compiled(name, dtype)(x), true(name, wide, x)).max() <= 4


# --- code ---------------------------------------------------------------------------------------


def kernel(text):
    """The loop's function in an optimized module."""
    return re.search(r"^define [^\n]*@kernel\(.*?^}", text, re.MULTILINE | re.DOTALL)[0]


def calls(text):
    """Names of the functions that are called, LLVM's own apart."""
    return [name for name in re.findall(r"call [^@\n]*@([\w.]+)", text) if name[:5] != "llvm."]


def vectors(text, dtype):
    """Sizes of the vectors in which a polynomial, or else anything, is computed."""
    kind = {"float32": "float", "float64": "double"}[dtype]
    return {int(n) for n in re.findall(rf"= .*<(\d+) x {kind}>", text)}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_loop_is_over_vectors_and_calls_no_library(name, dtype):
    text = kernel(compiled(name, dtype).llvm)
    assert max(vectors(text, dtype)) >= 16 // np.dtype(dtype).itemsize
    large = {"sin", "cos", "tan"} & {name}
    assert all(re.match(rf"gl\.{name}\.large\.f\d\d(\.x\d+)?$", called) for called in calls(text))
    assert any(re.search(r"\.x\d+$", called) for called in calls(text)) == bool(large)


@pytest.mark.parametrize(
    ("triple", "cpu", "size"),
    [
        ("x86_64-unknown-linux-gnu", "haswell", 32),
        ("x86_64-unknown-linux-gnu", "znver4", 64),
        ("aarch64-unknown-linux-gnu", "neoverse-n1", 16),
    ],
)
@pytest.mark.parametrize("name", ["log", "pow", "sin", "tanh"])
def test_other_machines_have_vectors_too(name, triple, cpu, size):
    llvm.initialize_all_targets()
    machine = llvm.Target.from_triple(triple).create_target_machine(cpu=cpu, opt=3)
    text = kernel(str(optimized(loop(name, "float64"), machine)))
    assert size // 8 in vectors(text, "float64")
    assert all(called.startswith("gl.") for called in calls(text))


def test_no_flag_assumes_the_absence_of_nan_or_infinity():
    module = ir.Module()
    for name in FUNCTIONS:
        for dtype in DTYPES:
            function(module, name, dtype)
    flags = re.findall(r"\b(?:fast|nnan|ninf|nsz|arcp|contract|afn|reassoc)\b", str(module))
    assert flags == []
    llvm.parse_assembly(str(module)).verify()


def test_a_module_holds_a_function_once():
    module = ir.Module()
    first = function(module, "sin", "float32")
    assert function(module, "sin", np.float32) is first
    assert first.name == "gl.sin.f32"
    assert "alwaysinline" in first.attributes


@pytest.mark.parametrize(
    ("name", "dtype", "error", "text"),
    [
        ("exq", "float32", ArgumentError, "unknown function 'exq'; did you mean 'exp'"),
        ("exp", "float16", DTypeError, "exp: give dtype float32 or float64, got float16"),
    ],
)
def test_what_there_is_not(name, dtype, error, text):
    with pytest.raises(error, match=text):
        function(ir.Module(), name, dtype)


def test_arrays_that_do_not_fit():
    power = compiled("pow", "float64")
    with pytest.raises(ArgumentError, match="pow takes 2 arrays, got 1"):
        power([1.0])
    with pytest.raises(ShapeError, match="one shape"):
        power([1.0], [1.0, 2.0])
    with pytest.raises(DTypeError, match="contiguous array of float64, got float32"):
        power([1.0], [2.0], out=np.empty(1, np.float32))


# --- fits ---------------------------------------------------------------------------------------


def test_the_coefficients_are_what_the_fit_gives():
    mp = pytest.importorskip("mpmath")
    from gradlab.execute.native.math import fit
    from gradlab.execute.native.math.coefficients import COEFFICIENTS

    bits = {"f32": 24, "f64": 53}
    with mp.workdps(fit.DIGITS):
        for name, row in fit.FITS.items():
            for fmt in row.terms:
                coefficients, error = fit.minimax(row, fmt)
                assert fit.rounded(coefficients, fmt) == COEFFICIENTS[name][fmt]
                assert error < mp.mpf(2) ** -(bits[fmt] + 2), (name, fmt)


def test_a_minimax_polynomial_has_equal_errors_of_alternating_sign():
    mp = pytest.importorskip("mpmath")
    from gradlab.execute.native.math.fit import Fit, minimax

    # Chebyshev: the best line for x² on [−1, 1] is ½, wrong by ½ at −1, 0 and 1.
    square = Fit("x²", lambda x: x**2, lambda x: mp.mpf(1), mp.mpf(-1), mp.mpf(1), {"f64": 2})
    coefficients, error = minimax(square, "f64")
    assert coefficients == pytest.approx([0.5, 0], abs=1e-2)
    assert error == pytest.approx(0.5, abs=1e-2)
