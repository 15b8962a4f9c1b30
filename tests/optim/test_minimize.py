"""The driver: eager, compiled and in a loop alike, and safe when something goes wrong."""

import numpy as np
import pytest

import gradlab as gl
from gradlab import nn, optim
from gradlab.errors import ArgumentError, GradientError, ShapeError, TraceError
from gradlab.execute import Loop

OPTIMIZERS = [
    *(row.factory(lr=lambda t: 0.05 / (1 + t)) for row in optim.optimizers.values()),
    optim.Momentum(0.05, form="torch"),
    optim.Nesterov(0.05, form="torch"),
    optim.RMSProp(eps_inside=False),
    optim.Chain(
        optim.ClipNorm(lambda t: 1 / (1 + t)), optim.WeightDecay(0.1), optim.Nesterov(0.05, 0.5)
    ),
    optim.Chain(optim.ClipValue(0.5), optim.DecoupledDecay(0.1), optim.Adam(0.05)),
    optim.Momentum(0.05, dampening=0.3),
    optim.AdaGrad(0.05, lr_decay=0.1),
    optim.RMSProp(centered=True, momentum=0.5),
    optim.AdamW(0.05, beta2=0.6, amsgrad=True),
    optim.Nesterov(0.001, maximize=True),
    optim.Chain(
        optim.ClipNorm(lambda t: 1 / (1 + t)),
        optim.Groups(
            {
                "*.bias": optim.Chain(optim.WeightDecay(0.1), optim.Nesterov(0.05, 0.5)),
                "2.*": optim.Adam(0.05, amsgrad=True),
                "*": optim.SGD(lambda t: 0.05 / (1 + t)),
            }
        ),
    ),
]
UPDATES = 30


def everything(state):
    return [w.numpy() for w in (*state.weights, *state.named_variables().values())]


def eager_run(optimizer, problem):
    state = optimizer.init(problem.weights)
    losses = [optimizer.minimize(problem.loss, state, epoch=t / 4).item() for t in range(UPDATES)]
    return losses, everything(state)


def reset(problem):
    for w, start in zip(problem.weights.values(), problem.start.values(), strict=True):
        w.assign(start)


def same(optimizer, one, two):
    """The same bits; but with powers βᵗ, to the rounding of two pow functions in float64."""
    for a, b in zip((one[0], *one[1]), (two[0], *two[1]), strict=True):
        if any("beta1" in name for name in optimizer.names()):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
        else:
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_compiled_is_eager(single, optimizer):
    eager = eager_run(optimizer, single)
    reset(single)
    state = optimizer.init(single.weights)
    step = gl.compile(lambda h: optimizer.minimize(single.loss, state, h), executor="numpy")
    losses = [step(optimizer.hyperparameters(t / 4)).item() for t in range(UPDATES)]
    same(optimizer, eager, (losses, everything(state)))
    assert state.count.item() == UPDATES


@pytest.mark.parametrize("optimizer", [*OPTIMIZERS[:7], *OPTIMIZERS[12:]])
def test_a_loop_is_eager(single, optimizer):
    eager = eager_run(optimizer, single)
    reset(single)
    state, names = optimizer.init(single.weights), optimizer.names()

    def step(*values):
        return optimizer.minimize(single.loss, state, dict(zip(names, values, strict=True)))

    graph = gl.trace(step, *(gl.Spec((), np.float64, weak=True) for _ in names))
    loop = Loop(graph, [], executor="numpy")
    stepped = [list(optimizer.hyperparameters(t / 4).values()) for t in range(UPDATES)]
    (losses,) = loop.run(np.zeros((UPDATES, 0), int), stepped)
    same(optimizer, eager, (losses.tolist(), everything(state)))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_learns(single, optimizer):
    losses, _ = eager_run(optimizer, single)
    up = optimizer.maximize
    assert (losses[-1] > losses[0]) == up


def test_bias_correction_in_a_trace_is_float64(single):
    # 1 − 0.999 in float32 would be off by 5e-5, and each first step with it.
    optimizer = optim.Adam(lr=1.0, beta1=0.0, beta2=0.999999, eps=0)
    w = gl.Variable(np.array([1.0]))
    state = optimizer.init([w])
    gl.compile(lambda h: optimizer.minimize(lambda: (w * w).sum(), state, h))(
        optimizer.hyperparameters(0)
    )
    np.testing.assert_allclose(w.numpy(), 0.0, atol=1e-9)


def test_state_resumes(problem):
    optimizer = optim.Adam(0.05)
    losses, end = eager_run(optimizer, problem)
    reset(problem)
    state = optimizer.init(problem.weights)
    for _ in range(10):
        optimizer.minimize(problem.loss, state)
    saved = {name: v.numpy().copy() for name, v in state.named_variables().items()}
    assert list(saved)[:3] == ["count", "0.weight.s", "0.weight.r"]
    resumed = optimizer.init(problem.weights)
    for name, variable in resumed.named_variables().items():
        variable.assign(saved[name])
    for t in range(10, UPDATES):
        assert optimizer.minimize(problem.loss, resumed).item() == losses[t]
    np.testing.assert_equal(everything(resumed), end)


