"""Schedules by name."""

import pytest

from gradlab import schedule as s
from gradlab.errors import ArgumentError
from gradlab.schedule import Constant, Cosine, Linear, Reciprocal, Sequence, Step, Warmup


@pytest.mark.parametrize(
    ("spec", "schedule"),
    [
        ("constant", Constant()),
        ("cosine", Cosine(30)),
        ("cosine(epochs=10, final=0.1)", Cosine(10, 0.1)),
        ({"name": "step", "every": 10}, Step(10)),
        ("multi_step(milestones=[3, 5])", s.MultiStep((3, 5))),
        ("cosine_restarts(period=5)", s.CosineRestarts(5)),
        ("one_cycle(total_steps=90)", s.OneCycle(30, total_steps=90)),
        (
            "one_cycle(anneal='linear', three_phase=True)",
            s.OneCycle(30, anneal="linear", three_phase=True),
        ),
        ("cyclic(up=3, down=5, mode='triangular2')", s.Cyclic(3, 5, mode="triangular2")),
        (Linear(3), Linear(3)),
        ("warmup(over=3)", Warmup(3)),
        ("warmup(over=3, then='cosine', start=0.1)", Warmup(3, Cosine(27), 0.1)),
        ("warmup(over=3, then='cosine(epochs=9)')", Warmup(3, Cosine(9))),
        ({"name": "warmup", "over": 3, "then": {"name": "linear"}}, Warmup(3, Linear(27))),
        (
            {"name": "warmup", "over": 3, "then": "warmup(over=7, then='linear')"},
            Warmup(3, Warmup(7, Linear(20))),
        ),
        (
            "sequence(schedules=['cosine', 'linear', 'linear'], milestones=[10, 25])",
            Sequence((Cosine(10), Linear(15), Linear(5)), (10, 25)),
        ),
        ("reciprocal(schedule='linear', limit=8)", Reciprocal(Linear(30), 8)),
    ],
)
def test_a_spec_builds_its_schedule(spec, schedule):
    assert s.build(spec, epochs=30) == schedule


def test_the_registry_alone_builds_nested_specs():
    built = s.schedules.build("warmup(over=3, then='cosine')", epochs=30)
    assert built == Warmup(3, Cosine(27))


def test_without_a_training_only_the_horizon_is_missing():
    assert s.build("warmup(over=3, then='cosine(epochs=9)')") == Warmup(3, Cosine(9))
    with pytest.raises(ArgumentError, match=r"cosine needs epochs: write cosine\(epochs=...\)"):
        s.build("warmup(over=3, then='cosine')")


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("cosin", "did you mean 'cosine'"),
        ("warmup(over=3, then='cosin')", "did you mean 'cosine'"),
        ("warmup(over=0, then='cosine')", "over is 0"),
        ("warmup(over='3')", "over is '3'"),
        (
            "warmup(over=30, then='cosine')",
            "begins at epoch 30; give more epochs than that, not 30",
        ),
        ("warmup(over=3, epochs='x')", "not 'x'"),
        ("warmup(over=3, then=4)", "schedule is 4; give text, a table or a Schedule"),
        ("sequence(schedules='cosine', milestones=[])", "schedules is 'cosine'; give a list"),
        ("sequence(schedules=['cosine'], milestones=[3])", "1 schedules with 1 milestones"),
        ("sequence(schedules=['cosine'], milestones=3)", "milestones is 3"),
        (4, "schedule is 4"),
    ],
)
def test_a_wrong_spec_gets_one_clear_line(spec, complaint):
    with pytest.raises(ArgumentError, match=complaint) as caught:
        s.build(spec, epochs=30)
    assert "\n" not in str(caught.value)


def test_epochs_is_always_the_horizon():
    """The registry fills every parameter of that name with the length of the training."""
    with_horizon = {name for name, row in s.schedules.items() if "epochs" in row.parameters}
    assert with_horizon == {
        *("cosine", "linear", "polynomial", "one_cycle"),
        *("warmup", "sequence", "reciprocal"),
    }


@pytest.mark.parametrize("name", list(s.schedules))
def test_every_row_is_complete(name):
    row = s.schedules[name]
    assert row.formula
    assert row.paper
    assert row.summary.endswith(".")


def test_every_schedule_has_a_row():
    families = {getattr(s, name) for name in s.__all__ if isinstance(getattr(s, name), type)}
    rows = {row.factory for row in s.schedules.values()}
    nested = {Warmup: "warmup", Sequence: "sequence", Reciprocal: "reciprocal"}
    assert families - rows == {s.Schedule, s.Product, *nested}
    assert set(nested.values()) <= set(s.schedules)
