"""How work is divided among threads, in which order it runs, and where threads wait.

An interpreter of plans that knows elements and bytes only, by brute force: which of them each
thread touches in each kernel follows from the kernel's range and its operands' layouts. Kernels
with a loop of their own count as touching all that they are given.
"""

import math

import numpy as np
import pytest

import gradlab as gl
from gradlab.execute import program
from gradlab.execute.native import NativeProgram, compiler
from gradlab.execute.native.layout import Layout
from gradlab.execute.native.lower import lower
from gradlab.execute.native.memory import place
from gradlab.execute.native.plan import Gather, MatrixProduct, Nest, SpecialKernel
from gradlab.execute.native.schedule import schedule
from gradlab.execute.simplify import simplify
from gradlab.graph import Spec, trace
from tests.execute.native.plans import lowered, staged, training_step
from tests.execute.native.random_graphs import Case

SEEDS = range(300, 306)


def case_graph(seed):
    return lower(simplify(Case(seed, exact=False).graph))


def mlp_graph():
    step, specs, _ = training_step((20, 24, 17, 10), batch=26)
    return lowered(step, *specs)


GRAPHS = {"mlp": mlp_graph} | {f"random {seed}": lambda s=seed: case_graph(s) for seed in SEEDS}


@pytest.fixture(params=sorted(GRAPHS))
def graph(request):
    return GRAPHS[request.param]()


# --- what a thread touches ----------------------------------------------------------------------


