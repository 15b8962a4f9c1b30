"""Data that must not be copied: windows of a text, and memory maps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

from gradlab import nn, optim
from gradlab.errors import ArgumentError
from gradlab.train import Trainer
from gradlab.train.rows import as_rows, elements, extremes, overlap

TOKENS = np.random.default_rng(0).integers(0, 5, 60).astype(np.uint8)


class Next(nn.Module):
    """Predicts the next token from the one before it."""

    def __init__(self):
        self.embedding, self.head = nn.Embedding(5, 6), nn.Linear(6, 5)

    def forward(self, x):
        return self.head(self.embedding(x))


START = Next().state_dict()


def make(x, y, **options):
    model = Next()
    model.load_state_dict(START)
    return Trainer(model, x, y, nn.cross_entropy, optim.Adam(0.05), batch_size=6, **options)


@pytest.mark.parametrize("executor", ["native", "numpy"])
@pytest.mark.parametrize("options", [{}, {"micro_batch": 2}], ids=str)
def test_windows_train_as_their_copies_do(executor, options):
    x, y = sliding_window_view(TOKENS[:-1], 8), sliding_window_view(TOKENS[1:], 8)
    views = make(x, y, executor=executor, **options)
    copies = make(x.copy(), y.copy(), executor=executor, **options)
    assert np.shares_memory(views.x, TOKENS)
    assert np.shares_memory(views.loop(6).data[0], TOKENS)
    assert views.advance(20).loss.tobytes() == copies.advance(20).loss.tobytes()
    state = copies.state()
    assert all(value.tobytes() == state[name].tobytes() for name, value in views.state().items())
    assert views.evaluate(x, y) == copies.evaluate(x, y)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(9, 30))
def test_elements_are_each_there_once(block, step, size):
    windows = sliding_window_view(np.arange(size) * 3, block)[::step]
    found = elements(windows)
    np.testing.assert_array_equal(
        found, np.unique(windows) if overlap(windows) else windows.ravel()
    )


@given(st.lists(st.integers(-9, 9), min_size=12, max_size=12), st.integers(1, 4))
def test_extremes_are_in_the_rows_that_are_told(numbers, block):
    for array in (sliding_window_view(np.array(numbers), block), np.reshape(numbers, (-1, block))):
        told = array[extremes(array)]
        assert (told.min(), told.max()) == (array.min(), array.max())


def test_a_token_out_of_the_vocabulary_is_told_of_at_once():
    tokens = TOKENS.copy()
    tokens[47] = 5
    with pytest.raises(ArgumentError, match=r"from 0 to 4, got \d to 5"):
        make(sliding_window_view(TOKENS[:-1], 8), sliding_window_view(tokens[1:], 8))


def test_a_copy_is_made_only_of_rows_in_pieces():
    x = np.arange(24).reshape(6, 4)
    for whole in (x, x[::2], x[1:3], sliding_window_view(TOKENS, 4)):
        assert as_rows("x", whole, np.float32) is whole
    assert as_rows("x", x[:, ::2], np.float32).flags.c_contiguous
    assert as_rows("x", x.astype(float), np.dtype(np.float32)).dtype == np.float32


def test_a_memory_map_stays_on_the_disk(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32))
    x, y = np.load(path, mmap_mode="r"), np.arange(50) % 3

    def trainer(x):
        model = nn.Linear(4, 3)
        model.weight.assign(np.zeros((3, 4), np.float32))
        model.bias.assign(np.zeros(3, np.float32))
        return Trainer(model, x, y, nn.cross_entropy, optim.SGD(0.1), batch_size=10)

    mapped = trainer(x)
    assert np.shares_memory(mapped.x, x)
    assert np.shares_memory(mapped.loop(10).data[0], x)
    assert mapped.advance(9).loss.tobytes() == trainer(np.array(x)).advance(9).loss.tobytes()
