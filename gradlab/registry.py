"""One row per ingredient: the command line, tests, benchmarks and docs all read these rows."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from gradlab.errors import ArgumentError, one_of

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Info:
    """A named ingredient: how to make it, its formula and where it comes from."""

    name: str
    factory: Callable[..., Any]
    formula: str
    paper: str

    @property
    def summary(self) -> str:
        """First line of the factory's docstring."""
        return (inspect.getdoc(self.factory) or "").partition("\n")[0]

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """Parameters of the factory, by name."""
        return inspect.signature(self.factory).parameters

    @property
    def defaults(self) -> dict[str, Any]:
        """Default values of the parameters that have one."""
        return {
            name: parameter.default
            for name, parameter in self.parameters.items()
            if parameter.default is not parameter.empty
        }


class Registry(Mapping[str, Info]):
    """The rows of one kind, by name; a row is listed once, but answers to its alias too.

    >>> colours = Registry("colour")
    >>> @colours.register("red", formula="λ ≈ 700 nm", paper="Newton, Opticks, 1704")
    ... def red(shade=0.5):
    ...     "A warm one."
    ...     return f"red at {shade}"
    >>> colours.build("red"), colours.build("red(shade=0.9)"), colours.build({"name": "red"})
    ('red at 0.5', 'red at 0.9', 'red at 0.5')
    >>> colours["red"].summary, colours["red"].defaults
    ('A warm one.', {'shade': 0.5})
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._rows: dict[str, Info] = {}
        self._aliases: dict[str, str] = {}

    def register(
        self, name: str, *, formula: str, paper: str, alias: str | None = None
    ) -> Callable[[F], F]:
        """Decorate a class or function so that it can be asked for by name, or by its alias.

        Raises:
            ArgumentError: the name or the alias is taken.
        """

        def add(factory: F) -> F:
            for taken in (name, alias):
                if taken in self:
                    raise ArgumentError(f"there is a {self.kind} {taken!r} already: rename one")
            self._rows[name] = Info(name, factory, formula, paper)
            if alias is not None:
                self._aliases[alias] = name
            return factory

        return add

    def __getitem__(self, name: str) -> Info:
        row = self._rows.get(self._aliases.get(name, name))
        if row is None:
            raise ArgumentError(one_of(self.kind, name, (*self._rows, *self._aliases)))
        return row

    def __contains__(self, name: object) -> bool:
        return name in self._rows or name in self._aliases

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def build(self, spec: str | Mapping[str, Any], **context: Any) -> Any:
        """Make an ingredient from ``"name"``, ``"name(key=value, ...)"`` or ``{"name": ..., ...}``.

        ``context`` holds values that the surroundings know (``epochs=30``): each fills the
        parameter of that name where the factory has one and the spec leaves it out.

        Raises:
            ArgumentError: unknown name, unknown or missing parameter, or text that is no spec.
        """
        name, arguments = _parse(spec, self.kind)
        info = self[name]
        for key in arguments:
            if key not in info.parameters:
                raise ArgumentError(
                    one_of(f"parameter of {self.kind} {name}", key, info.parameters)
                )
        known = {key: value for key, value in context.items() if key in info.parameters}
        arguments = known | arguments
        missing = [
            key
            for key, parameter in info.parameters.items()
            if parameter.default is parameter.empty and key not in arguments
        ]
        if missing:
            raise ArgumentError(
                f"{self.kind} {name} needs {', '.join(missing)}: write {name}({missing[0]}=...)"
            )
        return info.factory(**arguments)


def _parse(spec: str | Mapping[str, Any], kind: str) -> tuple[str, dict[str, Any]]:
    """Split a spec into a name and its arguments."""
    if not isinstance(spec, str | Mapping):
        raise ArgumentError(
            f"{kind} is {spec!r}; write it as text such as 'name(key=value)' or as a table"
        )
    if isinstance(spec, Mapping):
        arguments = dict(spec)
        name = arguments.pop("name", None)
        if not isinstance(name, str):
            raise ArgumentError(f'{kind}: a table needs name = "...", got {dict(spec)!r}')
        return name, arguments
    # The name is set apart first: one such as 2c2d would be no name in Python.
    name, bracket, rest = (part.strip() for part in spec.partition("("))
    try:
        call = ast.parse(f"_({rest}" if bracket else "_()", mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
            raise ValueError("not a call by keywords")
        if not re.fullmatch(r"\w+", name):
            raise ValueError("not a name")
        found: dict[str, Any] = {}
        for keyword in call.keywords:
            if keyword.arg is None or keyword.arg in found:
                raise ValueError("a keyword twice, or a mapping of keywords")
            found[keyword.arg] = ast.literal_eval(keyword.value)
        return name, found
    except (SyntaxError, ValueError) as error:
        raise ArgumentError(
            f"cannot read {kind} {spec!r}; write it as name or name(key=value, ...), each key once"
        ) from error
