"""Each family that PyTorch has too, epoch by epoch."""

import numpy as np
import pytest

from gradlab import schedule as s

torch = pytest.importorskip("torch")
lr = pytest.importorskip("torch.optim.lr_scheduler")

EPOCHS = 50
BASE = 0.3


def torch_rates(make, epochs=EPOCHS):
    """Learning rate that each epoch's updates use; the scheduler steps after them."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=BASE)
    scheduler = make(optimizer)
    rates = []
    for _ in range(epochs):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize(
    ("schedule", "make"),
    [
        (s.Constant(), lambda o: lr.ConstantLR(o, factor=1.0)),
        (s.Step(10, 0.3), lambda o: lr.StepLR(o, 10, 0.3)),
        (s.MultiStep((7, 20, 33), 0.5), lambda o: lr.MultiStepLR(o, [7, 20, 33], 0.5)),
        (s.Exponential(0.93), lambda o: lr.ExponentialLR(o, 0.93)),
        (s.Cosine(EPOCHS), lambda o: lr.CosineAnnealingLR(o, EPOCHS)),
        (s.Cosine(EPOCHS, 0.2), lambda o: lr.CosineAnnealingLR(o, EPOCHS, BASE * 0.2)),
        (s.CosineRestarts(9), lambda o: lr.CosineAnnealingWarmRestarts(o, 9)),
        (s.CosineRestarts(5, 2, 0.1), lambda o: lr.CosineAnnealingWarmRestarts(o, 5, 2, BASE / 10)),
        (s.Polynomial(40, 0.9), lambda o: lr.PolynomialLR(o, 40, 0.9)),
        (s.Polynomial(40, 2), lambda o: lr.PolynomialLR(o, 40, 2)),
        (s.Linear(40, 0.25), lambda o: lr.LinearLR(o, 1.0, 0.25, 40)),
        (s.Warmup(8, start=0.1), lambda o: lr.LinearLR(o, 0.1, 1.0, 8)),
        (s.InverseTime(0.5), lambda o: lr.LambdaLR(o, lambda t: 1 / (1 + 0.5 * t))),
        (
            s.Warmup(8, s.Cosine(EPOCHS - 8), 0.1),
            lambda o: lr.SequentialLR(
                o, [lr.LinearLR(o, 0.1, 1.0, 8), lr.CosineAnnealingLR(o, EPOCHS - 8)], [8]
            ),
        ),
        (
            s.Step(10) * s.Exponential(0.9),
            lambda o: lr.ChainedScheduler([lr.StepLR(o, 10), lr.ExponentialLR(o, 0.9)]),
        ),
    ],
    ids=lambda x: repr(x) if isinstance(x, s.Schedule) else "",
)
def test_same_rate_at_every_epoch(schedule, make):
    ours = (BASE * schedule)(np.arange(EPOCHS))
    np.testing.assert_allclose(ours, torch_rates(make), rtol=1e-12, atol=1e-15)


def torch_values(make, updates, group):
    """Learning rate and momentum at each update."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=BASE, momentum=0.9)
    scheduler = make(optimizer)
    values = []
    for update in range(updates):
        values.append([optimizer.param_groups[0][name] for name in group])
        optimizer.step()
        if update + 1 < updates:
            scheduler.step()
    return np.array(values).T


@pytest.mark.parametrize("updates_per_epoch", [1, 7, 10])
@pytest.mark.parametrize("peak_at", [0.3, 0.25, 0.46])
@pytest.mark.parametrize("anneal", ["cos", "linear"])
@pytest.mark.parametrize("three_phase", [False, True])
@pytest.mark.parametrize("divisors", [(25, 1e4), (3, 7), (1, 0.5)])
def test_same_one_cycle_at_every_update(updates_per_epoch, peak_at, anneal, three_phase, divisors):
    """PyTorch's peak is at pN - 1 and its end at N - 1, the last update; rate and momentum."""
    total = 11 * updates_per_epoch
    down, further = divisors
    form = {"anneal": anneal, "three_phase": three_phase, "total_steps": total}
    rate = BASE * s.OneCycle(11, peak_at, 1 / down, 1 / (down * further), **form)
    high = 0.95 / 0.85
    momentum = 0.85 * s.OneCycle(11, peak_at, high, high, **form)
    theirs = torch_values(
        lambda o: lr.OneCycleLR(
            o,
            BASE,
            total_steps=total,
            pct_start=peak_at,
            anneal_strategy=anneal,
            three_phase=three_phase,
            div_factor=down,
            final_div_factor=further,
        ),
        total,
        ("lr", "momentum"),
    )
    t = np.arange(total) / updates_per_epoch
    # PyTorch goes from start to end by a difference, which it rounds as the larger of the two.
    np.testing.assert_allclose([rate(t), momentum(t)], theirs, rtol=1e-12, atol=1e-15)


def test_without_total_steps_one_cycle_is_the_limit_of_many():
    t = np.linspace(0, 11, 100)
    many = s.OneCycle(11, total_steps=10**9)
    np.testing.assert_allclose(s.OneCycle(11)(t), many(t), atol=1e-8)


@pytest.mark.parametrize("updates_per_epoch", [1, 7, 10])
@pytest.mark.parametrize("ways", [(6, 6), (5, 9), (12, 1)])
@pytest.mark.parametrize(
    ("mode", "gamma"), [("triangular", 1.0), ("triangular2", 1.0), ("exp_range", 0.97)]
)
def test_same_cycles_at_every_update(updates_per_epoch, ways, mode, gamma):
    n = updates_per_epoch
    form = {"mode": mode, "gamma": gamma**n}
    up, down = (steps / n for steps in ways)
    rate = BASE * s.Cyclic(up, down, start=0.1, **form)
    momentum = 0.8 * s.Cyclic(up, down, start=0.9 / 0.8, **form)
    theirs = torch_values(
        lambda o: lr.CyclicLR(o, BASE * 0.1, BASE, *ways, mode=mode, gamma=gamma),
        120,
        ("lr", "momentum"),
    )
    t = np.arange(120) / n
    np.testing.assert_allclose([rate(t), momentum(t)], theirs, rtol=1e-12, atol=1e-14)


def test_cycles_have_equal_ways_unless_said_otherwise():
    t = np.linspace(0, 30, 100)
    theirs = torch_values(lambda o: lr.CyclicLR(o, 0.1, BASE, 6), 40, ("lr",))[0]
    ours = BASE * s.Cyclic(6, start=0.1 / BASE)
    np.testing.assert_allclose(ours(np.arange(40)), theirs, rtol=1e-12)
    assert (ours(t) == (BASE * s.Cyclic(6, 6, 0.1 / BASE))(t)).all()
