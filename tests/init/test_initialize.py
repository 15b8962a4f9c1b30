"""``initialize``: which parameter gets what, independent streams, symmetry, errors."""

import math

import numpy as np
import pytest

import gradlab as gl
from gradlab import nn
from gradlab.errors import ArgumentError, ShapeError
from gradlab.init import Constant, VarianceScaling, initialize, initializers

REQUIRED = {
    "constant": "constant(value=0.5)",
    "normal": "normal(std=0.1)",
    "truncated_normal": "truncated_normal(std=0.1)",
    "select_weights": {"name": "select_weights", "teacher": nn.MLP((4, 12, 3))},
}
REQUIRED["uniform"] = "uniform(low=-1, high=1)"


@pytest.mark.parametrize("name", initializers)
def test_every_scheme_fills_a_model(name):
    model = nn.MLP((4, 6, 3), dtype="float64")
    before = model.state_dict()
    scheme = REQUIRED.get(name, name)
    initialize(model, scheme, seed=1)
    first = model.state_dict()
    assert all(not np.array_equal(first[k], before[k]) for k in before)
    drawn = name in ("torch_default", "select_weights")
    assert first["0.bias"].any() == drawn
    initialize(model, initializers.build(scheme), seed=1)
    assert all(np.array_equal(v, first[k]) for k, v in model.state_dict().items())


def test_torch_default_draws_biases_by_the_fan_in_beside_them():
    model = nn.MLP((4, 900, 900))
    initialize(model, "torch_default")
    for path, fan_in in (("0", 4), ("2", 900)):
        for kind in ("weight", "bias"):
            top = np.abs(model.state_dict()[f"{path}.{kind}"]).max()
            assert 0.98 / math.sqrt(fan_in) < top <= 1 / math.sqrt(fan_in) * (1 + 1e-6)


def test_float32_is_the_rounded_float64():
    models = [nn.MLP((4, 6, 3), dtype=dtype) for dtype in ("float32", "float64")]
    for model in models:
        initialize(model, "kaiming_normal", seed=3)
    assert models[0][0].weight.dtype == np.float32
    assert np.array_equal(
        models[0][0].weight.numpy(), models[1][0].weight.numpy().astype(np.float32)
    )


def test_adding_a_layer_leaves_the_other_draws_alone():
    parts = [nn.Linear(4, 4), nn.Linear(4, 4)]
    initialize(nn.Sequential(*parts), "kaiming_uniform", seed=5)
    small = [part.weight.numpy() for part in parts]
    assert not np.array_equal(*small)
    initialize(nn.Sequential(*parts, nn.Linear(4, 4)), "kaiming_uniform", seed=5)
    assert all(np.array_equal(p.weight.numpy(), w) for p, w in zip(parts, small, strict=True))
    initialize(nn.Sequential(*parts), "kaiming_uniform", seed=6)
    assert not np.array_equal(parts[0].weight.numpy(), small[0])


def test_a_pattern_leaves_the_other_draws_alone():
    model, other = nn.MLP((4, 4, 4)), nn.MLP((4, 4, 4))
    initialize(model, seed=5)
    initialize(other, seed=5, patterns={"2.*": "xavier_normal"})
    assert np.array_equal(model[0].weight.numpy(), other[0].weight.numpy())
    assert not np.array_equal(model[2].weight.numpy(), other[2].weight.numpy())


def test_the_last_matching_pattern_counts():
    model = nn.MLP((4, 6, 3))
    patterns = {"*": Constant(1.0), "*.bias": "constant(value=2)", "2.*": {"name": "zeros"}}
    initialize(model, patterns=patterns)
    assert {k: float(v.max()) for k, v in model.state_dict().items()} == {
        "0.weight": 1.0, "0.bias": 2.0, "2.weight": 0.0, "2.bias": 0.0,
    }  # fmt: skip


def test_a_bias_by_pattern_takes_the_fans_of_its_layer():
    model = nn.MLP((4, 900, 3))
    initialize(model, patterns={"0.bias": "kaiming_uniform"})
    assert np.abs(model[0].bias.numpy()).max() == pytest.approx(math.sqrt(6 / 4), rel=0.01)


def test_other_parameters_keep_their_values():
    model = nn.Sequential(nn.Linear(2, 2))
    model.gain, model.scale = gl.Variable(3.0), gl.Variable([4.0, 5.0])
    model[0].bias.trainable = False
    before = model.state_dict()
    initialize(model, "zeros")
    after = model.state_dict()
    assert not after["0.weight"].any()
    assert all(np.array_equal(after[k], before[k]) for k in ("gain", "scale", "0.bias"))


