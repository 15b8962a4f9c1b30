"""Whole trainings in machine code: the curves of NumPy's, as far as rounding lets them agree.

Rounding enters at each update and the training itself makes it grow or shrink. How much, NumPy
tells: it trains a second time from weights that are off by a relative ±ROUNDINGS · eps at random.
Of 50 updates each adds far less than 90 eps to the weights' relative error (sums of some hundred
terms in other orders, functions within a few units of the last place), which is ROUNDINGS = 4500
in all if it came at once, at the start. The distance between NumPy's two curves is what is allowed.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import gradlab as gl
from gradlab import nn, optim, schedule
from gradlab.errors import DivergenceError
from gradlab.execute import Loop
from gradlab.graph import Spec, trace
from gradlab.train import Trainer

EXECUTOR = "native"
ROOT = Path(__file__).parents[3]
UPDATES = 50
ROUNDINGS = 4500


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory):
    """What one test has compiled, another loads."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADLAB_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


RATES = {"adagrad": 0.05, "sgd": 0.1, "rmsprop": 0.01, "adam": 0.02, "adamw": 0.02}
SCHEDULES = {
    "constant": schedule.Constant(),
    "cosine": schedule.Cosine(epochs=20),
    "warmup": schedule.build("warmup(over=3, then='exponential(gamma=0.9)')"),
    "one_cycle": schedule.OneCycle(epochs=20),
    "step": schedule.Step(every=4, gamma=0.5),
}


def network(kind, dtype):
    """A model, its loss and whether the targets are classes."""
    if kind == "tanh":
        return nn.MLP((2, 8, 8, 1), "tanh", dtype=dtype), nn.mse_loss, False
    if kind == "relu":
        return nn.MLP((2, 24, 16, 3), "relu", dtype=dtype), nn.cross_entropy, True
    if kind == "dropout":
        return nn.MLP((2, 16, 3), "gelu", dropout=0.3, dtype=dtype), nn.cross_entropy, True
    return nn.MLP((2, 9, 5, 3), kind, dtype=dtype), nn.cross_entropy, True


def data(classes, count=30):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(count, 2))
    radius = np.hypot(*x.T)
    return x, np.digitize(radius, [0.8, 1.5]) if classes else np.sin(2 * radius)[:, None]


def trainer(kind="tanh", optimizer=None, dtype="float64", executor=EXECUTOR, **options):
    model, loss, classes = network(kind, dtype)
    gl.init.initialize(model, "xavier_uniform", seed=1)
    x, y = data(classes)
    optimizer = optimizer or optim.SGD(0.1)
    options = {"batch_size": 10, "seed": 3} | options
    return Trainer(model, x, y, loss, optimizer, executor=executor, **options)


def trained(made, updates=UPDATES, off=0.0):
    """Losses, and all floating Variables in the end; weights first off by a relative ±off."""
    rng = np.random.default_rng(0)
    for parameter in made.model.parameters():
        sign = rng.choice([-1.0, 1.0], parameter.shape)
        parameter.assign((parameter.numpy() * (1 + off * sign)).astype(parameter.dtype))
    losses = made.advance(updates).loss
    values = [v.numpy().ravel() for v in made.variables().values() if v.dtype.kind == "f"]
    return losses.astype(float), np.concatenate(values).astype(float)


def assert_agree(kind="tanh", optimizer=None, dtype="float64", updates=UPDATES, **options):
    def run(executor, off=0.0):
        return trained(trainer(kind, optimizer, dtype, executor, **options), updates, off)

    eps = np.finfo(dtype).eps
    expected, moved = run("numpy"), run("numpy", off=ROUNDINGS * eps)
    for found, reference, shifted in zip(run(EXECUTOR), expected, moved, strict=True):
        assert np.isfinite(reference).all()
        growth = np.abs(shifted - reference).max()
        size = np.abs(reference).max()
        assert 0 < growth < 1e6 * ROUNDINGS * eps * size  # not chaos, of which no test could tell
        assert np.abs(found - reference).max() <= growth + 4 * eps * size
    losses = expected[0]
    assert losses[-10:].mean() < losses[:10].mean()  # it does learn


