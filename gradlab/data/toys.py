"""Two-dimensional toy problems on about [-6, 6]², drawn at random.

Classes are 0 and 1. ``noise`` is a standard deviation: of each coordinate around the clean point
for classes, of the target around its formula for regression.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gradlab.data.source import Source, datasets
from gradlab.data.table import Table
from gradlab.errors import ArgumentError
from gradlab.seeding import stream

_PLAYGROUND = "Smilkov et al., Direct-Manipulation Visualization of Deep Networks, 2017"


@datasets.register(
    "circle", formula="r ∈ [0, 2.5] is class 1, r ∈ [3.5, 5] is class 0", paper=_PLAYGROUND
)
def circle(samples: int = 500, noise: float = 0.0, seed: int = 0) -> Source:
    """A disk inside a ring."""
    rng = _generator(samples, noise, seed)
    label = np.arange(samples) % 2
    radius = np.where(label == 1, rng.uniform(0, 2.5, samples), rng.uniform(3.5, 5, samples))
    angle = rng.uniform(0, 2 * np.pi, samples)
    return _classes("circle", _polar(radius, angle), label, noise, rng)


@datasets.register(
    "xor",
    formula="x₁, x₂ ∈ ±[0.3, 5]; class 1 where x₁x₂ > 0",
    paper=f"Minsky & Papert, Perceptrons, 1969; {_PLAYGROUND}",
)
def xor(samples: int = 500, noise: float = 0.0, seed: int = 0) -> Source:
    """Opposite quadrants are of one class."""
    rng = _generator(samples, noise, seed)
    points = rng.uniform(0.3, 5, (samples, 2)) * rng.choice([-1, 1], (samples, 2))
    return _classes("xor", points, points[:, 0] * points[:, 1] > 0, noise, rng)


@datasets.register(
    "gauss", formula="x ~ N(±(2, 2), I); class 1 has the plus sign", paper=_PLAYGROUND
)
def gauss(samples: int = 500, noise: float = 0.0, seed: int = 0) -> Source:
    """Two round clouds."""
    rng = _generator(samples, noise, seed)
    label = np.arange(samples) % 2
    points = rng.normal(size=(samples, 2)) + 2 * _sign(label)[:, None]
    return _classes("gauss", points, label, noise, rng)


@datasets.register(
    "spiral",
    formula="x = ±5u (sin 3.5πu, cos 3.5πu), u ∈ [0.05, 1]; class 1 has the plus sign",
    paper=f"Lang & Witbrock, Learning to Tell Two Spirals Apart, 1988; {_PLAYGROUND}",
)
def spiral(samples: int = 500, noise: float = 0.0, seed: int = 0) -> Source:
    """Two arms wound around each other."""
    rng = _generator(samples, noise, seed)
    label = np.arange(samples) % 2
    along = rng.uniform(0.05, 1, samples)
    points = _polar(5 * along, np.pi / 2 - 3.5 * np.pi * along) * _sign(label)[:, None]
    return _classes("spiral", points, label, noise, rng)


@datasets.register(
    "moons",
    formula="x = ±(3 cos a − 1.5, 3 sin a − 0.75), a ∈ [0, π]; class 1 has the minus sign",
    paper="Pedregosa et al., Scikit-learn, 2011 (make_moons, centred and three times as wide)",
)
def moons(samples: int = 500, noise: float = 0.0, seed: int = 0) -> Source:
    """Two half circles hooked into each other."""
    rng = _generator(samples, noise, seed)
    label = np.arange(samples) % 2
    arc = _polar(np.full(samples, 3.0), rng.uniform(0, np.pi, samples)) - [1.5, 0.75]
    return _classes("moons", -arc * _sign(label)[:, None], label, noise, rng)


@datasets.register(
    "checkerboard",
    formula="x ∈ [-6, 6]²; class (⌊x₁/3⌋ + ⌊x₂/3⌋) mod 2",
    paper="folklore: xor with more squares",
)
def checkerboard(samples: int = 500, noise: float = 0.0, seed: int = 0) -> Source:
    """Four by four squares of alternating class."""
    rng = _generator(samples, noise, seed)
    points = rng.uniform(-6, 6, (samples, 2))
    return _classes("checkerboard", points, np.floor(points / 3).sum(axis=1) % 2, noise, rng)


@datasets.register("plane", formula="x ∈ [-6, 6]²; y = (x₁ + x₂) / 12", paper=_PLAYGROUND)
def plane(samples: int = 500, noise: float = 0.0, seed: int = 0) -> Source:
    """A regression that a linear model solves."""
    rng = _generator(samples, noise, seed)
    points = rng.uniform(-6, 6, (samples, 2))
    return _values("plane", points, points.sum(axis=1) / 12, noise, rng)


@datasets.register(
    "multi_gauss",
    formula="x ∈ [-6, 6]²; y = Σ ± exp(−‖x − c‖² / 2), c ∈ {−4, 0, 4} × {−2.5, 2.5}, "
    "signs alternate, + at (−4, 2.5)",
    paper=_PLAYGROUND,
)
def multi_gauss(samples: int = 500, noise: float = 0.0, seed: int = 0) -> Source:
    """A regression on six hills and hollows."""
    rng = _generator(samples, noise, seed)
    points = rng.uniform(-6, 6, (samples, 2))
    centers = np.array([(a, b) for b in (2.5, -2.5) for a in (-4, 0, 4)])
    signs = np.array([1, -1, 1, -1, 1, -1])
    distance = ((points[:, None] - centers) ** 2).sum(axis=2)
    return _values("multi_gauss", points, np.exp(-distance / 2) @ signs, noise, rng)


def _generator(samples: int, noise: float, seed: int) -> np.random.Generator:
    """Check the parameters all toys share, and open their random stream."""
    if samples < 2:
        raise ArgumentError(f"samples must be 2 or more, got {samples}")
    if not 0 <= noise < np.inf:
        raise ArgumentError(f"noise must be a standard deviation from 0 up, got {noise}")
    return stream(seed, "toys")


def _sign(label: NDArray[np.int64]) -> NDArray[np.int64]:
    return 2 * label - 1


def _polar(radius: NDArray[np.float64], angle: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])


def _classes(
    name: str,
    clean: NDArray[np.float64],
    label: NDArray[np.generic],
    noise: float,
    rng: np.random.Generator,
) -> Source:
    """Move the points at random; their labels stay."""
    x = clean + noise * rng.normal(size=clean.shape)
    columns = {"x1": x[:, 0], "x2": x[:, 1], "class": label.astype(np.int64)}
    return Source(name, Table(columns), ("class",), "classification")


def _values(
    name: str,
    x: NDArray[np.float64],
    clean: NDArray[np.float64],
    noise: float,
    rng: np.random.Generator,
) -> Source:
    """Move the targets at random; the points stay."""
    y = clean + noise * rng.normal(size=len(clean))
    return Source(name, Table({"x1": x[:, 0], "x2": x[:, 1], "y": y}), ("y",), "regression")
