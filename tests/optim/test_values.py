"""Optimizers as values: ranges, schedules, equality, text, pickling, the registry."""

import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradlab import optim
from gradlab.errors import ArgumentError

ROWS = list(optim.optimizers.values())
CHAIN = optim.Chain(optim.ClipNorm(1.0), optim.WeightDecay(1e-4), optim.Momentum(0.1))
VALUES = [
    *(row.factory() for row in ROWS),
    optim.Nesterov(0.3, 0.5, form="torch"),
    CHAIN,
    optim.Chain(optim.ClipValue(2), optim.DecoupledDecay(0.1, biases=False), CHAIN.optimizer),
    optim.Momentum(dampening=0.25),
    optim.AdaGrad(lr_decay=0.1),
    optim.RMSProp(centered=True),
    optim.RMSProp(momentum=0.9),
    optim.Adam(amsgrad=True),
    optim.AdamW(amsgrad=True, maximize=True),
    optim.Groups({"*.bias": optim.SGD(), "*": CHAIN}),
    optim.Groups({"*": CHAIN, "*.bias": optim.SGD()}),
]

# The classes' hyperparameters with a number just outside the range on each side.
BAD = {
    "lr": (-1e-9, math.inf),
    "momentum": (-0.1, 1.0),
    "rho": (-0.1, 1.0),
    "eps": (-1e-9, math.nan),
}
BAD |= {"beta1": (-0.1, 1.0), "beta2": (-0.1, 1.0), "weight_decay": (-1e-9, math.inf)}
CASES = [
    (row.factory, name, bad) for row in ROWS for name in row.factory().names() for bad in BAD[name]
]
CASES += [(optim.Momentum, "dampening", bad) for bad in (-0.1, math.inf)]
CASES += [(optim.AdaGrad, "lr_decay", bad) for bad in (-0.1, math.inf)]
CASES += [(optim.RMSProp, "momentum", bad) for bad in BAD["momentum"]]
CASES += [(optim.ClipNorm, "max_norm", 0), (optim.ClipValue, "limit", 0)]
CASES += [(kind, "rate", -1) for kind in (optim.WeightDecay, optim.DecoupledDecay)]


@pytest.mark.parametrize(("factory", "name", "bad"), CASES)
def test_numbers_out_of_range_are_named(factory, name, bad):
    with pytest.raises(ArgumentError, match=rf"{factory.__name__}: {name} is .*; give a finite"):
        factory(**{name: bad})


@pytest.mark.parametrize(("factory", "name", "bad"), CASES)
def test_schedules_out_of_range_are_named(factory, name, bad):
    value = factory(**{name: lambda t: 0.5 if t < 3 else bad})
    assert 0.5 in value.hyperparameters(2.9).values()
    with pytest.raises(ArgumentError, match=rf"{name} is .* at t = 3 epochs; the schedule must"):
        value.hyperparameters(3.0)


@pytest.mark.parametrize("bad", ["0.1", None, True, [0.1], 1j])
def test_what_is_no_number_is_refused(bad):
    with pytest.raises(ArgumentError, match="SGD: lr is"):
        optim.SGD(lr=bad)


