"""Watch: what a recorded function reads from Python, so that a change of it is seen."""

from __future__ import annotations

import functools
import operator
import os
import sys
import sysconfig
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from types import CodeType, FunctionType, MemberDescriptorType, MethodType, ModuleType
from typing import Any

import numpy as np

from gradlab.graph.dtypes import Array
from gradlab.graph.operators import Operators
from gradlab.graph.variable import Variable

COPIED = 1 << 20
"""Bytes up to which an array is compared with a copy of it."""
SEES_ALL = frozenset({"getattr", "vars", "__dict__", "attrgetter", "locals", "globals", "eval"})
"""Names in code that may read attributes without naming them."""
NOT_IN_A_CALL = frozenset(
    f"__{name}__"
    for name in (
        *("init", "new", "del", "repr", "str", "reduce", "getstate", "setstate", "copy"),
        *("deepcopy", "init_subclass", "set_name", "class_getitem", "dict", "weakref", "doc"),
        *("module", "qualname", "annotations", "firstlineno", "static_attributes"),
    )
)
"""Attributes of a class that a computation does not use unless it names them."""
TRAINABLE = operator.attrgetter("trainable")
MISSING: Any = object()
SIZE: Any = object()


class Watch:
    """What can be reached from a function, as it is now.

    Followed are closures, globals and attributes that code names, defaults, the object of a method,
    the parts of a ``functools.partial``, attributes of objects, and what lists, tuples, sets and
    dicts hold. Numbers, texts and flags count by type and value; arrays of up to 1 MiB by content;
    of Variables whether they are trainable; all else by identity, and what can be reached from it.
    Of an object of a class outside gradlab those attributes count that code names. Functions and
    classes of gradlab, of the standard library and of installed packages do not change, so only
    their closures are followed.

    A class says in ``_unwatched`` which of its attributes no computation depends on.

    Args:
        root: a function, or a nest of what a function reads.

    >>> strength = [0.5]
    >>> watch = Watch(lambda x: x * strength[0])
    >>> watch.holds()
    True
    >>> strength[0] = 1.0
    >>> watch.holds()
    False
    """

    def __init__(self, root: Any) -> None:
        self.root = root
        names: set[str] = set()
        while True:
            walk = _Walk(names)
            walk.follow(root)
            if walk.named <= names:  # no code names an attribute that was passed over
                break
            names |= walk.named
        self.large = walk.large
        self.variables = walk.variables
        self._trainable = [*map(TRAINABLE, walk.variables)]
        self._set(walk.places)

    def _set(self, places: list[_Place]) -> None:
        """Get ready to tell at a glance whether all places are as they were."""
        self.places = places
        entries = [place for place in places if type(place) is _Entries]
        self._others = [place for place in places if type(place) is not _Entries]
        self._gets = [place.thing.get for place in entries]
        self._labels = [place.labels for place in entries]
        self._values = [value for place in entries for value in place.values]
        sized = [place for place in entries if place.size is not None]
        self._sized, self._sizes = [p.thing for p in sized], [p.size for p in sized]

    def holds(self) -> bool:
        """Whether all is as it was."""
        now = chain.from_iterable(map(map, self._gets, self._labels))
        if all(map(operator.is_, now, self._values)) and [*map(len, self._sized)] == self._sizes:
            for place in self._others:
                if not place.holds():
                    return False
            return [*map(TRAINABLE, self.variables)] == self._trainable
        if not all(place.holds() for place in self.places):
            return False
        self._set(self.places)  # equal, and next time told by identity
        return self.holds()

    def after(self, constants: Iterable[tuple[Array, Array]] = ()) -> Watch:
        """The same function watched anew, after it ran; but not what it changed itself meanwhile.

        Args:
            constants: arrays that went into what was recorded, each with a copy of it.
        """
        before: dict[Any, dict[Any, Any]] = {}
        for place in self.places:
            values = before.setdefault(place.key, {SIZE: getattr(place, "size", None)})
            values.update(zip(place.labels, place.values, strict=True))
        new = Watch(self.root)
        places = [p for p in new.places if p.key not in before or p.settled(before[p.key])]
        reached = {id(array) for array in new.large}
        new._set(places + [_Content(a, copy) for a, copy in constants if id(a) in reached])
        return new


