"""What the user changes in a model, an optimizer or a loss while it trains counts from then on."""

import copy

import numpy as np
import pytest

import gradlab as gl
from gradlab import nn, optim, schedule
from gradlab.errors import ArgumentError
from gradlab.train import Callback, RunFolder, Trainer, fit

torch = pytest.importorskip("torch")
RNG = np.random.default_rng(3)
X = RNG.normal(size=(24, 4)).astype(np.float64)
Y = RNG.normal(size=(24, 2)).astype(np.float64)
EXECUTORS = ["numpy", "native"]


def network():
    """Layers with parameters of every kind, in float64."""
    model = nn.Sequential(
        nn.Linear(4, 6, dtype="float64"),
        nn.BatchNorm1d(6, dtype="float64"),
        nn.Tanh(),
        nn.Linear(6, 6, dtype="float64"),
        nn.Tanh(),
        nn.Linear(6, 2, dtype="float64"),
    )
    gl.init.initialize(model, "xavier_uniform", 0)
    return model


def twin_of(model):
    """The same network of PyTorch."""
    kinds = torch.nn
    twin = kinds.Sequential(
        kinds.Linear(4, 6), kinds.BatchNorm1d(6), kinds.Tanh(),
        kinds.Linear(6, 6), kinds.Tanh(), kinds.Linear(6, 2),
    ).double()  # fmt: skip
    twin.load_state_dict({k: torch.tensor(v) for k, v in model.state_dict().items()})
    return twin


OPTIMIZERS = {
    "sgd": (optim.SGD(0.05), lambda p: torch.optim.SGD(p, 0.05)),
    "momentum": (
        optim.Momentum(0.05, 0.9, form="torch"),
        lambda p: torch.optim.SGD(p, 0.05, momentum=0.9),
    ),
    "adam": (optim.Adam(0.02), lambda p: torch.optim.Adam(p, 0.02)),
    "adamw": (
        optim.AdamW(0.02, weight_decay=0.1),
        lambda p: torch.optim.AdamW(p, 0.02, weight_decay=0.1),
    ),
    "clipped": (
        optim.Chain(optim.ClipNorm(0.1), optim.Adam(0.02)),
        lambda p: torch.optim.Adam(p, 0.02),
    ),
}


def trainer_of(model, optimizer, executor="numpy", loss=nn.mse_loss, **options):
    return Trainer(
        model, X, Y, loss, optimizer, batch_size=8, shuffle=False, executor=executor, **options
    )


def torch_update(twin, steps, optimizer, start, clip=None):
    for step in range(start, start + steps):
        rows = slice(8 * (step % 3), 8 * (step % 3) + 8)
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(twin(torch.tensor(X[rows])), torch.tensor(Y[rows]))
        loss.backward()
        if clip:
            torch.nn.utils.clip_grad_norm_(twin.parameters(), clip)
        optimizer.step()


