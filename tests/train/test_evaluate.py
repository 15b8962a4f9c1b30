"""Evaluation computes from values: beside a training, in threads, and of several outputs."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import gradlab as gl
from gradlab import nn, optim
from gradlab.errors import GradlabError
from gradlab.nn.module import in_mode, own_modes
from gradlab.train import Trainer, evaluate, fit
from gradlab.train.evaluate import Evaluator

RNG = np.random.default_rng(5)
X = RNG.normal(size=(64, 4)).astype(np.float32)
Y = RNG.integers(0, 3, 64)
EXECUTORS = ["numpy", "native"]


def network(seed=0):
    model = nn.Sequential(
        nn.Linear(4, 16), nn.BatchNorm1d(16), nn.Dropout(0.5), nn.Tanh(), nn.Linear(16, 3)
    )
    gl.init.initialize(model, "xavier_uniform", seed)
    return model


def make(executor, model=None):
    return Trainer(
        model or network(), X, Y, nn.cross_entropy, optim.Adam(0.02), batch_size=16,
        executor=executor,
    )  # fmt: skip


@pytest.fixture
def switching():
    """Threads take turns as often as Python lets them."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_predictions_beside_a_training(executor, switching):
    """The training's bits are those without; each prediction is that of weights of one update."""
    plain, watched = make(executor), make(executor)
    states = [plain.predict(X)]
    for _ in range(30):
        plain.advance(1)
        states.append(plain.predict(X))
    known = {x.tobytes() for x in states}
    assert len(known) == 31
    ended = threading.Event()
    evaluator = Evaluator(watched.model, executor)

    def look(number):
        found = []
        while not ended.is_set():
            found.append((evaluator if number else watched._evaluation()).predict(X).tobytes())
            watched.evaluate(X, Y)
            assert watched.model.training
        return found

    with ThreadPoolExecutor(3) as pool:
        looks = [pool.submit(look, number) for number in range(3)]
        try:
            for _ in range(30):
                watched.advance(1)
        finally:
            ended.set()
        for each in looks:
            assert {*each.result()} <= known
    one, other = plain.state(), watched.state()
    assert all(other[k].tobytes() == v.tobytes() for k, v in one.items())


def test_predictions_beside_one_another_and_modes(switching):
    """A mode that another thread sets for a block is not seen here."""
    model = network()
    evaluator = Evaluator(model, "numpy")
    expected = evaluator.predict(X).tobytes()

    def look(number):
        for _ in range(20):
            if number % 2:
                with in_mode(model, training=True):
                    assert model[2].training
            assert evaluator.predict(X).tobytes() == expected
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(look, range(4)))
    assert all(m.training for m in model.named_modules().values())


def test_modes_of_a_block():
    model = network()
    model[1].eval()
    with in_mode(model, training=False):
        assert not any(m.training for m in model.named_modules().values())
        model[2].train()  # what is set within ends with it
        with own_modes(model):
            assert model[2].training
            model.train()
            assert model[1].training
        assert not model[1].training
        outside = nn.Dropout(0.1)
        outside.eval()
    assert [m.training for m in model] == [True, False, True, True, True]
    assert not outside.training
    with pytest.raises(RuntimeError), in_mode(model, training=False):
        raise RuntimeError
    assert model.training


def test_a_train_method_of_ones_own_counts():
    class Frozen(nn.Sequential):
        def train(self, mode=True):
            super().train(mode)
            self[1].eval()
            return self

    model = Frozen(*network())
    model.eval()
    trainer = make("numpy", model)
    trainer.advance(4)
    assert model[1].num_batches_tracked.item() == 0
    assert not model.training


class Touching(nn.Module):
    """Draws random numbers and counts in evaluation too."""

    def __init__(self):
        self.linear, self.noise = nn.Linear(4, 3), gl.RandomStream(0)
        self.seen = gl.Variable(0.0, trainable=False)

    def forward(self, x):
        self.seen.assign(self.seen + 1.0)
        return self.linear(x) + self.noise.uniform((x.shape[0], 3))


