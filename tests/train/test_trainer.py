"""The Trainer: what it does to the bits, and that nothing else does."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradlab import init, nn, optim, schedule
from gradlab.data import batches
from gradlab.errors import ArgumentError, DTypeError, RunError, ShapeError
from gradlab.train import Trainer, accuracy


def same(a, b):
    """Whether two states are equal bit for bit."""
    return a.keys() == b.keys() and all(a[k].tobytes() == b[k].tobytes() for k in a)


@pytest.fixture
def make(classes, make_model):
    def trainer(optimizer=None, loss=nn.cross_entropy, **options):
        optimizer = optimizer or optim.Adam(0.01 * schedule.Cosine(epochs=5))
        return Trainer(make_model(), *classes, loss, optimizer, batch_size=16, **options)

    return trainer


OPTIMIZERS = [
    optim.SGD(0.1),
    optim.Nesterov(0.05 * schedule.Exponential(0.5), momentum=lambda t: 0.5 + 0.1 * min(t, 3)),
    optim.Chain(optim.ClipNorm(0.5), optim.WeightDecay(0.01), optim.Adam(0.01)),
]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: type(o).__name__)
@pytest.mark.parametrize("options", [{}, {"drop_last": True}, {"shuffle": False}], ids=str)
def test_a_training_is_what_the_loop_by_hand_gives(optimizer, options, classes, make_model):
    trainer = Trainer(
        make_model(), *classes, nn.cross_entropy, optimizer, batch_size=16, seed=3, **options
    )
    record = trainer.advance(9)

    (x, y), model = classes, make_model().reseed(3)
    state = optimizer.init(model.named_parameters())
    losses, epoch = [], 0
    while len(losses) < 9:
        used = 0
        matrices = batches(50, 16, epoch=epoch, seed=3, **options)
        for rows in itertools.chain.from_iterable(matrices):
            t = epoch + used / 50
            used += len(rows)
            loss = optimizer.minimize(
                lambda rows=rows: nn.cross_entropy(model(x[rows]), y[rows]), state, epoch=t
            )
            losses.append(loss.item())
            assert record.epoch[len(losses) - 1] == t
            for name, value in optimizer.hyperparameters(t).items():
                assert record.hyperparameters[name][len(losses) - 1] == value
            if len(losses) == 9:
                break
        epoch += 1
    np.testing.assert_allclose(record.loss, losses, rtol=1e-5)
    for name, value in model.state_dict().items():
        np.testing.assert_allclose(trainer.model.state_dict()[name], value, rtol=1e-4, atol=1e-6)


def test_a_training_is_what_pytorch_gives(classes):
    torch = pytest.importorskip("torch")
    x, y = classes[0].astype(np.float64), classes[1]
    model = nn.MLP((4, 8, 3), "relu", dtype="float64")
    twin = torch.nn.Sequential(
        torch.nn.Linear(4, 8, dtype=torch.float64),
        torch.nn.ReLU(),
        torch.nn.Linear(8, 3, dtype=torch.float64),
    )
    twin.load_state_dict({k: torch.tensor(v) for k, v in model.state_dict().items()})
    adam = torch.optim.Adam(twin.parameters(), lr=0.02)
    trainer = Trainer(model, x, y, nn.cross_entropy, optim.Adam(0.02), batch_size=20, shuffle=False)
    for epoch in range(4):
        for start in (0, 20, 40):
            adam.zero_grad()
            rows = slice(start, start + 20)
            loss = torch.nn.functional.cross_entropy(
                twin(torch.tensor(x[rows])), torch.tensor(y[rows])
            )
            loss.backward()
            adam.step()
            assert trainer.advance(1).loss[0] == pytest.approx(loss.item(), rel=1e-9)
        assert trainer.epoch == epoch + 1
    for name, value in twin.state_dict().items():
        np.testing.assert_allclose(model.state_dict()[name], value.numpy(), rtol=1e-6)


@settings(max_examples=25)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_pieces_are_the_whole(pieces):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(23, 2)), rng.integers(0, 2, 23)

    def make():
        model = nn.MLP((2, 3, 2), dropout=0.4)
        init.initialize(model, "lecun_normal", 0)
        optimizer = optim.Momentum(0.1 * schedule.Cosine(epochs=9))
        return Trainer(model, x, y, nn.cross_entropy, optimizer, batch_size=5)

    whole, parts = make(), make()
    record = whole.advance(sum(pieces))
    records = [parts.advance(n) for n in pieces]
    assert same(whole.state(), parts.state())
    assert np.concatenate([r.loss for r in records]).tobytes() == record.loss.tobytes()
    assert record.update.tolist() == list(range(1, sum(pieces) + 1))


def test_the_seed_alone_decides(make):
    first, again, other = make(seed=1), make(seed=1), make(seed=2)
    for trainer in (first, again, other):
        trainer.advance(20)
    assert same(first.state(), again.state())
    assert not same(first.state(), other.state())


def test_looking_changes_nothing(make, classes):
    plain, watched = make(), make()
    plain.advance(10)
    for _ in range(10):
        watched.predict(classes[0][:7])
        watched.advance(1)
        watched.evaluate(*classes, {"accuracy": accuracy})
        watched.state()
    assert same(plain.state(), watched.state())


def test_a_model_may_draw_random_numbers_when_looked_at(classes):
    class Noisy(nn.Module):
        def __init__(self):
            self.linear, self.noise = nn.Linear(4, 3), nn.Dropout(0.5)

        def forward(self, x):
            if not self.training:
                self.noise.stream.uniform((3,))
            return self.linear(self.noise(x))

    def make():
        model = Noisy()
        init.initialize(model, "lecun_normal", 0)
        return Trainer(model, *classes, nn.cross_entropy, optim.SGD(0.1))

    plain, watched = make(), make()
    plain.advance(4)
    for _ in range(4):
        watched.predict(classes[0])
        watched.advance(1)
    assert same(plain.state(), watched.state())


def test_modes_of_modules_stay_as_they_were(make):
    trainer = make()
    trainer.model.eval()
    trainer.model[0].train()
    trainer.advance(3)
    trainer.predict(trainer.x)
    assert [m.training for m in trainer.model] == [True, False, False, False]


def test_a_state_goes_back_in_time(make):
    trainer = make()
    trainer.advance(6)
    state = trainer.state()
    first = trainer.advance(12)
    trainer.restore(state)
    assert trainer.updates == 6
    assert trainer.advance(12).loss.tobytes() == first.loss.tobytes()


def test_a_state_forks_into_another_trainer(make):
    trainer, fork = make(), make()
    trainer.advance(5)
    fork.restore(trainer.state())
    trainer.advance(9)
    fork.advance(9)
    assert same(trainer.state(), fork.state())


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.pop("trainer/batch"),
        lambda s: s.pop("optimizer/0.weight.s"),
        lambda s: s.update({"model/0.bias": np.zeros(9, np.float32)}),
        lambda s: s.update({"model/0.bias": np.zeros(8)}),
    ],
)
def test_a_foreign_state_changes_nothing(make, change):
    trainer = make()
    trainer.advance(3)
    before = trainer.state()
    state = make().state()
    change(state)
    with pytest.raises(RunError, match="another model or optimizer"):
        trainer.restore(state)
    assert same(trainer.state(), before)


def test_records_tell_of_each_update(make):
    record = make().advance()
    assert record.batch_size.tolist() == [16, 16, 16, 2]
    assert record.epoch.tolist() == [0, 16 / 50, 32 / 50, 48 / 50]
    assert record.mean_loss == pytest.approx(np.average(record.loss, weights=[16, 16, 16, 2]))
    assert len(record) == 4


def test_a_last_batch_of_one_row(classes, make_model):
    x, y = classes
    trainer = Trainer(make_model(), x[:33], y[:33], nn.cross_entropy, optim.SGD(0.1))
    assert trainer.advance().batch_size.tolist() == [32, 1]


def test_reciprocal_batches_give_the_same_curve_with_fewer_updates():
    """Smith et al., ICLR 2018: where the rate is divided by k, the batch can be multiplied by k."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1024, 8))
    y = x @ rng.normal(size=(8, 1)) + 0.5 * rng.normal(size=(1024, 1))
    decay = schedule.Step(every=2, gamma=0.5)
    growing = 8 * schedule.Reciprocal(decay)
    start = nn.Linear(8, 1).state_dict()

    def curve(rate, size):
        trainer = Trainer(nn.Linear(8, 1), x, y, nn.mse_loss, optim.SGD(rate), batch_size=size)
        trainer.model.load_state_dict(start)
        losses = []
        for _ in range(8):
            trainer.advance()
            losses.append(trainer.evaluate(x, y)["loss"])
        return np.array(losses), trainer.updates

    decayed, many = curve(0.02 * decay, 8)
    grown, few = curve(0.02, growing)
    assert many == 8 * 128
    assert few == 2 * (128 + 64 + 32 + 16)
    assert decayed[0] == grown[0]
    np.testing.assert_allclose(grown, decayed, rtol=0.02)


