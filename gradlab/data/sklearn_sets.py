"""The datasets that scikit-learn ships, as it ships them."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradlab.data.source import Source, datasets
from gradlab.data.table import Table


@datasets.register(
    "digits",
    formula="1,797 images of 8 × 8 pixels / 16 ∈ [0, 1]; classes 0 to 9",
    paper="Alpaydin & Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998",
)
def digits() -> Source:
    """Handwritten digits.

    Pixels share one unit and many are constant, so they are divided by their largest value, 16,
    rather than standardized one by one.
    """
    from sklearn.datasets import load_digits

    return _classes("digits", load_digits(), "digit", divisor=16.0)


@datasets.register(
    "iris",
    formula="150 flowers, 4 lengths in cm; 3 species",
    paper="Fisher, The Use of Multiple Measurements in Taxonomic Problems, 1936",
)
def iris() -> Source:
    """Sepal and petal sizes of three species of iris."""
    from sklearn.datasets import load_iris

    return _classes("iris", load_iris(), "species")


@datasets.register(
    "wine",
    formula="178 wines, 13 chemical measurements; 3 cultivars",
    paper="Aeberhard & Forina, Wine, UCI, 1991",
)
def wine() -> Source:
    """Chemistry of wines from three cultivars."""
    from sklearn.datasets import load_wine

    return _classes("wine", load_wine(), "cultivar")


@datasets.register(
    "breast_cancer",
    formula="569 tumours, 30 measurements of cell nuclei; benign or malignant",
    paper="Street, Wolberg & Mangasarian, Nuclear Feature Extraction for Breast Tumor Diagnosis, "
    "1993",
)
def breast_cancer() -> Source:
    """Cell nuclei of breast tumours."""
    from sklearn.datasets import load_breast_cancer

    return _classes("breast_cancer", load_breast_cancer(), "diagnosis")


@datasets.register(
    "diabetes",
    formula="442 patients, 10 measurements in their units; progression after a year, 25 to 346",
    paper="Efron, Hastie, Johnstone & Tibshirani, Least Angle Regression, 2004",
)
def diabetes() -> Source:
    """Progression of diabetes, a regression."""
    from sklearn.datasets import load_diabetes

    bunch = load_diabetes(scaled=False)
    columns = dict(zip(bunch.feature_names, bunch.data.T, strict=True))
    table = Table(columns | {"progression": bunch.target})
    return Source("diabetes", table, ("progression",), "regression")


def _classes(name: str, bunch: Any, target: str, divisor: float | None = None) -> Source:
    """Source of a scikit-learn bunch, with the names of the classes as labels."""
    columns = dict(zip(bunch.feature_names, bunch.data.T, strict=True))
    labels = np.asarray(bunch.target_names)[bunch.target]
    table = Table(columns | {target: labels})
    return Source(name, table, (target,), "classification", divisor)
