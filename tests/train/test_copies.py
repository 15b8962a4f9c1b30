"""Copies and pickles: programs are left behind, all else goes on to the same bits."""

import copy
import pickle

import numpy as np
import pytest

import gradlab as gl
from gradlab import nn, optim, schedule
from gradlab.train import Callback, EarlyStopping, Trainer, fit
from gradlab.train.evaluate import Evaluator
from gradlab.train.progress import LiveProgress
from gradlab.train.training import Training

RNG = np.random.default_rng(5)
X = RNG.normal(size=(40, 4)).astype(np.float32)
Y = RNG.integers(0, 3, 40)


def pickled(thing):
    return pickle.loads(pickle.dumps(thing))


WAYS = [copy.deepcopy, pickled]
EXECUTORS = ["numpy", "native"]


class Loss:
    """With a Variable and with a compiled function."""

    def __init__(self):
        self.strength = gl.Variable(2.0, trainable=False)
        self.compiled = gl.compile(self.scaled, executor="numpy")

    def scaled(self, x):
        return x * self.strength

    def __call__(self, output, y):
        return self.compiled(nn.cross_entropy(output, y))


class Holding(nn.Module):
    """A module that holds a compiled function, and one whose method is compiled."""

    def __init__(self):
        self.linear = nn.Linear(4, 3)
        self.fast = gl.compile(self.linear, executor="numpy")
        self.method = gl.compile(self.double, executor="numpy")

    def double(self, x):
        return 2 * self.linear(x)

    @gl.compile
    def half(self, x):
        return self.linear(x) / 2

    def forward(self, x):
        return self.fast(x) + self.method(x) + self.half(x)


@gl.compile
def doubled(x):
    return 2 * x


def network():
    model = nn.Sequential(
        nn.Checkpoint(nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.3))),
        nn.Linear(8, 4),
        Holding(),
    )
    gl.init.initialize(model, "xavier_uniform", 0)
    return model


def arrays(variables):
    return {id(v) for v in variables}, {id(v.held) for v in variables}


def assert_apart(one, other):
    for mine, theirs in zip(arrays(one), arrays(other), strict=True):
        assert not mine & theirs


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("micro_batch", [None, 4])
def test_a_trainer_that_has_run(way, executor, micro_batch):
    optimizer = optim.Chain(optim.ClipNorm(1.0), optim.Adam(0.01 * schedule.Cosine(epochs=5)))
    trainer = Trainer(
        network(), X, Y, Loss(), optimizer, batch_size=8, executor=executor, micro_batch=micro_batch
    )
    trainer.model[1].bias.trainable = False
    trainer.advance(6)
    trainer.predict(X)
    other = way(trainer)
    assert_apart(trainer.variables().values(), other.variables().values())
    assert other.loss.strength is not trainer.loss.strength
    before = trainer.state()
    record = other.advance(7)
    assert all(trainer.state()[k].tobytes() == v.tobytes() for k, v in before.items())
    assert trainer.advance(7).loss.tobytes() == record.loss.tobytes()
    again = other.state()
    assert all(again[k].tobytes() == v.tobytes() for k, v in trainer.state().items())
    assert other.predict(X).tobytes() == trainer.predict(X).tobytes()
    other.loss.strength.assign(0.0)
    assert other.advance(1).loss[0] == 0 != trainer.advance(1).loss[0]


def test_copies_share_the_data_and_no_mode():
    windows = np.lib.stride_tricks.sliding_window_view(np.arange(43.0, dtype=np.float32), 4)
    model = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5))
    trainer = Trainer(model, windows, Y, nn.cross_entropy, optim.SGD(0.1))
    trainer.advance(1)
    other = copy.deepcopy(trainer)
    assert other.x is trainer.x
    assert other.y is trainer.y
    other.model.eval()
    assert trainer.model.training


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("way", WAYS)
def test_an_evaluator(way, executor):
    evaluator = Evaluator(network(), executor)
    expected = evaluator.predict(X)
    other = way(evaluator)
    assert_apart(evaluator.model.named_variables().values(), other.model.named_variables().values())
    assert other.predict(X).tobytes() == expected.tobytes()
    other.model[1].weight.assign(np.zeros((4, 8)))
    assert other.predict(X).tobytes() != expected.tobytes()
    assert evaluator.predict(X).tobytes() == expected.tobytes()


@pytest.mark.parametrize("way", WAYS)
def test_a_module_that_holds_compiled_functions(way):
    module = Holding()
    expected = module(X).numpy()
    other = way(module)
    assert_apart(module.parameters(), other.parameters())
    np.testing.assert_array_equal(other(X), expected)
    other.linear.weight.assign(np.zeros((3, 4)))
    other.linear.bias.assign(np.ones(3))
    np.testing.assert_allclose(other(X), np.full((40, 3), 3.5))
    np.testing.assert_array_equal(module(X), expected)
    assert "0 programs" in repr(way(module).fast)


@pytest.mark.parametrize("way", WAYS)
def test_compiled_functions(way):
    doubled(1.0)
    same = way(doubled)
    assert same(3.0).item() == 6
    assert pickled(doubled) is doubled
    with pytest.raises((AttributeError, pickle.PicklingError)):
        pickle.dumps(gl.compile(lambda x: x))  # as the function itself
    assert copy.deepcopy(gl.compile(lambda x: x + 1))(1.0).item() == 2
    assert copy.copy(doubled)(2.0).item() == 4


class Keeping(Callback):
    """Keeps what it sees."""

    def __init__(self):
        self.trainings, self.compiled = [], gl.compile(nn.Linear(4, 3), executor="numpy")

    def on_epoch(self, training, row):
        self.compiled(X)
        self.trainings.append(copy.deepcopy(training.trainer))


@pytest.mark.parametrize("way", WAYS)
def test_callbacks_and_trainings(way):
    keeping, stopping = Keeping(), EarlyStopping(3)
    trainer = Trainer(network(), X, Y, nn.cross_entropy, optim.SGD(0.1), executor="numpy")
    fit(
        network(), (X, Y), loss=nn.cross_entropy, optimizer=optim.SGD(0.1), epochs=3,
        validation=(X, Y), callbacks=[keeping, stopping], progress=False, executor="numpy",
    )  # fmt: skip
    other = way(keeping)
    for mine, theirs in zip(keeping.trainings, other.trainings, strict=True):
        assert mine.advance(2).loss.tobytes() == theirs.advance(2).loss.tobytes()
    assert vars(way(stopping)) == vars(stopping)
    trainer.advance(2)
    training = way(Training(trainer, epochs=3))
    assert training.trainer.advance(2).loss.tobytes() == trainer.advance(2).loss.tobytes()


@pytest.mark.parametrize("way", WAYS)
def test_the_progress_display_after_a_fit(way):
    progress = LiveProgress()
    fit(
        nn.Linear(4, 3), (X, Y), loss=nn.cross_entropy, optimizer=optim.SGD(0.1), epochs=1,
        callbacks=[progress], progress=False, executor="numpy",
    )  # fmt: skip
    other = way(progress)
    fit(
        nn.Linear(4, 3), (X, Y), loss=nn.cross_entropy, optimizer=optim.SGD(0.1), epochs=1,
        callbacks=[other], progress=False, executor="numpy",
    )  # fmt: skip
