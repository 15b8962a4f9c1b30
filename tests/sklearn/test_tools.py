"""In the hands of scikit-learn's tools: searches, pipelines, copies, frames and threads."""

import dataclasses
import pickle
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gradlab import optim, schedule
from gradlab.sklearn import MLPClassifier, MLPRegressor
from gradlab.sklearn.programs import programs
from tests.sklearn.twins import TARGETS, WEIGHTS, X

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

Y = TARGETS["multiclass"]
SETTINGS = {"hidden_layer_sizes": (5,), "batch_size": 10, "max_iter": 3, "random_state": 0}
BEYOND = {
    "optimizer": optim.Momentum(0.02 * schedule.Exponential(0.5)),
    "schedule": "cosine",
    "init": "kaiming_normal",
    "activation": ["tanh"],
    "dropout": [0.1],
    "class_weight": {0: 2.0, 3: 1.0, 6: 1.0},
    "batch_size": 10 * schedule.StepGrowth(every=2, factor=2),
}


def search(model, grid, **options):
    return GridSearchCV(model, grid, cv=KFold(2), error_score="raise", **options).fit(X, Y)


def test_a_search_compiles_once_for_all_candidates_of_a_shape():
    model = MLPClassifier(**SETTINGS | {"hidden_layer_sizes": (6,)})
    before = programs.made
    grid = {"alpha": [0.0, 0.1], "learning_rate_init": [1e-3, 0.02], "beta_1": [0.0, 0.9]}
    search(model, grid)
    assert programs.made == before + 1
    search(model, {"beta_2": [0.9], "epsilon": [1e-4], "shuffle": [False], "random_state": [7]})
    search(model, {"early_stopping": [True], "schedule": ["linear"], "init": ["orthogonal"]})
    search(model, {"class_weight": [None, "balanced"], "tol": [0.1]})
    assert programs.made == before + 1
    search(model, {"hidden_layer_sizes": [(6,), (7,)], "alpha": [0.0, 1.0]})
    assert programs.made == before + 2
    sgd = clone(model).set_params(solver="sgd")
    grid = {"momentum": [0.0, 0.5], "learning_rate": ["constant", "invscaling", "adaptive"]}
    search(sgd, grid)
    assert programs.made == before + 3


SLOWED = {"by": 1.0}


@dataclasses.dataclass(frozen=True)
class Slowed(optim.Optimizer):
    lr: float = dataclasses.field(default=0.1, metadata=optim.hyper())

    def rule(self, θ, g, slots, h, t):
        return θ - h["lr"] * SLOWED["by"] * g, slots


def test_what_an_optimizer_of_ones_own_reads_counts(monkeypatch):
    options = SETTINGS | {"optimizer": Slowed()}
    first = MLPClassifier(**options).fit(X, Y).coefs_[0]
    monkeypatch.setitem(SLOWED, "by", 0.5)
    assert not np.array_equal(MLPClassifier(**options).fit(X, Y).coefs_[0], first)
    monkeypatch.undo()
    np.testing.assert_array_equal(MLPClassifier(**options).fit(X, Y).coefs_[0], first)


def test_a_search_on_several_threads_finds_the_same():
    grid = {"alpha": [0.0, 1.0], "learning_rate_init": [1e-3, 0.05]}
    alone = search(MLPClassifier(**SETTINGS), grid)
    with joblib.parallel_backend("threading"):
        together = search(MLPClassifier(**SETTINGS), grid, n_jobs=2)
    for key in ("mean_test_score", "std_test_score", "params"):
        assert np.array_equal(alone.cv_results_[key], together.cv_results_[key]), key
    assert together.best_estimator_.loss_curve_ == alone.best_estimator_.loss_curve_


def test_a_search_in_other_processes_finds_the_same():
    models = [MLPClassifier(**SETTINGS), MLPClassifier(**SETTINGS | BEYOND)]
    with joblib.Parallel(n_jobs=2, backend="loky") as parallel:
        elsewhere = parallel(joblib.delayed(clone(model).fit)(X, Y) for model in models)
    for model, found in zip(models, elsewhere, strict=True):
        assert found.loss_curve_ == model.fit(X, Y).loss_curve_
        np.testing.assert_array_equal(found.predict_proba(X), model.predict_proba(X))


def test_fits_in_threads_at_once_are_those_of_one_after_another():
    """Also where the threads meet at a program that is not there yet: it is made once."""

    def fit(seed):
        settings = SETTINGS | {"hidden_layer_sizes": (3, 2), "random_state": seed, "max_iter": 40}
        model = MLPRegressor(**settings, dropout=0.2, n_iter_no_change=40)
        model.fit(X, TARGETS["outputs"])
        return [*model.coefs_, *model.intercepts_, model.loss_curve_, model.predict(X)]

    before = programs.made
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(fit, range(8)))
    assert programs.made == before + 1
    for seed, found in enumerate(together):
        for a, b in zip(found, fit(seed), strict=True):
            np.testing.assert_array_equal(a, b)


