"""The substance of the initialization studies, at a tiny scale."""

import math

import numpy as np
import pytest

from gradlab.init import Identical, initialize
from gradlab.nn import MLP, cross_entropy
from gradlab.optim import Adam
from gradlab.studies import Plan, studies
from gradlab.studies.deep_relu import GUESS, STALLED, WINDOW, DeepReLU, factors, guessing
from gradlab.studies.identical_weights import IdenticalWeights, collapsed, largest_difference
from gradlab.studies.pixels import load
from gradlab.studies.signals import variances
from gradlab.studies.tanh_xavier import USUAL, XAVIER, TanhXavier, factor
from gradlab.train import Trainer


def cells(findings, table=0):
    """Rows of a table by their first cell."""
    return {row[0]: row[1:] for row in findings.tables[table].rows}


@pytest.mark.parametrize("width", [8, 7])
def test_copies_stay_copies_under_any_optimizer(width):
    model = MLP((64, width, width, 10), "tanh")
    initialize(model, Identical(), 0)
    rows = load("digits", Plan())["train"]
    Trainer(model, *rows, cross_entropy, Adam(0.01)).advance(100)
    assert largest_difference(model) == 0.0
    np.testing.assert_allclose(
        collapsed(model)(rows.x).numpy(), model(rows.x).numpy(), rtol=1e-4, atol=1e-5
    )


def test_identical_weights(quick):
    findings = IdenticalWeights(width=8, quick_epochs=6).run(quick)
    assert findings.verdict.answer == "for"
    rows = cells(findings)
    assert rows["identical"][1:] == ("0, exactly", "1")
    assert rows["Kaiming"][2] == "8"
    assert rows["same row"][1].low > 0.1  # alike coming in, but not going out
    assert rows["identical"][0].low > 2 * rows["Kaiming"][0].high


def test_units_that_differ_speak_against_copies():
    study = IdenticalWeights()
    assert study._copies([0.0, 1e-9]).answer == "against"
    assert study._one_unit([0.5]).answer == "against"


def test_variances_are_those_of_each_layer():
    model = MLP((5, 4, 3), "tanh", dtype="float64")
    x, y = np.random.default_rng(0).normal(size=(6, 5)), np.array([0, 1, 2, 0, 1, 2])
    signals, adjoints = variances(model, x, y)
    z1 = x @ model[0].weight.numpy().T + model[0].bias.numpy()
    z2 = np.tanh(z1) @ model[2].weight.numpy().T + model[2].bias.numpy()
    g2 = np.exp(z2) / np.exp(z2).sum(axis=1, keepdims=True) - np.eye(3)[y]
    g1 = g2 @ model[2].weight.numpy() * (1 - np.tanh(z1) ** 2)
    np.testing.assert_allclose(signals, [z1.var(), z2.var()])
    np.testing.assert_allclose(adjoints, [g1.var(), g2.var()])


def test_deep_relu(quick):
    study = DeepReLU("digits", depth=10, width=128, quick_epochs=12, networks=6, rows=64)
    findings = study.run(quick)
    theory = cells(findings)
    for name, expected in (("Kaiming", 1.0), ("Xavier", 0.5)):
        for estimate in theory[name][1:]:
            assert estimate.mean == pytest.approx(expected, rel=0.1)
    losses = cells(findings, 1)
    assert losses["0.01, Kaiming"][1].high < 1
    assert losses["0.01, Xavier"][0].low > 0.97 * GUESS
    assert len(findings.parts) == 6


def test_the_factor_of_a_chain_is_the_product_s_root():
    halving = 3.0 * 0.5 ** np.arange(30) * np.ones((4, 1))
    found = factors({"Xavier": halving})["Xavier"]
    assert (found.low, found.mean, found.high) == pytest.approx((0.5, 0.5, 0.5))
    assert factor(halving).mean == pytest.approx(0.5)


def test_how_long_a_training_is_no_better_than_a_guess():
    stuck = np.full((2, 4 * WINDOW), GUESS)
    freed = stuck.copy()
    freed[:, 2 * WINDOW :] = 0.0  # the mean falls by 5 % once a twentieth of its losses has
    found = guessing(freed)
    assert found.mean == pytest.approx(
        2 * WINDOW + math.ceil(WINDOW * (1 - STALLED / GUESS)), abs=1
    )
    assert guessing(stuck) == "all"
    assert guessing(np.concatenate([stuck, freed])) == "all (at 2 of 4 seeds)"


def test_tanh_xavier(quick):
    study = TanhXavier("digits", quick_width=64, rates=(0.01, 0.1), quick_epochs=4, rows=200)
    findings = study.run(quick)
    assert [part.answer for part in findings.parts[:2]] == ["for", "for"]
    rows = cells(findings)
    for xavier, usual in zip(rows[XAVIER], rows[USUAL], strict=True):
        assert usual.mean == pytest.approx(1 / 3, rel=0.2)
        assert xavier.mean > 1.5 * usual.mean
    losses = cells(findings, 1)
    assert {losses[name][0] for name in losses} <= {"0.01", "0.1"}


@pytest.mark.parametrize("name", ["identical_weights", "deep_relu", "tanh_xavier"])
def test_every_study_says_what_it_does(name):
    study = studies[name].factory()
    full, quick = study.setup(Plan(seeds=7)), study.setup(Plan(quick=True, seeds=7))
    assert full != quick
    assert any("7 seeds" in point for point in full)
    assert "95 %" in study.criterion
