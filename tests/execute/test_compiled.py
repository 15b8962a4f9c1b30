"""compile: the same bits as eager code, traced once for each kind of arguments."""

import functools
from collections import namedtuple
from enum import IntEnum
from types import SimpleNamespace

import numpy as np
import pytest

import gradlab as gl
from gradlab.errors import ArgumentError, TraceError
from gradlab.execute import Compiled, compiled, program
from gradlab.graph import Spec, trace
from gradlab.graph.trace import guard

# The bits of eager code are the numpy executor's; what is traced and kept is every executor's.
compile = functools.partial(gl.compile, executor="numpy")

# --- when it is traced ------------------------------------------------------------------------


def counted(function):
    """Also counts how often the Python code ran."""
    calls = []

    def wrapper(*args, **options):
        calls.append(args)
        return function(*args, **options)

    return compile(wrapper), calls


def test_another_number_shape_or_dtype():
    fast, calls = counted(lambda x, rate: x * rate)
    x = np.ones(3, np.float32)
    for rate in (0.1, 0.2, 0.3):
        np.testing.assert_array_equal(fast(x, rate), x * rate)
    assert len(calls) == 1  # a number is an input
    fast(x, 2)
    assert len(calls) == 2  # a whole one is of another kind
    fast(np.ones(4, np.float32), 0.1)
    fast(x.astype(float), 0.1)
    assert len(calls) == 4
    fast(x, 0.9)
    fast(gl.tensor(x), 0.9)
    assert len(calls) == 4
    assert fast(x, gl.tensor(0.5)).dtype == np.float32
    assert len(calls) == 5  # a tensor is no Python number
    assert fast(x, 0.5).dtype == np.float32
    assert fast(x, np.float64(0.5)).dtype == np.float64  # nor is a number of NumPy's


def test_text_none_flags_and_the_form_of_nests_are_fixed():
    def function(how, nest, last):
        assert last is None or type(last) is bool
        both = gl.add(*nest) if how == "add" else gl.multiply(*nest)
        return -both if last else both

    fast, calls = counted(function)
    two, three = np.float32(2), np.float32(3)
    assert fast("add", [two, three], None).item() == 5
    assert fast("multiply", [two, three], None).item() == 6
    assert fast("add", (two, two), None).item() == 4
    assert fast("add", [three, three], None).item() == 6
    assert len(calls) == 3
    assert fast("add", [two, three], True).item() == -5
    assert fast("add", [two, three], False).item() == 5
    assert len(calls) == 5


def test_a_list_of_plain_numbers_is_one_array():
    fast, calls = counted(lambda x, parts: gl.sum(x) * gl.max(parts["weights"]))
    assert fast([[1.0, 2.0], [3.0, 4.0]], {"weights": [0.5, 2.0]}).item() == 20
    assert fast([[1.0, 2.0], [3.0, 5.0]], {"weights": (3.0, 2.0)}).item() == 33
    assert len(calls) == 1
    assert fast([[1.0, 2.0]], {"weights": [1.0, 2.0]}).item() == 6
    assert len(calls) == 2


def test_named_tuples_and_empty_lists_keep_their_form():
    point = namedtuple("point", "x y")
    fast = compile(lambda p, more: 10 * p.x + p.y if not more else p)
    assert fast(point(1.0, 2.0), []).item() == 12


def test_arguments_by_name():
    fast, calls = counted(lambda x, scale=1.0, negate=False: -x * scale if negate else x * scale)
    x = np.ones(2, np.float32)
    np.testing.assert_array_equal(fast(x, scale=3.0), [3, 3])
    np.testing.assert_array_equal(fast(x, scale=4.0), [4, 4])
    assert len(calls) == 1  # a number is an input, by name too
    np.testing.assert_array_equal(fast(x, scale=3.0, negate=True), [-3, -3])
    np.testing.assert_array_equal(fast(x, negate=True, scale=4.0), [-4, -4])
    np.testing.assert_array_equal(fast(x), [1, 1])
    assert len(calls) == 3
    assert fast.graph(x, negate=True, scale=4.0).nodes[0].op.name == "negative"
    assert gl.grad(lambda x: fast(x, scale=3.0))(2.0).item() == 3  # under a tape


def test_variables_and_objects_are_fixed_each_for_itself():
    def double(w, by):
        w.assign(w * by.factor)

    by, again = SimpleNamespace(factor=2.0), SimpleNamespace(factor=3.0)
    fast, calls = counted(double)
    a, b = gl.Variable([1.0, 2.0]), gl.Variable([1.0, 2.0])  # equal, but not the same
    for w in (a, b, a, b):
        fast(w, by)
    np.testing.assert_array_equal(a, [4, 8])
    np.testing.assert_array_equal(b, [4, 8])
    assert len(calls) == 2
    fast(a, again)  # unhashable, and told apart nevertheless
    np.testing.assert_array_equal(a, [12, 24])
    assert len(calls) == 3


