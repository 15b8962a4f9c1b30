"""Convolutions over one or two axes: three rows, each of which is bilinear and the others' VJPs.

With the window s·p + d·i − padding of x at position p, groups apart::

    conv         y[n, o, p] = Σ_c Σ_i x[n, c, s·p + d·i − padding] · w[o, c, i]
    conv_input   x[n, c, q] = Σ_o Σ_{p, i: s·p + d·i − padding = q} y[n, o, p] · w[o, c, i]
    conv_kernel  w[o, c, i] = Σ_n Σ_p y[n, o, p] · x[n, c, s·p + d·i − padding]
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from gradlab.errors import ArgumentError, DTypeError, ShapeError
from gradlab.graph.dtypes import Array, DType
from gradlab.graph.elementwise import promote
from gradlab.graph.op import Op, Shape, declare
from gradlab.graph.summation import block_sum
from gradlab.graph.tensor import Like, Tensor, apply
from gradlab.graph.windows import Sizes, cut, positions, same_padding, sizes, spread

Pads = tuple[tuple[int, int], ...]
"""Zeros before and after each axis."""
Padding = str | int | Sequence[int] | Sequence[tuple[int, int]]
Steps = tuple[Sizes, Pads, Sizes, int]
"""Stride, padding, dilation and groups."""


def _padded(xp: Any, x: Any, padding: Pads) -> Any:
    return xp.pad(x, ((0, 0), (0, 0), *padding))


def _grouped(x: Any, groups: int) -> Any:
    """(n, groups · c, ...) as (n, groups, c, positions)."""
    return x.reshape((x.shape[0], groups, x.shape[1] // groups, math.prod(x.shape[2:])))


def _patch(x: Array, at: Sizes, counts: Sizes, stride: Sizes, dilation: Sizes) -> Array:
    """What the elements of all windows see that lie at one place of the kernel."""
    for i, (j, count, s, d) in enumerate(zip(at, counts, stride, dilation, strict=True)):
        x = cut(x, 2 + i, j * d, count, s)
    return x


def _conv(
    xp: Any, x: Any, w: Any, stride: Sizes, padding: Pads, dilation: Sizes, groups: int
) -> Array:
    x = _padded(xp, x, padding)
    out, kernel = w.shape[0], w.shape[2:]
    along = zip(x.shape[2:], kernel, stride, dilation, strict=True)
    counts = tuple(positions(*each) for each in along)
    total = 0
    for at in itertools.product(*map(range, kernel)):
        seen = _grouped(_patch(x, at, counts, stride, dilation), groups)
        weights = w[:, :, *at].reshape((groups, out // groups, w.shape[1]))
        total = total + xp.matmul(weights, seen)
    return total.reshape((x.shape[0], out, *counts))  # type: ignore[attr-defined, no-any-return]


def _conv_input(
    xp: Any,
    y: Array,
    w: Array,
    lengths: Sizes,
    stride: Sizes,
    padding: Pads,
    dilation: Sizes,
    groups: int,
) -> Array:
    """Every output goes back to where it came from: y, spread out, and the kernel turned round."""
    out, inner, *kernel = w.shape
    for i, (k, d) in enumerate(zip(kernel, dilation, strict=True)):
        before, after = padding[i]
        reach = d * (k - 1)
        y = spread(xp, y, 2 + i, reach, stride[i], lengths[i] + before + after + reach)
        y = cut(y, 2 + i, before, lengths[i] + reach, 1)
    turned = w[(slice(None), slice(None), *[slice(None, None, -1)] * len(kernel))]
    turned = turned.reshape((groups, out // groups, inner, *kernel))
    turned = xp.moveaxis(turned, 1, 2).reshape((groups * inner, out // groups, *kernel))
    none = ((0, 0),) * len(kernel)
    return _conv(xp, y, turned, (1,) * len(kernel), none, dilation, groups)


def _conv_kernel(
    xp: Any,
    x: Array,
    y: Array,
    kernel: Sizes,
    stride: Sizes,
    padding: Pads,
    dilation: Sizes,
    groups: int,
) -> Array:
    x = _padded(xp, x, padding)
    inner, out, counts = x.shape[1] // groups, y.shape[1], y.shape[2:]
    y = _grouped(y, groups)
    places = []
    for at in itertools.product(*map(range, kernel)):
        seen = _grouped(_patch(x, at, counts, stride, dilation), groups)
        places.append(block_sum(xp, xp.matmul(y, seen.mT), (0,)).reshape((out, inner)))
    return xp.stack(places, axis=-1).reshape((out, inner, *kernel))  # type: ignore[no-any-return]


def _infer_conv(
    x: Tensor, w: Tensor, stride: Sizes, padding: Pads, dilation: Sizes, groups: int
) -> tuple[Shape, DType]:
    if x.shape[1] != w.shape[1] * groups or w.shape[0] % groups:
        raise ShapeError(
            f"conv of x {x.shape} with a kernel {w.shape} in groups of {groups}: x must have "
            f"{w.shape[1] * groups} channels, and the kernel outputs in multiples of {groups}"
        )
    lengths = [n + sum(pads) for n, pads in zip(x.shape[2:], padding, strict=True)]
    along = zip(lengths, w.shape[2:], stride, dilation, strict=True)
    counts = tuple(positions(*each) for each in along)
    if any(count < 1 for count in counts):
        raise ShapeError(
            f"conv: the kernel {w.shape[2:]} (dilation {dilation}) is larger than x with its "
            f"padding, {tuple(lengths)}"
        )
    return (x.shape[0], w.shape[0], *counts), x.dtype


def _infer_input(
    y: Tensor,
    w: Tensor,
    lengths: Sizes,
    stride: Sizes,
    padding: Pads,
    dilation: Sizes,
    groups: int,
) -> tuple[Shape, DType]:
    if y.shape[1] != w.shape[0] or w.shape[0] % groups:
        raise ShapeError(
            f"conv_transpose of x {y.shape} with a kernel {w.shape} in {groups} groups: both must "
            "have as many channels, a multiple of groups"
        )
    return (y.shape[0], w.shape[1] * groups, *lengths), y.dtype


def _infer_kernel(
    x: Tensor,
    y: Tensor,
    kernel: Sizes,
    stride: Sizes,
    padding: Pads,
    dilation: Sizes,
    groups: int,
) -> tuple[Shape, DType]:
    return (y.shape[1], x.shape[1] // groups, *kernel), x.dtype


def _steps(params: dict[str, Any]) -> dict[str, Any]:
    return {name: params[name] for name in ("stride", "padding", "dilation", "groups")}


def _by_input(g: Tensor, w: Tensor, lengths: Shape, params: dict[str, Any]) -> Tensor:
    return apply(CONV_INPUT, (g, w), _steps(params) | {"lengths": lengths})


def _by_kernel(x: Tensor, g: Tensor, kernel: Shape, params: dict[str, Any]) -> Tensor:
    return apply(CONV_KERNEL, (x, g), _steps(params) | {"kernel": kernel})


def _by_output(x: Tensor, w: Tensor, lengths: Shape, params: dict[str, Any]) -> Tensor:
    y = apply(CONV, (x, w), _steps(params))
    # A transposed convolution may be told to be so long that one window more would fit.
    return y if y.shape[2:] == lengths else y[(..., *map(slice, lengths))]


CONV = declare(
    Op(
        "conv",
        forward=_conv,
        infer=_infer_conv,
        vjps=(
            lambda g, f, x, w, **params: _by_input(g, w, x.shape[2:], params),
            lambda g, f, x, w, **params: _by_kernel(x, g, w.shape[2:], params),
        ),
        formula="x ∗ y",
        derivatives=("y, turned, ∗", "x ∗"),
    )
)
CONV_INPUT = declare(
    Op(
        "conv_input",
        forward=_conv_input,
        infer=_infer_input,
        vjps=(
            lambda g, f, y, w, **params: _by_output(g, w, y.shape[2:], params),
            lambda g, f, y, w, **params: _by_kernel(g, y, w.shape[2:], params),
        ),
        formula="x ∗ᵀ y",
        derivatives=("y ∗", "x ∗"),
    )
)
CONV_KERNEL = declare(
    Op(
        "conv_kernel",
        forward=_conv_kernel,
        infer=_infer_kernel,
        vjps=(
            lambda g, f, x, y, **params: _by_input(y, g, x.shape[2:], params),
            lambda g, f, x, y, **params: _by_output(x, g, y.shape[2:], params),
        ),
        formula="windows of x · y",
        derivatives=("y ∗ᵀ", "x ∗"),
    )
)


def conv(
    x: Like,
    w: Like,
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """Convolution over one or two axes (as in all such libraries, a cross-correlation).

    y[n, o, p] = Σ_c Σ_i x[n, c, s·p + d·i − padding] · w[o, c, i]

    Args:
        x: of shape (n, channels, *lengths).
        w: of shape (outputs, channels / groups, *kernel).
        stride, dilation: s and d, one number for all axes or one for each.
        padding: zeros around x: a number, one for each axis, a pair (before, after) for each
            axis, "valid" for none, or "same" for as many as give ⌈length / s⌉ windows; where
            those are odd, the one more comes after.
        groups: equal parts of the channels and outputs that know nothing of each other.

    Raises:
        ArgumentError: a number out of its range, or padding of another kind.
        ShapeError: channels that do not fit, or a kernel larger than x with its padding.
        DTypeError: whole numbers.

    Source: Goodfellow et al., Deep Learning, 2016, section 9.5; shapes as PyTorch has them.

    >>> conv([[[1.0, 2.0, 3.0, 4.0]]], [[[1.0, 1.0]]]).numpy().tolist()
    [[[3.0, 5.0, 7.0]]]
    """
    x, w = _promoted("conv", x, w)
    rank = x.ndim - 2
    stride, dilation = sizes("conv: stride", stride, rank), sizes("conv: dilation", dilation, rank)
    params = {
        "stride": stride,
        "padding": _pads(padding, x.shape[2:], w.shape[2:], stride, dilation),
        "dilation": dilation,
        "groups": _groups(groups),
    }
    CONV.infer(x, w, **params)  # raises for what does not fit
    return apply(CONV, (x, w), params)


def conv_transpose(
    x: Like,
    w: Like,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """Transposed convolution: what ``conv`` with these numbers does to a gradient.

    Its output has length (length − 1)·s − 2·padding + d·(kernel − 1) + output_padding + 1.

    Args:
        x: of shape (n, channels, *lengths).
        w: of shape (channels, outputs / groups, *kernel).
        stride, dilation: s and d, one number for all axes or one for each.
        padding: zeros that ``conv`` would have added to its input on both sides.
        output_padding: to which of the lengths that ``conv`` would map to x's: 0 for the shortest.
        groups: equal parts of the channels and outputs that know nothing of each other.

    Raises:
        ArgumentError: a number out of its range, or an output_padding that is neither below the
            stride nor below the dilation.
        ShapeError: channels that do not fit.
        DTypeError: whole numbers.

    Source: Dumoulin and Visin, A guide to convolution arithmetic, 2016, chapter 4.

    >>> conv_transpose([[[1.0, 2.0]]], [[[1.0, 1.0]]], stride=2).numpy().tolist()
    [[[1.0, 1.0, 2.0, 2.0]]]
    """
    x, w = _promoted("conv_transpose", x, w)
    rank = x.ndim - 2
    stride = sizes("conv_transpose: stride", stride, rank)
    dilation = sizes("conv_transpose: dilation", dilation, rank)
    before = sizes("conv_transpose: padding", padding, rank, least=0)
    extra = sizes("conv_transpose: output_padding", output_padding, rank, least=0)
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)):
        raise ArgumentError(
            f"conv_transpose: output_padding must be smaller than stride {stride} or dilation "
            f"{dilation}, got {extra}"
        )
    along = zip(x.shape[2:], w.shape[2:], stride, dilation, before, extra, strict=True)
    lengths = tuple((n - 1) * s - 2 * p + d * (k - 1) + e + 1 for n, k, s, d, p, e in along)
    if any(n < 1 for n in lengths):
        raise ShapeError(f"conv_transpose: nothing of x {x.shape} is left, padding is {before}")
    params = {
        "lengths": lengths,
        "stride": stride,
        "padding": tuple((p, p) for p in before),
        "dilation": dilation,
        "groups": _groups(groups),
    }
    CONV_INPUT.infer(x, w, **params)
    return apply(CONV_INPUT, (x, w), params)


def _promoted(name: str, x: Like, w: Like) -> tuple[Tensor, Tensor]:
    x, w = promote(x, w)
    if x.ndim not in (3, 4) or w.ndim != x.ndim or 0 in w.shape[2:]:
        raise ShapeError(
            f"{name} takes x of shape (n, channels, length) or (n, channels, height, width) and a "
            f"kernel of as many axes and no length 0, got {x.shape} and {w.shape}"
        )
    if x.dtype.kind != "f":
        raise DTypeError(f"{name} takes floats, got {x.dtype}; use gradlab.astype(x, 'float32')")
    return x, w


def _groups(groups: int) -> int:
    (found,) = sizes("groups", groups, 1)
    return found


def _pads(padding: Padding, lengths: Shape, kernel: Shape, stride: Sizes, dilation: Sizes) -> Pads:
    """Zeros before and after each axis."""
    if isinstance(padding, str) and padding == "same":
        along = zip(lengths, kernel, stride, dilation, strict=True)
        return tuple(same_padding(*each) for each in along)
    if isinstance(padding, str) and padding == "valid":
        return ((0, 0),) * len(lengths)
    if isinstance(padding, Sequence) and any(isinstance(p, Sequence) for p in padding):
        if len(padding) != len(lengths) or isinstance(padding, str):
            raise ArgumentError(
                f'conv: padding must be a number, one or a pair for each axis, "same" or "valid", '
                f"got {padding!r}"
            )
        pairs = [sizes("conv: padding", pair, 2, least=0) for pair in padding]
        return tuple((before, after) for before, after in pairs)
    same = sizes("conv: padding", padding, len(lengths), least=0)  # type: ignore[arg-type]
    return tuple((p, p) for p in same)
