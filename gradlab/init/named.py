"""``initialize``: first values for a whole model, a scheme for each path."""

from __future__ import annotations

import fnmatch
from collections.abc import Container, Mapping
from typing import Any

from gradlab.errors import ArgumentError
from gradlab.graph import Variable
from gradlab.graph.dtypes import Array
from gradlab.init.base import Initializer, initializers
from gradlab.init.fan import is_bias
from gradlab.init.plain import Zeros
from gradlab.nn import Embedding, Module, Norm

Scheme = str | Mapping[str, Any] | Initializer
ZEROS = Zeros()


def initialize(
    model: Module,
    scheme: Scheme = "kaiming_uniform",
    seed: int = 0,
    *,
    patterns: Mapping[str, Scheme] | None = None,
) -> None:
    """Draw first values for the parameters of a model.

    Parameters of two or more axes, (out, in, *kernel), get the scheme. Biases (vectors with "bias"
    in their names) get zeros, unless the scheme draws them too, as "torch_default" does. Those of
    normalizations (``nn.Norm``) get zeros whatever the scheme, and their weights, like all others,
    keep their values: they start at 1. Row ``padding_idx`` of an ``Embedding`` is 0. A scheme that
    has values for all of these, "select_weights", gives them, and those of buffers.
    Each parameter has a random stream of its own, which depends on seed and path alone, so adding
    a layer never changes the draws of another.

    Args:
        model: what to initialize.
        scheme: a row of ``initializers``, such as "xavier_normal" or "orthogonal(gain=1.4)", or an
            ``Initializer``.
        seed: whole number from 0 up.
        patterns: schemes for paths that match a shell pattern such as "0.*" or "*.bias"; where
            several match, the last counts. A bias takes the fan-in of the weight beside it.

    Raises:
        ArgumentError: unknown scheme, a pattern that matches no path, or a seed below 0.
        ShapeError: a scheme that does not fit a parameter's shape. Nothing is changed then.

    Source: Goodfellow et al., Deep Learning, 2016, section 8.4.

    >>> from gradlab.nn import MLP
    >>> model = MLP((4, 8, 2))
    >>> initialize(model, "xavier_uniform", seed=1, patterns={"2.bias": "constant(value=0.5)"})
    >>> model[0].bias.numpy().max(), model[2].bias
    (np.float32(0.0), Variable([0.5, 0.5], name='2.bias'))
    """
    variables = model.named_variables()
    for path, value in first_values(model, scheme, seed, patterns=patterns).items():
        variables[path].assign(value)


def first_values(
    model: Module,
    scheme: Scheme = "kaiming_uniform",
    seed: int = 0,
    *,
    patterns: Mapping[str, Scheme] | None = None,
    only: Container[str] | None = None,
) -> dict[str, Array]:
    """The values that ``initialize`` assigns, by path; of ``only`` some, if given."""
    parameters = model.named_parameters()
    general = _resolved(scheme)
    special = {pattern: _resolved(chosen) for pattern, chosen in (patterns or {}).items()}
    for pattern in special:
        if not any(fnmatch.fnmatchcase(path, pattern) for path in parameters):
            raise ArgumentError(
                f"pattern {pattern!r} matches no parameter; there are: {', '.join(parameters)}"
            )
    modules = model.named_modules().values()
    of_norms = {v for m in modules if isinstance(m, Norm) for v in m.parameters()}
    shares: dict[int, tuple[Initializer, dict[str, Variable]]] = {}
    for path, parameter in parameters.items():
        rule = None if parameter in of_norms and not general.draws_all else general
        chosen = _chosen(path, parameter, rule, special)
        if chosen is not None and (only is None or path in only):
            shares.setdefault(id(chosen), (chosen, {}))[1][path] = parameter
    values: dict[str, Array] = {}
    for chosen, share in shares.values():
        values |= chosen.draw(model, share, seed)
    padding = {m.weight: m.padding_idx for m in modules if isinstance(m, Embedding)}
    for path, parameter in parameters.items():
        if path in values and padding.get(parameter) is not None:
            values[path][padding[parameter]] = 0
    return values


def _resolved(scheme: Scheme) -> Initializer:
    made = scheme if isinstance(scheme, Initializer) else initializers.build(scheme)
    assert isinstance(made, Initializer)
    return made


def _chosen(
    path: str, parameter: Variable, general: Initializer | None, special: Mapping[str, Initializer]
) -> Initializer | None:
    """The scheme for a parameter; None leaves it as it is.

    There is no general one for the parameters of normalizations.
    """
    matching = [made for pattern, made in special.items() if fnmatch.fnmatchcase(path, pattern)]
    if matching:
        return matching[-1]
    if general is None:
        return ZEROS if "bias" in path.rpartition(".")[2] else None
    if parameter.ndim >= 2 or general.draws_all:
        return general
    if is_bias(path, parameter):
        return general if general.draws_biases else ZEROS
    return None
