"""Random programs and their gradients: compiled for NumPy, they give the bits of eager code."""

import functools
import os
from unittest import mock

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import gradlab as gl
from tests.execute.random_programs import check_each_node
from tests.graph.samples import shape

compile = functools.partial(gl.compile, executor="numpy")

UNARY = [gl.negative, gl.square, gl.tanh, gl.abs, gl.sigmoid, gl.exp, gl.sin, gl.relu, gl.floor]
BINARY = [gl.add, gl.subtract, gl.multiply, gl.divide, gl.maximum, gl.minimum]
COMPARING = [gl.less, gl.greater_equal, gl.equal]
REDUCING = [gl.sum, gl.mean, gl.max, gl.logsumexp, gl.norm, gl.prod]
KINDS = ["float32", "float64", "int64", "int32", float, int]


def argument(rng, kind, size):
    """An array of a dtype, or a Python number."""
    if isinstance(kind, type):
        return kind(rng.integers(1, 4)) + kind(0)
    return np.asarray(rng.integers(1, 4, size) if "int" in kind else rng.normal(size=size), kind)


def random_program(seed):
    """A function of some arrays and numbers, and such arguments."""
    rng = np.random.default_rng(seed)
    size = shape(rng, int(rng.integers(0, 4)), low=1)
    kinds = [KINDS[i] for i in rng.integers(len(KINDS), size=int(rng.integers(1, 4)))]
    arguments = [argument(rng, kind, size) for kind in kinds]

    def function(*values):
        choice = np.random.default_rng(seed)
        made = [*values, gl.tensor([0.5]), 2.0]

        def pick(some):
            return some[int(choice.integers(len(some)))]

        for _ in range(8):
            kind = choice.integers(6)
            x, y = pick(made), pick(made)
            if kind == 0:
                made.append(pick(UNARY)(x))
            elif kind == 1:
                made.append(pick(REDUCING)(x, None, bool(choice.integers(2))))
            elif kind == 2:
                made.append(gl.where(pick(COMPARING)(x, y), x, y))
            elif kind == 3:
                made.append(gl.stack([gl.sum(x), y if np.ndim(y) == 0 else gl.mean(y)]))
            else:
                made.append(pick(BINARY)(x, y))
            if choice.random() < 0.1:
                made[-1] = gl.as_tensor(made[-1]).astype("float64")
            if len(made[-1].shape) and made[-1].shape not in ((1,) * made[-1].ndim, size):
                made[-1] = made[-1][(0,) * made[-1].ndim]
        return {"last": made[-1], "all": made[len(values) + 2 :]}

    return function, arguments


@settings(max_examples=300)
@given(seed=st.integers(0, 2**32 - 1))
def test_random_programs_give_the_same_bits(seed):
    function, arguments = random_program(seed)
    compiled_function = compile(function)
    with np.errstate(all="ignore"):
        eager = function(*arguments)
    fast = compiled_function(*arguments)
    for x, y in zip(eager["all"], fast["all"], strict=True):
        assert (x.dtype, x.shape, x.weak) == (y.dtype, y.shape, y.weak)
        assert x.value.tobytes() == y.value.tobytes()


def gradients_of(seed):
    """The gradients of such a program, and the arguments that have one."""
    function, arguments = random_program(seed)
    floats = [x for x in arguments if np.asarray(x).dtype.kind == "f"]

    def gradients(*xs):
        given = iter(xs)
        mixed = [next(given) if np.asarray(a).dtype.kind == "f" else a for a in arguments]
        with gl.GradientTape() as tape:
            mixed = [gl.identity(x) for x in mixed]
            sources = [x for x in mixed if x.dtype.kind == "f"]
            tape.watch(sources)
            loss = gl.sum(function(*mixed)["last"])
        return tape.gradient(loss, sources, unconnected="zero")

    return gradients, floats


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1))
def test_gradients_of_random_programs_give_the_same_bits(seed):
    gradients, floats = gradients_of(seed)
    with np.errstate(all="ignore"):
        eager = gradients(*floats)
    for x, y in zip(eager, compile(gradients)(*floats), strict=True):
        assert (x.dtype, x.shape) == (y.dtype, y.shape)
        assert x.value.tobytes() == y.value.tobytes()


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1), of_gradients=st.booleans())
def test_guarded_machine_code_is_right_node_by_node(seed, of_gradients):
    function, arguments = gradients_of(seed) if of_gradients else random_program(seed)
    arguments = [gl.as_tensor(x) for x in arguments]
    with np.errstate(all="ignore"), mock.patch.dict(os.environ, GRADLAB_GUARD="memory"):
        graph = gl.trace(function, *arguments)
        check_each_node(graph, [x.value for x in arguments], [], f"seed {seed}")