# --- symmetry ---------------------------------------------------------------------------------


def trained(scheme, activation):
    model = nn.MLP((3, 5, 4, 2), activation, dtype="float64")
    initialize(model, scheme, seed=2, patterns={"*.bias": "constant(value=0.1)"})
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 3)), rng.integers(0, 2, 20)
    before = model.state_dict()
    for _ in range(20):
        with gl.GradientTape() as tape:
            loss = nn.cross_entropy(model(x), y)
        weights = model.parameters()
        for w, g in zip(weights, tape.gradient(loss, weights), strict=True):
            w.assign(w - 0.2 * g)
    moved = np.abs(model[0].weight.numpy() - before["0.weight"]).max()
    return model, moved


@pytest.mark.parametrize("activation", ["tanh", "softplus"])
@pytest.mark.parametrize("scheme", ["identical", "constant(value=0.3)"])
def test_identical_units_stay_identical(scheme, activation):
    """The lecture: without broken symmetry, units are updated in the same way, for ever."""
    model, moved = trained(scheme, activation)
    assert moved > 1e-3
    for layer in (model[0], model[2]):
        w, b = layer.weight.numpy(), layer.bias.numpy()
        np.testing.assert_allclose(w, np.broadcast_to(w[0], w.shape), rtol=1e-12)
        np.testing.assert_allclose(b, np.full(b.shape, b[0]), rtol=1e-12)
    assert np.ptp(model[0].weight.numpy()[0]) > 1e-3  # the inputs are told apart


def test_random_units_become_no_copies():
    model, _ = trained("xavier_uniform", "tanh")
    w = model[0].weight.numpy()
    assert min(np.abs(w[i] - w[j]).max() for i in range(5) for j in range(i)) > 1e-2


# --- errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"scheme": "kaiming"}, ArgumentError, "unknown initializer 'kaiming'; did you mean 'kaim"),
        ({"scheme": "xavier_unifrom"}, ArgumentError, "did you mean 'xavier_uniform'"),
        ({"scheme": "normal"}, ArgumentError, r"needs std: write normal\(std=\.\.\.\)"),
        ({"scheme": "normal(std=-1)"}, ArgumentError, "std must be 0 or above"),
        ({"scheme": "truncated_normal(std=-1)"}, ArgumentError, "std must be a finite number of 0"),
        ({"scheme": "uniform(low=2, high=1)"}, ArgumentError, "low=2 is above high=1"),
        ({"scheme": "constant(value=1e999)"}, ArgumentError, "value must be a finite number"),
        ({"scheme": "xavier_normal(gain=0)"}, ArgumentError, "gain must be a finite number above"),
        ({"scheme": "orthogonal(gain=-1)"}, ArgumentError, "gain must be a finite number above 0"),
        ({"scheme": "variance_scaling(scale=0)"}, ArgumentError, "scale must be a finite number"),
        ({"scheme": "variance_scaling(mode='in')"}, ArgumentError, "unknown mode 'in'"),
        (
            {"scheme": "variance_scaling(distribution='normale')"},
            ArgumentError,
            "unknown distribution 'normale'; did you mean 'normal'",
        ),
        (
            {"patterns": {"1.*": "zeros"}},
            ArgumentError,
            r"pattern '1.\*' matches no parameter; there are: 0.weight, 0.bias, 2.weight",
        ),
        ({"patterns": {"*.bias": "zero"}}, ArgumentError, "did you mean 'zeros'"),
        ({"patterns": {"2.bias": "orthogonal"}}, ShapeError, r"^2.bias: a weight of shape \(3,\)"),
        ({"patterns": {"2.bias": "identity"}}, ShapeError, "^2.bias: the identity initializes"),
        ({"seed": -1}, ArgumentError, "seed must be a whole number from 0 up"),
    ],
)
def test_errors_change_nothing(options, error, words):
    model = nn.MLP((4, 6, 3))
    before = model.state_dict()
    with pytest.raises(error, match=words) as caught:
        initialize(model, **options)
    assert "\n" not in str(caught.value)
    assert all(np.array_equal(v, before[k]) for k, v in model.state_dict().items())


def test_a_vector_by_itself_has_no_fans():
    with pytest.raises(ShapeError, match=r"a weight of shape \(5,\) has no fan-in"):
        VarianceScaling()((5,), np.random.default_rng(0))


def test_rows_tell_what_they_are():
    assert all(row.summary and row.formula and row.paper for row in initializers.values())
