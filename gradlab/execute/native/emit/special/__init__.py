"""Kernels for the rows that are no plain loops over elements."""

from gradlab.execute.native.emit.special.kernel import Call, Special
from gradlab.execute.native.emit.special.table import SPECIALS, emit

__all__ = ["SPECIALS", "Call", "Special", "emit"]
