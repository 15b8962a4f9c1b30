"""Checkpoints: gradients as without, what is computed again, and memory that falls."""

import copy
import math
import tracemalloc
import weakref

import numpy as np
import pytest

import gradlab as gl
from gradlab import nn
from gradlab.errors import ArgumentError, GradientError
from gradlab.execute import NumpyProgram
from gradlab.execute.native.compiler import make_plan
from gradlab.execute.native.emit.scalar import ELEMENTWISE
from gradlab.execute.native.emit.special import SPECIALS
from gradlab.execute.native.explain import memory, short
from gradlab.execute.native.fuse import Fusion
from gradlab.execute.native.lower import lower
from gradlab.execute.native.schedule import LARGE
from gradlab.execute.simplify import simplify
from gradlab.graph import RandomStream, Spec, Variable, trace
from gradlab.graph.tensor import active


def same(function):
    """``checkpoint`` left out."""
    return function


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


class Block:
    """A part of a model with all that may occur: parameters, noise, a statistic, a flag."""

    def __init__(self, width=3):
        self.weight = Variable(normal(0, width, width), name="weight")
        self.shift = Variable(np.ones(width), name="shift")
        self.mean = Variable(np.zeros(width), trainable=False)
        self.stream = RandomStream(1)
        self.calls = 0

    def __call__(self, x, scale=1.0):
        self.calls += 1
        h = gl.tanh(x @ self.weight * scale) + self.shift
        self.mean.assign(0.9 * self.mean + 0.1 * h.mean(0))
        mask = gl.greater(self.stream.uniform(h.shape), 0.3)
        return h * gl.astype(mask, h.dtype) - gl.stop_gradient(self.mean)

    def state(self):
        return [v.held.value.copy() for v in (self.mean, self.stream.key, self.stream.count)]


def gradients(wrap, executor=None, function=None):
    """Loss, gradients and what was assigned, of two blocks of which each is wrapped."""
    blocks = [Block(), Block()]
    weights = [v for block in blocks for v in (block.weight, block.shift)]

    def update(x):
        with gl.GradientTape() as tape:
            h = gl.as_tensor(x) * 1.0
            for block in blocks:
                h = wrap(block)(h, scale=0.5)
            loss = (h * h).sum()
        return [loss, *tape.gradient(loss, weights)]

    if executor is not None:
        update = gl.compile(update, executor)
    found = [g.numpy() for _ in range(2) for g in update(normal(1, 4, 3))]
    return found + [x for block in blocks for x in block.state()]


def test_values_gradients_and_what_is_assigned_are_those_without_it():
    for found, expected in zip(gradients(gl.checkpoint), gradients(same), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("executor", ["numpy", "native"])
def test_compiled_as_without_it(executor):
    found, expected = gradients(gl.checkpoint, executor), gradients(same)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-14)


def test_the_function_runs_again_in_the_backward_sweep_alone():
    block = Block()
    with gl.GradientTape() as tape:
        loss = gl.checkpoint(block)(normal(0, 2, 3)).sum()
    assert block.calls == 1
    tape.gradient(loss, [block.weight, block.shift])
    assert block.calls == 2
    gl.checkpoint(block)(normal(0, 2, 3))  # no tape, nothing to keep
    assert block.calls == 3


