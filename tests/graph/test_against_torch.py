"""Functions that PyTorch has too: values, gradients and products with the Hessian, in float64."""

import numpy as np
import pytest

import gradlab as gl

torch = pytest.importorskip("torch")
F = torch.nn.functional

INF = np.inf
LINE = np.array([-40.0, -3.0, -1.0, -0.3, -1e-8, 1e-8, 0.3, 1.0, 3.0, 40.0])
WITH_ZERO = np.append(LINE, 0.0)
UNIT = np.array([-0.999999, -0.5, -1e-8, 0.0, 0.25, 0.9999999])
POSITIVE = np.array([1e-8, 0.3, 1.0, 2.5, 1e8])
rng = np.random.default_rng(1)
X = rng.standard_normal((3, 4))
Y = rng.standard_normal((3, 4))
CUBE = rng.standard_normal((2, 3, 4))
ROW = rng.standard_normal(4)
ZEROS = np.array([[2.0, 0.0, 3.0, -1.0], [0.0, 0.0, 5.0, 2.0], [1.5, 2.5, -0.5, 4.0]])
TIES = np.array([[2.0, 1.0, 2.0, 0.0], [1.0, 1.0, 1.0, 1.0], [0.0, 3.0, 1.0, 2.0]])
MASKED = np.array([[1.0, -INF, 2.0, -INF], [-INF, 3.0, 1.0, 0.5]])
PLACES = np.array([[1, 1], [0, 3], [2, 0]])

UNARY = {
    "abs": (gl.abs, torch.abs, WITH_ZERO),
    "acos": (gl.acos, torch.acos, UNIT),
    "asin": (gl.asin, torch.asin, UNIT),
    "atan": (gl.atan, torch.atan, WITH_ZERO),
    "acosh": (gl.acosh, torch.acosh, np.array([1.0000001, 1.5, 3.0, 1e8])),
    "asinh": (gl.asinh, torch.asinh, np.append(WITH_ZERO, [-1e8, 1e8])),
    "atanh": (gl.atanh, torch.atanh, UNIT),
    "exp2": (gl.exp2, torch.exp2, WITH_ZERO),
    "log10": (gl.log10, torch.log10, POSITIVE),
    "log2": (gl.log2, torch.log2, POSITIVE),
    "nan_to_num": (gl.nan_to_num, torch.nan_to_num, np.append(LINE, [INF, -INF, np.nan])),
    "reciprocal": (gl.reciprocal, torch.reciprocal, LINE),
    "sinc": (gl.sinc, torch.sinc, np.array([-2.5, -0.6, 0.3, 0.7, 40.2])),
    "cos": (gl.cos, torch.cos, WITH_ZERO),
    "cosh": (gl.cosh, torch.cosh, WITH_ZERO),
    "elu": (gl.elu, F.elu, np.append(LINE, [-1e4, 1e4])),
    "elu 0.5": (lambda x: gl.elu(x, 0.5), lambda x: F.elu(x, 0.5), LINE),
    "elu at 0": (lambda x: gl.elu(x, 0.5), lambda x: F.elu(x, 0.5), np.zeros(2)),
    "erf": (gl.erf, torch.erf, WITH_ZERO),
    "exp": (gl.exp, torch.exp, WITH_ZERO),
    "expm1": (gl.expm1, torch.expm1, WITH_ZERO),
    "floor": (gl.floor, torch.floor, WITH_ZERO),
    "gelu": (gl.gelu, F.gelu, WITH_ZERO),
    "leaky_relu": (gl.leaky_relu, F.leaky_relu, WITH_ZERO),
    "leaky_relu .2": (lambda x: gl.leaky_relu(x, 0.2), lambda x: F.leaky_relu(x, 0.2), WITH_ZERO),
    "log": (gl.log, torch.log, POSITIVE),
    "log1p": (gl.log1p, torch.log1p, np.append(POSITIVE, [-0.99, -1e-8, 0.0])),
    "relu": (gl.relu, F.relu, WITH_ZERO),
    "sigmoid": (gl.sigmoid, torch.sigmoid, np.append(WITH_ZERO, [-800.0, 800.0])),
    "sign": (gl.sign, torch.sign, WITH_ZERO),
    "silu": (gl.silu, F.silu, WITH_ZERO),
    "sin": (gl.sin, torch.sin, WITH_ZERO),
    "sinh": (gl.sinh, torch.sinh, WITH_ZERO),
    "softplus": (gl.softplus, F.softplus, np.append(WITH_ZERO, [-800.0, 800.0])),
    "sqrt": (gl.sqrt, torch.sqrt, POSITIVE),
    "square": (gl.square, torch.square, WITH_ZERO),
    "tan": (gl.tan, torch.tan, WITH_ZERO),
    "tanh": (gl.tanh, torch.tanh, np.append(WITH_ZERO, [-800.0, 800.0])),
    "pow 3": (lambda x: x**3, lambda x: x**3, WITH_ZERO),
    "pow 2": (lambda x: x**2, lambda x: x**2, WITH_ZERO),
    "pow 1": (lambda x: x**1, lambda x: x**1, WITH_ZERO),
    "pow 0": (lambda x: x**0, lambda x: x**0, WITH_ZERO),
    "pow -1.5": (lambda x: x**-1.5, lambda x: x**-1.5, POSITIVE),
    "2 pow": (lambda x: 2.0**x, lambda x: 2.0**x, WITH_ZERO),
    "ceil": (gl.ceil, torch.ceil, WITH_ZERO),
    "trunc": (gl.trunc, torch.trunc, WITH_ZERO),
    "round": (gl.round, torch.round, np.append(WITH_ZERO, [0.5, 1.5, -2.5])),
    "clip": (lambda x: gl.clip(x, -1, 0.3), lambda x: torch.clip(x, -1, 0.3), WITH_ZERO),
    "clip low": (lambda x: gl.clip(x, low=0), lambda x: torch.clip(x, min=0), WITH_ZERO),
    "clip high": (lambda x: gl.clip(x, high=1), lambda x: torch.clip(x, max=1), WITH_ZERO),
}


