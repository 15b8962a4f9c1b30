"""Keys as steps: what NumPy's indexing gives, computed in these steps."""

import numpy as np
import pytest

import gradlab as gl
from gradlab.graph import Spec, trace

torch = pytest.importorskip("torch")
from gradlab.interop.torch.rows import ROWS, to_tensor  # noqa: E402

X = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
A, B = np.array([1, 0, 1]), np.array([[2], [-1]])
KEYS = [
    (slice(None), A, slice(None), B),
    (slice(None), A, B),
    (A, slice(None), 1),
    (0, slice(None), A),
    (0, ..., A),
    (A, ..., B),
    (slice(None), A, None, B),
    (None, slice(None), A, None),
    (slice(None), slice(2, None), None, B, 3),
    (..., slice(None, None, -2), slice(-1, 0, -1)),
    (slice(5, 1), 0, slice(3, -9, -1)),
    (1, 2, 3, 4),
    (1, A, 2, B),
    (None, ..., None),
    (slice(0, 1), ..., None, A),
]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_index_and_its_adjoint(key):
    expected = X[key]
    (node,) = trace(lambda x: gl.index(x, key), Spec(X.shape, X.dtype)).nodes
    arrays = [to_tensor(a.value) for a in node.inputs[1:]]
    found = ROWS["index"](to_tensor(X), *arrays, key=node.params["key"])
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found, expected)

    added = np.zeros(X.shape)
    np.add.at(added, key, expected)
    found = ROWS["index_add"](
        to_tensor(expected.astype(float)), *arrays, key=node.params["key"], shape=X.shape
    )
    np.testing.assert_array_equal(found, added)
