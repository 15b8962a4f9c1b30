"""Products of matrices as machine code: register tiles of our own, or calls of BLAS."""

from gradlab.execute.native.product.blas import bind, single_threaded
from gradlab.execute.native.product.choice import method
from gradlab.execute.native.product.emit import emit_product, scratch_bytes
from gradlab.execute.native.product.spec import Method, Product

__all__ = [
    "Method",
    "Product",
    "bind",
    "emit_product",
    "method",
    "scratch_bytes",
    "single_threaded",
]
