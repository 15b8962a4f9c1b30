"""Which products BLAS does faster than code of our own: measured once on each machine."""

from __future__ import annotations

import functools
import importlib.metadata
import json
import time
from contextlib import suppress

import numpy as np

from gradlab.errors import RunError
from gradlab.execute.native.cache import cache_folder
from gradlab.execute.native.product import call
from gradlab.execute.native.product.blas import library, single_threaded
from gradlab.execute.native.product.spec import Method, Product
from gradlab.files import replacing
from gradlab.graph.dtypes import DType

SMALL = 2e8
"""Operations of a product up to which BLAS could gain too little to measure it."""
FEW_ROWS = 16
"""Rows up to which our own code is faster, however long they are."""
GAIN = 1.1
"""How much faster BLAS must be: its sums may depend on how rows are divided."""
FILE = "products.json"


def method(product: Product) -> Method:
    """The faster way to do a product on this machine.

    For large products a measurement decides; it takes a tenth of a second and is kept in the cache
    folder, for each processor and version of gradlab.
    """
    if product.flops <= SMALL or product.m <= FEW_ROWS or not call.is_callable(product):
        return "tiled"
    return "blas" if library() and _blas_is_faster(product.dtype) else "tiled"


@functools.cache
def _blas_is_faster(dtype: DType) -> bool:
    """For large products: as found before, or else as measured now."""
    from gradlab.execute.native.machine import identity

    key = f"{identity()} {importlib.metadata.version('gradlab')} {dtype}"
    folder = cache_folder()
    known: dict[str, bool] = {}
    if folder is not None:
        with suppress(OSError, ValueError):
            found = json.loads((folder / FILE).read_text())
            known = {str(name): bool(fact) for name, fact in dict(found).items()}
    if key not in known:
        known[key] = _measure(dtype)
        if folder is not None:
            with suppress(OSError, RunError):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                with replacing(folder / FILE) as temporary:
                    temporary.write_text(json.dumps(known, indent=1))
    return known[key]


def _measure(dtype: DType) -> bool:
    """Whether BLAS is faster for a product of layers in several blocks."""
    from gradlab.execute.native.product.alone import ProductAlone

    m, n, k = 128, 512, 512
    product = Product(dtype, m, n, k, (k, 1), (n, 1), n)
    a, b, c = (np.ones(shape, dtype) for shape in ((m, k), (k, n), (m, n)))
    ways = [ProductAlone(product, "tiled"), ProductAlone(product, "blas")]
    best = [float("inf")] * 2
    with single_threaded():
        for _ in range(12):
            for i, run in enumerate(ways):
                start = time.perf_counter()
                run(c, a, b)
                best[i] = min(best[i], time.perf_counter() - start)
    ours, theirs = best
    return theirs * GAIN < ours
