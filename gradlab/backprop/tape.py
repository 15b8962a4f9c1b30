"""GradientTape: records operations as they run, and sweeps back through them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np

from gradlab.backprop.sweep import reachable, sweep
from gradlab.errors import DTypeError, GradientError
from gradlab.graph import Op, Tensor, Variable, as_tensor, ones_like, stack, zeros_like
from gradlab.graph.shaping import cast
from gradlab.graph.tensor import Like, Params, active
from gradlab.graph.tree import leaves, map_leaves, rebuild

Unconnected = Literal["raise", "none", "zero"]


class GradientTape:
    """Record operations, to take gradients of what came out by what went in.

    Follows TensorFlow's ``tf.GradientTape``: trainable Variables are watched when they are read,
    tensors after ``watch``; tapes nest, for derivatives of higher order; only a persistent tape
    can be asked twice. A gradient taken inside the ``with`` block ends the recording, unless the
    tape is persistent: then it is recorded too. A target that is no scalar counts as its sum.

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
        self._watched: dict[int, Tensor] = {}  # holds the tensors, so that no id is used twice
        self._reads: dict[Variable, list[Tensor]] = {}
        self._used = False

    def __enter__(self) -> GradientTape:
        if self in active.tapes:
            raise GradientError("this tape is recording already; make another one to nest")
        active.tapes.append(self)
        return self

    def __exit__(self, *exception: object) -> None:
        if self in active.tapes:
            active.tapes.remove(self)

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
                active.tapes.append(self)

    def watch(self, tensors: Any) -> None:
        """Record what is done with these tensors or Variables from now on.

        Raises:
            DTypeError: whole numbers have no derivative.
            GradientError: an array or a number, which operations take as a constant.
        """
        for x in leaves(tensors):
            if not isinstance(x, Tensor | Variable):
                raise GradientError(
                    f"cannot watch a {type(x).__name__}: make it a gradlab.tensor(...) first"
                )
            if x.dtype.kind != "f":
                raise DTypeError(f"cannot watch {x!r}: only floats have derivatives, use astype")
            if isinstance(x, Variable):
                self._note_read(x, x.read())
            else:
                self._watched[id(x)] = x

    def watched_variables(self) -> tuple[Variable, ...]:
        """The Variables watched so far, in the order in which they were read."""
        return tuple(self._reads)

    # --- what the graph floor calls while this tape records ----------------------------------

    def record(self, node: Tensor, op: Op, inputs: tuple[Tensor, ...], params: Params) -> None:
        """Take note of one operation."""
        node.op, node.inputs, node.params = op, inputs, params
        watched = self._watched
        for i, x in enumerate(inputs):
            if id(x) in watched and op.vjps[i] is not None:
                watched[id(node)] = node
                self._nodes.append(node)
                return

    def read(self, variable: Variable, tensor: Tensor) -> None:
        """Take note that a Variable was read."""
        if self._watch_variables and variable.trainable and variable.dtype.kind == "f":
            self._note_read(variable, tensor)

    def _note_read(self, variable: Variable, tensor: Tensor) -> None:
        reads = self._reads.setdefault(variable, [])
        if not any(tensor is earlier for earlier in reads):
            reads.append(tensor)
            self._watched[id(tensor)] = tensor

    # --- asking ------------------------------------------------------------------------------

    def gradient(
        self,
        target: Any,
        sources: Any,
        output_gradients: Any = None,
        unconnected: Unconnected = "raise",
    ) -> Any:
        """Gradient of the sum of the target's elements by each source, ∂Σtarget/∂source.

        Args:
            target: a tensor computed on this tape, or a nest of them (their gradients add up).
            sources: a watched tensor or Variable, or a nest of them; the result has its form.
            output_gradients: adjoints to start from instead of ones, in the form of ``target``.
            unconnected: what to give for a source that the target does not depend on: raise an
                error that names it, None, or zeros.

        Raises:
            GradientError: an unconnected source, or a tape that was asked before and is not
                persistent.
        """
        wanted = leaves(sources)
        found = self._gradients(target, wanted, output_gradients)
        if unconnected == "raise":
            for source, gradient in zip(wanted, found, strict=True):
                if gradient is None:
                    raise GradientError(self._why_unconnected(leaves(target), source))
        elif unconnected == "zero":
            pairs = zip(wanted, found, strict=True)
            found = [zeros_like(source) if g is None else g for source, g in pairs]
        elif unconnected != "none":
            raise GradientError(f"unconnected is 'raise', 'none' or 'zero', got {unconnected!r}")
        given = [] if output_gradients is None else leaves(output_gradients)
        for source, gradient in zip(wanted, found, strict=True):
            # One tensor can be the gradient of two sources, or what the caller handed in.
            alone = sum(gradient is other for other in (*found, *given)) == 1
            if alone and gradient is not None and gradient.name is None and source.name:
                gradient.name = f"gradient of {source.name}"
        return rebuild(sources, iter(found))

    def _gradients(
        self, target: Any, sources: list[Any], output_gradients: Any
    ) -> list[Tensor | None]:
        self._claim()
        targets = [as_tensor(x) for x in leaves(target)]
        adjoints: dict[int, Tensor] = {}
        if output_gradients is not None:
            single = isinstance(target, Tensor | Variable)
            output_gradients = [output_gradients] if single else leaves(output_gradients)
        for x, seed in zip(targets, self._seeds(targets, output_gradients), strict=True):
            adjoints[id(x)] = adjoints[id(x)] + seed if id(x) in adjoints else seed
        tensors = [self._reads.get(s, []) if isinstance(s, Variable) else [s] for s in sources]
        nodes = list(self._nodes)  # a persistent tape grows during its own sweep
        starts = [x for reads in tensors for x in reads if id(x) in self._watched]
        sweep(nodes, adjoints, reachable(nodes, starts))
        found: list[Tensor | None] = []
        for reads in tensors:
            parts = [adjoints[id(x)] for x in reads if id(x) in adjoints]
            total = parts[0] if parts else None
            for part in parts[1:]:
                total = total + part if total is not None else part
            found.append(total)
        if not self.persistent:
            self._nodes = []
        return found

    def _claim(self) -> None:
        """Say that this tape is asked now; one that is not persistent ends its recording."""
        if self.persistent:
            return
        if self._used:
            raise GradientError(
                "this tape was asked before; make it with GradientTape(persistent=True)"
            )
        self._used = True
        if self in active.tapes:
            active.tapes.remove(self)

    @staticmethod
    def _seeds(targets: list[Tensor], output_gradients: Any) -> list[Tensor]:
        if output_gradients is None:
            return [ones_like(x) for x in targets]
        if len(output_gradients) != len(targets):
            raise GradientError(f"{len(output_gradients)} output_gradients, {len(targets)} targets")
        pairs = zip(output_gradients, targets, strict=True)
        seeds = [cast(as_tensor(g), x.dtype) for g, x in pairs]
        for x, g in zip(targets, seeds, strict=True):
            if g.shape != x.shape:
                raise GradientError(
                    f"output_gradients of shape {g.shape} for a target of {x.shape}"
                )
        return seeds

    def _why_unconnected(self, targets: list[Any], source: Any) -> str:
        name = getattr(source, "name", None) or repr(source)
        watched = (
            source in self._reads if isinstance(source, Variable) else id(source) in self._watched
        )
        if not watched:
            return (
                f"{name} was not watched: call tape.watch on it before it is used "
                "(trainable Variables are watched when they are read)"
            )
        starts = self._reads[source] if isinstance(source, Variable) else [source]
        ways = _ways([as_tensor(x) for x in targets], {id(x) for x in starts})
        if None in ways:
            return f"{name} was watched after it was used: call tape.watch on it before"
        if ways:
            return f"the target depends on {name} only through {ways[0]}, which has no derivative"
        return (
            f"the target does not depend on {name}: leave it out, or pass "
            "unconnected='zero' or 'none'"
        )

    def jacobian(self, target: Like, source: Any, unconnected: Unconnected = "raise") -> Any:
        """All derivatives, ∂target_i/∂source_j, of shape target.shape + source.shape.

        Raises:
            GradientError: as ``gradient``.
        """
        target = as_tensor(target)
        self._claim()
        if not target.size:
            return map_leaves(
                lambda x: Tensor(np.zeros((*target.shape, *x.shape), x.dtype)), source
            )
        once, self.persistent = self.persistent, True  # each element of the target takes a sweep
        try:
            rows = []
            for i in range(target.size):
                seed = np.zeros(target.size, target.dtype)
                seed[i] = 1
                seed = seed.reshape(target.shape)
                rows.append(self.gradient(target, source, Tensor(seed), unconnected))
        finally:
            self.persistent = once
        if not once:
            self._nodes = []
        return _stacked(rows, target.shape)


