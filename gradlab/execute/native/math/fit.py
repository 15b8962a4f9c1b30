"""Where the coefficients of every polynomial come from: minimax fits by Remez' algorithm.

    python -m gradlab.execute.native.math.fit

prints `coefficients.py`. It needs mpmath, which gradlab itself does not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath as mp
import numpy as np

Function = Callable[[Any], Any]

DIGITS = 60
"""Decimal digits of the fits; differences such as eʳ − 1 − r lose half of them near 0."""

NEAR_ZERO = mp.mpf("1e-12")
"""Where an interval from 0 starts, as the fitted quotients are 0/0 at 0 itself."""


@dataclass(frozen=True)
class Fit:
    """A function to fit by a polynomial, with the weight that makes its error the result's."""

    formula: str
    target: Function
    weight: Function
    low: Any
    high: Any
    terms: dict[str, int]


HALF_LN2 = mp.log(2) / 2 * mp.mpf("1.0001")
QUARTER_TURN = mp.mpf("0.8")
"""π/4, and what the rounding of x · 2/π may add to it."""

LOG_RANGE = ((mp.sqrt(2) - 1) / (mp.sqrt(2) + 1)) ** 2
OCTANT = mp.tan(mp.pi / 8) ** 2 * mp.mpf("1.0001")


def _odd(f: Function, c1: int) -> Function:
    """(f(√z)/√z − c₁)/z: what is left of an odd function after its first term."""
    return lambda z: (f(mp.sqrt(z)) / mp.sqrt(z) - c1) / z


def _scaled_erfc(a: Any) -> Any:
    """exp(a²) erfc a."""
    return mp.exp(a * a) * mp.erfc(a)


FITS = {
    "exp": Fit(
        "eʳ = 1 + r + r² P(r), |r| ≤ ½ ln 2; relative error of eʳ − 1",
        lambda r: (mp.exp(r) - 1 - r) / r**2,
        lambda r: r**2 / abs(mp.expm1(r)),
        -HALF_LN2,
        HALF_LN2,
        {"f32": 5, "f64": 10},
    ),
    "log": Fit(
        "ln((1 + s)/(1 − s)) = 2s + s z P(z), z = s², √½ ≤ (1 + s)/(1 − s) ≤ √2; relative error",
        _odd(lambda s: 2 * mp.atanh(s), 2),
        lambda z: z * mp.sqrt(z) / (2 * mp.atanh(mp.sqrt(z))),
        NEAR_ZERO,
        LOG_RANGE,
        {"f32": 3, "f64": 7},
    ),
    "log tail": Fit(
        "ln((1 + s)/(1 − s)) = 2s + s z (2/3 + z P(z)), as above; relative error",
        lambda z: (_odd(lambda s: 2 * mp.atanh(s), 2)(z) - mp.mpf(2) / 3) / z,
        lambda z: z**2 * mp.sqrt(z) / (2 * mp.atanh(mp.sqrt(z))),
        NEAR_ZERO,
        LOG_RANGE,
        {"f32": 3, "f64": 8},
    ),
    "sin": Fit(
        "sin r = r + r z P(z), z = r², |r| ≤ 0.8; relative error",
        _odd(mp.sin, 1),
        lambda z: z * mp.sqrt(z) / mp.sin(mp.sqrt(z)),
        NEAR_ZERO,
        QUARTER_TURN**2,
        {"f32": 3, "f64": 6},
    ),
    "cos": Fit(
        "cos r = 1 − z/2 + z² P(z), z = r², |r| ≤ 0.8; relative error",
        lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2,
        lambda z: z**2 / mp.cos(mp.sqrt(z)),
        NEAR_ZERO,
        QUARTER_TURN**2,
        {"f32": 3, "f64": 6},
    ),
    "sinh": Fit(
        "sinh a = a + a z P(z), z = a², a ≤ 1; relative error",
        _odd(mp.sinh, 1),
        lambda z: z * mp.sqrt(z) / mp.sinh(mp.sqrt(z)),
        NEAR_ZERO,
        mp.mpf(1),
        {"f32": 4, "f64": 7},
    ),
    "tanh": Fit(
        "tanh a = a + a z P(z), z = a², a ≤ 0.55; relative error",
        _odd(mp.tanh, 1),
        lambda z: z * mp.sqrt(z) / mp.tanh(mp.sqrt(z)),
        NEAR_ZERO,
        mp.mpf("0.55") ** 2,
        {"f32": 5, "f64": 10},
    ),
    "atan": Fit(
        "arctan t = t + t z P(z), z = t², |t| ≤ tan π/8; relative error",
        _odd(mp.atan, 1),
        lambda z: z * mp.sqrt(z) / mp.atan(mp.sqrt(z)),
        NEAR_ZERO,
        OCTANT,
        {"f32": 5, "f64": 11},
    ),
    "asin": Fit(
        "arcsin s = s + s z P(z), z = s² ≤ ¼; relative error",
        _odd(mp.asin, 1),
        lambda z: z * mp.sqrt(z) / mp.asin(mp.sqrt(z)),
        NEAR_ZERO,
        mp.mpf(1) / 4,
        {"f32": 5, "f64": 12},
    ),
    "erf": Fit(
        "erf a = 1 − exp(−(2/√π) a − a² P(a)), 0 ≤ a ≤ 3.95 or 5.95; relative error",
        lambda a: (-mp.log(mp.erfc(a)) - 2 / mp.sqrt(mp.pi) * a) / a**2,
        lambda a: mp.erfc(a) * a**2 / mp.erf(a),
        NEAR_ZERO,
        {"f32": mp.mpf("3.95"), "f64": mp.mpf("5.95")},
        {"f32": 9, "f64": 24},
    ),
    "erfc": Fit(
        "erfc a = exp(−a²)/(a + 3) P(z), z = (a − 3)/(a + 3), 0 ≤ a ≤ 10.3 or 27.5; relative error",
        lambda z: _scaled_erfc(3 * (1 + z) / (1 - z)) * 6 / (1 - z),
        lambda z: (1 - z) / 6 / _scaled_erfc(3 * (1 + z) / (1 - z)),
        mp.mpf(-1),
        {"f32": mp.mpf("7.3") / mp.mpf("13.3"), "f64": mp.mpf("24.5") / mp.mpf("30.5")},
        {"f32": 10, "f64": 25},
    ),
}