def test_nests_of_arguments_and_results_and_tensors_from_around():
    around = gl.tensor([3.0, 4.0])

    def function(pair, scale, *, more):
        x, y = pair
        return {"a": (x * around * scale, y + around), "n": 7, "none": None, "b": [more * x]}

    def loss(wrap, x, y, more):
        out = wrap(function)((x, y), 2, more=more)
        assert out["n"] == 7
        assert out["none"] is None
        return (out["a"][0] * out["b"][0]).sum() + (out["a"][1] ** 3).sum()

    found = []
    for wrap in (gl.checkpoint, same):
        sources = [gl.tensor([0.5, 1.5]), gl.tensor([2.0, 1.0]), gl.tensor([1.0, 5.0]), around]
        with gl.GradientTape() as tape:
            tape.watch(sources)
            value = loss(wrap, *sources[:3])
        found.append([value, *tape.gradient(value, sources)])
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("executor", [None, "numpy"])
def test_a_tensor_that_is_argument_and_surroundings(executor):
    """Also twice the same argument, and an output that is an input."""

    def slope(x):
        def loss(x):
            y, same_again = gl.checkpoint(lambda a, b: (a * b * x, x))(x, x)
            return (y + same_again).sum()

        return gl.grad(loss)(x)

    if executor:
        slope = gl.compile(slope, executor)
    np.testing.assert_allclose(slope(gl.tensor([2.0, 3.0])), [13.0, 28.0])  # 3x² + 1


def test_nested():
    calls = []

    def inner(x):
        calls.append("inner")
        return gl.sin(gl.exp(x))

    def outer(x):
        calls.append("outer")
        return gl.checkpoint(inner)(gl.checkpoint(inner)(x) * 2)

    x = gl.tensor([0.1, 0.2], "float64")
    found = gl.grad(lambda x: gl.checkpoint(outer)(x).sum())(x)
    # forward; outer again; and in its sweep each inner one again
    assert (calls.count("outer"), calls.count("inner")) == (2, 6)
    expected = gl.grad(lambda x: inner(inner(x) * 2).sum())(x)
    np.testing.assert_array_equal(found, expected)
    compiled = gl.compile(gl.grad(lambda x: gl.checkpoint(outer)(x).sum()), "numpy")
    np.testing.assert_array_equal(compiled(x), expected)


def quartic(x, w):
    return gl.tanh(x * w) * x * x + gl.exp(w * 0.1)


