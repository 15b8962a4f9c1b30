"""What the elementwise rows compute for one element in machine code, beside their NumPy forward."""

import ctypes
import itertools
import zlib

import llvmlite.binding as llvm
import numpy as np
import pytest
from llvmlite import ir

from gradlab.execute.native.emit.element import I64, index, load, memory, store
from gradlab.execute.native.emit.loops import loop
from gradlab.execute.native.emit.scalar import COMBINE, ELEMENTWISE, SCALARS, scalar, start
from gradlab.execute.native.machine import host, optimized
from gradlab.graph import OPS
from tests.graph.samples import draw, extremes

FLOATS = [np.dtype(d) for d in ("float32", "float64")]
WHOLE = [np.dtype(f"{kind}{size}") for kind in "iu" for size in (1, 2, 4, 8)]
DTYPES = [*FLOATS, *WHOLE, np.dtype(bool)]

EXACT = "identity stop_gradient add subtract multiply divide negative square where sqrt"
EXACT += " maximum minimum relu abs sign floor round floor_divide remainder isfinite equal"
EXACT += " not_equal less less_equal greater greater_equal logical_and logical_or logical_not"
EXACT = EXACT.split()
# Which of two zeros is the larger one is open in NumPy, too.
ANY_ZERO = ("maximum", "minimum", "relu")


def kernel(module, name, dtypes, out, body):
    """``name(n, *inputs, output)``, a loop over what ``body(b, *elements)`` gives."""
    pointers = [memory(d).as_pointer() for d in (*dtypes, out)]
    made = ir.Function(module, ir.FunctionType(ir.VoidType(), [I64, *pointers]), name)
    n, *arrays = made.args
    for array in arrays:
        array.add_attribute("noalias")
    b = ir.IRBuilder(made.append_basic_block("entry"))
    with loop(b, index(0), n) as i:
        *inputs, output = (b.gep(array, [i]) for array in arrays)
        operands = [load(b, x, d) for x, d in zip(inputs, dtypes, strict=True)]
        store(b, body(b, *operands), output, out)
    b.ret_void()


class Compiled:
    """Kernels of one module, by name."""

    def __init__(self, module):
        machine = host()
        self.engine = llvm.create_mcjit_compiler(optimized(module, machine), machine)

    def __call__(self, name, inputs, out):
        inputs = [np.array(x, order="C") for x in np.broadcast_arrays(*inputs)]
        result = np.empty(inputs[0].shape, out)
        arguments = [ctypes.c_void_p] * (len(inputs) + 1)
        run = ctypes.CFUNCTYPE(None, ctypes.c_int64, *arguments)
        run(self.engine.get_function_address(name))(
            result.size, *(x.ctypes.data for x in (*inputs, result))
        )
        return result


def operand_dtypes(name, dtype):
    if name == "where":
        return (np.dtype(bool), dtype, dtype)
    return (dtype,) * len(OPS[name].domain or "x")


def applies(name, dtype):
    """Whether NumPy takes this dtype and gives the one that the row says."""
    inputs = [np.ones(1, d) for d in operand_dtypes(name, dtype)]
    try:
        with np.errstate(divide="ignore"):  # artanh 1
            out = OPS[name].forward(np, *inputs).dtype
    except TypeError:  # booleans have no difference
        return False
    return out == (dtype if out.kind != "b" else out)


ROWS = [(name, d) for name in sorted(SCALARS) for d in DTYPES if applies(name, d)]
CONVERSIONS = list(itertools.product(DTYPES, DTYPES))


def result_dtype(name, dtype):
    return OPS[name].forward(np, *[np.ones(1, d) for d in operand_dtypes(name, dtype)]).dtype


