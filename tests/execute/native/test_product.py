"""Matrix products in machine code, beside NumPy in a wider format."""

import ctypes
import mmap
import os
import sys
from contextlib import contextmanager
from itertools import pairwise

import llvmlite.binding as llvm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llvmlite import ir
from numpy.lib.stride_tricks import as_strided

from gradlab.execute.native.product import (
    Product,
    bind,
    blas,
    choice,
    emit_product,
    method,
    single_threaded,
    tiled,
)
from gradlab.execute.native.product.alone import LINE, ProductAlone, address
from gradlab.execute.native.product.blas import library as known_library
from gradlab.execute.native.product.call import is_callable

FLOATS = [np.dtype("float32"), np.dtype("float64")]
PAGE = mmap.PAGESIZE


def laid_out(values, strides, at_end):
    """A matrix at those strides, against the edge of what memory may be read."""
    size, extent = (
        values.dtype.itemsize,
        [(n - 1) * s for n, s in zip(values.shape, strides, strict=True)],
    )
    low, high = sum(min(e, 0) for e in extent), sum(max(e, 0) for e in extent) + 1
    if 0 in values.shape:
        low, high = 0, 0
    memory = fenced((high - low) * size, at_end).view(values.dtype)
    memory[:] = np.nan if values.dtype.kind == "f" else 1
    first = memory[-low:] if high > low else memory
    view = as_strided(first, values.shape, [s * size for s in strides])
    view[...] = values
    return view


def fenced(size, at_end):
    """Memory that ends, or begins, where none can be read."""
    pages = -(-size // PAGE) + 2
    held = mmap.mmap(-1, pages * PAGE)
    whole = np.frombuffer(held, np.uint8)
    if sys.platform != "win32":
        protect = ctypes.CDLL(None, use_errno=True).mprotect
        protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        for page in (0, pages - 1):
            assert protect(address(whole) + page * PAGE, PAGE, 0) == 0, os.strerror(
                ctypes.get_errno()
            )
    end = (pages - 1) * PAGE
    return whole[end - size : end] if at_end else whole[PAGE : PAGE + size]


def error_bound(a, b, dtype):
    """k + 1 roundings of terms and sums, to first order, and a little for higher ones."""
    k = a.shape[1]
    wide = np.abs(a.astype(np.longdouble)) @ np.abs(b.astype(np.longdouble))
    return 1.01 * (k + 1) * np.finfo(dtype).eps / 2 * wide


@st.composite
def strides(draw, rows, columns):
    """Strides of a matrix: row by row or column by column, with gaps, backwards, or repeated."""
    gap = draw(st.sampled_from([0, 0, 3]))
    kind = draw(st.sampled_from(["rows", "rows", "columns", "columns", "apart", "back", "same"]))
    return {
        "rows": (columns + gap, 1),
        "columns": (1, rows + gap),
        "apart": (2 * columns + gap, 2),
        "back": (-columns - gap, 1),
        "same": (0, 1) if gap else (1, 0),
    }[kind]


@st.composite
def products(draw, largest=70, dtypes=FLOATS):
    """Products of any shape and layout."""
    length = st.one_of(st.integers(1, 17), st.integers(1, largest))
    m, n, k = draw(length), draw(length), draw(st.one_of(st.just(0), length, length))
    a, b = draw(strides(m, k)), draw(strides(k, n))
    return Product(draw(st.sampled_from(dtypes)), m, n, k, a, b, n + draw(st.integers(0, 3)))


def factors(product, seed, at_end=True, values=None):
    """Random matrices in the product's layouts."""
    rng = np.random.default_rng(seed)
    shapes = (product.m, product.k), (product.k, product.n)
    made = []
    for shape, steps in zip(shapes, (product.a_strides, product.b_strides), strict=True):
        drawn = rng.choice(values, shape) if values else rng.normal(size=shape)
        made.append(laid_out(np.asarray(drawn, product.dtype), steps, at_end))
    return made


def result(product, at_end=True):
    """An array for C whose gaps hold a number that must stay."""
    c = laid_out(np.zeros((product.m, product.n), product.dtype), (product.c_row, 1), at_end)
    whole = as_strided(c, (product.m - 1, product.c_row), c.strides)
    whole[:, :] = 77
    c[...] = 77
    return c, whole[:, product.n :]


def computed(compiled, a, b, at_end=True):
    """All of C."""
    c, gaps = result(compiled.product, at_end)
    before = gaps.copy()
    compiled.scratch[-LINE:] = 0xAB
    compiled(c, a, b)
    assert np.array_equal(gaps, before)
    used = compiled.scratch.size - LINE + (-address(compiled.scratch)) % LINE
    assert (compiled.scratch[used:] == 0xAB).all()
    return c


def check(compiled, seed=0, at_end=True):
    """The product of random matrices is right to rounding."""
    product = compiled.product
    a, b = factors(product, seed, at_end)
    c = computed(compiled, a, b, at_end)
    true = a.astype(np.longdouble) @ b.astype(np.longdouble)
    assert (np.abs(c - true) <= error_bound(a, b, product.dtype)).all()


@settings(deadline=None, max_examples=100)
@given(products(), st.sampled_from([4, 8, 16]), st.booleans(), st.integers(0, 99))
def test_any_shape_and_layout(product, width, at_end, seed):
    check(ProductAlone(product, width=width), seed, at_end)


LAYOUTS = ["nn", "nt", "tn", "tt"]


def linear(layout, m, n, k, dtype="float32"):
    """A product of matrices that lie row by row, or transposed."""
    a = (k, 1) if layout[0] == "n" else (1, m)
    b = (n, 1) if layout[1] == "n" else (1, k)
    return Product(np.dtype(dtype), m, n, k, a, b, n)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(21, 1037, 531), (1037, 260, 531)])