def assert_twins(model, twin):
    expected = {k: v.numpy() for k, v in twin.state_dict().items()}
    for name, value in model.state_dict().items():
        np.testing.assert_allclose(value, expected[name], rtol=2e-5, atol=1e-7, err_msg=name)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_freezing_thawing_and_modes_are_as_in_pytorch(name, executor):
    """A frozen layer keeps values, slots and count, and goes on from there once it is thawed."""
    optimizer, make = OPTIMIZERS[name]
    model = network()
    twin = twin_of(model)
    other = make(list(twin.parameters()))
    trainer = trainer_of(model, optimizer, executor)
    clip = 0.1 if name == "clipped" else None

    def layer(number, trainable):
        for v in (model[number].weight, model[number].bias):
            v.trainable = trainable
        for p in twin[number].parameters():
            p.requires_grad_(trainable)
            p.grad = None

    def mode(training):
        model[1].train(training)
        twin[1].train(training)

    changes = [
        lambda: None,
        lambda: layer(3, False),
        lambda: mode(False),
        lambda: (layer(0, False), layer(3, True)),
        lambda: mode(True),
        lambda: layer(0, True),
    ]
    for number, change in enumerate(changes):
        change()
        frozen = {k: v.numpy() for k, v in trainer.variables().items() if "num_" not in k}
        trainer.advance(4)
        torch_update(twin, 4, other, 4 * number, clip)
        assert_twins(model, twin)
        for path, parameter in twin.named_parameters():
            if not parameter.requires_grad:
                for key, value in frozen.items():
                    if key.split("/")[1].startswith(path):
                        assert trainer.variables()[key].numpy().tobytes() == value.tobytes()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_layer_that_is_frozen_at_first(executor):
    """Its slots appear when it is thawed, and it counts its updates for itself."""
    model = network()
    twin = twin_of(model)
    model[0].weight.trainable = model[0].bias.trainable = False
    trainer = trainer_of(model, optim.Adam(0.02), executor)
    assert "optimizer/0.weight.s" not in trainer.state()
    other = torch.optim.Adam(list(twin.parameters()), 0.02)
    for p in twin[0].parameters():
        p.requires_grad_(False)
    trainer.advance(5)
    torch_update(twin, 5, other, 0)
    model[0].weight.trainable = model[0].bias.trainable = True
    for p in twin[0].parameters():
        p.requires_grad_(True)
    assert {"optimizer/0.weight.s", "optimizer/0.bias.r"} <= trainer.state().keys()
    trainer.advance(5)
    torch_update(twin, 5, other, 5)
    assert_twins(model, twin)


def test_nothing_left_to_train():
    model = network()
    trainer = trainer_of(model, optim.SGD(0.1))
    for v in model.parameters():
        v.trainable = False
    with pytest.raises(ArgumentError, match="none of the weights is trainable"):
        trainer.advance(1)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("place", ["start", "middle", "attribute"])