def test_slots_start_as_the_class_says():
    w = gl.Variable(np.ones((2, 3)), name="w")
    (slots,) = (
        optim.Chain(optim.ClipValue(1), optim.AdaGrad(initial_accumulator=0.25)).init([w]).slots
    )
    assert slots["s"].name == "w.s"
    assert slots["s"].dtype == np.float64
    assert not slots["s"].trainable
    np.testing.assert_array_equal(slots["s"], np.full((2, 3), 0.25))


def test_frozen_weights_are_left_out():
    w, frozen = gl.Variable([1.0], name="w"), gl.Variable([2.0], trainable=False, name="frozen")
    state = optim.SGD(0.25).init([w, frozen])
    optim.SGD(0.25).minimize(lambda: (frozen * w).sum(), state)
    assert repr(state) == "<optimizer state of w after 1 updates>"
    np.testing.assert_array_equal(frozen, [2.0])
    np.testing.assert_array_equal(w, [0.5])


def test_a_loss_that_raises_leaves_the_weights_alone():
    w, optimizer = gl.Variable([1.0]), optim.Nesterov(0.25)
    state = optimizer.init([w])
    optimizer.minimize(lambda: (w * w).sum(), state)
    before = everything(state)
    seen = []

    def loss():
        seen.append(w.item())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        optimizer.minimize(loss, state)
    assert seen[0] == pytest.approx(0.5 - 0.9 * 0.5)  # it was at the interim point
    np.testing.assert_equal(everything(state), before)


def test_an_unused_weight_is_named():
    w, unused = gl.Variable([1.0], name="w"), gl.Variable([1.0], name="3.bias")
    optimizer = optim.SGD()
    with pytest.raises(GradientError, match=r"3\.bias"):
        optimizer.minimize(lambda: (w * w).sum(), optimizer.init([w, unused]))


@pytest.mark.parametrize("optimizer", [optim.SGD(), optim.Momentum()])
def test_what_minimize_refuses(optimizer):
    w = gl.Variable([1.0, 2.0])
    state = optimizer.init([w])
    with pytest.raises(ShapeError, match=r"shape \(2,\); reduce it with gradlab\.mean"):
        optimizer.minimize(lambda: w * w, state)
    with pytest.raises(ArgumentError, match="hyper lacks lr"):
        optimizer.minimize(lambda: (w * w).sum(), state, hyper={"momentum": 0.5})
    with pytest.raises(TraceError, match="hyper="):
        gl.compile(lambda t: optimizer.minimize(lambda: (w * w).sum(), state, epoch=t))(1.0)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([], "none is trainable"),
        ([gl.Variable([1.0], trainable=False)], "none is trainable"),
        ([gl.tensor([1.0])], "0 is a Tensor"),
        ({"n": gl.Variable([1])}, "n is of dtype int64"),
        (gl.Variable([1.0]), "give a model, or Variables by name or in a list"),
        (3, "weights: got 3; give a model"),
    ],
)
def test_what_init_refuses(weights, message):
    with pytest.raises(ArgumentError, match=message):
        optim.SGD().init(weights)


def test_init_takes_a_model():
    model = nn.Module()
    model.encoder, model.decoder = nn.MLP((2, 3, 2)), nn.MLP((2, 2))
    state = optim.Momentum().init(model)
    assert state.names[:2] == ["encoder.0.weight", "encoder.0.bias"]
    assert list(state.named_variables())[-1] == "decoder.0.bias.v"


def test_weights_of_one_name_are_told_apart_by_their_numbers():
    model = nn.Module()
    model.encoder, model.decoder = nn.MLP((2, 2)), nn.MLP((2, 2))
    state = optim.Momentum(0.1).init(model.parameters())
    assert state.names == ["0:0.weight", "1:0.bias", "2:0.weight", "3:0.bias"]
    assert len(state.named_variables()) == 5
    x = np.ones((3, 2), np.float32)
    optim.Momentum(0.1).minimize(lambda: nn.mse_loss(model.decoder(model.encoder(x)), 0 * x), state)
    assert all(slots["v"].numpy().any() for slots in state.slots)


@pytest.mark.parametrize(
    ("made", "used", "message"),
    [
        (optim.Momentum(), optim.Adam(), "its slots are v, those of Adam s, r;"),
        (optim.SGD(), optim.Momentum(), "its slots are none, those of Momentum v;"),
        (optim.Adam(), optim.SGD(), "its slots are s, r, those of SGD none;"),
    ],
)
def test_a_state_of_another_optimizer_is_refused(made, used, message):
    w = gl.Variable([1.0])
    with pytest.raises(ArgumentError, match=message):
        used.minimize(lambda: (w * w).sum(), made.init([w]))
    assert w.item() == 1.0


def test_init_refuses_a_weight_given_twice():
    w = gl.Variable([1.0])
    with pytest.raises(ArgumentError, match="a and b are the same Variable"):
        optim.SGD().init({"a": w, "b": w})
    with pytest.raises(ArgumentError, match="0 and 1 are the same Variable"):
        optim.SGD().init([w, w])