def test_functions_and_values_are_fixed_by_value():
    fast, calls = counted(lambda x, function, optimizer: function(x) * optimizer.lr)
    assert fast(2.0, gl.square, gl.optim.SGD(3.0)).item() == 12
    assert fast(3.0, gl.square, gl.optim.SGD(3.0)).item() == 27
    assert len(calls) == 1
    assert fast(2.0, gl.sqrt, gl.optim.SGD(3.0)).item() == pytest.approx(18**0.5)
    assert fast(2.0, gl.square, gl.optim.SGD(2.0)).item() == 8
    assert len(calls) == 3


def test_values_that_are_equal_but_of_another_type_are_others():
    class Level(IntEnum):
        ONE = 1

    fast = compile(lambda x, level: x if level is True else -x)
    assert fast(1.0, True).item() == 1
    assert fast(1.0, Level.ONE).item() == -1


def test_methods_can_be_compiled():
    class Scale:
        calls = 0

        def __init__(self, by):
            self.by = gl.Variable(by)

        @compile
        def apply(self, x, offset=0.0):
            """Of x."""
            Scale.calls += 1
            return self.by * x + offset

    two, three = Scale(2.0), Scale(3.0)
    assert [two.apply(1.0), three.apply(1.0), two.apply(5.0, offset=1.0)] == [2, 3, 11]
    assert [two.apply(2.0), three.apply(2.0)] == [4, 6]
    assert Scale.calls == 3
    assert isinstance(Scale.apply, Compiled)
    assert two.apply.__doc__ == "Of x."


# --- what else a recording depends on ---------------------------------------------------------


def test_recorded_again_when_what_was_read_has_changed():
    mode = {"training": True}
    fast, calls = counted(lambda x: 2 * x if guard(lambda: mode["training"]) else x)
    for training, x, expected in [
        (True, 1.0, 2),
        (False, 1.0, 1),
        (True, 5.0, 10),
        (False, 2.0, 2),
    ]:
        mode["training"] = training
        assert fast(x).item() == expected
    assert len(calls) == 2  # both programs are kept


def test_recorded_again_when_the_default_dtype_has_changed():
    fast, calls = counted(lambda x: gl.tensor([0.1]) * x)
    assert fast(1.0).dtype == np.float32
    gl.set_default_dtype("float64")
    try:
        assert fast(1.0).dtype == np.float64
    finally:
        gl.set_default_dtype("float32")
    assert fast(1.0).dtype == np.float32
    assert len(calls) == 2


def test_recorded_again_when_a_variable_is_frozen():
    w, b = gl.Variable(1.0), gl.Variable(1.0)

    @compile
    def slopes():
        with gl.GradientTape() as tape:
            y = w * 2 + b * 3
        return tape.gradient(y, [w, b], unconnected="zero")

    assert [g.item() for g in slopes()] == [2, 3]
    b.trainable = False
    assert [g.item() for g in slopes()] == [2, 0]
    b.trainable = True
    assert [g.item() for g in slopes()] == [2, 3]


def test_guards_of_a_trace_within_hold_for_the_outer_one():
    mode = {"training": True}

    def inner(x):
        return 2 * x if guard(lambda: mode["training"]) else x

    fast = compile(lambda x: trace(inner, Spec()).replay(x))
    assert fast(1.0).item() == 2
    mode["training"] = False
    assert fast(1.0).item() == 1


def test_programs_of_one_kind_are_forgotten_too(monkeypatch):
    monkeypatch.setattr(compiled, "CACHE_SIZE", 3)
    count = [0]
    fast = compile(lambda x: x * guard(lambda: count[0]))
    for n in range(10):
        count[0] = n
        assert fast(1.0).item() == n
    assert repr(fast).endswith(": 3 programs of executor 'numpy'>")


def test_a_variable_made_in_the_function_is_not_assigned_there():
    def make():
        total = gl.Variable(0.0, name="total")
        total.assign(total + 1.0)
        return total.read()

    assert make().item() == 1
    with pytest.raises(TraceError, match=r"total of shape \(\).*create it outside"):
        compile(make)()
    with pytest.raises(TraceError, match="create it outside"):
        compile(lambda: gl.RandomStream().uniform((2,)))()
    made = []
    within = compile(lambda: [trace(lambda: made.append(gl.Variable(1.0))), made[0].assign(2.0)])
    with pytest.raises(TraceError, match="create it outside"):
        within()
    constant = compile(lambda x: gl.Variable([2.0]) * x)  # one that only holds numbers may be
    assert [constant(1.0).item(), constant(2.0).item()] == [2, 4]


def test_programs_used_longest_ago_are_forgotten(monkeypatch):
    monkeypatch.setattr(compiled, "CACHE_SIZE", 3)
    fast, calls = counted(lambda x: x * 2)
    for n in (1, 2, 3, 1, 4):  # 2 was used longest ago when 4 comes
        fast(np.ones(n))
    assert len(calls) == 4
    fast(np.ones(1))
    fast(np.ones(3))
    assert len(calls) == 4
    fast(np.ones(2))
    assert len(calls) == 5


def test_within_a_trace_or_under_a_tape_the_function_itself_runs():
    inner, calls = counted(lambda x: x * x)
    assert gl.grad(inner)(3.0).item() == 6
    graph = trace(lambda x: inner(x) + 1, Spec())
    assert [node.op.name for node in graph.nodes] == ["multiply", "add"]
    assert len(calls) == 2


