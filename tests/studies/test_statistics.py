import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from gradlab.errors import ArgumentError
from gradlab.studies import Comparison, Estimate, Verdict, by_margin, by_sign
from gradlab.studies.statistics import bands, geometric_mean, mean, p_text, paired

numbers = st.floats(-1e3, 1e3).map(lambda x: round(x, 3))
samples = st.lists(numbers, min_size=2, max_size=12).filter(lambda xs: len(set(xs)) > 1)


@given(samples)
def test_the_interval_is_student_s(values):
    found = mean(values)
    low, high = stats.t.interval(
        0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values)
    )
    assert found.mean == pytest.approx(np.mean(values), abs=1e-9)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9, abs=1e-9)


def test_the_table_s_quantile():
    # Student's t, 0.975 quantile, 4 degrees of freedom: 2.776; s = √2.5
    assert mean([1, 2, 3, 4, 5]).high - 3 == pytest.approx(2.776 * math.sqrt(2.5 / 5), rel=1e-3)


@given(samples, samples)
def test_paired_is_scipy_s_paired_test(a, gaps):
    shorter = min(len(a), len(gaps))
    a, b = a[:shorter], np.subtract(a[:shorter], gaps[:shorter])
    assume(np.ptp(np.subtract(a, b)) > 1e-6)
    theirs, ours = stats.ttest_rel(a, b), paired(a, b)
    interval = theirs.confidence_interval(0.95)
    assert ours.p == pytest.approx(theirs.pvalue, rel=1e-6)
    assert (ours.difference.low, ours.difference.high) == pytest.approx(
        (interval.low, interval.high), rel=1e-6, abs=1e-9
    )


def test_pairs_without_spread():
    assert paired([2.0, 3.0], [1.0, 2.0]).p == 0.0
    assert paired([2.0, 3.0], [2.0, 3.0]).p == 1.0


@given(st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=9), st.floats(0.01, 100))
def test_the_geometric_mean_scales(values, scale):
    one, scaled = geometric_mean(values), geometric_mean(np.multiply(values, scale))
    assert one.mean == pytest.approx(stats.gmean(values))
    assert (scaled.mean, scaled.low, scaled.high) == pytest.approx(
        (scale * one.mean, scale * one.low, scale * one.high)
    )


def test_bands_are_the_interval_of_each_point():
    curves = np.random.default_rng(0).normal(size=(5, 3))
    for point, ends in enumerate(zip(*bands(curves), strict=True)):
        one = mean(curves[:, point])
        assert ends == pytest.approx((one.mean, one.low, one.high))


@pytest.mark.parametrize("wrong", [lambda: mean([1.0]), lambda: paired([1, 2], [1])])
def test_too_few_values(wrong):
    with pytest.raises(ArgumentError, match="seed"):
        wrong()


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(2345.6, 2222.2, 2469.0), "2,350 ± 120"),
        (Estimate(0.5, 0.5, 0.5), "0.5 ± 0"),
        (geometric_mean([50, 50, 50]), "50 ± 0"),
        (Estimate(1e-9, 0.5e-9, 1.5e-9), "1e-09 ± 5e-10"),
        (Estimate(1.0, 0.5, 2.0), "1.00 [0.50, 2.00]"),
        (Estimate(0.0, 0.0, 0.0), "0 ± 0"),
        (Estimate(math.nan, math.nan, math.nan), "nan [nan, nan]"),
    ],
)
def test_estimates_as_text(estimate, text):
    assert str(estimate) == text


def test_p_values_as_text():
    assert [p_text(p) for p in (1.0, 0.049, 1e-9)] == ["= 1", "= 0.049", "< 0.0001"]


@pytest.mark.parametrize(
    ("low", "high", "claimed", "answer"),
    [(1, 2, 1, "for"), (1, 2, -1, "against"), (-2, -1, -1, "for"), (-1, 2, 1, "undecided")],
)
def test_verdict_by_sign(low, high, claimed, answer):
    comparison = Comparison(Estimate((low + high) / 2, low, high), 0.05)
    assert by_sign(comparison, claimed) == answer


@pytest.mark.parametrize(
    ("low", "high", "answer"),
    [(0.95, 1.05, "for"), (0.8, 1.0, "undecided"), (1.2, 1.3, "against"), (0.1, 2, "undecided")],
)
def test_verdict_by_margin(low, high, answer):
    assert by_margin(Estimate((low + high) / 2, low, high), 0.9, 1.1) == answer


@pytest.mark.parametrize(
    ("answers", "answer"),
    [
        (("for", "for"), "for"),
        (("for", "undecided"), "undecided"),
        (("undecided", "against"), "against"),
    ],
)
def test_a_claim_needs_all_its_parts(answers, answer):
    assert Verdict.of([Verdict(a, a) for a in answers]) == Verdict(answer, " ".join(answers))
