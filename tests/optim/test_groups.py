"""Groups: which optimizer a weight gets, in init, in a Trainer and from a checkpoint."""

import numpy as np
import pytest

from gradlab import Variable, init, nn, optim
from gradlab.errors import ArgumentError, RunError
from gradlab.optim import SGD, Adam, Chain, ClipNorm, Groups, Momentum, RMSProp
from gradlab.train import ReduceLROnPlateau, RunFolder, Trainer, fit

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(24, 3)), RNG.normal(size=(24, 2))


@pytest.fixture
def model():
    model = nn.MLP((3, 4, 2), "tanh", dtype="float64")
    init.initialize(model, "xavier_uniform", 0)
    return model


def slots(optimizer, model):
    """The names of what the optimizer remembers, but for the count."""
    return list(optimizer.init(model).named_variables())[1:]


def test_the_first_pattern_that_matches_counts(model):
    groups = {"*.bias": SGD(), "0.*": Momentum(), "*": Adam(amsgrad=True)}
    expected = ["0.weight.v", "2.weight.s", "2.weight.r", "2.weight.largest"]
    assert slots(Groups(groups), model) == expected
    assert slots(Chain(ClipNorm(1.0), Groups(groups)), model) == expected


def test_groups_in_groups(model):
    inner = Groups({"0.*": Momentum(), "*": RMSProp()})
    optimizer = Groups({"*.bias": SGD(), "*": Chain(ClipNorm(1.0), inner)})
    assert slots(optimizer, model) == ["0.weight.v", "2.weight.r"]
    assert optimizer.names()[:3] == ["*.bias/lr", "*/clip_norm", "*/0.*/lr"]


@pytest.mark.parametrize(
    ("groups", "text"),
    [
        ({"*.bias": SGD()}, "no pattern matches 0.weight; end with '.' for all the others"),
        ({"1.*": SGD(), "*": SGD()}, "'1..' matches none of 0.weight, 0.bias, 2.weight, 2.bias$"),
        (
            {"*": SGD(), "*.bias": SGD()},
            "'..bias' matches none of .*, without those that a pattern",
        ),
        ({"*.Bias": SGD(), "*": SGD()}, "'..Bias' matches none"),
    ],
)
def test_what_matches_nothing_is_an_error(groups, text, model):
    for optimizer in (Groups(groups), Chain(ClipNorm(1.0), Groups(groups))):
        with pytest.raises(ArgumentError, match=text):
            optimizer.init(model)
        with pytest.raises(ArgumentError, match=text):
            Trainer(model, X, Y, nn.mse_loss, optimizer)


def test_a_rule_without_a_name_is_refused():
    with pytest.raises(ArgumentError, match="use minimize"):
        Groups({"*": SGD()}).update([1.0], [1.0], [{}], {"*/lr": 0.1}, 1)


def test_the_state_of_other_groups_is_refused(model):
    state = Groups({"*.bias": SGD(), "*": Momentum()}).init(model)
    other = Groups({"*.weight": SGD(), "*": Momentum()})
    with pytest.raises(ArgumentError, match="its slots are v, those of Groups none"):
        other.minimize(lambda: nn.mse_loss(model(X), Y), state)


def test_a_weight_goes_by_its_name_in_a_list():
    weights = [Variable([1.0], name="a"), Variable([1.0], name="b")]
    optimizer = Groups({"a": SGD(0.5), "b": SGD(0.25)})
    optimizer.minimize(lambda: (weights[0] + weights[1]).sum(), optimizer.init(weights))
    assert [w.item() for w in weights] == [0.5, 0.75]


@pytest.mark.parametrize("executor", ["numpy", "native"])
def test_groups_of_the_same_optimizer_are_that_optimizer(executor, model):
    def run(optimizer):
        init.initialize(model, "xavier_uniform", 0)
        trainer = Trainer(model, X, Y, nn.mse_loss, optimizer, batch_size=8, executor=executor)
        return trainer.advance(30).loss, model.state_dict()

    for one in (Adam(0.05, amsgrad=True), optim.Nesterov(0.05), Chain(ClipNorm(9e9), SGD(0.1))):
        losses, weights = run(one)
        others, same = run(Groups({"0.bias": one, "*.weight": one, "*": one}))
        np.testing.assert_allclose(others, losses, rtol=1e-12)
        for name in weights:
            np.testing.assert_allclose(same[name], weights[name], rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("executor", ["numpy", "native"])
@pytest.mark.parametrize(
    "optimizer",
    [
        Groups({"*.bias": SGD(0.2), "0.*": Momentum(0.1, dampening=0.2), "*": Adam(0.05)}),
        RMSProp(0.01, centered=True, momentum=0.5),
        Adam(0.05, amsgrad=True),
        optim.AdaGrad(0.05, lr_decay=0.1),
        Momentum(0.05, dampening=0.2),
    ],
    ids=repr,
)
def test_a_checkpoint_goes_on_to_the_same_bits(optimizer, executor, model):
    trainer = Trainer(model, X, Y, nn.mse_loss, optimizer, batch_size=8, executor=executor)
    trainer.advance(1)
    state = trainer.state()
    expected = trainer.advance(20).loss.tobytes()
    trainer.restore(state)
    assert trainer.advance(20).loss.tobytes() == expected
    other = Trainer(model, X, Y, nn.mse_loss, optim.Nesterov(0.1), batch_size=8)
    with pytest.raises(RunError, match="another model or optimizer"):
        other.restore({k: v for k, v in state.items() if not k.endswith(".v")})


def test_a_layer_that_comes_later_and_one_that_is_frozen(model):
    optimizer = Groups({"*.bias": SGD(0.2), "2.*": Momentum(0.1), "*": Adam(0.05)})
    trainer = Trainer(model, X, Y, nn.mse_loss, optimizer, batch_size=8)
    trainer.advance(4)
    before = model.state_dict()
    model[0].weight.trainable = False
    trainer.advance(4)
    assert (model.state_dict()["0.weight"] == before["0.weight"]).all()
    assert (model.state_dict()["2.weight"] != before["2.weight"]).all()
    model[0].weight.trainable = True
    setattr(model, "2", nn.Linear(4, 2, dtype="float64"))
    first = trainer.advance(1).loss[0]
    assert trainer.advance(60).loss[-1] < first
    assert "optimizer/2.weight.v" in trainer.variables()


def test_the_history_shows_each_rate_and_a_plateau_lowers_each(model, tmp_path):
    optimizer = Groups({"*.bias": SGD(0.25), "*": Chain(ClipNorm(1.0), Adam(lambda t: 0.5))})
    history = fit(
        model,
        (X, Y),
        loss=nn.mse_loss,
        optimizer=optimizer,
        epochs=4,
        batch_size=8,
        progress=False,
        callbacks=[ReduceLROnPlateau("loss", factor=0.5, patience=0, threshold=0.99, min_lr=0.1)],
        run=RunFolder(tmp_path),
    )
    assert history["*.bias/lr"].tolist() == [0.25, 0.25, 0.125, 0.1]
    np.testing.assert_allclose(history["*/lr"], [0.5, 0.5, 0.25, 0.125])
