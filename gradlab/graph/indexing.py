"""Picking elements and putting them back: one row and its adjoint serve every kind of index."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradlab.errors import DTypeError, ShapeError
from gradlab.graph.comparison import equal, nonzero, where
from gradlab.graph.dtypes import BOOL, INT64, DType, default_dtype
from gradlab.graph.op import Op, PerInput, Shape, declare
from gradlab.graph.shaping import astype, expand_dims, normalize_axis
from gradlab.graph.tensor import (
    PYTHON_NUMBERS,
    Like,
    Symbol,
    Tensor,
    apply,
    as_tensor,
    broadcast_shapes,
)

# A key as an op's parameter: for each axis an int, a (start, stop, step), ADD_AXIS for a new axis,
# or TAKE for the next index array among the op's inputs. DOTS is an ellipsis that stands for no
# axis, which matters between index arrays: it sets them apart, and then their axes come first.
ADD_AXIS = "new"
TAKE = "array"
DOTS = "dots"
Key = tuple[Any, ...]


def unpacked(key: Key, arrays: tuple[Any, ...]) -> tuple[Any, ...]:
    """The key as NumPy takes it."""
    picked = iter(arrays)
    parts: list[Any] = []
    for k in key:
        if isinstance(k, tuple):
            parts.append(slice(*k))
        elif k == TAKE:
            parts.append(next(picked))
        elif k == DOTS:
            parts.append(...)
        else:
            parts.append(None if k == ADD_AXIS else k)
    return tuple(parts)


def _indexed(x: Tensor, *arrays: Tensor, key: Key) -> tuple[Shape, DType]:
    # Index arrays count by their shape alone, so zeros that take no memory stand for them.
    zero = np.zeros((), np.int64)
    stand_ins = tuple(np.broadcast_to(zero, a.shape) for a in arrays)
    model = np.broadcast_to(np.zeros((), np.bool_), x.shape)
    return model[unpacked(key, stand_ins)].shape, x.dtype


def _scattered(x: Tensor, *arrays: Tensor, key: Key, shape: Shape) -> tuple[Shape, DType]:
    place, _ = _indexed(Tensor(np.broadcast_to(np.zeros((), np.bool_), shape)), *arrays, key=key)
    if broadcast_shapes(x.shape, place) != place:
        raise ShapeError(f"shape {x.shape} does not broadcast to the {place} of the index")
    return shape, x.dtype


def _scatter(xp: Any, g: Any, *arrays: Any, key: Key, shape: Shape) -> Any:
    where = unpacked(key, arrays)
    if xp is not np:
        return xp.zeros(shape, g.dtype).at[where].add(g)
    out = np.zeros(shape, g.dtype)
    if arrays:
        np.add.at(out, where, g)
    else:
        out[where] = g  # slices never name an element twice
    return out


def _index_vjp(i: int, g: Tensor, f: Tensor, x: Tensor, *arrays: Tensor, key: Key) -> Tensor:
    return apply(INDEX_ADD, (g, *arrays), {"key": key, "shape": x.shape})


def _index_add_vjp(
    i: int, g: Tensor, f: Tensor, x: Tensor, *arrays: Tensor, key: Key, shape: Shape
) -> Tensor:
    return apply(INDEX, (g, *arrays), {"key": key})


class _FirstInput(PerInput):
    """A rule for the numbers; the index arrays after them have no derivative."""

    def __getitem__(self, index: int) -> Any:
        return super().__getitem__(index) if index == 0 else None


INDEX = declare(
    Op(
        "index",
        forward=lambda xp, x, *arrays, key: x[unpacked(key, arrays)],
        infer=_indexed,
        vjps=_FirstInput(_index_vjp),
        formula="x[...]",
    )
)
INDEX_ADD = declare(
    Op(
        "index_add",
        forward=_scatter,
        infer=_scattered,
        vjps=_FirstInput(_index_add_vjp),
        formula="zeros with x added at [...]",
    )
)


def index(x: Like, key: Any) -> Tensor:
    """Elements by position, as NumPy does: integers, slices, ``...``, ``None``, arrays and masks.

    Indices are wrapped once if negative. Elements picked twice get both adjoints. A boolean mask
    has the lengths of the axes that it stands for, and picks where it is True; what is to be
    replaced there is ``where(mask, new, x)``.

    Raises:
        ShapeError: too many indices, one out of range, or a mask of other lengths.
        DTypeError: floats.
        TraceError: a traced mask, whose result has an unknown shape: use ``where``.

    >>> index([1.0, 2.0, 3.0], [2, 0, 0]), index([1.0, 2.0, 3.0], [True, False, True])
    (tensor([3., 1., 1.]), tensor([1., 3.]))
    """
    x = as_tensor(x)
    template, arrays = _template(x, key)
    try:
        return apply(INDEX, (x, *arrays), {"key": template})
    except IndexError as error:
        label = f"{x.name!r} of shape" if x.name else "shape"
        raise ShapeError(f"cannot index {label} {x.shape}: {error}") from None


def index_add(shape: Shape, key: Any, values: Like) -> Tensor:
    """Zeros of a shape with values added at an index; the adjoint of ``index``.

    >>> index_add((3,), [1, 1], [5.0, 6.0])
    tensor([ 0., 11.,  0.])
    """
    values = as_tensor(values)
    template, arrays = _template(Tensor(np.broadcast_to(np.zeros((), np.bool_), shape)), key)
    params = {"key": template, "shape": tuple(shape)}
    try:
        return apply(INDEX_ADD, (values, *arrays), params)
    except (IndexError, ValueError) as error:
        raise ShapeError(f"cannot add {values.shape} into shape {tuple(shape)}: {error}") from None


def described_pick(node: Symbol) -> str:
    """Say what a node of one of these rows picks from, for a message.

    >>> from gradlab.graph import Spec, trace
    >>> graph = trace(index, Spec((5, 2), name="table"), Spec((3,), "int64", name="tokens"))
    >>> described_pick(graph.nodes[0])
    "an index in 'tokens' is out of range for 'table' of shape (5, 2)"
    """
    first, *arrays = node.inputs
    names = [repr(x.name) for x in arrays if x.name]
    where = f" in {' or '.join(names)}" if names else ""
    if node.op is INDEX_ADD:
        return f"an index{where} is out of range for a tensor of shape {node.shape}"
    label = repr(first.name) if first.name else "a tensor"
    return f"an index{where} is out of range for {label} of shape {first.shape}"


def _template(x: Tensor, key: Any) -> tuple[Key, tuple[Tensor, ...]]:
    """The key as a parameter, and its index arrays."""
    items = key if isinstance(key, tuple) else (key,)
    template: list[Any] = []
    arrays: list[Tensor] = []
    used = len(items) - [item is None or item is Ellipsis for item in items].count(True)
    if used > x.ndim:
        raise ShapeError(f"{used} indices are too many for shape {x.shape}")
    for item in items:
        if item is Ellipsis:
            template += [(None, None, None)] * (x.ndim - used) or [DOTS]
        elif item is None:
            template.append(ADD_AXIS)
        elif isinstance(item, slice):
            bounds = (item.start, item.stop, item.step)
            template.append(tuple(None if v is None else int(v) for v in bounds))
        elif isinstance(item, int | np.integer) and not isinstance(item, bool):
            template.append(int(item))
        else:
            picked = as_tensor(item)
            if picked.dtype == BOOL and picked.ndim:
                return _template(x, _without_masks(items, x.shape))
            if picked.size == 0:  # an empty list counts as floats
                picked = astype(picked, INT64)
            if picked.dtype.kind not in "iu":
                raise DTypeError(
                    f"indices must be whole numbers or a mask with axes, got {picked.dtype}"
                )
            template.append(TAKE)
            arrays.append(picked)
    return tuple(template), tuple(arrays)


def _without_masks(items: tuple[Any, ...], shape: Shape) -> tuple[Any, ...]:
    """The parts of a key with the places where a mask is True in place of that mask."""
    parts: list[Any] = []
    masks = [_as_mask(item) for item in items]
    used = sum(
        0 if item is None or item is Ellipsis else 1 if mask is None else mask.ndim
        for item, mask in zip(items, masks, strict=True)
    )
    axis = 0
    for item, mask in zip(items, masks, strict=True):
        if mask is None:
            parts.append(item)
            axis += len(shape) - used if item is Ellipsis else item is not None
            continue
        lengths = shape[axis : axis + mask.ndim]
        if lengths != mask.shape:
            raise ShapeError(
                f"a mask of shape {mask.shape} does not fit lengths {lengths} of shape {shape}, "
                f"from axis {axis} on"
            )
        parts += nonzero(mask)
        axis += mask.ndim
    return tuple(parts)


def _as_mask(item: Any) -> Tensor | None:
    """A part of a key as a tensor, if it is a mask."""
    if item is None or item is Ellipsis or isinstance(item, slice):
        return None
    picked = as_tensor(item)
    return picked if picked.dtype == BOOL and picked.ndim else None


def _triangle(x: Like, lower: bool, k: int) -> Tensor:
    x = as_tensor(x)
    if x.ndim < 2:
        raise ShapeError(f"a triangle needs at least 2 axes, got shape {x.shape}")
    rows, columns = x.shape[-2:]
    below = np.tri(rows, columns, k if lower else k - 1, dtype=np.bool_)
    return where(below if lower else ~below, x, False)


def tril(x: Like, k: int = 0) -> Tensor:
    """The lower triangle of matrices, with 0 above the diagonal number k.

    >>> tril([[1, 2], [3, 4]])
    tensor([[1, 0],
            [3, 4]])
    """
    return _triangle(x, True, k)


def triu(x: Like, k: int = 0) -> Tensor:
    """The upper triangle of matrices, with 0 below the diagonal number k.

    >>> triu([[1, 2], [3, 4]])
    tensor([[1, 2],
            [0, 4]])
    """
    return _triangle(x, False, k)


def take(x: Like, indices: Like, axis: int = 0) -> Tensor:
    """Rows (or what an axis counts) by number.

    >>> take([[1.0, 2.0], [3.0, 4.0]], [1, 1], axis=0)
    tensor([[3., 4.],
            [3., 4.]])
    """
    x = as_tensor(x)
    (place,) = normalize_axis(axis, x.ndim)
    return index(x, (slice(None),) * place + (as_tensor(indices),))


def take_along_axis(x: Like, indices: Like, axis: int = -1) -> Tensor:
    """One element (or several) for each position of the other axes.

    >>> take_along_axis([[1.0, 2.0], [3.0, 4.0]], [[1], [0]])
    tensor([[2.],
            [3.]])
    """
    x, indices = as_tensor(x), as_tensor(indices)
    (place,) = normalize_axis(axis, x.ndim)
    if indices.ndim != x.ndim:
        raise ShapeError(f"indices of shape {indices.shape} must have the axes of {x.shape}")
    key: list[Any] = []
    for i, length in enumerate(x.shape):
        steps = np.arange(length).reshape([-1 if j == i else 1 for j in range(x.ndim)])
        key.append(indices if i == place else steps)
    return index(x, tuple(key))


def pad(x: Like, widths: tuple[tuple[int, int], ...], value: float = 0) -> Tensor:
    """With so many elements of a value put before and after along each axis.

    A fraction makes floats of whole numbers.

    >>> pad([1.0, 2.0], ((1, 2),))
    tensor([0., 1., 2., 0., 0.])
    """
    x = as_tensor(x)
    if len(widths) != x.ndim or any(a < 0 or b < 0 for a, b in widths):
        raise ShapeError(f"pad needs a (before, after) ≥ 0 for each axis of {x.shape}: {widths}")
    shape = tuple(a + n + b for (a, b), n in zip(widths, x.shape, strict=True))
    inside = tuple(slice(a, a + n) for (a, _), n in zip(widths, x.shape, strict=True))
    padded = index_add(shape, inside, x)
    if type(value) in PYTHON_NUMBERS and value == 0:
        return padded
    frame = np.ones(shape, np.bool_)
    frame[inside] = False
    return where(frame, value, padded)


def one_hot(labels: Like, classes: int) -> Tensor:
    """1 at the label and 0 elsewhere, along a new last axis.

    Args:
        labels: whole numbers in [0, classes); others give a row of zeros.
        classes: length of the new axis.

    >>> one_hot([2, 0], 3)
    tensor([[0., 0., 1.],
            [1., 0., 0.]])
    """
    labels = as_tensor(labels)
    if labels.dtype.kind not in "iu":
        raise DTypeError(f"labels must be whole numbers, got {labels.dtype}")
    return astype(equal(expand_dims(labels, -1), np.arange(classes)), default_dtype())
