"""Numbers as short text: all of a few, the shape and norm of many."""

from __future__ import annotations

import math

import numpy as np

from gradlab.graph import Tensor

FEW = 6
"""Elements of a vector or matrix that are shown one by one."""


def number(value: float) -> str:
    """Four significant digits.

    >>> number(2 / 3), number(-0.0)
    ('0.6667', '0')
    """
    return f"{value + 0.0:.4g}"


def brief(x: Tensor) -> str:
    """A tensor's value on one short line.

    >>> from gradlab import tensor
    >>> brief(tensor([0.5])), brief(tensor([1.0, 2.0])), brief(tensor([[1.0] * 8]))
    ('0.5', '[1, 2]', '1 everywhere, shape (1, 8)')
    """
    a = x.numpy()
    if a.size == 1:
        return number(a.item())
    if a.size and bool(np.all(a == a.flat[0])):
        return f"{number(a.flat[0])} everywhere, shape {a.shape}"
    if 0 < a.size <= FEW and a.ndim <= 2:
        rows = [f"[{', '.join(map(number, row))}]" for row in np.atleast_2d(a).tolist()]
        return rows[0] if a.ndim == 1 else f"[{', '.join(rows)}]"
    with np.errstate(all="ignore"):
        norm = np.linalg.norm(a.astype(np.float64))
    return f"shape {a.shape}, norm {number(float(norm))}"


def counted(count: int) -> str:
    """A count: exact up to 21 digits, beyond that its size.

    >>> counted(2**60), counted(10**5000)
    ('1,152,921,504,606,846,976', 'about 1.0e5000')
    """
    if count < 10**21:
        return f"{count:,}"
    fraction, exponent = math.modf(math.log10(count))
    return f"about {10**fraction:.1f}e{exponent:.0f}"