def test_layers_that_are_replaced_and_added(place, executor):
    """From then on all is as in a new Trainer, but for the slots of what stayed."""

    class Model(nn.Module):
        def __init__(self):
            self.layers = [nn.Linear(4, 6, dtype="float64"), nn.Tanh()]
            self.head = nn.Linear(6, 2, dtype="float64")

        def forward(self, x):
            for layer in self.layers:
                x = layer(x)
            return self.head(x)

    model = Model()
    trainer = trainer_of(model, optim.Momentum(0.05), executor)
    trainer.advance(3)
    before = trainer.state()
    if place == "attribute":
        model.head = nn.Linear(6, 2, dtype="float64")
    elif place == "start":
        model.layers.insert(0, nn.Linear(4, 4, dtype="float64"))
    else:
        model.layers.append(nn.Linear(6, 6, dtype="float64"))
    gl.init.initialize(model, "xavier_uniform", 1)
    state = trainer.state()
    moved = {"start": "optimizer/layers.1.weight.v"}.get(place, "optimizer/layers.0.weight.v")
    np.testing.assert_array_equal(state[moved], before["optimizer/layers.0.weight.v"])
    new = {"start": "layers.0", "middle": "layers.2", "attribute": "head"}[place]
    assert not state[f"optimizer/{new}.weight.v"].any()
    other = trainer_of(copy.deepcopy(model), optim.Momentum(0.05))
    other.restore({k: v for k, v in state.items() if not k.endswith(".count")})
    trainer.advance(4)
    other.advance(4)
    for name, value in other.model.state_dict().items():
        np.testing.assert_allclose(model.state_dict()[name], value, rtol=1e-9)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_dropout_from_the_next_update_on(executor):
    def trainer(p):
        model = nn.MLP((4, 8, 2), dropout=p, dtype="float64")
        gl.init.initialize(model, "xavier_uniform", 0)
        return trainer_of(model, optim.SGD(0.1), executor)

    changing = trainer(0.5)
    for p in (0.5, 0.1, 0.0, 0.5):
        for module in changing.model.named_modules().values():
            if isinstance(module, nn.Dropout):
                module.p = p
        fresh = trainer(p or 0.5)
        fresh.restore(changing.state())
        if p == 0:
            fresh.model[2].p = 0.0
        assert fresh.advance(3).loss.tobytes() == changing.advance(3).loss.tobytes()


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(
    "other",
    [
        optim.Adam(0.05),
        optim.Chain(optim.ClipNorm(0.01), optim.Adam(0.01)),
        optim.Momentum(0.02),
        optim.SGD(lambda t: 0.1 / (1 + t)),
        optim.Adam(0.01, eps=0.1),
    ],
    ids=lambda o: type(o).__name__,
)
def test_an_optimizer_that_is_replaced(other, executor):
    """The same rule goes on with its slots; another one begins with its own."""
    trainer = trainer_of(network(), optim.Adam(0.01), executor)
    trainer.advance(4)
    model = copy.deepcopy(trainer.model)
    state = trainer.state()
    trainer.optimizer = other
    fresh = trainer_of(model, other, executor)
    goes_on = "r" in other.slots
    if goes_on:
        fresh.restore(state)
    else:
        fresh.advance(1)  # to the same place in the epoch
        fresh.restore(
            fresh.state()
            | {k: v for k, v in state.items() if not k.startswith("optimizer/")}
            | {k: np.zeros_like(v) for k, v in fresh.state().items() if k[:4] == "opti"}
        )
    record = trainer.advance(4)
    expected = fresh.advance(4)
    assert record.loss.tobytes() == expected.loss.tobytes()
    assert record.hyperparameters.keys() == expected.hyperparameters.keys()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_loss_and_a_model_that_are_replaced(executor):
    trainer = trainer_of(network(), optim.SGD(0.01), executor)
    trainer.advance(2)
    trainer.loss = lambda output, y: 3 * nn.mse_loss(output, y)
    before = trainer.evaluate(X, Y)["loss"]
    loss = trainer.advance(1).loss[0]
    trainer.loss = nn.mse_loss
    assert before == pytest.approx(3 * float(nn.mse_loss(trainer.predict(X), Y)), rel=0.2)
    assert loss > trainer.advance(1).loss[0]
    trainer.model = other = network()
    np.testing.assert_allclose(trainer.predict(X), other.eval()(X).numpy(), rtol=1e-9)
    other.train()
    weight = other[0].weight.numpy()
    trainer.advance(1)
    assert (other[0].weight.numpy() != weight).any()


def test_another_rate_compiles_nothing():
    trainer = trainer_of(network(), optim.Adam(0.01))
    trainer.advance(1)
    program = trainer.loop(8).program
    for rate in (0.1, 0.2, 0.5 * schedule.Cosine(epochs=4)):
        trainer.optimizer = optim.Adam(rate)
        trainer.model.remark = rate
        trainer.advance(1)
        assert trainer.loop(8).program is program


class Freeze(Callback):
    """Freeze a layer for a while, and raise a number of the loss."""

    def __init__(self, loss, stop_after=None):
        self.loss, self.stop_after = loss, stop_after

    def on_epoch(self, training, row):
        if self.stop_after == row["epoch"]:
            raise KeyboardInterrupt
        self.loss.strength = 1.0 + row["epoch"]
        layer = training.trainer.model[3]
        layer.weight.trainable = layer.bias.trainable = row["epoch"] not in (2, 3)

    def on_start(self, training):
        self.loss.strength = 1.0 + training.trainer.epoch


class Loss:
    strength = 1.0

    def __call__(self, output, y):
        return self.strength * nn.mse_loss(output, y)


@pytest.mark.parametrize("killed", [1, 2, 3, 4, 5])
def test_a_run_with_frozen_layers_goes_on_to_the_same_bits(killed, tmp_path):
    """Also from a checkpoint in which a layer is frozen, or its slots are behind."""

    def run(folder, stop_after=None):
        loss = Loss()
        model = network()
        fit(
            model, (X, Y), loss=loss, optimizer=optim.Adam(0.02), epochs=6, batch_size=8,
            callbacks=[Freeze(loss, stop_after)], run=RunFolder(folder), progress=False,
            executor="numpy",
        )  # fmt: skip
        return model.state_dict()

    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", killed)
    again = run(tmp_path / "killed")
    assert all(again[k].tobytes() == v.tobytes() for k, v in whole.items())


