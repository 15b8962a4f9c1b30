"""Settings and data that do not fit, trainings that diverge or are interrupted."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from gradlab import optim
from gradlab.execute import Loop
from gradlab.sklearn import MLPClassifier, MLPRegressor, descent
from tests.sklearn.twins import TARGETS, X

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

Y = TARGETS["multiclass"]
SETTINGS = {"hidden_layer_sizes": (5,), "batch_size": 10, "max_iter": 2, "random_state": 0}

BAD = [
    ({"solver": "sdg"}, "unknown solver 'sdg'; did you mean 'sgd'"),
    ({"solver": None}, "unknown solver 'None'"),
    ({"activation": "rely"}, "unknown activation 'rely'; did you mean 'relu'"),
    ({"activation": ["relu", "tanh"]}, "activation has 2 entries for 1 hidden layers"),
    ({"activation": []}, "activation has 0 entries for 1 hidden layers"),
    ({"activation": np.tanh}, "activation is <ufunc 'tanh'>; give a name, or a list of one"),
    ({"learning_rate": "fast"}, "unknown learning_rate 'fast'"),
    ({"alpha": -1}, "alpha is -1; give a number from 0 up"),
    ({"alpha": float("nan")}, "alpha is nan; give a number from 0 up"),
    ({"alpha": "0.1"}, "alpha is '0.1'; give a number from 0 up"),
    ({"learning_rate_init": 0}, "learning_rate_init is 0; give a number above 0"),
    ({"power_t": -0.5}, "power_t is -0.5"),
    ({"momentum": 1}, "momentum is 1; give a number from 0 to below 1"),
    ({"beta_1": 1.0}, "beta_1 is 1.0"),
    ({"beta_2": -0.1}, "beta_2 is -0.1"),
    ({"epsilon": 0.0}, "epsilon is 0.0"),
    ({"tol": -1}, "tol is -1"),
    ({"validation_fraction": 1.0}, "validation_fraction is 1.0"),
    ({"max_iter": 0}, "max_iter is 0; give a whole number from 1 up"),
    ({"max_iter": 1.5}, "max_iter is 1.5; give a whole number from 1 up"),
    ({"max_fun": True}, "max_fun is True"),
    ({"n_iter_no_change": 0}, "n_iter_no_change is 0"),
    ({"shuffle": "yes"}, "shuffle is 'yes'; give True or False"),
    ({"early_stopping": 2}, "early_stopping is 2; give True or False"),
    ({"hidden_layer_sizes": 0}, r"hidden_layer_sizes is .*; give whole numbers from 1 up"),
    ({"hidden_layer_sizes": (5, -1)}, r"hidden_layer_sizes is .*; give whole numbers from 1 up"),
    ({"hidden_layer_sizes": 2.5}, r"hidden_layer_sizes is .*; give whole numbers from 1 up"),
    ({"batch_size": 0}, "batch_size is 0; give 'auto', a whole number from 1 up, or a schedule"),
    ({"batch_size": "all"}, "batch_size is 'all'"),
    ({"batch_size": 2.5}, "batch_size is 2.5"),
    ({"dropout": 1}, "dropout is 1; give a number from 0 to below 1"),
    ({"dropout": None}, "dropout is None"),
    ({"dropout": [0.1, 0.1]}, "dropout has 2 entries for 1 hidden layers"),
    ({"optimizer": "adm"}, "unknown optimizer 'adm'; did you mean 'adam'"),
    ({"optimizer": "adam(lr=-1)"}, "lr is -1"),
    ({"optimizer": optim.Adam}, "optimizer is <class .*>; give one of gradlab.optim"),
    ({"schedule": "cosin"}, "unknown schedule 'cosin'; did you mean 'cosine'"),
    ({"schedule": 0.5}, "schedule is 0.5; give one of gradlab.schedule"),
    ({"init": "kaiming"}, "unknown initializer 'kaiming'"),
    ({"solver": "lbfgs", "optimizer": "adam"}, "solver 'lbfgs' takes no optimizer"),
    ({"class_weight": {9: 1.0}}, "class_weight has 9, which is no class"),
    ({"class_weight": "equal"}, "'class_weight'.*'equal'"),
    ({"random_state": "first"}, "'first' cannot be used to seed"),
    ({"early_stopping": True, "validation_fraction": 0.02}, "The validation set is too small"),
]


def name(case):
    return ", ".join(f"{key}={value}" for key, value in case.items())[:50]


@pytest.mark.parametrize(("bad", "message"), BAD, ids=[name(case) for case, _ in BAD])
def test_a_setting_out_of_range_is_named_in_one_line(bad, message):
    model = MLPClassifier(**SETTINGS | bad)  # as scikit-learn has it, nothing is said here
    with pytest.raises(ValueError, match=message) as raised:
        model.fit(X, Y)
    assert "\n" not in str(raised.value)


def test_an_unknown_loss():
    with pytest.raises(ValueError, match="unknown loss 'poison'; did you mean 'poisson'"):
        MLPRegressor("poison").fit(X, TARGETS["regression"])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_data_that_are_no_numbers(value):
    x = X.copy()
    x[3, 1] = value
    fitted = MLPClassifier(**SETTINGS).fit(X, Y)
    for call in (MLPClassifier(**SETTINGS).fit, fitted.partial_fit):
        with pytest.raises(ValueError, match="Input X contains"):
            call(x, Y)
    with pytest.raises(ValueError, match="Input X contains"):
        fitted.predict(x)
    with pytest.raises(ValueError, match="Input y contains"):
        MLPRegressor(**SETTINGS).fit(X, x[:, 1])
    with pytest.raises(ValueError, match="sample_weight contains"):
        MLPClassifier(**SETTINGS).fit(X, Y, sample_weight=x[:, 1])


def test_data_of_other_shapes():
    fitted = MLPClassifier(**SETTINGS).fit(X, Y)
    for call in (fitted.predict, lambda x: fitted.partial_fit(x, Y)):
        with pytest.raises(ValueError, match=r"X has 3 features.* expecting 4"):
            call(X[:, :3])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        fitted.fit(X, Y[:-1])
    with pytest.raises(ValueError, match=r"sample_weight.shape == \(3,\)"):
        fitted.fit(X, Y, sample_weight=np.ones(3))


def test_nothing_is_predicted_before_fit():
    for method in ("predict", "predict_proba", "predict_log_proba"):
        with pytest.raises(NotFittedError):
            getattr(MLPClassifier(), method)(X)


class TestPartialFit:
    def test_needs_the_classes_at_first(self):
        with pytest.raises(ValueError, match="classes must be passed on the first call"):
            MLPClassifier(**SETTINGS).partial_fit(X, Y)

    def test_keeps_to_its_classes(self):
        model = MLPClassifier(**SETTINGS).partial_fit(X, Y, classes=[0, 3, 6])
        with pytest.raises(ValueError, match="not the same as at the last call to partial_fit"):
            model.partial_fit(X, Y, classes=[0, 3])
        with pytest.raises(ValueError, match=r"`y` has classes not in `self\.classes_`"):
            model.partial_fit(X, np.full(len(X), 4))

    def test_cannot_balance(self):
        model = MLPClassifier(**SETTINGS, class_weight="balanced")
        with pytest.raises(ValueError, match="class_weight 'balanced' needs all rows"):
            model.partial_fit(X, Y, classes=[0, 3, 6])

    def test_does_not_stop_early(self):
        model = MLPClassifier(**SETTINGS, early_stopping=True)
        with pytest.raises(ValueError, match="partial_fit does not support early_stopping"):
            model.partial_fit(X, Y, classes=[0, 3, 6])

    @pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
    def test_is_not_there_with_lbfgs(self, kind):
        assert hasattr(kind(), "partial_fit")
        assert not hasattr(kind(solver="lbfgs"), "partial_fit")


def test_a_warm_start_with_other_layers_or_classes():
    model = MLPClassifier(**SETTINGS, warm_start=True).fit(X, Y)
    with pytest.raises(ValueError, match="same classes as in the previous"):
        model.fit(X, Y % 2)
    before = model.predict_proba(X)
    model.set_params(hidden_layer_sizes=(4,))
    with pytest.raises(ValueError, match=r"are \(4, 4, 3\), but .* of \(4, 5, 3\)"):
        model.fit(X, Y)
    np.testing.assert_array_equal(model.predict_proba(X), before)
    model.set_params(hidden_layer_sizes=(5,)).fit(X, Y)
    assert len(model.loss_curve_) == 4


@pytest.mark.parametrize(
    "bad",
    [
        {"alpha": -1},
        {"optimizer": "adm"},
        {"schedule": "cosin"},
        {"hidden_layer_sizes": (5, 4), "warm_start": True},
        {"class_weight": "equal"},
        {"class_weight": {7: 1.0}},
        {"init": "kaiming"},
        {"early_stopping": True, "validation_fraction": 0.02},
    ],
    ids=name,
)
def test_a_setting_that_is_refused_leaves_what_was_learnt(bad):
    model = MLPClassifier(**SETTINGS).fit(X, Y)
    before, curve = model.predict_proba(X), list(model.loss_curve_)
    with pytest.raises(ValueError):
        model.set_params(**bad).fit(X, Y)
    np.testing.assert_array_equal(model.predict_proba(X), before)
    assert model.loss_curve_ == curve


@pytest.mark.parametrize(
    "bad", [{"alpha": -1}, {"optimizer": "adm"}, {"init": "kaiming"}], ids=name
)
def test_a_setting_that_is_refused_leaves_nothing_to_predict_with(bad):
    model = MLPClassifier(**SETTINGS | bad)
    for call in (model.fit, lambda x, y: model.partial_fit(x, y, classes=[0, 3, 6])):
        with pytest.raises(ValueError):
            call(X, Y)
        with pytest.raises(NotFittedError):
            model.predict(X)


def test_counts_below_0_have_no_poisson_loss():
    with pytest.raises(ValueError, match="y has values below 0, for which loss 'poisson'"):
        MLPRegressor("poisson", **SETTINGS).fit(X, np.linspace(-1, 1, len(X)))


@pytest.mark.parametrize("setting", [{"dropout": 0.5}, {"schedule": "cosine"}], ids=name)
def test_lbfgs_refuses_what_belongs_to_single_updates(setting):
    with pytest.raises(ValueError, match="solver 'lbfgs' takes no"):
        MLPClassifier(**SETTINGS | setting, solver="lbfgs").fit(X, Y)


def test_a_training_that_diverges_says_so_and_can_begin_anew():
    settings = SETTINGS | {"solver": "sgd", "max_iter": 50}
    model = MLPRegressor(**settings, learning_rate_init=1e4)
    with pytest.raises(
        ValueError, match=r"non-finite parameter weights.* lower learning_rate_init"
    ):
        model.fit(X, TARGETS["regression"])
    with pytest.raises(NotFittedError):
        model.predict(X)
    model.set_params(learning_rate_init=1e-3).fit(X, TARGETS["regression"])
    fresh = MLPRegressor(**settings, learning_rate_init=1e-3).fit(X, TARGETS["regression"])
    assert model.loss_curve_ == fresh.loss_curve_
    assert model.n_iter_ == fresh.n_iter_


def interrupt(monkeypatch, updates):
    """One update at a time, and Ctrl-C after so many."""
    monkeypatch.setattr(descent, "SLICE_SECONDS", 0.0)
    run, left = Loop.run_from, [updates]

    def run_from(*arguments):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return run(*arguments)

    monkeypatch.setattr(Loop, "run_from", run_from)


def test_an_interrupted_fit_keeps_its_weights(monkeypatch):
    settings = SETTINGS | {"n_iter_no_change": 50}
    expected = MLPClassifier(**settings).fit(X, Y)  # 2 epochs of 5 updates
    model = MLPClassifier(**settings | {"max_iter": 50})
    with monkeypatch.context() as patch:
        interrupt(patch, 10)
        with pytest.warns(UserWarning, match=r"^Training interrupted by user\.$"):
            model.fit(X, Y)
    for found, value in zip(model.coefs_, expected.coefs_, strict=True):
        np.testing.assert_array_equal(found, value)
    np.testing.assert_array_equal(model.predict(X), expected.predict(X))
    model.set_params(max_iter=2)
    assert model.partial_fit(X, Y).n_iter_ == 1
    assert model.fit(X, Y).loss_curve_ == expected.loss_curve_


def test_an_interrupted_fit_that_stops_early_keeps_the_best_weights(monkeypatch):
    settings = SETTINGS | {"early_stopping": True, "validation_fraction": 0.2}  # 4 updates
    expected = MLPClassifier(**settings).fit(X, Y)
    model = MLPClassifier(**settings | {"max_iter": 50})
    with monkeypatch.context() as patch:
        interrupt(patch, 2 * 4 + 1)
        with pytest.warns(UserWarning, match="Training interrupted by user"):
            model.fit(X, Y)
    assert model.n_iter_ == 2
    assert model.loss_curve_ == expected.loss_curve_
    assert model.validation_scores_ == expected.validation_scores_
    for found, value in zip(model.coefs_, expected.coefs_, strict=True):
        np.testing.assert_array_equal(found, value)


def test_a_fit_warns_at_the_line_of_the_user():
    for call in (
        lambda model: model.fit(X, Y),
        lambda model: model.partial_fit(X, Y, classes=[0, 3, 6]),
        lambda model: model.set_params(solver="lbfgs").fit(X, Y),
    ):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            call(MLPClassifier(**SETTINGS | {"batch_size": 1000, "hidden_layer_sizes": ()}))
        assert caught
        assert {warning.filename for warning in caught} == {__file__}
