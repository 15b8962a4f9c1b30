"""What the nodes of a computation are called: by their owners, by the caller, or by formula."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from types import FrameType

from gradlab.errors import ArgumentError
from gradlab.graph import OPS, Symbol, Tensor, Variable
from gradlab.inspect.formulas import ATOM, SUM, Word, filled, word
from gradlab.inspect.values import brief

Named = Mapping[str, Tensor | Variable]
SHORT = 24
"""Characters of an expression that can stand for a node without a name."""
LONG = 48
"""Characters of a name, and of the formula beside it."""
SAME_NUMBERS = ("astype", "identity")
"""Ops whose result may go by the name of their input."""


def names_in(frame: FrameType | None) -> Named:
    """The tensors and Variables that a caller's variables are bound to, local ones first."""
    found: dict[str, Tensor | Variable] = {}
    for scope in (frame.f_locals, frame.f_globals) if frame else ():
        for name, value in scope.items():
            if isinstance(value, Tensor | Variable) and not name.startswith("_"):
                found.setdefault(name, value)
    return found


def known_names(order: Sequence[Tensor], chosen: Named | None, found: Named) -> dict[int, str]:
    """Names by id of the node: chosen ones, else the node's own, else those of the caller.

    Raises:
        ArgumentError: a chosen name for something that is no tensor or Variable.
    """
    names = {id(tensor): name for name, tensor in reversed(_tensors(found))}
    names |= {id(x): x.name for x in order if x.name}
    names |= {id(tensor): name for name, tensor in reversed(_tensors(chosen or {}))}
    return {id(x): _printable(names[id(x)]) for x in order if id(x) in names}


def _tensors(named: Named) -> list[tuple[str, Tensor]]:
    for name, x in named.items():
        if not isinstance(x, Tensor | Variable):
            raise ArgumentError(
                f"names[{name!r}] is of type {type(x).__name__}; give a tensor or a Variable"
            )
    return [(name, x.held if isinstance(x, Variable) else x) for name, x in named.items()]


def _printable(name: str) -> str:
    """Not too long, on one line, and without characters that no drawing can show."""
    name = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
    return name if len(name) <= LONG else f"{name[: LONG - 1]}…"


class Names:
    """Texts for every node of a computation.

    Args:
        order: the nodes, each after those that it needs.
        known: names by id; other nodes are called by a short expression, or by number.
    """

    def __init__(self, order: Sequence[Tensor], known: Mapping[int, str]) -> None:
        self._words: dict[int, Word] = {}
        self._numbered: set[int] = set()
        self._uses: Counter[str] = Counter()
        for place, x in enumerate(order):
            name = known.get(id(x))
            self._words[id(x)] = self._named(name) if name else self._unnamed(x, place)

    def _named(self, name: str) -> Word:
        """A name; where several tensors have it, as when a layer is called twice, with a number."""
        self._uses[name] += 1
        return Word(name if self._uses[name] == 1 else f"{name}#{self._uses[name]}", ATOM)

    def _unnamed(self, x: Tensor, place: int) -> Word:
        if x.op is None:
            return _constant(x)
        if x.op.name in SAME_NUMBERS:
            return self._words[id(x.inputs[0])]
        expression = self._expression(x)
        self._uses[expression] += 1
        if len(expression) <= SHORT and self._uses[expression] == 1:
            return word(expression)
        self._numbered.add(id(x))
        return Word(f"%{place}", ATOM)

    def _expression(self, x: Tensor) -> str:
        """The formula or the call, whichever is shorter."""
        assert x.op is not None
        call = f"{x.op.name}({', '.join(self.name(i) for i in x.inputs)})"
        if x.op.formula == "x":  # the operand's own name would define nothing
            return call
        return min(filled(x.op.formula, self._letters(x)), call, key=len)

    def _letters(self, x: Tensor) -> dict[str, Word]:
        letters = zip("xyz", x.inputs, strict=False)
        return {letter: self._words[id(operand)] for letter, operand in letters}

    def name(self, x: Tensor) -> str:
        """What stands for a node in a formula."""
        return self._words[id(x)].text

    def title(self, x: Tensor) -> str:
        """What stands for a node by itself: a number with the op, an expression in parentheses."""
        text, level = self._words[id(x)]
        if x.op and id(x) in self._numbered:
            return f"{text} {x.op.name}"
        return text if level == ATOM else f"({text})"

    def definition(self, x: Tensor) -> str:
        """The name and how it was computed, ``c = a + b``."""
        name = self.name(x)
        if x.op is None:
            return name
        expression = self._expression(x)
        if len(expression) > LONG:
            expression = f"{x.op.name}(...)"
        return name if name == expression else f"{name} = {expression}"

    def ratio(self, end: Tensor, start: Tensor) -> str:
        """∂end/∂start."""
        top, bottom = (
            text if level == ATOM else f"({text})"
            for text, level in (self._words[id(end)], self._words[id(start)])
        )
        return f"∂{top}/∂{bottom}"

    def derivative(self, x: Tensor, number: int) -> str:
        """Local derivative by one input as text; "" for an op that only moves numbers."""
        assert x.op is not None
        texts = x.op.derivatives
        if number < len(texts):
            return filled(texts[number], self._letters(x) | {"f": self._words[id(x)]})
        moves = OPS.get(x.op.name) is x.op  # a row of the user's may just have no text
        return "" if moves else f"{x.op.name}′"


def _constant(x: Tensor) -> Word:
    if isinstance(x, Symbol):
        return Word("input", ATOM)
    if x.size == 1:
        value = f"{abs(x.item()):.7g}"
        return Word(f"−{value}", SUM) if x.item() < 0 else Word(value, ATOM)
    text = brief(x)
    return Word(text if text.startswith("[") else f"array{x.shape}", ATOM)
