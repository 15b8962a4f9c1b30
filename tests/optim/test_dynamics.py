"""What theory says of the rules: rates on quadratics, and identities between them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gradlab as gl
from gradlab import optim

αs = st.floats(0, 0.98)
λs = st.floats(0.01, 100)
κs = st.floats(2, 1000)


def iteration(optimizer, λ):
    """The matrix of one update of (θ, v) on ½λθ²: the rule is linear there."""
    h, columns = optimizer.hyperparameters(0), []
    for basis in np.eye(2):
        θ, v = (gl.tensor(np.array(x)) for x in basis)
        slots = {"v": v} if optimizer.slots else {}
        g = λ * optimizer.interim(θ, slots, h)
        θ, slots = optimizer.rule(θ, g, slots, h, 1)
        columns.append([θ.item(), slots["v"].item() if slots else 0.0])
    return np.array(columns).T


def rate(optimizer, *λs):
    """Factor by which the error shrinks per update in the long run, at the slowest eigenvalue."""
    return max(abs(np.linalg.eigvals(iteration(optimizer, λ))).max() for λ in λs)


# Double eigenvalues answer roundings with their square root, hence 1e-6 rather than 1e-12.


@given(κs)
def test_gradient_descent_at_its_best_step(κ):
    best = rate(optim.SGD(2 / (1 + κ)), 1, κ)
    assert best == pytest.approx((κ - 1) / (κ + 1), rel=1e-9)
    for worse in (0.99, 1.01):
        assert rate(optim.SGD(worse * 2 / (1 + κ)), 1, κ) > best


@pytest.mark.parametrize("form", ["lecture", "torch"])
@given(κ=κs)
def test_momentum_at_its_best_settings(form, κ):
    root = np.sqrt(κ)
    η, α = (2 / (1 + root)) ** 2, ((root - 1) / (root + 1)) ** 2
    best = rate(optim.Momentum(η, α, form), 1, κ)
    assert best == pytest.approx((root - 1) / (root + 1), rel=1e-6)
    for settings in ((1.02 * η, α), (0.98 * η, α), (η, 0.98 * α)):
        assert rate(optim.Momentum(*settings, form), 1, κ) > best + 1e-6


@pytest.mark.parametrize("form", ["lecture", "torch", "keras"])
@given(κ=κs)
def test_nesterov_at_the_settings_of_strong_convexity(form, κ):
    # η = 1/L and α = (√κ − 1)/(√κ + 1) give 1 − √(μ/L) on a quadratic.
    root = np.sqrt(κ)
    slowest = rate(optim.Nesterov(1 / κ, (root - 1) / (root + 1), form), 1, κ)
    assert slowest == pytest.approx(1 - 1 / root, rel=1e-6)


@given(αs, λs, st.floats(0.01, 2))
def test_momentum_is_stable_up_to_its_bound(α, λ, part):
    # 0 < ηλ < 2 + 2α; ``part`` of the way there.
    ρ = rate(optim.Momentum(part * (2 + 2 * α) / λ, α), λ)
    if abs(part - 1) > 1e-9:
        assert (ρ < 1) == (part < 1)


@given(st.floats(0.05, 0.98), λs, st.floats(0.05, 0.95))
def test_momentum_with_complex_roots_shrinks_by_the_root_of_α(α, λ, part):
    low, high = (1 - np.sqrt(α)) ** 2, (1 + np.sqrt(α)) ** 2
    ρ = rate(optim.Momentum((low + part * (high - low)) / λ, α), λ)
    assert ρ == pytest.approx(np.sqrt(α), rel=1e-9)


def test_descent_shrinks_the_error_at_the_rate_of_theory():
    λ = np.array([1.0, 9.0])
    w, optimizer = gl.Variable(np.array([1.0, 1.0])), optim.SGD(lr=0.2)
    state = optimizer.init([w])
    for k in range(1, 21):
        optimizer.minimize(lambda: 0.5 * (λ * w * w).sum(), state)
        np.testing.assert_allclose(np.abs(w.numpy()), 0.8**k, rtol=1e-12)


@pytest.mark.parametrize("form", ["lecture", "torch"])
@pytest.mark.parametrize("kind", [optim.Momentum, optim.Nesterov])
def test_without_momentum_it_is_gradient_descent(problem, kind, form):
    weights = [gl.Variable(w) for w in problem.start.values()]
    plain, heavy = optim.SGD(0.1), kind(0.1, momentum=0.0, form=form)
    state, other = plain.init(problem.weights), heavy.init(weights)
    for _ in range(10):
        plain.minimize(problem.loss, state)
        after = problem.values()
        swap = dict(zip(problem.weights, weights, strict=True))
        problem.weights, kept = swap, problem.weights
        heavy.minimize(problem.loss, other)
        np.testing.assert_equal(problem.values(), after)
        problem.weights = kept


def test_nesterov_after_the_change_of_variables_is_keras_rule_under_any_rate():
    # φ ← φ + αv − ηg at φ = θ + αv, while η changes and α does not.
    def gradient(φ):
        return np.tanh(φ) + 0.1 * φ

    α, θ = 0.8, np.array([2.0, -1.0])
    φ, u = θ.copy(), np.zeros(2)
    optimizer = optim.Nesterov(lambda t: 0.2 / (1 + t), α)
    θ, slots = gl.tensor(θ), {"v": gl.tensor(np.zeros(2))}
    for t in range(30):
        h = optimizer.hyperparameters(t)
        point = optimizer.interim(θ, slots, h)
        np.testing.assert_allclose(point, φ, rtol=1e-12)
        θ, slots = optimizer.rule(θ, gl.tensor(gradient(point.numpy())), slots, h, t + 1)
        g = gradient(φ)
        u = α * u - h["lr"] * g
        φ = φ + α * u - h["lr"] * g


def test_adam_as_the_lecture_writes_it(problem):
    θ, s, r = problem.values(), [0.0] * 4, [0.0] * 4
    optimizer = optim.Adam(lambda t: 0.1 / (1 + t), 0.7, 0.95, 1e-3)
    state = optimizer.init(problem.weights)
    for t in range(1, 31):
        with gl.GradientTape() as tape:
            loss = problem.loss()
        for i, g in enumerate(tape.gradient(loss, state.weights)):
            s[i] = 0.7 * s[i] + (1 - 0.7) * g.numpy()
            r[i] = 0.95 * r[i] + (1 - 0.95) * g.numpy() ** 2
            s_hat, r_hat = s[i] / (1 - 0.7**t), r[i] / (1 - 0.95**t)
            θ[i] = θ[i] - 0.1 / t * s_hat / (1e-3 + np.sqrt(r_hat))
        optimizer.minimize(problem.loss, state, epoch=t - 1)
        for mine, theirs in zip(problem.values(), θ, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-12)


def test_adamw_is_adam_with_decoupled_decay(problem):
    rng = np.random.default_rng(0)
    one, two = (
        optim.AdamW(0.1, weight_decay=0.3),
        optim.Chain(optim.DecoupledDecay(0.3), optim.Adam(0.1)),
    )
    assert two.hyperparameters(0).keys() == one.hyperparameters(0).keys()
    θ = φ = gl.tensor(rng.normal(size=(3, 2)))
    s = z = {name: gl.tensor(np.zeros((3, 2))) for name in one.slots}
    for t in range(1, 20):
        g = gl.tensor(rng.normal(size=(3, 2)))
        θ, s = one.rule(θ, g, s, one.hyperparameters(t), t)
        φ, z = two.rule(φ, g, z, two.hyperparameters(t), t)
        np.testing.assert_array_equal(θ, φ)


@given(st.lists(st.floats(-1e3, 1e3), min_size=4, max_size=4), st.floats(0.01, 1e4))
def test_clipping_keeps_the_direction_and_bounds_the_norm(numbers, limit):
    gradients = [gl.tensor(np.array(numbers[:1])), gl.tensor(np.array(numbers[1:]))]
    clipped = optim.ClipNorm(limit).on_gradients([], gradients, {"clip_norm": limit})
    before, after = np.array(numbers), np.concatenate([g.numpy() for g in clipped])
    norm = np.linalg.norm(before)
    expected = before if norm <= limit else before * (limit / norm)
    np.testing.assert_allclose(after, expected, rtol=1e-12, atol=1e-150)


@pytest.mark.parametrize("biases", [True, False])
def test_decay_spares_the_biases_on_request(biases):
    weights = [gl.tensor(np.ones((2, 2))), gl.tensor(np.ones(2)), gl.tensor(np.array(1.0))]
    zeros = [gl.tensor(np.zeros(w.shape)) for w in weights]
    h = {"lr": 1.0, "weight_decay": 0.5}
    grown = optim.WeightDecay(0.5, biases).on_gradients(weights, zeros, h)
    shrunk = optim.DecoupledDecay(0.5, biases).on_weights(weights, zeros, h)
    for i, (g, w) in enumerate(zip(grown, shrunk, strict=True)):
        expected = 0.5 if biases or i == 0 else 0.0
        assert (g.numpy() == expected).all()
        assert (w.numpy() == -expected).all()
