"""scikit-learn's own checks of an estimator, all of them."""

import warnings

import pytest
from sklearn.exceptions import SkipTestWarning
from sklearn.utils.estimator_checks import check_estimator

from gradlab.sklearn import MLPClassifier, MLPRegressor

# Small and quick, in batches of a size that many checks share, so that little is compiled.
SETTINGS = {
    "hidden_layer_sizes": (4,),
    "learning_rate_init": 0.05,
    "max_iter": 30,
    "batch_size": 30,
}
NOT_FOR_THESE = {
    "check_array_api_input",  # runs with SCIPY_ARRAY_API=1 only
    "check_classifiers_multilabel_output_format_decision_function",  # there is none
}


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
@pytest.mark.filterwarnings("ignore:Got `batch_size`", "ignore:Stochastic Optimizer")
def test_every_check(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkipTestWarning)
        results = check_estimator(kind(**SETTINGS), on_fail=None)
    failed = {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"}
    skipped = {r["check_name"] for r in results if r["status"] == "skipped"}
    assert failed == {}
    assert skipped <= NOT_FOR_THESE
    assert len(results) - len(skipped) >= 55
