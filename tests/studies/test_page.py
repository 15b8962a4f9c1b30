import re
from xml.etree import ElementTree

import numpy as np
import pytest

from gradlab.errors import ArgumentError, RunError
from gradlab.studies import Plan, Table, carry_out, write_index, write_page
from gradlab.studies.figure import curves


def test_a_page_has_all_its_parts(coin, tmp_path):
    report = carry_out(coin, Plan(quick=True, seeds=4))
    text = write_page(report, tmp_path).read_text()
    for part in ("# Coins", "**Verdict: undecided.**", "half of the time", "p = ½", "Bernoulli",
                 "A coin.", "holds 0.5", "![Share of heads.](coin-share.svg)", "| heads |",
                 f"run coin --quick --seeds 4 --out {tmp_path}", "quick scale"):  # fmt: skip
        assert part in text
    assert re.search(r"0\.\d+ ± 0\.\d+ \|", text)
    picture = ElementTree.parse(tmp_path / "coin-share.svg")
    words = "".join(picture.getroot().itertext())
    assert "heads" in words
    assert "tails" in words
    assert {p.name for p in tmp_path.iterdir()} == {"coin.md", "coin-share.svg"}


def test_the_same_seeds_give_the_same_files(coin, tmp_path):
    def written():
        write_page(carry_out(coin), tmp_path)
        return [path.read_bytes() for path in sorted(tmp_path.iterdir())]

    assert written() == written()


def test_the_index_knows_the_pages_of_earlier_runs(coin, tmp_path):
    write_page(carry_out(coin), tmp_path)
    (tmp_path / "deep_relu.md").write_text("# Thirty layers\n\n**Verdict: against.**\n")
    text = write_index(tmp_path).read_text()
    assert "| [Coins](coin.md) | A coin shows heads half of the time. | undecided |" in text
    assert re.search(r"\| \[Thirty layers\]\(deep_relu.md\) \| .* \| against \|", text)
    assert "tanh_xavier" not in text


def test_a_page_that_cannot_be_written(coin, tmp_path):
    with pytest.raises(RunError, match=r"cannot write .*coin"):
        write_page(carry_out(coin), tmp_path / "absent")


def test_tables_have_a_cell_in_each_column():
    with pytest.raises(ArgumentError, match="columns"):
        Table("Odd", ("a", "b"), (("a",),))


@pytest.mark.parametrize("log", [False, True])
def test_names_of_curves_stand_apart_and_at_their_ends(log):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.4), layout="constrained")
    axes = figure.subplots()
    ends = {"a": 1.0, "b": 1.01, "c": 9.0, "d": 9.01}
    values = {name: np.full((3, 5), end) for name, end in ends.items()}
    curves(axes, np.arange(5), values, log=log)
    axes.plot([0, 4], [1e-3, 1e3])  # moves no name away from its curve
    figure.draw_without_rendering()
    boxes = {t.get_text(): t.get_window_extent() for t in axes.texts}
    assert not boxes["a"].overlaps(boxes["b"])
    assert not boxes["c"].overlaps(boxes["d"])
    for name, end in ends.items():
        y = axes.transData.transform((4, end))[1]
        assert abs((boxes[name].y0 + boxes[name].y1) / 2 - y) < 2 * boxes[name].height
