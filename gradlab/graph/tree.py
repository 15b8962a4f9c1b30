"""Nests of tuples, lists and dicts, as the arguments and results of functions come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


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
