"""The registry of models."""

from __future__ import annotations

from gradlab.registry import Registry

models = Registry("model")
"""Factories of models by name.

Each takes ``inputs``, the shape of one example without the axis of examples, such as (1, 28, 28),
or (block,) for tokens; most take ``outputs``, the number of classes or the size of the vocabulary.
What is made may have an ``init_scheme``: the scheme, and schemes for patterns of paths, that its
source starts from, as ``gradlab.init.initialize`` takes them.
"""

InitScheme = tuple[str, dict[str, str]]
"""A scheme for the whole model, and schemes for paths that match a pattern."""