def test_parameters_of_a_state_are_trainable_as_they_were():
    trainer = trainer_of(network(), optim.Adam(0.02))
    trainer.advance(2)
    early = trainer.state()
    trainer.model[0].weight.trainable = False
    trainer.advance(2)
    late = trainer.state()
    assert late["optimizer/0.weight.count"] == 2
    trainer.restore(early)
    assert trainer.model[0].weight.trainable
    assert "optimizer/0.weight.count" not in trainer.state()
    first = trainer.advance(4).loss
    trainer.restore(early)
    assert trainer.advance(4).loss.tobytes() == first.tobytes()
    other = trainer_of(network(), optim.Adam(0.02))
    other.restore(late)
    assert not other.model[0].weight.trainable
    trainer.restore(late)
    assert trainer.advance(4).loss.tobytes() == other.advance(4).loss.tobytes()
    del early["trainer/trainable"]  # as an earlier version wrote it
    trainer.restore(early)


def test_a_batch_norm_of_an_untouched_model_in_evaluation_mode_trains():
    """``model.eval()`` before a training is of no account, as with ``model.train()`` in PyTorch."""
    model = network()
    model.eval()
    trainer = trainer_of(model, optim.SGD(0.01))
    trainer.advance(3)
    assert model[1].num_batches_tracked.item() == 3
    assert not model.training
    model.train()
    model[1].eval()
    trainer.advance(3)
    assert model[1].num_batches_tracked.item() == 3


@pytest.mark.parametrize("micro_batch", [None, 3])
@pytest.mark.parametrize("executor", EXECUTORS)
def test_frozen_layers_of_batches_in_parts(micro_batch, executor):
    def run(micro):
        model = nn.Sequential(nn.Linear(4, 6, dtype="float64"), nn.Linear(6, 2, dtype="float64"))
        gl.init.initialize(model, "xavier_uniform", 0)
        trainer = trainer_of(model, optim.Adam(0.02), executor, micro_batch=micro)
        trainer.advance(2)
        model[0].weight.trainable = False
        trainer.advance(2)
        model[0].weight.trainable = True
        trainer.advance(2)
        return model.state_dict()

    for a, b in zip(run(micro_batch).values(), run(None).values(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)


def test_data_are_not_looked_at_by_the_watch():
    big = np.zeros((64, 1 << 15), np.float32)
    trainer = Trainer(nn.Linear(1 << 15, 1), big, big[:, :1], nn.mse_loss, optim.SGD(0.1))
    loop = trainer.loop(32)
    assert trainer.loop(32) is loop


def test_the_best_weights_of_layers_that_are_not_there_any_more():
    class Replace(Callback):
        def on_epoch(self, training, row):
            if row["epoch"] == 2:
                model = training.trainer.model
                setattr(model, "0", nn.Linear(4, 5, dtype="float64"))
                setattr(model, "1", nn.Linear(5, 2, dtype="float64"))
                for v in model.parameters():
                    v.assign(v + 10.0)  # worse than before

    model = nn.Sequential(nn.Linear(4, 6, dtype="float64"), nn.Linear(6, 2, dtype="float64"))
    with pytest.warns(UserWarning, match="has its last weights"):
        history = fit(
            model, (X, Y), loss=nn.mse_loss, optimizer=optim.SGD(1e-6), epochs=3, batch_size=8,
            validation=(X, Y), callbacks=[Replace()], progress=False, executor="numpy",
        )  # fmt: skip
    assert history.best("validation_loss") < 2
    assert float(nn.mse_loss(model(X), Y)) == pytest.approx(history["validation_loss"][-1])