def test_a_batch_size_is_asked_only_for_epochs_that_are_trained(classes, make_model):
    trainer = Trainer(
        make_model(), *classes, nn.cross_entropy, optim.SGD(0.1),
        batch_size=lambda t: 10 if t < 2 else -1,
    )  # fmt: skip
    trainer.advance(10)
    assert trainer.epoch == 2
    with pytest.raises(ArgumentError, match="batch_size is -1 at t = 2 epochs"):
        trainer.advance(1)


def test_predictions_do_not_depend_on_how_many_there_are(make, classes, monkeypatch):
    trainer = make()
    whole = trainer.predict(classes[0])
    monkeypatch.setattr("gradlab.train.evaluate.ROWS", 7)
    np.testing.assert_allclose(trainer.predict(classes[0]), whole, rtol=1e-5)
    assert trainer.predict(classes[0][:0]).shape == (0, 3)


def test_parameters_are_named_by_path(classes):
    class Two(nn.Module):
        def __init__(self):
            self.body, self.head = nn.Sequential(nn.Linear(4, 5), nn.ReLU()), nn.Linear(5, 3)

        def forward(self, x):
            return self.head(self.body(x))

    model = Two()
    trainer = Trainer(model, *classes, nn.cross_entropy, optim.Momentum(0.1))
    assert model.body[0].weight.name == "body.0.weight"
    assert "optimizer/body.0.weight.v" in trainer.state()
    graph = str(trainer.loop(4).program.graph)
    assert "# output of body.0 (Linear)" in graph
    assert "# gradient of head.weight" in graph


