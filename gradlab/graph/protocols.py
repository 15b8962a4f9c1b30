"""NumPy's functions of tensors: gradlab's function of that name where there is one.

What comes back is a tensor then, whose history tapes and traces take note of. A function that
gradlab does not have, or an option that it does not take, is computed on the numbers and gives what
NumPy gives, unless a gradient would be lost by it or a traced tensor has no numbers.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

# Looked up when they are used, as in operators.py.
import gradlab.graph as graph
from gradlab.errors import DTypeError, GradientError, TraceError
from gradlab.graph.dtypes import check_dtype
from gradlab.graph.tree import leaves, map_leaves

# What an operator between an array and a tensor calls.
BY_OPERATOR = {
    np.add: "add",
    np.subtract: "subtract",
    np.multiply: "multiply",
    np.divide: "divide",
    np.floor_divide: "floor_divide",
    np.remainder: "remainder",
    np.power: "pow",
    np.matmul: "matmul",
    np.equal: "equal",
    np.not_equal: "not_equal",
    np.less: "less",
    np.less_equal: "less_equal",
    np.greater: "greater",
    np.greater_equal: "greater_equal",
    np.bitwise_and: "logical_and",
    np.bitwise_or: "logical_or",
}
# The same function by another name.
RENAMED = {
    "absolute": "abs",
    "amax": "max",
    "amin": "min",
    "arccos": "acos",
    "arccosh": "acosh",
    "arcsin": "asin",
    "arcsinh": "asinh",
    "arctan": "atan",
    "arctan2": "atan2",
    "arctanh": "atanh",
    "around": "round",
    "concatenate": "concat",
    "conj": "identity",
    "conjugate": "identity",
    "copy": "identity",
    "degrees": "rad2deg",
    "expit": "sigmoid",
    "fabs": "abs",
    "fix": "trunc",
    "positive": "identity",
    "power": "pow",
    "radians": "deg2rad",
    "ravel": "flatten",
    "real": "identity",
    "real_if_close": "identity",
    "rint": "round",
    "trace": "matrix_trace",
    "transpose": "permute_dims",
}
# These names mean other things in gradlab.
OTHER_MEANING = ("identity", "trace")
# What asks for the shape alone, which a traced tensor has.
BY_SHAPE = (np.shape, np.ndim, np.size)
# What only writes to a file.
SAVING = (np.save, np.savetxt, np.savez, np.savez_compressed)
# Options without a meaning for tensors, which never change, and the values that ask for nothing.
MEANINGLESS = {
    "casting": ("same_kind",),
    "copy": (None, True, False),
    "kind": (None, "quicksort", "mergesort", "heapsort", "stable"),
    "optimize": (True, False, "greedy", "optimal"),
    "order": (None, "C", "K", "A"),
    "out": (None,),
    "stable": (None, True, False),
    "subok": (True, False),
    "where": (True,),
}
# Methods of universal functions, as the functions that they are.
METHODS: dict[str, dict[np.ufunc, Callable[..., Any]]] = {
    "reduce": {
        np.add: np.sum,
        np.multiply: np.prod,
        np.maximum: np.max,
        np.minimum: np.min,
        np.logical_and: np.all,
        np.logical_or: np.any,
    },
    "accumulate": {np.add: np.cumsum, np.multiply: np.cumprod},
}
# Their dtype= is that in which they compute.
COMPUTE_IN_DTYPE = ("cumprod", "cumsum", "mean", "prod", "std", "sum", "var")


class _OptionError(Exception):
    """An option that gradlab's function does not take; its text names it."""


def call_ufunc(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], options: Any) -> Any:
    """What a universal function of NumPy, or a method of it, gives for tensors."""
    if method == "__call__":
        if not options and ufunc in BY_OPERATOR:
            return getattr(graph, BY_OPERATOR[ufunc])(*inputs)
        return _answer(ufunc, ufunc.__name__, inputs, options)
    function = METHODS.get(method, {}).get(ufunc)
    if function is not None and options.keys() <= _signature(function).parameters.keys():
        return call_function(function, inputs, {"axis": 0} | options)
    if method == "outer":
        x, y = (graph.as_tensor(part) for part in inputs)
        return ufunc(graph.reshape(x, (*x.shape, *(1,) * y.ndim)), y, **options)
    return _on_numbers(getattr(ufunc, method), f"{ufunc.__name__}.{method}", inputs, options)