def _stacked(rows: list[Any], shape: tuple[int, ...]) -> Any:
    """Rows of a Jacobian, which may be nests, as one nest of tensors."""
    if isinstance(rows[0], dict):
        return {key: _stacked([row[key] for row in rows], shape) for key in rows[0]}
    if isinstance(rows[0], list | tuple):
        parts = [_stacked([row[i] for row in rows], shape) for i in range(len(rows[0]))]
        return type(rows[0])(parts)
    if rows[0] is None:
        return None
    return stack(rows).reshape(*shape, *rows[0].shape)


def _ways(targets: list[Tensor], sources: set[int]) -> list[str | None]:
    """For each target that descends from a source, the op without a derivative on the way."""
    # Walked forward over the ancestors: whatever descends from a source, and through what.
    order: list[Tensor] = []
    seen: set[int] = set()
    pending = [(x, False) for x in targets]
    while pending:
        node, done = pending.pop()
        if done:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            pending.append((node, True))
            pending += [(x, False) for x in node.inputs]
    through: dict[int, str | None] = dict.fromkeys(sources)
    for node in order:
        for i, x in enumerate(node.inputs):
            if id(x) in through and node.op is not None:
                blocked = node.op.name if node.op.vjps[i] is None else None
                through.setdefault(id(node), through[id(x)] or blocked)
    return [through[id(x)] for x in targets if id(x) in through]
