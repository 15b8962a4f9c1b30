"""GradientTape: records operations as they run, and sweeps back through them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal
from weakref import WeakSet

import numpy as np

from gradlab.backprop.sweep import reachable, sweep
from gradlab.errors import DTypeError, GradientError, ShapeError
from gradlab.graph import (
    Op,
    Symbol,
    Tensor,
    Variable,
    as_tensor,
    ones_like,
    reshape,
    stack,
    zeros,
    zeros_like,
)
from gradlab.graph.ordering import origin
from gradlab.graph.shaping import cast
from gradlab.graph.tensor import NO_PARAMS, Like, Params, active
from gradlab.graph.tree import beside, leaves, rebuild

Unconnected = Literal["raise", "none", "zero"]
SOURCES = (Tensor, Variable)


class GradientTape:
    """Record operations, to take gradients of what came out by what went in.

    Follows TensorFlow's ``tf.GradientTape``: trainable Variables are watched when they are read,
    tensors after ``watch``; tapes nest, for derivatives of higher order; only a persistent tape
    can be asked twice. A gradient taken inside the ``with`` block ends the recording, unless the
    tape is persistent: then it is recorded too. A target that is no scalar counts as its sum.

    Only what descends from something watched is recorded. Once it has answered, a tape that is not
    persistent lets go of all that, so that a loss that is kept does not keep its computation.

    Args:
        persistent: whether gradients can be taken more than once.
        watch_accessed_variables: whether trainable Variables are watched without being asked.

    >>> a, b = Variable([2.0]), Variable([1.0])
    >>> with GradientTape(persistent=True) as tape:
    ...     c = a + b
    ...     d = b + 1
    ...     y = c * d
    >>> tape.gradient(y, a), tape.gradient(y, b)
    (tensor([2.]), tensor([5.]))
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True) -> None:
        self.persistent = persistent
        self._watch_variables = watch_accessed_variables
        self.reset()

    def reset(self) -> None:
        """Forget everything that was recorded and watched."""
        self._nodes: list[Tensor] = []
        # What was watched and what descends from it. Holding them, no id is used twice.
        self._watched: dict[int, Tensor] = {}
        self._chosen: set[int] = set()  # ids of the tensors that watch was called on
        self._reads: dict[Variable, list[Tensor]] = {}
        self._used = False
        self._beside: WeakSet[GradientTape] = WeakSet()  # tapes that recorded at the same time

    def __repr__(self) -> str:
        """What it does and holds.

        >>> GradientTape(persistent=True)
        <persistent GradientTape: stopped, operations: 0, variables: 0>
        """
        kind = "persistent GradientTape" if self.persistent else "GradientTape"
        state = "recording" if self in active.tapes else "asked" if self._used else "stopped"
        held = f"operations: {len(self._nodes)}, variables: {len(self._reads)}"
        return f"<{kind}: {state}, {held}>"

    def __enter__(self) -> GradientTape:
        if self in active.tapes:
            raise GradientError("this tape is recording already; make another one to nest")
        self._start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self in active.tapes:
            active.tapes.remove(self)

    def _start(self) -> None:
        for tape in active.tapes:
            if isinstance(tape, GradientTape):
                self._beside.add(tape)
                tape._beside.add(self)
        active.tapes.append(self)

    @contextmanager
    def stop_recording(self) -> Iterator[None]:
        """Operations inside this block are not recorded."""
        recording = self in active.tapes
        if recording:
            active.tapes.remove(self)
        try:
            yield
        finally:
            if recording:
                self._start()

    def watch(self, tensors: Any) -> None:
        """Record what is done with these tensors or Variables from now on.

        Raises:
            DTypeError: whole numbers have no derivative.
            GradientError: an array or a number, which operations take as a constant.
        """
        for x in leaves(tensors):
            if not isinstance(x, SOURCES):
                raise GradientError(
                    f"cannot watch a {type(x).__name__}: make it a gradlab.tensor(...) first"
                )
            if x.dtype.kind != "f":
                raise DTypeError(f"cannot watch {x!r}: only floats have derivatives, use astype")
            if isinstance(x, Variable):
                self._note_read(x, x.read())
            else:
                self._watched[id(x)] = x
                self._chosen.add(id(x))

    def watched_variables(self) -> tuple[Variable, ...]:
        """The Variables watched so far, in the order in which they were read."""
        return tuple(self._reads)

    # --- what the graph floor calls while this tape records ----------------------------------

    def record(self, node: Tensor, op: Op, inputs: tuple[Tensor, ...], params: Params) -> None:
        """Take note of one operation, if it descends from something watched."""
        watched = self._watched
        for x in inputs:
            if id(x) in watched:
                node.op, node.inputs, node.params = op, inputs, params
                watched[id(node)] = node
                self._nodes.append(node)
                return

    def read(self, variable: Variable, tensor: Tensor) -> None:
        """Take note that a Variable was read."""
        if self._watch_variables and variable.trainable and variable.dtype.kind == "f":
            self._note_read(variable, tensor)

    def watches(self, x: Tensor) -> bool:
        """Whether a tensor was watched, or descends from one that was."""
        return id(x) in self._watched

    def flows(self, x: Tensor) -> bool:
        """Whether a derivative flows to a tensor from one that was watched."""
        starts = self._chosen | {id(y) for reads in self._reads.values() for y in reads}
        pending, seen = [x], set[int]()
        while pending:
            node = pending.pop()
            if id(node) in starts and id(node) in self._watched:
                return True
            if id(node) in self._watched and id(node) not in seen and node.op is not None:
                seen.add(id(node))
                pending += [y for i, y in enumerate(node.inputs) if node.op.vjps[i] is not None]
        return False

    def _note_read(self, variable: Variable, tensor: Tensor) -> None:
        reads = self._reads.setdefault(variable, [])
        first = origin(tensor)  # a reading that is put off is no other reading
        for earlier in reads:
            if tensor is earlier or first is earlier:
                return
        reads.append(tensor)
        self._watched[id(tensor)] = tensor

    # --- asking ------------------------------------------------------------------------------

    def gradient(
        self,
        target: Any,
        sources: Any,
        output_gradients: Any = None,
        unconnected: Unconnected = "raise",
        unconnected_gradients: Unconnected | None = None,
    ) -> Any:
        """Gradient of the sum of the target's elements by each source, ∂Σtarget/∂source.

        Args:
            target: a tensor computed on this tape, or a nest of them (their gradients add up).
            sources: a watched tensor or Variable, or a nest of them; the result has its form.
            output_gradients: adjoints to start from instead of ones, in the form of ``target``;
                None in it means zero.
            unconnected: what to give for a source that the target does not depend on: raise an
                error that names it, None, or zeros ("raise", "none", "zero").
            unconnected_gradients: the same by TensorFlow's name.

        Raises:
            GradientError: an unconnected source, or a tape that has answered before and is not
                persistent. A question that fails does not count.
        """
        how = _how(unconnected, unconnected_gradients)
        wanted = _sources(sources)
        with self._one_answer():
            targets = [as_tensor(x) for x in leaves(target)]
            seeds = _seeds(target, targets, output_gradients)
            found = self._gradients(targets, wanted, seeds, how)
        # One tensor can be the gradient of two sources, or what the caller handed in.
        ids = [id(x) for x in (*found, *leaves(output_gradients))]
        for source, gradient in zip(wanted, found, strict=True):
            if gradient is None or gradient.name is not None or not source.name:
                continue
            if ids.count(id(gradient)) == 1:
                gradient.name = f"gradient of {source.name}"
        return rebuild(sources, iter(found))

    @contextmanager
    def _one_answer(self) -> Iterator[None]:
        """An answer is worked out inside; it ends a tape that is not persistent."""
        if self.persistent:
            yield
            return
        if self._used:
            raise GradientError(
                "this tape has answered before; make it with GradientTape(persistent=True)"
            )
        recording = self in active.tapes
        self.__exit__()
        try:
            yield
        except BaseException:
            if recording:
                self._start()
            raise
        self._used = True
        self._let_go()

    def _let_go(self) -> None:
        """Forget the operations, and so that they hold no memory, have their results forget too."""
        alone = not self._beside
        for node in self._nodes:
            shared = not alone and any(id(node) in tape._watched for tape in self._beside)
            if not shared and not isinstance(node, Symbol):  # a trace needs it
                node.op, node.inputs, node.params = None, (), NO_PARAMS
        self._nodes, self._watched, self._chosen = [], {}, set()

    def _gradients(
        self,
        targets: list[Tensor],
        sources: list[Any],
        seeds: list[Tensor],
        unconnected: Unconnected,
    ) -> list[Tensor | None]:
        """One gradient for each source."""
        adjoints: dict[int, Tensor] = {}
        for x, seed in zip(targets, seeds, strict=True):
            adjoints[id(x)] = adjoints[id(x)] + seed if id(x) in adjoints else seed
        tensors = [self._reads.get(s, []) if isinstance(s, Variable) else [s] for s in sources]
        nodes = list(self._nodes)  # a persistent tape grows during its own sweep
        watched = self._watched
        starts = [x for reads in tensors for x in reads if id(x) in watched and x.dtype.kind == "f"]
        sweep(nodes, adjoints, reachable(nodes, starts))
        found: list[Tensor | None] = []
        for source, reads in zip(sources, tensors, strict=True):
            parts = [adjoints[id(x)] for x in reads if id(x) in adjoints]
            total = parts[0] if parts else None
            for part in parts[1:]:
                total = total + part if total is not None else part
            if total is None and unconnected == "raise":
                raise GradientError(self._why_unconnected(targets, source))
            found.append(zeros_like(source) if total is None and unconnected == "zero" else total)
        return found

    def _why_unconnected(self, targets: list[Tensor], source: Any) -> str:
        """One line on a source without a gradient, and what to do."""
        name = getattr(source, "name", None) or repr(source)
        if source.dtype.kind != "f":
            return f"{name} was not watched: it is {source.dtype}, and only floats have derivatives"
        known = self._reads if isinstance(source, Variable) else self._watched
        if (source if isinstance(source, Variable) else id(source)) not in known:
            return self._why_unwatched(name, source)
        starts = self._reads[source] if isinstance(source, Variable) else [source]
        blocked = self._blocked(targets, starts)
        if blocked is not None:
            return f"the target depends on {name} only through {blocked}, which has no derivative"
        return (
            f"the target does not depend on {name} (what was done before tape.watch does not "
            "count): leave it out, or pass unconnected='zero' or 'none'"
        )

    def _why_unwatched(self, name: str, source: Any) -> str:
        if isinstance(source, Variable) and not source.trainable:
            return (
                f"{name} is not trainable, so it was not watched: call tape.watch on it before it "
                "is used, or leave it out"
            )
        if isinstance(source, Variable) and self._watch_variables:
            return (
                f"{name} was never read while the tape recorded: compute the target from it inside "
                "the with block, leave it out, or pass unconnected='zero' or 'none'"
            )
        return f"{name} was not watched: call tape.watch on it before it is used"

    def _blocked(self, targets: list[Tensor], starts: list[Tensor]) -> str | None:
        """The op without a derivative through which a target descends from the starts."""
        through: dict[int, str | None] = dict.fromkeys(id(x) for x in starts)
        for node in self._nodes:
            for i, x in enumerate(node.inputs):
                if id(x) in through and node.op is not None:
                    stop = node.op.name if node.op.vjps[i] is None else None
                    through.setdefault(id(node), through[id(x)] or stop)
        return next((name for x in targets if (name := through.get(id(x)))), None)

    def jacobian(
        self,
        target: Any,
        sources: Any,
        unconnected: Unconnected = "raise",
        unconnected_gradients: Unconnected | None = None,
    ) -> Any:
        """All derivatives, ∂target_i/∂source_j, of shape target.shape + source.shape.

        Args:
            target: a tensor computed on this tape, or a nest of them.
            sources: a watched tensor or Variable, or a nest of them. The result has the form of
                ``target``, with the form of ``sources`` in the place of each tensor.
            unconnected, unconnected_gradients: as of ``gradient``.

        Raises:
            GradientError: as ``gradient``.
        """
        how, wanted = _how(unconnected, unconnected_gradients), _sources(sources)
        with self._one_answer():
            parts = [self._rows(as_tensor(x), wanted, how) for x in leaves(target)]
        return rebuild(target, iter([rebuild(sources, iter(part)) for part in parts]))

    def batch_jacobian(
        self,
        target: Like,
        sources: Any,
        unconnected: Unconnected = "raise",
        unconnected_gradients: Unconnected | None = None,
    ) -> Any:
        """The Jacobian of each row of a batch, ∂target_bi/∂source_bj.

        Row b of the target must depend on row b of the source alone: it takes a sweep for each
        element of a row, and not for each element of the target.

        Args:
            target: a tensor of shape (n, ...) computed on this tape.
            sources: a watched tensor or Variable of shape (n, ...), or a nest of them; the result
                has its form, and shapes (n, *target.shape[1:], *source.shape[1:]).
            unconnected, unconnected_gradients: as of ``gradient``.

        Raises:
            ShapeError: not as many rows in the sources as in the target.
            GradientError: as ``gradient``.

        >>> x = Variable([[1.0, 2.0], [3.0, 4.0]])
        >>> with GradientTape() as tape:
        ...     y = x * x
        >>> tape.batch_jacobian(y, x)
        tensor([[[2., 0.],
                 [0., 4.]],
        <BLANKLINE>
                [[6., 0.],
                 [0., 8.]]])
        """
        how, wanted = _how(unconnected, unconnected_gradients), _sources(sources)
        target = as_tensor(target)
        for x in (target, *wanted):
            if x.shape[:1] != target.shape[:1] or not x.ndim:
                raise ShapeError(
                    "batch_jacobian takes a target and sources of as many rows each, got shapes "
                    f"{target.shape} and {x.shape}"
                )
        with self._one_answer():
            return rebuild(sources, iter(self._rows(target, wanted, how, 1)))

    def _rows(
        self, target: Tensor, sources: list[Any], unconnected: Unconnected, batch: int = 0
    ) -> list[Tensor | None]:
        """Derivatives of a target by each source, whose first axes count the rows of a batch."""
        shape = target.shape
        if not target.size:
            return [zeros((*shape, *x.shape[batch:]), x.dtype) for x in sources]
        rows = []
        for i in range(math.prod(shape[batch:])):
            seed = np.zeros((*shape[:batch], math.prod(shape[batch:])), target.dtype)
            seed[..., i] = 1
            start = Tensor(seed.reshape(shape), target.weak)
            rows.append(self._gradients([target], sources, [start], unconnected))

        def stacked(parts: Sequence[Tensor | None]) -> Tensor | None:
            model = next((x for x in parts if x is not None), None)
            if model is None:
                return None
            whole = stack([zeros_like(model) if x is None else x for x in parts], batch)
            return reshape(whole, (*shape, *model.shape[batch:]))

        return [stacked(parts) for parts in zip(*rows, strict=True)]


