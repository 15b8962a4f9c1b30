"""With the same random_state, the path of scikit-learn: every rule, to rounding."""

import inspect
import itertools
import warnings

import numpy as np
import pytest
import scipy.sparse
import sklearn.neural_network as theirs
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.exceptions import ConvergenceWarning

import gradlab.sklearn as ours
from tests.sklearn.twins import ROWS, TARGETS, WEIGHTS, X, both, close, pair, same

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


# --- tables that nobody scaled, and trainings that diverge ----------------------------------------

SATURATED = {
    "binary": {"hidden_layer_sizes": (5,), "activation": "relu"},
    "multiclass": {"hidden_layer_sizes": (5, 3), "activation": "identity"},
    "multilabel": {"hidden_layer_sizes": [5], "activation": "relu"},
}
"""Networks whose probabilities are 0 and 1 to rounding where a table has large numbers."""


def apart(task, dtype):
    """How far shown losses may be apart.

    Where p is not of a softmax, scikit-learn's 1 − p has the digits of 1, and so −log(1 − p) errs
    by up to log 2 where p is within some ε of 1: here less than a tenth of the outputs.
    """
    rounding = {"rtol": 1e-9} if dtype == "float64" else {"rtol": 1e-4, "atol": 1e-6}
    several = {"binary": 1, "multilabel": 3}.get(task)
    return rounding | ({"atol": 0.1 * np.log(2) * several} if several else {})


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("task", SATURATED)
def test_shown_losses_are_of_clipped_probabilities(task, dtype):
    most = -np.log(np.finfo(dtype).eps) * (3 if task == "multilabel" else 1)
    largest = 0.0
    for scale, seed, weights in itertools.product((1, 30, 1e4), range(3), (None, WEIGHTS)):
        mine, other = pair(task, **SATURATED[task], max_iter=1, alpha=0.0, random_state=seed)
        x, y = (X * scale).astype(dtype), TARGETS[task]
        both((mine, other), lambda model, x=x, y=y, w=weights: model.fit(x, y, sample_weight=w))
        np.testing.assert_allclose(mine.loss_, other.loss_, **apart(task, dtype))
        largest = max(largest, mine.loss_)
    assert 0.2 * most < largest < most


RAISED = "Solver produced non-finite parameter"


def ends(estimators, x, y, weights=None):
    """Fit both; the number of epochs of each, or the error of weights not finite: the same."""
    found = []
    for model in estimators:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                found.append(model.fit(x, y, sample_weight=weights).n_iter_)
            except ValueError as error:
                found.append(str(error).partition(" weights")[0])
    assert found[0] == found[1]
    return found


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("task", SATURATED)
def test_unscaled_tables_stop_in_the_same_epoch(task, solver, dtype):
    """The shown loss, which is clipped, says when; the weights are the same."""
    early = set()
    for scale, stopping, seed in itertools.product((1, 100, 1e4), (False, True), (0, 1)):
        options = {"solver": solver, "early_stopping": stopping, "random_state": seed}
        options |= {"n_iter_no_change": 3, "max_iter": 60}
        mine, other = pair(task, **SATURATED[task], **options)
        x, y = (X * scale).astype(dtype), TARGETS[task]
        if RAISED in ends((mine, other), x, y):
            continue
        np.testing.assert_allclose(mine.loss_curve_, other.loss_curve_, **apart(task, dtype))
        for a, b in zip(mine.coefs_, other.coefs_, strict=True):
            close(a, b, "coefs_", 1e-8 if dtype == "float64" else 1e-3)
        if not stopping:
            early.add(mine.n_iter_ < 60)
    assert early == {True, False}


DIVERGING = [
    ({"solver": "sgd", "learning_rate_init": 1.0}, 1.0),
    ({"solver": "sgd", "learning_rate_init": 1e4}, 1e3),
    ({"solver": "sgd", "learning_rate_init": 1.0, "learning_rate": "adaptive"}, 1e3),
    ({"solver": "sgd", "learning_rate_init": 1e2, "learning_rate": "invscaling"}, 1e3),
    ({"solver": "adam", "learning_rate_init": 1e3}, 1e3),
]