def minimax(fit: Fit, fmt: str) -> tuple[list[Any], Any]:
    """Coefficients, lowest first, whose largest weighted error is least, and that error.

    Remez: through terms + 1 points, a polynomial whose weighted errors there are equal and
    alternate in sign; then again through the points where its error is largest.
    """
    high = fit.high[fmt] if isinstance(fit.high, dict) else fit.high
    terms = fit.terms[fmt]
    count = 24 * (terms + 1)
    middle, radius = (fit.low + high) / 2, (high - fit.low) / 2
    points = [middle - radius * mp.cos(mp.pi * (i + 0.5) / count) for i in range(count)]
    targets = [fit.target(x) for x in points]
    weights = [fit.weight(x) for x in points]
    chosen = [round(i * (count - 1) / terms) for i in range(terms + 1)]
    while True:
        rows = [
            [points[i] ** k for k in range(terms)] + [(-1) ** j / weights[i]]
            for j, i in enumerate(chosen)
        ]
        solution = mp.lu_solve(mp.matrix(rows), mp.matrix([targets[i] for i in chosen]))
        coefficients = list(solution[:terms])
        errors = [
            (mp.polyval(coefficients[::-1], x) - target) * weight
            for x, target, weight in zip(points, targets, weights, strict=True)
        ]
        largest = _largest_of_each_sign(errors, terms + 1)
        if largest == chosen:
            return coefficients, max(abs(e) for e in errors)
        chosen = largest


def _largest_of_each_sign(errors: list[Any], count: int) -> list[int]:
    """Places of the largest error in each run of one sign; of more than count, the inner ones."""
    places = [0]
    for i, error in enumerate(errors):
        if (error > 0) != (errors[places[-1]] > 0):
            places.append(i)
        elif abs(error) > abs(errors[places[-1]]):
            places[-1] = i
    while len(places) > count:
        del places[0 if abs(errors[places[0]]) < abs(errors[places[-1]]) else -1]
    return places


def rounded(coefficients: list[Any], fmt: str) -> tuple[float, ...]:
    """Coefficients in the format that the polynomial is evaluated in."""
    if fmt == "f32":
        return tuple(float(str(np.float32(float(c)))) for c in coefficients)
    return tuple(float(c) for c in coefficients)


def main() -> None:
    """Print the file."""
    print('"""Coefficients of the polynomials, lowest first: what `fit.py` prints."""\n')
    print("from __future__ import annotations\n")
    print("COEFFICIENTS: dict[str, dict[str, tuple[float, ...]]] = {")
    for name, fit in FITS.items():
        print(f'    # {fit.formula}\n    "{name}": {{')
        for fmt in fit.terms:
            coefficients, error = minimax(fit, fmt)
            print(f"        # error at most 2^{mp.nstr(mp.log(error, 2), 3)}")
            print(f'        "{fmt}": (')
            for c in rounded(coefficients, fmt):
                print(f"            {c!r},")
            print("        ),")
        print("    },")
    print("}")


if __name__ == "__main__":
    with mp.workdps(DIGITS):
        main()
