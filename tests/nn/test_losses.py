"""Losses: formulas that PyTorch does not have, the registry, errors, traces, penalties."""

import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import gradlab as gl
from gradlab import nn
from gradlab.errors import ArgumentError, DTypeError, ShapeError

LOGITS = np.array([[0.5, -1.0, 2.0], [0.0, 0.3, -0.2]])


@given(
    arrays(np.float64, (5, 2), elements=st.floats(-4, 4)),
    arrays(np.int64, (5, 2), elements=st.sampled_from([-1, 1])),
)
def test_binary_hinge_is_its_formula(z, y):
    expected = np.maximum(0, 1 - y * z)
    np.testing.assert_allclose(nn.hinge_loss(z, y, "none").numpy(), expected, atol=1e-12)
    np.testing.assert_allclose(nn.hinge_loss(z, y).numpy(), expected.mean(), atol=1e-12)


def test_hinge_of_float32_is_never_negative():
    logits = np.array([[1e8, -1e8], [3e8, 0.0]], np.float32)
    assert nn.hinge_loss(logits, [0, 0], "none").numpy().tolist() == [0.0, 0.0]


@given(arrays(np.float64, (4, 3), elements=st.floats(-5, 5)), st.integers(0, 2))
def test_one_hot_probabilities_mean_the_class(z, label):
    classes = np.full(4, label)
    shares = np.eye(3)[classes]
    np.testing.assert_allclose(
        nn.cross_entropy(z, classes).numpy(), nn.cross_entropy(z, shares).numpy(), atol=1e-12
    )


@given(arrays(np.float64, 6, elements=st.floats(-30, 30)), st.floats(0, 1))
def test_binary_cross_entropy_is_cross_entropy_of_two_classes(z, y):
    two = np.stack([np.zeros(6), z], axis=1)
    shares = np.tile([1 - y, y], (6, 1))
    np.testing.assert_allclose(
        nn.binary_cross_entropy_with_logits(z, np.full(6, y), "none").numpy(),
        nn.cross_entropy(two, shares, "none").numpy(),
        atol=1e-12,
    )


@pytest.mark.parametrize(
    "loss",
    [
        lambda z: nn.cross_entropy(z, [2, 0]),
        lambda z: nn.cross_entropy(z, np.full((2, 3), 1 / 3)),
        lambda z: nn.binary_cross_entropy_with_logits(z, np.full((2, 3), 0.3)),
        lambda z: nn.mse_loss(z, np.ones((2, 3))),
        lambda z: nn.huber_loss(z, np.ones((2, 3)), delta=0.9),
        lambda z: nn.hinge_loss(z, [2, 0]),
        lambda z: nn.hinge_loss(z, np.array([[1, -1, 1], [-1, 1, 1]])),
        lambda z: nn.l2_penalty([z, z[0]]),
        lambda z: nn.l1_penalty([z[0], z]),
    ],
)
def test_second_derivatives(loss):
    # Away from the kinks of |x| and max(x, 0).
    gl.check_grads(loss, [LOGITS + 0.05])


def test_a_loss_of_zero_is_not_minus_zero():
    loss = nn.cross_entropy([[1e4, 0.0]], [0])
    assert not np.signbit(loss.numpy())


@given(arrays(np.float64, (2, 4, 3), elements=st.floats(-5, 5)), st.integers(0, 100))
def test_cross_entropy_of_sequences_is_that_of_their_places(z, seed):
    y = np.random.default_rng(seed).integers(0, 3, (2, 4))
    each = nn.cross_entropy(z.reshape(8, 3), y.reshape(8), "none").numpy().reshape(2, 4)
    np.testing.assert_array_equal(nn.cross_entropy(z, y, "none"), each)
    np.testing.assert_allclose(nn.cross_entropy(z, y), each.mean(), rtol=1e-12)
    np.testing.assert_allclose(nn.cross_entropy(z, np.eye(3)[y], "none"), each, atol=1e-12)


def test_cross_entropy_records_few_operations():
    graph = gl.trace(lambda z: nn.cross_entropy(z, np.zeros(8, int)), gl.Spec((8, 3)))
    assert [node.op.name for node in graph.nodes] == [
        "log_softmax", "index", "subtract", "sum", "divide",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("loss", "logits", "target", "bad"),
    [
        (nn.cross_entropy, LOGITS, [2, 0], (-1, 3)),
        (nn.cross_entropy, LOGITS[:, None], [[2], [0]], (-1, 3)),
        (nn.hinge_loss, LOGITS, [2, 0], (-1, 3)),
        (nn.hinge_loss, LOGITS[0], [1, -1, 1], (0, 2)),
        (nn.binary_cross_entropy_with_logits, LOGITS[0], [1.0, 0.0, 0.5], (-0.1, 1.1, np.nan)),
    ],
)
def test_a_target_out_of_range_is_nan_in_a_compiled_loss(loss, logits, target, bad):
    fast = gl.compile(lambda z, y: loss(z, y, reduction="none"))
    target = np.array(target)
    np.testing.assert_allclose(fast(logits, target), loss(logits, target, "none"), rtol=1e-12)
    for wrong in bad:
        broken = target.copy()
        broken[0] = wrong
        found = fast(logits, broken).numpy()
        assert np.isnan(found[0])
        np.testing.assert_array_equal(found[1:], fast(logits, target).numpy()[1:])
        assert np.isnan(gl.compile(loss)(logits, broken).item())


