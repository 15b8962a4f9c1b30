"""Loop: the same as calling the step again and again."""

import numpy as np
import pytest

import gradlab as gl
from gradlab.errors import ArgumentError, ShapeError
from gradlab.execute import Loop
from gradlab.graph import Spec, Variable, trace

rng = np.random.default_rng(0)
X = rng.normal(size=(20, 3)).astype(np.float32)
Y = 2 * X.sum(1)
ROWS = rng.integers(0, 20, (15, 4))
RATES = 0.1 / np.arange(1, 16)


class Model:
    """Weights with momentum and noise: variables of each kind that a training carries."""

    def __init__(self):
        self.w = gl.Variable(np.ones(3, np.float32), name="w")
        self.v = gl.Variable(np.zeros(3, np.float32), trainable=False)
        self.count = gl.Variable(0, trainable=False)
        self.stream = gl.RandomStream(1)

    def step(self, x, y, rate):
        with gl.GradientTape() as tape:
            noise = self.stream.normal((4, 3)) * 0.01
            loss = gl.mean(((x + noise) @ self.w - y) ** 2)
        self.v.assign(0.9 * self.v - rate * tape.gradient(loss, self.w))
        self.w.assign(self.w + self.v)
        self.count.assign(self.count + 1)
        return loss, loss > 0.05, self.w

    def state(self):
        return [v.numpy() for v in (self.w, self.v, self.count, self.stream.count)]


def loop_of(model, **options):
    graph = trace(model.step, Spec((4, 3)), Spec((4,)), Spec(weak=True, dtype=np.float64))
    return Loop(graph, [X, Y], **options)


def same(a, b):
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y, strict=True)


def test_the_same_bits_as_the_compiled_step():
    looped, stepped = Model(), Model()
    emitted = loop_of(looped).run(ROWS, RATES[:, None])
    step = gl.compile(stepped.step)
    results = [step(X[rows], Y[rows], float(r)) for rows, r in zip(ROWS, RATES, strict=True)]
    same(emitted, [np.stack([r[i].numpy() for r in results]) for i in range(3)])
    same(looped.state(), stepped.state())
    assert int(looped.count) == 15


def test_it_can_be_cut_into_pieces():
    whole, pieces = Model(), Model()
    loop = loop_of(pieces)
    emitted = loop_of(whole).run(ROWS, RATES[:, None])
    parts = [loop.run(ROWS[a:b], RATES[a:b, None]) for a, b in [(0, 4), (4, 4), (4, 15)]]
    same(emitted, [np.concatenate(part) for part in zip(*parts, strict=True)])
    same(whole.state(), pieces.state())


def test_it_halts_after_the_first_update_whose_flag_is_false():
    free, halted = Model(), Model()
    losses, going, _ = loop_of(free).run(ROWS, RATES[:, None])
    assert not going.all()
    first = int(np.argmin(going))
    assert 0 < first < 14
    emitted = loop_of(halted, halt=1).run(ROWS, RATES[:, None])
    assert len(emitted[0]) == first + 1
    assert int(halted.count) == first + 1
    np.testing.assert_array_equal(emitted[0], losses[: first + 1])


@pytest.mark.parametrize("data", [X.astype(np.float64), (10 * X).astype(np.int64)])
def test_everything_is_computed_in_the_dtypes_of_the_graph(data):
    w = gl.Variable([0.0, 0.0, 0.0])

    def step(x, rate):
        w.assign(w + rate * x.sum(0))
        return w, rate * 2

    loop = Loop(trace(step, Spec((4, 3)), Spec(weak=True)), [data])
    emitted = loop.run(ROWS, RATES[:, None])
    assert [x.dtype for x in emitted] == [np.float32, np.float32]
    again = gl.Variable([0.0, 0.0, 0.0])
    for rows, rate in zip(ROWS, RATES, strict=True):
        again.assign(again + float(rate) * data[rows].astype(np.float32).sum(0))
    np.testing.assert_array_equal(w, again)


