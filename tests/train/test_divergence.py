"""Divergence is told of at the update where it happens, and leaves what was before it."""

import re

import numpy as np
import pytest

from gradlab import Variable, init, nn, optim
from gradlab.data import batches
from gradlab.errors import DivergenceError
from gradlab.train import RunFolder, Trainer, fit

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3)).astype(np.float32)
Y = (X @ np.array([[1.0], [-2.0], [0.5]])).astype(np.float32)


def make_deep():
    model = nn.MLP((3, 8, 1), "relu", dropout=0.1)
    init.initialize(model, "kaiming_normal", 0)
    return model


def by_hand(optimizer, x=X, seed=0):
    """Number of the first update after which something is not finite, eagerly, one at a time."""
    model = make_deep().reseed(seed)
    state = optimizer.init(model.named_parameters())
    update = 0
    for epoch in range(100):
        for rows in np.concatenate(batches(40, 8, epoch=epoch, seed=seed)):
            update += 1
            with np.errstate(all="ignore"):
                loss = optimizer.minimize(
                    lambda rows=rows: nn.mse_loss(model(x[rows]), Y[rows]), state, epoch=epoch
                )
            held = [*model.parameters(), *state.named_variables().values(), loss]
            if not all(np.isfinite(v.numpy()).all() for v in held):
                return update
    raise AssertionError("it did not diverge")


def with_infinity():
    x = X.copy()
    x[29, 1] = np.inf
    return x


CASES = {
    "huge rate": (optim.SGD(1e18), X),
    "a little too large": (optim.SGD(0.9), X),
    "momentum explodes late": (optim.Momentum(0.2, momentum=0.95), X),
    "infinity in the data": (optim.Adam(1e-3), with_infinity()),
    "square of the gradient overflows": (optim.RMSProp(1e-3), X * np.float32(1e15)),
}


@pytest.mark.parametrize(("optimizer", "x"), CASES.values(), ids=CASES.keys())
def test_the_update_is_the_true_one(optimizer, x):
    truth = by_hand(optimizer, x)
    trainer = Trainer(make_deep(), x, Y, nn.mse_loss, optimizer, batch_size=8)
    with pytest.raises(DivergenceError, match=rf"at update {truth}, epoch {-(-truth // 5)} \(lr ="):
        trainer.advance(600)
    assert trainer.updates == truth - 1

    twin = Trainer(make_deep(), x, Y, nn.mse_loss, optimizer, batch_size=8)
    if truth > 1:
        twin.advance(truth - 1)
    before, after = twin.state(), trainer.state()
    assert all(before[name].tobytes() == after[name].tobytes() for name in before)
    with pytest.raises(DivergenceError, match=f"at update {truth},"):
        trainer.advance(1)  # and once more, since nothing changed


def told(trainer, updates=600):
    with pytest.raises(DivergenceError) as caught:
        trainer.advance(updates)
    found = re.search("not finite is (.*); lower", str(caught.value))
    assert found
    assert "\n" not in str(caught.value)
    return found[1]


def test_a_row_of_the_data_is_named():
    trainer = Trainer(make_deep(), with_infinity(), Y, nn.mse_loss, optim.SGD(0.01), batch_size=8)
    assert told(trainer) == "row 29 of x"


def test_a_target_is_named():
    y = Y.copy()
    y[3] = np.nan
    trainer = Trainer(make_deep(), X, y, nn.mse_loss, optim.SGD(0.01), batch_size=8)
    assert told(trainer) == "row 3 of y"


def test_the_output_of_a_layer_is_named():
    model = make_deep()
    model[0].weight.assign(model[0].weight * 1e25)
    model[3].weight.assign(model[3].weight * 1e25)
    trainer = Trainer(model, X, Y, nn.mse_loss, optim.SGD(0.01), batch_size=8)
    assert told(trainer) == "output of 3 (Linear)"


def test_the_loss_is_named():
    model = make_deep()
    model[3].weight.assign(model[3].weight * 1e25)
    trainer = Trainer(model, X, Y, nn.mse_loss, optim.SGD(0.01), batch_size=8)
    assert told(trainer) == "loss"


def test_a_gradient_is_named():
    model = nn.Sequential(nn.Linear(3, 1, bias=False))
    model[0].weight.assign(np.zeros((1, 3), np.float32))
    x, y = X * np.float32(1e25), Y * np.float32(1e15)  # the loss is about 1e30, its gradient 1e40
    trainer = Trainer(model, x, y, nn.mse_loss, optim.SGD(0.01), batch_size=8)
    assert told(trainer) == "gradient of 0.weight"


def test_a_new_weight_is_named():
    model = nn.Sequential(nn.Linear(3, 1, bias=False))
    trainer = Trainer(model, X, Y * np.float32(1e10), nn.mse_loss, optim.SGD(1e30), batch_size=8)
    assert told(trainer) == "0.weight after the update"


def test_a_slot_is_named():
    """A slot that overflowed would freeze its weight for ever, and nothing else would show it."""
    x = X * np.float32(1e10)
    y = Y * np.float32(1e15)
    model = nn.Linear(3, 1)
    trainer = Trainer(model, x, y, nn.mse_loss, optim.Adam(1e-3), batch_size=8)
    assert re.fullmatch(r"weight\.\w+ after the update", told(trainer))


def test_a_weight_that_was_bad_before_is_named():
    model = make_deep()
    model[0].bias.assign(model[0].bias * np.float32("nan"))
    trainer = Trainer(model, X, Y, nn.mse_loss, optim.SGD(0.01), batch_size=8)
    assert told(trainer) == "0.bias before the update"


def test_the_checkpoint_is_the_last_epochs(tmp_path):
    optimizer = optim.Momentum(0.2, momentum=0.95)
    truth = by_hand(optimizer)
    done = (truth - 1) // 5
    assert done >= 2
    folder = RunFolder(tmp_path)
    fitting = {"loss": nn.mse_loss, "optimizer": optimizer, "batch_size": 8, "progress": False}
    with pytest.raises(DivergenceError, match=f"update {truth}"):
        fit(make_deep(), (X, Y), epochs=100, run=folder, **fitting)
    assert len(folder.history().rows) == done

    model = make_deep()
    fit(model, (X, Y), epochs=done, **fitting)
    again = make_deep()
    fit(again, (X, Y), epochs=done, run=folder, **fitting)  # nothing left to do
    for name, value in model.state_dict().items():
        assert value.tobytes() == again.state_dict()[name].tobytes()


def test_variables_of_a_loss_have_their_names():
    """What is not the model's and not the optimizer's may be what is not finite."""
    strength = Variable(1.0, trainable=False, name="strength of the penalty")
    model = nn.Linear(3, 1)
    trainer = Trainer(
        model, X, Y, lambda p, y: nn.mse_loss(p, y) * strength, optim.SGD(0.01), batch_size=8
    )
    trainer.advance(1)
    strength.assign(np.inf)
    with pytest.raises(DivergenceError, match="strength of the penalty before the update"):
        trainer.advance(2)
