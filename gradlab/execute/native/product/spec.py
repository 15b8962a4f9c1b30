"""What a matrix product is, to the code that computes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gradlab.graph.dtypes import DType

Method = Literal["tiled", "blas"]
"""Whether code of our own computes a product, or a call of BLAS."""


@dataclass(frozen=True)
class Product:
    """C[i, j] = Σ_p A[i, p] · B[p, j] for m × k by k × n matrices that lie at fixed strides.

    All strides count elements, and may be anything, zero included:
    A[i, p] lies at i·a_row + p·a_k, B[p, j] at p·b_k + j·b_col, C[i, j] at i·c_row + j.
    If it ``adds``, the sums are added to what C holds: for floats alone.
    Booleans: whether any of the ands is true, as in NumPy.

    >>> import numpy as np
    >>> linear = Product(np.dtype("float32"), 32, 10, 64, (64, 1), (1, 64), 10)  # x @ W.T
    >>> linear.flops
    40960
    """

    dtype: DType
    m: int
    n: int
    k: int
    a_strides: tuple[int, int]
    b_strides: tuple[int, int]
    c_row: int
    adds: bool = False

    @property
    def flops(self) -> int:
        """Floating-point operations, a multiplication and an addition for each term."""
        return 2 * self.m * self.n * self.k

    @property
    def name(self) -> str:
        """A name for its function."""
        numbers = (*self.a_strides, *self.b_strides, self.c_row)
        strides = "_".join(str(number).replace("-", "m") for number in numbers)
        return f"product_{self.dtype}_{self.m}x{self.n}x{self.k}_{strides}" + "_adds" * self.adds
