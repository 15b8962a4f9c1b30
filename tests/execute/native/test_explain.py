"""Plans as text: every number of the listing can be counted by hand."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gradlab as gl
from gradlab.execute.native import NativeProgram
from gradlab.execute.native.explain import explain, memory, short
from gradlab.execute.native.memory import place
from gradlab.execute.native.schedule import schedule
from gradlab.execute.simplify import simplify
from gradlab.graph import Spec, trace
from tests.execute.native.plans import lowered, plan_of, staged, training_step


def table(text):
    """Rows as dicts; cells are at least two spaces apart."""
    heading, *lines = text.splitlines()[:-1]
    names = heading.split()
    starts = [heading.index(name) for name in names]
    assert starts == sorted(starts)
    return [dict(zip(names, re.split(r"\s{2,}", line.strip()), strict=False)) for line in lines]


def test_operations_and_bytes_of_a_product_and_a_nest():
    plan = plan_of(lambda x, w, b: gl.relu(x @ w + b), Spec((8, 5)), Spec((5, 4)), Spec((4,)))
    product, nest = table(explain(plan))
    assert product["does"] == "product (tiled) [8, 5] @ [5, 4]"
    assert int(product["ops"]) == 2 * 8 * 4 * 5
    scratch = sum(b.bytes for b in plan.buffers if b.dtype == np.uint8)
    assert int(product["bytes"]) == 4 * (8 * 5 + 5 * 4 + 8 * 4) + scratch
    assert nest["does"] == "add relu [8, 4]"
    assert int(nest["ops"]) == 2 * 8 * 4
    assert int(nest["bytes"]) == 4 * (8 * 4 + 4 + 8 * 4)  # the row of biases once


def test_what_is_broadcast_or_reduced_counts_once():
    plan = plan_of(lambda x, y: gl.sum(x * y, 1), Spec((6, 1)), Spec((7,)))
    (row,) = table(explain(plan))
    assert row["does"] == "multiply sum [6, 7]"
    assert (int(row["ops"]), int(row["bytes"])) == (2 * 42, 4 * (6 + 7 + 6))


def test_the_closing_line_sums_up():
    step, specs, _ = training_step((20, 16, 10), batch=8)
    plan = plan_of(step, *specs)
    last = explain(plan).splitlines()[-1]
    operations = sum(kernel.flops for kernel in plan.kernels)
    moved = sum(kernel.bytes for kernel in plan.kernels)
    assert last == (
        f"{len(plan.kernels)} kernels, {short(operations)} operations, {short(moved)} bytes moved, "
        f"{short(plan.arena)} bytes of arena, 1 thread, 0 waits"
    )
    assert len(table(explain(plan))) == len(plan.kernels)


def test_the_division_among_threads_is_told():
    graph = lowered(lambda x: gl.sum(gl.sin(gl.flip(gl.exp(x), 0)), 0), Spec((64, 48)))
    plan = staged(graph, 2)
    schedule(plan)
    place(plan)
    told = [line.split("  ") for line in explain(plan).splitlines()[1:-1]]
    told = [[cell.strip() for cell in line if cell.strip()][4] for line in told]
    assert told == ["/64", "wait /64", "wait 1"]
    assert explain(plan).endswith("2 threads, 2 waits")


def test_names_of_results_are_shown():
    def function(x):
        y = gl.exp(x)
        y.name = "growth"
        return y

    assert table(explain(plan_of(function, Spec((3,)))))[0]["for"] == "growth"


def test_memory_lists_every_buffer():
    step, specs, _ = training_step((20, 16, 10), batch=8)
    plan = plan_of(step, *specs)
    rows = table(memory(plan))
    assert [row["buffer"] for row in rows] == [repr(b) for b in plan.buffers]
    assert [row["dtype"] for row in rows] == [str(b.dtype) for b in plan.buffers]
    places = [int(row["place"]) for row in rows if row["buffer"].startswith("arena")]
    assert places == [b.place for b in plan.buffers if b.home == "arena"]
    assert memory(plan).splitlines()[-1] == f"arena: {short(plan.arena)} bytes"


def test_memory_tells_what_is_never_used():
    text = memory(plan_of(lambda x, y: x + 1, Spec((2,)), Spec((3,))))
    used, unused = (line for line in text.splitlines() if line.startswith("input"))
    assert used.endswith("1 to 1")
    assert unused.endswith("never")


def test_lines_end_without_spaces():
    step, specs, _ = training_step((20, 16, 10), batch=8)
    plan = plan_of(step, *specs)
    for text in (explain(plan), memory(plan), explain(plan, [1e-6] * len(plan.kernels))):
        assert all(line == line.rstrip() for line in text.splitlines())
        assert max(map(len, text.splitlines())) < 250


@given(st.integers(0, 10**14))
def test_short_numbers_keep_their_size(count):
    text = short(count)
    unit = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}
    number, letter = re.fullmatch(r"([\d.]+)([kMG]?)", text).groups()
    assert float(number) * unit[letter] == pytest.approx(count, rel=0.06)
    assert count < 1000 or letter
    assert float(number) >= 1 or count == 0


def test_a_program_tells_its_plan_its_memory_and_its_code():
    ready = NativeProgram(simplify(trace(lambda x: gl.sum(gl.exp(x) * 2), Spec((4, 3)))))
    assert ready.explain() == explain(ready.plan)
    assert ready.memory == memory(ready.plan)
    assert re.search(r"^define i64 @\"run\"", ready.ir, re.MULTILINE)
    assert ready.ir.count('define internal void @"nest.') == 1
    assert "nnan" not in ready.ir
    assert "ninf" not in ready.ir
    assert " fast " not in ready.ir


def test_a_profile_divides_the_time_among_kernels():
    graph = simplify(trace(lambda x: gl.tanh(gl.exp(x @ x.T)) @ gl.sin(x), Spec((60, 60))))
    x = np.ones((60, 60), np.float32) / 60
    timed, plain = NativeProgram(graph, timed=True), NativeProgram(graph)
    assert [row["µs"] for row in table(timed.profile())] == ["0.00"] * 4
    for _ in range(20):
        (found,), _ = timed.run([x], [])
    (expected,), _ = plain.run([x], [])
    assert found.tobytes() == expected.tobytes()
    rows = table(timed.profile())
    assert [row["does"] for row in rows] == [row["does"] for row in table(plain.explain())]
    micro = [float(row["µs"]) for row in rows]
    assert min(micro) > 0
    assert sum(micro) == pytest.approx(1e6 * timed._seconds / 20, abs=0.03)