def test_derivatives_of_higher_order():
    args = [normal(0, 3), normal(1, 3)]
    gl.check_grads(gl.checkpoint(quartic), args)

    def derivatives(wrap):
        yield from gl.hvp(lambda *a: wrap(quartic)(*a).sum(), args, args)
        yield from gl.jvp(wrap(quartic), args, args)
        yield gl.hessian(lambda x: wrap(quartic)(x, 0.5).sum())(args[0])

    for found, expected in zip(derivatives(gl.checkpoint), derivatives(same), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("executor", [None, "numpy", "native"])
def test_second_derivatives_by_variables(executor):
    """In a trace the reading of a Variable that is put off is no second reading of it."""
    w = Variable(normal(0, 3), name="w")

    def curvature(x, wrap):
        with gl.GradientTape() as outer:
            with gl.GradientTape() as inner:
                loss = wrap(lambda x: quartic(x, w.read()).sum())(x)
            g = inner.gradient(loss, w)
            steepness = (g * g).sum()
        return outer.gradient(steepness, w)

    def checkpointed(x):
        return curvature(x, gl.checkpoint)

    if executor:
        checkpointed = gl.compile(checkpointed, executor)
    x = gl.tensor(normal(1, 3))
    np.testing.assert_allclose(checkpointed(x), curvature(x, same), rtol=1e-12)


def test_a_persistent_tape_can_be_asked_again():
    with gl.GradientTape(persistent=True) as tape:
        x = gl.tensor([1.0, 2.0])
        tape.watch(x)
        y = gl.checkpoint(lambda x: x**3)(x)
    for _ in range(2):
        np.testing.assert_array_equal(tape.gradient(y, x), [3, 12])
    np.testing.assert_array_equal(tape.jacobian(y, x), np.diag([3, 12]))


def test_a_trace_can_be_replayed_under_a_tape():
    """The replay has all operations in one row, and no checkpoint."""
    x = gl.tensor([0.5, 1.0])

    def value(x):
        with gl.GradientTape() as tape:
            tape.watch(x)
            return gl.checkpoint(lambda x: x**3)(x)

    found = gl.grad(lambda x: trace(value, x).replay(x).sum())(x)
    np.testing.assert_allclose(found, 3 * x.numpy() ** 2, rtol=1e-6)


def test_whole_numbers_that_descend_from_a_source():
    pick = gl.checkpoint(lambda x, i: gl.take(x, i) ** 2)
    found = gl.grad(lambda x: pick(x, gl.argmax(x)))([1.0, 3.0, 2.0])
    np.testing.assert_array_equal(found, [0, 6, 0])


@pytest.mark.parametrize("executor", [None, "numpy"])
def test_python_numbers_stay_weak(executor):
    x = gl.tensor([1.0, 2.0], "float32")

    def slope(s):
        with gl.GradientTape() as tape:
            tape.watch(s)
            inside = gl.checkpoint(lambda s: s * x)(s)
            outside = gl.checkpoint(lambda s: s * 2)(s) * x
            both = inside**2 + outside
        assert inside.dtype == outside.dtype == np.float32
        return tape.gradient(both, s)

    if executor:
        slope = gl.compile(slope, executor)
    assert slope(gl.as_tensor(0.5)).item() == 11.0


def test_a_variable_made_inside():
    def function(x):
        total = Variable(0.0, trainable=False)
        total.assign(x.sum())
        return x * total

    found = gl.grad(lambda x: gl.checkpoint(function)(x).sum())([1.0, 2.0])
    np.testing.assert_array_equal(found, [3.0, 3.0])


def test_what_does_not_depend_is_told():
    w = Variable([2.0], name="w")
    with gl.GradientTape(persistent=True) as tape:
        x = gl.tensor([1.0])
        tape.watch(x)
        y, z = gl.checkpoint(lambda x: (x * gl.stop_gradient(w), w * 2))(x)
    with pytest.raises(GradientError, match="does not depend on w"):
        tape.gradient(y, w)
    assert tape.gradient(z, x, unconnected="none") is None
    np.testing.assert_array_equal(tape.gradient([y, z], w), [2.0])


def test_arguments_that_change_before_the_backward_sweep():
    w, array, nest = Variable([2.0, 3.0]), np.array([1.0, 2.0]), [1.0]
    with gl.GradientTape() as tape:
        y = gl.checkpoint(lambda x, nest: x * w * len(nest))(array, nest).sum()
    array[:] = 0
    nest.append(2.0)
    np.testing.assert_array_equal(tape.gradient(y, w), [1.0, 2.0])


def test_another_mode_in_the_backward_sweep_is_refused():
    layer = nn.Dropout(0.5)
    with gl.GradientTape() as tape:
        x = gl.tensor(np.ones(4))
        tape.watch(x)
        y = gl.checkpoint(layer.forward)(x).sum()
    layer.eval()
    with pytest.raises(GradientError, match=r"checkpointed forward does something else .* mode"):
        tape.gradient(y, x)
    layer.train()
    assert set(tape.gradient(y, x).numpy()) <= {0.0, 2.0}


def test_a_parameter_that_is_assigned_and_read_is_refused():
    w = Variable([1.0], name="w")

    def function(x):
        w.assign(x)
        return w * x

    with gl.GradientTape(), pytest.raises(GradientError, match="w is assigned and then read"):
        gl.checkpoint(function)(gl.tensor([1.0]))
    assert (active.trace, active.tapes) == (None, [])
    np.testing.assert_array_equal(w, [1.0])


def test_a_mode_set_in_a_trace_is_no_reason_to_record_anew():
    layer = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))

    def evaluate(x):
        layer.eval()
        with gl.GradientTape() as tape:
            tape.watch(x)
            y = gl.checkpoint(layer)(x).sum()
        layer.train()
        return tape.gradient(y, x)

    evaluate = gl.compile(evaluate, "numpy")
    for _ in range(2):
        evaluate(np.ones((1, 2), np.float32))
    assert "1 program of" in repr(evaluate)


def test_a_compiled_function_notices_another_mode():
    layer = nn.Dropout(0.5)
    slope = gl.compile(gl.grad(lambda x: gl.checkpoint(layer)(x).sum()), "numpy")
    x = np.ones(8, np.float32)
    assert slope(x).numpy().min() == 0
    layer.eval()
    np.testing.assert_array_equal(slope(x), x)