def test_floats_are_not_cut_to_whole_numbers():
    with pytest.raises(TypeError, match=r"data\[0\] has dtype float"):
        Loop(trace(lambda x: x, Spec((4,), np.int64)), [Y])


def test_no_updates_leave_everything_as_it_was():
    model = Model()
    emitted = loop_of(model).run(ROWS[:0], RATES[:0, None])
    assert [x.shape for x in emitted] == [(0,), (0,), (0, 3)]
    same(model.state(), Model().state())


# --- rows and numbers ---------------------------------------------------------------------------

EXECUTORS = ("native", "numpy")


BATCH, RATE = Spec((4, 3)), Spec(weak=True)


def adding_loop(executor="native", data=X, specs=(BATCH, RATE)):
    w = gl.Variable(np.zeros(3, np.float32), name="w")

    def step(x, rate):
        w.assign(w + rate * x.sum(0))
        return w

    return Loop(trace(step, *specs), data if isinstance(data, list) else [data], executor), w


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.uint16, np.int32])
def test_rows_may_be_whole_numbers_of_any_dtype(executor, dtype):
    loop, w = adding_loop(executor, np.repeat(X, 15, 0))  # more rows than an int8 can count
    loop.run(np.array([[0, 1, 2, 120]], dtype), [[1.0]])
    np.testing.assert_allclose(w, np.repeat(X, 15, 0)[[0, 1, 2, 120]].sum(0), rtol=1e-6)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("dtype", [np.int64, np.int8])
def test_negative_rows_count_from_the_end(executor, dtype):
    data = np.repeat(X, 15, 0)
    loop, w = adding_loop(executor, data)
    loop.run(np.array([[-1, -100, 0, -1]], dtype), [[1.0]])
    np.testing.assert_allclose(w, data[[-1, -100, 0, -1]].sum(0), rtol=1e-6)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_rows_may_overlap_and_lie_in_a_file(executor, tmp_path):
    np.arange(50, dtype=np.float32).tofile(tmp_path / "numbers")
    numbers = np.memmap(tmp_path / "numbers", np.float32, "r")
    windows = np.lib.stride_tricks.sliding_window_view(numbers, 3)
    for data in (windows, windows[::-2], numbers[:48].reshape(-1, 3)):
        loop, w = adding_loop(executor, data)
        assert np.shares_memory(loop.data[0], numbers)
        loop.run([[0, 1, 2, 14], [3, 3, 0, 5]], [[1.0], [10.0]])
        np.testing.assert_array_equal(
            w, data[[0, 1, 2, 14]].sum(0) + 10 * data[[3, 3, 0, 5]].sum(0)
        )


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("row", [20, -21, 2**40])
def test_rows_that_are_not_there_change_nothing(executor, row):
    loop, w = adding_loop(executor)
    with pytest.raises(gl.errors.ShapeError, match="of data with 20 rows"):
        loop.run([[0, 1, 2, 3], [0, 1, 2, row]], [[1.0]] * 2)
    assert not w.numpy().any()


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(
    "rows", [[[0, 1, 2]], [[0, 1, 2, 3, 4]], [0, 1, 2, 3], 5, [[[0, 1, 2, 3]]]]
)
def test_rows_of_another_batch_size(executor, rows):
    loop, _ = adding_loop(executor)
    with pytest.raises(gl.errors.ShapeError, match=r"give a matrix of shape \(updates, 4\)"):
        loop.run(rows, [[1.0]])


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("rows", [np.full((1, 4), 1.5), np.ones((1, 4), bool)])
def test_rows_that_are_no_whole_numbers(executor, rows):
    loop, _ = adding_loop(executor)
    with pytest.raises(gl.errors.DTypeError, match="whole numbers"):
        loop.run(rows, [[1.0]])


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("stepped", [[[1.0]], [[1.0], [2.0], [3.0]], [[1.0, 2.0]] * 2, [1.0, 2.0]])
def test_numbers_for_other_updates_or_inputs(executor, stepped):
    loop, w = adding_loop(executor)
    with pytest.raises(gl.errors.ShapeError, match="give 1 numbers for each of the 2 updates"):
        loop.run(ROWS[:2], stepped)
    assert not w.numpy().any()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_data_and_inputs_that_do_not_fit_the_graph(executor):
    wrong = [
        ("shape", {"data": X[:, :2]}),
        ("shape", {"data": X[:, 0]}),
        ("3 arrays of data", {"data": [X, X, X]}),
        ("shape", {"data": [X, X[:, 0]]}),
        ("single number", {"specs": (BATCH, Spec((3,)))}),
    ]
    for message, options in wrong:
        with pytest.raises(gl.errors.ShapeError, match=message):
            adding_loop(executor, **options)


