"""Random bits: the published vectors, the right distributions, and streams that do not meet."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

import gradlab as gl
from gradlab.errors import DTypeError
from gradlab.graph.random import threefry


def words(values):
    return np.array(values, np.uint32).reshape(2, 1)


@pytest.mark.parametrize(
    ("key", "counter", "expected"),
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF,) * 2, (0xFFFFFFFF,) * 2, (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_known_answers(key, counter, expected):
    """threefry2x32, 20 rounds, in the file kat_vectors of Random123 (Salmon et al., 2011)."""
    assert tuple(int(w[0]) for w in threefry(np, words(key), words(counter))) == expected


def test_bits_are_the_words_in_order():
    key = np.array([7, 9], np.uint32)
    x0, x1 = threefry(np, key.reshape(2, 1), (np.arange(3, dtype=np.uint32), np.uint32([5] * 3)))
    bits = gl.random_bits(key, np.uint32(5), (5,)).numpy()
    np.testing.assert_array_equal(bits, np.concatenate([x0, x1])[:5], strict=True)


def test_uniform_numbers_are_the_leading_bits_of_the_words():
    key, draw = np.array([7, 9], np.uint32), np.uint32(5)
    bits = gl.random_bits(key, draw, (4,)).numpy()
    single = gl.random_uniform(key, draw, (4,), "float32").numpy()
    assert single.tolist() == [(int(b) >> 8) / 2**24 for b in bits]
    double = gl.random_uniform(key, draw, (2,), "float64").numpy()
    words = zip(bits[:2], bits[2:], strict=True)  # both words of places 0 and 1
    assert double.tolist() == [((int(a) >> 5) * 2**26 + (int(b) >> 6)) / 2**53 for a, b in words]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_uniform_and_normal_distributions(dtype):
    stream = gl.RandomStream(1)
    uniform, normal = stream.uniform((200, 100), dtype), stream.normal((200, 100), dtype)
    assert uniform.dtype == normal.dtype == dtype
    assert uniform.numpy().min() >= 0
    assert uniform.numpy().max() < 1
    assert scipy.stats.kstest(uniform.numpy().ravel(), "uniform").pvalue > 0.01
    assert scipy.stats.kstest(normal.numpy().ravel(), "norm").pvalue > 0.01


@pytest.mark.parametrize(("dtype", "bits"), [(np.float32, 24), (np.float64, 53)])
def test_uniform_numbers_are_exact_multiples(dtype, bits):
    scaled = gl.RandomStream(0).uniform((1000,), dtype).numpy().astype(float) * 2.0**bits
    np.testing.assert_array_equal(scaled, np.floor(scaled))
    assert np.unique(scaled % 2).size == 2  # down to the last bit


def test_every_bit_is_fair():
    bits = gl.random_bits(np.array([1, 2], np.uint32), np.uint32(3), (2**14,)).numpy()
    ones = ((bits[:, None] >> np.arange(32, dtype=np.uint32)) & 1).mean(0)
    assert np.abs(ones - 0.5).max() < 4.5 * 0.5 / 2**7  # 4.5 standard deviations


def test_streams_and_draws_are_independent():
    streams = [gl.RandomStream(0), gl.RandomStream(1)]
    draws = [stream.uniform((5000,)).numpy() for stream in streams for _ in range(2)]
    correlation = np.corrcoef(draws) - np.eye(4)
    assert np.abs(correlation).max() < 4.5 / np.sqrt(5000)


def test_a_draw_moves_the_count_on_and_a_seed_repeats_it():
    stream = gl.RandomStream(3)
    first, second = stream.bits((4,)).numpy(), stream.bits((4,)).numpy()
    assert int(stream.count) == 2
    assert (first != second).all()
    stream.reseed(3)
    assert int(stream.count) == 0
    np.testing.assert_array_equal(stream.bits((4,)), first)
    sequence = np.random.SeedSequence(3)
    np.testing.assert_array_equal(gl.RandomStream(sequence).bits((4,)), first)


def test_the_count_wraps_without_a_warning():
    stream = gl.RandomStream(0)
    stream.count.assign(np.array(2**32 - 1, np.uint32))
    stream.bits((3,))
    assert int(stream.count) == 0


@settings(max_examples=20)
@given(size=st.lists(st.integers(0, 5), max_size=3), seed=st.integers(0, 2**64))
def test_the_same_bits_compiled(size, seed):
    eager, other = gl.RandomStream(seed), gl.RandomStream(seed)

    def draw(stream):
        shape = tuple(size)
        return stream.bits(shape), stream.uniform(shape), stream.normal(shape, "float64")

    compiled = gl.compile(lambda: draw(other), executor="numpy")
    for _ in range(2):
        for x, y in zip(draw(eager), compiled(), strict=True):
            np.testing.assert_array_equal(x, y, strict=True)
    assert int(eager.count) == int(other.count) == 6


def test_random_numbers_have_no_derivative_but_what_they_scale_has():
    stream = gl.RandomStream(0)
    masks = []

    def dropped(x):
        masks.append(stream.uniform((4,)) < 0.5)
        return gl.where(masks[0], x * 2, 0).sum()

    g = gl.grad(dropped)(np.ones(4))
    np.testing.assert_array_equal(g, 2.0 * masks[0].numpy())


@pytest.mark.parametrize(
    ("key", "draw"),
    [
        (np.zeros(3, np.uint32), np.uint32(0)),
        (np.zeros(2, np.int64), np.uint32(0)),
        (np.zeros(2, np.uint32), 0),
        (np.zeros(2, np.uint32), np.zeros(1, np.uint32)),
    ],
)
def test_keys_and_draws_of_another_kind(key, draw):
    with pytest.raises(DTypeError, match="uint32"):
        gl.random_bits(key, draw, (1,))


def test_random_numbers_are_floats():
    with pytest.raises(DTypeError, match="float32 or float64"):
        gl.RandomStream(0).uniform((1,), "int64")
