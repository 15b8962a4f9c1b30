"""custom_gradient: the gradient that the function says, wherever derivatives are taken."""

import numpy as np
import pytest

import gradlab as gl
from gradlab.errors import GradientError
from gradlab.graph.tensor import active

X = np.array([0.5, -1.0, 2.0])


@gl.custom_gradient
def softplus(x):
    """log(1 + eˣ), with the true gradient in a stable form."""
    e = gl.exp(x)
    return gl.log(1 + e), lambda g: g * (1 - 1 / (1 + e))


@gl.custom_gradient
def reverse(x):
    """x, with the gradient of −x: Ganin and Lempitsky, 2015."""
    return x, lambda g: -g


@gl.custom_gradient
def product(x, y):
    """xy with ten times the gradient by y, from which the real one can be told."""
    return x * y, lambda g: (g * y, 10 * g * x)


def plain_softplus(x):
    return gl.log(1 + gl.exp(x))


def test_a_stable_form():
    """In float32 the plain form overflows at 100."""
    with np.errstate(over="ignore", invalid="ignore"):
        assert np.isnan(gl.grad(lambda x: plain_softplus(x).sum())([100.0]).item())
        assert gl.grad(lambda x: softplus(x).sum())([100.0]).item() == 1
    gl.check_grads(softplus, [X], order=3)


@pytest.mark.parametrize("run", [lambda f: f, gl.compile, lambda f: gl.compile(f, "numpy")])
@pytest.mark.parametrize("wrap", [lambda f: f, gl.checkpoint, gl.compile])
def test_all_derivatives_go_by_the_pullback(run, wrap):
    f = wrap(lambda x, y: softplus(product(x, y)) + reverse(x) * y)
    g = lambda x, y: plain_softplus(x * y)  # noqa: E731
    x, y = X, X[::-1].copy()

    def scalar(x, y):
        return f(x, y).sum()

    sigmoid = 1 / (1 + np.exp(-x * y))
    np.testing.assert_allclose(run(f)(x, y), np.log1p(np.exp(x * y)) + x * y, rtol=1e-12)
    by_x, by_y = run(gl.grad(scalar, (0, 1)))(x, y)
    np.testing.assert_allclose(by_x, sigmoid * y - y, rtol=1e-12)
    np.testing.assert_allclose(by_y, 10 * sigmoid * x + x, rtol=1e-12)
    # by x alone all is as without it, but for the reversed term
    other = gl.hessian(lambda x: g(x, y).sum())(x)
    np.testing.assert_allclose(run(gl.hessian(scalar))(x, y), other, rtol=1e-12, atol=1e-14)
    v = np.array([1.0, -0.5, 2.0])
    product_of = run(lambda x, y, v: gl.hvp(lambda x: scalar(x, y), (x,), (v,))[0])
    np.testing.assert_allclose(product_of(x, y, v), other.numpy() @ v, rtol=1e-12)
    along = run(lambda x, y, v: gl.jvp(lambda x: f(x, y), (x,), (v,))[1])
    np.testing.assert_allclose(along(x, y, v), (sigmoid - 1) * y * v, rtol=1e-12)
    for jacobian in (gl.jacobian, gl.jacfwd):
        found = run(jacobian(f, 1))(x, y)
        np.testing.assert_allclose(found, np.diag(10 * sigmoid * x + x), rtol=1e-12)


def test_a_recorded_graph_keeps_the_rule():
    """On a tape that records it later, and in the programs that run it."""
    for function, slope in ((reverse, -1.0), (lambda x: product(x, x), 11 * X)):
        graph = gl.trace(function, gl.tensor(X))
        np.testing.assert_allclose(gl.grad(lambda x, g=graph: g.replay(x).sum())(X), slope)
        for executor in ("native", "numpy"):
            program = gl.execute.program(graph, executor)
            expected = function(X).numpy()
            np.testing.assert_allclose(program.run([X], [])[0][0], expected, rtol=1e-15)


def test_nests_of_arguments_and_values():
    calls = []

    @gl.custom_gradient
    def function(parts, scale, how, count=1):
        a, b = parts["a"], parts["b"][0]

        def pullback(g):
            calls.append(g)
            assert g["whole"] is None
            return {"a": g["sum"] * 2, "b": [g["rest"][0] * 3]}, None, None

        value = {"sum": a + b, "rest": [a * scale], "whole": gl.argmax(a)}
        return value, pullback

    def loss(parts, scale, used):
        y = function(parts, scale, "text", count=2)
        assert y["whole"].dtype == np.int64
        return sum(
            weight * y[name].sum() if name == "sum" else y["rest"][0].sum() * weight
            for name, weight in used.items()
        )

    parts = {"a": gl.tensor(X), "b": [gl.tensor(X)]}
    g = gl.grad(loss, (0, 1))(parts, 2.0, {"sum": 1.0, "rest": 5.0})
    assert len(calls) == 1  # with the adjoints of all outputs together
    np.testing.assert_array_equal(g[0]["a"], [2, 2, 2])
    np.testing.assert_array_equal(g[0]["b"][0], [15, 15, 15])
    assert g[1].item() == 0
    g = gl.grad(loss)(parts, 2.0, {"rest": 5.0})  # the adjoint of an unused output is zero
    np.testing.assert_array_equal(g["a"], [0, 0, 0])