# --- many models --------------------------------------------------------------------------------


def seeds(model, count):
    """A state of the model for each number: other weights, other random numbers."""
    for i in range(count):
        numbers = np.random.default_rng(i)
        yield {
            model.w: numbers.normal(size=3).astype(np.float32),
            model.v: np.zeros(3, np.float32),
            model.stream.key: gl.RandomStream(i).key.numpy(),
        }


def batches(count):
    """Rows and rates of each model; not all train equally long."""
    numbers = np.random.default_rng(5)
    lengths = [12 + i % 3 for i in range(count)]
    rows = [numbers.integers(0, 20, (n, 4)) for n in lengths]
    rates = [np.full((n, 1), 0.01 * (i + 1)) for i, n in enumerate(lengths)]
    return rows, rates


def one_by_one(executor, count, **options):
    found = []
    rows, rates = batches(count)
    for i in range(count):
        model = Model()
        loop = loop_of(model, executor=executor, **options)
        for variable, value in list(seeds(model, count))[i].items():
            variable.assign(gl.tensor(value))
        emitted = loop.run(rows[i], rates[i])
        found.append([*model.state(), *emitted])
    return found


def all_at_once(executor, count, **options):
    model = Model()
    before = model.state()
    loop = loop_of(model, executor=executor, **options)
    results = loop.run_many(seeds(model, count), *(iter(x) for x in batches(count)))
    same(model.state(), before)  # the Variables keep what they hold
    order = (model.w, model.v, model.count, model.stream.count)
    return [[*(new[v] for v in order), *emitted] for new, emitted in results]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_many_models_are_what_each_is_alone_bit_for_bit(executor):
    alone, together = one_by_one(executor, 7), all_at_once(executor, 7)
    assert len(together) == 7
    for x, y in zip(alone, together, strict=True):
        same(x, y)
    losses = [x[4] for x in together]
    assert [len(x) for x in losses] == [12, 13, 14, 12, 13, 14, 12]
    assert len({x.tobytes() for x in losses}) == 7


