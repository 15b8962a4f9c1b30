"""What scikit-learn has not: against loops written by hand, and formulas."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight

from gradlab import init, nn, optim, schedule
from gradlab.data import batch_runs
from gradlab.sklearn import MLPClassifier, MLPRegressor
from gradlab.sklearn.network import Network
from gradlab.sklearn.programs import programs, updates
from tests.sklearn.twins import ROWS, TARGETS, WEIGHTS, X

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

Y = TARGETS["multiclass"]
NUMBERS = np.searchsorted(np.unique(Y), Y)
STILL = "sgd(lr=0.0)"
"""Weights stay as they are drawn."""
PLAIN = {"hidden_layer_sizes": (5,), "batch_size": 10, "random_state": 0, "shuffle": False}
ALPHA = 0.1


def first_weights(**settings):
    """Weight and bias of each layer in turn, in the layout of ``nn.Linear``."""
    model = MLPClassifier(**PLAIN | settings, optimizer=STILL, max_iter=1).fit(X, Y)
    pairs = zip(model.coefs_, model.intercepts_, strict=True)
    return [part for coef, bias in pairs for part in (coef.T.copy(), bias.copy())]


def by_hand(optimizer, batch_size=10, epochs=3, rate=None):
    """Losses of the epochs, with one eager update after another."""
    model = nn.MLP((4, 5, 3), dtype="float64")
    parameters = model.parameters()
    for parameter, value in zip(parameters, first_weights(), strict=True):
        parameter.assign(value)
    state, losses = optimizer.init(model), []
    for epoch in range(epochs):
        start, total = 0, 0.0
        while start < ROWS:
            time = epoch + start / ROWS
            size = int(batch_size(time)) if callable(batch_size) else batch_size
            x, y = X[start : start + size], NUMBERS[start : start + size]

            def objective(x=x, y=y):
                squares = sum((w**2).sum() for w in parameters[::2])
                return nn.cross_entropy(model(x), y) + 0.5 * ALPHA * squares / len(x)

            hyper = optimizer.hyperparameters(time)
            hyper["lr"] *= 1 if rate is None else float(rate(time))
            total += len(x) * float(optimizer.minimize(objective, state, hyper))
            start += len(x)
        losses.append(total / ROWS)
    return losses


@pytest.mark.parametrize("name", optim.optimizers)
def test_every_optimizer_goes_its_way(name):
    optimizer = optim.optimizers.build(f"{name}(lr=0.02)")
    for given in (f"{name}(lr=0.02)", optimizer):
        model = MLPClassifier(**PLAIN, alpha=ALPHA, optimizer=given, max_iter=3).fit(X, Y)
        np.testing.assert_allclose(model.loss_curve_, by_hand(optimizer), rtol=1e-11)


def test_an_optimizer_with_a_schedule_of_its_own_and_transforms():
    optimizer = optim.Chain(
        optim.ClipNorm(0.5), optim.Momentum(0.3 * schedule.Exponential(0.5), momentum=0.8)
    )
    settings = PLAIN | {"alpha": ALPHA, "optimizer": optimizer, "max_iter": 3}
    model = MLPClassifier(**settings).fit(X, Y)
    np.testing.assert_allclose(model.loss_curve_, by_hand(optimizer), rtol=1e-11)
    half = schedule.Constant(0.5)
    model = MLPClassifier(**settings, schedule=half).fit(X, Y)
    np.testing.assert_allclose(model.loss_curve_, by_hand(optimizer, rate=half), rtol=1e-11)


@pytest.mark.parametrize(
    ("given", "rate"),
    [
        ("cosine", schedule.Cosine(epochs=4)),  # over max_iter epochs
        ("step(every=2, gamma=0.1)", schedule.Step(every=2, gamma=0.1)),
        (schedule.Warmup(over=2), schedule.Warmup(over=2)),
        (lambda t: 1 / (1 + t), lambda t: 1 / (1 + t)),
    ],
)
def test_a_schedule_multiplies_the_learning_rate(given, rate):
    settings = PLAIN | {"alpha": ALPHA, "optimizer": "momentum(lr=0.02)", "schedule": given}
    model = MLPClassifier(**settings, max_iter=4).fit(X, Y)
    expected = by_hand(optim.Momentum(0.02), epochs=4, rate=rate)
    np.testing.assert_allclose(model.loss_curve_, expected, rtol=1e-11)
    # And so in a row of partial fits, for which time goes on.
    if not isinstance(given, str):
        model = MLPClassifier(**settings)
        for _ in range(4):
            model.partial_fit(X, Y, classes=np.unique(Y))
        np.testing.assert_allclose(model.loss_curve_, expected, rtol=1e-11)


def test_a_schedule_of_a_solver():
    halves = MLPClassifier(**PLAIN, max_iter=3, schedule=schedule.Constant(0.5)).fit(X, Y)
    half = MLPClassifier(**PLAIN, max_iter=3, learning_rate_init=0.0005).fit(X, Y)
    np.testing.assert_allclose(halves.loss_curve_, half.loss_curve_, rtol=1e-13)


def test_batches_grow():
    growing = 10 * schedule.StepGrowth(every=1, factor=2)
    model = MLPClassifier(
        **PLAIN | {"batch_size": growing}, alpha=ALPHA, optimizer="momentum(lr=0.02)", max_iter=3
    ).fit(X, Y)
    expected = by_hand(optim.Momentum(0.02), batch_size=growing)
    np.testing.assert_allclose(model.loss_curve_, expected, rtol=1e-11)


def test_first_weights_of_an_initializer():
    drawn = np.random.RandomState(0).randint(2**31 - 1)
    for given in ("kaiming_normal", init.initializers.build("kaiming_normal")):
        expected = nn.MLP((4, 5, 3), dtype="float64")
        init.initialize(expected, given, int(drawn))
        for found, value in zip(first_weights(init=given), expected.parameters(), strict=True):
            np.testing.assert_array_equal(found, value.numpy())
    first, _, second, _ = first_weights(init="orthogonal")
    np.testing.assert_allclose(first.T @ first, np.eye(4), atol=1e-12)
    np.testing.assert_allclose(second @ second.T, np.eye(3), atol=1e-12)
    assert not np.array_equal(first, first_weights(init="orthogonal", random_state=1)[0])


def test_an_activation_for_each_layer():
    settings = {
        "hidden_layer_sizes": (5, 4),
        "activation": ["tanh", "leaky_relu(negative_slope=0.3)"],
        "batch_size": ROWS,
        "alpha": 0.0,
        "max_iter": 3,
    }
    model = MLPClassifier(**settings, optimizer=STILL).fit(X, Y)
    h = np.tanh(X @ model.coefs_[0] + model.intercepts_[0])
    z = h @ model.coefs_[1] + model.intercepts_[1]
    z = np.where(z > 0, z, 0.3 * z) @ model.coefs_[2] + model.intercepts_[2]
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(X), p, rtol=1e-12)
    loss = -np.log(p[np.arange(ROWS), NUMBERS]).mean()
    np.testing.assert_allclose(model.loss_curve_, [loss] * 3, rtol=1e-12)


def test_one_activation_is_that_of_all_layers():
    settings = PLAIN | {"hidden_layer_sizes": (5, 4), "max_iter": 2}
    one = MLPClassifier(**settings, activation="logistic").fit(X, Y)
    each = MLPClassifier(**settings, activation=("logistic", "logistic")).fit(X, Y)
    assert one.loss_curve_ == each.loss_curve_


def test_dropout_has_the_variance_of_its_masks():
    """The squared error grows by that of Σ mⱼ hⱼ wⱼ / (1 − p): Σ (hⱼ wⱼ)² p / (1 − p)."""
    p, epochs = 0.3, 400
    settings = {
        "hidden_layer_sizes": (5,),
        "activation": "tanh",
        "optimizer": STILL,
        "batch_size": ROWS,
        "alpha": 0.0,
        "max_iter": epochs,
        "n_iter_no_change": epochs,
        "random_state": 0,
    }
    y = TARGETS["regression"]
    model = MLPRegressor(**settings, dropout=p).fit(X, y)
    h = np.tanh(X @ model.coefs_[0] + model.intercepts_[0])
    z = (h @ model.coefs_[1] + model.intercepts_[1])[:, 0]
    np.testing.assert_allclose(model.predict(X), z, rtol=1e-12)  # nothing is dropped here
    added = (h * model.coefs_[1][:, 0]) ** 2 * p / (1 - p)
    expected = 0.5 * ((z - y) ** 2 + added.sum(axis=1)).mean()
    error = np.std(model.loss_curve_, ddof=1) / epochs**0.5
    assert error < 0.02 * expected
    assert abs(np.mean(model.loss_curve_) - expected) < 5 * error
    assert model.loss_curve_ == MLPRegressor(**settings, dropout=[p]).fit(X, y).loss_curve_
    other = MLPRegressor(**settings | {"random_state": 1}, dropout=p, init="zeros").fit(X, y)
    assert np.ptp(other.loss_curve_) < 1e-12  # where all units are 0, dropping changes nothing


def test_dropout_goes_on_through_partial_fits():
    settings = PLAIN | {"dropout": 0.3, "max_iter": 3}
    whole = MLPClassifier(**settings).fit(X, Y)
    parts = MLPClassifier(**settings)
    for _ in range(3):
        parts.partial_fit(X, Y, classes=np.unique(Y))
    assert whole.loss_curve_ == parts.loss_curve_
    assert whole.loss_curve_ != MLPClassifier(**PLAIN, max_iter=3).fit(X, Y).loss_curve_


@pytest.mark.parametrize("class_weight", [{0: 2.0, 3: 0.5}, {6: 3.0}, "balanced"])
@pytest.mark.parametrize("sample_weight", [None, WEIGHTS])
def test_a_class_weight_is_the_weight_of_its_rows(class_weight, sample_weight):
    counts = compute_sample_weight(class_weight, Y)
    if class_weight == "balanced":
        each = compute_class_weight("balanced", classes=np.unique(Y), y=Y)
        np.testing.assert_allclose(counts, each[NUMBERS])
    weights = counts if sample_weight is None else counts * sample_weight
    settings = PLAIN | {"max_iter": 3, "early_stopping": False}
    by_class = MLPClassifier(**settings, class_weight=class_weight).fit(X, Y, sample_weight)
    by_row = MLPClassifier(**settings).fit(X, Y, weights)
    assert by_class.loss_curve_ == by_row.loss_curve_


def test_balanced_classes_are_found_more_often():
    rng = np.random.default_rng(3)
    y = np.repeat(["rare", "often"], [40, 760])
    x = np.where(y == "rare", 1.0, -0.5)[:, None] + rng.normal(size=(800, 1))
    options = {"hidden_layer_sizes": (), "solver": "lbfgs", "random_state": 0}
    plain, balanced = (
        MLPClassifier(**options, class_weight=w).fit(x, y) for w in (None, "balanced")
    )
    assert np.mean(plain.predict(x) == "rare") < 0.05
    # Half of N(1, 1) and of N(−0.5, 1) is on either side of 0.25: Φ(−0.75) of the often.
    assert 0.18 < np.mean(balanced.predict(x) == "rare") < 0.32


def test_it_warns_where_it_has_not_converged():
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(1\)"):
        MLPClassifier(**PLAIN, max_iter=1).fit(X, Y)


@pytest.mark.parametrize("rates", [(0.2, 0.0), (0.0, 0.2)])
def test_dropout_between_partial_fits(rates):
    model = MLPClassifier(**PLAIN)
    for rate in rates:
        model.set_params(dropout=rate).partial_fit(X, Y, classes=np.unique(Y))
    assert len(model.loss_curve_) == 2


def test_a_class_weight_of_a_class_that_a_batch_lacks():
    model = MLPClassifier(**PLAIN, class_weight={0: 2.0}).partial_fit(X, Y, classes=np.unique(Y))
    twin = MLPClassifier(**PLAIN).partial_fit(X, Y, np.where(Y == 0, 2.0, 1.0), np.unique(Y))
    for each in (model, twin):
        each.partial_fit(X[Y > 0], Y[Y > 0])
    assert model.loss_curve_ == twin.loss_curve_


def test_a_batch_of_rows_that_count_nothing_changes_nothing():
    weights = np.where(np.arange(len(X)) < 10, 0.0, 1.0)  # the first of the batches
    settings = PLAIN | {"max_iter": 1, "solver": "sgd", "momentum": 0.0}
    with pytest.warns(ConvergenceWarning):
        model = MLPClassifier(**settings).fit(X, Y, weights)
    with pytest.warns(ConvergenceWarning):
        twin = MLPClassifier(**settings).fit(X[10:], Y[10:])
    for found, value in zip(model.coefs_, twin.coefs_, strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-12)


def test_a_warm_start_may_be_judged_in_another_way():
    model = MLPClassifier(**PLAIN, solver="lbfgs", max_iter=3, warm_start=True)
    with pytest.warns(ConvergenceWarning):
        model.fit(X, Y)
    for settings in ({"solver": "adam"}, {"early_stopping": True}, {"early_stopping": False}):
        with pytest.warns(ConvergenceWarning):
            model.set_params(**settings).fit(X, Y)
        assert len(model.loss_curve_) == 3


class Scaled(optim.SGD):
    """Reads what is no hyperparameter."""

    def __init__(self, lr, scale):
        super().__init__(lr)
        object.__setattr__(self, "scale", scale)

    def rule(self, θ, g, slots, h, t):
        return θ - self.scale * h["lr"] * g, slots


def test_optimizers_of_ones_own_share_no_program():
    def fitted(optimizer):
        with pytest.warns(ConvergenceWarning):
            return MLPClassifier(**PLAIN, max_iter=3, optimizer=optimizer).fit(X, Y).loss_curve_

    assert fitted(Scaled(0.1, 3.0)) == pytest.approx(fitted(optim.SGD(0.3)), rel=1e-12)
    assert fitted(Scaled(0.1, 1.0)) == pytest.approx(fitted(optim.SGD(0.1)), rel=1e-12)


def test_sizes_of_batches_that_differ_a_little_share_programs():
    model = MLPClassifier((3,), batch_size=lambda t: 33 + t, max_iter=6, random_state=0)
    before = programs.made
    with pytest.warns(ConvergenceWarning):
        model.fit(X, Y)
    runs = [run for epoch in range(6) for run in batch_runs(len(X), model.batch_size, epoch)]
    assert len({size for size, _ in runs}) >= 6
    assert programs.made - before == 2  # for 36 and 40 rows


def test_programs_hold_no_weights():
    network = Network((700, 500, 3), ("relu",), (0.0,), "softmax", "float32")
    for optimizer in (optim.AdaGrad(initial_accumulator=0.5), optim.Adam()):
        held = updates(network, optimizer).variables.values()
        assert all(v.numpy().strides == (0,) * v.ndim for v in held)


@pytest.mark.parametrize("classes", [2, 3])
def test_label_smoothing_is_training_on_smoothed_targets(classes):
    """The loss of the first update, by hand; targets of ε = 1 tell nothing."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 4)), rng.integers(0, classes, 60)
    settings = {"max_iter": 1, "batch_size": 60, "alpha": 0.0, "random_state": 0}
    plain = MLPClassifier((5,), **settings).fit(x, y)
    smooth = MLPClassifier((5,), label_smoothing=0.2, **settings).fit(x, y)
    untrained = MLPClassifier((5,), learning_rate_init=1e-12, **settings).fit(x, y)
    p = untrained.predict_proba(x)
    q = 0.8 * np.eye(classes)[y] + 0.2 / classes
    assert plain.loss_ == pytest.approx(-np.log(p[np.arange(60), y]).mean(), rel=1e-6)
    assert smooth.loss_ == pytest.approx(-(q * np.log(p)).sum(1).mean(), rel=1e-6)
    with pytest.raises(ValueError, match="label_smoothing must be a number from 0 to 1, got 2"):
        MLPClassifier(label_smoothing=2).fit(x, y)
