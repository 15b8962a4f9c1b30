"""How far two right executors may be apart, row by row, from the rounding of each operation.

u is the unit roundoff, half of the dtype's eps. A sum of n terms in any order is off by at most
(n − 1) u Σ|terms|, so two orders differ by (n − 1) eps Σ|terms| (Higham, Accuracy and Stability of
Numerical Algorithms, 2002, section 4.2); a product of matrices likewise, term by term. NumPy's
transcendental functions are within 4 units of the last place, ours too. Every other row rounds
once or not at all: its numbers are equal.
"""

import math

import numpy as np

from gradlab.graph import OPS

ULPS = 8
TRANSCENDENTAL = {
    *("acos", "asin", "atan", "cos", "cosh", "erf", "exp", "expm1", "log", "log1p", "pow"),
    *("sigmoid", "sin", "sinh", "softplus", "tan", "tanh"),
    *("acosh", "asinh", "atan2", "atanh", "log2", "log10"),
}
CONVOLUTIONS = ("conv", "conv_input", "conv_kernel")
SLACK = 1.5
"""Terms of second order, the rounding of the bound itself, and the stored result's last place."""


def allowed(name, expected, inputs, params):
    """Largest distance from NumPy's result; 0: equal, NaN: the order of a sum decides (overflow).

    A scalar or an array that broadcasts to the result.
    """
    x = inputs[0] if inputs else None
    if expected.dtype.kind != "f" or x.dtype.kind != "f":
        return 0.0
    info = np.finfo(expected.dtype)
    with np.errstate(all="ignore"):
        if name in TRANSCENDENTAL:
            unit = np.spacing(np.abs(expected))
            return ULPS * np.where(np.isfinite(unit), unit, 0)
        if name in ("sum", "cumsum"):
            terms = OPS[name].forward(np, _sizes(x), **params)
            count = _count(x.shape, params["axis"])
            return _safe(SLACK * count * info.eps * terms, terms, info)
        if name.startswith("matmul"):
            terms = OPS[name].forward(np, *map(_sizes, inputs))
            inner = x.shape[-2 if name in ("matmul_tn", "matmul_tt") else -1]
            # Each product may be lost below the smallest number; fused, it is not.
            tiny = 2 * inner * info.smallest_subnormal
            return _safe(SLACK * inner * info.eps * terms + tiny, terms, info)
        if name in CONVOLUTIONS or name == "fold":
            terms = OPS[name].forward(np, *map(_sizes, inputs), **params)
            count = _summed(name, [each.shape for each in inputs], params)
            tiny = 2 * count * info.smallest_subnormal
            return _safe(SLACK * count * info.eps * terms + tiny, terms, info)
        if name == "index_add":
            terms = OPS[name].forward(np, _sizes(x), *inputs[1:], **params)
            count = max([picked.size for picked in inputs[1:]], default=0)
            return _safe(SLACK * count * info.eps * terms, terms, info)
        if name in ("logsumexp", "log_softmax"):
            # eps: n of the sum, n of the exponents' rounding (each weighs z e^−z < 1), the
            # functions' last places, and the rounding of what is subtracted and added.
            n = _count(x.shape, params["axis"])
            finite = np.where(np.isfinite(x), x, 0)
            axis = params["axis"]
            size = np.abs(finite).max(axis, keepdims=params.get("keepdims", True), initial=0)
            bound = info.eps * (2 * n + ULPS * (1 + np.log(n)) + 3 * size)
            rest = np.abs(np.where(np.isfinite(expected), expected, 0))
            return SLACK * (bound + 2 * info.eps * rest)
    return 0.0


def assert_close(name, found, expected, inputs, params, note=""):
    """The result of a row is NumPy's, as far as rounding lets it.

    NaN and infinities stand at the same places, and equal numbers may differ in the sign of 0.
    """
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype), note
    bound = np.broadcast_to(allowed(name, expected, inputs, params), expected.shape)
    with np.errstate(all="ignore"):
        wrong = ~((found == expected) | ((found != found) & (expected != expected)))
        if wrong.any():
            wrong &= ~(np.abs(found.astype(float) - expected.astype(float)) <= bound)
            wrong &= ~np.isnan(bound)
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise AssertionError(
            f"{name}{note}: {wrong.sum()} of {wrong.size} elements of {expected.dtype}"
            f"{expected.shape} differ; at {place} {found[place]!r}, expected {expected[place]!r} "
            f"within {bound[place]:.3g}; inputs "
            f"{[(x.shape, str(x.dtype), x.strides) for x in inputs]}, params {dict(params)}"
        )


def _sizes(x):
    """Absolute values; those that are not finite give the result by themselves."""
    return np.where(np.isfinite(x), np.abs(x), 0)


def _summed(name, shapes, params):
    """Terms of one sum, those that are zeros around x included."""
    first, *others = shapes
    if name == "fold":
        return math.prod(first[-len(params["lengths"]) :])
    (second,) = others
    counted = {
        "conv": second[1:],
        "conv_input": (second[0] // params["groups"], *second[2:]),
        "conv_kernel": (first[0], *second[2:]),
    }
    return math.prod(counted[name])


def _count(shape, axis):
    axes = axis if isinstance(axis, tuple) else (axis,)
    return int(np.prod([shape[a] for a in axes]))


def _safe(bound, terms, info):
    """NaN where sums of these terms may overflow in one order and not in another."""
    return np.where(terms < info.max / 4, bound, np.nan)
