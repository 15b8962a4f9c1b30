"""The substance of the weight selection studies, at a tiny scale."""

import math

import numpy as np
import pytest

from gradlab import nn
from gradlab.init import SelectWeights
from gradlab.nn.models import GPT
from gradlab.studies import Plan
from gradlab.studies.outcomes import reached, table, verdict
from gradlab.studies.pixels import Rows
from gradlab.studies.starts import inconsistent, kaiming, normal, selected
from gradlab.studies.trials import TRIAL, Bench, Outcome, Task, looks
from gradlab.studies.weight_selection import SELECTED
from gradlab.studies.weight_selection_mnist import WeightSelectionMNIST
from gradlab.studies.weight_selection_text import WeightSelectionText
from tests.data.samples import write_mnist

UPDATES = 64


def outcome(*ends, updates=UPDATES):
    """Trainings whose losses fall evenly from 2 to these ends, one for each seed."""
    share = np.array(looks(updates)) / updates
    losses = np.array([2 + (end - 2) * share for end in ends])
    return Outcome(0.1, updates, np.stack([losses, 1 - losses / 2], axis=2))


@pytest.fixture
def corpus(tmp_path):
    """A folder with a text in which the next character is almost sure."""
    rng = np.random.default_rng(0)
    words = ["quick ", "brown ", "fox ", "jumps ", "over ", "lazy ", "dog "]
    text = "".join(rng.choice(words, 4000))
    (tmp_path / "tinyshakespeare.txt").write_text(text)
    return tmp_path


@pytest.fixture
def bench():
    """Rows of two features, whose classes are told by the first."""
    x = np.random.default_rng(0).normal(size=(120, 2)).astype(np.float32)
    rows = Rows(x, (x[:, 0] > 0).astype(np.int64))
    return Bench(Task(rows, rows, rows, (2,), 2), "mlp(hidden=(4,))", 16)


@pytest.mark.parametrize(
    ("ends", "answer"),
    [((1.0, 1.1, 1.3), "for"), ((1.0, 1.5, 1.9), "undecided"), ((1.6, 1.7, 1.81), "against")],
)
def test_the_verdict_goes_by_pairs(ends, answer):
    found = {SELECTED: outcome(*ends), "Kaiming": outcome(1.4, 1.5, 1.6)}
    assert verdict(found, SELECTED, "Kaiming").answer == answer


def test_how_many_updates_lead_to_a_loss():
    assert reached(outcome(1.0, 1.0), np.array([1.5, 1.5])) == "32"
    found = reached(outcome(1.0, 1.5), np.array([1.5, 1.75]))  # each seed has a goal of its own
    assert found == "32"
    assert reached(outcome(1.0, 1.5), np.array([1.5, 1.4])) == "more (at 1 of 2 seeds)"
    assert reached(outcome(1.0, 1.5), np.array([0.9, 1.4])) == "more"
    assert reached(outcome(1.0, 1.0), np.array([1.5, 1.25])).mean == pytest.approx(40)


def test_a_row_tells_rate_and_difference():
    chosen, other = outcome(1.0, 1.2), outcome(1.5, 1.9)
    rows = table("", [("a", chosen), ("b", other)], chosen, "b", other).rows
    assert [row[1] for row in rows] == ["0.1", "0.1"]
    assert rows[0][2].mean == pytest.approx(1.1)
    assert rows[1][3].mean == pytest.approx(15)
    assert rows[0][4] == ""
    assert rows[1][4].startswith("0.6")
    assert rows[1][5] == str(UPDATES)


