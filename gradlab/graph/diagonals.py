"""Diagonals of matrices, matrices from diagonals, and traces."""

from __future__ import annotations

import numpy as np

from gradlab.errors import ShapeError
from gradlab.graph.indexing import index_add
from gradlab.graph.reductions import sum
from gradlab.graph.shaping import flatten, moveaxis
from gradlab.graph.tensor import Like, Tensor, as_tensor


def _places(count: int, offset: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the elements of a diagonal."""
    steps = np.arange(count)
    return steps - min(offset, 0), steps + max(offset, 0)


def diagonal(x: Like, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """Diagonal of the matrices that two axes hold, as a new last axis; the axes are NumPy's.

    Args:
        x: at least two axes.
        offset: number of the diagonal, above the main one if positive.
        axis1, axis2: rows and columns of the matrices.

    >>> diagonal([[1, 2], [3, 4]])
    tensor([1, 4])
    """
    x = as_tensor(x)
    if x.ndim < 2:
        raise ShapeError(f"a diagonal needs at least 2 axes, got shape {x.shape}")
    matrices = moveaxis(x, (axis1, axis2), (0, 1))
    rows, columns = matrices.shape[:2]
    count = max(0, min(rows + min(offset, 0), columns - max(offset, 0)))
    return moveaxis(matrices[_places(count, offset)], 0, -1)


def diag(x: Like, k: int = 0) -> Tensor:
    """Matrix with a vector on its diagonal number k and 0 elsewhere; of a matrix, that diagonal.

    Raises:
        ShapeError: neither a vector nor a matrix.

    >>> diag([1, 2])
    tensor([[1, 0],
            [0, 2]])
    """
    x = as_tensor(x)
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        raise ShapeError(f"diag takes a vector or a matrix, got shape {x.shape}")
    length = x.size + abs(k)
    return index_add((length, length), _places(x.size, k), x)


def diagflat(x: Like, k: int = 0) -> Tensor:
    """Matrix with all elements in their order on its diagonal number k, and 0 elsewhere.

    >>> diagflat([[1], [2]])
    tensor([[1, 0],
            [0, 2]])
    """
    return diag(flatten(x), k)


def matrix_trace(x: Like, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """Sum of a diagonal, Σ xᵢᵢ: NumPy's ``trace``, whose name is that of the recorder here.

    >>> matrix_trace([[1.0, 2.0], [3.0, 4.0]])
    tensor(5.)
    """
    return sum(diagonal(x, offset, axis1, axis2), -1)
