"""Kernels of the rows that are no loops over elements, beside their NumPy forward."""

import ctypes
import itertools
import math
import zlib

import llvmlite.binding as llvm
import numpy as np
import pytest
from llvmlite import ir

import gradlab as gl
from gradlab.execute.native.emit.special import SPECIALS, Call, emit
from gradlab.execute.native.layout import Layout
from gradlab.execute.native.machine import host, optimized, vector_lanes
from gradlab.graph import OPS, Tensor
from gradlab.graph.indexing import ADD_AXIS, DOTS, TAKE
from tests.execute.native.bounds import assert_close
from tests.graph.samples import Sample, draw

WHOLE = [np.dtype(f"{kind}{size}") for kind in "iu" for size in (1, 2, 4, 8)]
FLOATS = [np.dtype("float32"), np.dtype("float64")]
DTYPES = [*FLOATS, *WHOLE, np.dtype(bool)]
GUARD = 256
"""Bytes behind an output that stay as they are."""


def rng_for(*labels):
    return np.random.default_rng(zlib.crc32(repr(labels).encode()))


# --- where inputs lie ---------------------------------------------------------------------------


def rearranged(x, rng):
    """The same numbers otherwise in memory: (buffer, view); some axes repeat their first slice."""
    order = rng.permutation(x.ndim)
    steps = [int(rng.choice([1, 1, 2, -1, -2, 0])) for _ in order]
    steps = [step if n else 1 for step, n in zip(steps, x.shape, strict=True)]
    lengths = [abs(s) * (n - 1) + 1 if n else 0 for s, n in zip(steps, x.shape, strict=True)]
    buffer = np.zeros(tuple(lengths[a] for a in order), x.dtype)
    view = buffer.transpose(np.argsort(order))[
        tuple(slice(None, None, step or None) for step in steps)
    ]
    view = np.lib.stride_tricks.as_strided(
        view, x.shape, [t if s else 0 for s, t in zip(steps, view.strides, strict=True)]
    )
    view[...] = x
    return buffer, view


def as_it_is(x):
    x = np.array(x, order="C")
    return x, x


