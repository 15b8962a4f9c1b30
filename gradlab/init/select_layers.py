"""Which tensor of a teacher belongs to each of a student: by name, and layers by a policy."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Union

from gradlab.errors import ArgumentError
from gradlab.graph.op import Shape
from gradlab.init.select_indices import Layers, chosen_layers

Tree = dict[str, Union["Tree", str]]
"""Names, split at their dots; at the ends the whole names."""
RECURRENT = re.compile(r"((?:weight|bias)_(?:ih|hh))_l(\d+)(_reverse)?")


@dataclass
class Pairing:
    """Names of a student with those of a teacher.

    Attributes:
        names: of the teacher's tensors, by the student's.
        layers: what was chosen, as texts.
        lacking: texts about layers of which the student has more, by their place.
        passed: names, as in the student, of the teacher's layers that were not chosen.
    """

    names: dict[str, str] = field(default_factory=dict)
    layers: list[str] = field(default_factory=list)
    lacking: dict[str, str] = field(default_factory=dict)
    passed: set[str] = field(default_factory=set)


def translated(
    mapping: Mapping[str, str], student: Iterable[str], teacher: Iterable[str]
) -> dict[str, str]:
    """The teacher's names, by the names that they have in the student.

    What is not mapped has the same name there. If none has, the teacher's may have a prefix, such
    as "model.".

    Args:
        mapping: patterns of the student's names to patterns of the teacher's; each * stands for any
            text, the same in both, in their order.
        student, teacher: all names.

    Raises:
        ArgumentError: patterns with other numbers of *, that match nothing, or of which two give
            one name; or several prefixes.

    >>> mapping = {"blocks.*.fc1.*": "layers.*.linear1.*"}
    >>> translated(mapping, ["blocks.0.fc1.bias"], ["layers.0.linear1.bias", "norm.bias"])
    {'blocks.0.fc1.bias': 'layers.0.linear1.bias', 'norm.bias': 'norm.bias'}
    """
    student, teacher = list(student), list(teacher)
    mapped = [re.compile(_expression(ours)) for ours in mapping]
    found: dict[str, str] = {}
    for ours, theirs in mapping.items():
        if ours.count("*") != theirs.count("*"):
            raise ArgumentError(
                f"mapping {ours!r} to {theirs!r}: each * of one stands for a * of the other, so "
                "write as many in both"
            )
        matches = [re.fullmatch(_expression(theirs), name) for name in teacher]
        for whose, pattern, hit, names in (
            ("student", ours, any(re.fullmatch(_expression(ours), n) for n in student), student),
            ("teacher", theirs, any(matches), teacher),
        ):
            if not hit:
                raise ArgumentError(
                    f"mapping {ours!r} to {theirs!r}: no tensor of the {whose} matches "
                    f"{pattern!r}; it has {', '.join(names[:4])}, ..."
                )
        for match in filter(None, matches):
            name = _filled(ours, match.groups())
            if found.setdefault(name, match[0]) != match[0]:
                raise ArgumentError(
                    f"mapping gives {name} two names in the teacher, {found[name]} and {match[0]}: "
                    "leave one pattern out, or make it narrower"
                )
    known = set(found.values())
    rest = [name for name in teacher if name not in known]
    unmapped = [name for name in student if not any(p.fullmatch(name) for p in mapped)]
    prefix = _prefix(unmapped, rest)
    plain = {name.removeprefix(prefix): name for name in rest}
    return found | {
        ours: name
        for ours, name in plain.items()
        if not any(pattern.fullmatch(ours) for pattern in mapped)
    }


def _prefix(student: Sequence[str], teacher: Sequence[str]) -> str:
    """What stands before the student's names in the teacher, such as "model."; else nothing."""
    if not set(student).isdisjoint(teacher):
        return ""
    before = Counter(
        theirs.removesuffix(ours)
        for theirs in teacher
        for ours in student
        if theirs.endswith(f".{ours}")
    )
    found = [prefix for prefix, count in before.items() if 2 * count > len(student)]
    if len(found) > 1:
        raise ArgumentError(
            f"the student's names are in the teacher under {found[0]!r} and under {found[1]!r}: "
            f"say which, as in mapping={{'*': '{found[0]}*'}}"
        )
    return found[0] if found else ""


def _filled(pattern: str, texts: Iterable[str]) -> str:
    """A pattern with texts in the places of its stars."""
    first, *others = pattern.split("*")
    return first + "".join(text + part for text, part in zip(texts, others, strict=True))


def _expression(pattern: str) -> str:
    return re.escape(pattern).replace(r"\*", "(.*?)")


def pair(student: Mapping[str, Shape], teacher: Mapping[str, Shape], policy: Layers) -> Pairing:
    """Pair names, where a number in a name may be another one in the teacher.

    Where both have the same numbers, or the student has more, they are paired as they are. Else the
    parts that numbers name are compared. If most of their tensors have the same names and numbers
    of axes, they are layers of one kind, and the policy chooses among the teacher's of that kind.
    Layers that are unlike the others of their kind in shape stay at their ends: the first block of
    a stage, which changes the width, and the first and last of linear or convolutional layers in
    a row.

    Args:
        student: shapes by name.
        teacher: shapes by the names that they have in the student.
        policy: which layers to take.
    """
    result = Pairing()
    _pair(_tree(student), _tree(teacher), "", _Shapes(student, teacher), policy, result)
    return result


@dataclass(frozen=True)
class _Shapes:
    student: Mapping[str, Shape]
    teacher: Mapping[str, Shape]


