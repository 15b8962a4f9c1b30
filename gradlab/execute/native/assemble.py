"""From a graph to a plan: a kernel for each group, a buffer for each tensor that is kept."""

from __future__ import annotations

import math

from gradlab.execute.native.emit.scalar import ELEMENTWISE
from gradlab.execute.native.emit.special import SPECIALS, Call
from gradlab.execute.native.fuse import REDUCTIONS, Fusion, Group, is_arange, is_immediate
from gradlab.execute.native.layout import Layout
from gradlab.execute.native.plan import (
    Buffer,
    Gather,
    Immediate,
    Kernel,
    MatrixProduct,
    Nest,
    Operand,
    Plan,
    Reduction,
    SpecialKernel,
    Step,
)
from gradlab.graph import Graph, Tensor, Variable
from gradlab.graph.dtypes import DType
from gradlab.graph.indexing import TAKE, described_pick
from gradlab.graph.op import Shape
from gradlab.graph.tensor import Symbol

TRANSPOSED = {
    "matmul": (False, False),
    "matmul_nt": (False, True),
    "matmul_tn": (True, False),
    "matmul_tt": (True, True),
}


def assemble(graph: Graph, gathered: int = 0, halt: int | None = None) -> Plan:
    """The kernels and buffers of a graph of primitive rows, not yet placed.

    Args:
        graph: what to compute.
        gathered: how many of the first inputs are rows of data.
        halt: number of the output that ends a run.

    Raises:
        ArgumentError: an op that the native executor does not know.
    """
    return _Assembly(graph, gathered, halt).plan


