"""Recurrent layers: RNN, LSTM and GRU, unrolled over time."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import numpy.typing as npt

import gradlab.graph as graph
from gradlab.errors import ArgumentError, ShapeError, one_of
from gradlab.graph import Tensor, Variable, as_tensor, matmul
from gradlab.graph.op import Shape
from gradlab.graph.tensor import Like
from gradlab.nn.checks import floating_dtype, whole
from gradlab.nn.dropout import Dropout
from gradlab.nn.made import next_seed
from gradlab.nn.module import Module

State = tuple[Tensor, ...]
"""What a cell hands from step to step: (h,), or (h, c) for an LSTM."""


class Recurrent(Module):
    """What RNN, LSTM and GRU have in common: layers, directions, and the walk through time.

    A subclass says how many ``gates`` it has, what it carries (``carries``), and computes one step.
    What the inputs add to the gates is one product over all steps, made before the walk.
    """

    gates: ClassVar[int] = 1
    carries: ClassVar[int] = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        kind = type(self).__name__
        self.input_size = whole(kind, "input_size", input_size)
        self.hidden_size = whole(kind, "hidden_size", hidden_size)
        self.num_layers = whole(kind, "num_layers", num_layers)
        chosen = floating_dtype(kind, dtype)
        self.bias, self.batch_first = bias, batch_first
        self.bidirectional = bidirectional
        rng = np.random.default_rng(next_seed())
        bound = 1 / math.sqrt(hidden_size)
        rows = self.gates * self.hidden_size
        for layer in range(self.num_layers):
            width = self.input_size if layer == 0 else len(self._directions) * self.hidden_size
            shapes: dict[str, Shape] = {
                "weight_ih": (rows, width),
                "weight_hh": (rows, self.hidden_size),
            }
            if bias:
                shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
            for direction in self._directions:
                for name, shape in shapes.items():
                    path = f"{name}_l{layer}{direction}"
                    value = rng.uniform(-bound, bound, shape)
                    setattr(self, path, Variable(value, name=path, dtype=chosen))
        self.dropout = Dropout(dropout)

    @property
    def _directions(self) -> tuple[str, ...]:
        """What the names of a layer's parameters end with, one for each direction."""
        return ("", "_reverse") if self.bidirectional else ("",)

    def _walk(self, inputs: Like, given: State | None) -> tuple[Tensor, State]:
        """Outputs of the last layer at all steps, and of each layer what it carries at the end."""
        x = as_tensor(inputs)
        time = 1 if self.batch_first else 0
        if x.ndim != 3 or x.shape[2] != self.input_size or x.shape[time] == 0:
            order = "(n, t" if self.batch_first else "(t, n"
            raise ShapeError(
                f"{type(self).__name__} takes inputs of shape {order}, {self.input_size}), t at "
                f"least 1, got {x.shape}"
            )
        initial = self._initial(x.shape[1 - time], x, given)
        finals: list[State] = []
        for layer in range(self.num_layers):
            if layer > 0:
                x = self.dropout(x)
            sides = []
            for direction in self._directions:
                start = tuple(part[len(finals)] for part in initial)
                steps, final = self._one_way(x, f"_l{layer}{direction}", start, time)
                sides.append(steps)
                finals.append(final)
            x = sides[0] if len(sides) == 1 else graph.concat(sides, axis=2)
        return x, tuple(graph.stack(parts) for parts in zip(*finals, strict=True))

    def _initial(self, rows: int, x: Tensor, given: State | None) -> State:
        """What each layer starts from, zeros if nothing is given."""
        shape = (self.num_layers * len(self._directions), rows, self.hidden_size)
        if given is None:
            return (graph.zeros(shape, x.dtype),) * self.carries
        parts = tuple(as_tensor(part) for part in given)
        if [part.shape for part in parts] != [shape] * self.carries:
            raise ShapeError(
                f"{type(self).__name__}: the initial state must have shape {shape}, got "
                f"{' and '.join(str(part.shape) for part in parts)}"
            )
        return parts

    def _one_way(self, x: Tensor, end: str, state: State, time: int) -> tuple[Tensor, State]:
        """One layer in one direction: its outputs at all steps, and what it carries at the end."""
        weight, recurrent = getattr(self, f"weight_ih{end}"), getattr(self, f"weight_hh{end}")
        entering = matmul(x, weight, transpose_y=True)
        bias: Tensor | None = None
        if self.bias:
            entering, bias = self._biased(
                entering, getattr(self, f"bias_ih{end}"), getattr(self, f"bias_hh{end}")
            )
        backwards = end.endswith("_reverse")
        steps = _steps(entering, time)
        outputs: list[Tensor] = []
        for entered in reversed(steps) if backwards else steps:
            recurring = matmul(state[0], recurrent, transpose_y=True)
            if bias is not None:
                recurring = recurring + bias
            state = self._step(entered, recurring, state)
            outputs.append(state[0])
        if backwards:
            outputs.reverse()
        return graph.stack(outputs, axis=time), state

    def _biased(
        self, entering: Tensor, bias_ih: Variable, bias_hh: Variable
    ) -> tuple[Tensor, Tensor | None]:
        """Both biases are added before the walk: they come into a sum."""
        return entering + (bias_ih + bias_hh), None

    def _step(self, entering: Tensor, recurring: Tensor, state: State) -> State:
        """The state after a step, from what its input and the state before add to the gates."""
        raise NotImplementedError

    def _gate(self, z: Tensor, first: int, last: int) -> Tensor:
        """Gates number ``first`` to ``last`` − 1 of a product that holds all of them."""
        return z[:, first * self.hidden_size : last * self.hidden_size]