def _how(unconnected: Unconnected, unconnected_gradients: Unconnected | None) -> Unconnected:
    """What to give for an unconnected source, by either name of the argument."""
    if unconnected_gradients is not None:
        if unconnected != "raise":
            raise GradientError("unconnected and unconnected_gradients mean the same: give one")
        unconnected = unconnected_gradients
    if unconnected not in ("raise", "none", "zero"):
        raise GradientError(f"unconnected is 'raise', 'none' or 'zero', got {unconnected!r}")
    return unconnected


def _sources(nest: Any) -> list[Any]:
    """The sources in a nest."""
    sources = leaves(nest)
    for source in sources:
        if not isinstance(source, SOURCES):
            raise GradientError(f"sources are tensors or Variables, got a {type(source).__name__}")
    return sources


def _seeds(nest: Any, targets: list[Tensor], output_gradients: Any) -> list[Tensor]:
    """The adjoints to start from, one for each target in a nest."""
    if output_gradients is None:
        return [ones_like(x) for x in targets]
    given = beside(nest, output_gradients, "output_gradients, targets")
    seeds = []
    for x, g in zip(targets, given, strict=True):
        seed = zeros_like(x) if g is None else cast(as_tensor(g), x.dtype)
        if seed.shape != x.shape:
            raise GradientError(f"output_gradients of shape {seed.shape} for a target of {x.shape}")
        seeds.append(seed)
    return seeds
