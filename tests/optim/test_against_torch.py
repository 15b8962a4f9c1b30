"""Each rule that PyTorch has too, update by update in float64, while the learning rate changes."""

import dataclasses
import inspect
import math

import numpy as np
import pytest

import gradlab as gl
from gradlab import optim, schedule

torch = pytest.importorskip("torch")

UPDATES = 120
# Each side rounds each of some 20 operations an update, so after 120 updates the weights differ
# by some 2500 roundings of 1e-16 where the dynamics does not amplify them; 1e-12 leaves room. Where
# RMSProp has a small ε it does: near a minimum its steps have the length η with any small gradient.
CLOSE = {"rtol": 1e-12, "atol": 1e-12}


def rate(base):
    """A learning rate that differs at each update."""
    return lambda t: base * (1 + 0.6 * math.sin(t))


class Theirs:
    """The same problem in PyTorch."""

    def __init__(self, problem, make):
        self.x, self.y = torch.tensor(problem.x), torch.tensor(problem.y)
        self.upside_down = isinstance(problem, Hill)
        self.weights = [torch.tensor(w, requires_grad=True) for w in problem.start.values()]
        self.optimizer = make(self.weights)

    def update(self, lr, clip=lambda weights: None, **others):
        self.optimizer.param_groups[0].update(lr=lr, **others)
        return self.step(clip)

    def step(self, clip=lambda weights: None):
        self.optimizer.zero_grad()
        w0, b0, w2, b2 = self.weights
        loss = ((torch.tanh(self.x @ w0.T + b0) @ w2.T + b2 - self.y) ** 2).mean()
        loss = -loss if self.upside_down else loss
        loss.backward()
        clip(self.weights)
        self.optimizer.step()
        return loss.item()

    def values(self):
        return [w.detach().numpy() for w in self.weights]


def follow(problem, optimizer, make, clip=lambda weights: None, look=lambda state: None):
    """Run both side by side; the largest difference comes as a failure at its update."""
    theirs, state = Theirs(problem, make), optimizer.init(problem.weights)
    for t in range(UPDATES):
        h = optimizer.hyperparameters(t)
        mine = optimizer.minimize(problem.loss, state, epoch=t).item()
        others = {"momentum": h["momentum"]} if "momentum" in h else {}
        assert mine == pytest.approx(theirs.update(h["lr"], clip, **others), rel=1e-12)
        seen = look(state) or problem.values()
        for a, b in zip(seen, theirs.values(), strict=True):
            np.testing.assert_allclose(a, b, **CLOSE, err_msg=f"update {t}")


T = torch.optim
CASES = {
    "sgd": (optim.SGD(rate(0.1)), lambda p: T.SGD(p)),
    "momentum": (
        optim.Momentum(rate(0.1), lambda t: 0.9 * (1 + t) / (2 + t), form="torch"),
        lambda p: T.SGD(p, momentum=0.5),
    ),
    "nesterov": (
        optim.Nesterov(rate(0.1), lambda t: 0.9 * (1 + t) / (2 + t), form="torch"),
        lambda p: T.SGD(p, momentum=0.5, nesterov=True),
    ),
    "adagrad": (optim.AdaGrad(rate(0.1)), lambda p: T.Adagrad(p)),
    "adagrad accumulator": (
        optim.AdaGrad(rate(0.1), eps=1e-3, initial_accumulator=0.2),
        lambda p: T.Adagrad(p, initial_accumulator_value=0.2, eps=1e-3),
    ),
    "rmsprop": (
        optim.RMSProp(rate(0.01), rho=0.95, eps=0.1, eps_inside=False),
        lambda p: T.RMSprop(p, alpha=0.95, eps=0.1),
    ),
    "adam": (optim.Adam(rate(0.05)), lambda p: T.Adam(p)),
    "adam settings": (
        optim.Adam(rate(0.05), 0.8, 0.9, 1e-2),
        lambda p: T.Adam(p, betas=(0.8, 0.9), eps=1e-2),
    ),
    "adamw": (optim.AdamW(rate(0.05), weight_decay=0.3), lambda p: T.AdamW(p, weight_decay=0.3)),
}

