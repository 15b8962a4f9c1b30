"""Draws against the papers' numbers: bounds, variances, whole distributions, orthogonality."""

import math

import numpy as np
import pytest
from scipy import stats

import gradlab as gl
from gradlab.errors import ShapeError
from gradlab.init import Orthogonal, VarianceScaling, fans, initializers
from gradlab.init.scaling import TRUNCATED_STD

IN, OUT = 200, 300


def uniform(bound):
    return stats.uniform(-bound, 2 * bound)


def truncated(std):
    """Normal cut at two of its standard deviations, with the given one after the cut."""
    return stats.truncnorm(-2, 2, scale=std / stats.truncnorm(-2, 2).std())


# What the papers say, for a weight of shape (300, 200).
EXPECTED = {
    "xavier_uniform": uniform(math.sqrt(6 / (IN + OUT))),
    "xavier_normal": stats.norm(scale=math.sqrt(2 / (IN + OUT))),
    "xavier_truncated_normal": truncated(math.sqrt(2 / (IN + OUT))),
    "kaiming_uniform": uniform(math.sqrt(6 / IN)),
    "kaiming_normal": stats.norm(scale=math.sqrt(2 / IN)),
    "kaiming_truncated_normal": truncated(math.sqrt(2 / IN)),
    "lecun_uniform": uniform(math.sqrt(3 / IN)),
    "lecun_normal": stats.norm(scale=math.sqrt(1 / IN)),
    "lecun_truncated_normal": truncated(math.sqrt(1 / IN)),
    "torch_default": uniform(1 / math.sqrt(IN)),
    "variance_scaling": uniform(math.sqrt(3 / IN)),
    "uniform(low=-1, high=3)": stats.uniform(-1, 4),
    "normal(std=0.1, mean=2)": stats.norm(2, 0.1),
    "truncated_normal(std=0.1)": stats.truncnorm(-2, 2, scale=0.1),
    "xavier_uniform(gain=2)": uniform(2 * math.sqrt(6 / (IN + OUT))),
    "kaiming_normal(mode='fan_out')": stats.norm(scale=math.sqrt(2 / OUT)),
    "kaiming_uniform(gain=1)": uniform(math.sqrt(3 / IN)),
}
NOT_RANDOM = {"constant", "zeros", "identity", "identical", "orthogonal", "select_weights"}


def test_every_row_is_tested():
    assert {spec.partition("(")[0] for spec in EXPECTED} == set(initializers) - NOT_RANDOM


@pytest.mark.parametrize("spec", EXPECTED)
def test_distribution(spec):
    expected = EXPECTED[spec]
    values = initializers.build(spec)((OUT, IN), np.random.default_rng(0)).ravel()
    assert stats.kstest(values, expected.cdf).pvalue > 0.001
    # The variance of a sample variance is (kurtosis − 1) σ⁴ / n.
    kurtosis = float(expected.stats("k")) + 3
    tolerance = 4 * math.sqrt((kurtosis - 1) / values.size)
    assert abs(values.var() / expected.var() - 1) < tolerance
    low, high = expected.support()
    assert low <= values.min()
    assert values.max() <= high
    if math.isfinite(high):  # and the whole of the support is used
        assert np.ptp(values) > 0.995 * (high - low)


def test_the_constant_of_the_cut():
    assert pytest.approx(stats.truncnorm(-2, 2).std(), abs=1e-15) == TRUNCATED_STD


@pytest.mark.parametrize("name", ["xavier", "kaiming", "lecun"])
def test_distributions_of_a_family_have_one_variance(name):
    rows = [initializers.build(f"{name}_{d}") for d in ("uniform", "normal", "truncated_normal")]
    assert len({(row.scale, row.mode) for row in rows}) == 1


def test_fans_count_the_kernel():
    assert fans((16, 3, 5, 5)) == (75, 400)
    values = VarianceScaling(2.0, "fan_out", "uniform")((64, 32, 3, 3), np.random.default_rng(0))
    assert np.abs(values).max() == pytest.approx(math.sqrt(6 / (64 * 9)), rel=1e-3)


@pytest.mark.parametrize("shape", [(), (5,), (0, 3), (3, 0)])
def test_no_fans(shape):
    with pytest.raises(ShapeError, match=r"has no fan-in and fan-out: they need shape"):
        fans(shape)


@pytest.mark.parametrize(
    ("scheme", "activation", "kept"),
    [
        ("kaiming_normal", gl.relu, True),
        ("xavier_normal", gl.relu, False),
        ("kaiming_normal(gain=1)", gl.identity, True),
        ("orthogonal", gl.identity, True),
    ],
)
def test_signal_through_thirty_layers(scheme, activation, kept):
    """He et al., section 2.2: with variance 2/fan_in, ReLU layers keep the second moment of z."""
    draw, rng = initializers.build(scheme), np.random.default_rng(0)
    a = rng.standard_normal((64, 256))
    for _ in range(30):
        z = a @ draw((256, 256), rng).T
        a = activation(z).numpy()
    moment = float((z**2).mean())
    # Xavier halves it at each ReLU.
    assert 0.3 < moment < 3 if kept else moment < 2.0**-25


@pytest.mark.parametrize("shape", [(3, 8), (8, 3), (5, 5), (4, 3, 2, 2), (40, 3, 2)])
def test_orthogonal(shape):
    w = Orthogonal(gain=1.5)(shape, np.random.default_rng(0))
    assert w.shape == shape
    matrix = w.reshape(shape[0], -1) / 1.5
    gram = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-12)


def test_orthogonal_is_uniform_over_rotations():
    """By Haar's measure each entry of a 2 × 2 matrix is cos of a uniform angle: arcsine law."""
    rng = np.random.default_rng(0)
    entries = np.array([Orthogonal()((2, 2), rng) for _ in range(2000)])
    law = stats.arcsine(-1, 2)
    for i, j in np.ndindex(2, 2):
        assert stats.kstest(entries[:, i, j], law.cdf).pvalue > 0.001
    # Reflections are as likely as rotations.
    assert abs(np.linalg.det(entries).mean()) < 4 / math.sqrt(2000)


def test_plain_values():
    rng = np.random.default_rng(0)
    assert np.array_equal(
        initializers.build("constant(value=-2)")((2, 3), rng), np.full((2, 3), -2)
    )
    assert not initializers.build("zeros")((3,), rng).any()
    assert np.array_equal(initializers.build("identity")((2, 3), rng), np.eye(2, 3))
    same = initializers.build("identical")((OUT, IN), rng)
    assert np.ptp(same) == 0
    assert 0 < abs(same[0, 0]) <= math.sqrt(6 / IN)
