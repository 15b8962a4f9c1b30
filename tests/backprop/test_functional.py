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


# What derivatives do with an argument that the function does not depend on, or not twice.
UNCONNECTED = {
    "ignored": lambda x, y: (y**2).sum(),
    "linear": lambda x, y: (3 * x).sum() + (y**2).sum(),
    "bilinear": lambda x, y: (x * y).sum(),
    "constant": lambda x, y: gl.tensor(2.0),
    "number": lambda x, y: 2.0,
    "stopped": lambda x, y: (gl.stop_gradient(x) ** 2 * y).sum(),
    "steps": lambda x, y: (gl.floor(x) * y).sum(),
    "positions": lambda x, y: gl.argmax(x) * y.sum(),
    "numbers": lambda x, y: (gl.as_tensor(x).numpy() * y).sum(),
}
PEERS = {
    "constant": lambda x, y: 0 * y.sum() + 2.0,
    "number": lambda x, y: 0 * y.sum() + 2.0,
    "stopped": lambda x, y: (x.detach() ** 2 * y).sum(),
    "steps": lambda x, y: (torch.floor(x) * y).sum(),
    "positions": lambda x, y: torch.argmax(x) * y.sum(),
    "numbers": lambda x, y: (x.detach() * y).sum(),
}


@pytest.mark.parametrize("name", UNCONNECTED)
def test_what_is_unconnected_is_zero_in_all_derivatives(name):
    function, peer = UNCONNECTED[name], PEERS.get(name, UNCONNECTED[name])
    x, y = np.array([0.3, 1.7]), np.array([2.5, -0.4])
    v, w = np.array([1.0, -2.0]), np.array([0.5, 3.0])
    tensors = peers(x, y)
    expected = torch.autograd.functional.jacobian(peer, tensors)
    same(gl.grad(function, (0, 1))(x, y), expected)
    same(gl.value_and_grad(function, (0, 1))(x, y)[1], expected)
    same(gl.vjp(function, x, y)[1](1.0), expected)
    same(gl.jacobian(function, (0, 1))(x, y), expected)
    same(gl.jacfwd(function, (0, 1))(x, y), expected)
    along = expected[0] @ torch.tensor(v) + expected[1] @ torch.tensor(w)
    np.testing.assert_allclose(gl.jvp(function, (x, y), (v, w))[1], along, rtol=1e-12)
    blocks = torch.autograd.functional.hessian(peer, tensors)
    same(gl.hessian(function, (0, 1))(x, y), blocks)
    products = tuple(a @ torch.tensor(v) + b @ torch.tensor(w) for a, b in blocks)
    same(gl.hvp(function, (x, y), (v, w)), products)
    for i in (0, 1):
        twice = gl.grad(lambda *xs, i=i: (gl.grad(function, i)(*xs) * [v, w][i]).sum(), i)(x, y)
        same(twice, blocks[i][i] @ torch.tensor([v, w][i]))


def test_nests_and_several_arguments_have_jacobians_and_hessians():
    found = gl.jacobian(lambda x: [x[0] * x[1], x[0]])([1.0, 2.0])
    assert [part.tolist() for part in found] == [[2, 1], [1, 0]]
    blocks = gl.hessian(lambda x, y: (x * y).sum(), (0, 1))([1.0], [2.0])
    assert [[part.tolist() for part in row] for row in blocks] == [[[[0]], [[1]]], [[[1]], [[0]]]]

    def ours(p, z):
        return {"a": p["w"] @ p["b"][0] * z, "rest": [p["b"][0] ** 2, (z * 3.0,)]}

    w, b, z = X[:2, :2], Y[:2, 0], Y[:2, 1]
    nest = {"w": gl.tensor(w), "b": [gl.tensor(b)]}
    peer = {"w": torch.tensor(w), "b": [torch.tensor(b)]}
    expected = torch.func.jacrev(ours, (0, 1))(peer, torch.tensor(z))

    def alike(found, expected):
        assert type(found) is type(expected) or isinstance(found, gl.Tensor)
        if isinstance(found, dict):
            assert list(found) == list(expected)
            found, expected = list(found.values()), list(expected.values())
        if isinstance(found, list | tuple):
            for part, other in zip(found, expected, strict=True):
                alike(part, other)
        else:
            same(found, expected)

    for run in (gl.jacobian, gl.jacfwd):
        alike(run(ours, (0, 1))(nest, z), expected)
        alike(gl.compile(run(ours, (0, 1)))(nest, z), expected)
        by_nest = {"a": expected["a"][0], "rest": [expected["rest"][0][0]]}
        found = run(ours)(nest, z)
        alike({"a": found["a"], "rest": found["rest"][:1]}, by_nest)

    def scalar(p, z):
        return (ours(p, z)["a"] ** 2).sum() + p["b"][0].sum()

    alike(
        gl.hessian(scalar, (0, 1))(nest, z),
        torch.func.hessian(scalar, (0, 1))(peer, torch.tensor(z)),
    )


@pytest.mark.parametrize("argnums", [0, 1, (0, 1), (1,)])
def test_forward_and_reverse_jacobians_are_the_same(argnums):
    same(gl.jacfwd(ours, argnums)(X, Y), torch.func.jacfwd(theirs, argnums)(*peers(X, Y)))
    # of the gradient they are the Hessian, and they can be differentiated again
    forward_over_reverse = gl.jacfwd(gl.grad(our_scalar, argnums), argnums)(X, Y)
    same(forward_over_reverse, torch.func.hessian(their_scalar, argnums)(*peers(X, Y)))
    found = gl.grad(lambda x: (gl.jacfwd(lambda x: gl.sin(x) * x)(x) ** 2).sum())(X[0])
    peer = torch.func.grad(lambda x: (torch.func.jacrev(lambda x: torch.sin(x) * x)(x) ** 2).sum())(
        *peers(X[0])
    )
    same(found, peer)