SWITCHED = {
    "dampening": (
        optim.Momentum(rate(0.1), 0.8, form="torch", dampening=0.3),
        lambda p: T.SGD(p, momentum=0.8, dampening=0.3),
    ),
    "lr_decay": (optim.AdaGrad(rate(0.1), lr_decay=0.05), lambda p: T.Adagrad(p, lr_decay=0.05)),
    "rmsprop momentum": (
        optim.RMSProp(rate(0.01), rho=0.95, eps=0.1, eps_inside=False, momentum=0.7),
        lambda p: T.RMSprop(p, alpha=0.95, eps=0.1, momentum=0.7),
    ),
    "centered": (
        optim.RMSProp(rate(0.01), rho=0.95, eps=0.1, eps_inside=False, centered=True),
        lambda p: T.RMSprop(p, alpha=0.95, eps=0.1, centered=True),
    ),
    "centered momentum": (
        optim.RMSProp(rate(0.01), 0.95, 0.1, eps_inside=False, centered=True, momentum=0.7),
        lambda p: T.RMSprop(p, alpha=0.95, eps=0.1, centered=True, momentum=0.7),
    ),
    # With beta2 so small, the largest second moment is often an older one.
    "amsgrad": (
        optim.Adam(rate(0.05), beta2=0.6, amsgrad=True),
        lambda p: T.Adam(p, betas=(0.9, 0.6), amsgrad=True),
    ),
    "adamw amsgrad": (
        optim.AdamW(rate(0.05), beta2=0.6, amsgrad=True, weight_decay=0.3),
        lambda p: T.AdamW(p, betas=(0.9, 0.6), amsgrad=True, weight_decay=0.3),
    ),
}
EVERY = CASES | SWITCHED


class Hill:
    """The problem upside down."""

    def __init__(self, problem):
        self.problem = problem

    def __getattr__(self, name):
        return getattr(self.problem, name)

    def loss(self):
        return -self.problem.loss()


@pytest.mark.parametrize("case", EVERY)
def test_follows_torch_under_a_schedule(problem, case):
    follow(problem, *EVERY[case])


def maximizing(make):
    """The same optimizer of PyTorch, upwards."""

    def made(weights):
        theirs = make(weights)
        theirs.param_groups[0]["maximize"] = True
        return theirs

    return made


@pytest.mark.parametrize(
    ("case", "decay"), [(c, d) for c in EVERY for d in (0.0, 0.05) if "adamw" not in c or not d]
)
def test_maximizing_is_torchs(case, decay, problem):
    """Up the loss upside down, where decay still pulls to 0."""
    optimizer, make = EVERY[case]
    optimizer = dataclasses.replace(optimizer, maximize=True)
    if decay:
        optimizer = optim.Chain(optim.WeightDecay(decay), optimizer)

    def made(weights):
        theirs = maximizing(make)(weights)
        if decay:
            theirs.param_groups[0]["weight_decay"] = decay
        return theirs

    follow(Hill(problem), optimizer, made)


@pytest.mark.parametrize("case", [n for n in EVERY if "adamw" not in n and n != "dampening"])
def test_coupled_decay_is_torchs_weight_decay(problem, case):
    optimizer, make = EVERY[case]

    def with_decay(weights):
        theirs = make(weights)
        theirs.param_groups[0]["weight_decay"] = 0.05
        return theirs

    follow(problem, optim.Chain(optim.WeightDecay(0.05), optimizer), with_decay)


def test_clipping_norms(problem):
    optimizer = optim.Chain(optim.ClipNorm(0.3, eps=1e-6), optim.SGD(rate(0.1)))
    norms = []

    def clip(weights):
        norms.append(float(torch.nn.utils.clip_grad_norm_(weights, 0.3)))

    follow(problem, optimizer, lambda p: T.SGD(p), clip)
    assert min(norms) < 0.3 < max(norms)  # both cases were met


def test_clipping_values(problem):
    optimizer = optim.Chain(optim.ClipValue(0.2), optim.Adam(rate(0.05)))
    follow(
        problem,
        optimizer,
        lambda p: T.Adam(p),
        lambda weights: torch.nn.utils.clip_grad_value_(weights, 0.2),
    )


def test_clipping_decay_and_momentum_in_order(problem):
    optimizer = optim.Chain(
        optim.ClipNorm(0.3, eps=1e-6),
        optim.WeightDecay(0.1),
        optim.Momentum(rate(0.1), form="torch"),
    )
    follow(
        problem,
        optimizer,
        lambda p: T.SGD(p, momentum=0.9, weight_decay=0.1),
        lambda weights: torch.nn.utils.clip_grad_norm_(weights, 0.3),
    )


