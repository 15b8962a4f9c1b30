"""Products of matrices in machine code of our own, beside BLAS, both on one thread.

The shapes are those of training updates: forward (nt: x @ W.T), the gradient of a layer's input
(nn: dy @ W) and that of its weights (tn: dy.T @ x).

    python -m benchmarks.products
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np

from benchmarks.measure import medians, table
from gradlab.execute.native.product import Method, Product, method, single_threaded
from gradlab.execute.native.product.alone import ProductAlone
from gradlab.execute.native.product.call import is_callable

NETWORKS = [
    (10, (2, 8, 8, 1)),
    (32, (64, 64, 10)),
    (128, (784, 512, 256, 10)),
    (512, (2048, 2048)),
]
"""Batch and widths."""
OPERATIONS = 1e8
"""Of one timed call: a product is done that many times over."""


@dataclass(frozen=True)
class Layer:
    """One layer's three products."""

    batch: int
    inputs: int
    outputs: int

    def product(self, layout: str) -> Product:
        """The one of that layout."""
        batch, i, o = self.batch, self.inputs, self.outputs
        kind = np.dtype("float32")
        if layout == "nt":
            return Product(kind, batch, o, i, (i, 1), (1, i), o)
        if layout == "nn":
            return Product(kind, batch, i, o, (o, 1), (i, 1), i)
        return Product(kind, o, i, batch, (1, o), (i, 1), i)


def gigaflops(product: Product) -> dict[Method, float]:
    """Operations a nanosecond, of each way that can do the product."""
    rng = np.random.default_rng(0)
    m, n, k = product.m, product.n, product.k
    c, a, b = (rng.normal(size=size).astype(product.dtype) for size in (m * n, m * k, k * n))
    ways: list[Method] = ["tiled", *(["blas"] if is_callable(product) else [])]
    times = max(1, round(OPERATIONS / product.flops))
    candidates = {}
    for way in ways:
        alone = ProductAlone(product, way)
        candidates[way] = (lambda: None, partial(alone, c, a, b, times=times))
    with single_threaded():
        found = medians(candidates, rounds=5, calls=3, warm_up=1)
    return {way: times * product.flops / seconds / 1e9 for way, seconds in found.items()}


def main() -> None:
    rows = []
    for batch, widths in NETWORKS:
        for inputs, outputs in pairwise(widths):
            for layout in ("nt", "nn", "tn"):
                product = Layer(batch, inputs, outputs).product(layout)
                found = gigaflops(product)
                name = f"{layout} {product.m} x {product.k} x {product.n}"
                rates = (f"{found[way]:.1f}" if way in found else "" for way in ("tiled", "blas"))
                rows.append((name, *rates, method(product)))
    print(table(("Gflop/s, float32", "tiled", "BLAS", "chosen"), rows))


if __name__ == "__main__":
    main()