@pytest.mark.parametrize("executor", EXECUTORS)
def test_no_variable_is_touched(executor, monkeypatch):
    model, centers = Touching(), gl.Variable(np.zeros(3), trainable=False)

    def loss(output, y):
        centers.assign(centers + 1.0)
        return nn.cross_entropy(output, y)

    trainer = Trainer(model, X, Y, loss, optim.SGD(0.1), batch_size=16, executor=executor)
    held = {v: v.held for v in (*trainer.variables().values(), centers)}
    first = trainer.predict(X)
    trainer.evaluate(X, Y)
    trainer.arrays(X, Y)
    trainer.predict(X)
    assert all(v.held is tensor for v, tensor in held.items())
    assert trainer.predict(X).tobytes() == first.tobytes()
    monkeypatch.setattr(evaluate, "ROWS", 16)
    chunks = trainer.predict(X) - np.asarray(model.linear(X))
    np.testing.assert_allclose(
        chunks, np.concatenate([_noise(model, n) for n in range(4)]), atol=1e-6
    )


def _noise(model, draw):
    return gl.random_uniform(model.noise.key, np.uint32(draw), (16, 3), "float32").numpy()


# --- several outputs --------------------------------------------------------------------------


class Nest(nn.Module):
    def __init__(self, form):
        self.a, self.b, self.form = nn.Linear(4, 3), nn.Linear(4, 2), form

    def forward(self, x):
        a, b = self.a(x), self.b(x)
        return {
            "tuple": (a, b),
            "dict": {"classes": a, "rest": [b, None]},
            "scalar": (a, (b**2).mean()),
        }[self.form]


def nest_loss(output, y):
    first, *rest = gl.graph.tree.leaves(output)
    return nn.cross_entropy(first, y) + 0.1 * sum((x**2).mean() for x in rest)


@pytest.mark.parametrize("rows", [4096, 7])
@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("form", ["tuple", "dict", "scalar"])
def test_models_with_several_outputs(form, executor, rows, monkeypatch):
    monkeypatch.setattr(evaluate, "ROWS", rows)
    model = Nest(form)
    history = fit(
        model, (X, Y), loss=nest_loss, optimizer=optim.Adam(0.05), epochs=3, validation=(X, Y),
        metrics={"first": lambda output, y: float(gl.graph.tree.leaves(output)[0].mean())},
        progress=False, batch_size=16, executor=executor,
    )  # fmt: skip
    assert history["validation_loss"][-1] < history["validation_loss"][0]
    output, expected = Evaluator(model, executor).predict(X), model(X)
    assert type(output) is type(expected)
    pairs = zip(gl.graph.tree.leaves(output), gl.graph.tree.leaves(expected), strict=True)
    for found, x in pairs:
        assert type(found) is np.ndarray
        np.testing.assert_allclose(found, x.numpy(), rtol=2e-5, atol=1e-6)
    assert history["validation_first"][-1] == pytest.approx(
        float(gl.graph.tree.leaves(output)[0].mean()), abs=1e-6
    )


# --- losses across rows -----------------------------------------------------------------------


def pairs(output, y):
    """Neighbouring rows of one class are near, others far."""
    a, b = output[0::2], output[1::2]
    same = gl.astype(gl.equal(y[0::2], y[1::2]), output.dtype)
    distance = ((a - b) ** 2).sum(axis=1)
    return (same * distance + (1 - same) * gl.relu(1 - distance)).mean()


def triplets(output, y):
    a, b, c = (gl.reshape(output, (-1, 4, 3))[:, n] for n in range(3))
    return gl.relu(((a - b) ** 2).sum(axis=1) - ((a - c) ** 2).sum(axis=1) + 1).mean()


def variance(output, y):
    deviations = output - output.mean(axis=0, keepdims=True)
    return gl.relu(1 - (deviations**2).sum(axis=0) / (output.shape[0] - 1)).mean()


