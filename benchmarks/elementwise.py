"""Elementwise functions in machine code, beside NumPy's and SciPy's.

Each is timed over an array that stays in the second-level cache, on arguments as they are common.

    python -m benchmarks.elementwise
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special

from benchmarks.measure import medians, table
from gradlab.execute.native.math import ArrayFunction

SIZE = 1 << 14

PEERS: dict[str, Callable[..., Any]] = {
    "abs": np.abs,
    "floor": np.floor,
    "sign": np.sign,
    "sqrt": np.sqrt,
    "maximum": np.maximum,
    "exp": np.exp,
    "expm1": np.expm1,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "sigmoid": scipy.special.expit,
    "erf": scipy.special.erf,
    "log": np.log,
    "log1p": np.log1p,
    "log2": np.log2,
    "log10": np.log10,
    "softplus": lambda x, out: np.logaddexp(x, 0, out=out),
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "atan2": np.arctan2,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "pow": np.power,
}
RANGES = {"asin": (-1, 1), "acos": (-1, 1), "log": (0.01, 4), "log1p": (0.01, 4), "sqrt": (0, 4)}
RANGES |= {"pow": (0.01, 4), "log2": (0.01, 4), "log10": (0.01, 4)}
RANGES |= {"acosh": (1, 4), "atanh": (-1, 1)}


def times(name: str, dtype: str) -> tuple[float, float]:
    """Nanoseconds an element, ours and theirs."""
    rng = np.random.default_rng(0)
    inputs = [rng.uniform(*RANGES.get(name, (-4, 4)), SIZE).astype(dtype)]
    if name in ("maximum", "pow", "atan2"):
        inputs.append(rng.uniform(-4, 4, SIZE).astype(dtype))
    out = np.empty_like(inputs[0])
    ours, theirs = ArrayFunction(name, dtype), PEERS[name]
    addresses = [array.ctypes.data for array in (*inputs, out)]
    found = medians(
        {
            "ours": (lambda: None, lambda: ours.kernel(SIZE, *addresses)),
            "theirs": (lambda: None, lambda: theirs(*inputs, out=out)),
        },
        rounds=3,
        calls=100,
    )
    return 1e9 * found["ours"] / SIZE, 1e9 * found["theirs"] / SIZE


def main() -> None:
    """Print the table."""
    rows = []
    for name in PEERS:
        row = [name]
        for dtype in ("float32", "float64"):
            ours, theirs = times(name, dtype)
            row += [f"{ours:.2f}", f"{theirs:.2f}", f"{theirs / ours:.1f}"]
        rows.append(tuple(row))
    print(table(("ns an element", "float32", "NumPy", "ratio", "float64", "NumPy", "ratio"), rows))
    print("ratio: NumPy's or SciPy's time over ours; above 1 ours is faster")


if __name__ == "__main__":
    main()