def test_executors_agree_about_many_models():
    for x, y in zip(all_at_once("native", 5), all_at_once("numpy", 5), strict=True):
        for a, b in zip(x, y, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_model_that_halts_or_diverges_is_alone_with_it(executor):
    model = Model()
    loop = loop_of(model, executor=executor, halt=1)
    rows = [ROWS] * 4
    rates = [RATES[:, None], np.full((15, 1), 1e30), RATES[:, None] * 0.5, RATES[:, None]]
    states = list(seeds(model, 4))
    states[3] = states[3] | {model.w: np.full(3, np.nan, np.float32)}
    found = loop.run_many(states, rows, rates)
    for i, (new, (losses, going, _)) in enumerate(found):
        assert going[:-1].all()
        assert len(losses) == 15 or not going[-1]
        alone = Model()
        loop = loop_of(alone, executor=executor, halt=1)
        for variable, value in zip((alone.w, alone.v, alone.stream.key), states[i].values(),
                                   strict=True):  # fmt: skip
            variable.assign(gl.tensor(value))
        same([losses], loop.run(ROWS, rates[i])[:1])
        np.testing.assert_array_equal(new[model.w], alone.w.numpy())
    assert len(found[3][1][0]) == 1  # NaN is not larger than anything
    assert not np.isfinite(found[1][0][model.w]).all() or len(found[1][1][0]) < 15
    assert np.isfinite(found[0][1][0]).all()
    assert np.isfinite(found[2][1][0]).all()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_states_are_taken_as_they_are_needed(executor):
    """A thousand models' slots need not be in memory at once."""
    loop, w = adding_loop(executor)
    results = loop.run_many(
        ({w: np.full(3, float(i))} for i in range(40)),
        (ROWS[:2] for _ in range(40)),
        (np.full((2, 1), i / 8) for i in range(40)),
    )
    moved = X[ROWS[:2].ravel()].sum(0)
    for i, (new, _) in enumerate(results):
        assert new[w].dtype == np.float32
        np.testing.assert_allclose(new[w], i + i / 8 * moved, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_what_a_state_leaves_out_the_variables_hold(executor):
    loop, w = adding_loop(executor)
    w.assign(gl.tensor([1.0, 2.0, 3.0]))
    ((new, _),) = loop.run_many([{}], [ROWS[:1]], [[[0.0]]])
    np.testing.assert_array_equal(new[w], [1.0, 2.0, 3.0])
    assert loop.run_many([], [], []) == []


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_wrong_model_among_many(executor):
    loop, w = adding_loop(executor)
    good = {w: np.zeros(3)}, ROWS[:2], [[1.0]] * 2
    stranger = gl.Variable(1.0, name="stranger")
    wrong = [
        (gl.errors.ShapeError, "shape .* w", ({w: np.zeros(4)}, *good[1:])),
        (gl.errors.ArgumentError, "stranger", ({stranger: 1.0}, *good[1:])),
        (gl.errors.ShapeError, "of data with 20 rows", (good[0], [[0, 1, 2, 20]] * 2, good[2])),
        (gl.errors.ShapeError, "for each of the 2 updates", (*good[:2], [[1.0]])),
    ]
    for error, message, bad in wrong:
        with pytest.raises(error, match=message):
            loop.run_many(*zip(good, bad, good, strict=True))
    with pytest.raises(gl.errors.ArgumentError, match="as many models"):
        loop.run_many([good[0]] * 2, [good[1]] * 3, [good[2]] * 3)
    assert not w.numpy().any()


def test_an_index_out_of_range_in_one_model_is_an_error():
    w, start = gl.Variable(np.arange(5.0)), gl.Variable(0, trainable=False)

    def step(x):
        start.assign(start + 1)
        return w[start] + x.sum()

    loop = Loop(trace(step, Spec((4, 3), "float64")), [X])
    rows, none = [ROWS[:3]] * 2, [[[]] * 3] * 2
    fine = loop.run_many([{start: 0}, {start: -6}], rows, none)
    sums = [X[r].astype(float).sum() for r in ROWS[:3]]
    np.testing.assert_allclose(fine[0][1][0] - sums, [1, 2, 3], atol=1e-5)
    np.testing.assert_allclose(fine[1][1][0] - sums, [0, 1, 2], atol=1e-5)
    with pytest.raises(gl.errors.ShapeError, match=r"index .*is out of range"):
        loop.run_many([{start: 0}, {start: -9}], rows, none)
    assert int(start) == 0


@pytest.mark.parametrize("executor", ["native", "numpy"])
def test_a_run_from_other_values_leaves_those_of_the_variables(executor):
    w = Variable(np.array([1.0, 2.0], np.float32))

    def step(x, rate):
        w.assign(w + rate * x.sum(axis=0))
        return w.sum()

    loop = Loop(trace(step, Spec((2, 2)), Spec(weak=True)), [np.ones((3, 2), np.float32)], executor)
    new, (sums,) = loop.run_from({w: [10.0, 20.0]}, [[0, 1], [1, 2]], [[1.0], [0.5]])
    assert new[w].tolist() == [13.0, 23.0]
    assert sums.tolist() == [34.0, 36.0]
    assert w.numpy().tolist() == [1.0, 2.0]
    other = loop.over([np.full((2, 2), 5.0, np.float32)])
    assert other.run_from({}, [[0, 1]], [[1.0]])[0][w].tolist() == [11.0, 12.0]
    assert loop.run_from({}, [[0, 1]], [[1.0]])[0][w].tolist() == [3.0, 4.0]
    with pytest.raises(ShapeError, match=r"data\[0\] has shape \(2, 3\)"):
        loop.over([np.ones((2, 3), np.float32)])
    with pytest.raises(ShapeError, match="2 arrays of data for a loop over 1"):
        loop.over([np.ones((2, 2), np.float32)] * 2)
    with pytest.raises(ArgumentError, match="which the graph does not use"):
        loop.run_from({Variable(0.0): 1.0}, [[0, 1]], [[1.0]])


LONG = 1 << 18
"""Elements of a Variable that is worth not copying."""


def view_of(w):
    """A part of the memory that a Variable's array lies in, and nothing more."""
    return np.asarray(memoryview(w.held.value)[:4])


def memory_of(w):
    """What a Variable's array is a part of."""
    memory = w.held.value.base
    return w.held.value if memory is None else memory


HOLDERS = {
    "tensor": lambda w: w.held,
    "array": lambda w: w.held.value,
    "numpy": lambda w: w.numpy(),
    "part": lambda w: w.held.value[:4],
    "memory": memory_of,
    "view of memory": view_of,
    "another Variable": lambda w: gl.Variable(w.held),
    "another Variable's": lambda w: assigned(gl.Variable(np.zeros(LONG, np.float32)), w),
    "computed": lambda w: gl.reshape(w.held, (-1, 4)),
}


def assigned(other, w):
    other.assign(w)
    return other


def increase(w):
    """A loop that adds 1 to a Variable, run once: the Variable's array is the executor's."""
    loop, held = Loop(trace(lambda: w.assign(w + 1) or w[:1]), []), w.held
    loop.run(np.zeros((1, 0)), [[]])
    assert w.held.value is not held.value
    return loop


def numbers(holder):
    """The array of what HOLDERS give, not a copy of it."""
    held = holder.held if isinstance(holder, gl.Variable) else holder
    return held.value if isinstance(held, gl.Tensor) else held


def place(w):
    return w.held.value.__array_interface__["data"][0]


@pytest.mark.parametrize("holder", HOLDERS)
def test_what_somebody_else_has_is_not_written_to(holder):
    w = gl.Variable(np.zeros(LONG, np.float32))
    loop = increase(w)
    other = HOLDERS[holder](w)
    before = np.array(numbers(other))
    loop.run(np.zeros((2, 0)), [[], []])
    np.testing.assert_array_equal(numbers(other), before, strict=True)
    assert w.numpy()[-1] == 3


def test_what_nobody_else_has_stays_where_it_is():
    """And so it is again once the others are gone."""
    w = gl.Variable(np.zeros(LONG, np.float32))
    loop = increase(w)
    for holder in HOLDERS.values():
        here = place(w)
        loop.run(np.zeros((1, 0)), [[]])
        assert place(w) == here
        other = holder(w)
        shared = np.may_share_memory(numbers(other), w.held.value)
        loop.run(np.zeros((1, 0)), [[]])
        assert (place(w) != here) == shared
        del other
    assert w.numpy()[-1] == 1 + 2 * len(HOLDERS)


def test_two_variables_of_one_array_are_apart():
    value = gl.tensor(np.zeros(LONG, np.float32))
    w, v = gl.Variable(0.0 * value), gl.Variable(0.0 * value)
    v.assign(w.held)

    def step():
        w.assign(w + 1)
        v.assign(v + 10 * w)
        return w[:1]

    Loop(trace(step), []).run(np.zeros((2, 0)), [[], []])
    assert (w.numpy()[0], v.numpy()[0]) == (2, 30)
