"""Nests of tuples, lists and dicts, as the arguments and results of functions come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from gradlab.errors import GradientError


def leaves(nest: Any) -> list[Any]:
    """What a nest holds, in order; dicts in the order of insertion, None holds nothing.

    >>> leaves({"a": 1, "b": [2, (3,)]})
    [1, 2, 3]
    """
    if isinstance(nest, dict):
        return [leaf for part in nest.values() for leaf in leaves(part)]
    if isinstance(nest, list | tuple):
        return [leaf for part in nest for leaf in leaves(part)]
    if nest is None:
        return []
    return [nest]


def rebuild(nest: Any, values: Iterator[Any]) -> Any:
    """A nest of the same form with other leaves.

    >>> rebuild({"a": 1, "b": [2, (3,)]}, iter("xyz"))
    {'a': 'x', 'b': ['y', ('z',)]}
    """
    if isinstance(nest, dict):
        return {key: rebuild(part, values) for key, part in nest.items()}
    if isinstance(nest, list | tuple):
        parts = [rebuild(part, values) for part in nest]
        if hasattr(nest, "_fields"):  # a named tuple
            return type(nest)(*parts)
        return type(nest)(parts)
    if nest is None:
        return None
    return next(values)


def map_leaves(function: Callable[[Any], Any], nest: Any) -> Any:
    """A nest of the same form, with a function applied to every leaf.

    >>> map_leaves(str, [1, {"a": 2}])
    ['1', {'a': '2'}]
    """
    return rebuild(nest, iter([function(leaf) for leaf in leaves(nest)]))


def beside(nest: Any, other: Any, kinds: str = "values, leaves") -> list[Any]:
    """What another nest of the same form has for each leaf of a nest; None stands for Nones.

    Args:
        nest: tells the form.
        other: its values, whatever they are: a list beside a leaf is one value.
        kinds: what the values and the leaves are called in the message of the error.

    Raises:
        GradientError: a list of another length, or a dict of other keys.

    >>> beside({"a": 1, "b": [2, (3,)]}, {"a": [10, 11], "b": [None, (30,)]})
    [[10, 11], None, 30]
    """
    if nest is None:
        return []
    if not isinstance(nest, dict | list | tuple):
        return [other]
    if other is None:
        return [None] * len(leaves(nest))
    if isinstance(nest, dict):
        if not isinstance(other, dict) or other.keys() != nest.keys():
            text = list(other) if isinstance(other, dict) else type(other).__name__
            raise GradientError(f"{kinds} must be dicts of the same keys, {list(nest)}: got {text}")
        return [value for key in nest for value in beside(nest[key], other[key], kinds)]
    if not isinstance(other, list | tuple) or len(other) != len(nest):
        values, _, wanted = kinds.partition(", ")
        count = len(other) if isinstance(other, list | tuple) else f"a {type(other).__name__} as"
        raise GradientError(
            f"{count} {values} for {len(nest)} {wanted}: give one for each, or None"
        )
    return [
        value
        for part, given in zip(nest, other, strict=True)
        for value in beside(part, given, kinds)
    ]