# --- memory ---------------------------------------------------------------------------------------


class Chain:
    """Layers tanh(h W), in segments of some of them; an activation has ``activation`` bytes."""

    def __init__(self, layers, segment=None, batch=256, width=8):
        self.weights = [Variable(normal(i, width, width) / np.sqrt(width)) for i in range(layers)]
        self.segment = segment
        self.x = gl.tensor(normal(0, batch, width))
        self.activation = self.x.value.nbytes

    def loss(self, x):
        layers, h = len(self.weights), x

        def run(h, start, count):
            for w in self.weights[start : start + count]:
                h = gl.tanh(h @ w)
            return h

        count = self.segment or layers
        wrap = gl.checkpoint if self.segment else same
        for start in range(0, layers, count):
            h = wrap(run)(h, start, count)
        return (h * h).mean()

    def update(self, x):
        with gl.GradientTape() as tape:
            loss = self.loss(x)
        for w, g in zip(self.weights, tape.gradient(loss, self.weights), strict=True):
            w.assign(w - 0.01 * g)
        return loss

    def graph(self):
        return simplify(trace(self.update, self.x))

    def activations(self, action):
        """The most activations held at a time, beyond what is held before."""
        tracemalloc.start()
        try:
            action()
            return tracemalloc.get_traced_memory()[1] / self.activation
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("layers", [16, 36, 64])
class TestMemory:
    """Of n layers in segments of √n: the inputs of the segments, and what one of them computes."""

    def test_eager(self, layers):
        """A layer of eager code holds h W, its tanh, and in the sweep the adjoints of both."""
        root = math.isqrt(layers)

        def peak(chain):
            held = chain.activations(lambda: chain.update(chain.x))
            return held - 2 * layers * chain.weights[0].held.value.nbytes / chain.activation

        assert peak(Chain(layers)) > 4 * layers
        assert peak(Chain(layers, root)) < 2 * root + 4 * root + 5

    def test_numpy(self, layers):
        """Of a layer of a segment it holds h W, for the slope of tanh, and its tanh, for W's."""
        root = math.isqrt(layers)

        def peak(chain):
            program = NumpyProgram(chain.graph())
            state = [variable.held.value for variable, _ in program.graph.captured]
            return chain.activations(lambda: program.run([chain.x.value], state))

        assert peak(Chain(layers)) > layers
        assert peak(Chain(layers, root)) < root + 2 * root + 6

    def test_native(self, layers):
        """As ``memory`` shows it; a layer holds its tanh and the derivative of that."""
        root = math.isqrt(layers)
        assert arena(Chain(layers)) > layers
        assert arena(Chain(layers, root)) < root + 2 * root + 6


def arena(chain, threads=1):
    plan = make_plan(lower(chain.graph()), 0, None, threads)
    assert plan.threads == threads
    assert f"arena: {short(plan.arena)} bytes" in memory(plan)
    return plan.arena / chain.activation


def test_memory_with_several_threads():
    """What is given back is used again after the threads have met, so some of it is idle."""
    size = {"layers": 36, "batch": 4096, "width": 16}
    idle = 2 * LARGE / Chain(**size).activation
    assert arena(Chain(**size), 2) > 36
    assert arena(Chain(**size, segment=6), 2) < 6 + 2 * 6 + 6 + idle


def test_a_tape_that_has_answered_holds_nothing():
    block, seen = Block(), []

    def function(x):
        h = x * 2
        seen.append(weakref.ref(h))
        return block(h)

    x = gl.tensor(normal(0, 2, 3))
    with gl.GradientTape() as tape:
        tape.watch(x)
        loss = gl.checkpoint(function)(x * 1).sum()
    assert seen[0]() is None
    tape.gradient(loss, x)
    assert [ref() for ref in seen] == [None, None]