def test_trainings_differ_in_their_first_weights_alone(bench):
    (_, first), (_, again), (_, other) = (
        bench.train(kaiming, bench.task.held_out, [0, 20], 0.01, seed) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.isclose(first, other).any()
    assert first[-1, 0] < first[0, 0]


def test_the_best_learning_rate_is_chosen_by_a_seed_of_its_own(bench):
    seeds = []

    def start(model, seed):
        seeds.append(seed)
        kaiming(model, seed)

    assert bench.choose(start, [1e-5, 0.05, 1e38], 20, Plan()) == 0.05
    assert seeds == [TRIAL] * 3
    assert bench.compare(start, 0.05, 20, Plan(seeds=3)).scores.shape == (3, len(looks(20)), 2)
    assert seeds[3:] == [0, 1, 2]


def stream_of(model):
    """Which of the teacher's features each tensor of the residual stream took."""
    state = model.state_dict()
    return {name: state[f"transformer.{name}.weight"].tolist() for name in ("h.0.ln_1", "ln_f")}


def test_inconsistent_elements_do_not_fit_together():
    teacher = GPT((4,), 5, layers=2, heads=4, width=64)
    for module in teacher.named_parameters().values():
        if module.shape == (64,):
            module.assign(np.arange(64))
    taken = {}
    for name, start in (
        ("random", selected(teacher, elements="random")),
        ("inconsistent", inconsistent(teacher)),
    ):
        student = GPT((4,), 5, layers=1, heads=1, width=16)
        start(student, 3)
        taken[name] = stream_of(student)
        for features in taken[name].values():
            assert sorted(set(features)) == features  # each of the teacher's once
    assert taken["random"]["h.0.ln_1"] == taken["random"]["ln_f"]
    assert taken["inconsistent"]["h.0.ln_1"] != taken["inconsistent"]["ln_f"]


def test_what_is_selected_comes_from_the_teacher():
    teacher, student = (GPT((4,), 5, layers=2, heads=2, width=width) for width in (16, 8))
    normal(teacher, 0)
    selected(teacher)(student, 1)
    expected = SelectWeights(teacher).select(student).values
    for name, values in expected.items():
        np.testing.assert_array_equal(student.state_dict()[name], values)


TINY = {
    "teacher": "gpt(layers=2, heads=2, width=32)",
    "student": "gpt(layers=1, heads=1, width=16)",
    "teacher_lr": 0.01,
    "rates": (0.01, 0.1),
    "block": 8,
}


def test_a_student_of_text_profits(corpus):
    study = WeightSelectionText(**TINY, quick=(200, 40))
    findings = study.run(Plan(quick=True, seeds=3, data_dir=corpus))
    assert [part.answer for part in findings.parts] == ["for", "for"]
    (ends,) = findings.tables
    assert [row[0] for row in ends.rows] == ["selected", "Kaiming", "N(0, 0.02²)"]
    assert {row[1] for row in ends.rows} == {"0.01"}  # the last is of the full scale alone
    assert len(findings.pictures) == 1


def test_full_scale_has_policies_and_longer_trainings(corpus, monkeypatch):
    lengths, train = [], Bench.train

    def counted(self, start, watched, at, lr, seed):
        lengths.append(at[-1])
        return train(self, start, watched, at, lr, seed)

    monkeypatch.setattr(Bench, "train", counted)
    study = WeightSelectionText(**TINY | {"rates": (0.01,)}, updates=(20, 8))
    shares = []
    plan = Plan(seeds=2, data_dir=corpus, progress=lambda share, doing: shares.append(share))
    findings = study.run(plan)
    main, ways, longer = findings.tables
    assert [row[0] for row in ways.rows] == [
        "selected", "last blocks", "spread blocks", "first elements", "random", "inconsistent",
    ]  # fmt: skip
    assert all(
        row[0].endswith(f"{n} × the updates") for row, n in zip(longer.rows, (2, 4), strict=True)
    )
    assert lengths == [20, *[8] * 3 * (len(main.rows) + len(ways.rows) - 1), 16, 16, 32, 32]
    assert shares == sorted(shares)
    assert shares[-1] < 1
    for plan in (Plan(), Plan(quick=True)):
        points = "\n".join(study.setup(plan))
        assert ("inconsistent" in points) != plan.quick
    assert math.isfinite(ways.rows[-1][2].mean)


def test_rows_of_images_are_apart(tmp_path):
    write_mnist(tmp_path / "mnist", rows=(100, 20))
    study = WeightSelectionMNIST()
    task = study.task(Plan(data_dir=tmp_path))
    sizes = [len(rows.x) for rows in (task.train, task.choose, task.held_out)]
    assert sizes == [85, 15, 20]
    assert task.train.x.shape[1:] == task.inputs == (1, 28, 28)
    images = {rows.x[i].tobytes() for rows in task[:3] for i in range(len(rows.x))}
    assert len(images) == 120


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("start", [selected, inconsistent])
def test_starts_take_the_statistics_of_a_teacher_too(start, affine):
    def normalized(width):
        norm = nn.BatchNorm1d(width, affine=affine)
        return nn.Sequential(nn.Linear(2, width), norm, nn.ReLU(), nn.Linear(width, 2))

    teacher, student = normalized(8), normalized(4)
    teacher[1].running_mean.assign(np.arange(8))
    teacher[1].running_var.assign(np.arange(8) + 10)
    start(teacher)(student, 0)
    mean, variance = student[1].running_mean.numpy(), student[1].running_var.numpy()
    assert len(set(mean)) == 4
    np.testing.assert_array_equal(variance, mean + 10)
