"""NativeProgram: whose memory is read and written, errors, and Python's threads."""

import dataclasses
import functools
import threading

import numpy as np
import pytest

import gradlab as gl
from gradlab.errors import ArgumentError, ShapeError
from gradlab.execute import Loop, program
from gradlab.execute.native import NativeProgram, compiler
from gradlab.execute.native.guard import aligned
from gradlab.execute.simplify import simplify
from gradlab.graph import Op, Spec, Variable, apply, as_tensor, elementwise_shape, trace
from tests.execute.native.plans import plan_of

rng = np.random.default_rng(0)


def assert_same(graph, inputs, state=(), **tolerance):
    """As NumPy, and what was given is as it was; the result."""
    given = [np.array(x) for x in (*inputs, *state)]
    ready = NativeProgram(simplify(graph))
    found = ready.run(inputs, state)
    expected = program(graph, "numpy").run(inputs, state)
    for xs, ys in zip(found, expected, strict=True):
        assert len(xs) == len(ys)
        for x, y in zip(xs, ys, strict=True):
            assert isinstance(x, np.ndarray)
            if tolerance:
                np.testing.assert_allclose(x, y, **tolerance, strict=True)
            else:
                np.testing.assert_array_equal(x, y, strict=True)
    for x, copy in zip((*inputs, *state), given, strict=True):
        np.testing.assert_array_equal(x, copy)
    for x in (*found[0], *found[1]):
        assert not any(np.may_share_memory(x, y) for y in (*inputs, *state))
    return ready, found


def state_of(graph):
    return [v.held.value for v, _ in graph.captured]


# --- Variables ----------------------------------------------------------------------------------


def variables(*shapes, dtype=np.float32):
    return [Variable(rng.normal(size=s).astype(dtype), name=f"v{i}") for i, s in enumerate(shapes)]


def swap(v, w):
    v.assign(w + 0)
    w.assign(v.read())


def exchange(v, w):
    a, b = v.read(), w.read()
    v.assign(b)
    w.assign(a)


def rotate(v, w):
    a, b = v.read(), w.read()
    v.assign(b[::-1])
    w.assign(gl.reshape(a.T, (4, 3)))


def lean(v, w):
    """Each new value needs both old ones, in one nest and in two."""
    a, b = v.read(), w.read()
    v.assign(a + b)
    w.assign(a - gl.sum(b, 0))


def shift(v, w):
    """Each row becomes the next one's old value."""
    a = v.read()
    v.assign(gl.roll(a, 1, 0) + a)
    w.assign(a[::-1] * 2)


def same_to_both(v, w):
    new = gl.exp(v)
    v.assign(new)
    w.assign(new)


def constants(v, w):
    v.assign(gl.zeros((4, 3)))
    w.assign(gl.tensor(np.arange(12.0).reshape(4, 3), "float32"))


def read_after_assigned(v, w):
    v.assign(v * 2)
    w.assign(w + v)  # of the new v
    v.assign(v + w)


def unchanged(v, w):
    v.assign(v.read())
    w.assign(gl.permute_dims(gl.permute_dims(w, (1, 0)), (1, 0)))


def by_products(v, w):
    new = (v @ w.T) @ v
    v.assign(new)
    w.assign(new @ np.eye(3, dtype=np.float32))


