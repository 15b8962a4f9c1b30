"""Corners of schedules are met at the update where they are, however t was rounded."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradlab.schedule import (
    Constant,
    CosineRestarts,
    Cyclic,
    InverseTime,
    Linear,
    MultiStep,
    OneCycle,
    Polynomial,
    Reciprocal,
    Sequence,
    Step,
    StepGrowth,
    Warmup,
)
from gradlab.train.budget import InUpdates


def times(rows, batch, epochs, drop_last=False):
    """t as the trainer has it, and exactly, for each update."""
    in_epoch = rows // batch if drop_last else -(-rows // batch)
    pairs = [(e, k * batch) for e in range(epochs) for k in range(in_epoch)]
    return np.array([e + seen / rows for e, seen in pairs]), [
        e + Fraction(seen, rows) for e, seen in pairs
    ]


@settings(max_examples=300)
@given(
    st.integers(1, 300),
    st.integers(1, 64),
    st.lists(st.integers(1, 400), min_size=1, max_size=4),
    st.booleans(),
)
def test_milestones_in_updates(rows, batch, marks, drop_last):
    batch = min(batch, rows)
    marks = sorted(set(marks))
    in_epoch = rows // batch if drop_last else -(-rows // batch)
    t, _ = times(rows, batch, max(marks) // in_epoch + 2, drop_last)
    updates = np.arange(len(t))
    expected = 0.5 ** np.searchsorted(marks, updates, side="right")
    stepped = InUpdates(MultiStep(milestones=tuple(marks), gamma=0.5), rows, batch, drop_last)
    np.testing.assert_array_equal(stepped(t), expected)
    parts = tuple(Constant() * 0.5**i for i in range(len(marks) + 1))
    sequence = InUpdates(Sequence(parts, milestones=tuple(marks)), rows, batch, drop_last)
    np.testing.assert_array_equal(sequence(t), expected)
    step = InUpdates(Step(every=marks[0], gamma=0.5), rows, batch, drop_last)
    np.testing.assert_array_equal(step(t), 0.5 ** (updates // marks[0]))


@settings(max_examples=300)
@given(st.integers(1, 300), st.integers(1, 64), st.data())
def test_milestones_in_epochs(rows, batch, data):
    """A milestone is a decimal number of epochs, which no binary fraction need be."""
    batch = min(batch, rows)
    t, exact = times(rows, batch, 6)
    tenths = sorted(data.draw(st.sets(st.integers(1, 50), min_size=1, max_size=4)))
    expected = [0.5 ** sum(Fraction(m, 10) <= moment for m in tenths) for moment in exact]
    milestones = tuple(m / 10 for m in tenths)
    np.testing.assert_array_equal(MultiStep(milestones=milestones, gamma=0.5)(t), expected)
    parts = tuple(Constant() * 0.5**i for i in range(len(tenths) + 1))
    np.testing.assert_array_equal(Sequence(parts, milestones=milestones)(t), expected)


def test_a_part_of_a_sequence_begins_at_its_zero():
    sequence = Sequence((Constant(), Linear(epochs=1)), milestones=(0.1 + 0.2,))
    assert sequence(0.3) == pytest.approx(1.0)  # 0.3 < 0.1 + 0.2 in binary


# Each with its one corner at c epochs, and its values just before it and at it.
CORNERS = {
    "step": (lambda c: Step(c, 0.5), 1, 0.5),
    "multi_step": (lambda c: MultiStep((c,), 0.5), 1, 0.5),
    "sequence": (lambda c: Sequence((Constant(), Constant(0.5)), (c,)), 1, 0.5),
    "step_growth": (lambda c: StepGrowth(c, 2), 1, 2),
    "reciprocal": (lambda c: Reciprocal(Step(c, 0.5)), 1, 2),
    "product": (lambda c: Step(c, 0.5) * MultiStep((c,), 0.5), 1, 0.25),
    "restarts": (lambda c: CosineRestarts(c), None, 1),
    "longer restarts": (lambda c: CosineRestarts(c, 1.7), None, 1),
    "polynomial": (lambda c: Polynomial(c, power=0.1), None, 0),
    "linear": (lambda c: Linear(c), None, 0),
    "limit": (lambda c: Reciprocal(Polynomial(c, power=0.1), limit=1e9), None, 1e9),
    "warmup": (lambda c: Warmup(c, Constant(), start=0.1), None, 1),
    "one_cycle": (lambda c: OneCycle(2 * c, 0.5, 0.1), None, 1),
    "cyclic": (lambda c: Cyclic(c / 2, start=0.1, mode="triangular2"), None, 0.1),
}


@pytest.mark.parametrize("name", CORNERS)
@settings(max_examples=150)
@given(
    rows=st.integers(1, 10**6),
    batch=st.integers(1, 512),
    begin=st.integers(0, 20000),
    data=st.data(),
)
def test_every_corner_is_met_at_its_update(name, rows, batch, begin, data):
    """Also within another schedule, whose time is a difference of two large ones."""
    make, before, after = CORNERS[name]
    batch = min(batch, rows)
    in_epoch = -(-rows // batch)
    update = data.draw(st.integers(1, 3 * in_epoch))
    corner = update // in_epoch + Fraction(update % in_epoch * batch, rows)
    late = begin + float(Fraction(begin) + corner - begin)
    outer = {
        "in a sequence": lambda f: Sequence((Constant(7), f), (begin,)) if begin else f,
        "after a warmup": lambda f: Warmup(begin, f) if begin else f,
    }
    for wrap in outer.values():
        schedule = wrap(make(float(corner)))
        assert schedule(late) == pytest.approx(after, rel=1e-6, abs=1e-9)
        if before is not None:
            previous = update - 1
            t = previous // in_epoch + previous % in_epoch * batch / rows
            assert schedule(begin + t) == before


def test_values_between_corners_are_those_of_the_formula():
    t = np.linspace(0, 50, 2000)
    assert InverseTime(0.5)(t).tolist() == (1 / (1 + 0.5 * t)).tolist()
    np.testing.assert_array_equal(Linear(64)(t), 1 - t / 64)
    assert Step(30)(30 * (1 - 1e-9)) == 1
