"""SelectWeights, an initialization from the weights of a larger model."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np

from gradlab.errors import ArgumentError, one_of
from gradlab.graph import Variable
from gradlab.graph.dtypes import Array
from gradlab.graph.op import Shape
from gradlab.init.base import Initializer, initializers
from gradlab.init.fan import Fans
from gradlab.init.named import Scheme, first_values
from gradlab.init.select_axes import axes_of
from gradlab.init.select_factors import Axis
from gradlab.init.select_head import heads_among
from gradlab.init.select_indices import ELEMENTS, LAYERS, Elements, Layers
from gradlab.init.select_layers import Pairing, pair, translated
from gradlab.init.select_part import Cut, Part, check_orientation
from gradlab.init.select_report import Left, Selected, SelectionReport
from gradlab.init.select_teacher import Teacher, teacher_of
from gradlab.nn import Module
from gradlab.seeding import stream
from gradlab.weight_files import converted


class Selection(NamedTuple):
    """First values of a model by path, and what was selected from where."""

    values: dict[str, Array]
    report: SelectionReport


@initializers.register(
    "select_weights",
    formula="w = teacher's w[I, J, ...]",
    paper="Xu et al., ICLR 2024, section 3",
)
@dataclass(frozen=True, eq=False)
class SelectWeights(Initializer):
    """Weight selection: a model starts with a part of the weights of a larger one.

    w = W[I₁, I₂, ...] for a tensor of the student and the teacher's of the same name, with indices
    that depend on nothing but the two lengths of an axis. So all that writes and reads one stream
    of the network, the residual one for example, uses the same. Of t units, s are taken:

    - "uniform": i · t/s if s divides t, else round(i · (t − 1)/(s − 1)), i = 0, ..., s − 1;
    - "consecutive": the first s;
    - "random": s random ones, in their order, by the seed.

    Heads of attention are chosen as wholes by the same rule, and units within them if they are
    larger in the teacher; queries, keys and values that lie in one tensor, and the gates of an
    LSTM, are each cut alike. Where a convolution's output is flattened, whole channels are taken.
    Biases, normalizations and their running statistics follow. Inputs and outputs of the model,
    kernels, places of an image and rows of a vocabulary must be as many as the teacher's, and so
    must features that no other layer of the student writes or reads in their number, as what
    happens to them in between is not known. Of embeddings of places of a text the first are taken.

    Where the teacher has more layers of a kind, "first", "last", or "uniform" (by the rule above)
    chooses among them; a first block of a stage that changes the width stays the first, as do the
    first and last of linear or convolutional layers in a row.

    Args:
        teacher: a Module, a PyTorch module, a weights file (.safetensors, of which only what is
            selected is read, or .pt, .pth, .bin or .ckpt), or arrays by name.
        layers: "first", "last" or "uniform".
        elements: "uniform", "consecutive" or "random".
        mapping: patterns of the student's names to patterns of the teacher's, where they differ, as
            {"blocks.*.mlp.fc1.*": "layers.*.linear1.*"}: a * stands for any text, each for its
            counterpart. A prefix before all names, such as "model.", needs none.
        skip: shell patterns of tensors that are not selected, beside the head.
        select_head: whether the head, the layer that makes the outputs, is selected too, or several
            such: the last, and those that are named head, heads, fc, classifier or lm_head.
        otherwise: the scheme for what is not selected; the model's own ``init_scheme``, or
            "kaiming_uniform", if not given.
        teacher_heads: number of heads in the teacher's attention, if it is not a module that says
            it; if not given, its heads are taken to be as large as the student's.

    Raises:
        ArgumentError: an unknown policy, a pattern that matches nothing, a tensor that the teacher
            lacks, fewer layers there, or chosen layers whose widths do not fit.
        ShapeError: a tensor with another number of axes, too small, or transposed in the teacher.
        DTypeError: numbers that the student's dtype does not hold.
        DataError: a file that is missing or damaged. Nothing is changed in any case.

    Source: Xu et al., Initializing Models with Larger Ones, ICLR 2024, section 3. There striding
    goes over all features of an attention at once, and takes channels from within heads.

    >>> from gradlab.init import initialize
    >>> from gradlab.nn import MLP
    >>> teacher, student = MLP((4, 16, 16, 3)), MLP((4, 8, 8, 3))
    >>> initialize(student, SelectWeights(teacher))
    >>> bool((student[2].weight.numpy() == teacher[2].weight.numpy()[::2, ::2]).all())
    True
    >>> print(SelectWeights(teacher, elements="consecutive").select(student).report)
    4 of 6 tensors, 112 of 139 numbers, selected from MLP: layers first, elements consecutive
    <BLANKLINE>
    student   shape  teacher   shape  selected
    0.weight  8×4    0.weight  16×4   first 8 of 16, all 4
    0.bias    8      0.bias    16     first 8 of 16
    2.weight  8×8    2.weight  16×16  first 8 of 16, first 8 of 16
    2.bias    8      2.bias    16     first 8 of 16
    4.weight  3×8    -                head, left to kaiming_uniform
    4.bias    3      -                head, left to kaiming_uniform
    """

    draws_all: ClassVar[bool] = True

    teacher: Any = field(repr=False)
    layers: Layers = "first"
    elements: Elements = "uniform"
    mapping: Mapping[str, str] | None = None
    skip: Sequence[str] = ()
    select_head: bool = False
    otherwise: Scheme | None = None
    teacher_heads: int | None = None

    def __post_init__(self) -> None:
        for kind, chosen, known in (
            ("layers", self.layers, LAYERS),
            ("elements", self.elements, ELEMENTS),
        ):
            if chosen not in known:
                raise ArgumentError(one_of(f"policy of {kind}", str(chosen), known))
        if isinstance(self.skip, str):
            raise ArgumentError(f"skip must be a list of patterns, got the text {self.skip!r}")
        if self.teacher_heads is not None and self.teacher_heads < 1:
            raise ArgumentError(f"teacher_heads must be 1 or more, got {self.teacher_heads!r}")

    def __call__(
        self, shape: Shape, rng: np.random.Generator, layer_fans: Fans | None = None
    ) -> Array:
        """No values: a shape alone does not say which weights they would be."""
        raise ArgumentError("weights are selected for a whole model: initialize(model, scheme)")

    def draw(self, model: Module, chosen: Mapping[str, Variable], seed: int) -> dict[str, Array]:
        """Values by path for some parameters of a model, and for the buffers beside them."""
        return self._select(model, chosen, seed).values

    def select(self, model: Module, seed: int = 0) -> Selection:
        """First values for all parameters and buffers, and a report; the model is not changed."""
        return self._select(model, model.named_parameters(), seed)

    def _select(self, model: Module, chosen: Mapping[str, Variable], seed: int) -> Selection:
        stream(seed, "slct")  # a seed that is none is an error even if nothing is random
        teacher = teacher_of(self.teacher)
        state = _with_buffers(model, chosen)
        skipped = self._skipped(model)
        parts, notes = self._parts(
            model, teacher, {p: state[p] for p in state if p not in skipped}, seed
        )
        values = {
            p.tensor: converted(p.source, teacher.part(p.source, p.indices), state[p.tensor].dtype)
            for p in parts
        }
        others: dict[str, Array] = {}
        left = chosen.keys() & skipped.keys()
        if left:
            scheme, patterns = self._rest(model)
            drawn = first_values(model, scheme, seed, patterns=patterns, only=left)
            others = {path: drawn[path] for path in drawn if path in skipped}
        reasons = {
            path: f"{skipped[path]}, {self._start(model) if path in others else 'keeps its value'}"
            for path in state
            if path in skipped
        }
        report = SelectionReport(
            teacher.label,
            self.layers,
            self.elements,
            tuple(notes),
            tuple(Selected(p.tensor, p.shape, p.source, p.source_shape, p.texts) for p in parts),
            tuple(Left(path, state[path].shape, reason) for path, reason in reasons.items()),
        )
        return Selection(values | others, report)

    def _skipped(self, model: Module) -> dict[str, str]:
        """Why each tensor that is not selected is not."""
        names = list(model.state_paths().values())
        heads = () if self.select_head else heads_among(model)
        reasons: dict[str, str] = {}
        for pattern in self.skip:
            matching = [
                named[0] for named in names if any(fnmatch.fnmatchcase(n, pattern) for n in named)
            ]
            if not matching:
                raise ArgumentError(
                    f"skip pattern {pattern!r} matches no tensor of the student; it has "
                    f"{', '.join(named[0] for named in names[:5])}, ..."
                )
            reasons |= dict.fromkeys(matching, "skipped")
        for first, *_ in names:
            if first.startswith(tuple(f"{head}." for head in heads)):
                reasons[first] = "head"
        return reasons

    def _parts(
        self, model: Module, teacher: Teacher, state: Mapping[str, Variable], seed: int
    ) -> tuple[list[Part], list[str]]:
        """Which part of which of the teacher's tensors each tensor is, and notes for the report."""
        paths = {name: named for named in model.state_paths().values() for name in named}
        shapes = {name: v.shape for v, named in model.state_paths().items() for name in named}
        names = translated(self.mapping or {}, shapes, teacher.shapes)
        pairing = pair(
            shapes, {ours: teacher.shapes[name] for ours, name in names.items()}, self.layers
        )
        sources = {}
        for path in state:
            found = next((pairing.names[n] for n in paths[path] if n in pairing.names), None)
            if found is None:
                raise ArgumentError(_missing(path, teacher, pairing))
            sources[path] = names[found]
        check_orientation(sources.values(), teacher.shapes)
        axes = axes_of(model)
        if self.teacher_heads is not None and not any(map(_has_heads, axes.values())):
            raise ArgumentError("teacher_heads is of no use: the student has no attention")
        given = {path: teacher.shapes[source] for path, source in sources.items()}
        parts: list[Part] = []
        unknown = False
        for path, source in sources.items():
            heads = self._heads(teacher, source) if _has_heads(axes[path]) else None
            shape = state[path].shape
            cut = Cut(path, shape, source, given[path], heads, self.elements, seed, given)
            parts.append(cut.part(axes[path]))
            unknown |= heads is None and _has_heads(axes[path])
        notes = [f"layers {text}" for text in pairing.layers]
        if unknown:
            notes.append("heads of the teacher: taken to be as large as the student's")
        notes += [
            f"{part.tensor}: taken to be of {axis.factors[1].size} places of an image"
            for part in parts
            for axis, t in zip(axes[part.tensor], part.source_shape, strict=True)
            if axis.channels_of is not None and axis.size != t and len(part.shape) > 1
        ]
        used = {names[name] for name in (*pairing.names.values(), *pairing.passed)}
        unused = [name for name in teacher.shapes if name not in used]
        if unused:
            count = f"{len(unused)} tensor{'s' if len(unused) > 1 else ''}"
            notes.append(f"not used of the teacher: {count}, such as {unused[0]}")
        return parts, notes

    def _heads(self, teacher: Teacher, source: str) -> int | None:
        """The number of heads of a teacher's tensor, if it is known."""
        said = teacher.heads(source)
        if None not in (said, self.teacher_heads) and said != self.teacher_heads:
            raise ArgumentError(
                f"teacher_heads is {self.teacher_heads}, but the module that has the teacher's "
                f"{source} has {said}: leave teacher_heads out"
            )
        return said or self.teacher_heads

    def _rest(self, model: Module) -> tuple[Scheme, Mapping[str, Scheme]]:
        """The scheme for what is not selected, and those for patterns."""
        if self.otherwise is not None:
            return self.otherwise, {}
        own: tuple[Scheme, Mapping[str, Scheme]] = getattr(
            model, "init_scheme", ("kaiming_uniform", {})
        )
        return own

    def _start(self, model: Module) -> str:
        """What a tensor starts with that is not selected."""
        if self.otherwise is None and hasattr(model, "init_scheme"):
            return "left to the model's own scheme"
        scheme, _ = self._rest(model)
        if isinstance(scheme, Mapping):
            scheme = str(scheme.get("name"))
        return f"left to {scheme if isinstance(scheme, str) else type(scheme).__name__}"


