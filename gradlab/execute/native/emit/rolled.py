"""Loops that LLVM leaves as they are: their bodies are tiles, already as long as they should be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gradlab.execute.native.emit import loops
from gradlab.execute.native.emit.element import index


@contextmanager
def loop(b: Any, begin: Any, end: Any) -> Iterator[Any]:
    """``for i in range(begin, end)``, as in `gradlab.execute.native.emit.loops`, never unrolled."""
    with loops.loop(b, begin, end) as i:
        yield i
    _, last = i.incomings[-1]
    keep_rolled(b, last.terminator)


def keep_rolled(b: Any, branch: Any) -> None:
    """Mark the branch that closes a loop: unrolling takes long to compile, and gains nothing."""
    module = b.module
    hint = module.add_metadata([module.add_metadata(["llvm.loop.unroll.disable"])])
    hint.operands = (hint, *hint.operands[-1:])  # what LLVM knows a loop's hints by
    branch.set_metadata("llvm.loop", hint)


@contextmanager
def blocks(b: Any, count: int) -> Iterator[Any]:
    """``for i in range(count)``; no loop at all if there is one."""
    if count == 1:
        yield index(0)
        return
    with loop(b, index(0), index(count)) as i:
        yield i


def least(b: Any, x: Any, y: Any) -> Any:
    """The smaller of two indices."""
    return b.select(b.icmp_signed("<", x, y), x, y)


def phi(b: Any, *incoming: tuple[Any, Any]) -> Any:
    """A value that depends on the block it comes from."""
    made = b.phi(incoming[0][0].type)
    for value, block in incoming:
        made.add_incoming(value, block)
    return made
