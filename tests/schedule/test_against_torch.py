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


def test_same_one_cycle_at_every_update():
    """PyTorch reaches its end at the last update, n − 1, and its peak at p·n − 1."""
    n, peak_at = 50, 0.3
    last = n - 1
    ours = BASE * s.OneCycle(last, (peak_at * n - 1) / last, start=1 / 25, final=1 / 25e4)
    theirs = torch_rates(
        lambda o: lr.OneCycleLR(o, BASE, total_steps=n, pct_start=peak_at, cycle_momentum=False),
        last,
    )
    np.testing.assert_allclose(ours(np.arange(last)), theirs, rtol=1e-12)
