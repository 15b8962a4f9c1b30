"""Parts of arrays in files: the right elements, and nothing else read."""

import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from gradlab.weight_files import open_weights, part_of


@given(st.data())
def test_part_of(data):
    shape = data.draw(st.lists(st.integers(1, 6), max_size=3))
    array = np.random.default_rng(0).normal(size=shape)
    indices = [
        np.array(sorted(data.draw(st.sets(st.integers(0, n - 1)))), dtype=int) for n in shape
    ]
    expected = array
    for axis, index in enumerate(indices):
        expected = expected.take(index, axis)
    np.testing.assert_array_equal(part_of(array, indices), expected)


def test_part_of_evenly_spaced_elements_is_a_view():
    array = np.arange(24).reshape(4, 6)
    assert part_of(array, [np.array([0, 2]), np.array([1, 3, 5])]).base is not None


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int64", "uint8", "bool"])
def test_parts_of_a_file(dtype, tmp_path):
    array = np.random.default_rng(0).normal(size=(6, 5, 2)).astype(dtype)
    # An odd number of bytes before it, so that it is not aligned.
    path = tmp_path / "w.safetensors"
    save_file({"a": np.zeros(3, np.uint8), "b": array, "c": np.array(2.5)}, path)
    weights = open_weights(path)
    assert (weights.shape("b"), weights.shape("c")) == ((6, 5, 2), ())
    indices = [np.array([0, 1, 4]), np.array([0, 2, 4]), np.arange(2)]
    np.testing.assert_array_equal(weights.part("b", indices), array[[0, 1, 4]][:, ::2])
    assert weights.part("c", []) == 2.5


def test_parts_of_pytorch_files_and_halves(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors import torch as files

    state = {"a": torch.randn(6, 4).bfloat16(), "b": torch.randn(3).half()}
    torch.save(state, tmp_path / "w.pt")
    files.save_file(state, tmp_path / "w.safetensors")
    for name in ("w.pt", "w.safetensors"):
        weights = open_weights(tmp_path / name)
        assert weights.shape("a") == (6, 4)
        found = weights.part("a", [np.array([0, 5]), np.array([0, 2])])
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, state["a"].float().numpy()[[0, 5]][:, [0, 2]])


def test_nothing_else_is_read(tmp_path):
    """Of a tensor of a gigabyte, in a file with a hole instead of most numbers."""
    rows, columns = 1 << 14, 1 << 14
    header = {
        "a": {"dtype": "F32", "shape": [rows, columns], "data_offsets": [0, 4 * rows * columns]}
    }
    text = json.dumps(header).encode()
    path = tmp_path / "large.safetensors"
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.seek(4 * (5 * columns + 7), 1)
        file.write(np.float32(3.5).tobytes())
        file.truncate(8 + len(text) + 4 * rows * columns)
    tracemalloc.start()
    weights = open_weights(path)
    found = weights.part("a", [np.array([0, 5, rows - 1]), np.array([7, 8])])
    strided = weights.part("a", [np.arange(4) * (rows // 4), np.arange(4) * (columns // 4)])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.tolist() == [[0, 0], [3.5, 0], [0, 0]]
    assert strided.shape == (4, 4)
    assert not strided.any()
    assert peak < 1_000_000 < 4 * rows * columns // 1000
