"""Growing batches, and the updates that growing them saves (Smith et al. 2018)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradlab import schedule as s


def updates(size, epochs=200, rows=50_000):
    """Updates of a training whose batch size is looked up at each epoch."""
    return sum(rows / size(epoch) for epoch in range(epochs))


def test_updates_of_the_paper():
    """CIFAR-10 with a wide ResNet: about 80k, 29k, 6.5k and 2.5k updates for the same epochs."""
    decay = s.MultiStep((60, 120, 160), gamma=0.2)
    largest = 5120
    assert updates(128 * s.Constant()) == pytest.approx(80_000, rel=0.03)
    assert updates(128 * s.Reciprocal(decay)) == pytest.approx(29_000, rel=0.03)
    assert updates(640 * s.Reciprocal(decay, largest / 640)) == pytest.approx(6_500, rel=0.03)
    assert updates(3200 * s.Reciprocal(decay, largest / 3200)) == pytest.approx(2_500, rel=0.1)


@given(st.integers(1, 9), st.integers(1, 6), st.integers(2, 10))
def test_growing_by_k_where_the_rate_decays_by_k_saves_a_geometric_sum(every, drops, k):
    """Each stretch of d epochs needs 1/k of the updates of the one before it."""
    rows = 32 * k**drops
    size = 32 * s.Reciprocal(s.Step(every, gamma=1 / k))
    total = updates(size, epochs=every * (drops + 1), rows=rows)
    assert total == sum(every * k**i for i in range(drops + 1))


def test_reciprocal_of_decay_is_growth():
    t = [0, 9, 10, 35, 60]
    grown = s.StepGrowth(10, 5)(t)
    assert s.Reciprocal(s.Step(10, gamma=0.2))(t) == pytest.approx(grown, rel=1e-14)
    assert s.Reciprocal(s.InverseTime(0.3))(t) == pytest.approx(s.LinearGrowth(0.3)(t), rel=1e-14)