@given(st.floats(0, 100))
def test_a_schedule_serves_every_hyperparameter(t):
    chain = optim.Chain(
        optim.ClipNorm(lambda t: 1 + t), optim.Adam(lambda t: 1 / (1 + t), beta1=lambda t: t / 200)
    )
    expected = {
        "clip_norm": 1 + t,
        "lr": 1 / (1 + t),
        "beta1": t / 200,
        "beta2": 0.999,
        "eps": 1e-8,
    }
    assert chain.hyperparameters(t) == expected
    assert list(expected) == chain.names()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optim.Momentum(form="keras"), "form is 'keras'; give 'lecture' or 'torch'"),
        (lambda: optim.RMSProp(eps_inside="no"), "eps_inside is 'no'"),
        (lambda: optim.WeightDecay(0.1, biases=0), "biases is 0"),
        (lambda: optim.AdamW(biases=1), "AdamW: biases is 1; give True or False"),
        (lambda: optim.Adam(amsgrad=1), "Adam: amsgrad is 1; give True or False"),
        (lambda: optim.RMSProp(centered=None), "RMSProp: centered is None; give True or False"),
        (lambda: optim.SGD(maximize="yes"), "SGD: maximize is 'yes'; give True or False"),
        (lambda: optim.Groups({}), "groups is {}; give an optimizer for each pattern"),
        (lambda: optim.Groups([optim.SGD()]), "give an optimizer for each pattern"),
        (lambda: optim.Groups({1: optim.SGD()}), "Groups: 1 has SGD"),
        (lambda: optim.Groups({"*": optim.ClipNorm(1)}), "'.' has ClipNorm.*an optimizer for each"),
        (
            lambda: optim.Chain(optim.DecoupledDecay(0.1), optim.Groups({"*": optim.SGD()})),
            "DecoupledDecay goes by one learning rate",
        ),
        (lambda: optim.AdaGrad(initial_accumulator=-1), "initial_accumulator is -1"),
        (lambda: optim.ClipNorm(1, eps=-1), "eps is -1"),
        (lambda: optim.Chain(), "None stands last; an optimizer goes there"),
        (lambda: optim.Chain(optim.ClipNorm(1)), "stands last; an optimizer goes there"),
        (lambda: optim.Chain(optim.SGD(), optim.SGD()), "only transforms go there"),
        (lambda: optim.Chain(optim.WeightDecay(1), optim.AdamW()), "two parts .* weight_decay"),
    ],
)
def test_other_arguments_are_checked(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_are_frozen_and_come_back_from_text_and_pickle(value):
    assert eval(repr(value), vars(optim)) == value
    assert pickle.loads(pickle.dumps(value)) == value
    assert len({value, pickle.loads(pickle.dumps(value))}) == 1
    assert all(other != value for other in VALUES if other is not value)
    with pytest.raises(AttributeError):
        value.lr = 1.0


def test_numpy_numbers_become_plain_ones():
    value = optim.SGD(lr=np.float64(0.25))
    assert repr(value) == "SGD(lr=0.25)"
    assert optim.SGD(lr=1) == optim.SGD(lr=1.0)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_rows_say_where_they_come_from(row):
    assert row.formula
    assert any(year in row.paper for year in map(str, range(1950, 2030)))
    assert optim.optimizers.build(f"{row.name}(lr=0.125)") == row.factory(lr=0.125)
    assert "lr" in row.factory().hyperparameters(0)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("sgd(maximize=True)", optim.SGD(maximize=True)),
        ("momentum(dampening=0.5, form='torch')", optim.Momentum(form="torch", dampening=0.5)),
        ("adagrad(lr_decay=0.1)", optim.AdaGrad(lr_decay=0.1)),
        ("rmsprop(centered=True, momentum=0.5)", optim.RMSProp(centered=True, momentum=0.5)),
        ("adam(amsgrad=True)", optim.Adam(amsgrad=True)),
        ("adamw(amsgrad=True, maximize=True)", optim.AdamW(amsgrad=True, maximize=True)),
    ],
)
def test_switches_have_texts(text, value):
    assert optim.optimizers.build(text) == value
    assert {**value.hyperparameters(0)} == {n: value.hyperparameters(0)[n] for n in value.names()}


def test_a_switch_that_is_off_leaves_no_trace():
    assert repr(optim.Adam(amsgrad=False)) == "Adam(lr=0.001, beta1=0.9, beta2=0.999, eps=1e-08)"
    assert optim.RMSProp().names() == ["lr", "rho", "eps"]
    assert optim.RMSProp(momentum=0).names() == ["lr", "rho", "eps", "momentum"]
    assert (optim.Momentum().names(), optim.AdaGrad().names()) == (
        ["lr", "momentum"],
        ["lr", "eps"],
    )


def test_the_registry_is_complete():
    names = {"sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw"}
    assert set(optim.optimizers) == names


def test_lecture_defaults():
    assert optim.AdaGrad().lr == 0.01
    assert (optim.Momentum().form, optim.Momentum().momentum) == ("lecture", 0.9)
    assert optim.Adam() == optim.Adam(0.001, 0.9, 0.999, 1e-8)