class _Walk:
    """One walk over what can be reached.

    Attributes:
        names: attributes that code is known to name.
        named: what the code that was reached names.
        places: where something is that may become something else.
        large: arrays too large to be compared with a copy.
        variables: Variables.
    """

    def __init__(self, names: set[str]) -> None:
        self.names = names
        self.named: set[str] = set()
        self.all = bool(names & SEES_ALL)
        self.places: list[_Place] = []
        self.large: list[Array] = []
        self.variables: list[Variable] = []
        self._seen: dict[int, Any] = {}
        self._pending: list[Any] = []

    def follow(self, root: Any) -> None:
        """Walk from here."""
        self._pending.append(root)
        while self._pending:
            thing = self._pending.pop()
            if isinstance(thing, PLAIN) or id(thing) in self._seen:
                continue
            self._seen[id(thing)] = thing
            self._visit(thing)

    def _visit(self, thing: Any) -> None:
        kind = type(thing)
        if issubclass(kind, Variable):
            self.variables.append(thing)  # its value is read at each run
            return
        if issubclass(kind, Operators | np.random.Generator):
            return  # a tensor never changes
        if issubclass(kind, FunctionType):
            self._function(thing)
        elif issubclass(kind, WRAPPERS):
            parts = (getattr(thing, name, None) for name in WRAPPED)
            self._pending += [part for part in parts if part is not None]
        elif issubclass(kind, np.ndarray):
            self._array(thing)
        elif issubclass(kind, ModuleType):
            if not _installed(thing.__name__):
                self._entries(vars(thing), self._known(vars(thing)))
            return
        elif issubclass(kind, type):
            self._class(thing)
            return
        elif issubclass(kind, tuple | frozenset):
            self._pending += thing
        elif issubclass(kind, dict):
            self._place(_Entries(thing, list(thing), len(thing)))
        elif issubclass(kind, list | set | deque):
            self._place(_Sequence(thing))
        self._attributes(thing)

    def _function(self, function: Any) -> None:
        if function.__closure__:
            self._place(_Cells(function, range(len(function.__closure__))))
        if function.__code__.co_filename.startswith(LIBRARIES):
            return
        if function.__defaults__ or function.__kwdefaults__:
            self._place(_Attributes(function, ["__defaults__", "__kwdefaults__"]))
        names = set(_names(function.__code__))
        self.named |= names
        self._entries(function.__globals__, [n for n in names if n in function.__globals__])

    def _array(self, array: Array) -> None:
        if not array.flags.writeable and array.base is None:
            return
        if array.dtype != object and array.nbytes <= COPIED:
            self.places.append(_Content(array, array.copy()))
        else:
            self.large.append(array)

    def _class(self, kind: type) -> None:
        whole = _is_ours(kind)
        for each in kind.__mro__:
            if not _installed(each.__module__):
                inside = vars(each)
                special = [n for n in inside if whole or n[:2] == "__"]
                names = {n for n in special if n not in NOT_IN_A_CALL}.union(self._known(inside))
                if names:
                    self._place(_ClassEntries(each, list(names), None))

    def _attributes(self, thing: Any) -> None:
        """Attributes of an object, and methods of its class."""
        kind = type(thing)
        if any(not _installed(each.__module__) for each in kind.__mro__):
            self._pending.append(kind)
        whole = self.all or hasattr(kind, "__dataclass_fields__") or _is_ours(kind)
        fixed = getattr(kind, "_unwatched", ())
        try:
            inside = object.__getattribute__(thing, "__dict__")
        except AttributeError:
            inside = None
        if inside or (inside is not None and kind is not FunctionType):
            names = inside if whole else self._known(inside)
            self._place(_Entries(inside, [n for n in names if n not in fixed], len(inside)))
        slots = [n for n in _slots(kind) if (whole or n in self.names) and n not in fixed]
        if slots:
            self._place(_Attributes(thing, slots))

    def _known(self, inside: Iterable[str]) -> list[str]:
        return [name for name in inside if name in self.names and name not in NOT_IN_A_CALL]

    def _entries(self, inside: Any, names: Sequence[Any]) -> None:
        if names:
            self._place(_Entries(inside, names, None))

    def _place(self, place: _Place) -> None:
        self.places.append(place)
        self._pending += [x for x in place.values if not isinstance(x, PLAIN)]


class _Place:
    """Where values are, and which they were, each with a label."""

    __slots__ = ("labels", "thing", "values")

    def __init__(self, thing: Any, labels: Any) -> None:
        self.thing = thing
        self.labels = labels
        self.values: Any = self.read()

    @property
    def key(self) -> Any:
        """Where it is."""
        return type(self), id(self.thing)

    def read(self) -> Any:
        """The values now."""
        raise NotImplementedError

    def holds(self) -> bool:
        """Whether they are as they were."""
        values = self.read()
        if all(map(operator.is_, values, self.values)):
            return True
        if not all(map(_same, values, self.values)):
            return False
        self.values = values
        return True

    def settled(self, before: dict[Any, Any]) -> bool:
        """Let go of what is not as it was before; whether anything is left."""
        pairs = zip(self.labels, self.values, strict=True)
        self.labels = [label for label, x in pairs if _same(x, before.get(label, MISSING))]
        self.values = self.read()
        return bool(self.labels)