def part(kernel, thread, threads):
    """Positions [begin, end) of the outermost loop that a thread does."""
    r = kernel.range
    if r.parts == 1:
        return (0, r.length) if thread == 0 else (0, 0)
    begin, end = (min(t * r.parts // threads * r.unit, r.length) for t in (thread, thread + 1))
    return begin, end


def elements(layout, first=None):
    """Places in the buffer; of some indices along the first axis only, if given."""
    grid = np.indices(layout.shape)
    if first is not None:
        grid = grid[:, slice(*first)]
    strides = np.array(layout.strides, int).reshape((-1,) + (1,) * len(layout.shape))
    return ((grid * strides).sum(0) + layout.offset).ravel()


def touched(kernel, x, write, thread, threads):
    """Elements of one operand that a thread touches."""
    begin, end = part(kernel, thread, threads)
    if begin >= end:
        return np.empty(0, int)
    if isinstance(kernel, Nest):
        # Outer positions divide all positions, row by row, into runs of equal length.
        run = math.prod(kernel.shape) // kernel.range.length
        found = elements(x.layout)[begin * run : end * run]
    elif _by_rows(kernel, x):
        found = elements(x.layout, (begin, end))
    else:
        found = elements(x.layout)
    if write and x.buffer.copies > 1:
        found = found + thread * (x.buffer.bytes_each // x.dtype.itemsize)
    return np.unique(found)


def _by_rows(kernel, x):
    """Whether an outer position takes one index of the operand's first axis."""
    if isinstance(kernel, MatrixProduct):
        return x is kernel.x or x is kernel.out or (x is kernel.y and len(x.layout.shape) > 2)
    return isinstance(kernel, Gather) or x in kernel.by_rows


def _reduced_once(layout):
    """With axes of stride 0 left out: a reduction of nothing, too, writes its results."""
    axes = [i for i, stride in enumerate(layout.strides) if stride]
    shape, strides = ([of[i] for i in axes] for of in (layout.shape, layout.strides))
    return Layout(tuple(shape), tuple(strides), layout.offset)


class Memory:
    """Bytes of all buffers one after another, those of the arena where they were placed."""

    def __init__(self, plan):
        self.start, self.size = {}, plan.arena
        for buffer in plan.buffers:
            if buffer.home == "arena":
                self.start[buffer] = buffer.place
            else:
                self.start[buffer] = self.size
                self.size += buffer.bytes

    def bytes_of(self, x, found):
        each = x.dtype.itemsize
        return (self.start[x.buffer] + found[:, None] * each + np.arange(each)).ravel()


def check_races(plan):
    """Between two barriers no byte that one thread writes is touched by another."""
    memory, threads = Memory(plan), range(plan.threads)
    written, read = (np.zeros((plan.threads, memory.size), bool) for _ in range(2))
    for kernel in plan.kernels:
        if kernel.barrier:
            written[:], read[:] = False, False
        now = []
        for thread in threads:
            for write, operands in ((False, kernel.reads()), (True, kernel.writes())):
                for x in operands:
                    place = memory.bytes_of(x, touched(kernel, x, write, thread, plan.threads))
                    now.append((thread, write, place))
        if not isinstance(kernel, SpecialKernel):
            for thread, write, place in now:
                (written if write else read)[thread, place] = True
        for thread, write, place in now:
            for other in set(threads) - {thread}:
                assert not written[other, place].any(), kernel.title
                assert not (write and read[other, place].any()), kernel.title
        for thread, write, place in now:
            (written if write else read)[thread, place] = True


# --- any plan -----------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [2, 3])
def test_no_thread_touches_what_another_writes(graph, threads):
    plan = staged(graph, threads)
    schedule(plan)
    place(plan)
    assert any(kernel.range.parts > 1 for kernel in plan.kernels)
    check_races(plan)


@pytest.mark.parametrize("threads", [2, 3])
def test_the_check_sees_a_missing_barrier(threads):
    plan = staged(mlp_graph(), threads)
    schedule(plan)
    place(plan)
    needed = 0
    for kernel in plan.kernels:
        if kernel.barrier:
            kernel.barrier = False
            try:
                check_races(plan)
            except AssertionError:
                needed += 1
            kernel.barrier = True
    assert needed == sum(kernel.barrier for kernel in plan.kernels)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_each_kernel_finds_what_it_would_have_found_in_the_graph_s_order(graph, threads):
    """By bytes: every number read was put there by the same kernel, and nothing has covered it."""
    plan = staged(graph, threads)
    number = {kernel: i for i, kernel in enumerate(plan.kernels)}
    expected, last = {}, {}
    for kernel in plan.kernels:
        expected[kernel] = [last.get(x.buffer) for x in kernel.reads()]
        last.update((x.buffer, number[kernel]) for x in kernel.writes())
    schedule(plan)
    place(plan)
    assert sorted(map(number.get, plan.kernels)) == list(number.values())
    memory = Memory(plan)
    writer = np.full(memory.size, -1)
    for kernel in plan.kernels:
        for x, by in zip(kernel.reads(), expected[kernel], strict=True):
            found = writer[memory.bytes_of(x, elements(x.layout))]
            assert (found == (-1 if by is None else by)).all(), (kernel.title, x.buffer)
        for x in kernel.writes():
            for thread in range(x.buffer.copies):
                skip = thread * (x.buffer.bytes_each // x.dtype.itemsize)
                found = elements(_reduced_once(x.layout)) + skip
                writer[memory.bytes_of(x, found)] = number[kernel]
    for buffer, by in last.items():
        if buffer.home != "arena":
            start = memory.start[buffer]
            assert (writer[start : start + buffer.bytes] == by).all()


@pytest.mark.parametrize("threads", [2, 3])
def test_together_threads_do_each_position_once(graph, threads):
    plan = staged(graph, threads)
    schedule(plan)
    for kernel in plan.kernels:
        parts = [part(kernel, thread, threads) for thread in range(threads)]
        positions = [i for begin, end in parts for i in range(begin, end)]
        assert positions == list(range(kernel.range.length))
        if kernel.range.parts > 1:
            assert all(begin < end for begin, end in parts)  # none is left without work
        else:
            assert all(x.buffer.copies == 1 for x in kernel.writes() if isinstance(kernel, Nest))


def test_one_thread_waits_for_nobody(graph):
    plan = staged(graph, 1)
    schedule(plan)
    assert not any(kernel.barrier for kernel in plan.kernels)
    assert all(kernel.range.parts == 1 for kernel in plan.kernels)


# --- where waiting is needed, and where not ------------------------------------------------------


def barriers(function, *specs, threads=2):
    plan = staged(lowered(function, *specs), threads)
    schedule(plan)
    return [kernel.barrier for kernel in plan.kernels]


LARGE = Spec((64, 48))


def test_rows_that_a_thread_has_made_itself_need_no_barrier():
    assert barriers(lambda x: gl.exp(x - gl.sum(x, 1, keepdims=True)), LARGE) == [False] * 2
    assert barriers(lambda x, w: gl.tanh(x @ w), LARGE, Spec((48, 64))) == [False] * 2


def test_rows_that_others_have_made_do():
    assert barriers(lambda x: gl.exp(x) @ x.T, LARGE) == [False] * 2
    assert barriers(lambda x: x @ gl.exp(x.T), LARGE) == [False, True]
    assert barriers(lambda x: x @ gl.exp(x), Spec((64, 64))) == [False, True]
    assert barriers(lambda x: gl.sin(gl.flip(gl.exp(x), 0)), LARGE) == [False, True]


def test_the_threads_parts_of_a_sum_are_put_together_by_one_after_a_barrier():
    plan = staged(lowered(lambda x: gl.sum(x, 0), LARGE), 2)
    schedule(plan)
    parts, joined = plan.kernels
    assert (parts.barrier, joined.barrier) == (False, True)
    assert parts.writes()[0].buffer.copies == 2
    assert joined.range.parts == 1
    assert [x.buffer.home for x in joined.writes()] == ["output"]


@pytest.mark.parametrize("threads", [1, 2])
def test_after_an_update_all_wait_before_the_next_one_writes(threads):
    plan = staged(mlp_graph(), threads)
    schedule(plan)
    place(plan)
    waits = sum(kernel.barrier for kernel in plan.kernels) + 1
    found = str(compiler.emit(plan)).count('call void @"barrier"')
    assert found == (waits if threads > 1 else 0)


def test_what_is_read_later_is_not_written_before():
    """Weights exchanged: the old value of each is read before it is lost."""
    v, w = gl.Variable(np.ones((64, 48))), gl.Variable(np.ones((64, 48)))

    def step():
        a, b = v + w.T.T * 2, w + v[::-1]
        v.assign(a)
        w.assign(b)

    plan = staged(lowered(step), 3)
    schedule(plan)
    place(plan)
    check_races(plan)


# --- programs on several threads ----------------------------------------------------------------


@pytest.fixture
def shared(monkeypatch):
    """Small programs, too, run on several threads; nothing comes from a cache."""
    monkeypatch.setattr(compiler, "WORTH_SHARING", 0)
    monkeypatch.setenv("GRADLAB_CACHE", "off")


@pytest.mark.parametrize(("seed", "exact"), [(400, True), (402, False)])
def test_any_number_of_threads_finds_the_same(seed, exact, shared):
    case = Case(seed, exact, nodes=60)
    graph = simplify(case.graph)
    expected = program(case.graph, "numpy").run(case.inputs, case.state)
    for threads in (1, 2, 3):
        ready = NativeProgram(graph, threads=threads)
        assert ready.plan.threads == threads
        found, again = (ready.run(case.inputs, case.state) for _ in range(2))
        for xs, ys, zs in zip(found, expected, again, strict=True):
            for x, y, z in zip(xs, ys, zs, strict=True):
                assert x.tobytes() == z.tobytes()
                if exact:
                    np.testing.assert_array_equal(x, y, strict=True)
                elif y.dtype.kind == "f":
                    tolerance = 1e-3 if y.dtype == np.float32 else 1e-9
                    np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("threads", [2, 3, 7])
def test_many_updates_through_many_barriers(threads, shared):
    """More threads than cores: whoever waits lets the others have its core."""
    w, total = gl.Variable(np.zeros((24, 40))), gl.Variable(np.zeros(40))

    def step(x):
        new = gl.remainder(w + x[:, :1] + gl.sum(w, 0) + w[::-1], 1024.0)
        w.assign(new)
        total.assign(gl.max(new @ gl.ones((40, 40), dtype="float64"), 0))
        return gl.sum(new)

    data = np.random.default_rng(0).integers(0, 9, (50, 40)).astype(float)
    graph = simplify(trace(step, Spec((24, 40), "float64")))
    updates = 1500 if threads < 7 else 300
    rows = np.random.default_rng(1).integers(0, 50, (updates, 24))
    state = {v: v.held.value for v in (w, total)}
    ready = NativeProgram(graph, 1, threads=threads)
    assert sum(kernel.barrier for kernel in ready.plan.kernels) >= 2
    (sums,), new = ready.updates([data], rows, [], state)
    (expected,), reference = program(graph, "numpy", 1).updates([data], rows, [], state)
    np.testing.assert_array_equal(sums, expected)
    for variable, value in reference.items():
        np.testing.assert_array_equal(new[variable], value)


@pytest.mark.parametrize("threads", [2, 3])
def test_all_threads_halt_at_the_same_update(threads, shared):
    w = gl.Variable(np.zeros((40, 8)))

    def step(x):
        w.assign(w + gl.sum(x, 0))
        return gl.sum(w), gl.sum(w) < 40 * 8 * 30.5

    graph = simplify(trace(step, Spec((12, 8), "float64")))
    ready = NativeProgram(graph, 1, halt=1, threads=threads)
    rows = np.zeros((50, 12), np.int64)
    data = np.full((1, 8), 1 / 12)
    (sums, going), new = ready.updates([data], rows, [], {w: w.held.value})
    assert going.tolist() == [True] * 30 + [False]
    np.testing.assert_allclose(sums, 40 * 8 * np.arange(1, 32))
    np.testing.assert_allclose(new[w], np.full((40, 8), 31.0))