def test_the_forward_jacobian_of_mixed_dtypes_and_of_nothing():
    def function(x, y):
        return [gl.astype(x, "float32") * 2, x[:0], y * x]

    x, y = X[0], gl.tensor(2.0)
    for a, b in zip(
        gl.jacobian(function, (0, 1))(x, y), gl.jacfwd(function, (0, 1))(x, y), strict=True
    ):
        for part, other in zip(a, b, strict=True):
            np.testing.assert_array_equal(part, other, strict=True)


def test_what_is_returned_beside_the_value():
    def loss(x, y):
        return (x * y).sum(), {"count": gl.argmax(x), "text": "aux", "twice": [x * 2]}

    def check(aux):
        assert aux["text"] == "aux"
        assert aux["count"].item() == np.argmax(X[0])
        np.testing.assert_array_equal(aux["twice"][0], 2 * X[0])

    slopes, aux = gl.grad(loss, (0, 1), has_aux=True)(X[0], X[1])
    check(aux)
    np.testing.assert_array_equal(slopes[0], X[1])
    (value, aux), slope = gl.value_and_grad(loss, has_aux=True)(X[0], X[1])
    check(aux)
    assert value.item() == pytest.approx(X[0] @ X[1])
    np.testing.assert_array_equal(slope, X[1])
    value, pullback, aux = gl.vjp(loss, X[0], X[1], has_aux=True)
    check(aux)
    np.testing.assert_array_equal(pullback(2.0)[1], 2 * X[0])
    for jacobian in (gl.jacobian, gl.jacfwd):
        slope, aux = jacobian(loss, has_aux=True)(X[0], X[1])
        check(aux)
        np.testing.assert_array_equal(slope, X[1])
    blocks, aux = gl.hessian(loss, (0, 1), has_aux=True)(X[0], X[1])
    check(aux)
    np.testing.assert_array_equal(blocks[0][1], np.eye(4))
    compiled = gl.compile(lambda x, y: gl.grad(loss, has_aux=True)(x, y)[0])
    np.testing.assert_array_equal(compiled(X[0], X[1]), X[1])


def test_none_is_a_zero_adjoint_and_a_zero_tangent():
    _, pullback = gl.vjp(lambda x, y: {"a": x * y, "b": [x.sum(), y]}, X[0], X[1])
    for adjoint in ({"a": None, "b": [2.0, None]}, {"a": 0 * X[0], "b": [2.0, 0 * X[1]]}):
        by_x, by_y = pullback(adjoint)
        np.testing.assert_array_equal(by_x, np.full(4, 2.0))
        np.testing.assert_array_equal(by_y, np.zeros(4))
    by_x, by_y = pullback({"a": X[2], "b": None})
    np.testing.assert_array_equal(by_x, X[2] * X[1])
    _, slope = gl.jvp(lambda x, y: x * y, (X[0], X[1]), (None, V[0]))
    np.testing.assert_array_equal(slope, X[0] * V[0])
    product = gl.hvp(lambda x, y: (x * y).sum(), (X[0], X[1]), (V[0], None))
    np.testing.assert_array_equal(product[1], V[0])


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        (lambda: gl.grad(lambda x: x)(X), GradientError, r"scalar, got shape \(3, 4\)"),
        (lambda: gl.grad(gl.sum)(np.arange(3)), DTypeError, "only floats"),
        (lambda: gl.grad(gl.sum, 2)(X), GradientError, "argument 2, but 1 were given"),
        (lambda: gl.jvp(gl.sum, (X,), (V, V)), GradientError, "2 directions for 1 arguments"),
        (lambda: gl.hvp(gl.norm, (X,), (V[0],)), GradientError, r"shape \(4,\) for an argument"),
        (lambda: gl.vjp(gl.sum, X)[1](np.ones(2)), GradientError, "output_gradients of shape"),
        (lambda: gl.vjp(lambda x: [x, x], X)[1]([X]), GradientError, "1 output_gradients for 2"),
        (lambda: gl.vjp(lambda x: [x, x], X)[1](X), GradientError, "ndarray as output_gradients"),
        (
            lambda: gl.vjp(lambda x: {"a": x}, X)[1]({"b": X}),
            GradientError,
            r"same keys, \['a'\]: got \['b'\]",
        ),
        *(
            (lambda of=of: of(gl.argmax)(X), GradientError, "returns int64, and only floats")
            for of in (gl.grad, gl.value_and_grad, gl.jacobian, gl.jacfwd, gl.hessian)
        ),
        (lambda: gl.vjp(gl.argmax, X), GradientError, "returns int64, and only floats"),
        (lambda: gl.jvp(gl.argmax, (X,), (V,)), GradientError, "returns int64"),
        (lambda: gl.grad(lambda x: (x.sum(), x))(X), GradientError, "a tuple: .* has_aux=True"),
        (lambda: gl.grad(gl.sum, has_aux=True)(X), GradientError, "value, aux., got Tensor"),
        (
            lambda: gl.vjp(lambda x: (x, 1, 2), X, has_aux=True),
            GradientError,
            "value, aux., got tuple of 3",
        ),
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