def _steps(x: Tensor, time: int) -> list[Tensor]:
    """x at each step.

    It is halved again and again, because the gradient of a part is as large as what it was taken
    from: adding them up moves log T times as many numbers as x has, and not T times as many.
    """
    count = x.shape[time]
    if count == 1:
        return [graph.squeeze(x, time)]
    first, second = graph.split(x, (count // 2, count - count // 2), time)
    return _steps(first, time) + _steps(second, time)


class RNN(Recurrent):
    """Elman's recurrent network.

    h_t = tanh(x_t W_ihᵀ + b_ih + h_{t−1} W_hhᵀ + b_hh)

    Args:
        input_size: length of x_t.
        hidden_size: length of h_t.
        num_layers: layers above one another; each but the first takes the outputs of the one below.
        nonlinearity: "tanh" or "relu".
        bias: whether there are biases.
        batch_first: whether inputs have shape (n, t, input_size) and not (t, n, input_size).
        dropout: probability of dropping each output of a layer that another layer takes.
        bidirectional: whether each layer has a second part that goes from the last step to the
            first; the outputs of both are side by side.
        dtype: of the parameters; the default dtype if not given.

    Parameters have PyTorch's names: weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, ...,
    with "_reverse" at the end in the second direction. All start as U(±1/√hidden_size), as there.

    Raises:
        ArgumentError: a size that is no whole number from 1 up, dropout outside [0, 1), or another
            nonlinearity.
        DTypeError: parameters that are no floats.
        ShapeError: inputs or an initial state of another shape.

    Source: Elman, Finding Structure in Time, Cognitive Science 14, 1990.

    >>> y, h = RNN(3, 5, batch_first=True)(np.ones((2, 7, 3), np.float32))
    >>> y.shape, h.shape
    ((2, 7, 5), (1, 2, 5))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ArgumentError(one_of("nonlinearity", str(nonlinearity), ("tanh", "relu")))
        self.nonlinearity = nonlinearity
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, dtype
        )

    def forward(self, x: Like, h_0: Like | None = None) -> tuple[Tensor, Tensor]:
        """Outputs of the last layer at all steps, and h of every layer after the last step.

        ``h_0`` and what comes back have shape (layers · directions, n, hidden_size).
        """
        y, (h,) = self._walk(x, None if h_0 is None else (as_tensor(h_0),))
        return y, h

    def _step(self, entering: Tensor, recurring: Tensor, state: State) -> State:
        z = entering + recurring
        return (graph.tanh(z) if self.nonlinearity == "tanh" else graph.relu(z),)


class LSTM(Recurrent):
    """Long short-term memory.

    z = x_t W_ihᵀ + b_ih + h_{t−1} W_hhᵀ + b_hh; i, f, o = σ(z_i), σ(z_f), σ(z_o); g = tanh(z_g);
    c_t = f c_{t−1} + i g; h_t = o tanh(c_t)

    The rows of the weights are those of i, f, g and o, in PyTorch's order. Arguments and names are
    those of ``RNN``.

    Source: Hochreiter and Schmidhuber, Long Short-Term Memory, Neural Computation 9, 1997; Gers et
    al., Learning to Forget, Neural Computation 12, 2000, for f.

    >>> y, (h, c) = LSTM(3, 5, num_layers=2)(np.ones((7, 2, 3), np.float32))
    >>> y.shape, h.shape, c.shape
    ((7, 2, 5), (2, 2, 5), (2, 2, 5))
    """

    gates = 4
    carries = 2

    def forward(
        self, x: Like, state: tuple[Like, Like] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Outputs of the last layer at all steps, and (h, c) of every layer after the last step.

        ``state`` is (h_0, c_0), each of shape (layers · directions, n, hidden_size).
        """
        given = None if state is None else tuple(as_tensor(part) for part in state)
        y, (h, c) = self._walk(x, given)
        return y, (h, c)

    def _step(self, entering: Tensor, recurring: Tensor, state: State) -> State:
        z = entering + recurring
        written, kept = graph.sigmoid(self._gate(z, 0, 1)), graph.sigmoid(self._gate(z, 1, 2))
        candidate, shown = graph.tanh(self._gate(z, 2, 3)), graph.sigmoid(self._gate(z, 3, 4))
        c = kept * state[1] + written * candidate
        return shown * graph.tanh(c), c


class GRU(Recurrent):
    """Gated recurrent unit.

    r, u = σ(p_r + q_r), σ(p_u + q_u); m = tanh(p_m + r q_m); h_t = (1 − u) m + u h_{t−1}, where
    p = x_t W_ihᵀ + b_ih and q = h_{t−1} W_hhᵀ + b_hh

    The rows of the weights are those of r, u and m, in PyTorch's order, and r gates after the
    product, as there. Arguments and names are those of ``RNN``.

    Source: Cho et al., Learning Phrase Representations using RNN Encoder–Decoder, EMNLP 2014.

    >>> y, h = GRU(3, 5, bidirectional=True)(np.ones((7, 2, 3), np.float32))
    >>> y.shape, h.shape
    ((7, 2, 10), (2, 2, 5))
    """

    gates = 3

    def forward(self, x: Like, h_0: Like | None = None) -> tuple[Tensor, Tensor]:
        """Outputs of the last layer at all steps, and h of every layer after the last step.

        ``h_0`` and what comes back have shape (layers · directions, n, hidden_size).
        """
        y, (h,) = self._walk(x, None if h_0 is None else (as_tensor(h_0),))
        return y, h

    def _biased(
        self, entering: Tensor, bias_ih: Variable, bias_hh: Variable
    ) -> tuple[Tensor, Tensor | None]:
        """r multiplies a part of b_hh, which therefore stays inside the walk."""
        return entering + bias_ih, as_tensor(bias_hh)

    def _step(self, entering: Tensor, recurring: Tensor, state: State) -> State:
        both = graph.sigmoid(self._gate(entering, 0, 2) + self._gate(recurring, 0, 2))
        reset, kept = self._gate(both, 0, 1), self._gate(both, 1, 2)
        candidate = graph.tanh(self._gate(entering, 2, 3) + reset * self._gate(recurring, 2, 3))
        return (candidate + kept * (state[0] - candidate),)