def call_function(function: Callable[..., Any], args: Any, options: Any) -> Any:
    """What another function of NumPy gives for tensors."""
    name = function.__name__
    if function.__module__ != "numpy":
        name = f"{function.__module__.removeprefix('numpy.')}.{name}"
    return _answer(function, name, args, options)


def _answer(function: Callable[..., Any], name: str, args: Any, options: Any) -> Any:
    """A tensor from gradlab's function, or else what NumPy's gives for the numbers."""
    ours = _ours(name)
    why = None
    if ours is not None:
        try:
            arguments, more = _translated(function, name, ours, args, options)
            return ours(*arguments, **more)
        except _OptionError as reason:
            why = str(reason)
    return _on_numbers(function, name, args, options, why)


def _ours(name: str) -> Callable[..., Any] | None:
    """gradlab's function for one of NumPy's, if there is one."""
    if name in ADAPTED:
        return ADAPTED[name]
    there = _name_of_ours(name)
    return None if there is None else getattr(graph, there)


def _name_of_ours(name: str) -> str | None:
    """What gradlab calls one of NumPy's functions, if it has it."""
    same = None if name in OTHER_MEANING else name
    return next((n for n in (RENAMED.get(name), same) if n in graph.__all__), None)


VAR_POSITIONAL, VAR_KEYWORD = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
_signature = functools.lru_cache(maxsize=None)(inspect.signature)


