"""Formulas of op rows, with names put in for their letters x, y, z and f."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

# How tightly a text holds together, loosest first.
PHRASE, SUM, PRODUCT, ATOM = range(4)
_LETTER = re.compile(r"(?<![A-Za-z_])[xyzf](?![A-Za-z_])")
_NESTED = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
LONGEST = 72
"""Characters of a product before it is cut into two."""


class Word(NamedTuple):
    """A text to put into a formula, and how tightly it holds together."""

    text: str
    level: int


def word(text: str) -> Word:
    """A text with its level read off its operators outside parentheses.

    >>> [word(text).level for text in ("b if a > 0 else c", "a + b", "w · (a + b)", "exp(a)")]
    [0, 1, 2, 3]
    """
    flat, count = text, 1
    while count:
        flat, count = _NESTED.subn("", flat)
    if re.search(r"[,<>=≠≤≥]| (if|as|by|at|and|or) ", flat):
        return Word(text, PHRASE)
    # A function without parentheses, as in "sin x", takes all that follows.
    if re.search(r"^−| [+−] ", flat) or re.match(r"[^\W\d]\w* (\w|[√|⌊]|$)", flat):
        return Word(text, SUM)
    if re.search(r"[ /·^@²]", flat) or re.match(r"\d.*[^\d.]", text):
        return Word(text, PRODUCT)
    return Word(text, ATOM)


def filled(template: str, words: Mapping[str, Word]) -> str:
    """A formula with its letters replaced, in parentheses where the meaning would change.

    >>> filled("2x", {"x": word("a − y")}), filled("x + y", {"x": word("w · a"), "y": word("b")})
    ('2(a − y)', 'w · a + b')
    """

    def replace(match: re.Match[str]) -> str:
        if match[0] not in words:
            return match[0]
        text, level = words[match[0]]
        before, after = template[: match.start()], template[match.end() :]
        glued = before[-1:].isdigit() and text[:1].isdigit()
        return f"({text})" if level < _needed(before, after) or glued else text

    return _LETTER.sub(replace, template)


def _needed(before: str, after: str) -> int:
    """How tightly the text between these two parts of a formula must hold together."""
    opened = not before or before.rstrip()[-1:] in "(,|⌊"
    closed = not after or after.lstrip()[0] in "),|⌋"
    if opened and closed:
        return PHRASE
    if (opened or before.endswith((" + ", " − "))) and (closed or after.startswith((" + ", " − "))):
        return PRODUCT if before.endswith("− ") else SUM
    if (opened or before.endswith(" · ")) and (closed or after.startswith((" · ", " / "))):
        return PRODUCT
    return ATOM


def product(texts: Sequence[str]) -> str:
    """Local derivatives multiplied, the outermost first; factors of 1 are left out.

    "xᵀ ·" and "· yᵀ" multiply from the left and from the right, as in a matrix product.

    >>> product(["1/4", "2(a − y)", "−1"]), product(["a(1 − a)", "· Wᵀ"]), product(["1", "1"])
    ('−1/4 · 2(a − y)', 'a(1 − a) · Wᵀ', '1')
    """
    proper = [text for text in texts if text not in ("1", "−1")]
    minus = "−" if sum(text == "−1" for text in texts) % 2 else ""
    left, middle, right = "", [], ""
    for text in proper:
        if text.endswith(" ·"):
            left = f"{text} {left}"
        elif text.startswith("· "):
            right = f"{right} {text}"
        else:
            loose = word(text).level < PRODUCT and (len(proper) > 1 or minus)
            middle.append(f"({text})" if loose else text)
    result = f"{left}{' · '.join(middle)}{right}" if middle else f"{left}{right}".strip()
    return f"{minus}{result}" if result else f"{minus}1"