def test_momentum_forms_agree_while_the_rate_is_constant(problem):
    follow(problem, optim.Momentum(0.1, 0.9), lambda p: T.SGD(p, momentum=0.9))


def test_momentum_forms_part_when_the_rate_changes(problem):
    with pytest.raises(AssertionError):
        follow(problem, optim.Momentum(rate(0.1), 0.9), lambda p: T.SGD(p, momentum=0.9))


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_nesterov_after_the_change_of_variables_is_torchs(problem, decay):
    optimizer = optim.Chain(optim.WeightDecay(decay), optim.Nesterov(0.1, 0.8))
    follow(
        problem,
        optimizer,
        lambda p: T.SGD(p, momentum=0.8, nesterov=True, weight_decay=decay),
        look=lambda state: [
            w.numpy() + 0.8 * s["v"].numpy()
            for w, s in zip(state.weights, state.slots, strict=True)
        ],
    )


# --- compiled, and in groups ------------------------------------------------------------------


def made_of(weights):
    """A group for each of four optimizers: their decay, rate and switches differ."""
    w0, b0, w2, b2 = weights
    return [
        T.SGD([w0], lr=0.1, momentum=0.8, dampening=0.3, weight_decay=0.01),
        T.Adam([b0, b2], lr=0.05, betas=(0.9, 0.6), amsgrad=True),
        T.RMSprop([w2], lr=0.01, eps=0.1, centered=True, momentum=0.5),
    ]


GROUPS = optim.Groups(
    {
        "*.bias": optim.Adam(0.05, beta2=0.6, amsgrad=True),
        "0.*": optim.Chain(
            optim.WeightDecay(0.01), optim.Momentum(0.1, 0.8, form="torch", dampening=0.3)
        ),
        "*": optim.RMSProp(0.01, 0.99, 0.1, eps_inside=False, centered=True, momentum=0.5),
    }
)


class Together:
    """Optimizers of PyTorch as one."""

    def __init__(self, optimizers):
        self.optimizers = optimizers

    def zero_grad(self):
        for each in self.optimizers:
            each.zero_grad()

    def step(self):
        for each in self.optimizers:
            each.step()


def test_groups_follow_torchs_optimizers(problem):
    theirs, state = Theirs(problem, lambda p: Together(made_of(p))), GROUPS.init(problem.weights)
    for t in range(UPDATES):
        mine = GROUPS.minimize(problem.loss, state).item()
        assert mine == pytest.approx(theirs.step(), rel=1e-12)
        for a, b in zip(problem.values(), theirs.values(), strict=True):
            np.testing.assert_allclose(a, b, **CLOSE, err_msg=f"update {t}")


def test_groups_of_one_rule_are_torchs_parameter_groups(problem):
    groups = {
        "*.bias": optim.SGD(0.02, maximize=True),
        "2.*": optim.SGD(0.1),
        "*": optim.SGD(0.05 * schedule.Constant()),
    }
    optimizer = optim.Chain(optim.ClipNorm(0.3, eps=1e-6), optim.Groups(groups))

    def make(weights):
        w0, b0, w2, b2 = weights
        return T.SGD(
            [
                {"params": [b0, b2], "lr": 0.02, "maximize": True},
                {"params": [w2], "lr": 0.1},
                {"params": [w0], "lr": 0.05},
            ]
        )

    def clip(weights):
        torch.nn.utils.clip_grad_norm_(weights, 0.3)

    theirs, state = Theirs(problem, make), optimizer.init(problem.weights)
    for t in range(UPDATES):
        mine = optimizer.minimize(problem.loss, state).item()
        assert mine == pytest.approx(theirs.step(clip), rel=1e-12)
        for a, b in zip(problem.values(), theirs.values(), strict=True):
            np.testing.assert_allclose(a, b, **CLOSE, err_msg=f"update {t}")