def layout(buffer, view):
    start = view.__array_interface__["data"][0] - buffer.__array_interface__["data"][0]
    strides = tuple(s // view.itemsize for s in view.strides)
    return Layout(view.shape, strides, start // view.itemsize)


class Case:
    """A row with inputs that lie somewhere, and what NumPy makes of them."""

    def __init__(self, name, sample, rng=None):
        place = as_it_is if rng is None else lambda x: rearranged(x, rng)
        pairs = [place(x) for x in sample.inputs]
        self.name, self.params = name, sample.params
        self.buffers = [buffer for buffer, _ in pairs]
        self.views = [view for _, view in pairs]
        inputs = [Tensor(view) for view in self.views]
        shape, dtype = OPS[name].infer(*inputs, **self.params)
        layouts = tuple(layout(*pair) for pair in pairs)
        dtypes = tuple(view.dtype for view in self.views)
        self.call = Call(name, self.params, layouts, dtypes, shape, dtype)

    @property
    def expected(self):
        return OPS[self.name].forward(np, *self.views, **self.params)


class Compiled:
    """The kernels of many cases, in one module."""

    def __init__(self, cases):
        module = ir.Module()
        for case in cases:
            emit(module, case.call, vector_lanes()).linkage = "external"
        machine = host()
        self.engine = llvm.create_mcjit_compiler(optimized(module, machine), machine)

    def __call__(self, case, parts=None, start=0):
        """The output, and the error flag, of a run in parts [(begin, end), ...]."""
        special, call = SPECIALS[case.name], case.call
        size = call.dtype.itemsize * math.prod(call.shape)
        memory = np.full(size + GUARD, start, np.uint8)
        out = memory[:size].view(call.dtype).reshape(call.shape)
        scratch = np.empty(special.scratch_bytes(call) // 8)
        error = np.zeros((), np.int32)
        arrays = [out, *case.buffers, *[scratch] * (scratch.size > 0), *[error] * special.checks]
        kinds = [ctypes.c_int64] * 2 + [ctypes.c_void_p] * len(arrays)
        run = ctypes.CFUNCTYPE(None, *kinds)(self.engine.get_function_address(call.symbol))
        for begin, end in parts or [(0, special.length(call))]:
            run(begin, end, *(x.ctypes.data for x in arrays))
        assert (memory[size:] == start).all(), "written behind the output's end"
        return out, int(error)

    def written(self, case, part):
        """Which elements a part writes: those that come out alike, whatever was there before."""
        found = [self(case, [part], start)[0].view(np.uint8) for start in (0, 255)]
        alike = (found[0] == found[1]).reshape(*case.call.shape, -1)
        return alike.all(-1)


def same_bits(found, expected):
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
    if found.dtype.kind == "f":
        np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))


# --- the cases ----------------------------------------------------------------------------------


def numbers(rng, shape, dtype, *extremes):
    """Few different numbers, so that some are equal; floats with extremes among them."""
    if dtype.kind != "f":
        return rng.integers(0, 2 if dtype.kind == "b" else 100, shape).astype(dtype)
    values = np.array([-1.5, -0.5, -0.0, 0.0, 0.5, 2.0, *extremes], dtype)
    return rng.choice(values, shape)


def along(*extremes):
    """Every dtype, over axes that are first, last and neither."""
    places = [((37,), 0), ((3, 40, 5), 1), ((4, 19), 1), ((16, 6), 0), ((130, 2), 0)]
    for number, dtype in enumerate([*DTYPES, *FLOATS * 4]):
        shape, axis = places[number % len(places)]
        rng = rng_for("along", number)
        yield Sample((numbers(rng, shape, dtype, *extremes),), {"axis": axis})


def cumsums():
    """Sums are made of floats and of int64 alone."""
    for sample in along(np.inf):
        x = sample.inputs[0]
        yield Sample((x if x.dtype.kind == "f" else x.astype(np.int64),), sample.params)


def joined():
    for number, dtype in enumerate(DTYPES):
        parts = [numbers(rng_for(n), (4, n, 3), dtype) for n in (2, 0, 70, 1)]
        if number % 2:
            parts = [x.swapaxes(0, 1) for x in parts]
        yield Sample(tuple(parts), {"axis": 1 - number % 2})


S = (None, None, None)
KEYS = [
    ((7, 5), (TAKE,)),
    ((7, 5), (S, TAKE)),
    ((7, 5, 3), (TAKE, S, TAKE)),
    ((7, 5, 3), (S, TAKE, TAKE)),
    ((7, 5, 3), (S, TAKE, 2)),
    ((7, 5, 3), (1, TAKE)),
    ((7, 5, 3), (1, S, TAKE)),
    ((7, 5, 3), (-1, (1, 4, 2), TAKE)),
    ((7, 5, 3), (TAKE, ADD_AXIS, 1)),
    ((7, 5, 3), (TAKE, DOTS, TAKE, S)),
    ((7, 5, 3), (S, (None, None, -2), TAKE)),
    ((7, 5, 3), ((5, None, -3), TAKE, (0, 2, 1), ADD_AXIS)),
    ((1, 7, 5), (0, TAKE, (None, None, -1))),
    ((1, 7, 5), (S, (4, 1, -1), TAKE)),
    ((1, 1, 9), (0, S, TAKE)),
    ((5, 5, 5, 5), (S, TAKE, TAKE, S)),
    ((7, 5, 3), (S, TAKE, DOTS, TAKE)),
    ((7, 5, 3), (S, TAKE, ADD_AXIS, 2)),
    ((7, 5, 3, 4), (S, TAKE, S, TAKE)),
    ((7, 5, 3, 4), (S, 2, S, TAKE)),
]
SLICES = [
    ((7, 5), ((1, 6, 2), (None, None, -1))),
    ((9,), ((7, 2, -2),)),
    ((1, 9), (ADD_AXIS, 0, (2, 8, 3))),
    ((4, 3), (2, ADD_AXIS)),
]


def arrays(rng, shape, key, dtype):
    """Index arrays that broadcast together, with repetitions and, if signed, negative ones."""
    axes = [k for k in key if k not in (ADD_AXIS, DOTS)]
    sizes = [(4, 1), (6,)] if rng.random() < 0.5 else [(6,), ()]
    for k, n in zip(axes, shape, strict=False):
        if k == TAKE:
            sizes.reverse()
            yield rng.integers(-n if dtype.kind == "i" else 0, n, sizes[0]).astype(dtype)


def picked():
    for number, (shape, key) in enumerate(KEYS):
        rng = rng_for("picked", number)
        x = numbers(rng, shape, DTYPES[number % len(DTYPES)])
        yield Sample((x, *arrays(rng, shape, key, WHOLE[number % 8])), {"key": key})


def added():
    for number, (shape, key) in enumerate([*KEYS, *SLICES]):
        rng = rng_for("added", number)
        dtype = DTYPES[number % len(DTYPES)]
        places = [*arrays(rng, shape, key, WHOLE[number % 8])]
        models = [Tensor(x) for x in (np.zeros(shape, dtype), *places)]
        values = numbers(rng, OPS["index"].infer(*models, key=key)[0], dtype, 0.1, 0.7, 1e-5)
        yield Sample((values, *places), {"key": key, "shape": shape})


def streams(*params):
    for number, shape in enumerate([(1,), (2,), (5, 101), (64,), (33,)]):
        key = rng_for(shape).integers(2**32, size=2, dtype=np.uint32)
        count = np.asarray(number * 10**9, np.uint32)
        yield from (Sample((key, count), {"shape": shape} | more) for more in params)


def convolutions(*shapes):
    """Shapes of the inputs, by what is special about them, and parameters beyond the least."""
    steps = {"stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1}
    for number, (first, second, params) in enumerate(shapes):
        rng, dtype = rng_for("conv", number), FLOATS[number % 2]
        inputs = (rng.standard_normal(size).astype(dtype) for size in (first, second))
        yield Sample(tuple(inputs), steps | params)


SAME, STRIDED = {"padding": ((2, 2), (2, 2))}, {"stride": (2, 2), "padding": ((1, 0), (0, 1))}
CONV = [
    ((3, 2, 9, 150), (5, 2, 3, 3), {}),  # rows longer than eight vectors
    ((2, 3, 11, 14), (20, 3, 5, 5), SAME),
    ((5, 6, 10, 9), (8, 3, 2, 3), STRIDED | {"groups": 2}),
    ((4, 7, 6, 6), (9, 7, 1, 1), {}),  # a matrix already
    ((4, 8, 7, 33), (8, 1, 3, 3), {"groups": 8, "dilation": (2, 3), "padding": ((2, 2), (3, 3))}),
    ((2, 1, 300), (3, 1, 7), {"stride": (3,), "padding": ((2, 5),), "dilation": (1,)}),
]


def conv_inputs():
    for first, second, params in CONV:
        made = next(convolutions((first, second, params)))
        y = gl.conv(*made.inputs, **made.params).shape
        yield from convolutions((y, second, params | {"lengths": first[2:]}))


def conv_kernels():
    for first, second, params in CONV:
        made = next(convolutions((first, second, params)))
        y = gl.conv(*made.inputs, **made.params).shape
        yield from convolutions((first, y, params | {"kernel": second[2:]}))


def folded():
    for number, dtype in enumerate([*FLOATS, np.dtype("int32")]):
        rng = rng_for("folded", number)
        params = {"lengths": (8, 41), "stride": (1, 2), "dilation": (2, 1)}
        yield Sample((numbers(rng, (3, 2, 4, 20, 3, 3), dtype),), params)


SUMS = ("conv", "conv_input", "conv_kernel", "fold")
FURTHER = {
    "conv": lambda: convolutions(*CONV),
    "conv_input": conv_inputs,
    "conv_kernel": conv_kernels,
    "fold": folded,
    "cumsum": cumsums,
    "argmax": lambda: along(np.inf, np.nan),
    "argmin": lambda: along(-np.inf, np.nan),
    "argsort": lambda: along(np.inf, -np.inf, np.nan),
    "concat": joined,
    "index": picked,
    "index_add": added,
    "random_bits": lambda: streams({}),
    "random_uniform": lambda: streams(*({"dtype": dtype} for dtype in FLOATS)),
}
"""Samples with other dtypes, longer axes and each kind of key."""


@pytest.fixture(scope="module")
def cases():
    """Of each row, by name: samples as they are, or lying anyhow in memory."""
    found = {}
    for name in SPECIALS:
        samples = [draw(OPS[name], rng_for(name, n), FLOATS[n % 2]) for n in range(10)]
        samples += FURTHER[name]()
        found[name] = [
            Case(
                name,
                sample,
                None if number % 4 == 0 or SPECIALS[name].packed else rng_for(name, number),
            )
            for number, sample in enumerate(samples)
        ]
    return found


OUTSIDE = [
    Case("index", Sample((np.ones((3, 2)), np.array([0, 3])), {"key": (TAKE,)})),
    Case("index", Sample((np.ones((3, 2)), np.array([-3, -4])), {"key": (TAKE,)})),
    Case("index", Sample((np.ones((3, 2)), np.array([[2**62]])), {"key": (S, TAKE)})),
    Case(
        "index_add",
        Sample((np.ones(2), np.array([1, -6], np.int8)), {"key": (TAKE,), "shape": (5,)}),
    ),
    Case(
        "index_add",
        Sample((np.ones(2), np.array([1, 255], np.uint8)), {"key": (TAKE,), "shape": (5,)}),
    ),
]


@pytest.fixture(scope="module")
def compiled(cases):
    return Compiled([*OUTSIDE, *(case for some in cases.values() for case in some)])


# --- the tests ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SPECIALS)
def test_every_row_is_numpys(cases, compiled, name):
    for case in cases[name]:
        found, error = compiled(case)
        if name in SUMS:  # of many terms, in another order
            assert_close(name, found, np.asarray(case.expected), case.views, case.params)
        else:
            same_bits(found, np.asarray(case.expected))
        assert error == 0


@pytest.mark.parametrize("name", SPECIALS)
def test_parts_in_any_order_give_the_same_bits(cases, compiled, name):
    split = 0
    for number, case in enumerate(cases[name]):
        length = SPECIALS[name].length(case.call)
        rng = rng_for(name, number)
        cuts = [0, *sorted(int(c) for c in rng.integers(0, length + 1, 3)), length]
        parts = [part for part in itertools.pairwise(cuts) if part[0] < part[1]]
        split += len(parts) > 1
        same_bits(compiled(case, rng.permutation(parts).tolist())[0], compiled(case)[0])
    assert split > len(cases[name]) // 4


@pytest.mark.parametrize("name", SPECIALS)
def test_a_part_writes_nothing_of_another(cases, compiled, name):
    """Elements that two parts write would be a race between threads."""
    for case in cases[name]:
        length = SPECIALS[name].length(case.call)
        if length < 2 or not case.expected.size:
            continue
        written = np.zeros(case.call.shape, int)
        for part in ((0, length // 2), (length // 2, length)):
            written += compiled.written(case, part)
        assert (written == 1).all()


@pytest.mark.parametrize("case", OUTSIDE, ids=lambda case: case.name)
def test_indices_out_of_range_are_reported(compiled, case):
    with pytest.raises(IndexError):
        case.expected  # noqa: B018
    assert compiled(case)[1] == 1


def test_equal_calls_share_one_kernel():
    module = ir.Module()
    sample = Sample((np.ones((3, 4)),), {"axis": 1})
    first, second = (emit(module, Case("cumsum", sample).call, 4) for _ in range(2))
    other = emit(module, Case("cumsum", Sample(sample.inputs, {"axis": 0})).call, 4)
    assert first is second
    assert first is not other
