"""PyTorch's function for each row gives what NumPy's does."""

import numpy as np
import pytest

from gradlab.graph import OPS, apply, as_tensor
from tests.graph.samples import ROWS, draw

pytest.importorskip("torch")
from gradlab.interop.torch.rows import ROWS as TORCH_ROWS
from gradlab.interop.torch.rows import to_tensor, torch_dtype

SEEDS = range(40)


def test_every_row_has_a_function():
    assert set(TORCH_ROWS) == set(OPS)


@pytest.mark.parametrize("name", ROWS)
def test_the_function_gives_what_the_row_does(name):
    for seed in SEEDS:
        inputs, params = draw(OPS[name], np.random.default_rng(seed), np.float64)
        with np.errstate(all="ignore"):
            expected = apply(OPS[name], tuple(as_tensor(x) for x in inputs), params).numpy()
        found = TORCH_ROWS[name](*[to_tensor(x) for x in inputs], **params)
        assert found.dtype == torch_dtype(expected.dtype)
        assert tuple(found.shape) == expected.shape
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9, atol=1e-12)
