"""With the same random_state, the path of scikit-learn: every rule, to rounding."""

import inspect

import numpy as np
import pytest
import scipy.sparse
import sklearn.neural_network as theirs
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import gradlab.sklearn as ours
from tests.sklearn.twins import ROWS, TARGETS, WEIGHTS, X, both, pair, same

# Few shapes, since each is compiled; what is not compiled is drawn.
SHAPES = [
    ("binary", {"hidden_layer_sizes": (5,), "activation": "logistic"}),
    ("multiclass", {"hidden_layer_sizes": (5, 3), "activation": "tanh", "solver": "sgd"}),
    ("multilabel", {"hidden_layer_sizes": [5], "activation": "relu"}),
    ("regression", {"hidden_layer_sizes": ()}),
    ("outputs", {"hidden_layer_sizes": 5, "solver": "sgd", "nesterovs_momentum": False}),
    ("poisson", {"hidden_layer_sizes": (3,), "activation": "identity", "solver": "sgd"}),
]
RATES = st.floats(1e-3, 0.01)
DRAWN = st.fixed_dictionaries(
    {
        "alpha": st.sampled_from([0.0, 1e-4, 0.3]),
        "learning_rate_init": RATES,
        "learning_rate": st.sampled_from(["constant", "invscaling", "adaptive"]),
        "power_t": st.sampled_from([0.1, 0.5]),
        "momentum": st.sampled_from([0.0, 0.7, 0.9]),
        "beta_1": st.sampled_from([0.0, 0.8, 0.9]),
        "beta_2": st.sampled_from([0.9, 0.999]),
        "epsilon": st.sampled_from([1e-8, 1e-3]),
        "shuffle": st.booleans(),
        "random_state": st.integers(0, 2**32 - 1),
        "max_iter": st.integers(1, 9),
        "tol": st.sampled_from([0.0, 1e-2, 0.3]),
        "n_iter_no_change": st.sampled_from([1, 2, np.inf]),
        "early_stopping": st.booleans(),
        "validation_fraction": st.sampled_from([0.1, 0.3]),
        "warm_start": st.booleans(),
    }
)
INPUTS = {
    "dense": np.asarray,
    "csr": scipy.sparse.csr_array,
    "csc": scipy.sparse.csc_matrix,
    "columns": np.asfortranarray,
    "lists": np.ndarray.tolist,
}


@given(
    st.sampled_from(SHAPES), DRAWN, st.booleans(), st.sampled_from(list(INPUTS)), st.integers(1, 2)
)
@settings(max_examples=60)
def test_every_setting(shape, drawn, weighted, form, fits):
    task, fixed = shape
    estimators = pair(task, batch_size=10, **fixed, **drawn)
    x, weights = INPUTS[form](X), WEIGHTS if weighted else None
    if drawn["warm_start"] and drawn["early_stopping"]:
        fits = 1  # there scikit-learn's best weights are overwritten by the second fit
    for _ in range(fits):
        both(estimators, lambda model: model.fit(x, TARGETS[task], sample_weight=weights))
    same(estimators, x)


@given(
    st.sampled_from(SHAPES),
    DRAWN,
    st.lists(st.sampled_from(["first", "second", "weighted", "all"]), min_size=2, max_size=5),
    st.booleans(),
)
@settings(max_examples=30)
def test_partial_fits_in_any_order(shape, drawn, calls, fitted):
    task, fixed = shape
    options = fixed | drawn | {"early_stopping": False, "warm_start": False, "batch_size": 10}
    estimators, y = pair(task, **options), TARGETS[task]
    classes = {}
    if isinstance(estimators[0], ours.MLPClassifier):
        classes = {"classes": np.unique(y) if y.ndim == 1 else np.arange(y.shape[1])}
    rows = {"first": slice(0, 21), "second": slice(21, ROWS)}
    if fitted:
        both(estimators, lambda model: model.fit(X, y))
    for call in calls:
        chosen, weights = rows.get(call, slice(None)), WEIGHTS if call == "weighted" else None

        def step(model, chosen=chosen, weights=weights):
            model.partial_fit(X[chosen], y[chosen], sample_weight=weights, **classes)

        both(estimators, step)
    same(estimators, X)


