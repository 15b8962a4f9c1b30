"""Windows added up where they came from."""

from __future__ import annotations

from gradlab.execute.native.emit.element import index, number
from gradlab.execute.native.emit.scalar import scalar
from gradlab.execute.native.emit.special.kernel import Call, Frame, Special, nested, split_axis
from gradlab.graph.op import Shape


def _fold(frame: Frame) -> None:
    """Zeros first, then every window's elements in turn; threads share out what is around."""
    b, call = frame.b, frame.call
    params, dtype = call.params, call.dtype
    rank = len(params["lengths"])
    lead = len(call.shape) - rank
    split = _split(call.shape, rank)
    windows = call.layouts[0].shape
    with nested(b, frame.bounds(call.shape[:lead], split)) as outer:
        with nested(b, frame.bounds(call.shape[lead:], None)) as inner:
            frame.store(number(0, dtype), [*outer, *inner])
        places = frame.bounds(windows[lead + rank :], None)
        with (
            nested(b, places) as within,
            nested(b, frame.bounds(windows[lead:][:rank], None)) as at,
        ):
            value = frame.load(0, [*outer, *at, *within])
            where = [
                b.add(b.mul(p, index(s)), b.mul(i, index(d)))
                for p, i, s, d in zip(at, within, params["stride"], params["dilation"], strict=True)
            ]
            position = frame.position([*outer, *where])
            both = [frame.stored_at(position), value]
            frame.store_at(scalar("add", b, both, [dtype, dtype], dtype), position)


def _split(shape: Shape, rank: int) -> int | None:
    """The axis that threads share out: the windows overlap along the last ones."""
    return None if 0 in shape else split_axis(shape[: len(shape) - rank])


def _length(call: Call) -> int:
    split = _split(call.shape, len(call.params["lengths"]))
    return 1 if split is None else call.shape[split]


FOLD = Special(_fold, _length)
