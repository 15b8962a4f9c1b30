"""ReduceLROnPlateau beside PyTorch's, row by row."""

import itertools
import math
import pickle

import numpy as np
import pytest

from gradlab import nn, optim, schedule
from gradlab.errors import ArgumentError
from gradlab.train import Callback, History, ReduceLROnPlateau, RunFolder, Trainer, fit
from gradlab.train.training import Training

RATE = 0.3


@pytest.fixture
def trainer(classes, make_model):
    return Trainer(make_model(), *classes, nn.cross_entropy, optim.SGD(RATE), batch_size=25)


def rates(trainer, optimizer, values, **settings):
    """The learning rate after each row, with these validation losses."""
    trainer.optimizer = optimizer
    training = Training(trainer, len(values), validation=(trainer.x, trainer.y))
    callback, seen = ReduceLROnPlateau(**settings), []
    callback.on_start(training)
    for epoch, value in enumerate(values, 1):
        training.history.append({"epoch": epoch, "validation_loss": value})
        assert not callback.on_epoch(training, training.history.rows[-1])
        seen.append(trainer.optimizer.hyperparameters(epoch)["lr"])
    return seen


def torch_rates(values, **settings):
    """The same of PyTorch's scheduler."""
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=RATE)
    plateau, seen = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **settings), []
    for value in values:
        plateau.step(value)
        seen.append(optimizer.param_groups[0]["lr"])
    return seen


def walk(seed):
    """Values that fall and stall, with ties and NaN."""
    rng = np.random.default_rng(seed)
    steps = rng.choice([-0.2, -0.05, -1e-5, 0.0, 0.1], size=60)
    values = 2 + np.cumsum(steps)
    values[rng.random(60) < 0.05] = math.nan
    return values.tolist()


SETTINGS = [
    dict(zip(("mode", "threshold_mode", "patience", "cooldown"), choice, strict=True))
    for choice in itertools.product(("min", "max"), ("rel", "abs"), (0, 1, 4), (0, 3))
]


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: " ".join(map(str, s.values())))
@pytest.mark.parametrize("factor", [0.1, 0.7])
def test_the_rates_are_torchs(settings, factor, trainer):
    for seed, further in enumerate(
        [{}, {"threshold": 0.1}, {"min_lr": 0.02}, {"eps": 0.03}, {"min_lr": 1.0}]
    ):
        every = {"factor": factor, **settings, **further}
        values = walk(seed)
        assert rates(trainer, optim.SGD(RATE), values, **every) == torch_rates(values, **every)


def test_the_defaults_are_torchs(trainer):
    values = [1.0] * 40
    seen = rates(trainer, optim.SGD(RATE), values)
    assert seen == torch_rates(values)
    assert len(set(seen)) == 4


@pytest.mark.parametrize(
    "optimizer",
    [
        optim.Chain(optim.ClipNorm(1.0), optim.AdamW(RATE)),
        optim.Momentum(RATE * schedule.Exponential(0.9)),
        optim.Chain(optim.WeightDecay(0.1), optim.Adam(lambda t: RATE * 0.9**t)),
    ],
    ids=lambda optimizer: type(optimizer).__name__,
)
def test_it_multiplies_what_any_optimizer_and_schedule_give(optimizer, trainer):
    settings = {"factor": 0.5, "patience": 2}
    seen = rates(trainer, optimizer, [1.0] * 20, **settings)
    share = np.array(torch_rates([1.0] * 20, **settings)) / RATE
    without = [optimizer.hyperparameters(t)["lr"] for t in range(1, 21)]
    np.testing.assert_allclose(seen, share * without, rtol=1e-14)


def test_of_a_schedule_the_smallest_rate_holds_where_it_is_lowered(trainer):
    optimizer = optim.SGD(0.4 * schedule.Step(5, 0.5))
    seen = rates(trainer, optimizer, [1.0] * 9, factor=0.1, patience=1, min_lr=0.1)
    assert seen == pytest.approx([0.4, 0.4, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05, 0.05])