def test_a_second_fit_that_finds_nothing_better_leaves_the_best_weights():
    model = ours.MLPClassifier(
        (5,), activation="logistic", batch_size=10, early_stopping=True, warm_start=True, max_iter=3
    )
    both([model], lambda model: model.fit(X, TARGETS["binary"]))
    model.best_validation_score_ = 1.0
    before = [part.copy() for part in model.coefs_]
    both([model], lambda model: model.fit(X, TARGETS["binary"]))
    for now, then in zip(model.coefs_, before, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize("batch_size", ["auto", 1000])
def test_a_batch_of_all_rows(batch_size):
    estimators = pair(
        "multiclass", hidden_layer_sizes=(4,), batch_size=batch_size, max_iter=8, random_state=1
    )
    both(estimators, lambda model: model.fit(X, TARGETS["multiclass"]))
    same(estimators, X)


def test_an_adaptive_rate_comes_down_until_it_is_too_small():
    estimators = pair(
        "regression",
        hidden_layer_sizes=(),
        solver="sgd",
        learning_rate="adaptive",
        learning_rate_init=1e-4,
        tol=0.1,
        n_iter_no_change=2,
        batch_size=10,
        random_state=0,
    )
    both(estimators, lambda model: model.fit(X, TARGETS["regression"]))
    same(estimators, X)
    assert 10 < estimators[0].n_iter_ < 30  # it stopped by itself, after three times down


@pytest.mark.parametrize("task", ["binary", "outputs"])
def test_float32(task):
    estimators = pair(
        task, hidden_layer_sizes=(5,), batch_size=10, max_iter=6, random_state=3, alpha=0.1
    )
    x, y = X.astype(np.float32), TARGETS[task]
    both(estimators, lambda model: model.fit(x, y, sample_weight=WEIGHTS))
    same(estimators, x, "float32")


@pytest.mark.parametrize(
    ("task", "activation", "dtype"),
    [
        ("multiclass", "relu", "float64"),
        ("multilabel", "tanh", "float64"),
        ("regression", "logistic", "float64"),
        ("poisson", "tanh", "float64"),
    ],
)
def test_lbfgs(task, activation, dtype):
    estimators = pair(
        task,
        hidden_layer_sizes=(5,),
        activation=activation,
        solver="lbfgs",
        max_iter=7,
        random_state=2,
        alpha=0.05,
    )
    sparse = scipy.sparse.csr_array(X)
    for x, weights in ((X, None), (sparse, WEIGHTS)):

        def fit(model, x=x, weights=weights):
            model.fit(x, TARGETS[task], sample_weight=weights)

        both(estimators, fit)
        same(estimators, x)


def test_lbfgs_that_converges_warns_of_nothing():
    estimators = pair("regression", hidden_layer_sizes=(), solver="lbfgs", random_state=0)
    both(estimators, lambda model: model.fit(X, TARGETS["regression"]))
    same(estimators, X)
    assert estimators[0].n_iter_ < 50


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_the_same_arguments_with_the_same_defaults_in_the_same_order(name):
    mine, other = (inspect.signature(getattr(m, name)).parameters for m in (ours, theirs))
    assert list(mine)[: len(other)] == list(other)
    for key, parameter in other.items():
        assert mine[key].default == parameter.default, key
        assert mine[key].kind == parameter.kind, key
    public = {word for word in dir(getattr(theirs, name)) if not word.startswith("_")}
    assert public <= set(dir(getattr(ours, name)))


def test_what_is_printed_is_the_same(capsys):
    options = {"hidden_layer_sizes": (5,), "batch_size": 10, "verbose": True, "random_state": 0}
    for more in (
        {"max_iter": 30, "tol": 0.1, "n_iter_no_change": 2, "activation": "logistic"},
        {"max_iter": 30, "early_stopping": True, "n_iter_no_change": 2, "activation": "logistic"},
    ):
        printed = []
        for model in pair("binary", **options, **more):
            model.fit(X, TARGETS["binary"])
            printed.append(capsys.readouterr().out)
        assert printed[0] == printed[1]
        assert "Stopping" in printed[0]


def test_losses_over_seeds_are_drawn_from_one_distribution():
    """Other seeds are other paths: the means of the last losses have intervals that overlap."""
    finals = [[], []]
    for seed in range(12):
        options = {"hidden_layer_sizes": (5,), "batch_size": 10, "max_iter": 6, "tol": 0.0}
        for model, found, first in zip(
            pair("multilabel", **options), finals, (0, 100), strict=True
        ):
            model.set_params(random_state=first + seed, n_iter_no_change=99)
            both([model], lambda model: model.fit(X, TARGETS["multilabel"]))
            found.append(model.loss_)
    intervals = [
        np.mean(f) + stats.t.ppf([0.025, 0.975], len(f) - 1) * stats.sem(f) for f in finals
    ]
    assert intervals[0][0] < intervals[1][1]
    assert intervals[1][0] < intervals[0][1]
    assert stats.mannwhitneyu(*finals).pvalue > 0.05


def test_first_weights_without_hidden_layers():
    estimators = pair(
        "binary",
        hidden_layer_sizes=(),
        activation="logistic",
        batch_size=10,
        max_iter=4,
        random_state=0,
    )
    both(estimators, lambda model: model.fit(X, TARGETS["binary"]))
    same(estimators, X)


def test_sparse_labels():
    y = scipy.sparse.csr_matrix(TARGETS["multilabel"])
    settings = {"hidden_layer_sizes": [5], "batch_size": 10, "max_iter": 4, "random_state": 0}
    mine, other = pair("multilabel", **settings)
    both((mine, other), lambda model: model.fit(X, y))
    assert (mine.predict(X) != other.predict(X)).nnz == 0