def test_products_in_several_blocks(layout, shape):
    check(ProductAlone(linear(layout, *shape)))


@contextmanager
def small_blocks():
    """Small blocks, so that small products have several."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"BLOCK_M": 16, "BLOCK_K": 12, "BLOCK_N": 64}.items():
            patch.setattr(tiled, name, value)
        for name in ("DIRECT", "DIRECT_A", "FEW_ROWS"):
            patch.setattr(tiled, name, 0)
        yield


@settings(deadline=None, max_examples=60)
@given(products(150), st.sampled_from([4, 8, 16]), st.booleans(), st.integers(0, 99))
def test_any_shape_and_layout_in_blocks(product, width, at_end, seed):
    with small_blocks():
        check(ProductAlone(product, width=width), seed, at_end)


def check_rows(m, n, k):
    """The bits of rows are the same whichever rows are asked for along with them."""
    for layout in LAYOUTS:
        compiled = ProductAlone(linear(layout, m, n, k))
        a, b = factors(compiled.product, 1)
        whole = computed(compiled, a, b)
        for cuts in ([0, 1, m], [0, m // 2, m - 1, m], [*range(m + 1)]):
            c, _ = result(compiled.product)
            for begin, end in pairwise(cuts):
                compiled(c, a, b, begin, end)
            assert np.array_equal(c, whole), (layout, m, n, k, cuts)


@pytest.mark.parametrize("shape", [(37, 45, 300), (19, 2, 33), (3, 40, 30), (17, 1, 70)])
def test_rows_do_not_depend_on_the_rows_beside_them(shape):
    check_rows(*shape)


def test_nor_do_rows_in_blocks():
    with small_blocks():
        check_rows(37, 150, 30)


def test_only_the_rows_asked_for_are_written():
    for layout in LAYOUTS:
        compiled = ProductAlone(linear(layout, 20, 18, 5))
        a, b = factors(compiled.product, 2)
        c, _ = result(compiled.product)
        compiled(c, a, b, 3, 14)
        assert (c[:3] == 77).all()
        assert (c[14:] == 77).all()
        assert (c[3:14] != 77).all()


@settings(deadline=None, max_examples=40)
@given(products(24), st.integers(0, 99))
def test_nan_and_infinity_come_through(product, seed):
    a, b = factors(product, seed, values=[0.0, 0.0, 1.0, -1.0, 2.0, np.inf, -np.inf, np.nan])
    with np.errstate(invalid="ignore"):
        true = (a[:, :, None] * b).sum(1, dtype=product.dtype)
    assert np.array_equal(computed(ProductAlone(product), a, b), true, equal_nan=True)


@settings(deadline=None, max_examples=20)
@given(products(12, [np.dtype(name) for name in ("int64", "int32", "uint8", "bool")]))
def test_integers_and_booleans(product):
    a, b = factors(product, 3, values=[0, 1] if product.dtype == bool else [0, 1, 2, 3, 255 // 3])
    assert np.array_equal(computed(ProductAlone(product), a, b), np.matmul(a, b))


def test_a_product_is_emitted_once():
    module = ir.Module()
    product = linear("nt", 4, 4, 4)
    assert emit_product(module, product, 16, "tiled") is emit_product(module, product, 16, "tiled")


@pytest.mark.skipif(not bind(), reason="no BLAS to call")
@settings(deadline=None, max_examples=60)
@given(products().filter(is_callable), st.integers(0, 99))
def test_blas_takes_what_it_says_it_takes(product, seed):
    with single_threaded():
        check(ProductAlone(product, "blas"), seed)


@pytest.mark.skipif(not bind(), reason="no BLAS to call")
def test_scipys_blas_serves_where_numpy_brings_none():
    usual = known_library()
    scipys = blas._scipy()
    try:
        for dtype, symbol in blas.SYMBOLS.items():
            llvm.add_symbol(symbol, scipys.gemm[dtype])
        for dtype in FLOATS:
            check(ProductAlone(linear("nt", 9, 5, 7, dtype), "blas"))
    finally:
        for dtype, symbol in blas.SYMBOLS.items():
            llvm.add_symbol(symbol, usual.gemm[dtype])


@pytest.mark.skipif(not bind(), reason="no BLAS to call")
@pytest.mark.parametrize("find", [blas._numpy, blas._scipy])
def test_blas_keeps_to_one_thread_while_any_block_lasts(find, monkeypatch):
    pools = pytest.importorskip("threadpoolctl").ThreadpoolController().lib_controllers
    name = find.__name__.strip("_")
    pool = next((pool for pool in pools if f"{name}.libs" in pool.filepath), None)
    if pool is None:
        pytest.skip(f"{name} has no OpenBLAS of its own")
    monkeypatch.setattr(blas, "library", find)
    before = pool.num_threads
    pool.set_num_threads(2)
    try:
        first, second = single_threaded(), single_threaded()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert pool.num_threads == 1
        second.__exit__(None, None, None)
        assert pool.num_threads == 2
    finally:
        pool.set_num_threads(before)


# --- the choice between the two -----------------------------------------------------------------


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """Dtypes that were measured, with an empty cache folder; BLAS is always faster."""
    monkeypatch.setenv("GRADLAB_CACHE", str(tmp_path))
    monkeypatch.setattr(choice, "library", lambda: True)
    calls = []
    monkeypatch.setattr(choice, "_measure", lambda dtype: calls.append(dtype) or True)
    choice._blas_is_faster.cache_clear()
    yield calls
    choice._blas_is_faster.cache_clear()


def test_small_products_and_what_blas_cannot_take_need_no_measurement(measured):
    assert method(linear("nn", 32, 64, 64)) == "tiled"
    assert method(linear("nt", 1, 4096, 4096)) == "tiled"
    assert method(linear("nn", 512, 512, 512, "int64")) == "tiled"
    apart = Product(np.dtype("float32"), 512, 512, 512, (1024, 2), (512, 1), 512)
    assert method(apart) == "tiled"
    assert measured == []


def test_a_measurement_is_kept_on_disk(measured, tmp_path):
    large = linear("nt", 512, 512, 784)
    assert [method(large), method(large)] == ["blas", "blas"]
    choice._blas_is_faster.cache_clear()  # as in another process
    assert method(large) == "blas"
    assert measured == [np.dtype("float32")]
    method(linear("nt", 512, 512, 784, "float64"))
    assert len(measured) == 2
    (tmp_path / choice.FILE).write_text("{cut short")
    choice._blas_is_faster.cache_clear()
    assert method(large) == "blas"
    assert len(measured) == 3


def test_a_folder_that_cannot_be_written_is_no_hindrance(measured, tmp_path, monkeypatch):
    occupied = tmp_path / "file"
    occupied.write_text("")
    monkeypatch.setenv("GRADLAB_CACHE", str(occupied))
    assert method(linear("nt", 512, 512, 784)) == "blas"


def test_the_measurement_itself():
    assert choice._measure(np.dtype("float32")) in (True, False)