class _Assembly:
    def __init__(self, graph: Graph, gathered: int, halt: int | None) -> None:
        self.graph = graph
        self.fusion = Fusion(graph, ELEMENTWISE, frozenset(SPECIALS))
        self.plan = Plan([], [], gathered=gathered, halt=halt)
        self.buffer: dict[int, Buffer] = {}
        """Buffer of each tensor that is kept, by id."""
        self.state: dict[Variable, Buffer] = {}
        self._inputs()
        self._outputs()
        for i, x in enumerate(constants(graph)):
            self.buffer[id(x)] = self._new("constant", i, x.dtype, x.size)
        made: dict[int, Kernel] = {}
        for number, group in enumerate(self.fusion.groups):
            kernel = self._kernel(number, group)
            if not (isinstance(kernel, MatrixProduct) and kernel.out.layout.size == 0):
                self.plan.kernels.append(kernel)
                made[number] = kernel
                kernel.after = [made[n] for n in self.fusion.waits(group) if n in made]
        self._copies()

    # --- buffers -------------------------------------------------------------------------------

    def _new(self, home: str, number: int, dtype: DType, size: int) -> Buffer:
        made = Buffer(home, number, dtype, size)
        self.plan.buffers.append(made)
        return made

    def _arena(self, dtype: DType, size: int) -> Buffer:
        return self._new("arena", len(self.plan.buffers), dtype, size)

    def _inputs(self) -> None:
        """Buffers of what comes in; rows of data are gathered into the arena."""
        for i, x in enumerate(self.graph.inputs):
            if i < self.plan.gathered:
                length = math.prod(x.shape[1:])
                source = self._new("data", i, x.dtype, length)
                self.buffer[id(x)] = batch = self._arena(x.dtype, x.size)
                out = Operand(batch, Layout.contiguous(x.shape))
                self.plan.kernels.append(Gather(x.name or f"input{i}", source, out))
            else:
                self.buffer[id(x)] = self._new("input", i, x.dtype, x.size)
        symbols = dict(self.graph.captured)
        for variable in state_variables(self.graph):
            held = variable.held
            made = self._new("state", len(self.state), held.dtype, held.size)
            self.state[variable] = made
            if variable in symbols:
                self.buffer[id(symbols[variable])] = made

    def _outputs(self) -> None:
        """Let nodes write straight to where their results must be, where that is safe."""
        readers = self._last_readers()
        symbols = dict(self.graph.captured)
        for variable, x in self.graph.assigned:
            if self._is_free_node(x):
                number = self.fusion.group_of[id(x)]
                old = symbols.get(variable)
                last = -1 if old is None else readers.get(id(old), -1)
                if last < number or (last == number and self._in_place(old, x)):
                    self.buffer[id(x)] = self.state[variable]
        for i, x in enumerate(self.graph.outputs):
            made = self._new("output", i, x.dtype, x.size)
            if self._is_free_node(x):
                self.buffer[id(x)] = made

    def _is_free_node(self, x: Tensor) -> bool:
        """Whether it is computed, whole, and has no buffer yet."""
        own = self.fusion.root[id(x)] is x and id(x) in self.fusion.group_of
        return own and id(x) not in self.buffer

    def _last_readers(self) -> dict[int, int]:
        """The last group that reads each tensor, by id of the root."""
        last: dict[int, int] = {}
        for number, group in enumerate(self.fusion.groups):
            for node in group.nodes:
                for x in node.inputs:
                    if not is_immediate(x):
                        last[id(self.fusion.root[id(x)])] = number
        for x in (*self.graph.outputs, *(x for _, x in self.graph.assigned)):
            root = self.fusion.root[id(x)]
            if id(root) not in self.fusion.group_of:
                last[id(root)] = len(self.fusion.groups)  # copied at the end
        return last

    def _in_place(self, old: Tensor | None, new: Tensor) -> bool:
        """Whether a nest reads a tensor only at the very place that it writes next."""
        assert isinstance(new, Symbol)
        assert new.op is not None
        group = self.fusion.groups[self.fusion.group_of[id(new)]]
        if group.kind != "nest" or old is None or old.shape != group.shape:
            return False
        if new.op.name not in ELEMENTWISE:  # a reduction starts anew where the old value is
            return False
        return all(x is old or root is not old for root, x in self.fusion.reads(group))

    def _operand(self, x: Tensor) -> Operand:
        root = self.fusion.root[id(x)]
        if id(root) not in self.buffer:
            self.buffer[id(root)] = self._arena(root.dtype, root.size)
        return Operand(self.buffer[id(root)], self.fusion.layout[id(x)])

    # --- kernels -------------------------------------------------------------------------------

    def _kernel(self, number: int, group: Group) -> Kernel:
        (node, *_) = group.nodes
        assert node.op is not None
        label = " ".join(dict.fromkeys(n.name for n in group.nodes if n.name))
        if group.kind == "nest":
            return self._nest(number, group, label)
        inputs = [self._operand(x) for x in node.inputs]
        out = self._operand(node)
        if group.kind == "special":
            if SPECIALS[node.op.name].packed:
                inputs = [self._packed(x) for x in inputs]
            layouts = tuple(x.layout for x in inputs)
            dtypes = tuple(x.dtype for x in inputs)
            call = Call(node.op.name, node.params, layouts, dtypes, node.shape, node.dtype)
            fault = described_pick(node) if SPECIALS[node.op.name].checks else ""
            rows = _by_rows(node, inputs, out)
            return SpecialKernel(label, call, inputs, out, rows, fault=fault)
        turn_x, turn_y = TRANSPOSED[node.op.name]
        x, y = inputs
        batch = node.shape[:-2]
        x, y = _matrices(x, turn_x, batch), _matrices(y, turn_y, batch)
        return MatrixProduct(label, x, y, out, method="tiled")

    def _packed(self, x: Operand) -> Operand:
        """An operand that lies row by row: a copy where it does not."""
        rows = Layout.contiguous(x.layout.shape)
        along = zip(x.layout.shape, x.layout.strides, rows.strides, strict=True)
        if all(n <= 1 or stride == row for n, stride, row in along):
            return x
        packed = Operand(self._arena(x.dtype, x.layout.size), rows)
        self.plan.kernels.append(copy(x, packed))
        return packed

    def _nest(self, number: int, group: Group, label: str) -> Nest:
        steps: list[Step] = []
        stores: list[tuple[int, Operand]] = []
        reductions: list[Reduction] = []
        step_of: dict[int, int] = {}

        def value(x: Tensor) -> int | Operand | Immediate:
            if id(x) in step_of:
                return step_of[id(x)]
            if is_immediate(x):
                return Immediate(x.value.item(), x.dtype)
            operand = self._operand(x)
            return Operand(operand.buffer, operand.layout.broadcast(group.shape))

        for node in group.nodes:
            assert node.op is not None
            name = node.op.name
            inputs = tuple(value(x) for x in node.inputs)
            if name in REDUCTIONS:
                (given,) = inputs
                if isinstance(given, Immediate):
                    given = self._append_step(steps, "identity", node.inputs, inputs, node)
                axes = node.params["axis"]
                target = Operand(self._operand(node).buffer, _reduced(group.shape, axes))
                reductions.append(Reduction(name, given, target, axes))
                continue
            copy = name == "reshape"
            made = self._append_step(steps, "identity" if copy else name, node.inputs, inputs, node)
            if not copy:
                step_of[id(node)] = made
            if id(node) in self.fusion.kept:
                buffer = self._operand(node).buffer
                stores.append((made, Operand(buffer, Layout.contiguous(group.shape))))
        return Nest(label, group.shape, steps, stores, reductions)

    @staticmethod
    def _append_step(
        steps: list[Step],
        row: str,
        tensors: tuple[Tensor, ...],
        inputs: tuple[int | Operand | Immediate, ...],
        node: Symbol,
    ) -> int:
        steps.append(Step(row, inputs, tuple(x.dtype for x in tensors), node.dtype))
        return len(steps) - 1

    def _copies(self) -> None:
        """Results that no node could write straight to where they must be."""
        late: list[Kernel] = []
        written = {self.state[variable] for variable, _ in self.graph.assigned}
        for variable, x in self.graph.assigned:
            target = self.state[variable]
            if self.buffer.get(id(x)) is target:  # written already, or assigned to itself
                continue
            source = self._operand(x)
            if source.buffer in written and id(self.fusion.root[id(x)]) not in self.fusion.group_of:
                # The old value of a Variable that is written here too: kept aside first.
                aside = Operand(self._arena(x.dtype, x.size), Layout.contiguous(x.shape))
                self.plan.kernels.append(copy(source, aside))
                source = aside
            late.append(copy(source, Operand(target, Layout.contiguous(x.shape))))
        outputs = [b for b in self.plan.buffers if b.home == "output"]
        for x, target in zip(self.graph.outputs, outputs, strict=True):
            if self.buffer.get(id(x)) is not target:
                to = Operand(target, Layout.contiguous(x.shape))
                self.plan.kernels.append(copy(self._operand(x), to))
        self.plan.kernels += late