@pytest.mark.parametrize("executor", ["numpy", "native"])
@pytest.mark.parametrize("case", [*SWITCHED, "maximize", "groups"])
def test_compiled_switches_follow_torch(case, executor, problem):
    if case == "groups":
        optimizer, make = GROUPS, lambda p: Together(made_of(p))
    elif case == "maximize":
        optimizer, make = optim.Adam(0.001, maximize=True), maximizing(T.Adam)
    else:
        optimizer, make = SWITCHED[case]
    theirs, state = Theirs(problem, make), optimizer.init(problem.weights)
    step = gl.compile(lambda h: optimizer.minimize(problem.loss, state, h), executor=executor)
    for t in range(UPDATES):
        h = optimizer.hyperparameters(t)
        mine = step(h).item()
        other = theirs.step() if case == "groups" else theirs.update(h["lr"])
        # Fused multiplications and additions round once where PyTorch rounds twice.
        assert mine == pytest.approx(other, rel=1e-11)
    for a, b in zip(problem.values(), theirs.values(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)


def test_centered_never_takes_the_root_of_a_negative_number():
    """Of constant gradients the variance is 0, and rounding must not make it less."""
    w = gl.Variable(np.array([0.1, 1 / 3, 1e5, 0.0]))
    optimizer = optim.RMSProp(0.01, 0.5, eps=1.0, eps_inside=False, centered=True)
    state = optimizer.init([w])
    g = np.array([0.1, 1 / 3, 1e5 / 7, 0.0])
    for _ in range(200):
        optimizer.minimize(lambda: (w * g).sum(), state)
        assert np.isfinite(w.numpy()).all()


@pytest.mark.parametrize("name", optim.optimizers)
@pytest.mark.parametrize("form", ["lecture", "torch"])
def test_the_rule_runs_on_torch_tensors(name, form):
    rng = np.random.default_rng(3)
    arguments = {"form": form} if name in ("momentum", "nesterov") else {}
    optimizer = optim.optimizers[name].factory(lr=rate(0.1), **arguments)
    θ = rng.normal(size=(4, 3))
    mine, theirs = gl.tensor(θ), torch.tensor(θ)
    my_slots = {s: gl.tensor(np.zeros((4, 3))) for s in optimizer.slots}
    their_slots = {s: torch.zeros(4, 3, dtype=torch.float64) for s in optimizer.slots}
    for t in range(1, 31):
        h = optimizer.hyperparameters(t)
        g = rng.normal(size=(4, 3))
        points = optimizer.interim(mine, my_slots, h), optimizer.interim(theirs, their_slots, h)
        np.testing.assert_allclose(points[0], points[1], rtol=1e-13, atol=1e-13)
        mine, my_slots = optimizer.rule(mine, gl.tensor(g), my_slots, h, t)
        theirs, their_slots = optimizer.rule(theirs, torch.tensor(g), their_slots, h, t)
        np.testing.assert_allclose(mine, theirs, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (optim.Adam(), T.Adam),
        (optim.AdamW(), T.AdamW),
        (optim.AdaGrad(), T.Adagrad),
        (optim.RMSProp(lr=0.01, rho=0.99, eps=1e-8, eps_inside=False), T.RMSprop),
    ],
)
def test_defaults_said_to_be_torchs_are(mine, theirs):
    names = {"rho": "alpha"}
    default = {n: p.default for n, p in inspect.signature(theirs).parameters.items()}
    default |= dict(zip(("beta1", "beta2"), default.get("betas", ()), strict=False))
    for name, value in mine.hyperparameters(0).items():
        assert default[names.get(name, name)] == value


# --- on PyTorch's own tensors -----------------------------------------------------------------

CLIPPED = [
    optim.ClipNorm(0.5),
    optim.ClipNorm(100.0, eps=1e-6),
    optim.ClipValue(0.3),
    optim.WeightDecay(0.1, biases=False),
    optim.DecoupledDecay(0.1),
]


@pytest.mark.parametrize("transform", CLIPPED, ids=repr)
@pytest.mark.parametrize("last", [optim.SGD(0.1), optim.Nesterov(0.1), optim.Adam(0.1)], ids=repr)
def test_an_update_of_torch_tensors_is_that_of_ours(transform, last):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape) for shape in ((3, 2), (3,)) for _ in range(2)]
    arrays[1][0] = np.inf if isinstance(transform, optim.ClipValue) else 5.0
    chain = optim.Chain(transform, last)
    h = chain.hyperparameters(0)

    def updated(make):
        θ, g = [make(a) for a in arrays[::2]], [make(a) for a in arrays[1::2]]
        slots = [{name: make(np.ones_like(a)) for name in chain.slots} for a in arrays[::2]]
        new, after = chain.update(θ, g, slots, h, 3)
        return [*new, *(x for s in after for x in s.values())]

    for ours, theirs in zip(updated(gl.tensor), updated(torch.tensor), strict=True):
        assert isinstance(theirs, torch.Tensor)
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-13)
