"""grad, vjp, jvp, hvp, jacobian and hessian against torch.func, in float64."""

import numpy as np
import pytest

import gradlab as gl
from gradlab.errors import DTypeError, GradientError

torch = pytest.importorskip("torch")
# torch.func itself uses what torch deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")

rng = np.random.default_rng(0)
X = rng.standard_normal((3, 4))
Y = rng.standard_normal((4, 2))
V, W = rng.standard_normal(X.shape), rng.standard_normal(Y.shape)


def network(xp):
    """A function of two arguments, written alike for both libraries."""
    return lambda x, y: xp.tanh(x @ y) * xp.exp(-(x * x)).sum() + x[:, :2] ** 2


def scalar(xp):
    return lambda x, y: (network(xp)(x, y) ** 2).sum()


ours, theirs = network(gl), network(torch)
our_scalar, their_scalar = scalar(gl), scalar(torch)


def peers(*arrays):
    return tuple(torch.tensor(x, dtype=torch.float64) for x in arrays)


def same(found, expected):
    if isinstance(found, tuple):
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            same(a, b)
        return
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-9, atol=1e-12, strict=True)


@pytest.mark.parametrize("argnums", [0, 1, (0, 1), (1, 0), -1])
def test_grad(argnums):
    theirs_argnums = 1 if argnums == -1 else argnums
    found = gl.grad(our_scalar, argnums)(X, Y)
    same(found, torch.func.grad(their_scalar, theirs_argnums)(*peers(X, Y)))
    value, again = gl.value_and_grad(our_scalar, argnums)(X, Y)
    same(value, their_scalar(*peers(X, Y)))
    same(again, torch.func.grad(their_scalar, theirs_argnums)(*peers(X, Y)))


def test_vjp():
    u = rng.standard_normal((3, 2))
    value, pullback = gl.vjp(ours, X, Y)
    expected, peer = torch.func.vjp(theirs, *peers(X, Y))
    same(value, expected)
    same(pullback(u), peer(*peers(u)))
    same(pullback(2 * u), peer(*peers(2 * u)))  # as often as one likes


def test_jvp():
    value, slope = gl.jvp(ours, (X, Y), (V, W))
    expected, peer = torch.func.jvp(theirs, peers(X, Y), peers(V, W))
    same(value, expected)
    same(slope, peer)


def test_hvp():
    _, expected = torch.autograd.functional.hvp(their_scalar, peers(X, Y), peers(V, W))
    same(gl.hvp(our_scalar, (X, Y), (V, W)), expected)


@pytest.mark.parametrize("argnums", [0, 1, (0, 1)])
def test_jacobian(argnums):
    found = gl.jacobian(ours, argnums)(X, Y)
    same(found, torch.func.jacrev(theirs, argnums)(*peers(X, Y)))


@pytest.mark.parametrize("argnums", [0, 1])
def test_hessian(argnums):
    found = gl.hessian(our_scalar, argnums)(X, Y)
    same(found, torch.func.hessian(their_scalar, argnums)(*peers(X, Y)))


def test_they_nest_and_compose():
    third = gl.grad(gl.grad(gl.grad(lambda x: x**4)))
    assert third(np.array(2.0)).item() == 48
    # jvp of grad is the Hessian-vector product
    gradient = gl.grad(lambda x: our_scalar(x, Y))
    _, product = gl.jvp(gradient, (X,), (V,))
    np.testing.assert_allclose(
        product, gl.hvp(lambda x: our_scalar(x, Y), (X,), (V,))[0], rtol=1e-9
    )


def test_they_can_be_compiled():
    compiled = gl.compile(gl.grad(our_scalar, (0, 1)))
    same(compiled(X, Y), torch.func.grad(their_scalar, (0, 1))(*peers(X, Y)))
    product = gl.compile(lambda x, v: gl.hvp(lambda x: our_scalar(x, Y), (x,), (v,)))
    _, expected = torch.autograd.functional.hvp(
        lambda x: their_scalar(x, *peers(Y)), *peers(X), *peers(V)
    )
    same(product(X, V)[0], expected)


def test_the_same_array_as_two_arguments():
    by_first, by_second = gl.grad(lambda x, y: (x * x * y).sum(), (0, 1))(X, X)
    np.testing.assert_allclose(by_first, 2 * X * X)
    np.testing.assert_allclose(by_second, X * X)
    x = gl.tensor(X)
    by_first, by_second = gl.grad(lambda x, y: (x * x * y).sum(), (0, 1))(x, x)
    np.testing.assert_allclose(by_first, 2 * X * X)
    np.testing.assert_allclose(by_second, X * X)