@pytest.mark.parametrize(
    "step",
    [swap, exchange, rotate, lean, shift, same_to_both, constants, read_after_assigned, unchanged,
     by_products],
)  # fmt: skip
def test_variables_take_their_new_values_all_at_once(step):
    v, w = variables((4, 3), (4, 3))
    graph = trace(lambda: (step(v, w), v.read(), w.read())[1:])
    assert_same(graph, [], state_of(graph), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_reduction_of_a_variable_over_an_axis_of_length_1_becomes_its_value(axis):
    (v,) = variables((1, 3) if axis == 0 else (3, 1))
    graph = trace(lambda: v.assign(gl.sum(v * 2, axis, keepdims=True)))
    assert_same(graph, [], state_of(graph))


def test_inputs_become_values():
    v, w = variables((4, 3), (3, 4))

    def step(x):
        v.assign(x)
        w.assign(x.T)
        return v * 2

    graph = trace(step, Spec((4, 3)))
    x = rng.normal(size=(4, 3)).astype(np.float32)
    ready, (_, (new, _)) = assert_same(graph, [x])
    x[:] = 7
    assert not (new == 7).any()
    assert len(ready.variables) == 2


def test_results_are_the_caller_s_own():
    v = Variable(np.arange(6.0), name="v")
    graph = simplify(trace(lambda x: (v.assign(v + x), v * 1.5)[1:], Spec((6,), "float64")))
    ready = NativeProgram(graph)
    (first,), (new,) = ready.run([np.ones(6)], state_of(graph))
    copies = first.copy(), new.copy()
    ready.run([np.full(6, 9.0)], [np.full(6, 3.0)])
    np.testing.assert_array_equal(first, copies[0])
    np.testing.assert_array_equal(new, copies[1])
    assert first.flags.writeable
    assert new.flags.writeable


def test_updates_write_where_the_variable_lies():
    """No copy of a weight, whichever way it is updated; one where the old value is still needed."""

    def copies(step):
        v, w = variables((40, 30), (40, 30))
        plan = plan_of(lambda: step(v, w))
        return sum(kernel.label == "copy" for kernel in plan.kernels)

    assert copies(lambda v, w: v.assign(v * 0.9 - w)) == 0
    assert copies(lambda v, w: v.assign(w @ gl.ones((30, 30)))) == 0
    assert copies(lean) == 1
    assert copies(lambda v, w: v.assign(v[::-1] + w)) == 1
    assert copies(lambda v, w: v.assign(v @ gl.ones((30, 30)))) == 1


# --- outputs ------------------------------------------------------------------------------------


def test_outputs_of_every_origin():
    v = Variable(np.arange(3.0, dtype=np.float32))

    def function(x, y):
        z = gl.exp(x)
        old = v.read()
        v.assign(old + 1)
        return [z, z, x, x, y, z[:2], z.T, gl.tensor([1.0, 2.0]), 2.5, True, old, v, old[::-1],
                gl.sum(z), gl.broadcast_to(y, (2, 3))]  # fmt: skip

    graph = trace(function, Spec((3, 4)), Spec((3,), np.int64))
    x = rng.normal(size=(3, 4)).astype(np.float32)
    _, (outputs, _) = assert_same(graph, [x, np.arange(3)], state_of(graph), rtol=1e-6)
    assert len({x.ctypes.data for x in outputs}) == len(outputs)


def test_single_numbers_are_arrays():
    graph = trace(lambda x: (gl.sum(x), x[1] > 0, x[0]), Spec((3,)))
    _, (outputs, _) = assert_same(graph, [np.arange(3, dtype=np.float32)])
    assert [x.shape for x in outputs] == [()] * 3
    assert [x.dtype for x in outputs] == [np.float32, np.bool_, np.float32]


def test_nothing_to_do():
    assert NativeProgram(trace(lambda x: [], Spec((3,)))).run([np.ones(3)], []) == ([], [])
    assert_same(trace(lambda x: x, Spec((0, 3))), [np.ones((0, 3), np.float32)])


# --- inputs -------------------------------------------------------------------------------------


def unaligned(x):
    raw = np.zeros(x.nbytes + 1, np.uint8)
    made = raw[1:].view(x.dtype).reshape(x.shape)
    made[...] = x
    return made


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


LIES = {
    "Fortran's order": np.asfortranarray,
    "every other": lambda x: np.repeat(np.repeat(x, 2, 0), 3, 1)[::2, ::3],
    "backwards": lambda x: x[::-1, ::-1].copy()[::-1, ::-1],
    "unaligned": unaligned,
    "read-only": read_only,
    "broadcast": lambda x: np.broadcast_to(x[:1], x.shape),
    "of other byte order": lambda x: x.astype(x.dtype.newbyteorder()),
}


@pytest.fixture(scope="module")
def wide_program():
    v = Variable(np.zeros((5, 7)), name="v")

    def function(x):
        v.assign(v * 2 + x)
        return x @ x.T, gl.sum(x, 0), x

    graph = trace(function, Spec((5, 7), "float64"))
    return NativeProgram(simplify(graph)), program(graph, "numpy")


@pytest.mark.parametrize("name", sorted(LIES))
def test_arrays_may_lie_anyhow(name, wide_program):
    ready, reference = wide_program
    x, v = (LIES[name](rng.normal(size=(5, 7))) for _ in range(2))
    before = x.copy(), v.copy()
    (found, new), (expected, reference_new) = (p.run([x], [v]) for p in (ready, reference))
    for a, b in zip((*found, *new), (*expected, *reference_new), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
        assert not np.may_share_memory(a, x)
        assert not np.may_share_memory(a, v)
    np.testing.assert_array_equal((x, v), before)


# --- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [5, -6, 2**40])
def test_an_index_out_of_range_is_an_error_and_changes_nothing(wrong):
    v = Variable(np.arange(5.0), name="v")
    data = np.array([[0], [4], [wrong], [1]])

    def step(i):
        v.assign(v + 1)
        return v[i]

    loop = Loop(trace(step, Spec((1, 1), np.int64)), [data])
    loop.run([[0], [1]], [[], []])
    np.testing.assert_array_equal(v, np.arange(5.0) + 2)
    with pytest.raises(ShapeError, match=r"index .*is out of range"):
        loop.run([[0], [2], [1]], [[]] * 3)
    np.testing.assert_array_equal(v, np.arange(5.0) + 2)
    (found,) = loop.run([[3]], [[]])  # it goes on as if nothing had been
    assert found.item() == 4.0
    compiled = gl.compile(lambda i: gl.index(v, i))
    with pytest.raises(ShapeError, match=r"index .*is out of range"):
        compiled(np.array([wrong]))
    with pytest.raises(ShapeError, match="index"):
        gl.compile(lambda i: gl.index(v, i), executor="numpy")(np.array([wrong]))


CUBE = Op(
    "cube",
    forward=lambda xp, x: x * x * x,
    infer=elementwise_shape,
    vjps=(lambda g, y, x: g * 3 * x * x,),
    formula="x³",
    derivatives=("3x²",),
)


def test_a_row_of_the_user_s_own_gives_both_ways_out():
    def function(x):
        return apply(CUBE, (as_tensor(x),)) + 1

    message = "no rule for the op 'cube': give the Op composed=.*numpy"
    with pytest.raises(ArgumentError, match=message):
        gl.compile(function)(np.ones(3, np.float32))
    assert gl.compile(function, executor="numpy")(2.0).item() == 9.0


def test_a_row_with_a_built_in_s_name_is_not_taken_for_it():
    impostor = Op("exp", CUBE.forward, CUBE.infer, CUBE.vjps, CUBE.formula)
    with pytest.raises(ArgumentError, match="no rule for the op 'exp'"):
        NativeProgram(trace(lambda x: apply(impostor, (x,)), Spec((3,))))


def test_a_wrong_number_of_threads_is_an_error(monkeypatch):
    monkeypatch.setenv("GRADLAB_THREADS", "many")
    with pytest.raises(ArgumentError, match="GRADLAB_THREADS='many'"):
        gl.compile(lambda x: x + 1)(1.0)


# --- several Python threads ---------------------------------------------------------------------


def counting_loop(shape=(64, 64), updates=300):
    """A training whose every number is a whole one, and what it gives."""
    v = Variable(np.zeros(shape), name="v")

    def step(x, rate):
        v.assign(gl.remainder(v + rate * gl.sum(x) + gl.sum(v, 0), 1024.0))
        return gl.max(v)

    data = np.random.default_rng(1).integers(0, 9, (10, 3)).astype(float)
    graph = simplify(trace(step, Spec((4, 3), "float64"), Spec((), np.float64)))
    rows = np.random.default_rng(2).integers(0, 10, (updates, 4))
    return graph, v, data, rows


@pytest.mark.parametrize("threads", [1, 2])
def test_two_python_threads_call_one_program_at_once(threads, monkeypatch):
    monkeypatch.setattr(compiler, "WORTH_SHARING", 0)
    monkeypatch.setenv("GRADLAB_CACHE", "off")
    graph, v, data, rows = counting_loop()
    ready = NativeProgram(graph, 1, threads=threads)

    def run(rate):
        state = {v: np.full(v.shape, rate)}
        emitted, new = ready.updates([data], rows, [np.full(len(rows), rate)], state)
        return emitted[0].tobytes() + new[v].tobytes()

    expected = {rate: run(rate) for rate in (1.0, 2.0, 3.0)}
    wrong = []

    def work(rate):
        wrong.extend(rate for _ in range(6) if run(rate) != expected[rate])

    callers = [threading.Thread(target=work, args=(rate,)) for rate in expected]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(timeout=60)
    assert not any(caller.is_alive() for caller in callers)
    assert not wrong
    assert len(set(expected.values())) == 3
    assert len(ready._arenas) <= 3


def test_python_goes_on_while_a_program_runs():
    """It sees the state of a program change that holds no lock of Python's."""
    graph, v, data, rows = counting_loop(updates=100_000)
    ready = NativeProgram(graph, 1, threads=1)
    state = {v: aligned(v.shape, v.dtype)}
    state[v][:] = 0
    expected = ready.updates([data], rows, [np.ones(len(rows))], state)[1][v]
    numbers = [np.ones(len(rows))]
    call = functools.partial(ready.updates, [data], rows, numbers, state, given=frozenset({v}))
    worker = threading.Thread(target=call)
    worker.start()
    seen = set()
    while worker.is_alive():
        seen.add(float(state[v][0, 0]))
    worker.join()
    np.testing.assert_array_equal(state[v], expected)
    assert seen - {0.0, float(expected[0, 0])}


def test_sums_over_axes_without_elements():
    for shape, axis in (((2, 0), None), ((2, 0, 3), 1), ((0, 4), 0)):
        wide = gl.compile(lambda x, s=shape, a=axis: gl.sum(gl.broadcast_to(x, s), a))
        np.testing.assert_array_equal(
            wide(np.ones((1,) * len(shape), np.float32)), np.zeros(shape).sum(axis)
        )


def test_large_state_is_no_number_after_a_failed_run():
    """It was updated where it lies, and half an update must not pass for a result."""
    large = Variable(np.ones((600, 600), np.float32), name="large")

    def step(x, rows):
        large.assign(large + x[rows].sum())
        return x.sum()

    loop = Loop(
        trace(step, Spec((2, 3)), Spec((2,), np.int64)),
        [np.ones((4, 3), np.float32), np.array([0, 1, 7, 0])],
    )
    loop.run([[0, 1]], np.zeros((1, 0)))
    assert np.isfinite(large.numpy()).all()
    with pytest.raises(ShapeError, match="index"):
        loop.run([[0, 1], [2, 3]], np.zeros((2, 0)))
    assert np.isnan(large.numpy()).all()


def test_rows_of_the_user_s_own_are_composed_of_others_and_keep_their_derivative():
    cubed = dataclasses.replace(CUBE, composed=lambda x: x * x * x)

    def share(xp, x):  # built of a user's row, and of one that is written out itself
        return xp.exp(x**3 - xp.logaddexp.reduce(x**3))

    SHARE = Op(
        "share_of_cubes",
        forward=share,
        infer=elementwise_shape,
        vjps=(lambda g, y, x: 7 * g,),
        formula="softmax x³",
        composed=lambda x: gl.exp(gl.log_softmax(apply(cubed, (x,)), 0)),
    )

    def function(x):
        with gl.GradientTape() as tape:
            tape.watch(x)
            y = apply(SHARE, (x,))
        return y, tape.gradient(y, x)

    x = gl.tensor([0.5, -1.0, 1.5])
    for found, expected in zip(gl.compile(function)(x), function(x), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6)
