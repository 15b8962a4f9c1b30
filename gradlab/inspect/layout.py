"""A layered layout: longest paths make the layers, barycenters order them.

Source: Sugiyama, Tagawa & Toda, Methods for visual understanding of hierarchical system structures,
1981; positions within a layer by isotonic regression.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

SWEEPS = 12
GAP_X = 28.0
GAP_Y = 34.0
STRAIGHTEN = 8.0
"""How much more the middle of a long link is kept straight."""

Size = tuple[float, float]
Point = tuple[float, float]
Link = tuple[int, int, float]
Neighbours = defaultdict[int, list[tuple[int, float]]]


@dataclass(frozen=True)
class Layout:
    """Centres of the items, the points that each link passes, and the whole size."""

    centres: list[Point]
    links: list[list[Point]]
    size: Size


def layout(sizes: Sequence[Size], links: Sequence[Link]) -> Layout:
    """Place items of given sizes so that every link goes down.

    Args:
        sizes: width and height of each item.
        links: pairs of items, without a cycle, each with a weight: heavy ones are kept straight.
    """
    layers = _layers(len(sizes), [(start, end) for start, end, _ in links])
    sizes, count = list(sizes), len(sizes)
    ups: Neighbours = defaultdict(list)
    downs: Neighbours = defaultdict(list)
    # A link over several layers passes through a small item of its own in each.
    routes = []
    for start, end, weight in links:
        bends = list(range(len(sizes), len(sizes) + layers[end] - layers[start] - 1))
        sizes += [(1.0, 0.0)] * len(bends)
        layers += range(layers[start] + 1, layers[end])
        route = [start, *bends, end]
        for above, below in pairwise(route):
            both = above in bends and below in bends
            downs[above].append((below, weight * (STRAIGHTEN if both else 1)))
            ups[below].append((above, weight * (STRAIGHTEN if both else 1)))
        routes.append(route)
    rows = _ordered(_rows(layers), ups, downs)
    x = _across(rows, [width for width, _ in sizes], ups, downs)
    y: dict[int, float] = {}
    bottom = 0.0
    for row in rows:
        height = max(sizes[i][1] for i in row)
        y |= dict.fromkeys(row, bottom + height / 2)
        for i in row:
            if i >= count:  # a bend passes straight through its row
                sizes[i] = (sizes[i][0], height)
        bottom += height + GAP_Y
    left = min(x[i] - sizes[i][0] / 2 for i in x)
    right = max(x[i] + sizes[i][0] / 2 for i in x)
    centres = [(x[i] - left, y[i]) for i in range(len(sizes))]
    points = []
    for start, *bends, end in routes:
        top = (centres[start][0], centres[start][1] + sizes[start][1] / 2)
        foot = (centres[end][0], centres[end][1] - sizes[end][1] / 2)
        through = [
            (centres[i][0], centres[i][1] + half * sizes[i][1])
            for i in bends
            for half in (-0.5, 0.5)
        ]
        points.append([top, *through, foot])
    return Layout(centres, points, (right - left, bottom - GAP_Y))


def _layers(count: int, links: Sequence[tuple[int, int]]) -> list[int]:
    """One more than the deepest item above; what nothing leads to comes just above its use."""
    downs, waiting = defaultdict(list), [0] * count
    for start, end in links:
        downs[start].append(end)
        waiting[end] += 1
    layers = [0] * count
    roots = [i for i in range(count) if not waiting[i]]
    ready = list(roots)
    for i in ready:  # grows as it is walked
        for below in downs[i]:
            layers[below] = max(layers[below], layers[i] + 1)
            waiting[below] -= 1
            if not waiting[below]:
                ready.append(below)
    for i in roots:
        if downs[i]:
            layers[i] = min(layers[below] for below in downs[i]) - 1
    return layers


def _rows(layers: Sequence[int]) -> list[list[int]]:
    rows: list[list[int]] = [[] for _ in range(max(layers) + 1)]
    for i, layer in enumerate(layers):
        rows[layer].append(i)
    return rows


def _ordered(rows: list[list[int]], ups: Neighbours, downs: Neighbours) -> list[list[int]]:
    """The order, within rows, with the fewest crossings among those that the sweeps visit."""
    best, fewest = [list(row) for row in rows], _crossings(rows, downs)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        neighbours = ups if down else downs
        for k in range(1, len(rows)) if down else range(len(rows) - 2, -1, -1):
            beside = {i: float(place) for place, i in enumerate(rows[k - 1 if down else k + 1])}
            keys = {
                i: _mean([(j, 1.0) for j, _ in neighbours[i]], beside, float(place))
                for place, i in enumerate(rows[k])
            }
            rows[k].sort(key=keys.__getitem__)
        crossings = _crossings(rows, downs)
        if crossings < fewest:
            best, fewest = [list(row) for row in rows], crossings
    return best


def _mean(links: Sequence[tuple[int, float]], x: Mapping[int, float], default: float) -> float:
    """Weighted mean of the places of neighbours."""
    total = sum(weight for _, weight in links)
    return sum(x[i] * weight for i, weight in links) / total if links else default


def _crossings(rows: Sequence[Sequence[int]], downs: Neighbours) -> int:
    """How many pairs of links cross between neighbouring rows."""
    crossings = 0
    for upper, lower in pairwise(rows):
        place = {i: k for k, i in enumerate(lower)}
        ends = [e for i in upper for e in sorted(place[j] for j, _ in downs[i])]
        crossings += sum(a > b for k, a in enumerate(ends) for b in ends[k + 1 :])
    return crossings


def _across(
    rows: Sequence[Sequence[int]], widths: Sequence[float], ups: Neighbours, downs: Neighbours
) -> dict[int, float]:
    """Positions from left to right: each item as near to the mean of its neighbours as fits."""
    x: dict[int, float] = {}
    pull = {i: sum(w for _, w in (*ups[i], *downs[i])) or 1.0 for row in rows for i in row}

    def place(row: Sequence[int], wishes: Sequence[float]) -> None:
        places = _apart(wishes, [widths[i] for i in row], [pull[i] for i in row])
        x.update(zip(row, places, strict=True))

    for row in rows:
        place(row, [0.0] * len(row))
    # One side at a time carries a place through all rows; both together settle it.
    for sweep in range(2 * SWEEPS):
        down, settling = sweep % 2 == 0, sweep >= SWEEPS
        for row in rows if down else reversed(rows):
            heard = {
                i: [*ups[i] * (down or settling), *downs[i] * (settling or not down)] for i in row
            }
            place(row, [_mean(heard[i], x, x[i]) for i in row])
    return x


def _apart(
    wishes: Sequence[float], widths: Sequence[float], weights: Sequence[float]
) -> list[float]:
    """The places nearest to the wishes, in weighted squares, that keep the order and a gap.

    >>> _apart([0.0, 0.0], [10.0, 10.0], [1.0, 1.0])
    [-19.0, 19.0]
    """
    offsets = [0.0]
    for a, b in pairwise(widths):
        offsets.append(offsets[-1] + (a + b) / 2 + GAP_X)
    # Less its offset, no place may be below the one before: pool those that are.
    pools: list[tuple[float, float, int]] = []
    for wish, offset, weight in zip(wishes, offsets, weights, strict=True):
        mean, count = wish - offset, 1
        while pools and pools[-1][0] > mean:
            other, others, more = pools.pop()
            mean = (mean * weight + other * others) / (weight + others)
            weight, count = weight + others, count + more
        pools.append((mean, weight, count))
    level = [mean for mean, _, count in pools for _ in range(count)]
    return [a + offset for a, offset in zip(level, offsets, strict=True)]
