"""Errors that name the argument, what came, and what to do about it."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from types import ModuleType


class GradlabError(Exception):
    """Base of every error gradlab raises on purpose; its text is one line that says the fix."""


class ShapeError(GradlabError, ValueError):
    """Shapes that do not fit together."""


class DTypeError(GradlabError, TypeError):
    """A value of the wrong dtype, or of no dtype that gradlab computes with."""


class GradientError(GradlabError, ValueError):
    """A gradient that does not exist or was not recorded."""


class TraceError(GradlabError, TypeError):
    """A use of a traced tensor that needs its value, which a trace does not have."""


class ArgumentError(GradlabError, ValueError):
    """An argument outside its range, or a name that no registry knows."""


class DataError(GradlabError, ValueError):
    """Data that cannot be read or trained on."""


class RunError(GradlabError, RuntimeError):
    """A file that cannot be written, or a run that cannot be read or resumed."""


class DivergenceError(GradlabError, ArithmeticError):
    """A training whose numbers stopped being finite."""


class CompilerError(GradlabError, RuntimeError):
    """A fault of gradlab's own compiler, caught by its checks; its text is what to report."""


class MissingExtraError(GradlabError, ImportError):
    """An optional dependency that is not installed."""


def one_of(kind: str, name: str, known: Iterable[str]) -> str:
    """Text of an error about an unknown name, with the nearest known ones first.

    >>> one_of("optimizer", "adm", ["adam", "sgd"])
    "unknown optimizer 'adm'; did you mean 'adam'? Known: adam, sgd"
    >>> one_of("optimizer", "SGD", ["adam", "sgd"])
    "unknown optimizer 'SGD'; did you mean 'sgd'? Known: adam, sgd"
    """
    names = sorted(known)
    near = difflib.get_close_matches(name.lower(), names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"unknown {kind} {name!r}; {hint}Known: {', '.join(names)}"


def require(module: str, extra: str) -> ModuleType:
    """Import an optional module, or say which extra installs it.

    Raises:
        MissingExtraError: the module is not installed.

    >>> require("json", "nothing").__name__
    'json'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"{module} is not installed; run: pip install 'gradlab[{extra}]'"
        ) from error
