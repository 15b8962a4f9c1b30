"""Matrix products: matmul, and einsum written with it."""

from __future__ import annotations

import math
import string

from gradlab.errors import ShapeError
from gradlab.graph.dtypes import DType
from gradlab.graph.elementwise import promote
from gradlab.graph.op import Op, Shape, declare
from gradlab.graph.reductions import sum
from gradlab.graph.shaping import (
    expand_dims,
    permute_dims,
    reshape,
    squeeze,
)
from gradlab.graph.tensor import Like, Tensor, apply, as_tensor, broadcast_shapes


def _turned(shape: Shape, transpose: bool) -> Shape:
    return (*shape[:-2], shape[-1], shape[-2]) if transpose else shape


def _product_row(tx: bool, ty: bool) -> Op:
    """The row of X @ Y, where X is x or xᵀ and Y is y or yᵀ."""
    x_text, y_text = "xᵀ" if tx else "x", "yᵀ" if ty else "y"

    def infer(x: Tensor, y: Tensor) -> tuple[Shape, DType]:
        left, right = _turned(x.shape, tx), _turned(y.shape, ty)
        if left[-1] != right[-2]:
            raise ShapeError(
                f"matmul of {left} and {right}: the last length of the first ({left[-1]}) "
                f"must equal the last but one of the second ({right[-2]})"
            )
        return (*broadcast_shapes(left[:-2], right[:-2]), left[-2], right[-1]), x.dtype

    def by_x(g: Tensor, f: Tensor, x: Tensor, y: Tensor) -> Tensor:
        # ∂/∂X = g Yᵀ, and ∂/∂x is its transpose Y gᵀ where X is xᵀ.
        return matmul(y, g, ty, True) if tx else matmul(g, y, False, not ty)

    def by_y(g: Tensor, f: Tensor, x: Tensor, y: Tensor) -> Tensor:
        return matmul(g, x, True, tx) if ty else matmul(x, g, not tx, False)

    return declare(
        Op(
            "matmul" + ("_" + "nt"[tx] + "nt"[ty] if tx or ty else ""),
            forward=lambda xp, x, y: xp.matmul(x.mT if tx else x, y.mT if ty else y),
            infer=infer,
            vjps=(by_x, by_y),
            formula=f"{x_text} @ {y_text}",
            derivatives=(f"· {'y' if ty else 'yᵀ'}", f"{'x' if tx else 'xᵀ'} ·"),
        )
    )


# As in BLAS, a transpose is part of the product: no node of its own, no copy.
PRODUCTS = {(tx, ty): _product_row(tx, ty) for tx in (False, True) for ty in (False, True)}


def matmul(x: Like, y: Like, transpose_x: bool = False, transpose_y: bool = False) -> Tensor:
    """Matrix product over the last two axes, batched over those before; vectors as in NumPy.

    Args:
        x, y: factors.
        transpose_x, transpose_y: whether to take xᵀ and yᵀ (of matrices), which costs nothing.

    Raises:
        ShapeError: inner lengths differ, batch axes do not broadcast, or an operand is a number.

    >>> matmul([[1.0, 2.0]], [[3.0], [4.0]])
    tensor([[11.]])
    >>> matmul([[1.0, 2.0]], [[3.0, 4.0]], transpose_y=True)
    tensor([[11.]])
    """
    x, y = promote(x, y)
    op = PRODUCTS[transpose_x, transpose_y]
    if x.ndim > 2 and y.ndim == 2 and not transpose_x:
        # All rows of x at once: one product, whose gradient by y is one too, and no sum of many.
        lead = x.shape[:-1]
        product = apply(op, (reshape(x, (math.prod(lead), x.shape[-1])), y))
        return reshape(product, (*lead, product.shape[-1]))
    if x.ndim >= 2 and y.ndim >= 2:
        return apply(op, (x, y))
    if x.ndim == 0 or y.ndim == 0:
        raise ShapeError(f"matmul needs vectors or matrices, got shapes {x.shape} and {y.shape}")
    row, column = x.ndim == 1, y.ndim == 1
    if (row and transpose_x) or (column and transpose_y):
        raise ShapeError(f"a vector has no transpose: shapes {x.shape} and {y.shape}")
    product = apply(op, (expand_dims(x, 0) if row else x, expand_dims(y, 1) if column else y))
    if row:
        product = squeeze(product, -2)
    return squeeze(product, -1) if column else product