@pytest.mark.parametrize("name", sorted(optim.optimizers))
@pytest.mark.parametrize("kind", ["tanh", "relu"])
def test_every_optimizer(name, kind):
    assert_agree(kind, optim.optimizers.build(name, lr=RATES.get(name, 0.02)))


@pytest.mark.parametrize("kind", ["dropout", "sigmoid", "softplus", "elu", "silu", "leaky_relu"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_networks(kind, dtype):
    assert_agree(kind, optim.Adam(0.02), dtype, updates=40)


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_schedules(name):
    assert_agree("tanh", optim.Momentum(0.05 * SCHEDULES[name]))


@pytest.mark.parametrize(
    "chained",
    [
        optim.ClipNorm(0.05),
        optim.ClipValue(0.02),
        optim.WeightDecay(0.1),
        optim.DecoupledDecay(0.1),
    ],
    ids=lambda t: type(t).__name__,
)
def test_transforms(chained):
    assert_agree("relu", optim.Chain(chained, optim.Momentum(0.05)))


def test_a_last_partial_batch():
    assert set(trainer("relu", batch_size=8).advance(4).batch_size) == {8, 6}
    assert_agree("relu", optim.Adam(0.02), batch_size=8)


def test_growing_batches():
    growing = 5 * schedule.StepGrowth(every=3, factor=2)
    assert set(trainer("relu", batch_size=growing).advance(30).batch_size) == {5, 10, 20}
    assert_agree("relu", optim.Adam(0.02), batch_size=growing)


def test_it_goes_on_from_a_state_to_the_same_bits():
    whole, cut = (trainer("dropout", optim.Adam(0.02)) for _ in range(2))
    losses = whole.advance(20).loss
    first = cut.advance(7).loss
    other = trainer("dropout", optim.Adam(0.02), seed=9)
    other.restore(cut.state())
    other.seed = cut.seed
    parts = np.concatenate([first, other.advance(13).loss])
    assert parts.tobytes() == losses.tobytes()
    for x, y in zip(whole.state().values(), other.state().values(), strict=True):
        assert x.tobytes() == y.tobytes()


@pytest.mark.parametrize("kind", ["relu", "dropout"])
def test_the_same_seed_gives_the_same_bits(kind):
    (a, b), (c, d) = (trained(trainer(kind, optim.Adam(0.02))) for _ in range(2))
    assert (a.tobytes(), b.tobytes()) == (c.tobytes(), d.tobytes())
    other, _ = trained(trainer(kind, optim.Adam(0.02), seed=4))
    assert not np.array_equal(a, other)


# --- divergence ---------------------------------------------------------------------------------


def diverging_loop(kind, executor, halt):
    """Updates whose weights grow a millionfold and more at each."""
    model, loss, classes = network(kind, "float32")
    gl.init.initialize(model, "xavier_uniform", seed=1)
    x, y = data(classes)
    arrays = [x.astype(np.float32), y if classes else y.astype(np.float32)]
    optimizer = optim.Momentum(1.0)
    state = optimizer.init(model)

    def step(x, y, lr):
        value = optimizer.minimize(lambda: loss(model(x), y), state, {"lr": lr, "momentum": 0.9})
        return value, gl.isfinite(value)

    specs = [Spec((8, *array.shape[1:]), array.dtype) for array in arrays]
    graph = trace(step, *specs, Spec((), np.float64, weak=True))
    return Loop(graph, arrays, executor=executor, halt=1 if halt else None), model


def kinds(losses):
    """What each loss is: a number, +∞, −∞ or NaN."""
    return [str(x) if not np.isfinite(x) else "finite" for x in losses]


@pytest.mark.parametrize("kind", ["relu", "softplus", "silu"])
@pytest.mark.parametrize("rate", [1e15, 1e30])
def test_divergence_shows_as_it_does_with_numpy(kind, rate):
    rows = np.random.default_rng(0).integers(0, 30, (12, 8))
    found = {}
    for executor in ("numpy", EXECUTOR):
        loop, model = diverging_loop(kind, executor, halt=False)
        losses, finite = loop.run(rows, [[rate]] * 12)
        found[executor] = kinds(losses), finite.tolist(), [kinds(w.numpy().ravel())
                                                           for w in model.parameters()]  # fmt: skip
    assert found[EXECUTOR] == found["numpy"]
    assert found["numpy"][1][0]
    assert not found["numpy"][1][-1]


def test_it_halts_at_the_first_update_that_is_not_finite():
    rows = np.random.default_rng(0).integers(0, 30, (12, 8))
    lengths = []
    for executor in ("numpy", EXECUTOR):
        free, _ = diverging_loop("relu", executor, halt=False)
        halted, _ = diverging_loop("relu", executor, halt=True)
        losses, finite = free.run(rows, [[1e8]] * 12)
        emitted = halted.run(rows, [[1e8]] * 12)
        first = int(np.argmin(finite))
        assert [len(x) for x in emitted] == [first + 1] * 2
        assert emitted[0].tobytes() == losses[: first + 1].tobytes()
        lengths.append(first)
    assert lengths[0] == lengths[1] > 0


def test_the_error_names_the_same_update_and_tensor():
    messages, states = [], []
    for executor in ("numpy", EXECUTOR):
        made = trainer("relu", optim.SGD(1e200), executor=executor)
        with pytest.raises(DivergenceError) as caught:
            made.advance(20)
        messages.append(str(caught.value))
        states.append(made.state())
    assert messages[0] == messages[1]
    for x, y in zip(states[0].values(), states[1].values(), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-6)
        assert np.isfinite(y).all()


def test_nan_in_the_data_is_nan_in_the_loss():
    for executor in ("numpy", EXECUTOR):
        loop, model = diverging_loop("relu", executor, halt=False)
        loop.data[0][3, 1] = np.nan
        rows = np.array([range(8, 16), range(0, 8), range(8, 16)])
        losses, _ = loop.run(rows, [[0.01]] * 3)
        assert kinds(losses) == ["finite", "nan", "nan"]
        assert np.isnan(model.parameters()[0].numpy()).any()


# --- processes, threads, kills ------------------------------------------------------------------

SCRIPT = """
import hashlib
import numpy as np
import gradlab as gl
from gradlab import nn, optim
from gradlab.train import Trainer
print("ready", flush=True)
rng = np.random.default_rng(0)
x = rng.normal(size=(600, 40))
y = rng.integers(0, 10, 600)
model = nn.MLP((40, 200, 120, 10), "tanh", dropout=0.1)
gl.init.initialize(model, "xavier_uniform", seed=1)
trainer = Trainer(model, x, y, nn.cross_entropy, optim.Adam(0.01), batch_size=250,
                  executor={executor!r})
digest = hashlib.sha256(trainer.advance(6).loss.tobytes())
for value in trainer.state().values():
    digest.update(value.tobytes())
print(digest.hexdigest())
"""


def start(cache, threads):
    environment = os.environ | {"GRADLAB_CACHE": str(cache), "GRADLAB_THREADS": str(threads)}
    script = SCRIPT.format(executor=EXECUTOR)
    return subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )


def result(process):
    output, _ = process.communicate()
    assert process.returncode == 0
    return output.splitlines()[-1]


@pytest.mark.parametrize("threads", [1, 2])
def test_a_number_of_threads_gives_the_same_bits_each_time(threads, tmp_path):
    """Compiled anew, from the disk cache, and without one."""
    found = [result(start(cache, threads)) for cache in (tmp_path, tmp_path, "off")[: threads + 1]]
    assert len(found[0]) == 64
    assert len(set(found)) == 1


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on Windows")
def test_killed_while_it_compiles(tmp_path):
    began = time.monotonic()
    expected = result(start("off", 1))
    seconds = time.monotonic() - began
    killed = 0
    for part in (0.0, 0.1, 0.3, 0.6):  # of a time that may have been a slow one
        process = start(tmp_path, 1)
        assert process.stdout.readline() == "ready\n"
        time.sleep(part * seconds)
        killed += process.poll() is None
        process.kill()
        process.wait()
        process.stdout.close()
    assert killed
    assert [result(start(tmp_path, 1)) for _ in range(2)] == [expected] * 2
