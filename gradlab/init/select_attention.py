"""Which axes of a model's tensors consist of heads of attention."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gradlab.graph.op import Shape
from gradlab.init.select_factors import Axis, Factor, whole

INTO = re.compile(
    r"(?P<scope>.*\.)?(?:to_)?"
    r"(?:(?P<fused>in_proj|c_attn|qkv)|w?(?P<one>[qkv])|(?P<word>query|key|value))(?:_proj)?"
    r"[._](?P<kind>weight|bias)"
)
"""Names of what makes queries, keys and values of an attention."""
OUT_OF = re.compile(r"(?:(?:o|c|out)_)?proj|(?:to_)?out(?:\.0)?|w?o")
"""Names of the layer that reads the heads of an attention."""
HEADS = ("num_heads", "heads", "n_heads", "n_head", "num_attention_heads")
"""Attributes by which modules say their number of heads."""


def heads_of(modules: Mapping[str, Any], path: str) -> int | None:
    """The number of heads that the nearest module above a tensor says, of any library."""
    while path:
        path = path.rpartition(".")[0]
        for name in HEADS:
            found = getattr(modules.get(path), name, None)
            if isinstance(found, int):
                return found
    return None


def attention_axes(
    modules: Mapping[str, Any], shapes: Mapping[str, Shape]
) -> dict[str, dict[int, Axis]]:
    """Axes of heads, which are kept together: (path, axis) of what writes and reads them.

    A part of a model is an attention if it has queries, keys and values, in three tensors or in
    one, and, in the latter case, a layer of the right size that reads what they make.
    """
    scopes: dict[str, dict[str, str]] = {}  # which tensor is what, by the name before
    for path in shapes:
        into = INTO.fullmatch(path)
        if into is not None:
            part = "fused" if into["fused"] else (into["one"] or into["word"])[0]
            scopes.setdefault(into["scope"] or "", {})[f"{part} {into['kind']}"] = path
    found: dict[str, dict[int, Axis]] = {}
    for scope, named in scopes.items():
        below = [path for path in shapes if _nearest(path, scopes) == scope]
        readers = {path: shapes[path][1] for path in below if _reads(path, scope, shapes)}
        for parts in (["fused"], ["q", "k", "v"]):
            weights = [named.get(f"{part} weight") for part in parts]
            if None in weights or (parts == ["fused"] and not readers):
                continue
            rows = [shapes[path][0] for path in weights if path is not None]
            written = [path for part in parts for path in _both(named, part)]
            width, odd = divmod(sum(rows), 3)
            heads = heads_of(modules, written[0])
            if heads is None and written[0].startswith(f"{scope}in_proj"):
                continue  # other layers have this name too
            if odd or len(set(rows)) > 1 or any(size != width for size in readers.values()):
                why = "an attention with fewer heads of keys and values, which is not followed"
            elif heads is None:
                why = "an attention that does not say its number of heads (num_heads)"
            elif width % heads:
                why = f"an attention whose features do not divide into {heads} heads"
            else:
                each = Factor("units", width // heads, "units of a head")
                inner = (Factor("heads", heads, "heads"), each)
                first = (Factor("whole", 3, "projections"),) if len(parts) == 1 else ()
                found |= {path: {0: Axis((*first, *inner))} for path in written}
                found |= {path: {1: Axis(inner)} for path in readers}
                continue
            found |= {path: {0: whole(shapes[path][0], f"features of {why}")} for path in written}
            found |= {p: {1: whole(n, f"features of {why}")} for p, n in readers.items()}
    return found


def _both(named: Mapping[str, str], part: str) -> list[str]:
    """Its weight and its bias, if there is one."""
    return [named[f"{part} {kind}"] for kind in ("weight", "bias") if f"{part} {kind}" in named]


def _nearest(path: str, scopes: Mapping[str, Any]) -> str | None:
    """The longest of the scopes in which a tensor lies."""
    return max((s for s in scopes if path.startswith(s)), key=len, default=None)


def _reads(path: str, scope: str, shapes: Mapping[str, Shape]) -> bool:
    layer = path.removeprefix(scope).removesuffix(".weight")
    return path.endswith(".weight") and len(shapes[path]) > 1 and bool(OUT_OF.fullmatch(layer))
