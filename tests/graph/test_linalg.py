"""Matrix products and Einstein sums against NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradlab as gl
from gradlab.errors import ShapeError

LENGTHS = dict(zip("abcdefg", (2, 3, 1, 4, 2, 3, 0), strict=True))


@st.composite
def subscripts(draw):
    """Random subscripts with operands that fit: sums, diagonals, products, batches, ellipses."""
    letters = "abcdef" if draw(st.integers(0, 9)) else "abg"  # now and then an empty axis
    count = draw(st.integers(1, 3))
    dots = (3, 2)[: draw(st.integers(0, 2))]
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    terms, operands = [], []
    for _ in range(count):
        term = "".join(rng.choice(list(letters), rng.integers(0, 4)))
        lengths = [LENGTHS[c] for c in term]
        if dots and rng.random() < 0.7:
            batch = [
                1 if rng.random() < 0.3 else n for n in dots[int(rng.integers(len(dots) + 1)) :]
            ]
            place = int(rng.integers(len(term) + 1))
            term = term[:place] + "..." + term[place:]
            lengths[place:place] = batch
        terms.append(term)
        operands.append(rng.standard_normal(lengths))
    text = ",".join(terms)
    if draw(st.booleans()):
        used = sorted({c for c in text if c.isalpha()})
        output = list(rng.permutation(used)[: rng.integers(len(used) + 1)]) if used else []
        if "..." in text:
            output.insert(int(rng.integers(len(output) + 1)), "...")
        text += "->" + "".join(output)
    return text, operands


@settings(max_examples=600)
@given(case=subscripts())
def test_einsum_as_numpy(case):
    text, operands = case
    expected = np.einsum(text, *operands)
    np.testing.assert_allclose(gl.einsum(text, *operands), expected, atol=1e-12, strict=True)


@settings(max_examples=60)
@given(case=subscripts())
def test_einsum_derivatives(case):
    text, operands = case
    gl.check_grads(lambda *xs: gl.einsum(text, *xs), operands, directions=1)


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("ii", [(3, 3)]),
        ("ii->i", [(3, 3)]),
        ("iij->j", [(3, 3, 2)]),
        ("iii", [(2, 2, 2)]),
        ("ba", [(2, 3)]),  # implicit output is in alphabetical order
        ("i,j", [(2,), (3,)]),
        ("bhqd,bhkd->bhqk", [(2, 2, 3, 4), (2, 2, 5, 4)]),
        ("...ij,...jk", [(5, 1, 2, 3), (4, 3, 2)]),
        (" a b , b -> a ", [(2, 3), (3,)]),
        (",i->i", [(), (3,)]),
        ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 2)]),
        ("i...->...", [(3, 2, 2)]),
    ],
)
def test_known_uses_of_einsum(text, shapes):
    rng = np.random.default_rng(0)
    operands = [rng.standard_normal(shape) for shape in shapes]
    expected = np.einsum(text, *operands)
    np.testing.assert_allclose(gl.einsum(text, *operands), expected, atol=1e-12, strict=True)


@pytest.mark.parametrize(
    ("text", "shapes", "says"),
    [
        ("ij,jk->ik", [(2, 3)], "names 2 operands, got 1"),
        ("ij->ji", [(2, 3, 4)], "does not fit"),
        ("i->ii", [(2,)], "there once"),
        ("i->j", [(2,)], "in an operand"),
        ("ij,jk", [(2, 3), (4, 2)], "is both 3 and 4"),
        ("ij,jk", [(2, 1), (4, 2)], "is both 1 and 4"),
        ("ii", [(2, 3)], "is both"),
        ("i1", [(2, 3)], "does not fit"),
        ("...i,...i", [(2, 3), (4, 3)], "is both"),
        ("...i->i", [(2, 3)], r"the output must say where"),
    ],
)
def test_subscripts_that_do_not_fit(text, shapes, says):
    with pytest.raises(ShapeError, match=says):
        gl.einsum(text, *[np.ones(shape) for shape in shapes])


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((2, 3), (3, 4)),
        ((3,), (3,)),
        ((3,), (5, 3, 2)),
        ((5, 2, 3), (3,)),
        ((4, 1, 2, 3), (5, 3, 2)),
    ],
)
def test_matmul_as_numpy(a, b):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal(a), rng.standard_normal(b)
    np.testing.assert_allclose(gl.matmul(x, y), np.matmul(x, y), rtol=1e-12, strict=True)
    gl.check_grads(gl.matmul, [x, y])


@pytest.mark.parametrize("transpose_x", [False, True])
@pytest.mark.parametrize("transpose_y", [False, True])
@pytest.mark.parametrize("batch", [((), ()), ((2,), ()), ((1, 2), (3, 1))])
def test_transposed_factors(transpose_x, transpose_y, batch):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(batch[0] + ((3, 2) if transpose_x else (2, 3)))
    y = rng.standard_normal(batch[1] + ((4, 3) if transpose_y else (3, 4)))
    found = gl.matmul(x, y, transpose_x, transpose_y)
    expected = np.matmul(x.mT if transpose_x else x, y.mT if transpose_y else y)
    np.testing.assert_allclose(found, expected, rtol=1e-12, strict=True)
    gl.check_grads(lambda x, y: gl.matmul(x, y, transpose_x, transpose_y), [x, y])


def test_a_vector_has_no_transpose():
    with pytest.raises(ShapeError, match="no transpose"):
        gl.matmul(np.ones(3), np.ones((3, 2)), transpose_x=True)


@pytest.mark.parametrize(
    ("a", "b", "says"),
    [
        ((2, 3), (4, 2), r"\(3\) must equal .* \(4\)"),
        ((3,), (4,), "must equal"),
        ((), (3,), "vectors or matrices"),
        ((2, 2, 3), (3, 3, 2), "do not broadcast"),
    ],
)
def test_factors_that_do_not_fit(a, b, says):
    with pytest.raises(ShapeError, match=says):
        gl.matmul(np.ones(a), np.ones(b))
    with pytest.raises(ShapeError, match=says):
        gl.trace(gl.matmul, gl.Spec(a), gl.Spec(b))