# A sum of products that overflow with both signs is NaN or infinite, depending on its order; with
# several labels in float32 this decides which weights score best.
@pytest.mark.parametrize(
    ("task", "dtype"),
    [
        (t, d)
        for t in TARGETS
        for d in ("float64", "float32")
        if (t, d) != ("multilabel", "float32")
    ],
)
def test_a_training_that_diverges_ends_as_in_scikit_learn(task, dtype):
    """With early stopping it ends with the best weights, unless those that are NaN score best."""
    kinds = set()
    for (options, scale), stopping, weights in itertools.product(
        DIVERGING, (True, False), (None, WEIGHTS)
    ):
        mine, other = pair(
            task, hidden_layer_sizes=(5,), activation="identity", early_stopping=stopping,
            batch_size=10, max_iter=30, random_state=0, validation_fraction=0.3,
            n_iter_no_change=5, **options,
        )  # fmt: skip
        x, y = (X * scale).astype(dtype), TARGETS[task]
        if RAISED in ends((mine, other), x, y, weights):
            kinds.add((RAISED, stopping))
            continue
        kinds.add((bool(np.isfinite(other.loss_)), stopping))
        rounding = {"float64": 1e-8, "float32": 0.03}[dtype]
        if stopping:
            scores = (model.validation_scores_ for model in (mine, other))
            np.testing.assert_allclose(*scores, rtol=rounding, atol=1e-9)
            assert mine.best_validation_score_ == pytest.approx(
                other.best_validation_score_, rel=rounding
            )
        for a, b in zip(mine.coefs_, other.coefs_, strict=True):
            close(a, b, "coefs_", rounding)
    assert (False, True) in kinds
    assert kinds & {(RAISED, False), (False, False)}


@pytest.mark.parametrize("scale", [1e160, 1e250])
def test_an_infinite_loss_of_finite_weights_is_no_end(scale):
    """Squares of errors overflow, gradients do not; rows that fill up a batch make no NaN of it."""
    estimators = pair("regression", hidden_layer_sizes=(5,), max_iter=8, random_state=0)
    assert ends(estimators, X, TARGETS["regression"] * scale) == [8, 8]
    mine, other = estimators
    assert mine.loss_curve_ == other.loss_curve_ == [np.inf] * 8
    assert mine.best_loss_ == other.best_loss_ == np.inf
    for a, b in zip(mine.coefs_, other.coefs_, strict=True):
        close(a, b, "coefs_", 1e-11)


def test_exploding_weights_with_early_stopping_are_named_in_a_warning():
    settings = {"hidden_layer_sizes": (5,), "activation": "identity", "solver": "sgd"}
    settings |= {"learning_rate_init": 0.5, "batch_size": 10, "max_iter": 20, "random_state": 0}
    model = ours.MLPRegressor(**settings, early_stopping=True)
    with (
        pytest.warns(RuntimeWarning, match="the loss is nan after 20 epochs; the weights with the"),
        pytest.warns(ConvergenceWarning, match="Maximum iterations"),
    ):
        model.fit(X, TARGETS["regression"])
    assert np.isfinite(model.predict(X)).all()
    assert np.isfinite(model.best_validation_score_)
    assert np.isnan(model.validation_scores_[-1])


@pytest.mark.parametrize("names", [("no", "yes"), (3, 7), (False, True)])
def test_a_class_of_one_row_cannot_be_held_out(names):
    y = np.array(names)[[0, 0, 0, 1]]
    found = []
    for model in pair("binary", early_stopping=True):
        with pytest.raises(ValueError, match="least populated") as error:
            model.fit(np.arange(8.0).reshape(4, 2), y)
        found.append(str(error.value))
    assert found[0].startswith(found[1])
    assert found[0].endswith(f"True is {names[1]!r}, False {names[0]!r}")
