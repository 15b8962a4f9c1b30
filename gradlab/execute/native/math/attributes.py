"""Attributes of functions that llvmlite does not know by name."""

from __future__ import annotations

from llvmlite import ir


def set_attribute(function: ir.Function, name: str, value: str = "") -> None:
    """Give a function an attribute of text: ``"name"`` or ``"name"="value"``.

    ``stackrealign`` is one for every kernel: without it, vectors that are kept on the stack may lie
    across two cache lines, and a loop that needs them takes up to three times as long.
    """
    # llvmlite checks what is added to its set, but prints whatever is there.
    set.add(function.attributes, f'"{name}"="{value}"' if value else f'"{name}"')