X = np.zeros((6, 4))
Y = np.array([0, 1, 2, 0, 1, 2])
BAD = [
    ((X, Y[:5]), {}, ShapeError, "x has 6 rows and y 5"),
    ((X[:0], Y[:0]), {}, ShapeError, "no rows"),
    ((X[:, :3], Y), {}, ShapeError, r"Linear\(4, 8\) takes inputs"),
    ((X, Y.astype(float)), {}, DTypeError, "must be integers"),
    ((X, Y + 1), {}, ArgumentError, "from 0 to 2, got 1 to 3"),
    ((X, Y[:, None]), {}, ShapeError, "must have shape"),
    ((X.astype(str), Y), {}, DTypeError, "real numbers"),
    ((X, 3), {}, ShapeError, "a single number"),
    ((X, Y), {"batch_size": 7}, ArgumentError, "larger than the 6 training rows"),
    ((X, Y), {"batch_size": 0}, ArgumentError, "1 or more"),
    ((X, Y), {"seed": -1}, ArgumentError, "seed"),
    ((X, Y), {"executor": "abacus"}, ArgumentError, "unknown executor"),
]


@pytest.mark.parametrize(("data", "options", "error", "text"), BAD, ids=[b[3] for b in BAD])
def test_what_does_not_fit_is_said_at_once(data, options, error, text, make_model):
    with pytest.raises(error, match=text):
        Trainer(
            make_model(), *data, nn.cross_entropy, optim.SGD(0.1), **{"batch_size": 2} | options
        )


def test_a_loss_must_be_one_number(classes, make_model):
    def each(output, y):
        return nn.cross_entropy(output, y, "none")

    with pytest.raises(ShapeError, match="reduce it"):
        Trainer(make_model(), *classes, each, optim.SGD(0.1))


def test_a_model_without_parameters(classes):
    with pytest.raises(ArgumentError, match="no parameters"):
        Trainer(nn.Sequential(nn.ReLU()), *classes, nn.cross_entropy, optim.SGD(0.1))


def test_updates_are_counted_from_one(make):
    with pytest.raises(ArgumentError, match="at least 1"):
        make().advance(0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_data_take_the_models_dtype(dtype, classes, make_model):
    trainer = Trainer(make_model(dtype=dtype), *classes, nn.cross_entropy, optim.SGD(0.1))
    trainer.advance(1)
    assert trainer.x.dtype == dtype
    assert trainer.predict(classes[0].astype(np.float64)).dtype == dtype
