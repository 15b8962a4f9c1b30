"""A drawing of a computation: boxes and arrows, as Graphviz text, SVG or a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gradlab.errors import ArgumentError
from gradlab.files import replacing
from gradlab.inspect.dot import dot
from gradlab.inspect.svg import svg

MOST_BOXES = 60
"""Boxes that an SVG shows; of more, nobody could read one."""


@dataclass(frozen=True)
class Box:
    """A node: its title, lines below it, and its part ("source", "output", "side" or "node")."""

    title: str
    lines: tuple[str, ...] = ()
    kind: str = "node"


@dataclass(frozen=True)
class Arrow:
    """An edge between boxes by number: its label, and its part ("path", "dead" or "side").

    A dead arrow passes no gradient on: what it contributes is zero.
    """

    start: int
    end: int
    label: tuple[str, ...] = ()
    kind: str = "path"


@dataclass(frozen=True)
class Drawing:
    """Boxes and arrows, and a caption (what ``draw`` returns)."""

    boxes: Sequence[Box]
    arrows: Sequence[Arrow]
    caption: Sequence[str] = ()

    def to_dot(self) -> str:
        """Graphviz text."""
        return dot(self)

    def to_svg(self) -> str:
        """The drawing as SVG.

        Raises:
            ArgumentError: more boxes than anybody could read.
        """
        if len(self.boxes) > MOST_BOXES:
            raise ArgumentError(
                f"the drawing has {len(self.boxes):,} boxes, more than {MOST_BOXES}: print the "
                "text, give names to fewer tensors, or lay out to_dot() with Graphviz"
            )
        return svg(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a .svg, .dot or .txt file.

        Raises:
            ArgumentError: another suffix, no such folder, or more boxes than an SVG can show.
            RunError: the file cannot be written.
        """
        save(path, {".svg": self.to_svg, ".dot": self.to_dot, ".txt": lambda: f"{self}\n"})

    def __str__(self) -> str:
        """The caption, or else the titles line by line."""
        return "\n".join(self.caption or [box.title for box in self.boxes])

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """What a notebook shows."""
        return notebook(self, str(self))


def notebook(drawing: Drawing, text: str) -> dict[str, str]:
    """Text, and the drawing if it is small enough to read, by media type."""
    bundle = {"text/plain": text}
    if len(drawing.boxes) <= MOST_BOXES:
        bundle["image/svg+xml"] = drawing.to_svg()
    return bundle


def save(path: str | os.PathLike[str], writers: Mapping[str, Callable[[], str]]) -> None:
    """Write the text that belongs to the path's suffix, whole or not at all."""
    path = Path(path)
    if path.suffix not in writers:
        raise ArgumentError(f"path is {str(path)!r}; end it in {', '.join(writers)}")
    if not path.parent.is_dir():
        raise ArgumentError(f"path is {str(path)!r}; make the folder {str(path.parent)!r} first")
    text = writers[path.suffix]()
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
