"""Drawings: well formed whatever the names, laid out without overlaps, written whole."""

import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradlab as gl
from gradlab import GradientTape, Spec, Variable, tensor, trace
from gradlab.errors import ArgumentError
from gradlab.inspect import Arrow, Box, Drawing, draw, explain
from gradlab.inspect.layout import layout

SVG = "{http://www.w3.org/2000/svg}"
WILD = '<w> & "b"\\n\x00\ud800'


def _texts(svg):
    return [element.text for element in ET.fromstring(svg).iter(f"{SVG}text")]


def _lecture():
    a, b = Variable([2.0]), Variable([1.0])
    with GradientTape():
        c = a + b
        d = b + 1
        y = c * d
    return explain(y, wrt=b)


def test_svg_shows_names_values_adjoints_and_derivatives():
    texts = _texts(_lecture().to_svg())
    for text in ("c = a + b", "value 3", "adjoint 5", "∂y/∂c = d = 2", "contributes 3", "a"):
        assert text in texts
    assert texts[-3:] == [
        "∂y/∂b = 5, the sum over 2 paths from b to y",
        "b → c → y contributes 2",
        "b → d → y contributes 3",
    ]


def test_wild_names_are_escaped():
    w = Variable(2.0, name=WILD)
    with GradientTape():
        y = w * 3.0
    explanation = explain(y, wrt=w, names={"<y>": y})
    svg, dot = explanation.to_svg(), explanation.to_dot()
    assert '<w> & "b"\\n��' in _texts(svg)
    assert _texts(svg.encode("utf-8"))
    assert 'label="<w> & \\"b\\"\\\\n��\\nvalue 2' in dot
    # Each string of the Graphviz text ends where it should.
    assert not re.sub(r'"(?:[^"\\]|\\.)*"', "", dot).count('"')


def test_dot_has_every_box_and_arrow():
    drawing = _lecture().drawing()
    dot = drawing.to_dot()
    assert len(re.findall(r"^  n\d+ \[", dot, re.M)) == len(drawing.boxes) == 5
    assert len(re.findall(r"^  n\d+ -> n\d+ \[", dot, re.M)) == len(drawing.arrows) == 5


def test_an_edge_without_gradient_is_drawn_dead():
    x = tensor(-1.0)
    with GradientTape() as tape:
        tape.watch(x)
        y = gl.relu(x)
    assert [arrow.kind for arrow in explain(y, wrt=x).drawing().arrows] == ["dead"]


def test_notebooks_get_a_drawing_or_only_text():
    assert set(_lecture()._repr_mimebundle_()) == {"text/plain", "image/svg+xml"}
    x = tensor(1.0)
    with GradientTape() as tape:
        tape.watch(x)
        y = x
        for _ in range(40):
            y = y * y
    assert set(explain(y, wrt=x)._repr_mimebundle_()) == {"text/plain", "image/svg+xml"}
    assert set(draw(y * 1.0)._repr_mimebundle_()) == {"text/plain", "image/svg+xml"}
    large = Drawing([Box(str(i)) for i in range(61)], [])
    assert large._repr_mimebundle_() == {"text/plain": str(large)}
    with pytest.raises(ArgumentError, match="61 boxes, more than 60"):
        large.to_svg()


def test_files_are_written_whole(tmp_path):
    explanation = _lecture()
    explanation.save(tmp_path / "y.svg")
    explanation.save(str(tmp_path / "y.dot"))
    explanation.save(tmp_path / "y.txt")
    assert ET.parse(tmp_path / "y.svg").getroot().tag == f"{SVG}svg"
    assert (tmp_path / "y.dot").read_text("utf-8") == explanation.to_dot()
    assert (tmp_path / "y.txt").read_text("utf-8") == f"{explanation}\n"
    with pytest.raises(ArgumentError, match="end it in"):
        explanation.save(tmp_path / "y.png")
    with pytest.raises(ArgumentError, match="make the folder"):
        explanation.save(tmp_path / "missing" / "y.svg")
    large = Drawing([Box("x")] * 61, [])
    with pytest.raises(ArgumentError, match="more than 60"):
        large.save(tmp_path / "large.svg")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["y.dot", "y.svg", "y.txt"]


def test_drawing_of_a_traced_update():
    w = Variable([1.0, 2.0], name="w")

    def step(x):
        with GradientTape() as tape:
            loss = (w * x).sum()
        w.assign(w - 0.1 * tape.gradient(loss, w))
        return loss

    graph = trace(step, Spec((2,), name="x"))
    drawing = draw(graph)
    operations = [box for box in drawing.boxes if box.kind != "source"]
    assert len(operations) == len(graph.nodes)
    assert {box.title for box in drawing.boxes if box.kind == "source"} == {"w", "x"}
    assert sum("assigned to w" in box.lines for box in drawing.boxes) == 1
    assert [box.kind for box in drawing.boxes].count("output") == 1
    ET.fromstring(drawing.to_svg())


def test_drawing_of_a_recorded_tensor():
    x = tensor([1.0, 2.0])
    with GradientTape() as tape:
        tape.watch(x)
        h = x * 2
        y = h.sum()
    assert [box.title for box in draw(y).boxes] == ["x", "h = x · 2", "y = Σ h"]
    assert draw(y).arrows == [Arrow(0, 1), Arrow(1, 2)]
    with pytest.raises(ArgumentError, match="cannot draw a float"):
        draw(1.0)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_layout_goes_down_without_overlaps(data):
    count = data.draw(st.integers(1, 12))
    pairs = [(i, j) for j in range(count) for i in range(j)]
    chosen = data.draw(st.lists(st.sampled_from(pairs), max_size=20) if pairs else st.just([]))
    sizes = [(data.draw(st.floats(10, 200)), data.draw(st.floats(10, 60))) for _ in range(count)]
    placed = layout(sizes, [(i, j, 1.0) for i, j in chosen])
    spans = [
        (x - w / 2, x + w / 2, y - h / 2, y + h / 2)
        for (x, y), (w, h) in zip(placed.centres, sizes, strict=False)
    ]
    for k, (left, right, top, bottom) in enumerate(spans):
        assert -1e-6 <= left <= right <= placed.size[0] + 1e-6
        assert -1e-6 <= top <= bottom <= placed.size[1] + 1e-6
        for left2, right2, top2, bottom2 in spans[:k]:
            assert right < left2 or right2 < left or bottom < top2 or bottom2 < top
    for (i, j), points in zip(chosen, placed.links, strict=True):
        heights = [y for _, y in points]
        assert heights == sorted(heights)
        assert heights[0] == pytest.approx(spans[i][3])
        assert heights[-1] == pytest.approx(spans[j][2])


def test_layout_finds_an_order_without_crossings():
    # Items 0, 1, 2 above 3, 4, 5 in turn: drawn as listed, every pair of links would cross.
    placed = layout([(10.0, 10.0)] * 6, [(0, 5, 1.0), (1, 4, 1.0), (2, 3, 1.0)])
    x = [centre[0] for centre in placed.centres]
    assert [a == pytest.approx(b) for a, b in zip(x[:3], x[5:2:-1], strict=True)] == [True] * 3