def test_variables_lists_and_constants_as_arguments():
    w = gl.Variable([1.0, 2.0], name="w")
    with gl.GradientTape() as tape:
        y = product(w, [3.0, 4.0]).sum() + product(np.ones(2), w).sum() + product(w, w).sum()
    np.testing.assert_array_equal(tape.gradient(y, w), [3 + 10 + 11, 4 + 10 + 22])
    # one gradient for the only argument, by itself or as a tuple
    in_a_tuple = gl.custom_gradient(lambda x: (x * 1, lambda g: (5 * g,)))
    assert gl.grad(in_a_tuple)(1.0).item() == 5
    again = gl.custom_gradient(
        lambda x, y: gl.vjp(lambda x, y: x * y, x, y)
    )  # vjp gives such pairs
    np.testing.assert_array_equal(gl.grad(lambda x, y: again(x, y).sum(), (0, 1))(X, -X)[1], X)


def test_without_a_tape_it_is_the_function():
    assert reverse(gl.tensor(X)).op is None
    assert reverse(3.0).item() == 3
    assert softplus.__doc__.startswith("log(1 + e")
    assert softplus.__name__ == "softplus"


def test_a_pullback_need_not_be_linear():
    """Clipped gradients; with two outputs it sees both adjoints at once."""

    @gl.custom_gradient
    def clipped(x):
        return (x * 1, x * 2), lambda g: gl.clip(g[0] + 2 * g[1], -1, 1)

    def loss(x):
        a, b = clipped(x)
        return (0.4 * a + 0.2 * b).sum()

    np.testing.assert_allclose(gl.grad(loss)(X), [0.8, 0.8, 0.8])
    np.testing.assert_allclose(gl.grad(lambda x: 10 * loss(x))(X), [1, 1, 1])
    np.testing.assert_allclose(gl.compile(gl.grad(loss))(X), [0.8, 0.8, 0.8])


def test_what_comes_from_around_the_function_is_no_silent_constant():
    w = gl.Variable([1.0, 2.0, 3.0], name="w")

    for function in (lambda x: (x * w, lambda g: g * w), lambda x: (w.read(), lambda g: g)):
        scaled = gl.custom_gradient(function)
        with gl.GradientTape(persistent=True) as tape:
            x = gl.Variable(X)
            y = scaled(x).sum()
        if function(x)[0] is not w.held:
            np.testing.assert_array_equal(tape.gradient(y, x), [1, 2, 3])  # this is said
        with pytest.raises(GradientError, match="does not say that of 'w': pass it as an argument"):
            tape.gradient(y, w)
        graph = gl.trace(scaled, gl.tensor(X))  # and neither where a tape replays it
        with gl.GradientTape() as tape:
            y = graph.replay(X).sum()
        with pytest.raises(GradientError, match="does not say that of 'w'"):
            tape.gradient(y, w)
    held = gl.custom_gradient(lambda x: (x * gl.stop_gradient(w), lambda g: g))
    with gl.GradientTape() as tape:
        y = held(gl.tensor(X)).sum() + w.sum()
    np.testing.assert_array_equal(tape.gradient(y, w), [1, 1, 1])
    assert active.tapes == []


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda x: x * 2, r"returns \(value, pullback\).* got a Tensor"),
        (lambda x: (x, 2.0), "got a tuple"),
        (
            lambda x: (x, lambda g: g.sum()),
            r"gradient of shape \(\) for an argument of shape \(3,\)",
        ),
        (lambda x: (x, lambda g: (g, g)), "2 gradients of <lambda> for 1 arguments"),
    ],
)
def test_pairs_and_gradients_that_do_not_fit(function, says):
    with pytest.raises(GradientError, match=says) as caught:
        gl.grad(lambda x: gl.custom_gradient(function)(x).sum())(X)
    assert "\n" not in str(caught.value)
    assert active.tapes == []


def test_a_tape_lets_go_of_it():
    import gc
    import weakref

    x = gl.Variable(X)
    with gl.GradientTape() as tape:
        y = softplus(x * 2)
        loss = y.sum()
    alive = weakref.ref(y)
    tape.gradient(loss, x)
    del y
    gc.collect()
    assert alive() is None