def along(name, axis, x, torch_name=None, **options):
    function, peer = getattr(gl, name), getattr(torch, torch_name or name)
    return (lambda x: function(x, axis, **options), lambda x: peer(x, axis, **options), x)


NORM = torch.linalg.vector_norm
REDUCING = {
    "sum": along("sum", 1, X),
    "sum all": (lambda x: gl.sum(x), torch.sum, CUBE),
    "sum two": along("sum", (0, 2), CUBE, keepdims=True),
    "mean": along("mean", 0, X),
    "var": (lambda x: gl.var(x, 1), lambda x: torch.var(x, 1, correction=0), X),
    "var 1": (lambda x: gl.var(x, (0, 2), correction=1), lambda x: torch.var(x, (0, 2)), CUBE),
    "std": (lambda x: gl.std(x, 1), lambda x: torch.std(x, 1, correction=0), X),
    "max": along("max", 1, X, "amax"),
    "max at ties": along("max", 1, TIES, "amax"),
    "max of all": (lambda x: gl.max(x), torch.amax, TIES),
    "min at ties": along("min", 0, TIES, "amin", keepdims=True),
    "prod": along("prod", 1, X),
    "prod at zeros": along("prod", 1, ZEROS),
    "prod of all": (lambda x: gl.prod(x), torch.prod, CUBE),
    "prod of one": along("prod", 0, ROW[:1]),
    "cumsum": along("cumsum", 1, CUBE),
    "logsumexp": along("logsumexp", 1, 300 * X),
    "logsumexp two": along("logsumexp", (0, 2), CUBE, keepdims=True),
    "logsumexp masked": along("logsumexp", 1, MASKED),
    "logsumexp of nothing": along("logsumexp", 0, np.array([-INF, -INF])),
    "log_softmax": along("log_softmax", 1, 300 * X),
    "log_softmax first": along("log_softmax", 0, CUBE),
    "softmax": along("softmax", -1, X),
    "softmax masked": along("softmax", -1, MASKED),
    "norm": (lambda x: gl.norm(x, 1), lambda x: NORM(x, 2, 1), X),
    "norm at 0": (lambda x: gl.norm(x), lambda x: NORM(x), np.zeros(3)),
    "norm 1": (lambda x: gl.norm(x, 0, ord=1), lambda x: NORM(x, 1, 0), ZEROS),
    "norm inf": (lambda x: gl.norm(x, 1, ord=INF), lambda x: NORM(x, INF, 1), X),
}
MOVING = {
    "diag of a vector": (lambda x: gl.diag(x, 1), lambda x: torch.diag(x, 1), ROW),
    "diagonal": (lambda x: gl.diagonal(x, 1, 2, 0), lambda x: torch.diagonal(x, 1, 2, 0), CUBE),
    "diff": (lambda x: gl.diff(x, 2), lambda x: torch.diff(x, 2), CUBE),
    "moveaxis": (lambda x: gl.moveaxis(x, 0, -1), lambda x: torch.moveaxis(x, 0, -1), CUBE),
    "rot90": (gl.rot90, torch.rot90, CUBE),
    "mask": (lambda x: x[X > 0], lambda x: x[torch.tensor(X > 0)], X),
    "mask and slice": (
        lambda x: x[:, np.array([True, False, True]), 1:],
        lambda x: x[:, torch.tensor([True, False, True]), 1:],
        CUBE,
    ),
    "sort": (lambda x: gl.sort(x, 0), lambda x: torch.sort(x, 0).values, X),
    "take_along_axis": (
        lambda x: gl.take_along_axis(x, PLACES, 1),
        lambda x: torch.take_along_dim(x, torch.tensor(PLACES), 1),
        X,
    ),
    "take": (lambda x: gl.take(x, [2, 0, 2], 1), lambda x: x[:, [2, 0, 2]], CUBE),
    "pad": (
        lambda x: gl.pad(x, ((1, 0), (2, 3)), -1.5),
        lambda x: F.pad(x, (2, 3, 1, 0), value=-1.5),
        X,
    ),
    "tile": (lambda x: gl.tile(x, (2, 1, 3)), lambda x: torch.tile(x, (2, 1, 3)), X),
    "repeat": (lambda x: gl.repeat(x, 2, 1), lambda x: x.repeat_interleave(2, 1), CUBE),
    "tril": (lambda x: gl.tril(x, -1), lambda x: torch.tril(x, -1), CUBE),
    "triu": (lambda x: gl.triu(x, 1), lambda x: torch.triu(x, 1), CUBE),
    "roll": (lambda x: gl.roll(x, -3, 2), lambda x: torch.roll(x, -3, 2), CUBE),
    "flip": (lambda x: gl.flip(x, (0, 2)), lambda x: torch.flip(x, (0, 2)), CUBE),
    "permute_dims": along("permute_dims", (2, 0, 1), CUBE, "permute"),
    "reshape": along("reshape", (4, -1), CUBE),
    "broadcast_to": along("broadcast_to", (2, 3, 4), ROW),
    "squeeze": (lambda x: gl.squeeze(x[:1], 0), lambda x: x[:1].squeeze(0), X),
    "expand_dims": (lambda x: gl.expand_dims(x, (0, -1)), lambda x: x[None, :, :, None], X),
    "flatten": along("flatten", 1, CUBE),
    "split": (lambda x: gl.split(x, [1, 3], 1)[1], lambda x: torch.split(x, [1, 3], 1)[1], X),
    "index": (lambda x: x[1:, None, [0, 0, 2]], lambda x: x[1:, None, [0, 0, 2]], X),
}
BINARY = {
    "atan2": (gl.atan2, torch.atan2, X, ROW),
    "hypot": (gl.hypot, torch.hypot, X, ROW),
    "logaddexp": (gl.logaddexp, torch.logaddexp, 20 * X, ROW),
    "logaddexp2": (gl.logaddexp2, torch.logaddexp2, 20 * X, ROW),
    "fmax": (gl.fmax, torch.fmax, X, ROW),
    "fmin": (gl.fmin, torch.fmin, X, ROW),
    "cross": (gl.cross, torch.linalg.cross, X.T, Y.T),
    "inner": (gl.inner, torch.inner, CUBE, X),
    "kron": (gl.kron, torch.kron, X, Y),
    "outer": (gl.outer, torch.outer, ROW, ROW + 1),
    "tensordot": (
        lambda x, y: gl.tensordot(x, y, ([1, 2], [0, 1])),
        lambda x, y: torch.tensordot(x, y, ([1, 2], [0, 1])),
        CUBE,
        X,
    ),
    "add": (gl.add, torch.add, X, ROW),
    "subtract": (gl.subtract, torch.subtract, ROW, X),
    "multiply": (gl.multiply, torch.multiply, X, ROW),
    "divide": (gl.divide, torch.divide, CUBE, X),
    "maximum": (gl.maximum, torch.maximum, TIES, np.ones(4)),
    "minimum": (gl.minimum, torch.minimum, TIES, np.ones((3, 1))),
    "pow": (gl.pow, torch.pow, np.abs(X), CUBE),
    "pow at 0": (gl.pow, torch.pow, np.zeros(4), np.array([0.0, 1.0, 2.0, 2.5])),
    "remainder": (gl.remainder, torch.remainder, 3 * X, ROW),
    "floor_divide": (
        gl.floor_divide,
        lambda x, y: torch.div(x, y, rounding_mode="floor"),
        3 * X,
        ROW,
    ),
    "where": (
        lambda x, y: gl.where(x > y, x, y * 2),
        lambda x, y: torch.where(x > y, x, y * 2),
        X,
        ROW,
    ),
    "concat": (lambda x, y: gl.concat([x, y], 1), lambda x, y: torch.cat([x, y], 1), X, Y),
    "stack": (lambda x, y: gl.stack([x, y], -1), lambda x, y: torch.stack([x, y], -1), X, Y),
    "matmul": (gl.matmul, torch.matmul, X, Y.T),
    "matmul batched": (gl.matmul, torch.matmul, CUBE, Y.T),
    "matmul vector": (gl.matmul, torch.matmul, CUBE, ROW),
    "vector matmul": (gl.matmul, torch.matmul, ROW, np.swapaxes(CUBE, 1, 2)),
    "vectors": (gl.matmul, torch.matmul, ROW, ROW + 1),
    "attention": (
        lambda x, y: gl.softmax(x @ y.T) @ y,
        lambda x, y: torch.softmax(x @ y.T, -1) @ y,
        X,
        Y,
    ),
    "einsum": (
        lambda x, y: gl.einsum("bij,...j->b...i", x, y),
        lambda x, y: torch.einsum("bij,...j->b...i", x, y),
        CUBE,
        Y,
    ),
}
CASES = UNARY | REDUCING | MOVING | BINARY
# At these kinks PyTorch's second derivative is NaN, or that of the other side.
FIRST_ORDER_ONLY = {"elu at 0", "norm at 0", "pow at 0"}