def test_two_of_them_multiply(trainer):
    training = Training(trainer, 4)
    hooks = [ReduceLROnPlateau("loss", factor=f, patience=0) for f in (0.5, 0.1)]
    for hook in hooks:
        hook.on_start(training)
    for epoch in (1, 2, 3):
        training.history.append({"epoch": epoch, "loss": 1.0})
        for hook in hooks:
            hook.on_epoch(training, training.history.rows[-1])
    assert trainer.optimizer.lr == pytest.approx(RATE * 0.05**2)


@pytest.mark.parametrize("executor", ["numpy", "native"])
def test_in_fit_the_history_shows_the_rate_and_nothing_is_compiled_anew(
    executor, classes, make_model
):
    programs = []

    class Programs(Callback):
        def on_epoch(self, training, row):
            programs.append(training.trainer.loop(25))

    history = fit(
        make_model(),
        classes,
        loss=nn.cross_entropy,
        optimizer=optim.SGD(0.4),
        epochs=5,
        batch_size=25,
        progress=False,
        executor=executor,
        callbacks=[Programs(), ReduceLROnPlateau("loss", factor=0.5, patience=0, threshold=0.99)],
    )
    assert history["lr"].tolist() == pytest.approx([0.4, 0.4, 0.2, 0.1, 0.05])
    assert len(set(map(id, programs))) == 1


@pytest.mark.parametrize("rate", [0.4, 0.4 * schedule.Exponential(0.9)], ids=repr)
def test_a_training_goes_on_to_the_same_bits(rate, classes, make_model, tmp_path):
    def run(*callbacks, run=None):
        hook = ReduceLROnPlateau(factor=0.3, patience=1, threshold=0.9, cooldown=1)
        hook = pickle.loads(pickle.dumps(hook))
        model = make_model()
        history = fit(
            model,
            classes,
            validation=classes,
            loss=nn.cross_entropy,
            optimizer=optim.Adam(rate),
            epochs=9,
            batch_size=8,
            progress=False,
            callbacks=[hook, *callbacks],
            run=run,
        )
        rows = [{k: v for k, v in row.items() if k != "seconds"} for row in history.rows]
        return rows, {name: value.tobytes() for name, value in model.state_dict().items()}

    expected = run()
    assert len({row["lr"] for row in expected[0]}) > 2
    for stop in (2, 3, 4, 6):

        class Kill(Callback):
            def on_advance(self, training, record, stop=stop):
                if training.trainer.epoch > stop:
                    raise KeyboardInterrupt

        folder = tmp_path / str(stop)
        folder.mkdir()
        with pytest.raises(KeyboardInterrupt):
            run(Kill(), run=RunFolder(folder))
        assert run(run=RunFolder(folder)) == expected


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"mode": "best"}, "mode is 'min' or 'max', got 'best'"),
        ({"threshold_mode": "relative"}, "threshold_mode is 'rel' or 'abs'"),
        ({"factor": 1.0}, "factor must be above 0 and below 1, got 1.0"),
        ({"factor": 0}, "factor must be"),
        ({"patience": -1}, "patience must be at least 0"),
        ({"threshold": -1}, "threshold must be"),
        ({"cooldown": -1}, "cooldown must be"),
        ({"min_lr": -1}, "min_lr must be"),
        ({"eps": math.nan}, "eps must be"),
    ],
)
def test_it_refuses(settings, text):
    with pytest.raises(ArgumentError, match=text):
        ReduceLROnPlateau(**settings)


def test_it_needs_what_it_watches(trainer):
    with pytest.raises(ArgumentError, match="monitor is 'validation_loss', and there is no"):
        ReduceLROnPlateau().on_start(Training(trainer, 3))
    training = Training(trainer, 3, history=History([{"epoch": 1, "loss": 1.0}]))
    with pytest.raises(KeyError, match="measurement"):
        ReduceLROnPlateau("los").on_start(training)