def test_nests_as_arguments():
    nest = {"w": gl.tensor(X), "rest": (gl.tensor(Y), [gl.tensor(2.0, "float64")])}

    def loss(nest, scale):
        return (nest["w"] @ nest["rest"][0]).sum() * nest["rest"][1][0] * scale

    g = gl.grad(loss)(nest, 3.0)
    np.testing.assert_allclose(g["w"], 6 * np.tile(Y.sum(1), (3, 1)))
    np.testing.assert_allclose(g["rest"][1][0], 3 * (X @ Y).sum())
    by_nest, by_scale = gl.grad(loss, (0, 1))(nest, 3.0)
    np.testing.assert_allclose(by_nest["w"], g["w"])
    np.testing.assert_allclose(by_scale, 2 * (X @ Y).sum())


def test_nests_as_results():
    value, pullback = gl.vjp(lambda x: {"a": x * 2, "b": (x.sum(),)}, X)
    assert value["b"][0].shape == ()
    np.testing.assert_allclose(pullback({"a": np.ones(X.shape), "b": (10.0,)})[0], 2 + 10)
    value, slope = gl.jvp(lambda x: {"a": x * 2, "b": (x.sum(),)}, (X,), (V,))
    np.testing.assert_allclose(slope["a"], 2 * V)
    np.testing.assert_allclose(slope["b"][0], V.sum())


def test_python_numbers_and_lists():
    assert gl.grad(lambda x: x**2)(3.0).item() == 6
    np.testing.assert_array_equal(gl.grad(lambda x: (x**2).sum())([1.0, 2.0]), [2, 4])
    np.testing.assert_array_equal(gl.hessian(lambda x: (x**3).sum())([1.0, 2.0]), [[6, 0], [0, 12]])


def test_arguments_that_are_left_alone():
    def loss(x, how, indices):
        return (x[indices] ** 2).sum() if how == "sum" else x.sum()

    np.testing.assert_array_equal(gl.grad(loss)(np.ones(3), "sum", np.array([0, 0])), [4, 0, 0])


def test_unconnected_arguments():
    def first(x, y):
        return (x**2).sum()

    with pytest.raises(GradientError, match="does not depend"):
        gl.grad(first, 1)(X, Y)
    _, pullback = gl.vjp(first, X, Y)
    np.testing.assert_array_equal(pullback(1.0)[1], np.zeros(Y.shape))
    assert gl.jvp(first, (X, Y), (0 * V, W))[1].item() == 0
    np.testing.assert_array_equal(
        gl.hessian(first, 0)(X, Y).numpy().reshape(12, 12), 2 * np.eye(12)
    )
    np.testing.assert_array_equal(gl.hessian(lambda x: x.sum())(np.ones(2)), np.zeros((2, 2)))


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        (lambda: gl.grad(lambda x: x)(X), GradientError, r"scalar, got shape \(3, 4\)"),
        (lambda: gl.grad(gl.sum)(np.arange(3)), DTypeError, "only floats"),
        (lambda: gl.grad(gl.sum, 2)(X), GradientError, "argument 2, but 1 were given"),
        (lambda: gl.jvp(gl.sum, (X,), (V, V)), GradientError, "2 directions given for 1"),
        (lambda: gl.hvp(gl.norm, (X,), (V[0],)), GradientError, r"shape \(4,\) for an argument"),
        (lambda: gl.vjp(gl.sum, X)[1](np.ones(2)), GradientError, "output_gradients of shape"),
        (lambda: gl.grad(lambda x: gl.floor(x).sum() * 0 + 1.0)(X), None, None),
    ],
)
def test_errors(wrong, error, says):
    if error is None:  # the derivative of a step is zero, and no error
        np.testing.assert_array_equal(wrong(), np.zeros(X.shape))
        return
    with pytest.raises(error, match=says) as caught:
        wrong()
    assert "\n" not in str(caught.value)


def test_arguments_by_name_are_passed_on():
    def scaled(x, power, scale=1.0):
        return (scale * x**power).sum()

    np.testing.assert_allclose(gl.grad(scaled)(X, power=2, scale=3.0), 6 * X)
    value, slope = gl.value_and_grad(scaled)(X, 2, scale=0.5)
    assert value.item() == pytest.approx((0.5 * X**2).sum())
    np.testing.assert_allclose(slope, X)
    found = gl.jacobian(lambda x, scale: scale * x)(X[0], scale=2.0)
    np.testing.assert_array_equal(found, 2 * np.eye(4))
    np.testing.assert_array_equal(gl.hessian(scaled)(X[0], power=2), 2 * np.eye(4))
    fast = gl.compile(gl.grad(scaled))
    np.testing.assert_allclose(fast([1.0, 2.0], power=3, scale=2.0), [6, 24])