def _with_buffers(model: Module, chosen: Mapping[str, Variable]) -> dict[str, Variable]:
    """The chosen parameters, and the buffers that go with one of them.

    A buffer goes with the parameters of its module. If that has none, as a normalization without
    γ and β, it goes with the parameter before it in the model, or else with the first.
    """
    parameters = model.named_parameters()
    modules: dict[str, list[str]] = {}
    for path in parameters:
        modules.setdefault(path.rpartition(".")[0], []).append(path)
    before = list(parameters)[:1]
    found = {}
    for variable, (path, *_) in model.state_paths().items():
        if path in parameters:
            before = among = [path]
        else:
            among = modules.get(path.rpartition(".")[0], before)
        if not among or not chosen.keys().isdisjoint(among):
            found[path] = variable
    return found


def _missing(path: str, teacher: Teacher, pairing: Pairing) -> str:
    why = next((text for place, text in pairing.lacking.items() if path.startswith(place)), None)
    if why is not None:
        return f"{path} cannot be selected from {teacher.label}: {why}"
    return (
        f"{path} has no counterpart in {teacher.label}, which has "
        f"{', '.join(list(teacher.shapes)[:5])}, ...: say its name there "
        f"(mapping={{{path!r}: ...}}), or leave it out (skip=[{path!r}])"
    )


def _has_heads(axes: Sequence[Axis]) -> bool:
    return any(factor.role == "heads" for axis in axes for factor in axis.factors)