def test_nothing_is_merged_with_the_second_computation():
    """Not even masks and other things that depend on no argument."""
    stream = RandomStream(0)

    def function(h):
        return gl.exp(h * stream.uniform(h.shape))

    def update(x):
        return gl.grad(lambda x: (gl.checkpoint(function)(x) ** 2).sum())(x)

    names = [node.op.name for node in simplify(trace(update, Spec((3,)))).nodes]
    assert (names.count("random_uniform"), names.count("exp")) == (2, 2)
    assert not {"checkpoint", "checkpointed"} & set(names)


@pytest.mark.parametrize("threads", [1, 2])
def test_native_code_waits_for_the_adjoint(threads):
    """In loop nests, which would rather be fused, and where other kernels need more memory."""

    def elementwise(x):
        def loss(x):
            for _ in range(3):
                x = gl.checkpoint(lambda h: gl.tanh(gl.sin(h.mT)))(x)
            return x.sum()

        return gl.grad(loss)(x)

    narrow, wide = Variable(normal(0, 4, 4)), Variable(normal(1, 4, 64))

    def widening(x):
        with gl.GradientTape() as tape:
            h = gl.checkpoint(lambda h: gl.tanh(gl.tanh(h @ narrow) @ narrow))(x)
            h = gl.checkpoint(lambda h: gl.tanh(h @ wide))(h)
            loss = (h * h).sum()
        return tape.gradient(loss, [narrow, wide])

    for function in (elementwise, widening):
        graph = simplify(trace(function, Spec((4096, 4), np.float64)))
        fusion = Fusion(graph, ELEMENTWISE, frozenset(SPECIALS))
        waits = [(number, fusion.waits(group)) for number, group in enumerate(fusion.groups)]
        assert any(before for _, before in waits)
        assert all(max(before) < number for number, before in waits if before)
        kernels = make_plan(graph, 0, None, threads).kernels
        for number, kernel in enumerate(kernels):
            assert all(kernels.index(earlier) < number for earlier in kernel.after)


# --- modules --------------------------------------------------------------------------------------


def model(wrap=same):
    blocks = [nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.3), nn.Tanh()) for _ in range(3)]
    made = nn.Sequential(*map(wrap, blocks), nn.Linear(4, 1)).reseed(0)
    for i, parameter in enumerate(made.parameters()):
        parameter.assign(normal(i, *parameter.shape))
    return made


def test_a_module_keeps_its_names_and_modes():
    plain, wrapped = model(), model(nn.Checkpoint)
    assert list(wrapped.named_variables()) == list(plain.named_variables())
    wrapped.load_state_dict(plain.state_dict())
    assert not wrapped.eval()[0].body.training
    assert not wrapped[0].training
    assert wrapped.train()[0].body[1].training
    body = nn.Linear(2, 2)
    assert nn.Checkpoint(body).weight is body.weight
    with pytest.raises(ArgumentError, match=r"Checkpoint takes a module such as .* got 3"):
        nn.Checkpoint(3)


def test_a_copy_of_a_module_is_one_of_its_own():
    first = model(nn.Checkpoint)
    second = copy.deepcopy(first)
    x = np.ones((2, 4), np.float32)
    second[0].eval()
    assert first[0].training
    assert not second[0].body.training
    second.parameters()[0].assign(np.zeros((4, 4)))
    assert not np.array_equal(first.eval()(x), second.eval()(x))


@pytest.mark.parametrize("executor", ["numpy", "native"])
def test_a_training_of_checkpointed_modules(executor):
    """With dropout; the same losses as without."""
    x, y = normal(0, 32, 4).astype(np.float32), normal(1, 32, 1).astype(np.float32)
    losses = []
    for wrap in (same, nn.Checkpoint):
        trainer = gl.Trainer(
            model(wrap), x, y, nn.mse_loss, gl.optim.SGD(0.01), batch_size=8, executor=executor
        )
        losses.append(trainer.advance(6).loss)
    np.testing.assert_allclose(*losses, rtol=1e-5)