@pytest.fixture(scope="module")
def compiled():
    module = ir.Module()

    def add(name, row, dtypes, out):
        kernel(module, name, dtypes, out, lambda b, *xs: scalar(row, b, xs, dtypes, out))

    for name, dtype in ROWS:
        add(f"{name}.{dtype}", name, operand_dtypes(name, dtype), result_dtype(name, dtype))
    for source, target in CONVERSIONS:
        add(f"astype.{source}.{target}", "astype", (source,), target)
    return Compiled(module)


def inputs_for(name, dtype, rng):
    """Samples of the row, and the ends of its domain or of the dtype."""
    op = OPS[name]
    dtypes = operand_dtypes(name, dtype)
    if dtype.kind == "f":
        yield from (draw(op, rng, dtype).inputs for _ in range(10))
        if op.domain:
            yield extremes(op, dtype)
    else:
        ends = [0, 1]
        if dtype.kind != "b":
            info = np.iinfo(dtype)
            ends = [info.min, info.min + 1, *range(-3 if info.min else 0, 12), info.max]
            yield rng.integers(info.min, info.max, (len(dtypes), 1000), dtype, endpoint=True)
        yield np.meshgrid(*[np.array(ends, dtype)] * len(dtypes))


def same_bits(found, expected, any_zero):
    """Equal, with equal signs of zeros; one NaN is as good as another."""
    np.testing.assert_array_equal(found, expected, strict=True)
    if found.dtype.kind == "f" and not any_zero:
        number = ~np.isnan(expected)
        np.testing.assert_array_equal(np.signbit(found)[number], np.signbit(expected)[number])


def within_ulps(found, expected, limit):
    """No more than so many units of the last place apart."""
    assert found.dtype == expected.dtype
    plain = np.isfinite(expected)
    np.testing.assert_array_equal(found[~plain], expected[~plain])
    error = np.abs(found[plain] - expected[plain]) / np.spacing(np.abs(expected[plain]))
    assert error.max(initial=0) <= limit


@pytest.mark.parametrize(("name", "dtype"), ROWS, ids=lambda x: str(x))
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_every_row_is_numpys(compiled, name, dtype):
    rng = np.random.default_rng(zlib.crc32(f"{name}{dtype}".encode()))
    for inputs in inputs_for(name, dtype, rng):
        dtypes = operand_dtypes(name, dtype)
        inputs = [x.astype(d) for x, d in zip(inputs, dtypes, strict=True)]
        if name == "pow" and dtype.kind == "i":
            inputs[1] = np.maximum(inputs[1], 0)
        expected = np.asarray(OPS[name].forward(np, *inputs))
        found = compiled(f"{name}.{dtype}", inputs, expected.dtype)
        if name in EXACT or dtype.kind != "f":
            same_bits(found, expected, name in ANY_ZERO)
        else:
            within_ulps(found, expected, 4)


@pytest.mark.parametrize("name", ["floor_divide", "remainder"])
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_quotients_of_floats_of_all_sizes(compiled, name, dtype):
    rng = np.random.default_rng(0)
    x, y = np.ldexp(rng.standard_normal((2, 20_000)), rng.integers(-40, 40, (2, 20_000)))
    x, y = x.astype(dtype), y.astype(dtype)
    y[::3] = np.round(y[::3])
    x[::6] = y[::6] * np.round(x[::6])
    same_bits(compiled(f"{name}.{dtype}", [x, y], dtype), OPS[name].forward(np, x, y), False)


@pytest.mark.parametrize(("source", "target"), CONVERSIONS, ids=str)
def test_conversions(compiled, source, target):
    rng = np.random.default_rng(0)
    if source.kind == "f":
        x = np.concatenate([rng.normal(0, 30, 100), [0.0, -0.0, 0.5, -0.5, np.inf, -np.inf]])
        x = np.append(x, np.nan).astype(source)
        if target.kind in "iu":  # beyond the range, NumPy leaves open what comes
            info = np.iinfo(target)
            x = x[(x > info.min - 1) & (x < info.max)]
    elif source.kind == "b":
        x = np.array([False, True])
    else:
        info = np.iinfo(source)
        x = rng.integers(info.min, info.max, 100, source, endpoint=True)
        x[:3] = info.min, info.max, 0
    same_bits(compiled(f"astype.{source}.{target}", [x], target), x.astype(target), False)