def _by_rows(node: Symbol, inputs: list[Operand], out: Operand) -> list[Operand]:
    """The operands of which a special kernel's outermost position i takes row i alone.

    So it is where one element is picked for each row: its number comes with the row.
    """
    assert node.op is not None
    _, *arrays = node.inputs
    if node.op.name in ("conv", "conv_input"):
        return [inputs[0], out] if node.shape[0] > 1 else []
    if node.op.name != "index" or not node.shape or not is_arange(arrays[0]):
        return []
    if any(k != TAKE for k in node.params["key"]) or any(
        a.ndim != len(out.layout.shape) for a in arrays
    ):
        return []
    rows = out.layout.shape[0]
    return [x for x in (*inputs, out) if x.layout.shape[0] == rows > 1]


def state_variables(graph: Graph) -> list[Variable]:
    """All Variables that a graph reads or assigns, each once."""
    return list(dict.fromkeys(v for v, _ in (*graph.captured, *graph.assigned)))


def constants(graph: Graph) -> list[Tensor]:
    """The constants that must be in memory, each once; in loops, numbers are part of the code."""
    given = [
        x
        for node in graph.nodes
        for x in node.inputs
        if not (node.op and node.op.name in ELEMENTWISE and is_immediate(x))
    ]
    given += [*graph.outputs, *(x for _, x in graph.assigned)]
    return list({id(x): x for x in given if not isinstance(x, Symbol)}.values())


def copy(source: Operand, target: Operand, label: str = "copy") -> Nest:
    """A kernel that copies a tensor."""
    step = Step("identity", (source,), (source.dtype,), target.dtype)
    return Nest(label, target.layout.shape, [step], [(0, target)], [])


def _matrices(x: Operand, turned: bool, batch: Shape) -> Operand:
    """With the last two axes exchanged if wanted, and the batch axes broadcast."""
    layout = x.layout
    if turned:
        found = layout.apply(lambda a: a.mT)
        assert found is not None
        layout = found
    return Operand(x.buffer, layout.broadcast((*batch, *layout.shape[-2:])))


def _reduced(shape: Shape, axes: tuple[int, ...]) -> Layout:
    """The layout of a reduction's result, with the axes of what it reduces."""
    kept = Layout.contiguous(tuple(1 if i in axes else n for i, n in enumerate(shape)))
    strides = tuple(0 if i in axes else s for i, s in enumerate(kept.strides))
    return Layout(shape, strides)
