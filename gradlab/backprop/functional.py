"""Derivatives of functions: grad, vjp, jvp, hvp, jacobian, hessian."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gradlab.backprop.tape import GradientTape
from gradlab.errors import GradientError
from gradlab.graph import Tensor, as_tensor, identity, zeros_like
from gradlab.graph.trace import lists_as_arrays
from gradlab.graph.tree import leaves, map_leaves

Function = Callable[..., Any]
Argnums = int | tuple[int, ...]


def grad(function: Function, argnums: Argnums = 0) -> Function:
    """The function that gives the gradient of a scalar function, ∇f.

    Args:
        function: returns a scalar.
        argnums: which arguments to differentiate by; a tuple gives a tuple. Arguments may be
            tensors, arrays, numbers, or nests of them; a list of plain numbers is one array.
            Arguments given by name are passed on as they are.

    Raises:
        GradientError: the result is no scalar, or does not depend on an argument.

    >>> grad(lambda x: x**3)(2.0).item()
    12.0
    """

    def gradient(*args: Any, **options: Any) -> Any:
        return value_and_grad(function, argnums)(*args, **options)[1]

    return gradient


def value_and_grad(function: Function, argnums: Argnums = 0) -> Function:
    """The function that gives (f, ∇f) in one pass.

    >>> value, slope = value_and_grad(lambda x: x**3)(2.0)
    >>> value.item(), slope.item()
    (8.0, 12.0)
    """

    def both(*args: Any, **options: Any) -> tuple[Tensor, Any]:
        with GradientTape() as tape:
            args, sources = _watched(tape, args, argnums)
            value = as_tensor(function(*args, **options))
        if value.size != 1:
            raise GradientError(
                f"grad needs a scalar, got shape {value.shape}: use sum, mean, vjp or jacobian"
            )
        return value, tape.gradient(value, sources)

    return both


def vjp(function: Function, *args: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """The value, and the function that takes an adjoint ḡ of it to ḡᵀ·∂f/∂x for every argument.

    >>> value, pullback = vjp(lambda x: x**2, [1.0, 2.0])
    >>> value, pullback([1.0, 10.0])
    (tensor([1., 4.]), (tensor([ 2., 40.]),))
    """
    with GradientTape(persistent=True) as tape:
        args, sources = _watched(tape, args, tuple(range(len(args))))
        value = function(*args)

    def pullback(adjoint: Any) -> tuple[Any, ...]:
        gradients: tuple[Any, ...] = tape.gradient(value, sources, adjoint, unconnected="zero")
        return gradients

    return value, pullback


def jvp(function: Function, args: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """The value, and its derivative along tangents, Σ ∂f/∂xᵢ · ẋᵢ.

    The vector-Jacobian product is linear in its adjoint; its derivative by the adjoint is the
    Jacobian-vector product.

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
    """Product of the Hessian of a scalar function with vectors, ∇²f · v.

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


def jacobian(function: Function, argnums: Argnums = 0) -> Function:
    """The function that gives all derivatives, of shape f.shape + x.shape.

    >>> jacobian(lambda x: x**2)([1.0, 2.0])
    tensor([[2., 0.],
            [0., 4.]])
    """

    def derivatives(*args: Any, **options: Any) -> Any:
        with GradientTape(persistent=True) as tape:
            args, sources = _watched(tape, args, argnums)
            value = as_tensor(function(*args, **options))
        return tape.jacobian(value, sources, unconnected="zero")

    return derivatives


def hessian(function: Function, argnums: int = 0) -> Function:
    """The function that gives all second derivatives of a scalar function, of shape x.shape twice.

    >>> hessian(lambda x: (x**3).sum())([1.0, 2.0])
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    return jacobian(grad(function, argnums), argnums)


def _directions(vectors: Sequence[Any], models: Any) -> list[Tensor]:
    """Vectors in the shapes and dtypes of what they are directions of."""
    given, wanted = leaves([lists_as_arrays(v) for v in vectors]), leaves(models)
    if len(given) != len(wanted):
        raise GradientError(f"{len(given)} directions given for {len(wanted)} arguments")
    found = [as_tensor(v).astype(x.dtype) for v, x in zip(given, wanted, strict=True)]
    for v, x in zip(found, wanted, strict=True):
        if v.shape != x.shape:
            raise GradientError(f"a direction of shape {v.shape} for an argument of {x.shape}")
    return found


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
