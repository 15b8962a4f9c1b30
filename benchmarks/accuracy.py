"""How far elementwise functions in machine code are from the true values, over the whole range.

The largest error found, in units of the last place of the true result (ulp), over random patterns
of bits, all exponents, and the neighbourhood of every number where a formula changes.

    python -m benchmarks.accuracy
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special

from benchmarks.measure import table
from gradlab.execute.native.math import FUNCTIONS, ArrayFunction
from gradlab.execute.native.math.catalogue import BINARY

Array = np.ndarray[Any, Any]
EXACT = ("abs", "floor", "sign", "sqrt", "maximum", "minimum")
TRANSCENDENTAL = [name for name in FUNCTIONS if name not in EXACT]
EIGHTY_BITS = np.finfo(np.longdouble).nmant > 60
"""Whether there is a format wider than float64 to compare it with."""

# --- references ---------------------------------------------------------------------------------


def softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


NUMPY = {
    "abs": np.abs,
    "floor": np.floor,
    "sign": np.sign,
    "sqrt": np.sqrt,
    "exp": np.exp,
    "expm1": np.expm1,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "erf": scipy.special.erf,
    "log": np.log,
    "log1p": np.log1p,
    "log2": np.log2,
    "log10": np.log10,
    "softplus": softplus,
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
    "maximum": np.maximum,
    "minimum": np.minimum,
    "pow": np.power,
}


def true(name, wide, *inputs):
    """NumPy's result in a wider format."""
    with np.errstate(all="ignore"):
        return NUMPY[name](*(x.astype(wide) for x in inputs))


def ulps(found, true):
    """Distance from the true value in units of its last place; 0 for equal infinities and NaN."""
    info = np.finfo(found.dtype)
    with np.errstate(all="ignore"):
        rounded = true.astype(found.dtype)
        _, exponent = np.frexp(true)
        unit = np.ldexp(true.dtype.type(1), np.maximum(exponent - 1, info.minexp) - info.nmant)
        error = np.abs(found.astype(true.dtype) - true) / unit
    alike = (found == rounded) | (np.isnan(found) & np.isnan(rounded))
    error[alike & ~np.isfinite(rounded)] = 0
    return np.where(np.isnan(error), np.inf, error)


# --- points -------------------------------------------------------------------------------------

EDGES = [0.55, 1.0, 0.25, 0.5, 2.0, np.log(2), np.sqrt(0.5), np.sqrt(2), np.sqrt(2) - 1]
EDGES += [np.sqrt(2) + 1, np.pi / 4, np.pi / 2, np.pi, 2 * np.pi, 3.95, 5.95, 9.01, 19.1, 22.0]
EDGES += [355.0, 2.0**16, 2.0**30, 6381956970095103 * 2.0**797]
EDGES += [16.6, 17.3, 37.4, 87.33, 88.72, 89.41, 89.5, 103.97, 104.0, 708.4, 709.78, 710.47, 745.13]
"""Where a formula or a result changes; 355 and 6381956970095103·2⁷⁹⁷ are very near k π/2."""


def everywhere(dtype, count, seed):
    """Random patterns of bits, all exponents, and the neighbourhood of each edge."""
    rng = np.random.default_rng(seed)
    info = np.finfo(dtype)
    whole = f"u{info.bits // 8}"
    patterns = rng.integers(0, 2**info.bits, count, dtype=whole).view(dtype)
    exponents = np.arange(info.minexp - info.nmant, info.maxexp)
    powers = np.ldexp(np.ones(1, dtype), exponents)
    near = np.array([edge for edge in EDGES if edge < float(info.max)], dtype).view(whole)
    near = (near[:, None] + np.arange(-32, 33).astype(whole)).view(dtype).ravel()
    usual = [rng.uniform(0, scale, count // 8).astype(dtype) for scale in (0.1, 1, 4, 30, 1000)]
    eighths = np.floor(2 ** rng.uniform(0, min(50, info.maxexp // 2), count // 4)) / 8
    turns = (2 * np.longdouble(np.pi) * eighths).astype(dtype)  # where reductions of angles change
    special = [0.0, np.inf, np.nan, info.max, info.tiny, info.smallest_subnormal]
    powers = [powers, np.nextafter(powers, 0), np.nextafter(powers, 9), powers * dtype(1.5)]
    positive = np.concatenate([*powers, near, *usual, turns, np.array(special, dtype)])
    return np.concatenate([patterns, positive, -positive])


def points(name, dtype, count, seed=0):
    """Arguments of a function over its whole range."""
    x = everywhere(dtype, count, seed)
    if name not in BINARY:
        return (x,)
    rng = np.random.default_rng(seed)
    near_one = rng.uniform(0.5, 2, 2 * count).astype(dtype)
    positive = np.exp(rng.uniform(-6, 6, 2 * count)).astype(dtype)
    y = rng.permutation(x)
    steep = rng.uniform(-1000, 1000, 2 * count).astype(dtype)
    flat = rng.uniform(-20, 20, 2 * count).astype(dtype)
    return np.concatenate([x, near_one, positive]), np.concatenate([y, steep, flat])


# --- the table --------------------------------------------------------------------------------


def worst(name: str, dtype: str, wide: Any, count: int) -> float:
    """The largest error of a function."""
    arguments = points(name, np.dtype(dtype).type, count)
    return float(ulps(ArrayFunction(name, dtype)(*arguments), true(name, wide, *arguments)).max())


def main() -> None:
    """Print the table."""
    rows = []
    for name in TRANSCENDENTAL:
        single = worst(name, "float32", np.float64, 2**21)
        double = "-"
        if EIGHTY_BITS and name != "erf":  # SciPy has no wider one
            double = f"{worst(name, 'float64', np.longdouble, 2**19):.2f}"
        rows.append((name, f"{single:.2f}", double))
    print(table(("largest error, ulp", "float32", "float64"), rows))
    print(f"exact, as the standard demands: {', '.join(EXACT)}")


if __name__ == "__main__":
    main()
