"""Clipping by the norm: gradients of any size, and such as are not finite."""

import numpy as np
import pytest

import gradlab as gl
from gradlab import optim

EXECUTORS = ["eager", "numpy", "native"]


def clipped(arrays, limit, executor="eager", eps=0.0):
    def function(*gradients):
        return optim.ClipNorm(limit, eps).on_gradients([], list(gradients), {"clip_norm": limit})

    if executor == "eager":
        return [g.numpy() for g in function(*map(gl.tensor, arrays))]
    return [g.numpy() for g in gl.compile(function, executor)(*arrays)]


SIZES = {"float32": (1e-30, 1e-3, 1.0, 1e10, 1e15, 1e19, 1e25, 1e30, 3e37)}
SIZES["float64"] = (1e-300, 1.0, 1e110, 1e150, 1e200, 1e300)


@pytest.mark.parametrize("eps", [0.0, 1e-6])
@pytest.mark.parametrize("limit", [1e-6, 1.0, 1e6, 1e25])
@pytest.mark.parametrize(("dtype", "size"), [(d, s) for d in SIZES for s in SIZES[d]])
def test_norms_of_any_size(dtype, size, limit, eps):
    """The direction stays and the norm becomes the limit; smaller gradients stay as they are.

    The norm of the largest overflows float32 though each element is finite.
    """
    rng = np.random.default_rng(0)
    arrays = [(rng.normal(size=n) * size).astype(dtype) for n in ((20, 30), (30,), (), (1, 7))]
    joined = np.concatenate([a.ravel() for a in arrays]).astype(np.longdouble)
    norm = np.sqrt((joined**2).sum())
    expected = joined * (limit / max(np.longdouble(limit), norm + eps))
    tiny = np.finfo(dtype).tiny
    for executor in EXECUTORS if eps == 0 else EXECUTORS[::2]:
        found = np.concatenate([a.ravel() for a in clipped(arrays, limit, executor, eps)])
        assert found.dtype == dtype
        rtol = 64 * np.finfo(dtype).eps
        np.testing.assert_allclose(found, expected.astype(float), rtol=rtol, atol=tiny)
        if norm + eps < limit < 2.0**48:  # larger ones are scaled, and rounded
            np.testing.assert_array_equal(found, joined.astype(dtype))


@pytest.mark.parametrize("executor", EXECUTORS)
def test_gradients_that_are_not_finite(executor):
    """An infinite element becomes NaN and the others 0; beside a NaN all are NaN."""
    with np.errstate(invalid="ignore"):
        infinite = clipped([np.float32([np.inf, 1.0]), np.float32([2.0])], 1.0, executor)
        nan = clipped([np.float32([np.nan, 1.0]), np.float32([2.0])], 1.0, executor)
    np.testing.assert_array_equal(np.concatenate(infinite), [np.nan, 0, 0])
    assert np.isnan(np.concatenate(nan)).all()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_zeros_stay(executor):
    found = clipped([np.zeros(3, np.float32), np.zeros((2, 0), np.float32)], 1.0, executor)
    np.testing.assert_array_equal(found[0], 0)
    assert found[1].shape == (2, 0)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_steps_out_of_a_steep_place(executor):
    """A weight whose gradient is 1e30 moves by the rate: it does not stand still."""
    w = gl.Variable(np.zeros(4, np.float32))
    optimizer = optim.Chain(optim.ClipNorm(1.0), optim.SGD(0.1))
    state = optimizer.init([w])

    def update():
        return optimizer.minimize(lambda: (w * 1e30).sum(), state)

    update = update if executor == "eager" else gl.compile(update, executor)
    for _ in range(3):
        update()
    np.testing.assert_allclose(w, np.full(4, -0.15), rtol=1e-6)
