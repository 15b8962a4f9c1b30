"""Micro-batches: the same training in less memory."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradlab import init, nn, optim, schedule
from gradlab.errors import ArgumentError, DivergenceError
from gradlab.train import RunFolder, Trainer, fit
from gradlab.train.files import load_arrays

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(40, 4)), RNG.integers(0, 3, 40)
OPTIMIZERS = [
    optim.Nesterov(0.1 * schedule.Cosine(epochs=4), momentum=0.8),
    optim.Chain(optim.ClipNorm(0.3), optim.AdamW(0.02, biases=False)),
]


def make(micro_batch=None, optimizer=OPTIMIZERS[1], dropout=0.0, batch_size=12, **options):
    model = nn.MLP((4, 6, 3), "tanh", dropout=dropout, dtype="float64")
    init.initialize(model, "xavier_uniform", 0)
    return Trainer(
        model, X, Y, nn.cross_entropy, optimizer,
        batch_size=batch_size, micro_batch=micro_batch, **options,
    )  # fmt: skip


@settings(max_examples=25)
@given(
    st.integers(1, 40),
    st.integers(1, 45),
    st.integers(1, 12),
    st.sampled_from(OPTIMIZERS),
)
def test_parts_change_rounding_alone(batch_size, micro_batch, updates, optimizer):
    options = {"optimizer": optimizer, "batch_size": batch_size, "executor": "numpy"}
    whole, parts = make(**options), make(micro_batch, **options)
    expected, found = whole.advance(updates), parts.advance(updates)
    for name in ("update", "epoch", "batch_size"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-9)
    state = whole.state()
    assert state.keys() == parts.state().keys()
    for name, value in parts.state().items():
        np.testing.assert_allclose(value, state[name], rtol=1e-7, atol=1e-10)


def test_executors_agree():
    native, reference = make(5, dropout=0.4), make(5, dropout=0.4, executor="numpy")
    np.testing.assert_allclose(native.advance(9).loss, reference.advance(9).loss, rtol=1e-9)


@pytest.mark.parametrize(
    ("rows", "micro_batch", "parts"),
    [(12, None, 1), (12, 12, 1), (12, 40, 1), (12, 11, 2), (12, 5, 3), (12, 1, 12), (7, 3, 7)],
)
def test_parts_are_equal_and_as_few_as_can_be(rows, micro_batch, parts):
    assert make(micro_batch).parts(rows) == parts


def test_memory_and_program_do_not_grow_with_the_batch():
    x, y = RNG.normal(size=(2048, 4)), RNG.integers(0, 3, 2048)

    def program(batch, micro_batch):
        model = nn.MLP((4, 64, 3))
        trainer = Trainer(
            model, x, y, nn.cross_entropy, optim.SGD(0.1),
            batch_size=batch, micro_batch=micro_batch,
        )  # fmt: skip
        made = trainer.loop(batch).program
        arena = re.search(r"([\d.]+)(k?) bytes of arena", made.explain())
        return float(arena[1]) * (1000 if arena[2] else 1), len(made.graph.nodes)

    small, nodes = program(32, 16)
    assert program(1024, 16) == (small, nodes)
    whole, _ = program(1024, None)
    assert whole > 10 * small


def test_a_training_in_pieces_is_the_whole_to_the_bit():
    whole, parts = make(5, dropout=0.3), make(5, dropout=0.3)
    record = whole.advance(11)
    records = [parts.advance(n) for n in (1, 3, 7)]
    assert np.concatenate([r.loss for r in records]).tobytes() == record.loss.tobytes()
    again = make(5, dropout=0.3)
    again.restore(parts.state())
    assert again.advance(3).loss.tobytes() == whole.advance(3).loss.tobytes()


def test_a_checkpoint_holds_no_sums(tmp_path):
    def run(updates, micro_batch):
        model = nn.MLP((4, 6, 3))
        init.initialize(model, "xavier_uniform", 0)
        history = fit(
            model, (X, Y), loss=nn.cross_entropy, optimizer=optim.Adam(0.01), updates=updates,
            batch_size=12, micro_batch=micro_batch, progress=False, run=RunFolder(tmp_path),
        )  # fmt: skip

        arrays, _ = load_arrays(tmp_path / "checkpoint.safetensors")
        return set(arrays), history

    names, first = run(4, 5)
    with pytest.warns(UserWarning, match="micro_batch was 5, is None"):
        again, both = run(8, None)  # it goes on with whole batches as well
    whole = {f"model/{n}" for n in ("0.weight", "0.bias", "2.weight", "2.bias")}
    assert {n for n in names if n.startswith("model/")} == whole
    assert names == again  # no sums of gradients, which the whole batches do not have
    assert (first.rows[-1]["update"], both.rows[-1]["update"]) == (4, 8)
    assert both.rows[: len(first.rows)] == first.rows


@pytest.mark.parametrize("rate", [0.9, 1e18])
def test_divergence_is_found_at_the_same_update(rate):
    y = X @ np.array([[1.0], [-2.0], [0.5], [3.0]])

    def trainer(micro_batch):
        model = nn.MLP((4, 6, 1), "relu")
        init.initialize(model, "kaiming_normal", 0)
        return Trainer(
            model, X, y, nn.mse_loss, optim.Momentum(rate),
            batch_size=9, micro_batch=micro_batch,
        )  # fmt: skip

    whole, parts = trainer(None), trainer(3)
    messages = []
    for each in (whole, parts):
        with pytest.raises(DivergenceError) as caught:
            each.advance(300)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    assert parts.updates == whole.updates
    twin = trainer(3)
    if parts.updates:
        twin.advance(parts.updates)
    state = twin.state()
    assert all(value.tobytes() == state[name].tobytes() for name, value in parts.state().items())
    with pytest.raises(DivergenceError, match=f"at update {parts.updates + 1},"):
        parts.advance(1)  # nothing is left of the update that failed


def test_the_row_that_is_bad_is_named_in_a_later_part():
    x = X.copy()
    x[29, 1] = np.inf
    trainer = Trainer(
        nn.Linear(4, 3), x, Y, nn.cross_entropy, optim.SGD(0.1), batch_size=40, micro_batch=5
    )
    with pytest.raises(DivergenceError, match="row 29 of x"):
        trainer.advance(3)


def test_what_the_parts_before_added_up_is_known_to_the_diagnosis():
    """The second part has a gradient of 0; with that of the first the new weight overflows."""
    x, y = np.array([[1e15], [0.0]]), np.array([[1e15], [0.0]])
    model = nn.Linear(1, 1, bias=False)
    model.weight.assign(np.zeros((1, 1), np.float32))
    options = {"batch_size": 2, "micro_batch": 1, "shuffle": False}
    trainer = Trainer(model, x, y, nn.mse_loss, optim.SGD(1e10), **options)
    with pytest.raises(DivergenceError, match="not finite is weight after the update"):
        trainer.advance(1)


def test_a_micro_batch_has_a_row_or_more():
    with pytest.raises(ArgumentError, match="micro_batch must be 1 row or more, got 0"):
        make(0)


def test_running_statistics_follow_the_parts():
    """Layers with statistics of a batch see each part as a batch: documented, and so pinned."""
    model = nn.Sequential(nn.BatchNorm1d(4, momentum=0.5), nn.Linear(4, 3))
    trainer = Trainer(
        model, X, Y, nn.cross_entropy, optim.SGD(0.0),
        batch_size=40, micro_batch=20, shuffle=False,
    )  # fmt: skip
    trainer.advance(1)
    first, second = X[:20].mean(axis=0), X[20:].mean(axis=0)
    np.testing.assert_allclose(
        model[0].running_mean.numpy(), 0.25 * first + 0.5 * second, rtol=1e-4, atol=1e-6
    )
