"""Floor 5: estimators for scikit-learn, compiled."""

from gradlab.sklearn.classifier import MLPClassifier
from gradlab.sklearn.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
