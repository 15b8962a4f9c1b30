"""check_grads must fail where a rule is wrong: rules with planted errors."""

import numpy as np
import pytest

import gradlab as gl
from gradlab.errors import GradientError
from gradlab.graph import Op, apply, as_tensor, elementwise_shape


def row(forward, *vjps, infer=elementwise_shape):
    op = Op("planted", forward, infer, vjps, formula="")
    return lambda *xs: apply(op, tuple(as_tensor(x) for x in xs))


cube = row(lambda xp, x: x**3, lambda g, f, x: g * 3 * x * x)
PLANTED = {
    "a wrong factor": row(lambda xp, x: x**3, lambda g, f, x: g * 2 * x * x),
    "a wrong sign": row(lambda xp, x: x**3, lambda g, f, x: -g * 3 * x * x),
    "no derivative at all": row(lambda xp, x: x**3, lambda g, f, x: gl.zeros_like(x)),
    "NaN": row(lambda xp, x: x**3, lambda g, f, x: g * np.nan),
    "a derivative only wrong at some elements": row(
        lambda xp, x: x**3, lambda g, f, x: g * gl.where(x > 1, 3 * x * x, 3 * x)
    ),
    "the adjoint left out": row(lambda xp, x: x**3, lambda g, f, x: 3 * x * x),
}
X = np.array([0.5, 1.5, -0.7])


def test_right_rules_pass():
    gl.check_grads(cube, [X])
    gl.check_grads(lambda x, y: (x * y, {"sum": x.sum()}), [X, X[:1]])
    gl.check_grads(lambda x: gl.exp(x), [X], order=3)


@pytest.mark.parametrize("error", PLANTED)
def test_wrong_rules_fail(error):
    with pytest.raises(GradientError, match="finite differences give"):
        gl.check_grads(PLANTED[error], [X])
    with pytest.raises(GradientError):
        gl.check_grads(lambda x: gl.sin(PLANTED[error](x)).sum(), [X], order=1)


def test_a_wrong_second_derivative_fails_at_order_two_only():
    wrong = row(lambda xp, x: x**3, lambda g, f, x: g * gl.stop_gradient(3 * x * x))
    gl.check_grads(wrong, [X], order=1)
    with pytest.raises(GradientError, match="order 2 or higher"):
        gl.check_grads(wrong, [X])


def test_a_wrong_third_derivative_fails_at_order_three_only():
    second = row(lambda xp, x: 3 * x * x, lambda g, f, x: g * gl.stop_gradient(6 * x))
    wrong = row(lambda xp, x: x**3, lambda g, f, x: g * second(x))
    gl.check_grads(wrong, [X], order=2)
    with pytest.raises(GradientError, match="order 2 or higher"):
        gl.check_grads(wrong, [X], order=3)


def test_one_wrong_input_of_two_fails():
    wrong = row(lambda xp, x, y: x * y, lambda g, f, x, y: g * y, lambda g, f, x, y: g * y)
    with pytest.raises(GradientError):
        gl.check_grads(wrong, [X, X + 1])


def test_a_broadcast_that_is_not_summed_fails():
    def mean_of_rows(g, f, x):
        return gl.mean(g, 0, keepdims=True)  # should be the sum

    wrong = row(
        lambda xp, x: xp.broadcast_to(x, (4, 3)), mean_of_rows, infer=lambda x: ((4, 3), x.dtype)
    )
    with pytest.raises(GradientError):
        gl.check_grads(wrong, [X[None]])


def test_a_missing_rule_fails():
    with pytest.raises(GradientError):
        gl.check_grads(row(lambda xp, x: x**3, None), [X])


def test_it_is_the_same_at_every_run():
    messages = []
    for _ in range(2):
        with pytest.raises(GradientError) as caught:
            gl.check_grads(PLANTED["a wrong factor"], [X], seed=5)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