@pytest.mark.parametrize("target", WHOLE, ids=str)
@pytest.mark.parametrize("source", FLOATS, ids=str)
def test_floats_beyond_an_integers_range_become_its_ends(compiled, source, target):
    x = np.array([np.inf, -np.inf, np.nan, 1e30, -1e30], source)
    top, bottom = np.iinfo(target).max, np.iinfo(target).min
    found = compiled(f"astype.{source}.{target}", [x], target)
    assert found.tolist() == [top, bottom, 0, top, bottom]


def test_every_elementwise_row_has_a_rule():
    assert {name for name, op in OPS.items() if op.domain} <= ELEMENTWISE <= set(OPS)


# --- reductions -------------------------------------------------------------------------------

REDUCTIONS = [(name, d) for name in COMBINE for d in DTYPES if (name, d.kind) != ("sum", "b")]


@pytest.fixture(scope="module")
def reductions():
    module = ir.Module()
    for name, dtype in REDUCTIONS:
        kind = memory(dtype).as_pointer()
        signature = ir.FunctionType(ir.VoidType(), [I64, kind, kind])
        made = ir.Function(module, signature, f"{name}.{dtype}")
        n, x, out = made.args
        b = ir.IRBuilder(made.append_basic_block("entry"))
        cell = b.alloca(start(name, dtype).type)
        b.store(start(name, dtype), cell)
        with loop(b, index(0), n) as i:
            value = load(b, b.gep(x, [i]), dtype)
            b.store(COMBINE[name](b, b.load(cell), value, dtype), cell)
        store(b, b.load(cell), out, dtype)
        b.ret_void()
    return Compiled(module)


def reduced(reductions, name, x):
    out = np.empty((), x.dtype)
    run = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)
    run(reductions.engine.get_function_address(f"{name}.{x.dtype}"))(
        x.size, x.ctypes.data, out.ctypes.data
    )
    return out


@pytest.mark.parametrize(("name", "dtype"), REDUCTIONS, ids=str)
def test_reductions_are_numpys(reductions, name, dtype):
    rng = np.random.default_rng(0)
    for n in (1, 2, 7, 64, 1001):
        x = rng.normal(0, 50, n).astype(dtype) if dtype.kind == "f" else rng.integers(0, 2, n)
        if dtype.kind in "iu":
            info = np.iinfo(dtype)
            x = rng.integers(info.min, info.max, n, dtype, endpoint=True)
        x = x.astype(dtype)
        found = reduced(reductions, name, x)
        if name == "sum" and dtype.kind == "f":
            bound = n * np.finfo(dtype).eps * np.abs(x).sum()  # of any order of adding
            assert abs(found - x.sum()) <= bound
        elif name == "sum":
            assert found == x.sum(dtype=dtype)
        else:
            assert found == getattr(x, name)()


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("name", list(COMBINE))
def test_reductions_keep_nan_and_infinity(reductions, name, dtype):
    for place in range(40):
        x = np.arange(40, dtype=dtype)
        for value in (np.nan, np.inf, -np.inf):
            x[place] = value
            np.testing.assert_array_equal(reduced(reductions, name, x), getattr(x, name)())


@pytest.mark.parametrize(("name", "dtype"), REDUCTIONS, ids=str)
def test_what_a_reduction_starts_with_changes_nothing(reductions, name, dtype):
    ends = [0, 1] if dtype.kind == "b" else [-np.inf, np.inf]
    if dtype.kind in "iu":
        ends = [np.iinfo(dtype).min, np.iinfo(dtype).max]
    for end in ends:
        assert reduced(reductions, name, np.array([end], dtype)) == np.array(end, dtype)