def _translated(
    function: Callable[..., Any], name: str, ours: Callable[..., Any], args: Any, options: Any
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call of NumPy's function as gradlab's takes them.

    Parameters are the same by name; those before them that have other names, by position.
    """
    for x in leaves((args, options)):
        _check_kind(x)
    if isinstance(function, np.ufunc):
        dtype = options.get("dtype")
        for option, value in options.items():
            if option != "dtype":
                _check_option(option, value)
        return tuple(args if dtype is None else [graph.astype(x, dtype) for x in args]), {}
    theirs, mine = _signature(function).parameters, _signature(ours).parameters
    if any(parameter.kind is VAR_POSITIONAL for parameter in theirs.values()):
        for option, value in options.items():
            if option not in mine:
                _check_option(option, value)
        return tuple(args), {key: value for key, value in options.items() if key in mine}
    names = {}
    for a, b in zip(theirs, mine, strict=False):
        required = theirs[a].default is theirs[a].empty and theirs[a].kind is not VAR_KEYWORD
        if a != b and (a in mine or b in theirs or not required):
            break
        names[a] = b
    call = _signature(function).bind(*args, **options)
    call.apply_defaults()
    given = dict(call.arguments)
    for key, parameter in theirs.items():
        if parameter.kind is VAR_KEYWORD:
            given |= given.pop(key)
    taken: dict[str, Any] = {}
    for key, value in given.items():
        default = theirs[key].default if key in theirs else ...
        if value is np._NoValue or value is default is None:
            continue
        if key in names or key in mine:
            taken[names.get(key, key)] = value
        elif key == "dtype" and name in COMPUTE_IN_DTYPE and _is_floating(value):
            first = next(iter(taken))
            taken[first] = graph.astype(taken[first], value)
        elif value is not default:
            _check_option(key, value)
    return (), taken


def _check_option(option: str, value: Any) -> None:
    """Whether an option asks for nothing that gradlab's functions do not do anyway."""
    if not isinstance(value, str | bool | None) or value not in MEANINGLESS.get(option, ()):
        raise _OptionError(f"{option}=")


def _is_floating(dtype: Any) -> bool:
    return dtype is not None and np.dtype(dtype).kind == "f"


def _check_kind(x: Any) -> None:
    """Whether an argument is nothing that no tensor holds: complex numbers, dates, objects."""
    try:
        if isinstance(x, complex | np.ndarray | np.generic):
            check_dtype(np.asarray(x).dtype)
    except DTypeError as error:
        raise _OptionError(str(np.asarray(x).dtype)) from error


def _on_numbers(
    function: Callable[..., Any], name: str, args: Any, options: Any, why: str | None = None
) -> Any:
    """A function of NumPy, applied to the numbers of tensors.

    Raises:
        TraceError: a traced tensor has none.
        GradientError: the result would be a constant, although a tape watches what it came from.
    """
    watched: list[Any] = []

    def numbers(x: Any) -> Any:
        if not isinstance(x, graph.Tensor | graph.Variable):
            return x
        tensor = graph.as_tensor(x)
        if function in BY_SHAPE:
            return np.broadcast_to(np.zeros((), tensor.dtype), tensor.shape)
        if isinstance(tensor, graph.Symbol):
            raise TraceError(
                f"numpy.{name} needs numbers, and {tensor!r} has none yet: {_hint(name, why)}"
            )
        if tensor.watched:
            watched.append(tensor)
        return tensor.numpy()

    args, options = map_leaves(numbers, args), map_leaves(numbers, options)
    lost = bool(watched) and options.get("out") is not None
    result = None if lost else function(*args, **options)
    if watched and (lost or _is_constant(result)) and function not in SAVING:
        raise GradientError(
            f"numpy.{name} would lose the gradient of {described(watched[0])}: {_hint(name, why)}; "
            "write .numpy() or gradlab.stop_gradient(x) if a constant is meant"
        )
    return result


def _is_constant(result: Any) -> bool:
    """Whether a result has numbers that could have a derivative; None says what is not known."""
    return result is None or any(
        x.dtype.kind in "fcO" if isinstance(x, np.ndarray | np.generic) else isinstance(x, float)
        for x in leaves(result)
    )


def _hint(name: str, why: str | None) -> str:
    """What to write instead of a function of NumPy."""
    if why is not None:
        return f"gradlab does not take {why} there, so write it with gradlab's functions"
    return "gradlab has no such function, so write it with those that it has"


def described(x: Any) -> str:
    """A tensor in one line, for messages."""
    return f"{x.name!r}" if x.name else f"a tensor of shape {x.shape}"


# --- where the parameters differ, or their meaning ----------------------------------------------
# Parameters bear NumPy's names; those that are missing are options that gradlab does not take.


def _flat(a: Any, axis: Any) -> tuple[Any, Any]:
    """For functions that take no axis as: of all elements."""
    a = graph.as_tensor(a)
    return (graph.flatten(a), 0) if axis is None else (a, axis)


def _clip(a: Any, a_min: Any = None, a_max: Any = None, min: Any = None, max: Any = None) -> Any:
    def bound(one: Any, other: Any) -> Any:
        return other if one is np._NoValue or one is None else one

    return graph.clip(a, bound(a_min, min), bound(a_max, max))


def _concatenate(arrays: Sequence[Any], axis: int | None = 0, dtype: Any = None) -> Any:
    if axis is None:
        arrays, axis = [graph.flatten(x) for x in arrays], 0
    joined = graph.concat(arrays, axis)
    return joined if dtype is None else graph.astype(joined, dtype)


def _cumsum(a: Any, axis: int | None = None) -> Any:
    return graph.cumsum(*_flat(a, axis))


def _einsum(*operands: Any) -> Any:
    if not isinstance(operands[0], str):
        return graph.einsum(*_named_axes(operands))
    return graph.einsum(*operands)


def _expand_dims(a: Any, axis: Any) -> Any:
    return graph.expand_dims(a, tuple(axis) if isinstance(axis, list) else axis)


def _named_axes(operands: Sequence[Any]) -> list[Any]:
    """NumPy's other form, in which each operand is followed by the numbers of its axes."""

    def letters(axes: Sequence[Any]) -> str:
        return "".join("..." if a is Ellipsis else chr(ord("a") + a) for a in axes)

    count = len(operands) // 2
    text = ",".join(letters(operands[2 * i + 1]) for i in range(count))
    if len(operands) % 2:
        text += "->" + letters(operands[-1])
    return [text, *operands[: 2 * count : 2]]


def _pad(array: Any, pad_width: Any, mode: str = "constant", constant_values: Any = 0) -> Any:
    array = graph.as_tensor(array)
    widths = np.broadcast_to(np.asarray(pad_width), (array.ndim, 2))
    if mode != "constant":
        raise _OptionError(f"mode={mode!r}")
    return graph.pad(array, tuple((int(a), int(b)) for a, b in widths), constant_values)


def _angle(z: Any, deg: bool = False) -> Any:
    return graph.where(graph.less(z, 0), 180.0 if deg else math.pi, graph.zeros_like(z))


def _imag(val: Any) -> Any:
    return graph.zeros_like(val)


def _rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    order = list(range(graph.as_tensor(a).ndim))
    there = np.rollaxis(np.empty(order), axis, start).shape  # lengths that number the axes
    return graph.permute_dims(a, there)


def _roll(a: Any, shift: Any, axis: Any = None) -> Any:
    shape = graph.as_tensor(a).shape
    a, axis = _flat(a, axis)
    for count, place in np.broadcast(shift, axis):
        a = graph.roll(a, int(count), int(place))
    return graph.reshape(a, shape)


def _split(ary: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    if isinstance(indices_or_sections, int | np.integer):
        return graph.split(ary, int(indices_or_sections), axis)
    return _array_split(ary, indices_or_sections, axis)


def _array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    ary = graph.as_tensor(ary)
    numbers = np.arange(ary.shape[axis])  # NumPy says where it cuts
    parts = np.array_split(numbers, indices_or_sections)
    return [graph.take(ary, part.astype(np.int64), axis) for part in parts]


def _sort(a: Any, axis: int | None = -1) -> Any:
    return graph.sort(*_flat(a, axis))


def _argsort(a: Any, axis: int | None = -1) -> Any:
    return graph.argsort(*_flat(a, axis))


def _stack(arrays: Sequence[Any], axis: int = 0, dtype: Any = None) -> Any:
    joined = graph.stack(arrays, axis)
    return joined if dtype is None else graph.astype(joined, dtype)


def _take(a: Any, indices: Any, axis: int | None = None) -> Any:
    return graph.take(*_indexed(a, indices, axis))


def _indexed(a: Any, indices: Any, axis: int | None) -> tuple[Any, Any, int]:
    a, place = _flat(a, axis)
    return a, indices, place


def _take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Any:
    return graph.take_along_axis(*_indexed(arr, indices, axis))


def _transpose(a: Any, axes: Any = None) -> Any:
    a = graph.as_tensor(a)
    return graph.permute_dims(a, tuple(reversed(range(a.ndim))) if axes is None else axes)


def _where(condition: Any, x: Any = None, y: Any = None) -> Any:
    if x is None or any(isinstance(part, str) for part in leaves([condition, x, y])):
        raise _OptionError("one argument" if x is None else "text")
    return graph.where(condition, x, y)


def _deviation(function: str) -> Callable[..., Any]:
    def measured(
        a: Any, axis: Any = None, ddof: float = 0, keepdims: bool = False, correction: Any = None
    ) -> Any:
        freedom = ddof if correction is None else correction
        return getattr(graph, function)(a, axis, keepdims, freedom)

    return measured


def _like(function: str) -> Callable[..., Any]:
    def alike(a: Any, dtype: Any = None, shape: Any = None) -> Any:
        model = graph.as_tensor(a)
        return getattr(graph, function)(
            model.shape if shape is None else shape, model.dtype if dtype is None else dtype
        )

    return alike


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    x = graph.as_tensor(x)
    matrix = x.ndim > 1 if axis is None else isinstance(axis, tuple) and len(axis) > 1
    if ord not in ((None, "fro") if matrix else (None, "fro", 1, 2, math.inf)):
        raise _OptionError(f"ord={ord}")
    return graph.norm(x, axis, keepdims, 2 if ord in (None, "fro") else ord)


ADAPTED: dict[str, Callable[..., Any]] = {
    "angle": _angle,
    "argsort": _argsort,
    "array_split": _array_split,
    "clip": _clip,
    "concatenate": _concatenate,
    "cumsum": _cumsum,
    "einsum": _einsum,
    "expand_dims": _expand_dims,
    "imag": _imag,
    "linalg.matmul": lambda x1, x2: graph.matmul(x1, x2),
    "linalg.matrix_transpose": lambda x: graph.matrix_transpose(x),
    "linalg.norm": _norm,
    "linalg.vector_norm": lambda x, axis=None, keepdims=False, ord=2: graph.norm(
        x, axis, keepdims, ord
    ),
    "ones_like": _like("ones"),
    "pad": _pad,
    "roll": _roll,
    "rollaxis": _rollaxis,
    "sort": _sort,
    "split": _split,
    "stack": _stack,
    "std": _deviation("std"),
    "take": _take,
    "take_along_axis": _take_along_axis,
    "transpose": _transpose,
    "var": _deviation("var"),
    "where": _where,
    "zeros_like": _like("zeros"),
}
