"""Derivatives of functions: grad, vjp, jvp, hvp, jacobian, jacfwd, hessian.

One rule holds for all: by an argument that a function does not depend on, or only through what has
no derivative (``argmax``, ``stop_gradient``, ``.numpy()``), the derivative is zero. And what
the function returns must be floating. A tape raises there unless it is asked for zeros, since there
the reason is mostly that ``tape.watch`` was forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gradlab.backprop.tape import GradientTape
from gradlab.errors import GradientError
from gradlab.graph import Tensor, as_tensor, identity, permute_dims, zeros_like
from gradlab.graph.shaping import cast
from gradlab.graph.trace import lists_as_arrays
from gradlab.graph.tree import beside, leaves, map_leaves, rebuild

Function = Callable[..., Any]
Argnums = int | tuple[int, ...]


def grad(function: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """The function that gives the gradient of a scalar function, ∇f.

    The gradient by an argument that the function does not depend on is zero.

    Args:
        function: returns a scalar.
        argnums: which arguments to differentiate by; a tuple gives a tuple. Arguments may be
            tensors, arrays, numbers, or nests of them; a list of plain numbers is one array.
            Arguments given by name are passed on as they are.
        has_aux: whether the function returns (scalar, anything else); then the result is
            (gradient, anything else).

    Raises:
        GradientError: the result is no scalar, or not floating.

    >>> grad(lambda x: x**3)(2.0).item()
    12.0
    >>> slope, more = grad(lambda x: (x**3, {"square": x**2}), has_aux=True)(2.0)
    >>> slope.item(), more["square"].item()
    (12.0, 4.0)
    """

    def gradient(*args: Any, **options: Any) -> Any:
        value, slope = value_and_grad(function, argnums, has_aux)(*args, **options)
        return (slope, value[1]) if has_aux else slope

    return gradient


def value_and_grad(function: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """The function that gives (f, ∇f) in one pass; see ``grad``.

    With ``has_aux`` it gives ((f, anything else), ∇f).

    >>> value, slope = value_and_grad(lambda x: x**3)(2.0)
    >>> value.item(), slope.item()
    (8.0, 12.0)
    """

    def both(*args: Any, **options: Any) -> tuple[Any, Any]:
        with GradientTape() as tape:
            args, sources = _watched(tape, args, argnums)
            value, aux = _result(function(*args, **options), has_aux)
        if isinstance(value, list | tuple | dict):
            raise GradientError(
                f"grad needs a scalar, got a {type(value).__name__}: return what is not to be "
                "differentiated beside it, with has_aux=True, or use jacobian"
            )
        value = as_tensor(value)
        if value.size != 1:
            raise GradientError(
                f"grad needs a scalar, got shape {value.shape}: use sum, mean, vjp or jacobian"
            )
        gradients = tape.gradient(value, sources, unconnected="zero")
        return (value, aux) if has_aux else value, gradients

    return both


def vjp(function: Function, *args: Any, has_aux: bool = False) -> Any:
    """The value, and the function that takes an adjoint ḡ of it to ḡᵀ·∂f/∂x for every argument.

    The adjoint has the form of the value; None in it means zero. By an argument that the function
    does not depend on the result is zero.

    Args:
        function: returns floating tensors, in any nest.
        args: the point; tensors, arrays, numbers, or nests of them.
        has_aux: whether the function returns (value, anything else); then the result is
            (value, pullback, anything else).

    Raises:
        GradientError: what the function returns is not floating.

    >>> value, pullback = vjp(lambda x: x**2, [1.0, 2.0])
    >>> value, pullback([1.0, 10.0])
    (tensor([1., 4.]), (tensor([ 2., 40.]),))
    """
    with GradientTape(persistent=True) as tape:
        args, sources = _watched(tape, args, tuple(range(len(args))))
        value, aux = _result(function(*args), has_aux)

    def pullback(adjoint: Any) -> tuple[Any, ...]:
        gradients: tuple[Any, ...] = tape.gradient(value, sources, adjoint, unconnected="zero")
        return gradients

    return (value, pullback, aux) if has_aux else (value, pullback)


def jvp(function: Function, args: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """The value, and its derivative along tangents, Σ ∂f/∂xᵢ · ẋᵢ; None is a tangent of zero.

    The vector-Jacobian product is linear in its adjoint; its derivative by the adjoint is the
    Jacobian-vector product. Of a value that does not depend on the arguments it is zero.

    >>> jvp(lambda x: x**2, ([1.0, 2.0],), ([1.0, 10.0],))
    (tensor([1., 4.]), tensor([ 2., 40.]))
    """
    with GradientTape() as outer:
        value, pullback = vjp(function, *args)
        adjoint = map_leaves(zeros_like, value)
        outer.watch(adjoint)
        gradients = pullback(adjoint)
    directions = _directions(tangents, gradients)
    return value, outer.gradient(leaves(gradients), adjoint, directions, unconnected="zero")


def hvp(function: Function, args: Sequence[Any], vectors: Sequence[Any]) -> tuple[Any, ...]:
    """Product of the Hessian of a scalar function with vectors, ∇²f · v; None is a zero vector.

    By an argument on which the gradient does not depend it is zero.

    >>> hvp(lambda x: (x**3).sum(), ([1.0, 2.0],), ([1.0, 1.0],))
    (tensor([ 6., 12.]),)
    """
    numbers = tuple(range(len(args)))
    with GradientTape() as tape:
        args, sources = _watched(tape, tuple(args), numbers)
        gradients = grad(function, numbers)(*args)
    directions = _directions(vectors, gradients)
    result: tuple[Any, ...] = tape.gradient(
        leaves(gradients), sources, directions, unconnected="zero"
    )
    return result


def jacobian(function: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """The function that gives all derivatives, of shape f.shape + x.shape, one sweep for each of f.

    Args:
        function: returns floating tensors, in any nest.
        argnums: which arguments to differentiate by, each a tensor or a nest. The result has the
            form of what the function returns, with the form of the arguments in the place of each
            tensor: f[i][j] by x is J[i][j], by (x, y) it is J[i][j][0] and J[i][j][1]. What does
            not depend on an argument has zeros there.
        has_aux: whether the function returns (value, anything else); then the result is
            (Jacobian, anything else).

    Raises:
        GradientError: what the function returns is not floating.

    >>> jacobian(lambda x: x**2)([1.0, 2.0])
    tensor([[2., 0.],
            [0., 4.]])
    >>> jacobian(lambda x, y: {"product": x * y, "x": x}, (0, 1))(2.0, 3.0)["product"]
    (tensor(3.), tensor(2.))
    """

    def derivatives(*args: Any, **options: Any) -> Any:
        with GradientTape() as tape:
            args, sources = _watched(tape, args, argnums)
            value, aux = _result(function(*args, **options), has_aux)
        found = tape.jacobian(value, sources, unconnected="zero")
        return (found, aux) if has_aux else found

    return derivatives


def jacfwd(function: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """The same as ``jacobian``, column by column: one sweep for each element of the arguments.

    It is the quicker of the two for functions with many more results than arguments.

    >>> import gradlab
    >>> jacfwd(lambda x: gradlab.stack([x, x**2, x**3]))(2.0)
    tensor([ 1.,  4., 12.])
    """

    def derivatives(*args: Any, **options: Any) -> Any:
        with GradientTape(watch_accessed_variables=False) as outer:
            with GradientTape() as tape:
                args, sources = _watched(tape, args, argnums)
                value, aux = _result(function(*args, **options), has_aux)
            adjoint = map_leaves(zeros_like, value)
            outer.watch(adjoint)
            gradients = tape.gradient(value, sources, adjoint, unconnected="zero")
        columns = outer.jacobian(leaves(gradients), leaves(adjoint), unconnected="zero")

        def rows(number: int, count: int) -> Any:
            """Derivatives of an output, whose axes come first."""
            parts = []
            for x, column in zip(leaves(sources), columns, strict=True):
                order = (*range(x.ndim, x.ndim + count), *range(x.ndim))
                parts.append(cast(permute_dims(column[number], order), x.dtype))
            return rebuild(sources, iter(parts))

        parts = [rows(number, y.ndim) for number, y in enumerate(leaves(adjoint))]
        found = rebuild(value, iter(parts))
        return (found, aux) if has_aux else found

    return derivatives


def hessian(function: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """The function that gives all second derivatives of a scalar function, of shape x.shape twice.

    Of several arguments, or of nests, it is the nest of blocks: H[i][j] = ∂²f/∂xᵢ∂xⱼ. Blocks of
    arguments on which f does not depend, or only linearly, are zero. Arguments are as in ``grad``.

    >>> hessian(lambda x: (x**3).sum())([1.0, 2.0])
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    >>> hessian(lambda x, y: x * y**2, (0, 1))(2.0, 3.0)
    ((tensor(0.), tensor(6.)), (tensor(6.), tensor(4.)))
    """
    return jacobian(grad(function, argnums, has_aux), argnums, has_aux)


def _result(result: Any, has_aux: bool) -> tuple[Any, Any]:
    """The value to differentiate, in floating tensors, and what is returned beside it."""
    value, aux = result, None
    if has_aux:
        if not isinstance(result, tuple) or len(result) != 2:
            raise GradientError(
                f"with has_aux=True the function returns (value, aux), got {type(result).__name__}"
                + (f" of {len(result)}" if isinstance(result, tuple) else "")
            )
        value, aux = result
    value = map_leaves(as_tensor, value)
    for x in leaves(value):
        if x.dtype.kind != "f":
            raise GradientError(
                f"the function returns {x.dtype}, and only floats have derivatives: convert it "
                "with astype, or return it beside the value with has_aux=True"
            )
    return value, aux


def _directions(vectors: Sequence[Any], models: Any) -> list[Tensor]:
    """Vectors in the shapes and dtypes of what they are directions of."""
    given = beside(models, tuple(map(lists_as_arrays, vectors)), "directions, arguments")
    directions = []
    for v, x in zip(given, leaves(models), strict=True):
        direction = zeros_like(x) if v is None else as_tensor(v).astype(x.dtype)
        if direction.shape != x.shape:
            raise GradientError(
                f"a direction of shape {direction.shape} for an argument of {x.shape}"
            )
        directions.append(direction)
    return directions


def _watched(
    tape: GradientTape, args: tuple[Any, ...], argnums: Argnums
) -> tuple[tuple[Any, ...], Any]:
    """Arguments as nodes of their own, watched, so that f(x, x) has two separate sources."""
    chosen = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    for number in chosen:
        if not -len(args) <= number < len(args):
            raise GradientError(f"argnums names argument {number}, but {len(args)} were given")
    places = {number % len(args) for number in chosen}
    given = [lists_as_arrays(arg) for arg in args]
    fresh = tuple(map_leaves(identity, arg) if i in places else arg for i, arg in enumerate(given))
    sources = tuple(fresh[number] for number in chosen)
    tape.watch(sources)
    return fresh, sources[0] if isinstance(argnums, int) else sources
