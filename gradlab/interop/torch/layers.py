"""The layers that gradlab and PyTorch have in common: one row each, for both directions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gradlab import nn
from gradlab.errors import require
from gradlab.graph.dtypes import DType

torch: Any = require("torch", "torch")
T: Any = torch.nn


@dataclass(frozen=True)
class Layer:
    """A class of gradlab, and the one of PyTorch that computes the same.

    Attributes:
        ours, theirs: the classes.
        to_torch: PyTorch's layer with the settings of gradlab's, or None where a call of it gives
            something else, so that a ``Replay`` is made.
        from_torch: gradlab's layer with the settings of PyTorch's and parameters of a dtype.
        only: settings that PyTorch's layer has beside these, with the values that it must have.
    """

    ours: type[nn.Module]
    theirs: Any
    to_torch: Callable[[Any], Any] | None = None
    from_torch: Callable[[Any, DType | None], nn.Module] | None = None
    only: Mapping[str, Any] = field(default_factory=dict)


def _same(ours: Any, theirs: Any, *names: str, typed: bool = True, **only: Any) -> Layer:
    """A row of classes that have the same arguments, kept as attributes of the same names."""

    def has(module: Any, name: str) -> Any:
        value = getattr(module, name)
        return value is not None and value is not False if name == "bias" else value

    def settings(module: Any) -> dict[str, Any]:
        return {name: has(module, name) for name in names}

    return Layer(
        ours,
        theirs,
        lambda m: theirs(**settings(m)),
        lambda m, dtype: ours(**settings(m), **({"dtype": dtype} if typed else {})),
        only,
    )


def _plain(ours: Any, theirs: Any, *names: str, **only: Any) -> Layer:
    """A row of layers without parameters."""
    return _same(ours, theirs, *names, typed=False, **only)


def _layer_norm(m: Any, dtype: DType | None) -> nn.Module:
    affine = m.elementwise_affine
    return nn.LayerNorm(m.normalized_shape, m.eps, affine, m.bias is not None, dtype)


def _attention(m: Any, dtype: DType | None) -> nn.Module:
    has_bias = m.in_proj_bias is not None
    return nn.MultiheadAttention(
        m.embed_dim, m.num_heads, m.dropout, has_bias, m.batch_first, dtype
    )


def _batch_norm(ours: Any, theirs: Any) -> Layer:
    sizes = ("num_features", "eps", "momentum")

    def settings(m: Any, affine: bool, track: bool) -> dict[str, Any]:
        flags = {"affine": affine, "track_running_stats": track}
        return {name: getattr(m, name) for name in sizes} | flags

    return Layer(
        ours,
        theirs,
        lambda m: theirs(**settings(m, m.weight is not None, m.running_mean is not None)),
        lambda m, dtype: ours(**settings(m, m.affine, m.track_running_stats), dtype=dtype),
    )


def _recurrent(ours: Any, theirs: Any, *more: str) -> Layer:
    names = (
        "input_size", "hidden_size", "num_layers", "bias", "batch_first", "bidirectional", *more
    )  # fmt: skip

    def settings(m: Any, dropout: float) -> dict[str, Any]:
        return {name: getattr(m, name) for name in names} | {"dropout": dropout}

    return Layer(
        ours,
        theirs,
        lambda m: theirs(**settings(m, m.dropout.p)),
        lambda m, dtype: ours(**settings(m, m.dropout), dtype=dtype),
        {"proj_size": 0},
    )


CONTAINERS = (
    Layer(nn.Sequential, T.Sequential),
    Layer(nn.ModuleList, T.ModuleList),
    Layer(nn.ModuleDict, T.ModuleDict),
)
CONV = (
    "in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "bias"
)  # fmt: skip
POOL = ("kernel_size", "stride", "padding")

LAYERS = (
    _same(nn.Linear, T.Linear, "in_features", "out_features", "bias"),
    *(_same(ours, theirs, *CONV, padding_mode="zeros") for ours, theirs in (
        (nn.Conv1d, T.Conv1d), (nn.Conv2d, T.Conv2d))),
    *(_same(ours, theirs, *CONV, "output_padding", padding_mode="zeros") for ours, theirs in (
        (nn.ConvTranspose1d, T.ConvTranspose1d), (nn.ConvTranspose2d, T.ConvTranspose2d))),
    *(_plain(ours, theirs, *POOL, "dilation", ceil_mode=False, return_indices=False)
      for ours, theirs in ((nn.MaxPool1d, T.MaxPool1d), (nn.MaxPool2d, T.MaxPool2d))),
    *(_plain(ours, theirs, *POOL, "count_include_pad", ceil_mode=False, divisor_override=None)
      for ours, theirs in ((nn.AvgPool1d, T.AvgPool1d), (nn.AvgPool2d, T.AvgPool2d))),
    *(_plain(ours, theirs, "output_size") for ours, theirs in (
        (nn.AdaptiveAvgPool1d, T.AdaptiveAvgPool1d), (nn.AdaptiveAvgPool2d, T.AdaptiveAvgPool2d),
        (nn.AdaptiveMaxPool1d, T.AdaptiveMaxPool1d), (nn.AdaptiveMaxPool2d, T.AdaptiveMaxPool2d))),
    _plain(nn.ZeroPad2d, T.ZeroPad2d, "padding"),
    _same(nn.Embedding, T.Embedding, "num_embeddings", "embedding_dim", "padding_idx",
          max_norm=None, scale_grad_by_freq=False, sparse=False),
    _batch_norm(nn.BatchNorm1d, T.BatchNorm1d),
    _batch_norm(nn.BatchNorm2d, T.BatchNorm2d),
    _recurrent(nn.RNN, T.RNN, "nonlinearity"),
    _recurrent(nn.LSTM, T.LSTM),
    _recurrent(nn.GRU, T.GRU),
    Layer(nn.MultiheadAttention, T.MultiheadAttention, None, _attention,
          {"bias_k": None, "bias_v": None, "add_zero_attn": False, "_qkv_same_embed_dim": True}),
    Layer(
        nn.LayerNorm,
        T.LayerNorm,
        lambda m: T.LayerNorm(
            m.normalized_shape, m.eps, m.weight is not None, m.bias is not None
        ),
        _layer_norm,
    ),
    Layer(
        nn.RMSNorm,
        T.RMSNorm,
        lambda m: T.RMSNorm(m.normalized_shape, m.eps, m.weight is not None),
        lambda m, dtype: nn.RMSNorm(m.normalized_shape, m.eps, m.elementwise_affine, dtype),
    ),
    Layer(
        nn.GroupNorm,
        T.GroupNorm,
        lambda m: T.GroupNorm(m.num_groups, m.num_channels, m.eps, m.weight is not None),
        lambda m, dtype: nn.GroupNorm(m.num_groups, m.num_channels, m.eps, m.affine, dtype),
    ),
    _plain(nn.Dropout, T.Dropout, "p"),
    _plain(nn.Identity, T.Identity),
    _plain(nn.ReLU, T.ReLU),
    _plain(nn.LeakyReLU, T.LeakyReLU, "negative_slope"),
    _plain(nn.ELU, T.ELU, "alpha"),
    _plain(nn.Sigmoid, T.Sigmoid),
    _plain(nn.Tanh, T.Tanh),
    _plain(nn.GELU, T.GELU, approximate="none"),
    _plain(nn.SiLU, T.SiLU),
    Layer(nn.Softmax, T.Softmax, lambda m: T.Softmax(m.axis), lambda m, _: nn.Softmax(m.dim)),
    Layer(nn.LogSoftmax, T.LogSoftmax, lambda m: T.LogSoftmax(m.axis),
          lambda m, _: nn.LogSoftmax(m.dim)),
    # From 40 on, log(1 + eˣ) is x in float64 too; PyTorch's default, 20, is good for float32.
    Layer(nn.Softplus, T.Softplus, lambda m: T.Softplus(threshold=40), lambda m, _: nn.Softplus(),
          {"beta": 1}),
    Layer(nn.Flatten, T.Flatten, lambda m: T.Flatten(), lambda m, _: nn.Flatten(),
          {"start_dim": 1, "end_dim": -1}),
)  # fmt: skip