def _tree(names: Iterable[str]) -> Tree:
    root: Tree = {}
    for name in names:
        *above, last = name.split(".")
        # The numbers of recurrent layers come last: weight_ih_l0.
        layer = RECURRENT.fullmatch(last)
        if layer is not None:
            above, last = [*above, layer[2]], layer[1] + (layer[3] or "")
        node = root
        for part in above:
            below = node.setdefault(part, {})
            if isinstance(below, str):  # a tensor, and others below it
                break
            node = below
        else:
            node[last] = name
    return root


def _pair(
    student: Tree, teacher: Tree, place: str, shapes: _Shapes, policy: Layers, result: Pairing
) -> None:
    numbers = _numbers(student, teacher, place, shapes, policy, result)
    for key, ours in student.items():
        theirs = teacher.get(numbers.get(key, key))
        if isinstance(ours, str):
            if isinstance(theirs, str):
                result.names[ours] = theirs
        elif isinstance(theirs, dict):
            _pair(ours, theirs, f"{place}{key}.", shapes, policy, result)


def _numbers(
    student: Tree, teacher: Tree, place: str, shapes: _Shapes, policy: Layers, result: Pairing
) -> dict[str, str]:
    """The number in the teacher for each number in the student."""
    mine, theirs = (sorted(filter(str.isdigit, tree), key=int) for tree in (student, teacher))
    if not mine or mine == theirs:
        return {}
    ours_below = {key: _below(student[key], shapes.student) for key in mine}
    theirs_below = {key: _below(teacher[key], shapes.teacher) for key in theirs}
    paired = dict.fromkeys(mine, "")
    for ours, others in _kinds(ours_below, theirs_below):
        if len(ours) > len(others):
            paired |= {key: key for key in ours if key in others}
            why = (
                f"the student has {len(ours)} such layers {place}*, the teacher {len(others)}; take"
                " a smaller student"
            )
            if not others:
                why = f"the teacher has no such layers {place}*; say their names there (mapping)"
            result.lacking |= {f"{place}{key}.": why for key in ours if key not in others}
            continue
        in_a_row = any("weight" in theirs_below[key] for key in others)
        first, last = (
            in_a_row or (len(others) > 1 and theirs_below[others[a]] != theirs_below[others[b]])
            for a, b in ((0, 1), (-1, -2))
        )
        picked = chosen_layers(policy, len(others), len(ours), first, last)
        _check_widths(place, [(key, theirs_below[key]) for key in others], picked)
        paired |= {key: others[i] for key, i in zip(ours, picked, strict=True)}
        if ours:
            unchosen = {key: teacher[key] for i, key in enumerate(others) if i not in picked}
            result.passed |= set(_leaves(unchosen))
            all_numbers = others == [str(i) for i in range(len(others))]
            known = str(len(others)) if all_numbers else ", ".join(others)
            numbers = ", ".join(others[i] for i in picked)
            result.layers.append(f"{place}*: {numbers} of {known}")
    return paired


def _check_widths(
    place: str, layers: Sequence[tuple[str, Mapping[str, Shape]]], picked: Sequence[int]
) -> None:
    """An error if a chosen layer does not fit to the next, as another stood between them.

    The next has to read what the one after it reads in the teacher. What a layer reads is axis 1 of
    its first weight, what it gives is axis 0 of its last.
    """
    weights = [[shape for shape in below.values() if len(shape) > 1] for _, below in layers]
    if not picked or not all(weights):
        return
    reads = [w[0][1] if w[0][1] > 1 else w[0][0] for w in weights]  # 1 if depthwise
    gives = [w[-1][0] for w in weights]
    for before, chosen in zip([-1, *picked], picked, strict=False):
        if reads[chosen] != reads[before + 1]:
            ours = f"layers {layers[before][0]} and" if before >= 0 else "layers before and"
            raise ArgumentError(
                f"{ours} {layers[chosen][0]} of {place}* do not fit: one gives "
                f"{reads[before + 1]}, the other reads {reads[chosen]}; take a student of as many "
                "layers as the teacher"
            )
    if gives[picked[-1]] != gives[-1]:
        raise ArgumentError(
            f"layer {layers[picked[-1]][0]} of {place}* does not fit as the last: it gives "
            f"{gives[picked[-1]]}, and the teacher's last {gives[-1]}; take a student of as many "
            "layers as the teacher"
        )


def _leaves(node: Tree | str) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    else:
        for below in node.values():
            yield from _leaves(below)


def _below(node: Tree | str, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    """Shapes of the tensors in a part of a tree, by their names there."""
    if isinstance(node, str):
        return {"": shapes[node]}
    return {
        f"{key}.{rest}" if rest else key: shape
        for key, part in node.items()
        for rest, shape in _below(part, shapes).items()
    }


def _kinds(
    student: Mapping[str, Mapping[str, Shape]], teacher: Mapping[str, Mapping[str, Shape]]
) -> Iterator[tuple[list[str], list[str]]]:
    """Numbers of the student and of the teacher that are layers of one kind."""
    kinds: list[dict[tuple[bool, str], set[tuple[str, int]]]] = []
    for own, side in ((True, student), (False, teacher)):
        for key, tensors in side.items():
            # Numbers within do not count: layers may consist of different numbers of layers.
            looks = {(re.sub(r"\d+", "#", name), len(s)) for name, s in tensors.items()}
            merged = {(own, key): looks}
            for kind in [k for k in kinds if any(_alike(looks, other) for other in k.values())]:
                merged = kind | merged
                kinds.remove(kind)
            kinds.append(merged)
    for kind in kinds:
        yield [k for own, k in kind if own], [k for own, k in kind if not own]


def _alike(a: set[tuple[str, int]], b: set[tuple[str, int]]) -> bool:
    return 2 * len(a & b) > min(len(a), len(b))
