"""Corners of schedules are met at the update where they are, however t was rounded."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradlab.schedule import Constant, Linear, MultiStep, Sequence, Step
from gradlab.train.budget import InUpdates


def times(rows, batch, epochs):
    """t as the trainer has it, and exactly, for each update."""
    in_epoch = -(-rows // batch)
    pairs = [(e, k * batch) for e in range(epochs) for k in range(in_epoch)]
    return np.array([e + seen / rows for e, seen in pairs]), [
        e + Fraction(seen, rows) for e, seen in pairs
    ]


@settings(max_examples=300)
@given(
    st.integers(1, 300), st.integers(1, 64), st.lists(st.integers(1, 400), min_size=1, max_size=4)
)
def test_milestones_in_updates(rows, batch, marks):
    batch = min(batch, rows)
    marks = sorted(set(marks))
    in_epoch = -(-rows // batch)
    t, _ = times(rows, batch, max(marks) // in_epoch + 2)
    updates = np.arange(len(t))
    expected = 0.5 ** np.searchsorted(marks, updates, side="right")
    stepped = InUpdates(MultiStep(milestones=tuple(marks), gamma=0.5), rows, batch)
    np.testing.assert_array_equal(stepped(t), expected)
    parts = tuple(Constant() * 0.5**i for i in range(len(marks) + 1))
    sequence = InUpdates(Sequence(parts, milestones=tuple(marks)), rows, batch)
    np.testing.assert_array_equal(sequence(t), expected)
    step = InUpdates(Step(every=marks[0], gamma=0.5), rows, batch)
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