class _Sequence(_Place):
    """What a list, deque or set holds."""

    __slots__ = ()

    def __init__(self, thing: Any) -> None:
        super().__init__(thing, range(len(thing)))

    def read(self) -> Any:
        return list(self.thing)

    def holds(self) -> bool:
        return len(self.thing) == len(self.values) and super().holds()

    def settled(self, before: dict[Any, Any]) -> bool:
        old = [x for label, x in before.items() if label is not SIZE]
        return len(old) == len(self.values) and all(map(_same, self.values, old))


class _Cells(_Place):
    """Variables of the function around a function."""

    __slots__ = ()

    def read(self) -> Any:
        values = []
        for number in self.labels:
            try:
                values.append(self.thing.__closure__[number].cell_contents)
            except ValueError:  # nothing is in it yet
                values.append(MISSING)
        return values


class _Attributes(_Place):
    """Attributes of a thing that are in no dict."""

    __slots__ = ()

    def read(self) -> Any:
        return [getattr(self.thing, name, MISSING) for name in self.labels]


class _Entries(_Place):
    """Entries of a dict, attributes of an object, globals of a function.

    Attributes:
        size: how many entries there are, if it matters that no others come.
    """

    __slots__ = ("size",)

    def __init__(self, inside: Any, names: Sequence[Any], size: int | None) -> None:
        self.size = size
        super().__init__(inside, names)

    def read(self) -> Any:
        return [*map(self.thing.get, self.labels)]

    def holds(self) -> bool:
        return (self.size is None or len(self.thing) == self.size) and super().holds()

    def settled(self, before: dict[Any, Any]) -> bool:
        if self.size is None:  # names that are new here were there before
            before = dict(zip(self.labels, self.values, strict=True)) | before
        elif self.size != before[SIZE]:
            self.size = None
        return super().settled(before) or self.size is not None


class _ClassEntries(_Entries):
    """Attributes of a class."""

    __slots__ = ()

    def read(self) -> Any:
        return [*map(vars(self.thing).get, self.labels)]


class _Content(_Place):
    """Numbers of an array."""

    __slots__ = ("copy",)

    def __init__(self, array: Array, copy: Array) -> None:
        self.copy = copy
        super().__init__(array, ("content",))

    def read(self) -> Any:
        return [self.copy]

    def holds(self) -> bool:
        return _equal_bits(self.thing, self.copy)

    def settled(self, before: dict[Any, Any]) -> bool:
        return _equal_bits(before["content"], self.copy)


WRAPPERS = (
    MethodType,
    functools.partial,
    functools.partialmethod,
    functools.cached_property,
    type(functools.cache(len)),
    property,
    staticmethod,
    classmethod,
)
WRAPPED = ("__func__", "__self__", "__wrapped__", "fget", "func", "args", "keywords")
"""What these are made of."""
PLAIN = (int, float, complex, str, bytes, type(None), np.generic, np.dtype, CodeType)
"""What counts by type and value."""


def _same(a: Any, b: Any) -> bool:
    """Whether a computation cannot tell two values apart."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, float | complex | np.generic):
        return repr(a) == repr(b)  # 0.0 is not -0.0, and NaN is NaN
    if isinstance(a, PLAIN):
        return bool(a == b)
    return type(a) is tuple and len(a) == len(b) and all(map(_same, a, b))


def _equal_bits(a: Array, b: Array) -> bool:
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.flags.c_contiguous and b.flags.c_contiguous:
        return bool(np.array_equal(a.reshape(-1).view(np.uint8), b.reshape(-1).view(np.uint8)))
    return a.tobytes() == b.tobytes()


def _names(code: CodeType) -> Iterator[str]:
    """Names that code and the functions within it use."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _slots(kind: type) -> list[str]:
    """Attributes that objects of a class have in slots."""
    pairs = [pair for each in kind.__mro__ for pair in vars(each).items() if _slotted(each)]
    return [name for name, x in pairs if type(x) is MemberDescriptorType and name != "__dict__"]


def _slotted(kind: type) -> bool:
    return "__slots__" in vars(kind)


def _is_ours(kind: type) -> bool:
    """Whether a class is gradlab's or descends from one, whose code names attributes too."""
    return any(_package(each.__module__) == "gradlab" for each in kind.__mro__)


def _package(module: Any) -> str:
    return str(module).partition(".")[0]


LIBRARIES = (
    "<frozen",
    os.path.join(Path(__file__).parents[1], ""),
    *{
        os.path.join(sysconfig.get_path(name), "")
        for name in ("stdlib", "platstdlib", "purelib", "platlib")
    },
)
"""How the names of files begin whose code does not change."""


@functools.cache
def _installed(module: str | None) -> bool:
    """Whether a module is gradlab's, Python's own, or of an installed package."""
    package = _package(module)
    if package == "gradlab" or package in sys.stdlib_module_names:
        return True
    file = getattr(sys.modules.get(str(module)), "__file__", None) or ""
    return str(file).startswith(LIBRARIES)