# --- state ------------------------------------------------------------------------------------


def test_variables_are_read_and_assigned_at_every_call():
    w, count = gl.Variable([1.0, 2.0]), gl.Variable(0, trainable=False)

    @compile
    def step(x):
        w.assign(w * x)
        count.assign(count + 1)
        return w.sum()

    assert step(2.0).item() == 6
    assert step(2.0).item() == 12
    w.assign([1.0, 1.0])  # from outside
    assert step(3.0).item() == 6
    assert int(count) == 3
    assert w.dtype == np.float32


def test_variables_may_change_places():
    a, b = gl.Variable(1.0), gl.Variable(2.0)

    @compile
    def swap():
        first = a.read()
        a.assign(b)
        b.assign(first)

    assert swap() is None
    assert (float(a), float(b)) == (2, 1)


def test_a_training_step_as_in_the_lecture():
    def train(make):
        w = gl.Variable(np.array([1.0, -1.0]))

        def step(x, y, rate):
            with gl.GradientTape() as tape:
                loss = gl.mean((x @ w - y) ** 2)
            w.assign(w - rate * tape.gradient(loss, w))
            return loss

        run = make(step)
        x = np.random.default_rng(0).normal(size=(8, 2))
        losses = [run(x, x.sum(1), 0.1 / (1 + i)).item() for i in range(10)]
        return losses, w.numpy()

    eager, fast = train(lambda step: step), train(compile)
    assert eager[0] == fast[0]
    assert eager[0][-1] < eager[0][0] / 2
    np.testing.assert_array_equal(eager[1], fast[1])


@pytest.mark.parametrize("executor", ["numpy", "native"])
@pytest.mark.parametrize(
    "view",
    [
        lambda x: x,
        gl.identity,
        lambda x: x.reshape((3, 2)),
        lambda x: x.T,
        lambda x: x[0],
        lambda x: x[:, ::-1],
        lambda x: gl.broadcast_to(x, (2, *x.shape)),
    ],
)
def test_what_is_kept_or_returned_is_no_view_of_the_callers_arrays(view, executor):
    """Whatever keeps the array that the caller may write to again: it is copied as it comes in."""
    arrays = [
        np.ones((2, 3), np.float32),
        np.ones((3, 2), np.float32).T,
        np.ones((4, 6), np.float32)[::2, ::2],
    ]
    for batch in arrays:
        last = gl.Variable(np.zeros(view(gl.as_tensor(batch)).shape, np.float32))

        def keep(x, last=last):
            last.assign(view(x))
            return view(x)

        returned = gl.compile(keep, executor)(batch)
        batch[:] = 9
        assert (last.numpy() == 1).all()
        assert (returned.numpy() == 1).all()


def test_a_weak_result_stays_weak():
    half = compile(lambda rate: rate / 2)(0.2)
    assert (gl.tensor([1.0]) * half).dtype == np.float32


def test_a_diverging_run_shows_it_without_a_warning():
    assert np.isnan(compile(lambda x: gl.log(x) * 0)(-1.0).item())


# --- programs ---------------------------------------------------------------------------------


def test_outputs_that_no_op_made():
    w = gl.Variable([5.0])
    graph = trace(lambda x: (x, w, gl.tensor([7.0]), 3.0), Spec((1,)))
    outputs, assigned = program(graph, "numpy").run([np.ones(1)], [w.held.value])
    assert [x.item() for x in outputs] == [1, 5, 7, 3]
    assert assigned == []


def test_memory_of_what_nothing_reads_again_is_given_back():
    def chain(x):
        for _ in range(5):
            x = x + 1
        return x

    ready = program(trace(chain, Spec((3,))), "numpy")
    freed = [slot for *_, free in ready.steps for slot in free]
    assert len(freed) == len(set(freed)) == 4  # all but the output


def test_errors():
    with pytest.raises(ArgumentError, match="unknown executor 'nump'; did you mean 'numpy'"):
        gl.compile(lambda x: x, executor="nump")
    with pytest.raises(ArgumentError, match="unknown executor"):
        program(trace(lambda x: x, Spec()), "fast")
    with pytest.raises(TraceError, match="where"):
        compile(lambda x: x if x > 0 else -x)(1.0)


def test_it_looks_like_the_function():
    def step(x):
        """Say what it does."""
        return x

    fast = compile(step)
    assert isinstance(fast, Compiled)
    assert (fast.__name__, fast.__doc__) == ("step", "Say what it does.")
    assert repr(fast) == "<compiled step: 0 programs of executor 'numpy'>"
    assert fast.graph(1.0).inputs[0].weak
    assert repr(fast) == "<compiled step: 1 program of executor 'numpy'>"
    model = gl.nn.ReLU()
    model.graph = "of its own"
    fast = compile(model)
    assert repr(fast) == "<compiled ReLU: 0 programs of executor 'numpy'>"
    assert fast.graph(1.0).nodes[-1].op.name == "relu"