# --- registry ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "prediction", "target", "expected"),
    [
        ("mse", [1.0, 2.0], [1.0, 4.0], 2.0),
        ("mse(reduction='sum')", [1.0, 2.0], [1.0, 4.0], 4.0),
        ("cross_entropy", [[0.0, 0.0]], [1], np.log(2)),
        ("binary_cross_entropy", [0.0], [1.0], np.log(2)),
        ("hinge", [[2.0, 1.5]], [0], 0.25),
        ("huber(delta=2.0)", [3.0], [0.0], 4.0),
        ({"name": "huber", "delta": 0.5, "reduction": "sum"}, [3.0, 0.0], [0.0, 0.0], 1.375),
    ],
)
def test_losses_by_name(spec, prediction, target, expected):
    loss = nn.losses.build(spec)
    assert float(loss(prediction, target)) == pytest.approx(expected, rel=1e-6)
    assert loss == nn.losses.build(spec)


def test_rows_tell_what_they_are():
    known = {"mse", "cross_entropy", "binary_cross_entropy", "hinge", "huber", "vae"}
    assert set(nn.losses) == known
    for registry in (nn.losses, nn.activations):
        assert all(row.summary and row.formula and row.paper for row in registry.values())


# --- errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda: nn.mse_loss(np.ones((3, 1)), np.ones(3)),
            ShapeError,
            r"mse_loss: predictions have shape \(3, 1\) and targets \(3,\)",
        ),
        (lambda: nn.huber_loss(np.ones(3), 1.0), ShapeError, r"targets \(\)"),
        (lambda: nn.huber_loss(np.ones(3), np.ones(3), delta=0), ArgumentError, "delta must be"),
        (
            lambda: nn.binary_cross_entropy_with_logits(np.ones((3, 1)), np.ones(3)),
            ShapeError,
            "binary_cross_entropy_with_logits: predictions have shape",
        ),
        (
            lambda: nn.binary_cross_entropy_with_logits([0.0, 0.0], [-1, 1]),
            ArgumentError,
            r"targets must be in \[0, 1\], got -1.0 to 1.0",
        ),
        (lambda: nn.cross_entropy([1.0, 2.0], 0), ShapeError, r"logits must have shape \(n, cla"),
        (
            lambda: nn.cross_entropy(LOGITS, [[0], [1]]),
            ShapeError,
            r"must have shape \(2,\), got \(2, 1\)",
        ),
        (
            lambda: nn.cross_entropy(LOGITS[None], [0, 1]),
            ShapeError,
            r"logits of shape \(1, 2, 3\) must have shape \(1, 2\), got \(2,\)",
        ),
        (lambda: nn.cross_entropy(LOGITS, [0.0, 1.0]), DTypeError, "must be integers, got float32"),
        (
            lambda: nn.cross_entropy(LOGITS, np.eye(3, dtype=int)[[0, 1]]),
            DTypeError,
            r"must be floating, got int64; for class numbers pass shape \(2,\)",
        ),
        (lambda: nn.cross_entropy(LOGITS, [0, 3]), ArgumentError, "from 0 to 2, got 0 to 3"),
        (lambda: nn.cross_entropy(LOGITS, [-1, 1]), ArgumentError, "from 0 to 2, got -1 to 1"),
        (lambda: nn.hinge_loss(LOGITS, [0, 3]), ArgumentError, "hinge_loss: class numbers"),
        (lambda: nn.hinge_loss([[1.0], [2.0]], [0, 0]), ShapeError, r"±1 of shape \(2, 1\)"),
        (lambda: nn.hinge_loss([1.0, 2.0], [0, 1]), ArgumentError, "must be -1 or 1"),
        (
            lambda: nn.mse_loss([1.0], [1.0], "avg"),
            ArgumentError,
            "unknown reduction 'avg'.*Known: mean, none, sum",
        ),
        (lambda: nn.mse_loss(np.ones((0, 1)), np.ones((0, 1))), ShapeError, "no elements"),
        (lambda: nn.l2_penalty([]), ArgumentError, r"pass model.parameters\(\)"),
        (lambda: nn.losses.build("mae"), ArgumentError, "unknown loss 'mae'"),
    ],
)
def test_errors_say_the_fix_in_one_line(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_shapes_are_checked_in_a_trace_too():
    with pytest.raises(ShapeError, match="must have shape"):
        gl.trace(nn.cross_entropy, gl.Spec((8, 3)), gl.Spec((8, 1), np.int64))


# --- penalties --------------------------------------------------------------------------------


def test_penalties_and_their_gradients():
    model = nn.MLP((3, 4, 2), dtype="float64")
    flat = np.concatenate([v.ravel() for v in model.state_dict().values()])
    assert float(nn.l1_penalty(model.parameters())) == pytest.approx(np.abs(flat).sum())
    assert float(nn.l2_penalty(model.parameters())) == pytest.approx(0.5 * (flat**2).sum())
    weights = model.parameters()
    for penalty, slope in ((nn.l1_penalty, np.sign), (nn.l2_penalty, lambda w: w)):
        with gl.GradientTape() as tape:
            value = penalty(weights)
        for w, g in zip(weights, tape.gradient(value, weights), strict=True):
            np.testing.assert_allclose(g.numpy(), slope(w.numpy()))


# --- options of cross_entropy, beside PyTorch -------------------------------------------------


@pytest.mark.parametrize("executor", ["eager", "numpy", "native"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("places", [(6,), (3, 4), (2, 3, 2)])
@pytest.mark.parametrize(
    ("kind", "ignored"),
    [("numbers", None), ("numbers", -100), ("numbers", 2), ("probabilities", None)],
)
def test_options_of_cross_entropy(kind, places, ignored, weighted, smoothing, executor):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(len(places))
    z = rng.normal(size=(*places, 4))
    weight = rng.random(4) if weighted else None
    if kind == "numbers":
        y = rng.integers(0, 4, places)
        if ignored is not None:
            y[rng.random(places) < 0.4] = ignored
            y.flat[0] = 1
    else:
        y = rng.dirichlet(np.ones(4), places)
    options = {"weight": weight, "ignore_index": ignored, "label_smoothing": smoothing}

    def ours(z, y, reduction):
        return gl.grad(
            lambda z: (nn.cross_entropy(z, y, reduction, **options) * scale(reduction)).sum()
        )(z), nn.cross_entropy(z, y, reduction, **options)

    cotangent = rng.normal(size=places)

    def scale(reduction):
        return cotangent if reduction == "none" else 1.0

    for reduction in ("mean", "sum", "none"):
        function = functools.partial(ours, reduction=reduction)
        if executor != "eager":
            function = gl.compile(function, executor)
        gradient, loss = function(z, y)
        theirs = torch.tensor(z, requires_grad=True)
        # PyTorch has the classes on axis 1.
        target = torch.tensor(y) if kind == "numbers" else torch.tensor(y).movedim(-1, 1)
        expected = torch.nn.functional.cross_entropy(
            theirs.movedim(-1, 1), target, reduction=reduction,
            weight=None if weight is None else torch.tensor(weight),
            ignore_index=-100 if ignored is None else ignored, label_smoothing=smoothing,
        )  # fmt: skip
        (expected * torch.as_tensor(scale(reduction))).sum().backward()
        np.testing.assert_allclose(loss, expected.detach().numpy(), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(gradient, theirs.grad.numpy(), rtol=1e-11, atol=1e-14)


def test_options_of_cross_entropy_that_are_refused():
    z, y, q = np.zeros((2, 3)), np.array([0, 1]), np.full((2, 3), 1 / 3)
    for options, error, words in [
        ({"weight": [1.0, 2.0]}, ShapeError, "weight must have a number for each of 3 classes"),
        ({"label_smoothing": 1.5}, ArgumentError, "label_smoothing must be from 0 to 1, got 1.5"),
        ({"label_smoothing": float("nan")}, ArgumentError, "label_smoothing"),
    ]:
        with pytest.raises(error, match=words):
            nn.cross_entropy(z, y, **options)
    with pytest.raises(ArgumentError, match="class probabilities; give the places"):
        nn.cross_entropy(z, q, ignore_index=1)
    with pytest.raises(ArgumentError, match="from 0 to 2, got -1 to 0"):
        nn.cross_entropy(z, np.array([0, -1]), ignore_index=5)
    compiled = gl.compile(lambda z, y: nn.cross_entropy(z, y, "none", ignore_index=5))
    np.testing.assert_array_equal(compiled(z, np.array([5, -1])), [0, np.nan])
    with np.errstate(invalid="ignore"):
        assert np.isnan(nn.cross_entropy(z, np.array([5, 5]), ignore_index=5).item())


def test_the_plain_cross_entropy_is_computed_as_before():
    plain = gl.trace(nn.cross_entropy, gl.Spec((2, 3)), gl.Spec((2,), "int64"))
    loss = nn.CrossEntropyLoss()
    assert str(gl.trace(loss, gl.Spec((2, 3)), gl.Spec((2,), "int64"))) == str(plain)
    assert len(plain.nodes) <= 12


# --- digits, and whole numbers ----------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_digits_of_binary_cross_entropy(dtype):
    mp = pytest.importorskip("mpmath")
    z = np.concatenate([np.linspace(-100, 100, 401), [16, -16, 1e-8, 0, 700, -700]]).astype(dtype)
    eps = np.finfo(dtype).eps
    for y in (0.0, 1.0):
        target = np.full_like(z, y)
        loss = nn.binary_cross_entropy_with_logits(z, target, "none").numpy()
        slope = gl.grad(lambda z, y=target: nn.binary_cross_entropy_with_logits(z, y, "sum"))(
            z
        ).numpy()
        curve = gl.hessian(
            lambda z, y=y: nn.binary_cross_entropy_with_logits(z, gl.full((1,), y, dtype), "sum")
        )
        assert curve(np.zeros(1, dtype)).item() == 0.25
        for number, found, gradient in zip(z.tolist(), loss, slope, strict=True):
            side = mp.mpf(number) * (1 - 2 * y)
            exact, sigma = mp.log1p(mp.exp(side)), 1 / (1 + mp.exp(-side))
            tiny = float(np.finfo(dtype).tiny)
            assert abs(found - exact) <= 4 * eps * exact + tiny
            assert abs(gradient - sigma * (1 - 2 * y)) <= 8 * eps * sigma + tiny


def test_binary_cross_entropy_at_16():
    loss = nn.binary_cross_entropy_with_logits(np.float32([16]), np.float32([1]))
    assert loss.item() == pytest.approx(1.1253516e-07, rel=1e-6)


VALUES = np.array([[0, 100, 3], [1, 1, 120]])
TARGETS = [
    (nn.mse_loss, VALUES),
    (nn.huber_loss, VALUES),
    (nn.binary_cross_entropy_with_logits, np.array([[0, 1, 0], [1, 1, 0]])),
    (nn.hinge_loss, np.array([[-1, 1, -1], [1, -1, -1]])),
    (nn.hinge_loss, np.ones((2, 3), int)),
    (nn.hinge_loss, np.array([1, 2])),
    (nn.cross_entropy, np.array([1, 2])),
]


@pytest.mark.parametrize("executor", ["eager", "numpy", "native"])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "bool", "int64", "uint64", "float64"])
@pytest.mark.parametrize(("loss", "y"), TARGETS)
def test_losses_of_whole_numbers_do_not_wrap(loss, y, dtype, executor):
    z = np.array([[100, 1, 0], [3, 90, 127]]).astype(dtype)
    expected = loss(z.astype(np.float64), y).item()
    function = loss if executor == "eager" else gl.compile(loss, executor)
    for other in ("int64", "int8", *(("uint8",) if y.min() >= 0 else ())):
        assert function(z, y.astype(other)).item() == pytest.approx(expected, rel=1e-6)


SHAPES = [(), (6,), (6, 1), (1, 6), (2, 3), (3, 2), (6, 2), (2, 3, 2), (2, 3, 1)]


@pytest.mark.parametrize("z", SHAPES)
@pytest.mark.parametrize("y", SHAPES)
def test_no_loss_broadcasts(z, y):
    """Targets have the predictions' shape, or that of places without the classes."""
    classes = {nn.cross_entropy: len(z) >= 2, nn.hinge_loss: len(z) == 2 and z[1] > 1}
    for loss in {loss for loss, _ in TARGETS}:
        numbers = np.ones if loss is nn.hinge_loss and z == y else np.zeros
        targets = numbers(y, int)
        if loss is nn.cross_entropy and y == z:
            targets = targets.astype(np.float64)  # probabilities
        fits = (y == z and (loss is not nn.cross_entropy or len(z) >= 2)) or (
            y == z[:-1] and classes.get(loss, False)
        )
        for function in (loss, gl.compile(loss)):
            if fits:
                assert function(np.zeros(z), targets).shape == ()
            else:
                with pytest.raises(ShapeError):
                    function(np.zeros(z), targets)


def test_two_images_of_bytes_are_as_far_apart_as_they_are():
    dark, light = np.full((2, 2), 50, np.uint8), np.full((2, 2), 208, np.uint8)
    assert nn.mse_loss(dark, light).item() == 158**2
    assert nn.huber_loss(dark, light).item() == 157.5