def test_scores_across_splits_in_a_pipeline():
    x, y = load_iris(return_X_y=True)
    x = x * [1, 1000, 1, 0.001]  # nothing is learnt from it unless scaled
    options = {"learning_rate_init": 0.05, "batch_size": 10, "tol": 1e-3, "random_state": 0}
    model = make_pipeline(StandardScaler(), MLPClassifier((5,), **options))
    assert cross_val_score(model, x, y, cv=5).mean() > 0.93
    assert model.set_params(mlpclassifier__alpha=2.0)[-1].alpha == 2.0


@pytest.mark.parametrize("settings", [SETTINGS, SETTINGS | BEYOND], ids=["plain", "beyond"])
def test_copies(settings, tmp_path):
    model = MLPClassifier(**settings)
    # Of settings, and of all that was learnt: a copy goes on as the original does.
    twin = clone(model.fit(X, Y))
    assert not hasattr(twin, "coefs_")
    assert repr(twin.get_params()) == repr(model.get_params())
    assert twin.fit(X, Y).loss_curve_ == model.loss_curve_
    joblib.dump(model, tmp_path / "model.joblib")
    for copy in (pickle.loads(pickle.dumps(model)), joblib.load(tmp_path / "model.joblib")):
        np.testing.assert_array_equal(copy.predict_proba(X), model.predict_proba(X))
        copy.partial_fit(X, Y)
        again = pickle.loads(pickle.dumps(twin)).partial_fit(X, Y)
        assert copy.loss_curve_ == again.loss_curve_
        assert len(copy.loss_curve_) == 4


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_and_the_names_of_features(library):
    frames = pytest.importorskip(library)

    def make(names, values):
        return frames.DataFrame(dict(zip(names, values.T, strict=True)))

    frame, series = make("abcd", X), make("y", Y[:, None])["y"]
    model, plain = MLPClassifier(**SETTINGS).fit(frame, series), MLPClassifier(**SETTINGS).fit(X, Y)
    assert list(model.feature_names_in_) == ["a", "b", "c", "d"]
    assert model.n_features_in_ == 4
    assert not hasattr(plain, "feature_names_in_")
    assert model.loss_curve_ == plain.loss_curve_
    np.testing.assert_array_equal(model.predict(frame), plain.predict(X))
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(make("dbca", X))
    with pytest.raises(ValueError, match="feature names should match"):
        model.partial_fit(make("dbca", X), series)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X)
    targets = make("uv", TARGETS["outputs"])
    found = MLPRegressor(**SETTINGS).fit(frame, targets).predict(frame)
    np.testing.assert_array_equal(
        found, MLPRegressor(**SETTINGS).fit(X, TARGETS["outputs"]).predict(X)
    )


def test_what_is_written_into_the_weights_counts():
    model = MLPClassifier(**SETTINGS).fit(X, Y)
    twin = pickle.loads(pickle.dumps(model))
    for coef in model.coefs_:
        coef[:] = 0
    model.intercepts_[-1][:] = np.log([0.5, 0.3, 0.2])
    np.testing.assert_allclose(model.predict_proba(X), np.tile([0.5, 0.3, 0.2], (len(X), 1)))
    model.partial_fit(X, Y)
    assert not np.allclose(model.loss_, twin.partial_fit(X, Y).loss_, rtol=1e-3)


def test_scores_take_weights():
    model = MLPRegressor(**SETTINGS).fit(X, TARGETS["regression"], sample_weight=WEIGHTS)
    residual = TARGETS["regression"] - model.predict(X)
    mean = np.average(TARGETS["regression"], weights=WEIGHTS)
    spread = np.average((TARGETS["regression"] - mean) ** 2, weights=WEIGHTS)
    expected = 1 - np.average(residual**2, weights=WEIGHTS) / spread
    found = model.score(X, TARGETS["regression"], sample_weight=WEIGHTS)
    np.testing.assert_allclose(found, expected)


class Narrow(MLPClassifier):
    """With parameters of its own, as scikit-learn's classes allow."""

    def __init__(self, width=3, random_state=None):
        self.width = width
        super().__init__((width,), random_state=random_state, batch_size=10, tol=0.1)


def test_a_class_of_ones_own_may_have_other_parameters():
    model = clone(Narrow(4, random_state=0)).fit(X, TARGETS["multiclass"])
    assert model.get_params() == {"width": 4, "random_state": 0}
    assert model.coefs_[0].shape == (4, 4)