@pytest.mark.parametrize("name", CASES)
def test_values_and_derivatives(name):
    ours, theirs, *arrays = CASES[name]
    peers = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in arrays]
    expected = theirs(*peers)
    u = np.random.default_rng(2).standard_normal(tuple(expected.shape))

    with np.errstate(all="ignore"):
        value, pullback = gl.vjp(ours, *[gl.tensor(x, "float64") for x in arrays])
        gradients = pullback(u)
    close(value, expected)
    peer_gradients = torch.autograd.grad(
        expected, peers, torch.tensor(u), create_graph=True, materialize_grads=True
    )
    for g, peer in zip(gradients, peer_gradients, strict=True):
        close(g, peer)

    if name in FIRST_ORDER_ONLY:
        return
    v = [np.random.default_rng(3).standard_normal(x.shape) for x in arrays]
    with np.errstate(all="ignore"):
        products = gl.hvp(lambda *xs: (ours(*xs) * u).sum(), [x + 0.0 for x in arrays], v)
    along_v = sum((g * torch.tensor(d)).sum() for g, d in zip(peer_gradients, v, strict=True))
    if not along_v.requires_grad:  # linear
        expected_products = [torch.zeros_like(x) for x in peers]
    else:
        expected_products = torch.autograd.grad(along_v, peers, materialize_grads=True)
    for product, peer in zip(products, expected_products, strict=True):
        close(product, peer)


def close(ours, theirs):
    assert ours.dtype == np.float64
    np.testing.assert_allclose(ours, theirs.numpy(force=True), rtol=1e-8, atol=1e-13)


def test_a_masked_loss_has_no_nan():
    """−∞ logits, as attention masks make them: finite loss, zero adjoint, as in PyTorch."""
    x = gl.tensor(MASKED, "float64")
    g = gl.grad(lambda x: -gl.take_along_axis(gl.log_softmax(x), [[0], [2]]).sum())(x).numpy()
    peer = torch.tensor(MASKED, requires_grad=True)
    F.cross_entropy(peer, torch.tensor([0, 2]), reduction="sum").backward()
    np.testing.assert_allclose(g, peer.grad.numpy(), rtol=1e-12)
    assert (g[np.isinf(MASKED)] == 0).all()