def einsum(subscripts: str, *operands: Like) -> Tensor:
    """Einstein summation, in NumPy's notation, as a chain of matrix products.

    Raises:
        ShapeError: subscripts that do not fit the operands.

    >>> einsum("ij,kj->ik", [[1.0, 2.0]], [[3.0, 4.0]])
    tensor([[11.]])
    """
    terms, output = _parse(subscripts, [as_tensor(x) for x in operands])
    labels, result = _diagonal(*terms[0])
    for i, term in enumerate(terms[1:], start=1):
        needed = set(output).union(*(set(later) for later, _ in terms[i + 1 :]))
        labels, result = _contract((labels, result), _diagonal(*term), needed)
    labels, result = _keep(labels, result, set(output))
    return permute_dims(result, [labels.index(letter) for letter in output])


Term = tuple[str, Tensor]


def _parse(subscripts: str, operands: list[Tensor]) -> tuple[list[Term], str]:
    """Operands with one letter for each axis, ellipses written out, and the output's letters."""
    text = subscripts.replace(" ", "")
    left, arrow, output = text.partition("->")
    parts = left.split(",")
    if len(parts) != len(operands):
        raise ShapeError(f"einsum {subscripts!r} names {len(parts)} operands, got {len(operands)}")
    spare = [c for c in string.ascii_letters if c not in text]
    widest = 0
    terms = []
    for part, x in zip(parts, operands, strict=True):
        if "..." in part:
            extra = x.ndim - len(part) + 3
            widest = max(widest, extra)
            part = part.replace("...", "".join(reversed(spare[:extra])))
        if len(part) != x.ndim or not all(c in string.ascii_letters for c in part):
            raise ShapeError(f"einsum {subscripts!r}: {part!r} does not fit shape {x.shape}")
        terms.append((part, x))
    if widest and arrow and "..." not in output:
        raise ShapeError(f"einsum {subscripts!r}: the output must say where the axes of ... go")
    ellipsis = "".join(reversed(spare[:widest]))
    if not arrow:
        letters = sorted(c for c in set(left) - {",", "."} if left.count(c) == 1)
        output = "..." + "".join(letters)
    output = output.replace("...", ellipsis)
    lengths: dict[str, int] = {}
    for part, x in terms:
        for letter, length in zip(part, x.shape, strict=True):
            known = lengths.setdefault(letter, length)
            # Only the axes of an ellipsis broadcast, as batch axes of a product do.
            if letter in ellipsis and 1 in (known, length):
                lengths[letter] = max(known, length)
            elif length != known:
                raise ShapeError(f"einsum {subscripts!r}: {letter!r} is both {known} and {length}")
    unknown = [c for c in output if c not in lengths]
    if unknown or len(set(output)) < len(output):
        raise ShapeError(
            f"einsum {subscripts!r}: each letter of the output {output!r} must appear there once, "
            "and in an operand"
        )
    return terms, output


def _diagonal(labels: str, x: Tensor) -> Term:
    """Without repeated letters: the diagonal along the axes that share one."""
    for letter in labels:
        while labels.count(letter) > 1:
            first, second = labels.index(letter), labels.rindex(letter)
            rest = [i for i in range(x.ndim) if i not in (first, second)]
            steps = list(range(x.shape[first]))
            x = permute_dims(x, [first, second, *rest])[steps, steps]
            labels = letter + "".join(labels[i] for i in rest)
    return labels, x


def _keep(labels: str, x: Tensor, needed: set[str]) -> Term:
    """Summed over the letters that nothing needs any more."""
    gone = tuple(i for i, letter in enumerate(labels) if letter not in needed)
    if not gone:
        return labels, x
    return "".join(c for c in labels if c in needed), sum(x, gone)


def _contract(a: Term, b: Term, needed: set[str]) -> Term:
    """Product of two operands as one batched matmul."""
    la, x = _keep(*a, needed | set(b[0]))
    lb, y = _keep(*b, needed | set(la))
    batch = [c for c in la if c in lb and c in needed]
    inner = [c for c in la if c in lb and c not in needed]
    rows = [c for c in la if c not in lb]
    columns = [c for c in lb if c not in la]
    size_x = dict(zip(la, x.shape, strict=True))
    size_y = dict(zip(lb, y.shape, strict=True))
    x = permute_dims(x, [la.index(c) for c in (*batch, *rows, *inner)])
    y = permute_dims(y, [lb.index(c) for c in (*batch, *inner, *columns)])

    def count(sizes: dict[str, int], letters: list[str]) -> int:
        return math.prod(sizes[c] for c in letters)

    x = reshape(x, (*(size_x[c] for c in batch), count(size_x, rows), count(size_x, inner)))
    y = reshape(y, (*(size_y[c] for c in batch), count(size_y, inner), count(size_y, columns)))
    product = matmul(x, y)
    shape = (
        *product.shape[: len(batch)],
        *(size_x[c] for c in rows),
        *(size_y[c] for c in columns),
    )
    return "".join((*batch, *rows, *columns)), reshape(product, shape)
