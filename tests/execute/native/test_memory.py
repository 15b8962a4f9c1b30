"""Places in the arena: apart while in use, and little more than must be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradlab.execute.native.layout import Layout
from gradlab.execute.native.lower import lower
from gradlab.execute.native.memory import place
from gradlab.execute.native.plan import LINE, Buffer, Kernel, Operand, Plan
from gradlab.execute.native.schedule import schedule
from gradlab.execute.simplify import simplify
from gradlab.graph import Spec
from tests.execute.native.plans import lowered, staged, training_step
from tests.execute.native.random_graphs import Case


class Uses(Kernel):
    """A kernel that only touches buffers."""

    def __init__(self, buffers, barrier):
        super().__init__("", barrier=barrier)
        self.buffers = buffers

    def reads(self):
        return []

    def writes(self):
        return [Operand(x, Layout.contiguous((x.size,))) for x in self.buffers]


def in_use(plan):
    """For each arena buffer the times at which it is in use: kernels, or stretches of them.

    Of one thread each kernel is a time of its own; several threads may be anywhere between two
    barriers.
    """
    times, now = {}, 0
    for kernel in plan.kernels:
        now += kernel.barrier or plan.threads == 1
        for x in (*kernel.reads(), *kernel.writes()):
            if x.buffer.home == "arena":
                times.setdefault(x.buffer, []).append(now)
    return {buffer: (min(when), max(when)) for buffer, when in times.items()}


def check(plan):
    """Buffers in use at once lie apart, on lines of their own, within the arena."""
    used = in_use(plan)
    assert {b for b in plan.buffers if b.home == "arena"} == set(used)
    for a, (first, last) in used.items():
        assert (a.first, a.last) == (first, last)
        assert a.place % LINE == 0
        assert a.place + a.bytes <= plan.arena
        for b, (begin, end) in used.items():
            if a is not b and begin <= last and first <= end:
                lines_of_a = set(range(a.place // LINE, -(-(a.place + a.bytes) // LINE)))
                lines_of_b = set(range(b.place // LINE, -(-(b.place + b.bytes) // LINE)))
                assert not lines_of_a & lines_of_b


def live(plan):
    """Bytes in use at once, at most; no placement needs less."""
    used = in_use(plan)
    times = {t for first, last in used.values() for t in (first, last)}
    return max(
        (sum(b.bytes for b, (first, last) in used.items() if first <= t <= last) for t in times),
        default=0,
    )


def placed(graph, threads):
    plan = staged(graph, threads)
    schedule(plan)
    place(plan)
    return plan


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("seed", range(500, 505))
def test_buffers_of_random_graphs_lie_apart(seed, threads):
    plan = placed(lower(simplify(Case(seed, exact=False).graph)), threads)
    check(plan)
    assert plan.arena >= live(plan)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    "widths", [(784, 256, 10), (64, 128, 128, 10), (100, 512, 256, 128, 10), (32,) + (64,) * 8]
)
def test_the_arena_of_a_training_is_little_more_than_what_is_alive(widths, threads):
    step, specs, _ = training_step(widths, batch=64)
    plan = placed(lowered(step, *specs), threads)
    check(plan)
    assert live(plan) <= plan.arena <= 1.25 * live(plan)


def test_memory_does_not_grow_with_a_chain():
    """Of 40 layers without gradient, two neighbours are alive at a time."""
    weights = [np.eye(64, dtype=np.float32) for _ in range(40)]

    def forward(x):
        for w in weights:
            x = x @ w
        return x

    plan = placed(lowered(forward, Spec((32, 64))), 1)
    assert plan.arena <= 4 * 32 * 64 * 4


def test_an_update_comes_right_after_its_gradient():
    """So the gradients of no two layers are in memory at once."""
    step, specs, _ = training_step((8,) + (256,) * 6 + (10,), batch=4)
    plan = placed(lowered(step, *specs), 1)
    assert plan.arena < 2 * 256 * 256 * 4 + 50 * 4 * 256 * 4


sizes = st.integers(0, 300)


@given(
    st.lists(sizes, min_size=1, max_size=12),
    st.lists(st.tuples(st.sets(st.integers(0, 11), max_size=4), st.booleans()), max_size=12),
    st.integers(1, 3),
    st.data(),
)
def test_any_buffers_used_at_any_times(counts, uses, threads, data):
    copies = [data.draw(st.sampled_from([1, threads])) for _ in counts]
    buffers = [
        Buffer("arena", i, np.dtype(np.float32), n, c)
        for i, (n, c) in enumerate(zip(counts, copies, strict=True))
    ]
    kernels = [Uses([buffers[i] for i in who if i < len(buffers)], wait) for who, wait in uses]
    plan = Plan(kernels, buffers, threads=threads)
    place(plan)
    check(plan)
    assert plan.arena >= live(plan)
    assert plan.arena % LINE == 0


def test_what_nothing_touches_has_no_place():
    plan = Plan([], [Buffer("arena", 0, np.dtype(np.float32), 8)])
    place(plan)
    assert (plan.buffers, plan.arena) == ([], 0)
