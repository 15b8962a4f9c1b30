"""Layouts and collapsed loops: the very places that NumPy's views show."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradlab.execute.native.collapse import collapse
from gradlab.execute.native.layout import Layout

shapes = st.lists(st.integers(0, 4), max_size=4).map(tuple)


def places(layout):
    """The place of every element, by the definition alone."""
    grid = np.indices(layout.shape)
    strides = np.array(layout.strides, int).reshape((-1,) + (1,) * len(layout.shape))
    return (grid * strides).sum(0) + layout.offset


@st.composite
def views(draw, count=4):
    """A shape, and views of an array of that shape, one of another."""
    shape = draw(shapes)
    x, steps = np.empty(shape, np.int8), []
    for _ in range(draw(st.integers(0, count))):
        kind = draw(st.sampled_from(["index", "turn", "broadcast", "new", "reshape"]))
        if kind == "index":
            key = draw(st.tuples(*[_keys(n) for n in x.shape]))
            keep = draw(st.integers(0, len(key)))
            key = (*key[:keep], ...) if draw(st.booleans()) else key[:keep]
            step = ("index", key)
        elif kind == "turn":
            step = ("turn", tuple(draw(st.permutations(range(x.ndim)))))
        elif kind == "broadcast":
            step = ("broadcast", (draw(st.integers(1, 3)), *x.shape))
        elif kind == "new":
            step = ("index", (None, ..., None))
        else:
            step = ("reshape", (-1,) if x.size else x.shape)
        if x.ndim > 6:
            break
        steps.append(step)
        x = _viewed(x, step)
    return shape, steps


def _keys(n):
    slices = st.slices(n)
    return slices | st.integers(-n, n - 1) if n else slices


def _viewed(x, step):
    kind, what = step
    if kind == "index":
        return x[what]
    if kind == "turn":
        return np.transpose(x, what)
    return np.broadcast_to(x, what) if kind == "broadcast" else x.reshape(what)


def applied(layout, step):
    """The layout after a step; None where that has to copy."""
    kind, what = step
    if kind == "index":
        return layout.indexed(what)
    if kind == "broadcast":
        return layout.broadcast(what)
    if kind == "turn":
        return layout.apply(lambda x: x.transpose(what))
    return layout.apply(lambda x: x.reshape(what, copy=False))


def last_layout(case):
    """After all steps up to one that has to copy."""
    shape, steps = case
    layout = Layout.contiguous(shape)
    for step in steps:
        layout, before = applied(layout, step), layout
        if layout is None:
            return before
    return layout


@given(views())
def test_views_lie_where_numpy_finds_them(case):
    shape, steps = case
    x = np.arange(int(np.prod(shape))).reshape(shape)
    layout = Layout.contiguous(shape)
    for step in steps:
        layout = applied(layout, step)
        if layout is None:
            with pytest.raises(ValueError, match="copy"):
                x.reshape(step[1], copy=False)
            return
        x = _viewed(x, step)
        assert layout.shape == np.shape(x)
        np.testing.assert_array_equal(places(layout), x)
        assert layout.size == np.size(x)


def test_one_element_is_a_view_too():
    layout = Layout.contiguous((3, 4)).indexed((2, -1))
    assert (layout.shape, layout.offset) == ((), 11)


@given(views(), views())
def test_collapsed_loops_visit_the_same_places_in_the_same_order(first, second):
    layouts = [last_layout(first), last_layout(second)]
    try:
        shape = np.broadcast_shapes(*[x.shape for x in layouts])
    except ValueError:
        layouts, shape = layouts[:1], layouts[0].shape
    layouts = [x.broadcast(shape) for x in layouts]
    loops = collapse(shape, layouts)
    for layout, strides in zip(layouts, loops.strides, strict=True):
        flat = places(Layout(loops.lengths, strides, layout.offset)).ravel()
        np.testing.assert_array_equal(flat, places(layout).ravel())
    longer = [n for n in shape if n != 1]
    assert len(loops.lengths) <= max(len(longer), 1)
    if longer and 0 not in longer:
        assert loops.lengths[0] == loops.unit * longer[0]


@given(shapes)
def test_contiguous_layouts_become_one_loop(shape):
    row = Layout.contiguous(shape)
    loops = collapse(shape, [row, row])
    if row.size:
        assert loops.lengths == (row.size,)
