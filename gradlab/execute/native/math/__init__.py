"""Elementwise functions as LLVM code that vectorizes: no library calls, NaN and infinity kept."""

from gradlab.execute.native.math.arrays import ArrayFunction
from gradlab.execute.native.math.catalogue import FUNCTIONS, function

__all__ = ["FUNCTIONS", "ArrayFunction", "function"]
