"""Each family against its formula, written out for one epoch at a time."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradlab import schedule as s
from gradlab.errors import ArgumentError

T = 30.0
epochs = st.floats(0, 100).map(lambda t: round(t, 6))


def half_cosine(share):
    return 0.5 * (1 + math.cos(math.pi * share))


def restarts(t, period, factor, final):
    while t >= period:
        t -= period
        period *= factor
    return final + (1 - final) * half_cosine(t / period)


def one_cycle(t):
    if t < 9:
        return 0.04 + 0.96 * (1 - half_cosine(t / 9))
    return 1e-4 + (1 - 1e-4) * half_cosine(min(1, (t - 9) / 21))


def three_phases(t):
    if t < 7.5:
        return 0.04 + 0.96 * t / 7.5
    if t < 15:
        return 1 - 0.96 * (t - 7.5) / 7.5
    return 0.04 + (0.5 - 0.04) * min(1, (t - 15) / 15)


def triangles(t, height):
    cycle, time = 0, t
    while time >= 10:
        cycle, time = cycle + 1, time - 10
    way = time / 4 if time < 4 else (10 - time) / 6
    return 0.2 + 0.8 * way * height(cycle, t)


FORMULAS = [
    (s.Constant(0.3), lambda t: 0.3),
    (s.Step(every=8, gamma=0.5), lambda t: 0.5 ** (t // 8)),
    (s.MultiStep((5, 8.5, 21), 0.2), lambda t: 0.2 ** ((t >= 5) + (t >= 8.5) + (t >= 21))),
    (s.MultiStep((5, 8), 3), lambda t: 3 ** ((t >= 5) + (t >= 8))),
    (s.Exponential(0.9), lambda t: math.exp(t * math.log(0.9))),
    (s.InverseTime(0.25), lambda t: 1 / (1 + t / 4)),
    (s.Linear(T), lambda t: max(0, 1 - t / T)),
    (s.Linear(T, final=0.2), lambda t: max(0.2, 1 - 0.8 * t / T)),
    (s.Linear(T, final=4), lambda t: min(4, 1 + 3 * t / T)),
    (s.Polynomial(T, 2, 0.1), lambda t: 0.1 + 0.9 * max(0, 1 - t / T) ** 2),
    (s.Cosine(T), lambda t: half_cosine(min(t / T, 1))),
    (s.Cosine(T, final=0.1), lambda t: 0.1 + 0.9 * half_cosine(min(t / T, 1))),
    (s.CosineRestarts(8), lambda t: restarts(t, 8, 1, 0)),
    (s.CosineRestarts(4, 2, 0.1), lambda t: restarts(t, 4, 2, 0.1)),
    (s.CosineRestarts(4, 1.5), lambda t: restarts(t, 4, 1.5, 0)),
    (s.OneCycle(T), one_cycle),
    (s.OneCycle(T, 0.25, final=0.5, anneal="linear", three_phase=True), three_phases),
    (s.Cyclic(4, 6, 0.2), lambda t: triangles(t, lambda c, t: 1)),
    (s.Cyclic(4, 6, 0.2, "triangular2"), lambda t: triangles(t, lambda c, t: 0.5**c)),
    (s.Cyclic(4, 6, 0.2, "exp_range", 0.9), lambda t: triangles(t, lambda c, t: 0.9**t)),
    (s.LinearGrowth(0.5), lambda t: 1 + 0.5 * t),
    (s.StepGrowth(8, 2), lambda t: 2 ** (t // 8)),
    (s.Reciprocal(s.Linear(T), limit=8), lambda t: 1 / max(0.125, 1 - t / T)),
    (s.Warmup(5, s.Linear(T), 0.2), lambda t: min(0.2 + 0.16 * t, 1) * s.Linear(T)(max(0, t - 5))),
    (
        s.Sequence((s.Linear(T), s.Cosine(T)), (12,)),
        lambda t: s.Linear(T)(t) if t < 12 else s.Cosine(T)(t - 12),
    ),
    (0.1 * s.Cosine(T) * s.Step(8), lambda t: 0.1 * s.Cosine(T)(t) * s.Step(8)(t)),
]


@pytest.mark.parametrize(
    ("schedule", "formula"), FORMULAS, ids=lambda x: repr(x) if isinstance(x, s.Schedule) else ""
)
@given(t=epochs | st.integers(0, 100))
def test_value_is_the_formula(schedule, formula, t):
    assert schedule(t) == pytest.approx(formula(t), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("schedule", "first"),
    [
        (s.Step(30), 1),
        (s.Exponential(0.5), 1),
        (s.Cosine(30, 1 / 3), 1),
        (s.Linear(30, 1 / 3), 1),
        (s.Polynomial(30, final=1 / 3), 1),
        (s.CosineRestarts(7, 1.7), 1),
        (s.OneCycle(30), 1 / 25),
        (s.Cyclic(3), 1 / 4),
        (s.Warmup(3, start=0.1), 0.1),
        (s.Reciprocal(s.Cosine(30)), 1),
        (s.LinearGrowth(3), 1),
    ],
)
def test_first_update_has_the_first_value_exactly(schedule, first):
    assert schedule(0) == first


@pytest.mark.parametrize(
    ("schedule", "last"),
    [
        (s.Cosine(30, 0.1), 0.1),
        (s.Linear(30, 0.1), 0.1),
        (s.Polynomial(30, final=0.1), 0.1),
        (s.OneCycle(30, final=0.1), 0.1),
    ],
)
def test_beyond_its_horizon_a_schedule_stays_at_its_last_value_exactly(schedule, last):
    assert schedule([30, 30.5, 1e9]).tolist() == [last] * 3


@pytest.mark.parametrize("every", [0.1, 0.3, 0.7, 1 / 3, 1])
def test_steps_fall_on_the_update_they_are_due(every):
    """In binary 0.3 / 0.1 < 3, which must not delay the step by an update."""
    updates_per_epoch = 210
    per_step = round(every * updates_per_epoch)
    values = s.preview(s.Step(every, gamma=0.5), 10 * every, updates_per_epoch)
    assert values.tolist() == [0.5 ** (k // per_step) for k in range(10 * per_step)]


@pytest.mark.parametrize("factor", [1, 1.1, 1.5, 2, 3])
def test_restarts_fall_on_the_update_they_are_due(factor):
    schedule = s.CosineRestarts(0.1, factor)
    restart, period = 0.0, 0.1
    for _ in range(20):
        restart, period = restart + period, period * factor
        assert schedule(restart) == pytest.approx(1, abs=1e-12)
        assert schedule(restart - 1e-4 * period) < 1e-6


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: s.Cosine(0), "Cosine: epochs is 0; give a finite number > 0"),
        (lambda: s.Cosine(math.nan), "epochs is nan"),
        (lambda: s.Cosine(math.inf), "epochs is inf"),
        (lambda: s.Cosine("30"), "epochs is '30'"),
        (lambda: s.Cosine(True), "epochs is True"),
        (lambda: s.Linear(30, final=-0.1), "final is -0.1; give a finite number >= 0"),
        (lambda: s.Polynomial(30, power=0), "power is 0"),
        (lambda: s.Step(0), "every is 0"),
        (lambda: s.Step(3, gamma=0), "gamma is 0"),
        (lambda: s.MultiStep((3, 3)), r"milestones is \(3, 3\); give epochs above 0"),
        (lambda: s.MultiStep((0, 3)), "milestones"),
        (lambda: s.MultiStep(3), "milestones is 3"),
        (lambda: s.MultiStep(("a",)), "milestones"),
        (lambda: s.Exponential(-1), "gamma is -1"),
        (lambda: s.InverseTime(-1), "rate is -1"),
        (lambda: s.CosineRestarts(0), "period is 0"),
        (lambda: s.CosineRestarts(3, 0.5), "factor is 0.5; give a finite number >= 1"),
        (lambda: s.OneCycle(30, anneal="cosine"), "anneal is 'cosine'; give 'cos' or 'linear'"),
        (lambda: s.OneCycle(30, three_phase=1), "three_phase is 1; give False or True"),
        (lambda: s.OneCycle(30, 0.5, three_phase=True), "end after 15, 30, 30 epochs"),
        (lambda: s.OneCycle(30, 0.1, total_steps=10), "end after 0, 9 updates"),
        (lambda: s.OneCycle(30, total_steps=1), "total_steps is 1; give a finite number > 1"),
        (lambda: s.Cyclic(0), "up is 0"),
        (lambda: s.Cyclic(3, 0), "down is 0"),
        (lambda: s.Cyclic(3, start=-1), "start is -1"),
        (lambda: s.Cyclic(3, mode="exp"), "mode is 'exp'; give 'triangular' or 'triangular2' or"),
        (lambda: s.Cyclic(3, gamma=0.9), "gamma is 0.9, which mode 'triangular' does not use"),
        (lambda: s.Cyclic(3, start=2, mode="exp_range", gamma=1.1), "values fall below 0"),
        (lambda: s.OneCycle(30, peak_at=1), "peak_at is 1; give a finite number > 0 and < 1"),
        (lambda: s.Warmup(0), "over is 0"),
        (lambda: s.Warmup(3, "cosine"), "then is 'cosine'; give a Schedule"),
        (lambda: s.Sequence((s.Constant(), 2), (3,)), "one of the schedules is 2"),
        (lambda: s.Sequence((s.Constant(),), (3,)), "1 schedules with 1 milestones"),
        (lambda: s.LinearGrowth(-1), "rate is -1"),
        (lambda: s.StepGrowth(3, 0.5), "factor is 0.5"),
        (lambda: s.Reciprocal(0.5), "schedule is 0.5"),
        (lambda: s.Reciprocal(s.Constant(), limit=0), "limit is 0"),
        (lambda: s.Product(1.0, ()), "factors is empty"),
        (lambda: -0.1 * s.Cosine(30), "scale is -0.1"),
    ],
)
def test_an_argument_out_of_range_is_named(make, complaint):
    with pytest.raises(ArgumentError, match=complaint):
        make()


@pytest.mark.parametrize("t", [-1, -1e-9, math.nan, math.inf, [0, -2], [[1, math.nan]], "x", None])
def test_epochs_out_of_range_are_refused(t):
    with pytest.raises(ArgumentError, match="t is"):
        s.Cosine(30)(t)


def test_growth_past_the_largest_float_is_said():
    with pytest.raises(ArgumentError, match="overflows at t = 5000 epochs"):
        s.Exponential(2)([1, 6000, 5000])
    with pytest.raises(ArgumentError, match="give a limit"):
        s.Reciprocal(s.Cosine(30))(30)