def contrastive(output, y):
    """Row i of one half belongs to row i of the other."""
    half = output.shape[0] // 2
    return nn.cross_entropy(output[:half] @ output[half:].T, np.arange(half))


def covariance(output, y):
    if output.shape[0] < 4:
        raise ValueError("needs four rows")
    centered = output - output.mean(axis=0, keepdims=True)
    return ((centered.T @ centered / (output.shape[0] - 1) - np.eye(3)) ** 2).sum()


def picky(output, y):
    """Refuses rows that nobody gives it, where it sees their numbers."""
    if not isinstance(output, gl.Symbol) and not (np.asarray(y) == Y[:16]).all():
        raise ValueError("these are not the rows")
    return (output**2).mean()


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(
    "loss", [pairs, triplets, variance, contrastive, covariance], ids=lambda f: f.__name__
)
def test_losses_across_rows(loss, executor):
    model = nn.Linear(4, 3)
    gl.init.initialize(model, "lecun_normal", 0)
    history = fit(
        model, (X, Y), loss=loss, optimizer=optim.Adam(0.02), epochs=20, validation=(X, Y),
        batch_size=16, progress=False, executor=executor, keep_best=False,
    )  # fmt: skip
    assert history["validation_loss"][-1] < history["validation_loss"][0]
    output = Evaluator(model, executor).predict(X)
    expected = float(loss(gl.tensor(output), gl.tensor(Y)))
    assert history["validation_loss"][-1] == pytest.approx(expected, rel=1e-5)


def test_what_a_loss_has_against_other_rows_does_not_matter():
    Trainer(nn.Linear(4, 3), X, Y, picky, optim.SGD(0.1), batch_size=16).advance(1)


@pytest.mark.parametrize("batch_size", [1, 2, 16, 64])
@pytest.mark.parametrize(
    ("loss", "y"),
    [
        (nn.cross_entropy, np.where(np.arange(64) == 40, 3, Y)),
        (nn.cross_entropy, np.where(np.arange(64) == 63, -1, Y)),
        (nn.hinge_loss, np.where(np.arange(64) == 40, 3, Y)),
        (nn.binary_cross_entropy_with_logits, np.full((64, 3), 2.0)),
        (nn.cross_entropy, Y[:, None]),
        (nn.mse_loss, Y),
        (lambda output, y: nn.cross_entropy(output, y, "none"), Y),
    ],
)
def test_targets_that_do_not_fit_are_told_before_the_first_update(loss, y, batch_size):
    with pytest.raises(GradlabError, match=r"must|reduce|reshape"):
        Trainer(nn.Linear(4, 3), X, y, loss, optim.SGD(0.1), batch_size=batch_size)
    trainer = Trainer(nn.Linear(4, 3), X, Y, nn.cross_entropy, optim.SGD(0.1))
    trainer.loss = loss
    with pytest.raises(GradlabError, match=r"must|reduce|reshape"):
        trainer.arrays(X, y)


# --- parameters that the loss does not use ----------------------------------------------------


class Unused(nn.Module):
    def __init__(self):
        self.used, self.extra = nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, x):
        self.extra(x)
        return self.used(x)


