"""What holds for every schedule: values, products, joins, text, hash and pickle."""

import copy
import dataclasses
import pickle

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gradlab import schedule as s
from gradlab.errors import ArgumentError

# Random schedules of every family, nested and multiplied.
positive = st.floats(0.05, 50)
share = st.floats(0, 1)
epochs = st.floats(0, 200) | st.integers(0, 200)
milestones = st.lists(positive, max_size=4, unique=True).map(lambda m: tuple(sorted(m)))

leaves = st.one_of(
    st.builds(s.Constant, share),
    st.builds(s.Step, positive, st.floats(0.05, 1)),
    st.builds(s.MultiStep, milestones, st.floats(0.1, 3)),
    st.builds(s.Exponential, st.floats(0.1, 1)),
    st.builds(s.InverseTime, share),
    st.builds(s.Linear, positive, share),
    st.builds(s.Polynomial, positive, st.floats(0.2, 3), share),
    st.builds(s.Cosine, positive, share),
    st.builds(s.CosineRestarts, positive, st.floats(1, 3), share),
    st.builds(
        s.OneCycle,
        positive,
        st.floats(0.1, 0.4),
        share,
        share,
        st.sampled_from(["cos", "linear"]),
        st.booleans(),
        st.none() | st.integers(30, 1000),
    ),
    st.builds(s.Cyclic, positive, st.none() | positive, share),
    st.builds(s.Cyclic, positive, positive, st.floats(0, 2), st.just("triangular2")),
    st.builds(s.Cyclic, positive, positive, share, st.just("exp_range"), st.floats(0.5, 1.01)),
    st.builds(s.LinearGrowth, share),
    st.builds(s.StepGrowth, positive, st.just(1.01)),
)


@st.composite
def sequences(draw, parts):
    turns = draw(milestones)
    return s.Sequence(tuple(draw(parts) for _ in range(len(turns) + 1)), turns)


def _larger(parts):
    return st.one_of(
        st.builds(s.Warmup, positive, parts, share),
        sequences(parts),
        st.builds(s.Reciprocal, parts, st.floats(1, 10)),
        st.builds(lambda a, b: a * b, parts, parts),
        st.builds(lambda c, a: c * a, st.floats(0.01, 2), parts),
    )


schedules = st.recursive(leaves, _larger, max_leaves=4)

NAMES = {name: getattr(s, name) for name in s.__all__}


@given(schedules, st.lists(epochs, max_size=37))
def test_array_has_the_bits_of_its_elements(schedule, t):
    values = schedule(t)
    assert isinstance(values, np.ndarray)
    assert values.dtype == np.float64
    assert values.tolist() == [schedule(one) for one in t]


@given(schedules)
def test_shapes_and_strides_do_not_matter(schedule):
    t = np.linspace(0, 60, 24)
    flat = schedule(t)
    np.testing.assert_array_equal(schedule(t.reshape(2, 3, 4)), flat.reshape(2, 3, 4))
    np.testing.assert_array_equal(schedule(t[::-2]), flat[::-2])
    assert schedule(t[:0]).shape == (0,)
    assert type(schedule(np.float32(3))) is type(schedule(np.array(3))) is float


@given(schedules, epochs)
def test_values_are_finite_and_never_negative(schedule, t):
    assert 0 <= schedule(t) < np.inf


@given(schedules, schedules, share, epochs)
def test_product_is_the_product_of_values(a, b, scale, t):
    assert (a * b)(t) == pytest.approx(a(t) * b(t), rel=1e-14)
    assert (scale * a)(t) == pytest.approx(scale * a(t), rel=1e-14)
    assert a * scale == scale * a


@given(schedules, schedules, schedules)
def test_products_are_flat(a, b, c):
    left, right = (a * b) * c, a * (b * c)
    assert left.factors == right.factors
    assert left.scale == pytest.approx(right.scale, rel=1e-14)
    assert 2 * (a * b) == (2 * a) * b == a * (b * 2)
    assert not any(isinstance(factor, s.Product) for factor in (a * (b * c)).factors)


@given(schedules)
@example(1.0 * s.Cosine(30))
def test_text_typed_back_is_the_schedule(schedule):
    again = eval(repr(schedule), NAMES)
    assert again == schedule
    assert hash(again) == hash(schedule)
    assert repr(again) == repr(schedule)


@given(schedules)
def test_copies_are_equal(schedule):
    assert pickle.loads(pickle.dumps(schedule)) == schedule
    assert copy.deepcopy(schedule) == schedule


@given(schedules, positive, share)
def test_warmup_ends_where_the_next_begins(then, over, start):
    warmup = s.Warmup(over, then, start)
    assert warmup(over) == then(0)
    assert warmup(over * (1 - 1e-9)) == pytest.approx(then(0), rel=1e-6)
    assert warmup(0) == pytest.approx(start * then(0), rel=1e-14)
    assert warmup(over + 4) == pytest.approx(then(over + 4 - over))


@given(milestones, st.data())
def test_each_part_of_a_sequence_begins_at_its_own_zero(turns, data):
    parts = tuple(data.draw(schedules) for _ in range(len(turns) + 1))
    sequence = s.Sequence(parts, turns)
    assert sequence(0) == parts[0](0)
    for before, after, turn in zip(parts, parts[1:], turns, strict=False):
        assert sequence(turn) == after(0)
        just_before = turn * (1 - 1e-9)  # rounding of a smaller part does not count
        begin = max([0.0, *(m for m in turns if m < turn)])
        assert sequence(just_before) == before(just_before - begin)


@given(schedules, epochs)
def test_reciprocal_undoes_the_schedule(schedule, t):
    value = schedule(t)
    if value > 1e-300:
        assert s.Reciprocal(schedule)(t) * value == pytest.approx(1, rel=1e-14)
    assert s.Reciprocal(schedule, limit=5)(t) == min(1 / value if value else 5, 5)


def test_numpy_numbers_are_kept_as_plain_ones():
    lr = np.float64(0.5) * s.Cosine(np.int64(30), np.float32(0.25))
    assert repr(lr) == "0.5 * Cosine(epochs=30, final=0.25)"
    assert s.Cosine(30) == s.Cosine(30.0) != s.Cosine(31)
    assert {s.MultiStep([3, 5]): "found"}[s.MultiStep((3, 5))] == "found"


def test_a_schedule_cannot_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        s.Cosine(30).epochs = 3


@pytest.mark.parametrize("other", ["0.1", None, np.ones(3), [1]])
def test_only_numbers_and_schedules_multiply(other):
    with pytest.raises(TypeError):
        other * s.Cosine(30)
    with pytest.raises(TypeError):
        s.Cosine(30) * other


def test_a_schedule_of_ones_own_is_a_dataclass_with_a_formula():
    @dataclasses.dataclass(frozen=True)
    class Triangle(s.Schedule):
        epochs: float

        def at(self, t):
            return np.maximum(0, 1 - np.abs(2 * t / self.epochs - 1))

    assert (0.1 * s.Warmup(5, Triangle(10)))([5, 10, 15]).tolist() == [0, 0.1, 0]
    assert (0.5 * Triangle(10))([0, 2.5, 5]).tolist() == [0, 0.25, 0.5]
    with pytest.raises(ArgumentError):
        Triangle(10)(-1)