UNUSED = r"does not depend on extra\.weight, extra\.bias"


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("micro_batch", [None, 4])
@pytest.mark.parametrize(
    "optimizer",
    [
        optim.SGD(0.1),
        optim.Nesterov(0.05),
        optim.Adam(0.05),
        optim.AdamW(0.05, weight_decay=0.5),
        optim.Chain(optim.ClipNorm(0.5), optim.WeightDecay(0.1), optim.Momentum(0.1)),
    ],
    ids=lambda o: type(o).__name__,
)
def test_unused_parameters_are_named_and_stay(optimizer, executor, micro_batch):
    """All else is as without them, also weight decay and the norm that is clipped."""
    options = {"batch_size": 24, "micro_batch": micro_batch, "executor": executor}
    trainer = Trainer(Unused(), X, Y, nn.cross_entropy, optimizer, **options)
    alone = Trainer(nn.Linear(4, 3), X, Y, nn.cross_entropy, optimizer, **options)
    alone.model.load_state_dict(trainer.model.used.state_dict())
    before = {k: v.numpy() for k, v in trainer.variables().items() if "extra" in k}
    with pytest.warns(UserWarning, match=UNUSED) as caught:
        record = trainer.advance(6)  # batches of two sizes
    assert len(caught) == 1
    assert record.loss.tobytes() == alone.advance(6).loss.tobytes()
    after = trainer.variables()
    assert all(after[k].numpy().tobytes() == v.tobytes() for k, v in before.items())


def test_fit_warns_of_unused_parameters_and_none_used_is_an_error():
    with pytest.warns(UserWarning, match=UNUSED):
        fit(Unused(), (X, Y), loss=nn.cross_entropy, optimizer=optim.Adam(), epochs=2,
            progress=False, executor="numpy")  # fmt: skip
    trainer = Trainer(
        nn.Linear(4, 3), X, Y, lambda output, y: gl.stop_gradient(output).sum(), optim.SGD(0.1)
    )
    with pytest.raises(GradlabError, match="depends on none of the weights"):
        trainer.advance(1)


def test_a_parameter_that_is_used_later_counts_its_own_updates():
    class Model(nn.Module):
        def __init__(self):
            self.first, self.second, self.both = nn.Linear(4, 3), nn.Linear(4, 3), False

        def forward(self, x):
            return self.first(x) + self.second(x) if self.both else self.first(x)

    model = Model()
    trainer = Trainer(model, X, Y, nn.cross_entropy, optim.Adam(0.01), executor="numpy")
    with pytest.warns(UserWarning, match=r"second\.weight"):
        trainer.advance(5)
    before, model.both = model.second.weight.numpy(), True
    trainer.advance(1)
    # Adam's first update is the rate in the direction of the sign.
    np.testing.assert_allclose(abs(model.second.weight.numpy() - before), 0.01, rtol=1e-3)
    assert trainer.state()["optimizer/second.weight.count"] == 1


CHANGES = {
    "advance": lambda trainer, other: trainer.advance(1),
    "restore": lambda trainer, other: trainer.restore(other.state()),
    "load_state_dict": lambda trainer, other: trainer.model.load_state_dict(
        other.model.state_dict()
    ),
    "loop": lambda trainer, other: trainer.loop(16).run([np.arange(16)], _hyper(trainer)),
    "compiled": lambda trainer, other: gl.compile(_shrink, executor="numpy")(trainer.model),
}


def _hyper(trainer):
    return [[*trainer.optimizer.hyperparameters(0.0).values()]]


def _shrink(model):
    for v in model.parameters():
        v.assign(v * 0.5)


@pytest.mark.parametrize("change", CHANGES)
def test_no_prediction_sees_half_of_a_change(change, monkeypatch):
    """One that begins in the middle of a change waits for its end."""
    trainer, other = make("numpy"), make("numpy", network(1))
    trainer.loop(16)
    assign, found, threads = gl.Variable.assign, [], []

    def look():
        found.append(trainer.predict(X))

    def assign_and_look(self, value):
        assign(self, value)
        if self is trainer.model[0].weight and not isinstance(value, gl.Symbol):
            threads.append(threading.Thread(target=look))
            threads[-1].start()
            threads[-1].join(0.2)  # it must not be able to end

    monkeypatch.setattr(gl.Variable, "assign", assign_and_look)
    before = trainer.predict(X)
    CHANGES[change](trainer, other)
    monkeypatch.undo()
    assert len(threads) == 1
    threads[0].join()
    after = trainer.predict(X)
    assert not np.array_equal(before, after)
    np.testing.assert_array_equal(found[0], after)
